"""airbench's images: normalised, flipped, shifted, and predicted in several views."""

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.batches import SeededBatches
from tutorials_lib.support.checks import (
    check_choice,
    check_images,
    check_label_rows,
    check_whole,
)

# Statistics of each colour over the training images, from 0 to 1, as published.
CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2470, 0.2435, 0.2616)
FLIPS = ("alternating", "random", "none")
# Shift in pixels, both down and to the right, and its weight.
VIEWS = {
    "plain": [(0, 1.0)],
    "mirror": [(0, 1.0)],
    "multi-crop": [(0, 0.5), (1, 0.25), (-1, 0.25)],
}


def normalise_images(images: ArrayLike) -> np.ndarray:
    """Subtracts each colour's mean, then divides by its standard deviation.

    Images are floats (n, height, width, 3) from 0 to 1; the result is float32.
    """
    images = np.asarray(images)
    check_images("images", images, 3)
    return ((images - CIFAR_MEAN) / CIFAR_STD).astype("float32")


class AirbenchBatches(SeededBatches):
    """Shuffled batches of flipped and shifted images for `model.fit`.

    An epoch leaves out the images that do not fill a batch, as published.

    Args:
        images: float array (n, height, width, channels).
        labels: float array (n, classes), one-hot rows.
        batch_size: Images per batch, from 1 to n.
        seed: Non-negative integer.
        flip: `"alternating"` draws once which images are mirrored, and mirrors the
            others instead in every other epoch; `"random"` draws anew for each batch;
            `"none"` mirrors no image.
        shift: Largest shift in pixels; gaps are filled by reflection at the border.
        cutout: Side in pixels of a square at a random position of every image, filled
            with the mean colour; airbench96 has 12.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        flip: str = "alternating",
        shift: int = 2,
        cutout: int = 0,
    ) -> None:
        check_images("images", images)
        self.images = images.astype("float32", copy=False)
        self.labels = check_label_rows("labels", labels, images).astype("float32")
        self.batch_size = check_whole("batch_size", batch_size, 1, len(images))
        self.flip = check_choice("flip", flip, FLIPS)
        self.shift = check_whole("shift", shift, 0, min(images.shape[1:3]) - 1)
        self.cutout = check_whole("cutout", cutout, 0, min(images.shape[1:3]))
        super().__init__(seed, len(images), shuffles=1)
        # Seeds of batches and shuffles are three numbers, so none shares this stream.
        self._mirrored = np.random.default_rng([seed, 2**32 - 1]).random(len(images))

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns batch `index`: images and labels, float32 (batch_size, ...)."""
        rng = self.make_generator(index)
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        chosen = self.shuffles[0][batch]
        down, right = rng.integers(-self.shift, self.shift + 1, (2, len(chosen)))
        mirrored = np.zeros(len(chosen), bool)
        if self.flip == "random":
            mirrored = rng.random(len(chosen)) < 0.5
        elif self.flip == "alternating":
            mirrored = (self._mirrored[chosen] < 0.5) ^ (self.epoch % 2 == 1)
        images = shift_images(self.images, down, right, mirrored, chosen)
        if self.cutout:
            free = [size - self.cutout + 1 for size in images.shape[1:3]]
            corners = rng.integers(free, size=(len(images), 2))
            for image, (y, x) in zip(images, corners, strict=True):
                image[y : y + self.cutout, x : x + self.cutout] = CIFAR_MEAN
        return images, self.labels[chosen]


def shift_images(
    images: np.ndarray,
    down: ArrayLike,
    right: ArrayLike,
    mirrored: ArrayLike,
    chosen: np.ndarray | None = None,
) -> np.ndarray:
    """Shifts images, fills gaps by reflection, then mirrors some left to right.

    Args:
        images: Array (n, height, width, channels).
        down: Pixels, an integer or an integer array (m,); negative is up.
        right: The same; negative is left.
        mirrored: Whether to mirror, a bool or a bool array (m,).
        chosen: Indices (m,) of the images to take; None takes all in order.

    Returns:
        Array (m, height, width, channels).
    """
    chosen = np.arange(len(images)) if chosen is None else chosen
    height, width = images.shape[1:3]

    def reflect(at, size):
        return size - 1 - np.abs(size - 1 - np.abs(at))

    rows = reflect(np.arange(height) - np.reshape(down, (-1, 1)), height)
    columns = reflect(np.arange(width) - np.reshape(right, (-1, 1)), width)
    columns = np.where(np.reshape(mirrored, (-1, 1)), columns[:, ::-1], columns)
    return images[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]


def predict_views(
    model: keras.Model, images: ArrayLike, views: str = "plain"
) -> np.ndarray:
    """Predicts the weighted mean of the logits over views of each image.

    Args:
        model: Network from images to logits.
        images: float array (n, height, width, channels), as the network takes them.
        views: `"plain"`, the image; `"mirror"`, also its mirror image; `"multi-crop"`,
            also both shifted as in `VIEWS`.

    Returns:
        float32 array (n, classes) of logits.
    """
    check_choice("views", views, VIEWS)
    images = np.asarray(images)
    check_images("images", images)
    turns = (False,) if views == "plain" else (False, True)
    total: Any = 0.0
    for shift, weight in VIEWS[views]:
        for mirrored in turns:
            view = shift_images(images, shift, shift, mirrored)
            logits = model.predict(view, batch_size=1000, verbose=0)
            total += weight / len(turns) * logits
    return total
