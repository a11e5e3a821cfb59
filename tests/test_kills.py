"""Grids killed with SIGKILL at drawn lines and moments: no finished run is lost."""

import json
import os

import pytest
from stand_ins import QUICK_IMPORT, STAND_IN, read_results

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
