"""Augmentation in one warp: what Keras' old `ImageDataGenerator` drew, as a layer."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from tutorials_lib.support.checks import (
    check_batch,
    check_finite,
    check_flag,
    check_images,
    check_per_image,
    check_range,
    check_seed,
    check_size,
)
from tutorials_lib.support.tensors import Tensor
from tutorials_lib.warps import check_part, fuse, make_matrices, warp_images


def shift_channels(images: Tensor, amounts: Tensor) -> Tensor:
    """Adds a number to every pixel of an image, within the image's own range.

    Args:
        images: float array (n, height, width, channels).
        amounts: float array (n,), in the units of the pixels.

    Returns:
        float32 tensor shaped as images: no pixel below the image's lowest or above its
        highest, over all channels.

    Raises:
        TypeError: images that are no array.
        ValueError: images that are not finite floats of that shape, or not one finite
            amount for each.
    """
    check_images("images", images)
    check_finite("images", images)
    check_per_image("amounts", amounts, images.shape[0])
    images, amounts = ops.cast(images, "float32"), ops.cast(amounts, "float32")
    axes = (1, 2, 3)
    low = ops.min(images, axis=axes, keepdims=True)
    high = ops.max(images, axis=axes, keepdims=True)
    return ops.clip(images + ops.reshape(amounts, (-1, 1, 1, 1)), low, high)


@keras.saving.register_keras_serializable("tutorials_lib")
class RandomWarp(keras.layers.Layer):
    """Rotates, shifts, zooms, flips and shifts the channels of images, in training.

    Every image has parameters of its own, drawn uniformly. What lies beyond the
    border takes the nearest pixel. The layer runs inside jit on TensorFlow and JAX.
    The defaults are those of "CIFAR-10 to 95%".

    Args:
        rotation: Largest angle, in degrees, to either side.
        shift: Largest shift, as a share of height and of width, to either side.
        zoom: Rows and columns are each scaled by 1 - zoom to 1 + zoom; below 1.
        channel_shift: Largest amount, in the units of the pixels, that is added to
            all pixels of an image; see `shift_channels`.
        flip: Whether to mirror half of the images left and right.
        whole_pixels: Whether shifts are by whole pixels, which keeps images that are
            only shifted and mirrored as sharp as they were.
        off_centre: See `warps.make_matrices`.
        seed: Whole number, or None for what `keras.utils.set_random_seed` set.
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        TypeError: images that are no array.
        ValueError: a range below 0, or images that are not finite floats of shape
            (n, height, width, channels).
    """

    def __init__(
        self,
        rotation: float = 20.0,
        shift: float = 0.2,
        zoom: float = 0.2,
        channel_shift: float = 0.2,
        flip: bool = True,
        whole_pixels: bool = False,
        off_centre: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.rotation = check_range("rotation", rotation, 0, 360)
        self.shift = check_range("shift", shift, 0, 1)
        self.zoom = check_range("zoom", zoom, 0, 0.99)
        self.channel_shift = check_range("channel_shift", channel_shift, 0, 255)
        self.flip = check_flag("flip", flip)
        self.whole_pixels = check_flag("whole_pixels", whole_pixels)
        self.off_centre = check_flag("off_centre", off_centre)
        self.seed = check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.fused = fuse(self._apply)

    def draw(self, n: int | Tensor, size: Iterable[int]) -> dict[str, Tensor]:
        """Draws the parameters of n warps.

        Args:
            n: How many.
            size: (height, width) of the images.

        Returns:
            Dict of tensors (n,), what `apply` takes.
        """
        check_batch("n", n)
        height, width = check_size("size", size)
        spread = keras.random.uniform((6, n), -1, 1, seed=self.seed_generator)
        return {
            "rotation": math.radians(self.rotation) * spread[0],
            "shift_rows": self._scale_shift(spread[1], height),
            "shift_columns": self._scale_shift(spread[2], width),
            "zoom_rows": 1 + self.zoom * spread[3],
            "zoom_columns": 1 + self.zoom * spread[4],
            "channel_shift": self.channel_shift * spread[5],
            "flip": self._draw_flips(n),
        }

    def _scale_shift(self, spread, length):
        if not self.whole_pixels:
            return self.shift * length * spread
        # Each of -most to most as likely as the others.
        most = round(self.shift * length)
        return ops.floor((most + 0.5) * (spread + 1)) - most

    def _draw_flips(self, n):
        if not self.flip:
            return ops.zeros((n,), dtype="bool")
        return keras.random.uniform((n,), seed=self.seed_generator) < 0.5

    def apply(self, images: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Warps images by parameters that were drawn.

        Args:
            images: float array (n, height, width, channels).
            parameters: See `draw`.

        Returns:
            float32 tensor shaped as images.
        """
        check_images("images", images)
        check_finite("images", images)
        _check_parameters(parameters, images.shape[0])
        return self.fused(images, parameters)

    def _apply(self, images, parameters):
        warp = {k: v for k, v in parameters.items() if k != "channel_shift"}
        matrices = make_matrices(images.shape[1:3], **warp, off_centre=self.off_centre)
        warped = warp_images(images, matrices)
        if not self.channel_shift:
            return warped
        return shift_channels(warped, parameters["channel_shift"])

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Augments images while training; returns them as they are otherwise."""
        check_images("images", images)
        if not training:
            return images
        parameters = self.draw(ops.shape(images)[0], images.shape[1:3])
        return self.apply(images, parameters)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        names = ["rotation", "shift", "zoom", "channel_shift", "flip"]
        names += ["whole_pixels", "off_centre", "seed"]
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own}


def _check_parameters(parameters, n):
    names = ["rotation", "shift_rows", "shift_columns", "zoom_rows", "zoom_columns"]
    names += ["channel_shift", "flip"]
    if not isinstance(parameters, dict) or set(parameters) != set(names):
        raise ValueError(
            f"parameters must be a dict of {', '.join(names)}; got {parameters!r}."
        )
    for part, values in parameters.items():
        name = f"parameters[{part!r}]"
        check_per_image(name, values, n)
        check_part(name, part, values)
