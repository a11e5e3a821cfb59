"""Test-time augmentation and ensembles against means worked in NumPy."""

import keras
import numpy as np
import pytest

from tutorials_lib.evaluate import average_members, predict_draws
from tutorials_lib.warp import RandomWarp


@keras.saving.register_keras_serializable("tests")
class AddCount(keras.layers.Layer):
    """In training adds 1, 2, 3, ... from call to call, which a mean can tell."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, images, training=False):
        if not training:
            return images
        self.count.assign(self.count + 1)
        return images + self.count


@pytest.fixture
def images():
    """Eleven images, each of one grey: its number."""
    return np.tile(np.arange(11.0).reshape(-1, 1, 1, 1), (1, 4, 4, 1)).astype("float32")


@pytest.fixture
def model():
    """Returns the mean grey and its square for each image."""
    inputs = keras.Input((4, 4, 1))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Concatenate()([mean, mean * mean]))


def test_draws_are_of_each_image_in_order(model, images):
    found = predict_draws(model, images, AddCount(), draws=3, batch_size=11)
    assert found.shape == (3, 11, 2)
    for number, draw in enumerate(found, start=1):
        greys = np.arange(11.0) + number
        np.testing.assert_allclose(draw, np.stack([greys, greys**2], axis=1), rtol=1e-5)
    # The mean of the answers, not the answer to the mean: 2/3 more in the square.
    mean = found.mean(axis=0)
    np.testing.assert_allclose(mean[:, 1] - mean[:, 0] ** 2, 2 / 3, rtol=1e-2)


def test_batches_that_do_not_divide_the_images_keep_the_order(model, images):
    quiet = RandomWarp(0, 0, 0, 0, flip=False)
    found = predict_draws(model, images, quiet, draws=2, batch_size=4)
    for draw in found:
        np.testing.assert_allclose(draw[:, 0], np.arange(11.0), atol=1e-5)


def test_identity_alone_is_predict(model, images):
    found = predict_draws(model, images, AddCount(), draws=0, identity=True)
    np.testing.assert_array_equal(found, [model.predict(images, verbose=0)])


def test_identity_comes_first(model, images):
    found = predict_draws(model, images, AddCount(), 2, batch_size=11, identity=True)
    np.testing.assert_allclose(found[:, 0, 0], [0, 1, 2])


def test_what_the_model_augments_in_training_stays_out(images):
    inner = AddCount()
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), inner, keras.layers.GlobalAveragePooling2D()]
    )
    found = predict_draws(model, images, AddCount(), 1, batch_size=11)
    np.testing.assert_allclose(found[0, :, 0], np.arange(11.0) + 1)


def test_members(images):
    rng = np.random.default_rng(0)
    one, two = rng.dirichlet(np.ones(3), size=(2, 5))
    np.testing.assert_allclose(average_members([one, two]), (one + two) / 2)
    np.testing.assert_allclose(average_members([one, one, one]), one)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"draws": 0}, "draws must be a whole number of at least 1; got 0"),
        ({"draws": -1, "identity": True}, "draws must be a whole number of at least 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"identity": 1}, "identity must be True or False"),
        ({"images": np.zeros((0, 4, 4, 1))}, "n of at least 1"),
        ({"images": np.zeros((4, 4, 1))}, "images must have shape"),
    ],
)
def test_bad_draws(model, images, changes, said):
    arguments = {"images": images, "augmentation": AddCount(), "draws": 1, **changes}
    with pytest.raises(ValueError, match=said):
        predict_draws(model, **arguments)


def test_bad_members():
    for bad in ([], [np.ones((2, 3)), np.ones((2, 4))], [np.ones(3)]):
        with pytest.raises(ValueError, match="predictions must hold at least one"):
            average_members(bad)
