"""Stochastic depth against its law: what survives, how often, and how it is scaled."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from tutorials_lib.noise import StochasticDepth


@pytest.fixture
def branch():
    return np.random.default_rng(0).normal(size=(6, 3, 4, 2)).astype("float32")


@pytest.mark.parametrize("dropped_per", ["batch", "image"])
def test_a_branch_is_whole_or_zero(branch, dropped_per):
    layer = StochasticDepth(0.6, dropped_per, seed=0)
    found = np.stack([layer(branch, training=True) for _ in range(150)])
    kept = np.abs(found).sum(axis=(2, 3, 4)) > 0
    np.testing.assert_array_equal(found, kept[:, :, None, None, None] * branch)
    alike = (kept == kept[:, :1]).all(axis=1)
    if dropped_per == "batch":
        assert alike.all()
        drawn = kept[:, 0]
    else:
        # Six images agree by chance with probability 0.6^6 + 0.4^6 = 0.05.
        assert alike.mean() < 0.15
        drawn = kept.ravel()
    assert stats.binomtest(int(drawn.sum()), drawn.size, 0.6).pvalue > 1e-3


@pytest.mark.parametrize("survival", [0, 0.8, 1])
def test_scaled_in_testing_and_certain_at_0_and_1(branch, survival):
    layer = StochasticDepth(survival, "image")
    tested = ops.convert_to_numpy(layer(branch))
    np.testing.assert_allclose(tested, survival * branch, rtol=1e-6)
    if survival in (0, 1):
        found = ops.convert_to_numpy(layer(branch, training=True))
        np.testing.assert_array_equal(found, survival * branch)


def test_under_fit_and_jit_with_batches_of_unknown_size(branch):
    """A block whose branch is dropped for good passes its input on."""
    inputs = keras.Input((3, 4, 2))
    dropped = StochasticDepth(0, "image")(keras.layers.Conv2D(2, 1)(inputs))
    model = keras.Model(inputs, keras.layers.Add()([inputs, dropped]))
    model.compile("sgd", "mse", jit_compile=True)
    history = model.fit(branch, branch, batch_size=4, verbose=0).history
    assert history["loss"] == [0]


def test_bad_arguments():
    with pytest.raises(ValueError, match="survival"):
        StochasticDepth(1.1)
    with pytest.raises(ValueError, match="dropped_per"):
        StochasticDepth(0.5, "pixel")
