"""What counts as floats; other checks are tested where a user meets them."""

import keras
import numpy as np
import pytest

from tutorials_lib.support import checks


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
