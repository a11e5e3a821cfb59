"""Works on a grid of four runs, each of which ends when it is sent a line."""

from stand_in import data, train

from tutorials_lib.runs import grid
from tutorials_lib.runs.settings import choose_settings

grid.PAUSE = 0.05
settings = choose_settings("mixup_mnist", "full")
plan = [grid.plan_run("none", seed, wait=True) for seed in range(4)]
for record in grid.run_grid(settings, data, plan, train):
    print("score", record["seed"], record["metrics"]["test_accuracy"])
