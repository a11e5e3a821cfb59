"""Checks of arguments, each with an error that says what is allowed."""

import math
import numbers
from collections.abc import Collection, Iterable, Sized
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.tensors import Tensor

Choice = TypeVar("Choice")

# Keras' names of dtype policies that a chapter may train with.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
# More of anything than fits in memory.
MOST = 10**9


def check_choice(name: str, value: Choice, allowed: Collection[Choice]) -> Choice:
    """Raises ValueError unless `value` is one of `allowed`.

    Args:
        name: The argument's name, for the message.
        value: What was passed.
        allowed: The permitted values.

    Returns:
        `value`, unchanged.
    """
    # An array among strings has no truth value, and one of one string has a wrong one.
    if not any(isinstance(value, type(each)) and value == each for each in allowed):
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"{name} must be one of {choices}; got {value!r}.")
    return value


def check_positive(name: str, value: Any) -> float:
    """Raises ValueError unless `value` is a finite number above zero.

    Returns:
        `value` as a float.
    """
    number = _read_number(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be a finite number above 0; got {value!r}.")
    return number


def check_range(name: str, value: Any, low: float, high: float) -> float:
    """Raises ValueError unless `value` is a number in [low, high].

    Returns:
        `value` as a float.
    """
    number = _read_number(value)
    if not low <= number <= high:
        raise ValueError(f"{name} must be from {low} to {high}; got {value!r}.")
    return number


def _read_number(value):
    """The value as a float, NaN where it is no number that a float holds."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


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


def check_count(name: str, value: Any, low: int = 1) -> int:
    """Raises ValueError unless `value` is a number of things that memory can hold.

    Returns:
        `value` as an int.
    """
    count = check_whole(name, value, low)
    if count > MOST:
        raise ValueError(f"{name} must be at most {MOST}; got {value!r}.")
    return count


def check_size(name: str, size: Any) -> tuple[int, int]:
    """Raises ValueError unless `size` is a height and a width in pixels.

    Returns:
        Height and width as ints.
    """
    try:
        height, width = size
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be (height, width); got {size!r}.") from None
    return check_count(name, height), check_count(name, width)


def check_seed(seed: Any) -> int | None:
    """Raises ValueError unless `seed` is None or a whole number that Keras takes.

    Returns:
        `seed`, as an int where it is a number.
    """
    return seed if seed is None else check_whole("seed", seed, 0, 2**31 - 1)


def check_array(name: str, values: Any) -> np.ndarray:
    """Raises ValueError unless `values` are numbers in rows of one length.

    Returns:
        `values` as a NumPy array, of the dtype that they have.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "buif" and "float" not in array.dtype.name:
        raise ValueError(
            f"{name} must be an array of numbers; got {type(values).__name__} of dtype "
            f"{array.dtype}."
        )
    return array


def read_values(name: str, tensor: Any) -> np.ndarray | None:
    """Returns what an array or a tensor holds as a NumPy array; None inside of jit."""
    try:
        tensor = np.asarray(tensor)
    # What a tensor raises that has no values yet: TensorFlow, JAX, Keras.
    except (NotImplementedError, TypeError, ValueError):
        if hasattr(tensor, "dtype"):
            return None
    return check_array(name, tensor)


def check_finite(name: str, values: Any) -> Any:
    """Raises ValueError if an array holds NaN or infinity in single precision.

    A tensor inside of jit has no values yet and passes.

    Returns:
        `values`, unchanged.
    """
    found = read_values(name, values)
    if found is None or not found.size:
        return values
    # The extremes show both, without an array of flags beside a large one.
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = found.min(), found.max()
        finite = np.isfinite(np.array([low, high], dtype="float32")).all()
    if not finite:
        raise ValueError(
            f"{name} must hold finite numbers of single precision; got values from "
            f"{low} to {high}."
        )
    return values


def check_arrays(name: str, arrays: Iterable[ArrayLike]) -> list[np.ndarray]:
    """Raises unless `arrays` is a sequence of what `check_array` takes.

    Raises:
        TypeError: no sequence.
        ValueError: one that is no array of numbers.

    Returns:
        Them as NumPy arrays.
    """
    try:
        return [check_array(name, array) for array in arrays]
    except TypeError:
        raise TypeError(
            f"{name} must be a sequence of arrays; got {arrays!r}."
        ) from None


def check_numbers(name: str, values: Any) -> np.ndarray:
    """Raises ValueError unless `values` are a sequence of finite numbers, at least one.

    Returns:
        float64 array (n,).
    """
    if isinstance(values, range):
        values = list(values)
    found = check_finite(name, check_array(name, values))
    if found.ndim != 1 or not len(found):
        raise ValueError(f"{name} must be a sequence of numbers; got {values!r}.")
    return found.astype("float64")


def check_pair(name: str, values: Any, low: float) -> np.ndarray:
    """Raises ValueError unless `values` are two finite numbers above `low`.

    Returns:
        float64 array (2,).
    """
    found = check_numbers(name, values)
    if len(found) != 2 or not (found > low).all():
        raise ValueError(f"{name} must be two numbers above {low}; got {values!r}.")
    return found


def check_batch(name: str, n: Any) -> None:
    """Raises ValueError unless `n` is a number of images; inside of jit a tensor."""
    found = read_values(name, n)
    if found is not None:
        check_count(name, n if found.ndim else found.item(), 0)


def check_floats(name: str, images: Tensor) -> None:
    """Raises unless an array or a tensor of any backend holds floats.

    Raises:
        TypeError: no array.
        ValueError: an array of another dtype.
    """
    if not hasattr(images, "dtype"):
        raise TypeError(
            f"{name} must be an array of floats; got {type(images).__name__}."
        )
    dtype = getattr(images.dtype, "name", str(images.dtype))
    if "float" not in dtype:
        raise ValueError(
            f"{name} must be floats, scaled as the net expects them; got dtype {dtype}."
        )


def check_images(name: str, images: Tensor, channels: int | str = "channels") -> None:
    """Raises unless images are floats (n, height, width, channels) of some size.

    Args:
        name: The argument's name, for the message.
        images: Array or tensor of any backend.
        channels: How many there must be; any number without it.

    Raises:
        TypeError: no array.
        ValueError: an array of another dtype or shape.
    """
    check_floats(name, images)
    shape = tuple(images.shape)
    right = len(shape) == 4 and all(shape[1:])
    if not right or channels not in ("channels", shape[-1]):
        raise ValueError(
            f"{name} must have shape (n, height, width, {channels}); got {shape}."
        )


def check_samples(name: str, values: Tensor) -> None:
    """Raises unless `values` are finite floats (n, ...), at least one.

    Raises:
        TypeError: no array.
        ValueError: an array of another dtype or shape, numbers that are not finite.
    """
    check_floats(name, values)
    shape = tuple(values.shape)
    if len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"{name} must have shape (n, ...), none of them 0; got {shape}."
        )
    check_finite(name, values)


def has_shape(values: Tensor, *shape: int | None) -> bool:
    """Whether an array is of a shape; a length unknown inside of jit, None, may be."""
    found = getattr(values, "shape", None)
    if found is None or len(found) != len(shape):
        return False
    pairs = zip(found, shape, strict=True)
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def check_per_image(name: str, values: Tensor, n: int | None) -> None:
    """Raises ValueError unless there is a finite number for each of `n` images."""
    if not has_shape(values, n):
        raise ValueError(
            f"{name} must be an array, a number for each of {n} images; got {values!r}."
        )
    check_finite(name, values)


def check_vector(name: str, values: Any) -> Tensor:
    """Raises ValueError unless `values` are a finite number or a row of them.

    Returns:
        `values`, as an array where it is neither array nor tensor.
    """
    if not hasattr(values, "shape"):
        values = check_array(name, values)
    if len(values.shape) > 1:
        raise ValueError(
            f"{name} must be a number or an array (n,); got shape {values.shape}."
        )
    return check_finite(name, values)


def check_predictions(name: str, rows: Any, from_logits: bool) -> Tensor:
    """Raises ValueError unless `rows` are finite, and probabilities or logits.

    Args:
        name: The argument's name, for the message.
        rows: Array or tensor (n, classes); inside of jit its values are unknown.
        from_logits: Whether any finite number will do.

    Returns:
        `rows`, as an array where it is neither array nor tensor.
    """
    if not hasattr(rows, "shape"):
        rows = check_array(name, rows)
    if len(rows.shape) != 2 or not rows.shape[1]:
        raise ValueError(f"{name} must have shape (n, classes); got {rows.shape}.")
    check_finite(name, rows)
    found = None if from_logits else read_values(name, rows)
    if found is not None and not are_probabilities(found):
        raise ValueError(
            f"{name} must be rows of probabilities that sum to 1, or from_logits True; "
            f"got {found}."
        )
    return rows


def are_probabilities(rows: np.ndarray) -> bool:
    """Whether no number is below 0 and every row of (n, classes) has about sum 1."""
    sums = rows.astype("float64").sum(axis=1)
    return bool((rows >= 0).all() and np.allclose(sums, 1, atol=1e-2))


def check_callable(name: str, function: Any) -> Any:
    """Raises TypeError unless `function` can be called.

    Returns:
        `function`, unchanged.
    """
    if not callable(function):
        raise TypeError(f"{name} must be a function; got {function!r}.")
    return function


def check_flag(name: str, value: object) -> bool:
    """Raises ValueError unless `value` is True or False.

    Returns:
        `value`, unchanged.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False; got {value!r}.")
    return value


def check_class_numbers(name: str, labels: ArrayLike) -> np.ndarray:
    """Raises ValueError unless `labels` are whole numbers (n,), at least one.

    Returns:
        `labels` as an array.
    """
    labels = check_array(name, labels)
    whole = np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{name} must be whole numbers of shape (n,), n of at least 1; got "
            f"{labels.dtype} of shape {labels.shape}."
        )
    return labels


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
    labels = check_array(name, labels)
    if labels.ndim != 2 or not labels.shape[1]:
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
