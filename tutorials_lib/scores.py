"""Scores of a network on whole sets of images."""

from collections.abc import Mapping

import keras
import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.checks import check_whole


def score_model(
    model: keras.Model, batch_size: int = 1000, **splits: tuple[ArrayLike, ArrayLike]
) -> dict[str, float]:
    """Evaluates a compiled model on several sets.

    Args:
        model: A compiled `keras.Model`.
        batch_size: Images evaluated at once; it does not change the scores.
        **splits: (images, labels) by name, for instance `test=(x_test, y_test)`.

    Returns:
        Dict with the loss and each metric of every set: `test_loss`,
        `test_accuracy`, ...
    """
    scores: dict[str, float] = {}
    for split, (images, labels) in splits.items():
        found = model.evaluate(
            images, labels, batch_size=batch_size, return_dict=True, verbose=0
        )
        scores |= {f"{split}_{name}": value for name, value in found.items()}
    return scores


class ScoreEpochs(keras.callbacks.Callback):
    """Evaluates further sets after each epoch, beside `fit`'s validation set.

    Their scores join the epoch's in the history, as `test_accuracy` and the like.

    Args:
        batch_size: Images evaluated at once.
        **splits: (images, labels) by name, for instance `test=(x_test, y_test)`.
    """

    def __init__(
        self, batch_size: int = 1000, **splits: tuple[ArrayLike, ArrayLike]
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.splits = splits

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Adds the scores to the epoch's logs."""
        if logs is not None:
            logs |= score_model(self.model, self.batch_size, **self.splits)


def measure_accuracy(rows: ArrayLike, labels: ArrayLike) -> float:
    """Computes the share of images whose most probable class is their label.

    Args:
        rows: Array (n, classes) of probabilities.
        labels: Array (n, classes) of one-hot labels.

    Returns:
        A float from 0 to 1.

    Raises:
        ValueError: no rows, or shapes that differ.
    """
    rows, labels = np.asarray(rows), np.asarray(labels)
    if rows.ndim != 2 or not len(rows) or rows.shape != labels.shape:
        raise ValueError(
            f"rows and labels must both have shape (n, classes) with n of at least 1; "
            f"got {rows.shape} and {labels.shape}."
        )
    return float(np.mean(rows.argmax(axis=1) == labels.argmax(axis=1)))


def count_confidence(
    rows: ArrayLike, labels: ArrayLike, bins: int = 10
) -> dict[str, np.ndarray]:
    """Counts how many images are how confident, and how many of those are right.

    Args:
        rows: Array (n, classes) of probabilities.
        labels: Array (n, classes) of one-hot labels.
        bins: Number of equal parts of the way from 0 to 1; a confidence on the border
            of two belongs to the upper one.

    Returns:
        Dict of arrays (bins,): `images`, how many there are, `confidence`, the sum of
        theirs, and `right`, how many of them are answered right.

    Raises:
        ValueError: no rows, shapes that differ, or bins below 1.
    """
    check_whole("bins", bins, 1)
    measure_accuracy(rows, labels)
    confidence = np.max(rows, axis=1).astype("float64")
    right = np.argmax(rows, axis=1) == np.argmax(labels, axis=1)
    places = np.minimum((bins * confidence).astype(int), bins - 1)
    return {
        "images": np.bincount(places, minlength=bins),
        "confidence": np.bincount(places, confidence, minlength=bins),
        "right": np.bincount(places, right, minlength=bins).astype(int),
    }


def measure_calibration(counts: Mapping[str, ArrayLike]) -> float:
    """Computes the expected calibration error.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks",
    arXiv:1706.04599, equation 3: the gap between confidence and the share of right
    answers in each bin, weighted by the bin's images.

    Args:
        counts: From `count_confidence`.

    Returns:
        A float from 0 to 1.
    """
    gaps = np.abs(np.subtract(counts["right"], counts["confidence"]))
    return float(np.sum(gaps) / np.sum(counts["images"]))
