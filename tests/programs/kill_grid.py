"""Kills a grid at drawn lines until it comes through, again and again.

Arguments: a folder, how many kills. Each attempt is a process forked from this one, so
that Keras is imported once. The last line printed is JSON: where attempts were killed,
how many grids ended, after how many kills half a file was left, and which finished
records were lost or changed.
"""

import collections
import json
import multiprocessing
import os
import pathlib
import random
import signal
import sys

from stand_in import make_runs

from tutorials_lib.runs import environment, grid, records, storage

home, kills = pathlib.Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(7)
fork = multiprocessing.get_context("fork")
FILES = [module.__file__ for module in (grid, records, storage)]
# Asking Git takes longer than all the rest.
environment.describe_commit = lambda: {"commit": None, "clean": None}


def run(folder, see):
    """Runs the grid, records and all else in a folder.

    `see` is called with the place of each line of what runs and writes.
    """

    def trace(frame, event, argument):
        code = frame.f_code
        if code.co_filename not in FILES:
            return None
        if event == "line":
            see((code.co_name, frame.f_lineno))
        return trace

    os.environ["TUTORIALS_RECORDS"] = str(folder)
    sys.settrace(trace)
    try:
        make_runs(range(4))
    finally:
        sys.settrace(None)


def run_and_kill(folder, place, number):
    """Runs the grid; kills this process when it is at a place the nth time."""
    seen = collections.Counter()

    def see(found):
        seen[found] += 1
        if seen[place] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    run(folder, see)


def list_files(folder):
    """Dict of path to content."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


places = collections.Counter()
run(home / "whole", lambda place: places.update([place]))
killed, grids, partials, lost = [], 0, 0, []
while len(killed) < kills:
    folder, grids, status, before = home / f"broken-{grids}", grids + 1, None, {}
    while status != 0:
        # Every other one where files are written, which few of the lines do.
        writes = len(killed) % 2 == 1
        place = draw.choice(
            sorted(x for x in places if (x[0] == "write_bytes") == writes)
        )
        # Of one run, for an attempt that goes on has fewer before it.
        number = draw.randint(1, 1 + places[place] // 4)
        attempt = fork.Process(target=run_and_kill, args=(folder, place, number))
        attempt.start()
        attempt.join()
        status = attempt.exitcode
        assert status in (0, -signal.SIGKILL), status
        after = list_files(folder)
        finished = [path for path in before if path.endswith(".json")]
        lost += [path for path in finished if after.get(path) != before[path]]
        partials += any(".partial-" in path for path in after)
        before = after
        killed += [place[0]] if status else []
print("\n" + json.dumps([killed, grids, partials, lost]))
