"""A stand-in for training and its data, which take no time: four images."""

import sys

import numpy as np

from tutorials_lib.runs.grid import Grid, Run
from tutorials_lib.runs.settings import choose_settings
from tutorials_lib.support.data import Dataset

images = np.zeros((4, 28, 28, 1), "uint8")
labels = np.arange(4)
names = tuple("0123456789")
data = Dataset("mnist", "folder", names, images, labels, images, labels)


def train(seed, fit, size=40, wait=False):
    """Leaves numbers that depend on the seed; may wait for a line first."""
    print("started", seed, flush=True)
    if wait:
        sys.stdin.readline()
    fit.seconds.append(1.0)
    return {
        "metrics": {"test_accuracy": np.random.default_rng(seed).uniform()},
        "history": {"loss": [1.0]},
        "images": 4,
        "arrays": {"rows": np.random.default_rng(seed).uniform(size=size)},
    }


def make_runs(seeds, train=train, settings=None, data=data, **parameters):
    """Makes a run of each seed, of profile full where no settings are given."""
    settings = settings or choose_settings("mixup_mnist", "full")
    plan = [Run("none", seed, parameters) for seed in seeds]
    return Grid(settings, data).run(
        plan, lambda run, fit: train(run.seed, fit, **run.parameters)
    )
