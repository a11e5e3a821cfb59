"""Full disks, dead kernels and Ctrl-C: no old file and no finished run is lost."""

import os
import shutil
import subprocess
import tempfile
import types

import nbformat
import numpy as np
import pytest
from stand_ins import PROGRAMS, QUICK_IMPORT, make_notebook, make_pages

from tutorials_lib.book import cli
from tutorials_lib.book.chapters import ChapterError
from tutorials_lib.book.notebooks import run_notebook
from tutorials_lib.runs.records import read_arrays
from tutorials_lib.runs.storage import WriteError, runs_folder


@pytest.fixture
def small_disk(tmp_path):
    """A disk of three megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no command to mount a small disk with")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk, free=0):
    """Fills a disk but for some bytes."""
    left = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(left.f_bavail * left.f_frsize - free))


def check_sentence(said, *names):
    """A sentence that says what could not be written and why, and no traceback."""
    assert "No space left on device" in said
    assert "Traceback" not in said
    # Nor a list of every file that could not be copied.
    assert "[(" not in said
    for name in names:
        assert str(name) in said


@pytest.mark.parametrize(("free", "suffix"), [(4096, ".json"), (0, ".npz")])
def test_a_disk_that_fills_up_in_training_loses_no_run(
    stand_in, small_disk, tmp_path, monkeypatch, free, suffix
):
    records, shelter = small_disk / "records", tmp_path / "elsewhere"
    shelter.mkdir()
    monkeypatch.setenv("TUTORIALS_RECORDS", str(records))
    monkeypatch.setattr(tempfile, "tempdir", str(shelter))
    trained = []

    def train(seed, fit):
        trained.append(seed)
        if seed == 1:
            fill(small_disk, free)
        return stand_in["train"](seed, fit)

    with pytest.raises(WriteError) as caught:
        stand_in["make_runs"](range(2), train)
    check_sentence(str(caught.value), records, suffix)
    (kept,) = shelter.iterdir()
    assert f"The finished run is kept in {kept}" in str(caught.value)
    assert len(list(records.rglob("*.json"))) == 1
    assert not list(records.rglob(".partial-*"))
    (small_disk / "ballast").unlink()
    for path in kept.iterdir():
        shutil.copy(path, records / "mixup_mnist")
    done = stand_in["make_runs"](range(2), train)
    assert trained == [0, 1]
    for record in done:
        drawn = np.random.default_rng(record["seed"]).uniform(size=40)
        np.testing.assert_array_equal(read_arrays(record)["rows"], drawn)


def test_no_run_is_begun_on_a_full_disk(stand_in, small_disk, monkeypatch, capsys):
    monkeypatch.setenv("TUTORIALS_RECORDS", str(small_disk / "records"))
    fill(small_disk)
    with pytest.raises(OSError, match="cannot be written to") as caught:
        stand_in["make_runs"]([0])
    check_sentence(str(caught.value), small_disk / "records" / "mixup_mnist")
    assert "started" not in capsys.readouterr().out


def test_full_disk_under_an_executed_notebook(small_disk, tmp_path):
    fill_up = f"!cat /dev/zero > {small_disk / 'ballast'}"
    source = make_notebook(tmp_path / "a.ipynb", f"{fill_up}\nprint('all of', epochs)")
    target = small_disk / "out.ipynb"
    target.write_text("the old output")
    with pytest.raises(ChapterError) as caught:
        run_notebook(source, target, {"epochs": 1})
    (kept,) = (runs_folder() / "failed").glob("a-*.ipynb")
    check_sentence(str(caught.value), target, kept)
    assert target.read_text() == "the old output"
    names = sorted(path.name for path in small_disk.iterdir())
    assert names == ["ballast", "out.ipynb"]
    # What took hours to run is there to be had.
    assert "all of 1" in kept.read_text()
    nbformat.validate(nbformat.read(kept, as_version=4))


def test_full_disk_under_the_pages(small_disk, monkeypatch, capsys):
    make_pages(small_disk / "html")

    def build(command, cwd, **_):
        pages = cwd / "_build" / "html"
        pages.mkdir(parents=True)
        (pages / "index.html").write_bytes(bytes(4_000_000))
        return subprocess.CompletedProcess(command, 0)

    # Jupyter Book takes long. Not for the whole process, which has disks to unmount.
    fake = types.SimpleNamespace(run=build)
    monkeypatch.setattr("tutorials_lib.book.site.subprocess", fake)
    assert cli.main(["build", "--output", str(small_disk / "html")]) == 1
    check_sentence(capsys.readouterr().err, small_disk / "html")
    assert (small_disk / "html" / "index.html").read_text() == "the old page"
    assert [path.name for path in small_disk.iterdir()] == ["html"]


def test_a_kernel_that_dies(tmp_path):
    death = "os.kill(os.getpid(), 9)"
    cells = ("print('before')", f"import os\n{death}", "print('after')")
    source = make_notebook(tmp_path / "a.ipynb", *cells)
    target = tmp_path / "out.ipynb"
    target.write_text("the old output")
    with pytest.raises(ChapterError, match="Kernel died") as caught:
        run_notebook(source, target, {})
    (kept,) = (runs_folder() / "failed").glob("a-*.ipynb")
    said = str(caught.value)
    assert f"The last cell that was begun:\nimport os\n{death}\n" in said
    assert str(kept) in said
    assert "Traceback" not in said
    outputs = [cell.outputs for cell in nbformat.read(kept, as_version=4).cells]
    assert [len(output) for output in outputs] == [0, 1, 0, 0]
    assert target.read_text() == "the old output"


# Runs a notebook in place of a chapter.
RUN_NOTEBOOK = """
import pathlib, sys
from tutorials_lib.book import cli
source = pathlib.Path(sys.argv[1])
cli.check_run = lambda *_: source
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


def test_ctrl_c_in_a_run(tmp_path, monkeypatch, run_python):
    """The next run makes what is missing and no more."""
    source = make_notebook(tmp_path / "a.ipynb", GRID_CELL)
    target = tmp_path / "out.ipynb"
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
    assert done.stderr.splitlines()[-1].startswith("stopped")
    assert "Traceback" not in done.stdout + done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not list((tmp_path / "tmp").glob("tutorials-*"))
    assert not list(tmp_path.rglob(".partial-*"))
    assert target.read_text() == "the old output"
    again = run(stop="")
    assert again.returncode == 0, again.stderr
    nbformat.validate(nbformat.read(target, as_version=4))
    assert again.stdout.count("started") == 2
    assert len(list((tmp_path / "records").rglob("*.json"))) == 4
