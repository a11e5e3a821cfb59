"""Running a grid: records, resuming after a kill, sharing, and saying no in time."""

import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from stand_ins import STAND_IN

from tutorials_lib.runs.grid import plan_run, run_grid
from tutorials_lib.runs.records import RecordError, find_path, read_arrays, read_records
from tutorials_lib.runs.settings import choose_settings
from tutorials_lib.runs.storage import runs_folder
from tutorials_lib.support.data import Dataset


def run_script(records, body):
    code = STAND_IN + textwrap.dedent(body)
    environment = {**os.environ, "TUTORIALS_RECORDS": str(records)}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def plan(slow=0, seeds=(0, 1, 2)):
    return [plan_run("none", seed, slow=slow) for seed in seeds]


def test_a_record_holds_what_it_takes_to_repeat_the_run(stand_in, tmp_path):
    settings = choose_settings("mixup_mnist", "full")
    records = run_grid(settings, stand_in["data"], plan(), stand_in["train"])
    assert [record["seed"] for record in records] == [0, 1, 2]
    assert read_records(tmp_path / "records" / "mixup_mnist") == records
    record = records[1]
    assert record["metrics"]["test_accuracy"] == np.random.default_rng(1).uniform()
    assert record["parameters"] == {"slow": 0}
    assert record["data"]["sha256"] == stand_in["data"].sha256
    assert len(record["history"]["seconds"]) == 1
    assert record["environment"]["cores"] == len(os.sched_getaffinity(0))
    assert {"python", "keras", "numpy"} <= set(record["environment"]["versions"])
    assert not list((tmp_path / "records").rglob("*.claim"))


def test_done_runs_are_not_run_again(stand_in, capsys):
    settings = choose_settings("mixup_mnist", "full")
    first = run_grid(settings, stand_in["data"], plan(), stand_in["train"])
    capsys.readouterr()
    again = run_grid(
        settings, stand_in["data"], plan(seeds=(2, 3, 0)), stand_in["train"]
    )
    assert capsys.readouterr().out.count("started") == 1
    assert again[0] == first[2]
    # Another protocol is another run, though variant and seed are the same.
    run_grid(settings, stand_in["data"], plan(slow=0.01), stand_in["train"])
    assert capsys.readouterr().out.count("started") == 3


@pytest.mark.parametrize(
    ("profile", "knobs", "origin"),
    [
        ("full", {}, "sample"),
        ("full", {"epochs": 1}, "sample"),
        ("quick", {}, "folder"),
    ],
)
def test_only_the_full_protocol_is_published(
    stand_in, tmp_path, profile, knobs, origin, capsys
):
    settings = choose_settings("mixup_mnist", profile, **knobs)
    fields = {**stand_in["data"].__dict__, "origin": origin}
    fields.pop("sha256", None)
    data = Dataset(**fields)
    for _ in range(2):
        run_grid(settings, data, plan(), stand_in["train"])
    assert not (tmp_path / "records").exists()
    assert len(read_records(runs_folder() / profile / "mixup_mnist")) == 3
    assert capsys.readouterr().out.count("started") == 6


def test_a_changed_protocol_goes_on_apart(stand_in, tmp_path, capsys):
    """Though none of these changes shows in the runs' own parameters."""
    for knobs in ({"epochs": 1}, {"epochs": 2}, {"epochs": 1, "seeds": 3}):
        settings = choose_settings("mixup_mnist", "full", **knobs)
        records = run_grid(settings, stand_in["data"], plan(), stand_in["train"])
        # What builds on a run reads its arrays.
        for record in records:
            rows = np.random.default_rng(record["seed"]).uniform(size=(4, 10))
            np.testing.assert_array_equal(read_arrays(record)["rows"], rows)
    assert capsys.readouterr().out.count("started") == 6
    assert not (tmp_path / "records").exists()
    folders = sorted(runs_folder().glob("full-*/mixup_mnist"))
    assert [len(read_records(folder)) for folder in folders] == [3, 3]


def test_one_run_of_a_changed_protocol(stand_in, monkeypatch):
    """As a cluster's worker is asked for it: left where the worker looks for it."""
    settings = choose_settings("mixup_mnist", "full", epochs=1)
    arguments = settings, stand_in["data"], plan(), stand_in["train"]
    name = pathlib.Path(find_path(run_grid(*arguments)[1])).name
    monkeypatch.setenv("TUTORIALS_ONLY", name)
    (record,) = run_grid(*arguments)
    assert record["seed"] == 1
    assert (runs_folder() / "full" / "mixup_mnist" / name).is_file()


def test_a_killed_grid_goes_on_and_ends_like_one_never_killed(tmp_path):
    body = """
        settings = choose_settings("mixup_mnist", "full")
        grid = [plan_run("none", seed, slow={slow}) for seed in range(4)]
        for record in run_grid(settings, data, grid, train):
            rows = read_arrays(record)["rows"]
            print("score", record["seed"], record["metrics"]["test_accuracy"], rows)
    """
    folder = tmp_path / "records" / "mixup_mnist"
    # The pause is a parameter of the run, so it must be the same before and after.
    process = run_script(tmp_path / "records", body.format(slow=0.5))
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert 2 <= len(kept) < 4
    assert not list(folder.glob(".partial-*"))

    resumed, errors = run_script(
        tmp_path / "records", body.format(slow=0.5)
    ).communicate()
    assert resumed.count("started") == 4 - len(kept), errors
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    unbroken, _ = run_script(tmp_path / "other", body.format(slow=0.5)).communicate()
    scores = resumed[resumed.index("score") :]
    assert scores.count("score") == 4
    assert scores == unbroken[unbroken.index("score") :]


def test_two_processes_share_a_grid(tmp_path):
    body = """
        settings = choose_settings("mixup_mnist", "full")
        grid = [plan_run("none", seed, slow=1.5) for seed in range(4)]
        print("records", len(run_grid(settings, data, grid, train)))
    """
    processes = [run_script(tmp_path / "records", body) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    started = [out.count("started") for out, _ in outputs]
    assert sum(started) == 4, outputs
    assert all("records 4" in out for out, _ in outputs), outputs


def test_arrays_are_read_back_or_missed_in_words(stand_in, tmp_path):
    settings = choose_settings("mixup_mnist", "full")
    (record,) = run_grid(
        settings, stand_in["data"], plan(seeds=(3,)), stand_in["train"]
    )
    found = read_arrays(record)
    assert list(found) == ["rows"]
    expected = np.random.default_rng(3).uniform(size=(4, 10))
    np.testing.assert_array_equal(found["rows"], expected)
    (path,) = (tmp_path / "records").rglob("*.npz")
    assert path.stem == next((tmp_path / "records").rglob("*.json")).stem
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(RecordError, match=r"none, seed 3, .* missing or damaged"):
        read_arrays(record)
    record.pop("arrays")
    with pytest.raises(RecordError, match="none, seed 3 left no arrays"):
        read_arrays(record)


def test_arrays_of_a_short_run_lie_with_it(stand_in, tmp_path):
    settings = choose_settings("mixup_mnist", "quick")
    (record,) = run_grid(
        settings, stand_in["data"], plan(seeds=(3,)), stand_in["train"]
    )
    assert read_arrays(record)["rows"].shape == (4, 10)
    assert not (tmp_path / "records").exists()


def test_arrays_of_objects_leave_no_record(stand_in, tmp_path):
    def train(**arguments):
        return {**stand_in["train"](**arguments), "arrays": {"rows": ["a"]}}

    settings = choose_settings("mixup_mnist", "full")
    with pytest.raises(RecordError, match="array rows must hold numbers"):
        run_grid(settings, stand_in["data"], plan(seeds=(3,)), train)
    assert not [path for path in (tmp_path / "records").rglob("*") if path.is_file()]


def test_a_claim_is_held_by_a_living_process_alone(stand_in, tmp_path):
    """What a killed process leaves is a file like any other, whatever is in it."""
    settings = choose_settings("mixup_mnist", "full")
    run_grid(settings, stand_in["data"], plan(seeds=(0,)), stand_in["train"])
    (done,) = (tmp_path / "records" / "mixup_mnist").glob("*.json")
    claim = done.with_suffix(".claim")
    done.unlink()
    claim.write_text('{"host": "elsewhere"}')
    assert run_grid(settings, stand_in["data"], plan(seeds=(0,)), stand_in["train"])
    assert not claim.exists()


def test_a_file_system_without_locks(stand_in, tmp_path, monkeypatch):
    """No claim can be had there, and none is needed: the run is made, nothing waits."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("tutorials_lib.runs.storage.fcntl.flock", refuse)
    settings = choose_settings("mixup_mnist", "full", seeds=1)
    plan = [plan_run("one", 0, slow=0)]
    (record,) = run_grid(settings, stand_in["data"], plan, stand_in["train"])
    assert record["variant"] == "one"
    assert not list(tmp_path.rglob("*.claim"))


def test_a_grid_with_one_run_twice(stand_in):
    settings = choose_settings("mixup_mnist", "full")
    twice = [plan_run("alpha 0.1", 0, slow=0), plan_run("alpha 0.1", 0, slow=0.1)]
    with pytest.raises(ValueError, match=r"once; got \('alpha 0.1', 0\)"):
        run_grid(settings, stand_in["data"], twice, stand_in["train"])


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 77), ("chapter", "other"), ("variant", "alpha 2")]
)
def test_a_record_under_another_name_is_refused(stand_in, tmp_path, field, value):
    settings = choose_settings("mixup_mnist", "full")
    run_grid(settings, stand_in["data"], plan(seeds=(0,)), stand_in["train"])
    (path,) = (tmp_path / "records" / "mixup_mnist").glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    differs = "chapter or data" if field == "chapter" else f"{field} '?{value}"
    with pytest.raises(RecordError, match=f"holds another run .* differs: {differs}"):
        run_grid(settings, stand_in["data"], plan(seeds=(0,)), stand_in["train"])


def test_keras_set_to_other_floats(stand_in, monkeypatch):
    import keras

    monkeypatch.setattr(keras.config, "floatx", lambda: "float16")
    settings = choose_settings("mixup_mnist", "full")
    with pytest.raises(ValueError, match=r"floatx float32 .* got float16"):
        run_grid(settings, stand_in["data"], plan(), stand_in["train"])


def test_training_that_keeps_its_callbacks_to_itself(stand_in):
    def train(**_):
        return {"metrics": {"a": 1.0}, "history": {"loss": [1.0]}, "images": 1}

    settings = choose_settings("mixup_mnist", "full")
    with pytest.raises(ValueError, match="callbacks"):
        run_grid(settings, stand_in["data"], plan(), train)


def test_a_run_that_trains_nothing(stand_in):
    """An ensemble: no epochs, and a history of its own."""

    def average(seed, callbacks):
        history = {"by members": [0.4, 0.5]}
        return {"metrics": {"a": 0.5}, "history": history, "images": 0}

    settings = choose_settings("mixup_mnist", "full")
    grid = [plan_run("ensemble", 0)]
    (record,) = run_grid(settings, stand_in["data"], grid, average)
    assert record["history"] == {"by members": [0.4, 0.5], "seconds": []}
    assert record["timing"]["images_per_second"] == 0
    assert run_grid(settings, stand_in["data"], grid, None) == [record]


def test_a_loss_that_is_no_number_leaves_no_record(stand_in, tmp_path):
    def train(**arguments):
        result = stand_in["train"](**arguments)
        return {**result, "history": {"loss": [float("nan")]}}

    settings = choose_settings("mixup_mnist", "full")
    with pytest.raises(RecordError, match=r"history\.loss of epoch 1 .* got nan"):
        run_grid(settings, stand_in["data"], plan(), train)
    assert not list((tmp_path / "records").rglob("*.json"))


def test_no_time_left_reads_what_is_there(stand_in, capsys):
    full = choose_settings("mixup_mnist", "full")
    run_grid(full, stand_in["data"], plan(seeds=(1,)), stand_in["train"])
    capsys.readouterr()
    none_left = choose_settings("mixup_mnist", "full", max_minutes=0)
    records = run_grid(none_left, stand_in["data"], plan(), stand_in["train"])
    assert [record["seed"] for record in records] == [1]
    assert "started" not in capsys.readouterr().out


def test_all_grids_of_a_chapter_share_its_minutes(stand_in, monkeypatch):
    settings = choose_settings("mixup_mnist", "full", max_minutes=1)
    first = run_grid(settings, stand_in["data"], plan(seeds=(1,)), stand_in["train"])
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    late = run_grid(settings, stand_in["data"], plan(seeds=(1, 2)), stand_in["train"])
    assert late == first


def test_a_failing_run_leaves_nothing(stand_in, tmp_path):
    def fail(**_):
        raise ArithmeticError("loss is nan")

    settings = choose_settings("mixup_mnist", "full")
    with pytest.raises(ArithmeticError):
        run_grid(settings, stand_in["data"], plan(), fail)
    assert not [path for path in (tmp_path / "records").rglob("*") if path.is_file()]


def test_nothing_runs_where_records_cannot_be_written(stand_in, tmp_path, capsys):
    # A file where the folder should be stops root too, which permissions do not.
    (tmp_path / "records").write_text("in the way")
    settings = choose_settings("mixup_mnist", "full")
    with pytest.raises(OSError, match=r"records cannot be written to .*TUTORIALS_REC"):
        run_grid(settings, stand_in["data"], plan(), stand_in["train"])
    assert "started" not in capsys.readouterr().out
