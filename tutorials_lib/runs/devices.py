"""Spreads the batches of a run over several devices of one machine, on JAX."""

import contextlib
import os
import re
from collections.abc import Iterator


def read_devices() -> int:
    """Reads how many devices TUTORIALS_DEVICES asks for; 1 where it is not set.

    Raises:
        ValueError: it holds no whole number of at least 1.
    """
    said = os.environ.get("TUTORIALS_DEVICES") or "1"
    if not said.isdecimal() or int(said) < 1:
        raise ValueError(
            f"TUTORIALS_DEVICES must be a whole number of at least 1; got {said!r}."
        )
    return int(said)


def check_devices(number: int) -> None:
    """Checks that so many devices can share the batches.

    Args:
        number: How many, as a whole number.

    Raises:
        ValueError: another backend than JAX, or not so many devices.
    """
    import keras

    if keras.backend.backend() != "jax":
        raise ValueError(
            f"devices: Keras spreads batches on JAX alone; the backend is "
            f"{keras.backend.backend()} (KERAS_BACKEND=jax chooses)."
        )
    there = len(keras.distribution.list_devices())
    if not 1 <= number <= there:
        raise ValueError(f"devices must be from 1 to {there}; got {number}.")


@contextlib.contextmanager
def spread_batches() -> Iterator[int]:
    """Has every device take its share of each batch, as many as TUTORIALS_DEVICES says.

    Every batch must divide by their number, the last of an epoch too.

    Yields:
        The number of devices.

    Raises:
        ValueError: see `read_devices` and `check_devices`, or a batch that does not
            divide.
    """
    number = read_devices()
    if number == 1:
        yield 1
        return
    import keras

    check_devices(number)
    devices = keras.distribution.list_devices()[:number]
    try:
        with keras.distribution.DataParallel(devices=devices).scope():
            yield number
    # What JAX raises is a RuntimeError, worded one way or another by its versions.
    except (ValueError, RuntimeError) as error:
        if not re.search("evenly divide|divisible", str(error)):
            raise
        raise ValueError(
            f"devices: every batch must divide by {number}, the last of an epoch too; "
            f"choose another batch_size or number of devices ({error})."
        ) from error
