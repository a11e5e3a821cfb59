"""Averages, scores and corruptions against NumPy, SciPy and what Pillow does."""

import colorsys
import io

import keras
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tutorials_lib.evaluate import (
    CORRUPTIONS,
    ScoreEpochs,
    average_members,
    corrupt_images,
    count_confidence,
    measure_accuracy,
    measure_calibration,
    predict_draws,
)


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


def test_draws_are_of_each_image_in_order():
    """The image itself first if asked for, then what the layer makes of its batch."""
    # Each image is a pixel, its number.
    greys = np.arange(11, dtype="float32").reshape(-1, 1, 1, 1)
    inputs = keras.Input((1, 1, 1))
    # What the model itself augments in training stays out.
    grey = keras.layers.Flatten()(AddCount()(inputs))
    model = keras.Model(inputs, keras.layers.Concatenate()([grey, grey * grey]))
    found = predict_draws(model, greys, AddCount(), 2, batch_size=4, identity=True)
    # Three batches a draw, the last of which is smaller.
    batch = np.arange(11) // 4
    for draw, added in zip(found, (0, 1 + batch, 4 + batch), strict=True):
        right = np.arange(11) + added
        np.testing.assert_allclose(draw, np.stack([right, right**2], axis=1), rtol=1e-5)


def test_scores_of_each_epoch_are_those_at_its_end(model, images, labels):
    """And scoring leaves training as it is."""
    start, held_out = model.get_weights(), (images[:9], labels[:9])
    fit = {"batch_size": 8, "verbose": 0, "shuffle": False}
    score = ScoreEpochs(test=held_out, other=(images[9:], labels[9:]))
    fit |= {"x": images, "y": labels, "epochs": 3}
    history = model.fit(**fit, validation_data=held_out, callbacks=[score]).history
    for name in ("loss", "accuracy"):
        assert history[f"test_{name}"] == pytest.approx(history[f"val_{name}"])
    assert len({*history["test_loss"], *history["other_loss"]}) == 6
    model.set_weights(start)
    assert history["loss"] == pytest.approx(model.fit(**fit).history["loss"], rel=1e-6)


def test_confidence_and_calibration_by_hand():
    """Three images 0.8 sure, two of them right; one 0.5 sure, one 1, both right."""
    rows = np.array([[0.8, 0.2], [0.2, 0.8], [0.8, 0.2], [0.5, 0.5], [1, 0]])
    labels = np.eye(2)[[0, 0, 0, 0, 0]]
    assert measure_accuracy(rows, labels) == 0.8
    counts = count_confidence(rows, labels)
    assert counts["images"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 3, 1]
    assert counts["right"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 2, 1]
    np.testing.assert_allclose(counts["confidence"][[5, 8, 9]], [0.5, 2.4, 1])
    # (|2 - 2.4| + |1 - 0.5| + |1 - 1|) / 5
    assert measure_calibration(counts) == pytest.approx(0.18)


@pytest.fixture(scope="module")
def smooth():
    """Smooth images of middling values, so that little is cut off; of unequal sides."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20, 32, 28, 3))
    blurred = ndimage.gaussian_filter(noise, (0, 2, 2, 0))
    return np.clip(128 + 250 * blurred, 40, 200).astype("uint8")


@pytest.mark.parametrize("corruption", list(CORRUPTIONS))
def test_stronger_is_further_away_and_images_keep_their_order(smooth, corruption):
    errors = []
    for strength in range(1, 6):
        changed = corrupt_images(smooth, corruption, strength)
        assert changed.dtype == np.uint8
        assert changed.shape == smooth.shape
        # Of all images, each is most like its own original.
        alike = np.corrcoef(changed.reshape(20, -1), smooth.reshape(20, -1))[:20, 20:]
        assert (alike.argmax(axis=1) == np.arange(20)).all()
        errors.append(np.abs(changed.astype(int) - smooth).mean())
    assert errors == sorted(errors)
    assert errors[0] > 0.05


def test_noise_has_its_deviation(smooth):
    for strength, deviation in enumerate(CORRUPTIONS["noise"], start=1):
        changed = corrupt_images(smooth, "noise", strength)
        error = (changed.astype(float) - smooth) / 255
        assert error.std() == pytest.approx(deviation, rel=0.05)
    assert np.array_equal(changed, corrupt_images(smooth, "noise", 5))
    # No value wraps around.
    ends = 255 * np.random.default_rng(0).integers(0, 2, (3, 9, 7, 3)).astype("uint8")
    assert np.abs(corrupt_images(ends, "noise", 5).astype(int) - ends).max() < 128


def test_blur_is_near_a_gaussian(smooth):
    changed = corrupt_images(smooth, "blur", 5).astype(float)
    expected = ndimage.gaussian_filter(smooth.astype(float), (0, 1, 1, 0))
    inner = (slice(None), slice(4, -4), slice(4, -4))
    before = np.abs(smooth - expected)[inner].mean()
    assert np.abs(changed - expected)[inner].mean() < 0.2 * before


def test_contrast_is_about_each_channel_s_mean(smooth):
    changed = corrupt_images(smooth, "contrast", 4).astype(float)
    means = smooth.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(changed, means + 0.3 * (smooth - means), atol=1.01)


def test_brightness_is_added_to_the_value_of_hsv(smooth):
    changed = corrupt_images(smooth, "brightness", 3)
    for before, after in zip(smooth[0, 0], changed[0, 0], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(before / 255))
        expected = colorsys.hsv_to_rgb(hue, saturation, min(value + 0.15, 1))
        np.testing.assert_allclose(after, 255 * np.array(expected), atol=1.01)
    black = np.zeros((1, 4, 4, 3), "uint8")
    assert (corrupt_images(black, "brightness", 3) == 38).all()


def test_pixelate_leaves_a_coarser_grid(smooth):
    changed = corrupt_images(smooth, "pixelate", 5)
    # int(0.65 * 28) = 18 of 28 columns remain, and those between are mixed of two.
    fewer = [np.linalg.matrix_rank(x[:, :, 0].astype(float), tol=20) for x in changed]
    assert max(fewer) <= 18
    assert abs(changed.mean() - smooth.mean()) < 1


def test_jpeg_is_that_of_its_quality(smooth):
    packed = io.BytesIO()
    Image.fromarray(smooth[7]).save(packed, "JPEG", quality=50)
    changed = corrupt_images(smooth, "jpeg", 4)
    np.testing.assert_array_equal(changed[7], np.asarray(Image.open(packed)))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda x: count_confidence([[0.5, np.nan]], [[1, 0]]), "rows"),
        (lambda x: count_confidence([[2.0, -1.0]], [[1, 0]]), "rows"),
        (lambda x: count_confidence([[0.5, 0.5]], [[1, 1]]), "labels"),
        (lambda x: average_members([np.full((2, 3), np.nan)] * 2), "predictions"),
        (lambda x: predict_draws(None, x, AddCount(), 1), "images"),
        (lambda x: corrupt_images(x, "blur", 0), "strength"),
        (lambda x: corrupt_images(x / 255, "blur", 1), "images"),
        (lambda x: corrupt_images(x[0], "blur", 1), "images"),
    ],
)
def test_what_would_be_scored_or_corrupted_in_silence(smooth, call, named):
    with pytest.raises(ValueError, match=named):
        call(smooth)
