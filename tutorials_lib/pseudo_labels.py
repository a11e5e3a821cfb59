"""Pseudo-labels: keep what a teacher is sure of, balance it, write it as labels.

Xie, Luong, Hovy and Le, "Self-training with Noisy Student improves ImageNet
classification", arXiv:1911.04252, section 2, as "Noisy Student on CIFAR-10" carries it
out. Every function returns places or labels, so that images need not be copied.
"""

import numbers

import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.checks import (
    check_choice,
    check_class_numbers,
    check_count,
    check_flag,
    check_label_rows,
)

EMPTY = ("stop", "skip")


def keep_confident(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Finds the images whose greatest probability is above a threshold.

    Args:
        probabilities: float array (n, classes), rows that sum to 1.
        threshold: From 0 to below 1; the article has 0.75, the paper 0.3.

    Returns:
        Integer array, the places of the images kept, in ascending order.

    Raises:
        ValueError: threshold out of range, rows that are no probabilities, or no
            image above the threshold.
    """
    probabilities = check_label_rows("probabilities", probabilities, probabilities)
    if not len(probabilities):
        raise ValueError("probabilities must be of at least one image; got none.")
    number = isinstance(threshold, numbers.Real) and not isinstance(threshold, bool)
    if not number or not 0 <= threshold < 1:
        raise ValueError(
            f"threshold must be a number from 0 to below 1; got {threshold!r}."
        )
    confidence = probabilities.max(axis=1)
    kept = np.flatnonzero(confidence > threshold)
    if not len(kept):
        raise ValueError(
            f"threshold must be below the teacher's largest confidence, "
            f"{confidence.max():.4f}; got {threshold!r}, which keeps no image."
        )
    return kept


def balance_classes(labels: ArrayLike, classes: int, empty: str = "stop") -> np.ndarray:
    """Repeats images until every class has as many as the largest.

    Args:
        labels: Integer array (n,), each image's class.
        classes: Number of classes.
        empty: What to do about a class without images: `"stop"`, or `"skip"`, which
            leaves it without.

    Returns:
        Integer array, places in `labels`, class after class: all of a class' images
        in order, as often as they fit, then the first ones again.

    Raises:
        ValueError: labels out of range, no labels, or an empty class to stop at.
    """
    classes = check_count("classes", classes)
    check_choice("empty", empty, EMPTY)
    labels = check_class_numbers("labels", labels)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels must be from 0 to {classes - 1}; got {labels.min()} to "
            f"{labels.max()}, with classes {classes}."
        )
    counts = np.bincount(labels, minlength=classes)
    missing = np.flatnonzero(counts == 0)
    if len(missing) and empty == "stop":
        raise ValueError(
            f"labels must hold every class; none is of {missing.tolist()}. Lower the "
            f"threshold, or pass empty='skip' to go on without."
        )
    places = [np.flatnonzero(labels == each) for each in range(classes)]
    most = counts.max()
    return np.concatenate([np.resize(each, most) for each in places if len(each)])


def write_labels(probabilities: np.ndarray, soft: bool = True) -> np.ndarray:
    """Writes pseudo-labels.

    Args:
        probabilities: float array (n, classes), rows that sum to 1.
        soft: Whether the rows stay as they are; else 1 stands at the greatest.

    Returns:
        float32 array (n, classes).

    Raises:
        ValueError: rows that are no probabilities.
    """
    rows = check_label_rows("probabilities", probabilities, probabilities)
    if check_flag("soft", soft):
        return rows.astype("float32")
    return np.eye(rows.shape[1], dtype="float32")[rows.argmax(axis=1)]
