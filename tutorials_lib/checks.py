"""Checks of arguments, each with an error that says what is allowed."""

import numbers
import sys
from collections.abc import Collection, Sized
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.tensors import Tensor

Choice = TypeVar("Choice")

# Keras' names of dtype policies that a chapter may train with.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def check_choice(name: str, value: Choice, allowed: Collection[Choice]) -> Choice:
    """Raises ValueError unless `value` is one of `allowed`.

    Args:
        name: The argument's name, for the message.
        value: What was passed.
        allowed: The permitted values.

    Returns:
        `value`, unchanged.
    """
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"{name} must be one of {choices}; got {value!r}.")
    return value


def check_positive(name: str, value: Any) -> float:
    """Raises ValueError unless `value` is a finite number above zero.

    Returns:
        `value` as a float.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    # Infinity, and a whole number too large for a float, are no finite numbers.
    if not number or not 0 < value < sys.float_info.max:
        raise ValueError(f"{name} must be a finite number above 0; got {value!r}.")
    return float(value)


def check_range(name: str, value: Any, low: float, high: float) -> float:
    """Raises ValueError unless `value` is a number in [low, high].

    Returns:
        `value` as a float.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}; got {value!r}.")
    return float(value)


def check_whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Raises ValueError unless `value` is a whole number in [low, high].

    Returns:
        `value` as an int.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {bounds}; got {value!r}.")
    return int(value)


def check_seed(seed: Any) -> int | None:
    """Raises ValueError unless `seed` is None or a whole number that Keras takes.

    Returns:
        `seed`, as an int where it is a number.
    """
    return seed if seed is None else check_whole("seed", seed, 0, 2**31 - 1)


def check_floats(name: str, images: Tensor) -> None:
    """Raises ValueError unless an array or a tensor of any backend holds floats."""
    dtype = getattr(images.dtype, "name", images.dtype)
    if "float" not in dtype:
        raise ValueError(
            f"{name} must be floats, scaled as the net expects them; got dtype {dtype}."
        )


def check_flag(name: str, value: object) -> bool:
    """Raises ValueError unless `value` is True or False.

    Returns:
        `value`, unchanged.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False; got {value!r}.")
    return value


def check_label_rows(name: str, labels: ArrayLike, images: Sized) -> np.ndarray:
    """Raises ValueError unless `labels` are rows of class weights for `images`.

    Args:
        name: The argument's name, for the message.
        labels: float array (n, classes); each row non-negative with sum 1, as
            one-hot labels and mixed labels are.
        images: The array whose length n the labels must share.

    Returns:
        `labels` as an array.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise ValueError(
            f"{name} must be one-hot rows of shape (n, classes); got shape "
            f"{labels.shape}. keras.utils.to_categorical makes them from integers."
        )
    if len(labels) != len(images):
        raise ValueError(
            f"{name} must have one row for each image: {len(images)} images, "
            f"{len(labels)} rows."
        )
    if labels.size and (
        labels.min() < 0 or not np.allclose(labels.sum(axis=1), 1, atol=1e-4)
    ):
        raise ValueError(
            f"{name} must be one-hot rows: no entry below 0 and every row with sum 1."
        )
    return labels
