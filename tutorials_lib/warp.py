"""Affine warps of image batches, and `RandomWarp`, which draws them in training.

Rotation, shift, zoom and flip make one matrix per image, so one gather applies them.
`RandomWarp` draws its parameters as Keras' old `ImageDataGenerator` did.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tutorials_lib.support.backend import Tensor, fuse
from tutorials_lib.support.checks import check_floats, check_range


def make_matrices(
    size: Sequence[int],
    rotation: float | Tensor = 0.0,
    shift_rows: float | Tensor = 0.0,
    shift_columns: float | Tensor = 0.0,
    zoom_rows: float | Tensor = 1.0,
    zoom_columns: float | Tensor = 1.0,
    flip: bool | Tensor = False,
    off_centre: bool = False,
) -> Tensor:
    """Composes the warp matrices of a batch from their parts.

    Pixel (row, column) of the result takes its value from M (row, column, 1) in the
    image. About the centre, M zooms, then shifts, then rotates; a flip mirrors the
    result. So a zoom above 1 shrinks the image; a positive shift moves it up or left.

    Args:
        size: (height, width) of the images.
        rotation: Angle in radians, counter-clockwise. This and the next five are
            numbers or arrays (n,).
        shift_rows: Vertical shift in pixels.
        shift_columns: Horizontal shift in pixels.
        zoom_rows: Vertical zoom factor, above 0.
        zoom_columns: Horizontal zoom factor, above 0.
        flip: Whether to mirror left and right.
        off_centre: Whether to rotate and zoom about the point one pixel below and to
            the right of the centre, as `ImageDataGenerator` did up to 2019.

    Returns:
        float32 tensor (n, 2, 3), or (2, 3) if every part is a number.
    """
    height, width = size
    centre = np.array([height - 1, width - 1], "float32") / 2 + float(off_centre)
    sine, cosine = ops.sin(rotation), ops.cos(rotation)
    rows = _stack(cosine * zoom_rows, sine * zoom_columns)
    columns = _stack(-sine * zoom_rows, cosine * zoom_columns)
    shifts = _stack(
        cosine * shift_rows + sine * shift_columns,
        cosine * shift_columns - sine * shift_rows,
    )
    linear = _stack(rows, columns, axis=-2)
    offset = centre + shifts - ops.sum(linear * centre, axis=-1)
    # A flip reads column width - 1 - j for column j.
    sign, start = ops.where(flip, -1.0, 1.0), ops.where(flip, width - 1.0, 0.0)
    offset = offset + linear[..., 1] * start[..., None]
    return _stack(linear[..., 0], linear[..., 1] * sign[..., None], offset)


def _stack(*parts, axis=-1):
    """Stacks numbers and tensors, whose length may not be known yet."""
    floats = [ops.cast(part, "float32") for part in parts]
    zero = sum(0 * part for part in floats)
    return ops.stack([part + zero for part in floats], axis=axis)


def warp_images(images: Tensor, matrices: Tensor) -> Tensor:
    """Warps each image by its matrix (2, 3), see `make_matrices`.

    Interpolation is bilinear; positions beyond the border take the nearest pixel.
    Images are floats (n, height, width, channels), and the result is float32.
    """
    images = ops.cast(images, "float32")
    height, width, channels = images.shape[1:]
    rows, columns = np.indices((height, width), "float32").reshape(2, -1)
    found = ops.matmul(matrices, np.stack([rows, columns, np.ones_like(rows)]))
    rows = ops.clip(found[:, 0], 0, height - 1)
    columns = ops.clip(found[:, 1], 0, width - 1)
    top, left = ops.floor(rows), ops.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    bottom = ops.minimum(top + 1, height - 1)
    beside = ops.minimum(left + 1, width - 1)
    pixels = ops.reshape(images, (-1, channels))
    first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None] * (height * width)

    def take(row, column):
        return ops.take(pixels, first + row * width + column, axis=0)

    above = take(top, left) * (1 - right) + take(top, beside) * right
    below = take(bottom, left) * (1 - right) + take(bottom, beside) * right
    warped = above * (1 - down) + below * down
    return ops.reshape(warped, (-1, height, width, channels))


def shift_channels(images: Tensor, amounts: Tensor) -> Tensor:
    """Adds an amount to all pixels of each image, clipped to the image's own range.

    Images are floats (n, height, width, channels), amounts floats (n,); the result is
    float32. The range is over all channels.
    """
    images, amounts = ops.cast(images, "float32"), ops.cast(amounts, "float32")
    low = ops.min(images, axis=(1, 2, 3), keepdims=True)
    high = ops.max(images, axis=(1, 2, 3), keepdims=True)
    return ops.clip(images + ops.reshape(amounts, (-1, 1, 1, 1)), low, high)


@keras.saving.register_keras_serializable("tutorials_lib")
class RandomWarp(keras.layers.Layer):
    """Rotates, shifts, zooms and flips images and shifts their channels, in training.

    Each image draws its own parameters uniformly and is mirrored with probability 1/2.
    The layer runs inside jit. The defaults are those of "CIFAR-10 to 95%".

    Args:
        rotation: Largest angle in degrees, in either direction.
        shift: Largest shift in either direction, as a share of height and of width.
        zoom: Rows and columns are each scaled by 1 - zoom to 1 + zoom; at most 0.99.
        channel_shift: Largest amount, in the units of the pixels, added to or
            subtracted from all pixels of an image; see `shift_channels`.
        off_centre: See `make_matrices`.
        seed: Integer, or None to follow `keras.utils.set_random_seed`.
        **kwargs: Passed to `keras.layers.Layer`.
    """

    def __init__(
        self,
        rotation: float = 20.0,
        shift: float = 0.2,
        zoom: float = 0.2,
        channel_shift: float = 0.2,
        off_centre: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.rotation = check_range("rotation", rotation, 0, 360)
        self.shift = check_range("shift", shift, 0, 1)
        self.zoom = check_range("zoom", zoom, 0, 0.99)
        self.channel_shift = check_range("channel_shift", channel_shift, 0, 255)
        self.off_centre = off_centre
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Warps images (n, height, width, channels) with parameters from `draw`.
        self.apply = fuse(self._apply)

    def draw(self, n: int | Tensor, size: Sequence[int]) -> dict[str, Tensor]:
        """Draws parameters for `apply`, tensors (n,), given (height, width)."""
        height, width = size
        spread = keras.random.uniform((6, n), -1, 1, seed=self.seed_generator)
        return {
            "rotation": math.radians(self.rotation) * spread[0],
            "shift_rows": self.shift * height * spread[1],
            "shift_columns": self.shift * width * spread[2],
            "zoom_rows": 1 + self.zoom * spread[3],
            "zoom_columns": 1 + self.zoom * spread[4],
            "channel_shift": self.channel_shift * spread[5],
            "flip": keras.random.uniform((n,), seed=self.seed_generator) < 0.5,
        }

    def _apply(self, images, parameters):
        warp = dict(parameters)
        amounts = warp.pop("channel_shift")
        matrices = make_matrices(images.shape[1:3], **warp, off_centre=self.off_centre)
        warped = warp_images(images, matrices)
        return shift_channels(warped, amounts) if self.channel_shift else warped

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Augments images in training; otherwise returns them unchanged."""
        check_floats("images", images)
        if not training:
            return images
        parameters = self.draw(ops.shape(images)[0], images.shape[1:3])
        return self.apply(images, parameters)
