"""Pillow's operations on pixel values, for whole batches.

Pixels are int32 (n, height, width, 3) from 0 to 255. A table gives the new value for
each value, image and channel: int32 (n, 256, 3), or (1, 256, 1) for all alike.
"""

import numpy as np
from keras import ops

from tutorials_lib.support.backend import Tensor

VALUES = np.arange(256, dtype="int32").reshape(1, 256, 1)


def look_up(pixels: Tensor, tables: Tensor) -> Tensor:
    """Replaces each value by its entry in the table of its image and channel."""
    n = ops.shape(pixels)[0]
    start = ops.reshape(256 * ops.arange(n, dtype="int32"), (-1, 1, 1, 1))
    places = 3 * (start + pixels) + np.arange(3, dtype="int32")
    return ops.take(ops.reshape(tables, (-1,)), places)


def autocontrast(pixels: Tensor) -> Tensor:
    """Makes the tables that stretch each channel's values to the full range."""
    low = ops.min(pixels, axis=(1, 2))[:, None]
    high = ops.max(pixels, axis=(1, 2))[:, None]
    stretched = 255 * (VALUES - low) // ops.maximum(high - low, 1)
    return ops.where(high > low, ops.clip(stretched, 0, 255), VALUES)


def equalize(pixels: Tensor) -> Tensor:
    """Makes the tables that flatten each channel's histogram."""
    n, total = ops.shape(pixels)[0], pixels.shape[1] * pixels.shape[2]
    start = 256 * ops.arange(3 * n, dtype="int32")
    bins = ops.reshape(pixels, (n, total, 3)) + ops.reshape(start, (n, 1, 3))
    flat = ops.reshape(bins, (-1,))
    counts = ops.segment_sum(ops.ones_like(flat), flat, num_segments=3 * n * 256)
    counts = ops.transpose(ops.reshape(counts, (n, 3, 256)), (0, 2, 1))
    highest = ops.max(pixels, axis=(1, 2))[:, None]
    last = ops.take_along_axis(counts, highest, axis=1)
    share = (total - last) // 255
    below = ops.cumsum(counts, axis=1) - counts
    spread = ops.clip((share // 2 + below) // ops.maximum(share, 1), 0, 255)
    return ops.where(share > 0, spread, VALUES)


def solarize(threshold: float) -> np.ndarray:
    """Makes the table that inverts values from a threshold upwards."""
    return np.where(threshold > VALUES, VALUES, 255 - VALUES)


def posterize(bits: int) -> np.ndarray:
    """Makes the table that keeps only the highest bits of each value."""
    step = 2 ** (8 - bits)
    return VALUES // step * step


def make_grey(pixels: Tensor) -> Tensor:
    """Returns grey versions of the images, int32 (n, height, width, 1)."""
    weights = np.array([19595, 38470, 7471], "int32")
    return (ops.sum(pixels * weights, axis=-1, keepdims=True) + 32768) // 65536


def mean_grey(pixels: Tensor) -> Tensor:
    """Returns the mean of each grey image, rounded, int32 (n, 1, 1)."""
    total = pixels.shape[1] * pixels.shape[2]
    sums = ops.sum(make_grey(pixels), axis=(1, 2))[:, None]
    return (2 * sums + total) // (2 * total)


def smooth(pixels: Tensor) -> Tensor:
    """Applies Pillow's SMOOTH filter: a 3x3 mean with weight 5 in the middle."""
    height, width = pixels.shape[1:3]
    # The input is padded: padding the result makes TensorFlow three times as slow.
    padded = ops.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    squares = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    # Rounds: a multiple of 1/13 is never halfway between two integers.
    inner = ops.cast((squares + 4 * pixels) / 13 + 0.5, "int32")
    # Pillow leaves the border unchanged.
    border = np.ones((height, width, 1), dtype=bool)
    border[1:-1, 1:-1] = False
    return ops.where(border, pixels, inner)


def mix(one: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """Computes one + factor * (other - one), clipped and truncated to integers.

    `one` and `other` are pixels, tables or a value per image; `factor` is float32 (n,).
    The result is int32, from 0 to 255.
    """
    factor = ops.reshape(factor, (-1,) + (1,) * (len(other.shape) - 1))
    product = factor * ops.cast(other - one, "float32")
    # The clip changes no value, but keeps XLA from fusing multiplication and addition:
    # without the product's rounding, some results would differ from Pillow's by one.
    total = ops.cast(one, "float32") + ops.clip(product, -1e3, 1e3)
    return ops.cast(ops.clip(total, 0, 255), "int32")
