"""What the tests of properties share: how many cases, of what, and how to refuse.

TUTORIALS_EXAMPLES sets how many cases each test tries.
"""

import collections
import functools
import os
import pathlib
import re
import traceback
import warnings

import hypothesis
import keras
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tutorials_lib

EXAMPLES = int(os.environ.get("TUTORIALS_EXAMPLES", "25"))
PACKAGE = str(pathlib.Path(tutorials_lib.__file__).parent)
TRIED = collections.Counter()


def try_many(share=1.0, **drawn):
    """Runs a test on many drawn cases, the same ones each time, and counts them.

    Args:
        share: Of `EXAMPLES`, for what is slow.
        **drawn: Strategy of each argument.
    """

    def decorate(test):
        @functools.wraps(test)
        def counted(*args, **kwargs):
            TRIED[test.__qualname__] += 1
            return test(*args, **kwargs)

        return hypothesis.settings(
            max_examples=max(round(share * EXAMPLES), 2),
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )(hypothesis.given(**drawn)(counted))

    return decorate


SCALARS = [
    None,
    True,
    "",
    "beta",
    b"x",
    float("nan"),
    float("inf"),
    -float("inf"),
    0,
    -1,
    1,
    3,
    0.5,
    -0.5,
    1e-300,
    1e300,
    2**31,
    10**30,
    10**400,
    1j,
    np.float32("nan"),
    np.int64(-3),
    np.datetime64("2026-01-01"),
    {},
    {"a": 1},
    (),
    (1, 2, 3),
    (-1, 5),
    [],
    [[1], [1, 2]],
    ["a", "b"],
    [None, 1],
    object(),
]
DTYPES = ("f2", "f4", "f8", "i1", "u1", "i8", "?", "c8", "U1", "O")
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: npst.arrays(
        dtype,
        npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        elements=st.none() if dtype == "O" else None,
    )
)
JUNK = st.one_of(st.sampled_from(SCALARS), ARRAYS)


BAD_NUMBERS = (float("nan"), float("inf"), -float("inf"), -1, -0.1, 2, 1e30, 1e300)


@st.composite
def spoil(draw, value):
    """Strategy of arrays that miss by little: one number, the dtype or the shape."""
    array = np.array(value)
    way = draw(
        st.sampled_from(("number", "number", "dtype", "length", "axis", "scale"))
    )
    if way == "dtype":
        with np.errstate(invalid="ignore"):
            return array.astype(draw(st.sampled_from(DTYPES)))
    if way == "length":
        axis = draw(st.integers(0, array.ndim - 1))
        return array.take(range(draw(st.integers(0, array.shape[axis] - 1))), axis)
    if way == "axis":
        return draw(st.sampled_from((array[None], array[..., None], array[0])))
    if way == "scale":
        return array.astype("float64") * draw(st.sampled_from((0, -1, 2)))
    array = array.astype("float64")
    array.flat[draw(st.integers(0, array.size - 1))] = draw(
        st.sampled_from(BAD_NUMBERS)
    )
    return array


def draw_junk(value):
    """Strategy of what may stand in the place of a sound value."""
    try:
        numbers = np.array(value)
    except ValueError:
        return JUNK
    near = numbers.dtype.kind in "buif" and numbers.ndim and numbers.size
    return st.one_of(JUNK, spoil(value), spoil(value)) if near else JUNK


def draw_floats(shape, low=-1e3, high=1e3, dtype="float32"):
    """Strategy of float arrays of a shape, within bounds."""
    width = np.dtype(dtype).itemsize * 8
    low, high = (float(np.dtype(dtype).type(bound)) for bound in (low, high))
    return npst.arrays(dtype, shape, elements=st.floats(low, high, width=width))


@st.composite
def draw_rows(draw, n, classes, dtype="float32"):
    """Strategy of rows of probabilities."""
    weights = draw(draw_floats((n, classes), 0.0078125, 1, "float64"))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(dtype)


def make_network():
    """A small net, of images (4, 3, 3) to three classes."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 3, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def refuses(function, arguments, named):
    """Whether the package refuses arguments; else returns what it made of them.

    A refusal is a ValueError or TypeError raised by the package's own line, with the
    name of the argument in it. Anything else that is raised, numbers that overflow on
    the way among it, fails the test.

    Returns:
        (True, None) or (False, result).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            return False, function(**arguments)
    except (ValueError, TypeError) as error:
        said = str(error)
        assert re.search(rf"\b{named}\b", said), f"{named} is not in: {said}"
        where = traceback.extract_tb(error.__traceback__)[-1].filename
        assert where.startswith(PACKAGE), f"raised in {where}: {said}"
        return True, None


def is_finite(result):
    """Whether all numbers in a result are finite."""
    if isinstance(result, dict):
        return all(is_finite(each) for each in result.values())
    if isinstance(result, (tuple, list)):
        return all(is_finite(each) for each in result)
    if result is None or isinstance(result, str):
        return True
    return bool(np.isfinite(np.asarray(result, dtype="float64")).all())
