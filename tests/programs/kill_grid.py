"""Kills a grid at drawn lines until it comes through, again and again.

Arguments: a folder, how many kills. Each attempt is a process forked from this one, so
that Keras is imported once. The last line printed is JSON: where attempts were killed,
how many grids ended, after how many kills half a file was left, and which finished
records were lost or changed.
"""

import collections
import json
import os
import pathlib
import random
import signal
import sys
import traceback

from stand_in import make_runs

from tutorials_lib.runs import grid, records, storage

home, kills = pathlib.Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(7)
FILES = [module.__file__ for module in (grid, records, storage)]
WRITING = ("write_bytes",)
# Asking Git takes longer than all the rest.
grid.describe_commit = lambda: {"commit": None, "clean": None}


def run(folder):
    """Runs the grid, records and all else in a folder."""
    os.environ["TUTORIALS_RECORDS"] = str(folder)
    make_runs(range(4))


def fork(folder, trace):
    """Runs the grid in a process of its own; returns its number."""
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
    """A trace that calls `see` with the place of each line of what runs and writes."""

    def trace(frame, event, argument):
        code = frame.f_code
        if code.co_filename not in FILES:
            return None

        def step(frame, event, argument):
            if event == "line":
                see((code.co_name, frame.f_lineno))
            return step

        return step

    return trace


def kill_at(place, number):
    """A trace that kills its process when it comes to a place for the nth time."""
    seen = collections.Counter()

    def see(found):
        seen[found] += 1
        if found == place and seen[found] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return follow(see)


def list_files(folder):
    """Dict of path to content."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


places = collections.Counter()
sys.settrace(follow(lambda place: places.update([place])))
run(home / "whole")
sys.settrace(None)

killed, grids, partials, lost = [], 0, 0, []
while len(killed) < kills:
    folder, grids, done, before = home / f"broken-{grids}", grids + 1, False, {}
    while not done:
        groups = [[p for p in places if (p[0] in WRITING) == odd] for odd in (0, 1)]
        place = draw.choice(sorted(groups[len(killed) % 2]))
        # Of one run, for an attempt that goes on has fewer before it.
        number = draw.randint(1, 1 + places[place] // 4)
        pid = fork(folder, kill_at(place, number))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, -signal.SIGKILL), status
        done = status == 0
        after = list_files(folder)
        finished = [path for path in before if path.endswith(".json")]
        lost += [path for path in finished if after.get(path) != before[path]]
        partials += any(".partial-" in path for path in after)
        before = after
        killed += [] if done else [place[0]]
print("\n" + json.dumps([killed, grids, partials, lost]))
