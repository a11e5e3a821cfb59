"""Killed and started again: no finished run or epoch is lost, and no number changes."""

import json
import os

import numpy as np
import pytest
from stand_ins import PROGRAMS, QUICK_IMPORT, read_results, start_python

from tutorials_lib.runs.records import RecordError, read_records
from tutorials_lib.runs.storage import runs_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no system to fork on")

# How each run is killed until it comes through. An epoch has four batches; the run of
# two parts has three epochs and then up to six.
FEW = {"two parts": [["batch", 14], ["half", 2]], "recipe": [["batch", 6]]}
MANY = {
    "two parts": [["batch", 5], ["half", 2], ["full", 1], ["batch", 8], ["batch", 8]],
    "recipe": [["batch", 7], ["half", 1], ["batch", 6], ["batch", 3]],
}
# Every recipe and backend once in each test run; all of them, killed often, weekly.
CASES = [("tensorflow", "two parts", FEW), ("jax", "recipe", FEW)]
CASES += [
    pytest.param(backend, run, MANY, marks=pytest.mark.slow)
    for backend in ("tensorflow", "jax")
    for run in MANY
]


@pytest.fixture(scope="module")
def trainer(request, tmp_path_factory):
    """Asks a program that trains for runs; imports its backend once."""
    pytest.importorskip(request.param)
    # What JAX has compiled for one process, it keeps for those that are forked later.
    kept = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled"))}
    for what in ("MIN_COMPILE_TIME_SECS", "MIN_ENTRY_SIZE_BYTES"):
        kept[f"JAX_PERSISTENT_CACHE_{what}"] = "0"
    process = start_python(
        PROGRAMS / "kill_training.py", KERAS_BACKEND=request.param, **kept
    )

    def ask(*order):
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    yield ask
    process.communicate()


@pytest.mark.parametrize(("trainer", "run", "kills"), CASES, indirect=["trainer"])
def test_a_killed_training_ends_like_one_never_killed(trainer, tmp_path, run, kills):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    for how, number in kills[run]:
        assert trainer(run, str(broken), how, number) == "-9", (how, number)
    assert trainer(run, str(broken), "none", 0) == "0"
    assert trainer(run, str(whole), "none", 0) == "0"
    found, expected = (
        read_results(x / "records", "cifar10_95") for x in (broken, whole)
    )
    *_, arrays = expected[run, 3]
    assert len(arrays) > 5
    assert found == expected
    (record,) = read_records(broken / "records" / "cifar10_95")
    assert record["timing"]["sessions"] >= 1 + len(kills[run]) // 2
    assert len(record["history"]["seconds"]) == len(record["history"]["loss"]) + len(
        record["history"].get("loss, later", ())
    )
    assert not list(broken.glob("runs/checkpoints/*/*.npz"))


@pytest.mark.parametrize("kills", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_a_grid_killed_again_and_again(run_python, tmp_path, kills):
    """At drawn lines of the code that runs and writes."""
    program = PROGRAMS / "kill_grid.py"
    done = run_python(program, tmp_path, kills, **QUICK_IMPORT)
    assert done.returncode == 0, done.stderr[-3000:]
    killed, grids, partials, lost = json.loads(done.stdout.splitlines()[-1])
    assert len(killed) >= kills
    assert lost == []
    assert partials, "no kill left half a file: the test tries too little"
    assert "write_bytes" in killed
    whole = read_results(tmp_path / "whole", "mixup_mnist")
    assert len(whole) == 4
    for number in range(grids):
        folder = tmp_path / f"broken-{number}"
        assert read_results(folder, "mixup_mnist") == whole
        assert not list(folder.rglob(".partial-*"))


def test_two_processes_share_a_grid(tmp_path, monkeypatch):
    """Each run is made once; both end with all records."""
    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path / "records"))
    first, second = (
        start_python(PROGRAMS / "share_grid.py", **QUICK_IMPORT) for _ in range(2)
    )
    started = [first.stdout.readline(), second.stdout.readline()]
    # Each is in the middle of a run, and they are not in the same one.
    assert set(started) == {"started 0\n", "started 1\n"}
    for process in (first, second):
        process.stdin.write("\n" * 4)
        process.stdin.flush()
    said = [process.communicate()[0] for process in (first, second)]
    assert sum(out.count("started") for out in [*started, *said]) == 4
    assert all(out.endswith("records 4\n") for out in said)


def test_a_checkpoint_that_is_damaged_or_of_another_run(stand_in, tmp_path):
    stand_in["make_runs"]([0])
    (done,) = (tmp_path / "records" / "mixup_mnist").glob("*.json")
    done.unlink()
    path = runs_folder() / "checkpoints" / "mixup_mnist" / f"{done.stem}.npz"
    path.parent.mkdir(parents=True)
    state = json.dumps({"run": {"backend": "another"}}).encode()
    np.savez(path, state=np.frombuffer(state, "uint8"))
    other = path.read_bytes()
    for content, said in (
        (b"", "is damaged"),
        (other[:100], "is damaged"),
        (other, "belongs to another run: backend 'another'"),
    ):
        path.write_bytes(content)
        with pytest.raises(RecordError, match=rf"{path.name} {said}.* Delete it"):
            stand_in["make_runs"]([0])
        # Whoever reads the sentence may still want to look at the file.
        assert path.read_bytes() == content
