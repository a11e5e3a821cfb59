"""Scores of trained networks: test-time averaging, ensembles, calibration, corruptions.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks",
arXiv:1706.04599. Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations", arXiv:1903.12261: six of their corruptions, with
the strengths that they chose for CIFAR-10. Means of accuracy over these six are not
theirs over all.
"""

import io
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageFilter

from tutorials_lib.support.backend import Tensor
from tutorials_lib.support.checks import (
    check_choice,
    check_finite,
    check_floats,
    check_image_shape,
    check_label_rows,
    check_whole,
)


def score_model(
    model: keras.Model, **splits: tuple[ArrayLike, ArrayLike]
) -> dict[str, float]:
    """Evaluates a compiled model on several sets.

    Args:
        model: A compiled `keras.Model`.
        **splits: (images, labels) by name, for instance `test=(x_test, y_test)`.

    Returns:
        Dict with the loss and each metric of every set: `test_loss`,
        `test_accuracy`, ...
    """
    scores: dict[str, float] = {}
    for split, arrays in splits.items():
        found = model.evaluate(*arrays, 1000, verbose=0, return_dict=True)
        scores |= {f"{split}_{name}": value for name, value in found.items()}
    return scores


class ScoreEpochs(keras.callbacks.Callback):
    """Evaluates further sets after each epoch, beside `fit`'s validation set.

    Their scores join the epoch's in the history, as `test_accuracy` and the like. It
    takes what `score_model` takes.
    """

    def __init__(self, **splits: tuple[ArrayLike, ArrayLike]) -> None:
        super().__init__()
        self.splits = splits

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Adds the scores to the epoch's logs."""
        if logs is not None:
            logs |= score_model(self.model, **self.splits)


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
        draws: Augmented versions of each image.
        batch_size: Images predicted at once.
        identity: Whether the image as it is comes first.

    Returns:
        float32 array (draws, n, classes), or (1 + draws, n, classes) with `identity`.
    """
    check_floats("images", images)
    found = []
    if identity:
        found.append(model.predict(images, batch_size=batch_size, verbose=0))
    augmented = AugmentedModel(model, augmentation)
    for _ in range(draws):
        found.append(augmented.predict(images, batch_size=batch_size, verbose=0))
    return np.stack(found)


class AugmentedModel(keras.Model):
    """Augments and predicts in one, so that both run on the device, inside jit."""

    def __init__(self, model: keras.Model, augmentation: keras.Layer) -> None:
        super().__init__(name="augmented")
        self.model = model
        self.augmentation = augmentation

    # Without an argument `training`, which `predict` would set to False for both.
    def call(self, images: Tensor) -> Tensor:
        """Predicts an augmented version of each image."""
        return self.model(self.augmentation(images, training=True), training=False)


def average_members(predictions: Sequence[ArrayLike]) -> np.ndarray:
    """Returns the mean of the members' probabilities, an ensemble's answer.

    Args:
        predictions: Sequence of arrays (n, classes), one for each member.

    Returns:
        float64 array (n, classes).
    """
    mean = np.mean(np.stack(predictions), axis=0, dtype="float64")
    # Whatever is not finite in one member is not in their mean.
    return check_finite("predictions", mean)


def measure_accuracy(rows: ArrayLike, labels: ArrayLike) -> float:
    """Computes the share of images whose most probable class is their label.

    Args:
        rows: Array (n, classes) of probabilities or logits.
        labels: Array (n, classes) of one-hot labels.
    """
    return float(np.mean(_find_right(rows, labels)))


def _find_right(rows, labels):
    """Whether each row is greatest where its label is."""
    rows = check_finite("rows", np.asarray(rows))
    labels = check_label_rows("labels", labels, rows)
    return rows.argmax(axis=1) == labels.argmax(axis=1)


def count_confidence(rows: ArrayLike, labels: ArrayLike) -> dict[str, np.ndarray]:
    """Counts how many images are how confident, and how many of those are right.

    Args:
        rows: Array (n, classes) of probabilities.
        labels: Array (n, classes) of one-hot labels.

    Returns:
        Dict of arrays (10,), for tenths of the way from 0 to 1: `images`, how many
        there are, `confidence`, the sum of theirs, and `right`, how many of them are
        answered right. A confidence on the border of two belongs to the upper one.
    """
    right = _find_right(rows, labels)
    confidence = np.max(rows, axis=1).astype("float64")
    # Half precision rounds a sure answer to a little above 1.
    if np.min(rows) < 0 or confidence.max() > 1.01:
        raise ValueError(
            f"rows must be probabilities, from 0 to 1; got {np.min(rows)} to "
            f"{np.max(rows)}."
        )
    places = np.minimum((10 * confidence).astype(int), 9)
    return {
        "images": np.bincount(places, minlength=10),
        "confidence": np.bincount(places, confidence, minlength=10),
        "right": np.bincount(places, right, minlength=10).astype(int),
    }


def measure_calibration(counts: Mapping[str, ArrayLike]) -> float:
    """Computes the expected calibration error (equation 3 of Guo et al.).

    The gap between confidence and the share of right answers in each bin of
    `count_confidence`, weighted by the bin's images.
    """
    gaps = np.abs(np.subtract(counts["right"], counts["confidence"]))
    return float(np.sum(gaps) / np.sum(counts["images"]))


# By strength 1 to 5: standard deviation of the noise and radius of the blur (pixels of
# value 1, pixels), what contrast is left, what is added to the value, the share of the
# size that is left, JPEG quality.
CORRUPTIONS = {
    "noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    "blur": (0.4, 0.6, 0.7, 0.8, 1.0),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg": (80, 65, 58, 50, 40),
}


def corrupt_images(images: ArrayLike, corruption: str, strength: int) -> np.ndarray:
    """Corrupts images; noise is the same each time.

    Args:
        images: uint8 array (n, height, width, 3).
        corruption: One of `CORRUPTIONS`; records of `noisy_student` hold scores under
            each and their mean.
        strength: 1 to 5.

    Returns:
        uint8 array of the same shape.
    """
    check_choice("corruption", corruption, tuple(CORRUPTIONS))
    check_whole("strength", strength, 1, 5)
    images = np.asarray(images)
    check_choice("the dtype of images", str(images.dtype), ("uint8",))
    check_image_shape("images", images, 3)
    amount = CORRUPTIONS[corruption][strength - 1]
    if corruption in ("blur", "pixelate", "jpeg"):
        change = {"blur": _blur, "pixelate": _pixelate, "jpeg": _compress}[corruption]
        changed = [change(Image.fromarray(image), amount) for image in images]
        return np.stack([np.asarray(image) for image in changed])
    values = images.astype("float32") / 255
    if corruption == "noise":
        rng = np.random.default_rng(0)
        values += rng.normal(0, amount, size=images.shape)
    elif corruption == "contrast":
        means = values.mean(axis=(1, 2), keepdims=True)
        values = means + amount * (values - means)
    else:
        # Added to the value of HSV, the largest channel, which keeps hue and
        # saturation: all channels grow by the same factor.
        value = values.max(axis=-1, keepdims=True)
        factor = np.clip(value + amount, 0, 1) / np.maximum(value, 1e-9)
        values = np.where(value > 0, values * factor, amount)
    return (255 * np.clip(values, 0, 1)).astype("uint8")


def _blur(image, radius):
    return image.filter(ImageFilter.GaussianBlur(radius))


def _pixelate(image, share):
    small = [max(int(length * share), 1) for length in image.size]
    small = image.resize(small, Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BOX)


def _compress(image, quality):
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=quality)
    return Image.open(packed)
