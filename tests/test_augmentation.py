"""What Keras does with augmenting layers: fits through them, saves and loads them."""

import keras
import numpy as np
import pytest

from tutorials_lib.rand_augment import RandAugment
from tutorials_lib.warp import RandomWarp

pytestmark = pytest.mark.parametrize(
    "make_layer",
    [
        lambda: RandomWarp(5, 0.1, 0.3, 0.4, off_centre=True, seed=9),
        lambda: RandAugment("paper", operations=3, level=4, seed=5, stretch=True),
    ],
    ids=["warp", "rand_augment"],
)


@pytest.mark.parametrize(
    "jit_compile", ["auto", pytest.param(True, marks=pytest.mark.slow)]
)
def test_inside_a_model_it_is_seen_by_the_loss(colour, make_layer, jit_compile):
    """Under `fit` and jit: a net that returns its input is scored on the change."""
    layer = make_layer()
    assert layer.supports_jit
    model = keras.Sequential([keras.Input((10, 14, 3)), layer])
    model.add(keras.layers.Rescaling(1.0))
    model.compile(loss="mse", jit_compile=jit_compile)
    # Batches of unequal size, so that under TensorFlow their size is not static.
    history = model.fit(colour, colour, batch_size=5, verbose=0).history
    assert history["loss"][0] > 0.01
    assert model.evaluate(colour, colour, verbose=0) == pytest.approx(0, abs=1e-9)


def test_saved_and_loaded(colour, make_layer, tmp_path):
    layer = make_layer()
    model = keras.Sequential([keras.Input((10, 14, 3)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    np.testing.assert_array_equal(
        layer(colour, training=True), loaded(colour, training=True)
    )
