"""Stochastic depth against its law: what survives, how often, and how it is scaled."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from tutorials_lib.noise import StochasticDepth, list_survivals


@pytest.fixture
def branch():
    return np.random.default_rng(0).normal(size=(6, 3, 4, 2)).astype("float32")


def draw(layer, branch, times):
    draws = [layer(branch, training=True) for _ in range(times)]
    return np.stack([ops.convert_to_numpy(each) for each in draws])


def test_survivals_of_the_article():
    found = list_survivals(16)
    assert len(found) == 16
    assert found[0] == pytest.approx(0.9875)
    assert found[-1] == pytest.approx(0.8)
    np.testing.assert_allclose(np.diff(found), -0.0125)
    assert list_survivals(2, 0.5) == [0.75, 0.5]


@pytest.mark.parametrize("dropped_per", ["batch", "image"])
def test_a_branch_is_whole_or_zero(branch, dropped_per):
    found = draw(StochasticDepth(0.6, dropped_per, seed=0), branch, 150)
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


def test_mean_of_training_is_the_test_output(branch):
    layer = StochasticDepth(0.8, "image", seed=1)
    mean = draw(layer, branch, 500).mean(axis=0)
    tested = ops.convert_to_numpy(layer(branch))
    np.testing.assert_allclose(tested, 0.8 * branch, rtol=1e-6)
    # Each image is kept in 80% of draws, give or take 0.018: five of these.
    np.testing.assert_allclose(mean / branch, 0.8, atol=0.09)


def test_certain_survivals(branch):
    for survival in (0, 1):
        layer = StochasticDepth(survival, "image")
        for training in (False, True):
            found = ops.convert_to_numpy(layer(branch, training=training))
            np.testing.assert_array_equal(found, survival * branch)


def test_under_fit_and_jit_with_batches_of_unknown_size(branch):
    """A block whose branch is dropped for good passes its input on."""
    inputs = keras.Input((3, 4, 2))
    dropped = StochasticDepth(0, "image")(keras.layers.Conv2D(2, 1)(inputs))
    model = keras.Model(inputs, keras.layers.Add()([inputs, dropped]))
    model.compile("sgd", "mse", jit_compile=True)
    history = model.fit(branch, branch, batch_size=4, verbose=0).history
    assert history["loss"] == [0]


def test_saved_and_loaded():
    layer = StochasticDepth(0.7, "image", seed=3, name="depth")
    again = StochasticDepth.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: StochasticDepth(1.1), "survival must be from 0 to 1; got 1.1"),
        (lambda: StochasticDepth(-0.1), "survival must be from 0 to 1; got -0.1"),
        (lambda: StochasticDepth(0.5, "pixel"), "dropped_per must be one of 'batch'"),
        (lambda: StochasticDepth(0.5, seed=-2), "seed must be a whole number"),
        (lambda: list_survivals(0), "blocks must be a whole number of at least 1"),
        (lambda: list_survivals(4, 2), "last must be from 0 to 1; got 2"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
