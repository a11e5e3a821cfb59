"""Drawn shapes: told apart by their shape alone."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tutorials_lib.support.samples import draw_samples


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_separable_by_shape_alone(shape):
    x, y = draw_samples(1000, shape, seed=0)
    x_new, y_new = draw_samples(300, shape, seed=1)

    def standardise(images):
        flat = images.reshape(len(images), -1).astype(float)
        return (flat - flat.mean(axis=1, keepdims=True)) / flat.std(axis=1)[:, None]

    nearest = cdist(standardise(x_new), standardise(x)).argmin(axis=1)
    assert (y[nearest] == y_new).mean() > 0.95
    # Brightness gives little away: a classifier must look at the shape.
    means = [x[y == k].mean() for k in range(10)]
    guess = np.abs(x_new.mean(axis=(1, 2, 3))[:, None] - means).argmin(axis=1)
    assert (guess == y_new).mean() < 0.35


@pytest.mark.parametrize(("n", "shape"), [(1, (28, 28, 1)), (53, (7, 12, 3))])
def test_seeds_repeat_and_differ_and_classes_are_even(n, shape):
    images, labels = draw_samples(n, shape, seed=3)
    assert (images.dtype, images.shape) == (np.uint8, (n, *shape))
    assert np.ptp(np.bincount(labels, minlength=10)) <= 1
    assert len({image.tobytes() for image in images}) == n
    np.testing.assert_array_equal(draw_samples(n, shape, seed=3)[0], images)
    assert not np.array_equal(draw_samples(n, shape, seed=4)[0], images)
