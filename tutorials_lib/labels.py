"""Which images keep their label, when few do."""

import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.checks import check_class_numbers, check_whole


def choose_labelled(labels: ArrayLike, n: int, seed: int) -> np.ndarray:
    """Chooses images at random, equally many of each class.

    Args:
        labels: Integer array (images,).
        n: How many, a multiple of the number of classes.
        seed: Whole number of at least 0.

    Returns:
        Integer array (n,), the places of the chosen images, in ascending order.

    Raises:
        ValueError: labels that are not whole numbers in one row, at least one; n that
            is no multiple of the number of classes, a class with too few images.
    """
    labels = check_class_numbers("labels", labels)
    classes, counts = np.unique(labels, return_counts=True)
    check_whole("n", n, 1)
    check_whole("seed", seed, 0)
    most = int(counts.min())
    if n % len(classes) or n // len(classes) > most:
        raise ValueError(
            f"n must be a multiple of the {len(classes)} classes, with at most {most} "
            f"images of each in labels; got {n!r}."
        )
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(labels == each), n // len(classes), replace=False)
        for each in classes
    ]
    return np.sort(np.concatenate(chosen))
