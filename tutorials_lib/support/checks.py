"""Checks of arguments whose mistakes would be silent; errors say what is allowed."""

import math
import numbers
from collections.abc import Collection, Sized
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

Choice = TypeVar("Choice")

# The Keras dtype policies that a chapter may train with.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
# A bound on counts: more than fits in memory.
MOST = 10**9


def check_choice(name: str, value: Choice, allowed: Collection[Choice]) -> Choice:
    """Returns `value`; raises ValueError unless it is one of `allowed`."""
    # Type first: array == string has no truth value, or for one string a wrong one.
    if not any(isinstance(value, type(each)) and value == each for each in allowed):
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"{name} must be one of {choices}; got {value!r}.")
    return value


def check_positive(name: str, value: Any) -> float:
    """Returns `value` as a float; raises ValueError unless it is finite and above 0."""
    if not (_is_number(value) and 0 < value < math.inf):
        raise ValueError(f"{name} must be a finite number above 0; got {value!r}.")
    return float(value)


def check_range(name: str, value: Any, low: float, high: float) -> float:
    """Returns `value` as a float; raises ValueError unless it is in [low, high]."""
    if not (_is_number(value) and low <= value <= high):
        raise ValueError(f"{name} must be from {low} to {high}; got {value!r}.")
    return float(value)


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Returns `value` as an int; raises ValueError unless it is an integer in range."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {bounds}; got {value!r}.")
    return int(value)


def check_finite(name: str, values: np.ndarray) -> np.ndarray:
    """Returns `values`; raises ValueError if they include NaN or infinity."""
    # The extremes reveal both, without an array of flags as long as a large array.
    if values.size and not np.isfinite([values.min(), values.max()]).all():
        ends = f"{values.min()} to {values.max()}"
        raise ValueError(f"{name} must hold finite numbers; got values from {ends}.")
    return values


def check_floats(name: str, images: Any) -> None:
    """Raises ValueError unless an array or a tensor of any backend holds floats.

    Integers, such as the uint8 of image files, have not been scaled.
    """
    dtype = getattr(images.dtype, "name", str(images.dtype))
    if "float" not in dtype:
        raise ValueError(f"{name} must be floats, scaled for the network; got {dtype}.")


def check_images(name: str, images: Any, channels: int | None = None) -> None:
    """Raises ValueError unless images are floats (n, height, width, channels)."""
    check_floats(name, images)
    shape, wanted = tuple(images.shape), f"(n, height, width, {channels or 'channels'})"
    if len(shape) != 4 or channels not in (None, shape[-1]):
        raise ValueError(f"{name} must have shape {wanted}; got {shape}.")


def check_label_rows(name: str, labels: ArrayLike, images: Sized) -> np.ndarray:
    """Returns `labels` as an array; raises ValueError unless they are label rows.

    These may be one-hot or mixed: one row for each image, no negative entry, sum 1.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or len(labels) != len(images):
        raise ValueError(
            f"{name} must be a one-hot row for each of {len(images)} images; got shape "
            f"{labels.shape}. keras.utils.to_categorical makes them from integers."
        )
    # NaN is neither below 0 nor close to 1.
    if (labels < 0).any() or not np.allclose(labels.sum(axis=1), 1, atol=1e-4):
        raise ValueError(f"{name} must be rows with sum 1 and no entry below 0.")
    return labels
