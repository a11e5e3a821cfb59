"""Faults, really provoked: kills, full disks, read-only folders, Ctrl-C."""

import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types

import nbformat
import numpy as np
import pytest
from stand_ins import STAND_IN, make_notebook, read_results

from tutorials_lib.runs import cli, files, site
from tutorials_lib.runs.chapters import ChapterError
from tutorials_lib.runs.files import WriteError, write_text
from tutorials_lib.runs.folders import runs_folder
from tutorials_lib.runs.grid import plan_run, run_grid
from tutorials_lib.runs.notebooks import run_notebook
from tutorials_lib.runs.profiles import choose_settings
from tutorials_lib.runs.records import (
    read_arrays,
    read_record,
    write_arrays,
    write_record,
)

# Nothing here computes: the backend that is imported fastest will do.
QUICK_IMPORT = {"KERAS_BACKEND": "numpy"}

# Four short runs, in a process forked for each attempt: Keras is imported once.
ATTEMPTS = (
    STAND_IN
    + """
import collections, json, os, pathlib, random, signal, sys, time, traceback
from tutorials_lib.runs import claims, files, grid, records

WRITING = ("write_bytes",)
RUNNING = ("run_grid", "_run_once", "claim_run", "remove_partials", "on_epoch_end")
RUNNING += ("_keep", "_write", "write_arrays", "write_record")

home, draw = pathlib.Path(sys.argv[1]), random.Random(int(sys.argv[2]))
kills, size = map(int, sys.argv[3:])

def train_more(**arguments):
    result = train(**arguments)
    # Large enough that a kill may come while they are packed or written.
    drawn = np.random.default_rng(arguments["seed"]).uniform(size=size)
    return {**result, "arrays": {"rows": drawn}}

def run(folder):
    os.environ["TUTORIALS_RECORDS"] = str(folder)
    settings = choose_settings("mixup_mnist", "full")
    planned = [plan_run("none", seed, slow=0) for seed in range(4)]
    grid.run_grid(settings, data, planned, train_more)

def fork(folder, trace=None):
    pid = os.fork()
    if pid:
        return pid
    try:
        sys.settrace(trace)
        run(folder)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    finally:
        sys.settrace(None)
        sys.stdout.flush()
    os._exit(0)

def follow(see):
    "A trace that calls `see` with the place of each line of the functions above."
    def trace(frame, event, argument):
        code = frame.f_code
        ours = [each.__file__ for each in (claims, files, grid, records)]
        if code.co_filename not in ours or code.co_name not in WRITING + RUNNING:
            return None
        def step(frame, event, argument):
            if event == "line":
                see((code.co_name, frame.f_lineno))
            return step
        return step
    return trace

def kill_at(place, number):
    seen = collections.Counter()
    def see(found):
        seen[found] += 1
        if found == place and seen[found] == number:
            os.kill(os.getpid(), signal.SIGKILL)
    return follow(see)

def list_files(folder):
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

killed = []
"""
)
# Each defines how one attempt is killed.
AT_LINES = """
places = collections.Counter()
sys.settrace(follow(lambda place: places.update([place])))
run(home / "whole")
sys.settrace(None)
groups = [sorted(p for p in places if p[0] in names) for names in (WRITING, RUNNING)]

def attempt(folder):
    place = draw.choice(groups[len(killed) % 2])
    # Of one run, for an attempt that goes on has fewer before it.
    number = draw.randint(1, 1 + places[place] // 4)
    return fork(folder, kill_at(place, number)), place[0]
"""
AT_TIMES = """
start = time.perf_counter()
os.waitpid(fork(home / "whole"), 0)
usual = time.perf_counter() - start

def attempt(folder):
    pid = fork(folder)
    time.sleep(draw.uniform(0, usual))
    os.kill(pid, signal.SIGKILL)
    return pid, "anywhere"
"""
# A grid that comes through is followed by another, until enough were killed.
COUNT = """
grids, partials, lost = 0, 0, []
while len(killed) < kills:
    folder, grids, done, before = home / f"broken-{grids}", grids + 1, False, {}
    while not done:
        pid, place = attempt(folder)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, -signal.SIGKILL), status
        done = status == 0
        after = list_files(folder)
        finished = [path for path in before if path.endswith(".json")]
        lost += [path for path in finished if after.get(path) != before[path]]
        partials += any(".partial-" in path for path in after)
        before = after
        killed += [] if done else [place]
print("\\n" + json.dumps([killed, grids, partials, lost]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize(
    ("how", "kills", "size"), [(AT_LINES, 100, 40), (AT_TIMES, 20, 100_000)]
)
def test_killed_again_and_again(run_python, tmp_path, how, kills, size):
    """At drawn lines of the code that runs and writes, and at drawn moments."""
    code = ATTEMPTS + how + COUNT
    done = run_python("-c", code, tmp_path, 7, kills, size, **QUICK_IMPORT)
    assert done.returncode == 0, done.stderr[-3000:]
    killed, grids, partials, lost = json.loads(done.stdout.splitlines()[-1])
    assert len(killed) >= kills
    print(f"{len(killed)} kills, {partials} left half a file, {grids} grids ended")
    assert lost == []
    if how is AT_LINES:
        assert partials, "no kill left half a file: the test tries too little"
        assert {"write_bytes", "run_grid"} <= set(killed)
    whole = read_results(tmp_path / "whole", "mixup_mnist")
    assert len(whole) == 4
    for number in range(grids):
        folder = tmp_path / f"broken-{number}"
        assert read_results(folder, "mixup_mnist") == whole
        assert not [path for path in folder.rglob(".partial-*")]
        for path in (folder / "mixup_mnist").glob("*.npz"):
            same = tmp_path / "whole" / "mixup_mnist" / path.name
            assert path.read_bytes() == same.read_bytes()


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


def list_names(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("what", ["record", "arrays"])
def test_full_disk_leaves_the_old_file(stand_in, small_disk, monkeypatch, what):
    monkeypatch.setenv("TUTORIALS_RECORDS", str(small_disk))
    settings = choose_settings("mixup_mnist", "full")
    grid = [plan_run("none", 0, slow=0)]
    (record,) = run_grid(settings, stand_in["data"], grid, stand_in["train"])
    (path,) = small_disk.rglob("*.json")
    path = path.with_suffix({"record": ".json", "arrays": ".npz"}[what])
    old = path.read_bytes()
    fill(small_disk)
    with pytest.raises(WriteError) as caught:
        if what == "record":
            write_record({**record, "metrics": {"other": 1.0}}, path)
        else:
            write_arrays({"rows": np.zeros(3)}, path)
    check_sentence(str(caught.value), path)
    assert path.read_bytes() == old
    assert not list(small_disk.rglob(".partial-*"))


@pytest.mark.parametrize("what", ["record", "arrays"])
def test_a_disk_that_fills_up_in_training_loses_no_run(
    stand_in, small_disk, tmp_path, monkeypatch, what
):
    records, shelter = small_disk / "records", tmp_path / "elsewhere"
    shelter.mkdir()
    monkeypatch.setenv("TUTORIALS_RECORDS", str(records))
    monkeypatch.setattr(tempfile, "tempdir", str(shelter))
    settings = choose_settings("mixup_mnist", "full")
    grid = [plan_run("none", seed, slow=0) for seed in range(2)]
    trained = []

    def train(seed, **rest):
        trained.append(seed)
        if seed == 1:
            fill(small_disk, {"record": 4096, "arrays": 0}[what])
        return stand_in["train"](seed, **rest)

    with pytest.raises(WriteError) as caught:
        run_grid(settings, stand_in["data"], grid, train)
    suffix = {"record": ".json", "arrays": ".npz"}[what]
    check_sentence(str(caught.value), records, suffix)
    (kept,) = shelter.iterdir()
    assert f"The finished run is kept in {kept}" in str(caught.value)
    assert len(list(records.rglob("*.json"))) == 1
    assert not list(records.rglob(".partial-*"))
    (small_disk / "ballast").unlink()
    for path in kept.iterdir():
        shutil.copy(path, records / "mixup_mnist")
    done = run_grid(settings, stand_in["data"], grid, train)
    assert trained == [0, 1]
    for record in done:
        drawn = np.random.default_rng(record["seed"]).uniform(size=(4, 10))
        np.testing.assert_array_equal(read_arrays(record)["rows"], drawn)


def test_a_log_without_room_costs_no_run(stand_in, small_disk, monkeypatch):
    monkeypatch.setenv("TUTORIALS_RUNS", str(small_disk))
    fill(small_disk)
    settings = choose_settings("mixup_mnist", "full")
    grid = [plan_run("none", 0, slow=0)]
    (record,) = run_grid(settings, stand_in["data"], grid, stand_in["train"])
    assert record["metrics"] == {"test_accuracy": np.random.default_rng(0).uniform()}
    assert (small_disk / "progress" / "mixup_mnist.log").read_text() == ""


def test_no_room_anywhere(stand_in, small_disk, monkeypatch):
    monkeypatch.setenv("TUTORIALS_RECORDS", str(small_disk / "records"))
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    settings = choose_settings("mixup_mnist", "full")

    def train(**arguments):
        fill(small_disk)
        return stand_in["train"](**arguments)

    with pytest.raises(WriteError) as caught:
        run_grid(settings, stand_in["data"], [plan_run("none", 0, slow=0)], train)
    check_sentence(str(caught.value), small_disk / "records" / "mixup_mnist")
    assert "kept" not in str(caught.value)
    assert list_names(small_disk) == ["ballast", "mixup_mnist", "records"]


def test_no_run_is_begun_on_a_full_disk(stand_in, small_disk, monkeypatch, capsys):
    monkeypatch.setenv("TUTORIALS_RECORDS", str(small_disk / "records"))
    fill(small_disk)
    settings = choose_settings("mixup_mnist", "full")
    with pytest.raises(OSError, match="records cannot be written to") as caught:
        run_grid(
            settings,
            stand_in["data"],
            [plan_run("none", 0, slow=0)],
            stand_in["train"],
        )
    check_sentence(str(caught.value), small_disk / "records" / "mixup_mnist")
    assert "started" not in capsys.readouterr().out


def test_full_disk_under_an_executed_notebook(small_disk, tmp_path):
    source = make_notebook(tmp_path / "a.ipynb", "print('all of', epochs)")
    target = small_disk / "out.ipynb"
    target.write_text("the old output")
    fill(small_disk)
    with pytest.raises(ChapterError) as caught:
        run_notebook(source, target, {"epochs": 1})
    kept = runs_folder() / "failed" / "a.ipynb"
    check_sentence(str(caught.value), target, kept)
    assert target.read_text() == "the old output"
    assert list_names(small_disk) == ["ballast", "out.ipynb"]
    # What took hours to run is there to be had.
    assert "all of 1" in kept.read_text()
    nbformat.validate(nbformat.read(kept, as_version=4))


def test_full_disk_under_the_folder_for_temporary_files(
    small_disk, tmp_path, monkeypatch
):
    source = make_notebook(tmp_path / "a.ipynb", "print('x' * 4_000_000)")
    target = tmp_path / "out.ipynb"
    target.write_text("the old output")
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with pytest.raises(ChapterError) as caught:
        run_notebook(source, target, {})
    check_sentence(str(caught.value), small_disk, "TMPDIR", "What had run is lost")
    assert target.read_text() == "the old output"
    assert not (runs_folder() / "failed" / "a.ipynb").exists()
    assert not list(small_disk.glob("tutorials-*"))


@pytest.fixture
def jupyter_book(monkeypatch):
    """Stands in for jupyter-book, which takes long: two pages of two megabytes."""

    def build(command, cwd, **_):
        pages = cwd / "_build" / "html"
        pages.mkdir(parents=True)
        for name in ("index.html", "other.html"):
            (pages / name).write_bytes(bytes(2_000_000))
        (pages / ".buildinfo").write_text("new")
        return subprocess.CompletedProcess(command, 0)

    # Not for the whole process, which has disks to unmount.
    monkeypatch.setattr(site, "subprocess", types.SimpleNamespace(run=build))


def make_pages(folder):
    folder.mkdir(parents=True)
    (folder / ".buildinfo").write_text("old")
    (folder / "index.html").write_text("the old page")


def test_full_disk_under_the_pages(small_disk, jupyter_book, capsys):
    make_pages(small_disk / "html")
    assert cli.main(["build", "--output", str(small_disk / "html")]) == 1
    check_sentence(capsys.readouterr().err, small_disk / "html")
    assert (small_disk / "html" / "index.html").read_text() == "the old page"
    assert list_names(small_disk) == [".buildinfo", "html", "index.html"]


def test_full_disk_before_the_pages_are_built(
    small_disk, tmp_path, jupyter_book, capsys, monkeypatch
):
    make_pages(tmp_path / "html")
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    fill(small_disk)
    assert cli.main(["build", "--output", str(tmp_path / "html")]) == 1
    check_sentence(capsys.readouterr().err, small_disk)
    assert (tmp_path / "html" / "index.html").read_text() == "the old page"
    assert list_names(small_disk) == ["ballast"]


# Runs a notebook in place of a chapter.
RUN = """
import pathlib, sys
from tutorials_lib.runs import chapters, cli
source = pathlib.Path(sys.argv[1])
chapters.check_run = lambda *_: source
sys.exit(cli.main(sys.argv[2:]))
"""


def start(tmp_path, source, *arguments, code=RUN, **environment):
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


def wait_for(happened, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("death", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_kernel_that_dies(tmp_path, death):
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
    again = start(tmp_path, source, *run, "-p", "epochs", 0)
    assert again.communicate()[1].count("Traceback") == 0
    assert again.returncode == 0
    nbformat.validate(nbformat.read(target, as_version=4))


GRID_CELL = (
    STAND_IN
    + """
settings = choose_settings("mixup_mnist", "full")
grid = [plan_run("none", seed, slow=epochs) for seed in range(4)]
for record in run_grid(settings, data, grid, train):
    print("score", record["seed"], record["metrics"]["test_accuracy"])
print("x" * 1_000_000)
"""
)


def read_output(path):
    outputs = nbformat.read(path, as_version=4).cells[-1].outputs
    return "".join(output.text for output in outputs)


def test_one_chapter_run_twice_at_once(tmp_path):
    """To one output, on one grid: a reader never finds half a notebook."""
    source = make_notebook(tmp_path / "a.ipynb", GRID_CELL)
    target = tmp_path / "out" / "a.ipynb"
    target.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(), target)
    records = {"TUTORIALS_RECORDS": str(tmp_path / "records")}
    run = ("run", "mixup_mnist", "--output", target, "-p", "epochs", "1")
    processes = [start(tmp_path, source, *run, **records) for _ in range(2)]
    reads = 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ends = [pool.submit(process.communicate) for process in processes]
        while not all(end.done() for end in ends):
            nbformat.validate(nbformat.reads(target.read_text(), as_version=4))
            reads += 1
            time.sleep(0.002)
    said = [end.result() for end in ends]
    assert [process.returncode for process in processes] == [0, 0], said
    assert reads > 100
    printed = [out for out, _ in said]
    # Each run was made once; each notebook shows all of them, from the records.
    assert sum(out.count("started") for out in printed) == 4
    shown = [re.findall(r"score (\d) (\S+)", out) for out in printed]
    expected = [
        (str(seed), str(np.random.default_rng(seed).uniform())) for seed in range(4)
    ]
    assert shown == [expected, expected]
    assert re.findall(r"score (\d) (\S+)", read_output(target)) == expected
    assert list_names(target.parent) == ["a.ipynb"]
    assert not list((tmp_path / "records").rglob("*.claim"))
    assert not list((tmp_path / "records").rglob(".partial-*"))


@pytest.mark.slow
def test_a_real_chapter_run_twice_at_once(tmp_path):
    code = "import sys; from tutorials_lib.runs.cli import main\n"
    code += "sys.exit(main(sys.argv[2:]))"
    run = ("run", "mixup_mnist", "--output", tmp_path / "out.ipynb")
    environment = {"KERAS_BACKEND": "tensorflow"}
    processes = [start(tmp_path, "-", *run, code=code, **environment) for _ in range(2)]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    code_cells = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code_cells if cell.source.strip())
    for path in (runs_folder() / "smoke" / "mixup_mnist").glob("*.json"):
        read_record(path)
    assert not list(runs_folder().rglob(".partial-*"))


@pytest.fixture
def read_only(tmp_path):
    """A folder with a file, and what a command starts with for modes to count."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "old.ipynb").write_text("the old output")
    folder.chmod(0o500)
    prefix = []
    if os.access(folder, os.W_OK):
        # Root without the one power that passes over modes: an ordinary user, who
        # may still read where Python is installed.
        drop = "-dac_override"
        prefix = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"]
        if not shutil.which("setpriv"):
            pytest.skip("root passes over modes, and there is no setpriv to stop it")
    probe = [*prefix, "touch", str(folder / "probe")]
    if not subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this user may write to read-only folders")
    yield folder, prefix
    folder.chmod(0o700)


def run_closed(prefix, tmp_path, *arguments, **environment):
    return subprocess.run(
        [*prefix, sys.executable, *map(str, arguments)],
        env={**os.environ, **QUICK_IMPORT, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


COMMAND = ("-m", "tutorials_lib.runs.cli")


def test_read_only_folder_for_the_notebook_or_the_pages(read_only, tmp_path):
    folder, prefix = read_only
    for arguments in (
        ("run", "mixup_mnist", "--output", folder / "old.ipynb"),
        ("run", "mixup_mnist", "--output", folder / "new" / "a.ipynb"),
        ("build", "--output", folder / "html"),
    ):
        done = run_closed(prefix, tmp_path, *COMMAND, *arguments)
        assert done.returncode == 1, done.stdout
        assert "cannot be written to" in done.stderr
        assert "Permission denied" in done.stderr
        assert str(folder) in done.stderr
        assert "Traceback" not in done.stderr
        # Refused before anything long is begun.
        assert "Running Jupyter-Book" not in done.stdout
    assert list_names(folder) == ["old.ipynb"]
    assert (folder / "old.ipynb").read_text() == "the old output"


def test_read_only_folder_for_records(read_only, tmp_path):
    """As a program and as a notebook: nothing is begun, and a sentence says why."""
    folder, prefix = read_only
    source = make_notebook(tmp_path / "a.ipynb", GRID_CELL, parameters="epochs = 0")
    for more in (("--script",), ("--output", tmp_path / "out.ipynb")):
        done = run_closed(
            prefix,
            tmp_path,
            "-c",
            RUN,
            source,
            "run",
            "mixup_mnist",
            "--profile",
            "full",
            *more,
            TUTORIALS_RECORDS=str(folder),
        )
        assert done.returncode == 1, done.stdout
        assert f"records cannot be written to {folder}" in done.stderr
        assert "TUTORIALS_RECORDS" in done.stderr
        assert "Traceback" not in done.stderr
        assert "started" not in done.stdout
    assert list_names(folder) == ["old.ipynb"]
    assert not (tmp_path / "out.ipynb").exists()


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


@pytest.mark.parametrize(
    "how", ["notebook", pytest.param("script", marks=pytest.mark.slow)]
)
def test_ctrl_c_in_a_run(tmp_path, how):
    """Between two records; the next run makes what is missing and no more."""
    source = make_notebook(tmp_path / "a.ipynb", GRID_CELL, parameters="epochs = 2")
    folder, target = tmp_path / "records" / "mixup_mnist", tmp_path / "out.ipynb"
    target.write_text("the old output")
    more = ("--script",) if how == "script" else ("--output", target)
    environment = {"TUTORIALS_RECORDS": str(tmp_path / "records")}
    run = ("run", "mixup_mnist", "--profile", "full", *more)
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
    assert out.count("started") == 4 - len(kept)
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(list(folder.glob("*.json"))) == 4


@pytest.mark.parametrize(
    "wait",
    [0.4, *(pytest.param(wait, marks=pytest.mark.slow) for wait in (0, 0.8, 1.2, 1.6))],
)
def test_ctrl_c_while_a_run_starts(tmp_path, wait):
    """In the imports, before the kernel is there, and while it starts."""
    source = make_notebook(tmp_path / "a.ipynb", "import time; time.sleep(100)")
    target = tmp_path / "out.ipynb"
    process = start(tmp_path, source, "run", "mixup_mnist", "--output", target)
    assert process.stdout.readline() == "mixup_mnist, profile smoke\n"
    time.sleep(wait)
    press_ctrl_c(process)
    check_nothing_left(tmp_path)
    assert not target.exists()


def test_ctrl_c_in_a_check(tmp_path):
    marker = tmp_path / "marker"
    wait = f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\n"
    source = make_notebook(tmp_path / "a.ipynb", wait + "time.sleep(100)")
    before = source.read_bytes()
    process = start(tmp_path, source, "check", "mixup_mnist")
    wait_for(marker.exists, process)
    press_ctrl_c(process)
    check_nothing_left(tmp_path)
    assert source.read_bytes() == before


def test_ctrl_c_in_a_build(tmp_path):
    make_pages(tmp_path / "html")
    process = start(tmp_path, "-", "build", "--output", tmp_path / "html")
    assert "Running Jupyter-Book" in process.stdout.readline()
    time.sleep(random.Random(3).uniform(0.5, 2))
    press_ctrl_c(process)
    check_nothing_left(tmp_path)
    assert list_names(tmp_path / "html") == [".buildinfo", "index.html"]
    assert (tmp_path / "html" / "index.html").read_text() == "the old page"


def test_ctrl_c_as_new_pages_take_the_place_of_old(
    tmp_path, jupyter_book, monkeypatch, capsys
):
    """Between the two moves: the old pages are back where they were."""
    make_pages(tmp_path / "html")
    move, moves = os.replace, []

    def interrupt(source, target):
        moves.append(target)
        if len(moves) == 2:
            raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr(site.os, "replace", interrupt)
    assert cli.main(["build", "--output", str(tmp_path / "html")]) == 130
    assert capsys.readouterr().err == "stopped; full runs go on where they were.\n"
    assert (tmp_path / "html" / "index.html").read_text() == "the old page"
    assert not list(tmp_path.glob(".partial-*"))


VERIFY = """
import pathlib, sys, time
from tutorials_lib.runs import cli, scripts
def wait(*_):
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(100)
scripts.run_as_script = wait
sys.exit(cli.main(sys.argv[2:]))
"""


def test_ctrl_c_in_a_verification(tmp_path, stand_in):
    settings = choose_settings("mixup_mnist", "full")
    grid = [plan_run("none", 0, slow=0)]
    run_grid(settings, stand_in["data"], grid, stand_in["train"])
    (record,) = (tmp_path / "records").rglob("*.json")
    marker = tmp_path / "marker"
    process = start(tmp_path, marker, "verify", record, code=VERIFY)
    wait_for(marker.exists, process)
    press_ctrl_c(process)
    check_nothing_left(tmp_path)
    assert list_names(record.parent) == [record.name, f"{record.stem}.npz"]


def test_ctrl_c_in_the_first_imports(run_python, monkeypatch, capsys):
    """What takes long is imported where the interrupt is caught."""
    code = "import sys, tutorials_lib.runs.cli; print('numpy' in sys.modules)"
    assert run_python("-c", code).stdout == "False\n"

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "make_parser", interrupt)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr().err == "stopped; full runs go on where they were.\n"


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    path.write_text("old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list_names(tmp_path) == ["page.md"]
