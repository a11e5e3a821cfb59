"""Dead kernels and Ctrl-C: nothing half done stays."""

import os

import nbformat
import pytest
from stand_ins import PROGRAMS, QUICK_IMPORT, make_notebook

from tutorials_lib.runs.chapters import ChapterError
from tutorials_lib.runs.notebooks import run_notebook
from tutorials_lib.runs.storage import runs_folder

# Runs a notebook in place of a chapter.
RUN_NOTEBOOK = """
import pathlib, sys
from tutorials_lib.runs import chapters, cli
source = pathlib.Path(sys.argv[1])
chapters.check_run = lambda *_: source
sys.exit(cli.main(sys.argv[2:]))
"""
# Makes four runs. In the third the command that runs it gets a Ctrl-C, if asked for.
GRID_CELL = f"""
import os, pathlib, signal, sys, time
sys.path.insert(0, {str(PROGRAMS)!r})
from stand_in import make_runs, train

def train_or_stop(seed, fit):
    if seed == 2 and os.environ["STOP"]:
        pathlib.Path("pid").write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(600)
    return train(seed, fit)

make_runs(range(4), train_or_stop)
"""


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


def test_ctrl_c_in_a_run(tmp_path, monkeypatch, run_python):
    """The next run makes what is missing and no more."""
    source = make_notebook(tmp_path / "a.ipynb", GRID_CELL)
    folder, target = tmp_path / "records" / "mixup_mnist", tmp_path / "out.ipynb"
    target.write_text("the old output")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path / "records"))

    def run(stop):
        command = ("run", "mixup_mnist", "--profile", "full", "--output", target)
        environment = {"STOP": stop, **QUICK_IMPORT}
        return run_python("-c", RUN_NOTEBOOK, source, *command, **environment)

    done = run(stop="now")
    assert done.returncode == 130, (done.stdout, done.stderr)
    said = done.stderr.splitlines()[-1]
    assert said == "stopped; runs at laptop and full resume where they stopped."
    assert "Traceback" not in done.stdout + done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not list((tmp_path / "tmp").glob("tutorials-*"))
    assert not list(tmp_path.rglob(".partial-*"))
    assert target.read_text() == "the old output"
    kept = {path: path.read_bytes() for path in folder.glob("*.json")}
    assert len(kept) == 2
    again = run(stop="")
    assert again.returncode == 0, again.stderr
    nbformat.validate(nbformat.read(target, as_version=4))
    assert again.stdout.count("started") == 2
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(list(folder.glob("*.json"))) == 4
