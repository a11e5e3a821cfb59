"""Dead kernels, killed commands, two runs at once, Ctrl-C: nothing half done stays."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from stand_ins import (
    GRID_CELL,
    QUICK_IMPORT,
    RUN_NOTEBOOK,
    list_names,
    make_notebook,
)

from tutorials_lib.runs import cli
from tutorials_lib.runs.chapters import ChapterError
from tutorials_lib.runs.notebooks import run_notebook
from tutorials_lib.runs.storage import runs_folder


def start(tmp_path, source, *arguments, code=RUN_NOTEBOOK, **environment):
    """Starts the command as a terminal would, in a group of its own."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(source), *map(str, arguments)],
        env={**os.environ, **QUICK_IMPORT, "TMPDIR": str(tmp_path / "tmp")}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def find_descendants(tmp_path):
    """Finds what still runs of a test: its processes hold its folder in a variable."""
    if not pathlib.Path("/proc/self/environ").exists():
        pytest.skip("this system does not list processes with their environments")
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            environment = (path / "environ").read_bytes()
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        ours = f"TUTORIALS_RUNS={tmp_path}".encode() in environment
        if ours and state != "Z" and int(path.name) != os.getpid():
            found.append((path / "cmdline").read_bytes().replace(b"\0", b" "))
    return found


def check_all_gone(tmp_path):
    deadline = time.monotonic() + 20
    while (left := find_descendants(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def wait_for(happened, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_kernel_that_dies(tmp_path):
    death = "os.kill(os.getpid(), 9)"
    cells = ("print('before')", f"import os\n{death}", "print('after')")
    source = make_notebook(tmp_path / "a.ipynb", *cells)
    target = tmp_path / "out.ipynb"
    target.write_text("the old output")
    with pytest.raises(ChapterError, match="the kernel died") as caught:
        run_notebook(source, target, {})
    kept = runs_folder() / "failed" / "a.ipynb"
    said = str(caught.value)
    assert f"in the cell that begins\nimport os\n{death}\n" in said
    assert str(kept) in said
    assert "Traceback" not in said
    outputs = [cell.outputs for cell in nbformat.read(kept, as_version=4).cells]
    assert [len(output) for output in outputs] == [0, 1, 0, 0]
    assert target.read_text() == "the old output"


def test_a_killed_command_leaves_the_old_notebook(tmp_path):
    marker, target = tmp_path / "marker", tmp_path / "out" / "a.ipynb"
    wait = f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\n"
    source = make_notebook(tmp_path / "a.ipynb", wait + "time.sleep(epochs)")
    target.parent.mkdir()
    target.write_text("the old output")
    run = ("run", "mixup_mnist", "--output", target)
    process = start(tmp_path, source, *run, "-p", "epochs", 100)
    wait_for(marker.exists, process)
    process.kill()
    process.communicate()
    check_all_gone(tmp_path)
    assert target.read_text() == "the old output"
    assert list_names(target.parent) == ["a.ipynb"]


def press_ctrl_c(process):
    """Sends what a terminal sends to every process of the command."""
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, (out, errors)
    assert errors.splitlines()[-1] == "stopped; full runs go on where they were."
    assert "Traceback" not in out + errors
    return out


def check_nothing_left(tmp_path):
    check_all_gone(tmp_path)
    assert not list((tmp_path / "tmp").glob("tutorials-*"))
    assert not list(tmp_path.rglob(".partial-*"))


def test_ctrl_c_in_a_run(tmp_path):
    """Between two records; the next run makes what is missing and no more."""
    source = make_notebook(tmp_path / "a.ipynb", GRID_CELL, parameters="epochs = 2")
    folder, target = tmp_path / "records" / "mixup_mnist", tmp_path / "out.ipynb"
    target.write_text("the old output")
    environment = {"TUTORIALS_RECORDS": str(tmp_path / "records")}
    run = ("run", "mixup_mnist", "--profile", "full", "--output", target)
    process = start(tmp_path, source, *run, **environment)
    wait_for(lambda: list(folder.glob("*.json")), process)
    press_ctrl_c(process)
    check_nothing_left(tmp_path)
    assert target.read_text() == "the old output"
    kept = {path: path.read_bytes() for path in folder.glob("*.json")}
    assert 1 <= len(kept) < 4
    again = start(tmp_path, source, *run, **environment)
    out, errors = again.communicate()
    assert again.returncode == 0, errors
    nbformat.validate(nbformat.read(target, as_version=4))
    assert out.count("started") == 4 - len(kept)
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(list(folder.glob("*.json"))) == 4


def test_ctrl_c_in_the_first_imports(monkeypatch, capsys):
    """What takes long is imported where the interrupt is caught."""

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "make_parser", interrupt)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr().err == "stopped; full runs go on where they were.\n"
