"""Works on a grid of four runs, each of which ends when it is sent a line."""

from stand_in import make_runs

from tutorials_lib.runs import grid

grid.PAUSE = 0.05
print("records", len(make_runs(range(4), wait=True)))
