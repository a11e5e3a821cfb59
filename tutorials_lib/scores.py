"""Scores of a network on whole sets of images."""

from collections.abc import Mapping

import keras
import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.checks import (
    check_array,
    check_count,
    check_finite,
    check_label_rows,
)


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

    Raises:
        TypeError: a model that cannot be evaluated.
        ValueError: a split that is no pair of arrays of one length, images that are
            not finite.
    """
    if not getattr(model, "compiled", False):
        raise TypeError(f"model must be a compiled keras.Model; got {model!r}.")
    _check_splits(batch_size, splits)
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
        _check_splits(batch_size, splits)
        self.batch_size = batch_size
        self.splits = splits

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Adds the scores to the epoch's logs."""
        if logs is not None:
            logs |= score_model(self.model, self.batch_size, **self.splits)


def _check_splits(batch_size, splits):
    check_count("batch_size", batch_size)
    for name, split in splits.items():
        if not isinstance(split, (tuple, list)) or len(split) != 2:
            raise ValueError(f"{name} must be a pair (images, labels); got {split!r}.")
        images, labels = (check_array(name, each) for each in split)
        if not images.ndim or not len(images) or images.shape[:1] != labels.shape[:1]:
            raise ValueError(
                f"{name} must hold as many images as labels, at least one; got shapes "
                f"{images.shape} and {labels.shape}."
            )
        check_finite(name, images)


def measure_accuracy(rows: ArrayLike, labels: ArrayLike) -> float:
    """Computes the share of images whose most probable class is their label.

    Args:
        rows: Array (n, classes) of probabilities.
        labels: Array (n, classes) of one-hot labels.

    Returns:
        A float from 0 to 1.

    Raises:
        ValueError: no rows, shapes that differ, rows that are not finite, or labels
            that are not one-hot.
    """
    return float(np.mean(_find_right(*_check_answers(rows, labels))))


def _check_answers(rows: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels as arrays, a label for each row."""
    rows, labels = check_array("rows", rows), check_array("labels", labels)
    if rows.ndim != 2 or not len(rows) or rows.shape != labels.shape:
        raise ValueError(
            f"rows and labels must both have shape (n, classes) with n of at least 1; "
            f"got {rows.shape} and {labels.shape}."
        )
    check_finite("rows", rows)
    check_label_rows("labels", labels, rows)
    return rows, labels


def _find_right(rows, labels):
    """Whether each row is greatest where its label is."""
    return rows.argmax(axis=1) == labels.argmax(axis=1)


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
        ValueError: no rows, shapes that differ, rows that are no probabilities, or
            bins below 1.
    """
    check_count("bins", bins)
    rows, labels = _check_answers(rows, labels)
    # Half precision rounds a sure answer to a little above 1.
    if rows.min() < 0 or rows.max() > 1.01:
        raise ValueError(
            f"rows must be probabilities, from 0 to 1; got {rows.min()} to "
            f"{rows.max()}."
        )
    confidence = rows.max(axis=1).astype("float64")
    right = _find_right(rows, labels)
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

    Raises:
        TypeError: counts is no dict.
        ValueError: counts that `count_confidence` does not return, or of no images.
    """
    if not isinstance(counts, dict):
        raise TypeError(f"counts must be a dict; got {counts!r}.")
    names = ("images", "confidence", "right")
    if missing := [name for name in names if name not in counts]:
        raise ValueError(f"counts must hold {', '.join(names)}; it lacks {missing}.")
    images, confidence, right = (check_array("counts", counts[x]) for x in names)
    if not _are_counts(images, confidence, right):
        raise ValueError(
            "counts must hold arrays (bins,): images, of which no more are right, and "
            f"the sum of confidences from 0 to 1; got {counts!r}."
        )
    if not images.sum():
        raise ValueError("counts must be of at least one image; got none.")
    return float(np.sum(np.abs(np.subtract(right, confidence))) / np.sum(images))


def _are_counts(images, confidence, right):
    """Whether no more are right than there are, and none surer than sure."""
    if images.ndim != 1 or not images.shape == confidence.shape == right.shape:
        return False
    # 1 but for the rounding, see `count_confidence`.
    sure = (confidence >= 0) & (confidence <= 1.01 * images)
    return (sure & (right >= 0) & (right <= images) & (images < np.inf)).all()
