"""The runs of a grid on a Dask cluster: the same records, even where a worker dies."""

import os
import signal
import subprocess
import sys
import time

import pytest
from stand_ins import read_results

from tutorials_lib.runs.cli import main

distributed = pytest.importorskip("distributed")

CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def scheduler(tmp_path):
    """A cluster of two worker processes, and its address."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    yield process.stdout.readline().strip()
    process.communicate("", timeout=60)


def find_workers(address):
    """Process numbers of the cluster's workers, and of those that run something."""
    with distributed.Client(address, set_as_default=False) as client:
        pids = client.run(os.getpid)
        busy = {worker for worker, tasks in client.processing().items() if tasks}
    return pids, [pids[worker] for worker in busy]


def test_a_grid_on_two_workers_of_which_one_is_killed(tmp_path, tutorials, scheduler):
    chapter, profile = "mixup_fashion_mnist", "smoke"
    one, two = tmp_path / "one", tmp_path / "two"
    # On a single worker's terms: the same number of cores for both.
    whole = tutorials("run", chapter, "--script", TUTORIALS_RUNS=str(one))
    assert whole.returncode == 0, whole.stderr[-2000:]
    command = [sys.executable, "-m", "tutorials_lib.runs.cli", "run", chapter]
    command += ["--script", "--scheduler", scheduler]
    process = subprocess.Popen(
        command,
        env={**os.environ, "TUTORIALS_RUNS": str(two)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    busy = []
    while not busy and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.5)
        pids, busy = find_workers(scheduler)
    assert len(pids) == 2
    assert busy, process.communicate()[1][-3000:]
    os.kill(busy[0], signal.SIGKILL)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    assert f"runs go to 2 workers at {scheduler}" in said
    first, second = (read_results(home / profile, chapter) for home in (one, two))
    assert first == second
    assert len(first) > 2


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere"])
def test_no_scheduler_there(address, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TUTORIALS_SCHEDULER", "")
    monkeypatch.setattr("tutorials_lib.runs.cluster.PATIENCE", 1)
    assert main(["run", "mixup_mnist", "--script", "--scheduler", address]) != 0
    said = capsys.readouterr().err
    assert "scheduler must be the address of a Dask scheduler that answers" in said
    assert address in said
