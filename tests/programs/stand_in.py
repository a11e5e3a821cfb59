"""A stand-in for training and its data, which take no time: four images."""

import sys

import numpy as np

from tutorials_lib.support.data import Dataset

images = np.zeros((4, 28, 28, 1), "uint8")
labels = np.arange(4)
data = Dataset(
    "mnist", "folder", "stand-in", tuple("0123456789"), images, labels, images, labels
)


def train(seed, fit, size=40, wait=False, **parameters):
    """Leaves numbers that depend on the seed; waits for a line where it is told to."""
    (watch,) = fit.callbacks
    watch.set_params({"epochs": 1})
    watch.on_epoch_begin(0)
    print("started", seed, flush=True)
    if wait:
        sys.stdin.readline()
    watch.on_epoch_end(0, {"loss": 1.0})
    return {
        "metrics": {"test_accuracy": np.random.default_rng(seed).uniform()},
        "history": {"loss": [1.0]},
        "images": 4,
        "arrays": {"rows": np.random.default_rng(seed).uniform(size=size)},
    }
