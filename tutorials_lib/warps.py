"""Affine warps of batches of images: one gather for rotation, shift, zoom and flip."""

import platform
from collections.abc import Callable, Iterable

import keras
import numpy as np
from keras import ops

from tutorials_lib.support.checks import (
    check_callable,
    check_finite,
    check_flag,
    check_images,
    check_size,
    check_vector,
    has_shape,
    read_values,
)
from tutorials_lib.support.tensors import Tensor

# Pixels, radians and factors whose products are finite in single precision.
LARGEST = 1e6


def make_matrices(
    size: Iterable[int],
    rotation: float | Tensor = 0.0,
    shift_rows: float | Tensor = 0.0,
    shift_columns: float | Tensor = 0.0,
    zoom_rows: float | Tensor = 1.0,
    zoom_columns: float | Tensor = 1.0,
    flip: bool | Tensor = False,
    off_centre: bool = False,
) -> Tensor:
    """Composes the warps of a batch from their parts.

    A pixel of the result takes its value from the place M p in the image: about the
    centre, zoomed, then shifted, then rotated; a flip mirrors the result. So a zoom
    above 1 makes the image smaller, and a shift moves it up or to the left.

    Args:
        size: (height, width) of the images.
        rotation: Radians, counter-clockwise; a number or a float array (n,), as all
            that follow.
        shift_rows: In pixels.
        shift_columns: In pixels.
        zoom_rows: Above 0, 1 leaves the size.
        zoom_columns: The same.
        flip: Whether to mirror left and right.
        off_centre: Whether to turn and zoom about the point one pixel below and to
            the right of the centre, as `ImageDataGenerator` did up to 2019.

    Returns:
        float32 tensor (n, 2, 3), or (2, 3) where every part is a number: from
        (row, column, 1) of the result to (row, column) of the image.

    Raises:
        ValueError: a part that is no number or array (n,) or is beyond 1e6, a zoom of
            0 or less, arrays of different lengths.
    """
    height, width = check_size("size", size)
    check_flag("off_centre", off_centre)
    _check_parts(
        rotation=rotation,
        shift_rows=shift_rows,
        shift_columns=shift_columns,
        zoom_rows=zoom_rows,
        zoom_columns=zoom_columns,
        flip=flip,
    )
    rotation, shift_rows, shift_columns, zoom_rows, zoom_columns = (
        ops.cast(part, "float32") if hasattr(part, "shape") else part
        for part in (rotation, shift_rows, shift_columns, zoom_rows, zoom_columns)
    )
    sine, cosine = ops.sin(rotation), ops.cos(rotation)
    rows = _stack(cosine * zoom_rows, sine * zoom_columns)
    columns = _stack(-sine * zoom_rows, cosine * zoom_columns)
    shifts = _stack(
        cosine * shift_rows + sine * shift_columns,
        cosine * shift_columns - sine * shift_rows,
    )
    linear = _stack(rows, columns, axis=-2)
    nudge = 1.0 if off_centre else 0.0
    centre = np.array([height - 1, width - 1], dtype="float32") / 2 + nudge
    offset = centre + shifts - ops.sum(linear * centre, axis=-1)
    # A flip reads column width - 1 - j for column j.
    sign = ops.where(flip, -1.0, 1.0)
    start = ops.where(flip, width - 1.0, 0.0)
    by_row, by_column = linear[..., 0], linear[..., 1]
    offset = offset + by_column * ops.expand_dims(start, -1)
    by_column = by_column * ops.expand_dims(sign, -1)
    return ops.cast(_stack(by_row, by_column, offset), "float32")


def _check_parts(**parts):
    lengths = {}
    for name, part in parts.items():
        # Inside of jit neither length nor values need be known.
        for length in check_vector(name, part).shape:
            if length is not None:
                lengths[name] = length
        check_part(name, name, part)
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{', '.join(lengths)} must have one length; got {lengths}.")


def check_part(name: str, part: str, values: float | Tensor) -> None:
    """Raises ValueError unless values can be a part of warps.

    Args:
        name: What to call the values in the message.
        part: Which argument of `make_matrices` they are.
        values: A number, or an array or tensor of them; inside of jit it passes.
    """
    found = read_values(name, values)
    if found is None:
        return
    # Half precision does not reach the bound.
    if (np.abs(found.astype("float64")) > LARGEST).any():
        raise ValueError(f"{name} must not be beyond {LARGEST:g}; got {found}.")
    if part == "flip" and not np.isin(found, (0, 1)).all():
        raise ValueError(f"{name} must be True or False; got {found}.")
    if part.startswith("zoom") and (found <= 0).any():
        raise ValueError(f"{name} must be above 0; got {found.min()}.")


def fuse(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Has XLA fuse a function's many small steps over a batch, on TensorFlow too.

    Keras leaves XLA off on a CPU under TensorFlow, for the sake of convolutions. What
    goes pixel by pixel is four times as fast with it. JAX fuses whatever it compiles.

    Args:
        function: Of tensors, arrays and dicts of them, to tensors.

    Returns:
        A function of the same.

    Raises:
        TypeError: no function.
    """
    check_callable("function", function)
    # TensorFlow's builds for a Mac have no XLA to rely on.
    if keras.backend.backend() != "tensorflow" or platform.system() == "Darwin":
        return function
    import tensorflow as tf

    # What is fused has no branches by value, which are all that AutoGraph is for.
    return tf.function(function, jit_compile=True, autograph=False)


def _stack(*parts, axis=-1):
    """Stacks parts that may be numbers beside arrays of a length not known yet."""
    floats = [ops.cast(part, "float32") for part in parts]
    zero = sum(0 * part for part in floats)
    return ops.stack([part + zero for part in floats], axis=axis)


def warp_images(images: Tensor, matrices: Tensor) -> Tensor:
    """Warps each image by its matrix, with bilinear weights and nearest fill.

    Args:
        images: float array (n, height, width, channels).
        matrices: float array (n, 2, 3), see `make_matrices`.

    Returns:
        float32 tensor shaped as images. Places beyond the border take the nearest
        pixel within.

    Raises:
        TypeError: images that are no array.
        ValueError: images that are not floats of that shape, matrices of another,
            numbers that are not finite.
    """
    check_images("images", images)
    if not has_shape(matrices, images.shape[0], 2, 3):
        raise ValueError(
            f"matrices must have shape ({images.shape[0]}, 2, 3), one for each of "
            f"images; got {tuple(getattr(matrices, 'shape', ())) or matrices!r}."
        )
    check_finite("images", images)
    check_finite("matrices", matrices)
    images, matrices = ops.cast(images, "float32"), ops.cast(matrices, "float32")
    n = ops.shape(images)[0]
    height, width, channels = images.shape[1:]
    rows, columns = np.indices((height, width), dtype="float32").reshape(2, -1)
    places = np.stack([rows, columns, np.ones_like(rows)])
    found = ops.matmul(matrices, places)
    rows = ops.clip(found[:, 0], 0, height - 1)
    columns = ops.clip(found[:, 1], 0, width - 1)
    top, left = ops.floor(rows), ops.floor(columns)
    down, right = rows - top, columns - left
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    below = ops.minimum(top + 1, height - 1)
    beside = ops.minimum(left + 1, width - 1)
    pixels = ops.reshape(images, (-1, channels))
    start = ops.expand_dims(ops.arange(n, dtype="int32") * (height * width), 1)

    def take(row, column):
        return ops.take(pixels, start + row * width + column, axis=0)

    down, right = ops.expand_dims(down, -1), ops.expand_dims(right, -1)
    above = take(top, left) * (1 - right) + take(top, beside) * right
    under = take(below, left) * (1 - right) + take(below, beside) * right
    warped = above * (1 - down) + under * down
    return ops.reshape(warped, (-1, height, width, channels))
