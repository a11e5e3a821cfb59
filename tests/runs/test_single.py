"""One run in a process of its own, and many of them on a Dask cluster."""

import os
import pathlib
import signal
import subprocess

import pytest
from stand_ins import make_notebook, read_results, start_python

from tutorials_lib.book.chapters import ChapterError, run_cells
from tutorials_lib.runs import single
from tutorials_lib.runs.grid import Grid, Run
from tutorials_lib.runs.settings import choose_settings
from tutorials_lib.runs.storage import runs_folder


def test_a_run_that_failed_says_why(monkeypatch):
    """It leaves no files, and what a killed process left of its own is removed."""
    scratch = runs_folder() / "scratch"
    left = scratch / "0123"
    left.mkdir(parents=True)
    (left / "old.json").write_text("")

    def fail(command, **_):
        assert not left.exists()
        folder = pathlib.Path(command[command.index("--into") + 1])
        assert (folder / "other.json").read_bytes() == b"a record"
        said = "I0000 some log\ntutorials run: a.ipynb failed in cell [3]\nwith why"
        return subprocess.CompletedProcess(command, 1, "", said)

    monkeypatch.setattr(single.subprocess, "run", fail)
    with pytest.raises(single.RunError) as caught:
        beside = {"other.json": b"a record"}
        single.run_one("mixup_mnist", "full", {}, "none, seed 0", beside)
    assert str(caught.value) == "a.ipynb failed in cell [3]\nwith why"
    assert not list(scratch.iterdir())


def test_a_failure_names_the_cell_and_the_cause(tmp_path):
    path = make_notebook(tmp_path / "a.ipynb", "x = 1", "raise KeyError('lost')", "3")
    said = r"a\.ipynb failed in cell \[3\] with KeyError: 'lost'\n.*\nraise"
    with pytest.raises(ChapterError, match=said):
        run_cells(path, {})


def kill_a_busy_worker(client, process):
    """Kills a worker that runs something for a process, as soon as there is one."""
    pids, busy = client.run(os.getpid), []
    while not busy:
        assert process.poll() is None, process.communicate()[1][-3000:]
        busy = [worker for worker, each in client.processing().items() if each]
    os.kill(pids[busy[0]], signal.SIGKILL)


COMMAND = (
    *("-m", "tutorials_lib.book.cli", "run", "mixup_fashion_mnist", "--script"),
    *("-p", "epochs", "1", "-p", "alphas", "[0.2]", "-p", "images_per_mix", "2"),
)


@pytest.mark.slow
def test_a_grid_on_two_workers_of_which_one_is_killed(tmp_path, run_python):
    distributed = pytest.importorskip("distributed")
    one, two = tmp_path / "one", tmp_path / "two"
    whole = run_python(*COMMAND, TUTORIALS_RUNS=str(one))
    assert whole.returncode == 0, whole.stderr[-2000:]
    cluster = {"threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with (
        distributed.LocalCluster(n_workers=2, **cluster) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        scheduler = ["--scheduler", local.scheduler_address]
        process = start_python(*COMMAND, *scheduler, TUTORIALS_RUNS=str(two))
        kill_a_busy_worker(client, process)
        _, errors = process.communicate(timeout=1200)
    assert process.returncode == 0, errors[-3000:]
    homes = (home / "smoke" for home in (one, two))
    first, second = (read_results(home, "mixup_fashion_mnist") for home in homes)
    assert first == second
    assert len(first) > 2


def run_on(address, stand_in, seeds):
    settings = choose_settings("mixup_mnist", "full", scheduler=address)
    grid = Grid(settings, stand_in["data"])
    return grid.run([Run("none", seed, {}) for seed in seeds], stand_in["train"])


def test_no_scheduler_there(stand_in, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(single, "PATIENCE", 1)
    with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:9"):
        run_on("tcp://127.0.0.1:9", stand_in, [0])


def test_a_cluster_s_records_are_kept_and_its_failures_told(
    stand_in, tmp_path, monkeypatch
):
    distributed = pytest.importorskip("distributed")
    stand_in["make_runs"](range(2))
    made = tmp_path / "records" / "mixup_mnist"
    files = {path.name: path.read_bytes() for path in made.iterdir()}

    def run_one(chapter, profile, settings, name, beside):
        seed = name[-1]
        if seed == "2":
            raise single.RunError("no room")
        return {x: files[x] for x in files if x.startswith(f"none_seed-{seed}_")}

    monkeypatch.setattr(single, "run_one", run_one)
    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path / "again"))
    cluster = {"processes": False, "dashboard_address": None}
    with distributed.LocalCluster(n_workers=2, **cluster) as local:
        with pytest.raises(single.RunError) as caught:
            run_on(local.scheduler_address, stand_in, range(4))
        assert "RunError: no room" in str(caught.value)
        assert "the worker made []; its version" in str(caught.value)
        assert len(run_on(local.scheduler_address, stand_in, range(2))) == 2
    found, expected = (tmp_path / "again", tmp_path / "records")
    assert read_results(found, "mixup_mnist") == read_results(expected, "mixup_mnist")
