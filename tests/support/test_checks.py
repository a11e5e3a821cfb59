"""Each check returns what is right as it is, and names what is not."""

import keras
import numpy as np
import pytest

from tutorials_lib.support import checks

ROWS = np.array([[1, 0], [0.3, 0.7]])


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (lambda *x: checks.check_choice(*x, ("a", 1)), ["a", 1], ["b", 1.0, None]),
        (checks.check_positive, [0.5, 3], [0, -1, np.inf, np.nan, "1", True]),
        (lambda *x: checks.check_range(*x, 0, 2), [0, 2, 0.5], [-1, 3, np.nan, None]),
        (lambda *x: checks.check_whole(*x, 1, 5), [1, 5], [0, 6, 2.0, True, "2"]),
        (checks.check_flag, [True, False], [1, None]),
        (
            checks.check_finite,
            [np.zeros(3), np.zeros(0)],
            [np.array([0, np.nan]), np.array([-np.inf, 0])],
        ),
        (
            lambda *x: checks.check_label_rows(*x, np.zeros(2)),
            [ROWS],
            [ROWS[0], ROWS[:1], 2 * ROWS, -ROWS, ROWS - 0.5, ROWS * np.nan],
        ),
    ],
)
def test_right_and_wrong(check, right, wrong):
    for value in right:
        assert check("argument", value) is value or check("argument", value) == value
    for value in wrong:
        with pytest.raises(ValueError, match="argument"):
            check("argument", value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_floats_of_any_backend(dtype):
    images = keras.ops.zeros((2, 4, 4, 3), dtype)
    checks.check_images("images", images, 3)
    checks.check_floats("images", keras.KerasTensor((None, 4), dtype))
    with pytest.raises(ValueError, match="images"):
        checks.check_images("images", images, 1)
    for whole in (np.zeros((2, 4), "uint8"), keras.ops.zeros((2, 4), "int32")):
        with pytest.raises(ValueError, match="images"):
            checks.check_floats("images", whole)
