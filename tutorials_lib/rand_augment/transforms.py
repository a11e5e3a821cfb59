"""Pillow's affine transforms: a pixel's taps, up to four source pixels and weights.

Taps depend only on the matrix and the images' size, so NumPy computes them once. A
batch then takes one gather for each of the four.
"""

import math

import numpy as np
from keras import ops

from tutorials_lib.support.backend import Tensor

# Indices into the flattened image, int32, and their weights, float32, both (4, pixels),
# and the fill of pixels from beyond the border, int32 (pixels,), -1 for all others.
Taps = tuple[np.ndarray, np.ndarray, np.ndarray]


def make_matrix(name: str, value: float, size: tuple[int, int]) -> np.ndarray:
    """Makes the matrix (2, 3) that maps (x, y, 1) in the result to (x, y) in the image.

    Args:
        name: `"rotate"`, or `"shear_"` or `"translate_"` with `"x"` or `"y"`.
        value: Degrees of a rotation; for a shear, a share of the distance from the
            border; for a translation, a share of the image's size.
        size: (height, width) of the images.
    """
    height, width = size
    matrix = np.eye(2, 3)
    if name == "rotate":
        angle = -math.radians(value % 360)
        cosine, sine = round(math.cos(angle), 15), round(math.sin(angle), 15)
        centre = np.array([width / 2, height / 2])
        matrix[:, :2] = [[cosine, sine], [-sine, cosine]]
        matrix[:, 2] = centre - matrix[:, :2] @ centre
    elif name == "shear_x":
        matrix[0, 1] = value
    elif name == "shear_y":
        matrix[1, 0] = value
    elif name == "translate_x":
        matrix[0, 2] = value * width
    else:
        matrix[1, 2] = value * height
    return matrix


def tap_nearest(matrix: np.ndarray, size: tuple[int, int], fill: int) -> Taps:
    """Lists the taps of Pillow's NEAREST."""
    x, y, beyond = _find_sources(matrix, size)
    if matrix[0, 1]:
        # Pillow rotates in fixed point, in units of 1/65536 pixel.
        half = matrix @ (0.5, 0.5, 1)
        steps = np.floor(np.c_[matrix[:, :2], half] * 65536 + 0.5)
        rows, columns = np.indices(size).reshape(2, -1)
        x, y = ((a * columns + b * rows + c) / 65536 for a, b, c in steps)
        beyond = _is_beyond(x, y, size)
    taps = [(np.floor(y), np.floor(x), np.ones_like(x))]
    return _list_taps(taps, beyond, size, fill)


def tap_bilinear(matrix: np.ndarray, size: tuple[int, int], fill: int) -> Taps:
    """Lists the taps of Pillow's BILINEAR."""
    x, y, beyond = _find_sources(matrix, size)
    left, top = np.floor(x - 0.5), np.floor(y - 0.5)
    right, down = x - 0.5 - left, y - 0.5 - top
    taps = [
        (top, left, (1 - down) * (1 - right)),
        (top, left + 1, (1 - down) * right),
        (top + 1, left, down * (1 - right)),
        (top + 1, left + 1, down * right),
    ]
    return _list_taps(taps, beyond, size, fill)


def tap_bicubic(matrix: np.ndarray, size: tuple[int, int], fill: int) -> Taps:
    """Lists the taps of Pillow's BICUBIC along a shear; across it nothing moves."""
    x, y, beyond = _find_sources(matrix, size)
    along, across = (x, y) if matrix[0, 1] else (y, x)
    across = np.floor(across)
    first = np.floor(along - 0.5)
    d = along - 0.5 - first
    taps = [
        (across, first - 1, -d + 2 * d**2 - d**3),
        (across, first, 1 - 2 * d**2 + d**3),
        (across, first + 1, d + d**2 - d**3),
        (across, first + 2, -(d**2) + d**3),
    ]
    if not matrix[0, 1]:
        taps = [(row, column, weight) for column, row, weight in taps]
    return _list_taps(taps, beyond, size, fill)


def _find_sources(matrix, size):
    """Returns the source x and y of each pixel's centre, and whether it is outside."""
    rows, columns = np.indices(size).reshape(2, -1) + 0.5
    # Add in Pillow's order: for some sums the last bit decides if they are outside.
    x, y = (a * columns + b * rows + c for a, b, c in matrix)
    return x, y, _is_beyond(x, y, size)


def _is_beyond(x, y, size):
    return (x < 0) | (x >= size[1]) | (y < 0) | (y >= size[0])


def _list_taps(taps, beyond, size, fill):
    height, width = size
    places = np.zeros((4, height * width), "int32")
    weights = np.zeros((4, height * width), "float32")
    for number, (row, column, weight) in enumerate(taps):
        row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
        places[number], weights[number] = row * width + column, weight
    return places, weights, np.where(beyond, fill, -1).astype("int32")


def read_taps(pixels: Tensor, warp: Tensor, maps: tuple[np.ndarray, ...]) -> Tensor:
    """Computes each pixel from the four source pixels of its image's warp.

    Args:
        pixels: int32 (n, height, width, 3), from 0 to 255.
        warp: int32 (n,), the number of each image's warp.
        maps: `Taps` of all warps, with an axis for them before the last.

    Returns:
        int32 tensor shaped like pixels.
    """
    n, (height, width) = ops.shape(pixels)[0], pixels.shape[1:3]
    flat = ops.cast(ops.reshape(pixels, (-1, 3)), "float32")
    first = ops.arange(n, dtype="int32")[:, None] * (height * width)
    places, weights, fill = maps
    warped = sum(
        ops.take(flat, first + ops.take(place, warp, axis=0), axis=0)
        * ops.take(weight, warp, axis=0)[..., None]
        for place, weight in zip(places, weights, strict=True)
    )
    # Pillow truncates. The offset keeps weights whose rounded sum is just below 1 from
    # costing a grey level.
    warped = ops.cast(ops.clip(warped + 1e-3, 0, 255), "int32")
    fill = ops.take(fill, warp, axis=0)[..., None]
    return ops.reshape(ops.where(fill >= 0, fill, warped), (-1, height, width, 3))
