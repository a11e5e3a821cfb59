"""Scores networks: test-time augmentation, ensembles, calibration, corruptions.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks",
arXiv:1706.04599. Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations", arXiv:1903.12261: six of their corruptions, with
the strengths that they chose for CIFAR-10. Mean accuracies over these six are not
comparable with theirs over all corruptions.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageFilter

from tutorials_lib.support.backend import Tensor
from tutorials_lib.support.checks import (
    check_choice,
    check_finite,
    check_floats,
    check_images,
    check_label_rows,
    check_range,
    check_whole,
)


def score_model(
    model: keras.Model, **splits: tuple[ArrayLike, ArrayLike]
) -> dict[str, float]:
    """Evaluates a compiled model on several sets, such as `test=(x_test, y_test)`.

    Returns a dict of the loss and metrics of every set: `test_loss`, `test_accuracy`...
    """
    scores: dict[str, float] = {}
    for split, arrays in splits.items():
        found = model.evaluate(*arrays, 1000, verbose=0, return_dict=True)
        scores |= {f"{split}_{name}": value for name, value in found.items()}
    return scores


class ScoreEpochs(keras.callbacks.Callback):
    """Evaluates further sets after each epoch, besides `fit`'s validation set.

    Adds their scores to the history, as `test_accuracy` and so on. The arguments are
    those of `score_model`.
    """

    def __init__(self, **splits: tuple[ArrayLike, ArrayLike]) -> None:
        super().__init__()
        self.splits = splits

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Adds the scores to the epoch's logs."""
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

    The mean over the draws is the final prediction. Images keep their order.

    Args:
        model: A `keras.Model` from images to probabilities (n, classes). Augmentation
            layers inside it stay off.
        images: float array (n, height, width, channels).
        augmentation: A layer that augments when called with `training=True`.
        draws: Number of augmented versions of each image.
        batch_size: Images per batch.
        identity: Whether to predict the unchanged image first.

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
    """Augments and predicts in one model, so that both run inside jit on the device."""

    def __init__(self, model: keras.Model, augmentation: keras.Layer) -> None:
        super().__init__(name="augmented")
        self.model = model
        self.augmentation = augmentation

    # No `training` argument: `predict` would set it to False for both.
    def call(self, images: Tensor) -> Tensor:
        """Predicts an augmented version of each image."""
        return self.model(self.augmentation(images, training=True), training=False)


def average_members(predictions: Sequence[ArrayLike]) -> np.ndarray:
    """Returns the mean of the members' probabilities, the ensemble's prediction.

    Each member has an array (n, classes); the mean is float64.
    """
    mean = np.mean(np.stack(predictions), axis=0, dtype="float64")
    # NaN or infinity in any member carries over to the mean.
    return check_finite("predictions", mean)


def measure_accuracy(rows: ArrayLike, labels: ArrayLike) -> float:
    """Computes the share of images whose most probable class is their label.

    Rows (n, classes) are probabilities or logits, labels (n, classes) are one-hot.
    """
    return float(np.mean(_find_right(rows, labels)))


def _find_right(rows, labels):
    """Returns whether each row is largest at its label's class."""
    rows = check_finite("rows", np.asarray(rows))
    labels = check_label_rows("labels", labels, rows)
    return rows.argmax(axis=1) == labels.argmax(axis=1)


def count_confidence(rows: ArrayLike, labels: ArrayLike) -> dict[str, np.ndarray]:
    """Counts images and correct predictions in ten bins of confidence.

    Args:
        rows: Array (n, classes) of probabilities.
        labels: One-hot array (n, classes).

    Returns:
        Dict of arrays (10,), one entry for each tenth from 0 to 1: `images`, the number
        of images; `confidence`, the sum of their confidences; `right`, the number of
        correct predictions. A confidence between two bins counts in the upper one.
    """
    right = _find_right(rows, labels)
    confidence = np.max(rows, axis=1).astype("float64")
    for end in (np.min(rows), np.max(rows)):
        # Half precision may round a confident prediction to slightly above 1.
        check_range("rows", end, 0, 1.01)
    places = np.minimum((10 * confidence).astype(int), 9)
    return {
        "images": np.bincount(places, minlength=10),
        "confidence": np.bincount(places, confidence, minlength=10),
        "right": np.bincount(places, right, minlength=10).astype(int),
    }


def measure_calibration(counts: Mapping[str, ArrayLike]) -> float:
    """Computes the expected calibration error (equation 3 of Guo et al.).

    It is the mean gap between confidence and accuracy over the bins of
    `count_confidence`, weighted by their numbers of images.
    """
    gaps = np.abs(np.subtract(counts["right"], counts["confidence"]))
    return float(np.sum(gaps) / np.sum(counts["images"]))


# For strengths 1 to 5: standard deviation of the noise (images from 0 to 1), radius of
# the blur in pixels, share of the contrast kept, amount added to the value of HSV,
# share of the size kept, JPEG quality.
CORRUPTIONS: dict[str, tuple[Any, ...]] = {
    "noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    "blur": (0.4, 0.6, 0.7, 0.8, 1.0),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg": (80, 65, 58, 50, 40),
}


def corrupt_images(images: ArrayLike, corruption: str, strength: int) -> np.ndarray:
    """Corrupts images; the noise is the same on every call.

    Args:
        images: uint8 array (n, height, width, 3).
        corruption: One of `CORRUPTIONS`; records of `noisy_student` hold a score for
            each and their mean.
        strength: Integer from 1 to 5.

    Returns:
        uint8 array of the same shape.
    """
    check_choice("corruption", corruption, tuple(CORRUPTIONS))
    check_whole("strength", strength, 1, 5)
    images = np.asarray(images)
    check_choice("the dtype of images", str(images.dtype), ("uint8",))
    values = images.astype("float32") / 255
    check_images("images", values, 3)
    amount = CORRUPTIONS[corruption][strength - 1]
    match corruption:
        case "noise":
            values += np.random.default_rng(0).normal(0, amount, size=images.shape)
        case "contrast":
            means = values.mean(axis=(1, 2), keepdims=True)
            values = means + amount * (values - means)
        case "brightness":
            # Adds to the value of HSV, the largest channel. Scaling all channels by the
            # same factor keeps hue and saturation.
            value = values.max(axis=-1, keepdims=True)
            factor = np.clip(value + amount, 0, 1) / np.maximum(value, 1e-9)
            values = np.where(value > 0, values * factor, amount)
        case _:
            pictures = map(Image.fromarray, images)
            return np.stack([_corrupt_picture(x, corruption, amount) for x in pictures])
    return (255 * np.clip(values, 0, 1)).astype("uint8")


def _corrupt_picture(picture, corruption, amount):
    match corruption:
        case "blur":
            return picture.filter(ImageFilter.GaussianBlur(amount))
        case "pixelate":
            small = [max(int(length * amount), 1) for length in picture.size]
            small = picture.resize(small, Image.Resampling.BOX)
            return small.resize(picture.size, Image.Resampling.BOX)
        case "jpeg":
            packed = io.BytesIO()
            picture.save(packed, "JPEG", quality=amount)
            return Image.open(packed)
