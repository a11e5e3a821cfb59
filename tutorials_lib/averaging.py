"""Means of answers: over augmented versions of an image, and over networks."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.checks import (
    check_array,
    check_arrays,
    check_callable,
    check_count,
    check_finite,
    check_flag,
    check_floats,
)


def predict_draws(
    model: keras.Model,
    images: ArrayLike,
    augmentation: keras.Layer,
    draws: int,
    batch_size: int = 500,
    identity: bool = False,
) -> np.ndarray:
    """Predicts augmented versions of each image, for test-time augmentation.

    The mean over the draws is the augmented prediction. Images keep their order.

    Args:
        model: A `keras.Model` from images to rows of probabilities. What it augments
            in training it does not augment here.
        images: float array (n, height, width, channels).
        augmentation: A layer that augments where `training=True`.
        draws: Augmented versions of each image, at least 1; 0 with `identity`.
        batch_size: Images predicted at once; at least 1.
        identity: Whether the image as it is comes first.

    Returns:
        float32 array (draws, n, classes), or (1 + draws, n, classes) with `identity`.

    Raises:
        TypeError: a model that does not predict, an augmentation that is no layer.
        ValueError: a number below its least, no images, or images that are not
            finite floats of the shape that the model takes.
    """
    check_flag("identity", identity)
    check_count("draws", draws, 0 if identity else 1)
    check_count("batch_size", batch_size)
    check_callable("augmentation", augmentation)
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model; got {model!r}.")
    images = check_array("images", images)
    check_floats("images", images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"images must have shape (n, height, width, channels) with n of at least "
            f"1; got {images.shape}."
        )
    check_finite("images", images)
    taken = getattr(model, "input_shape", None) or (None,) * 4
    if len(taken) != 4 or not all(
        wanted in (None, there)
        for wanted, there in zip(taken, images.shape, strict=True)
    ):
        raise ValueError(f"images must have shape {taken}; got {images.shape}.")
    found = []
    if identity:
        found.append(model.predict(images, batch_size=batch_size, verbose=0))
    augmented = _AugmentedModel(model, augmentation)
    for _ in range(draws):
        found.append(augmented.predict(images, batch_size=batch_size, verbose=0))
    return np.stack(found)


class _AugmentedModel(keras.Model):
    """Augments and predicts in one, so that both run on the device, inside jit."""

    def __init__(self, model, augmentation):
        super().__init__(name="augmented")
        self.model = model
        self.augmentation = augmentation

    # Without an argument `training`, which `predict` would set to False for both.
    def call(self, images):
        return self.model(self.augmentation(images, training=True), training=False)


def average_members(predictions: Sequence[ArrayLike]) -> np.ndarray:
    """Returns the mean of the members' probabilities, an ensemble's answer.

    Args:
        predictions: Sequence of arrays (n, classes), one for each member.

    Returns:
        float64 array (n, classes).

    Raises:
        TypeError: predictions is no sequence.
        ValueError: no members, members whose shapes differ, or that are not finite.
    """
    predictions = check_arrays("predictions", predictions)
    shapes = [each.shape for each in predictions]
    if not shapes or len(set(shapes)) > 1 or len(shapes[0]) != 2:
        raise ValueError(
            f"predictions must hold at least one array (n, classes), all of one shape; "
            f"got shapes {shapes}."
        )
    mean = np.mean(np.stack(predictions), axis=0, dtype="float64")
    # Not of every member: whatever is not finite in one of them, is not in their mean.
    return check_finite("predictions", mean)
