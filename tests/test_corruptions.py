"""Corruptions against what their names say, worked by other means."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tutorials_lib.evaluate import CORRUPTIONS, corrupt_images


@pytest.fixture(scope="module")
def images():
    """Smooth images of middling values, so that little is cut off."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20, 32, 32, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 0))
    return np.clip(128 + 250 * smooth, 40, 200).astype("uint8")


@pytest.mark.parametrize("corruption", list(CORRUPTIONS))
def test_stronger_is_further_away_and_images_keep_their_order(images, corruption):
    errors = []
    for strength in range(1, 6):
        changed = corrupt_images(images, corruption, strength)
        assert changed.dtype == np.uint8
        assert changed.shape == images.shape
        # Of all images, each is most like its own original.
        flat, own = (x.reshape(20, -1).astype(float) for x in (changed, images))
        flat -= flat.mean(axis=1, keepdims=True)
        own -= own.mean(axis=1, keepdims=True)
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        assert ((flat @ own.T).argmax(axis=1) == np.arange(20)).all()
        errors.append(np.abs(changed.astype(int) - images).mean())
    assert errors == sorted(errors)
    assert errors[0] > 0.05


def test_noise_has_its_deviation_and_its_seed(images):
    for strength, deviation in enumerate(CORRUPTIONS["noise"], start=1):
        changed = corrupt_images(images, "noise", strength, seed=3)
        error = (changed.astype(float) - images) / 255
        assert error.std() == pytest.approx(deviation, rel=0.05)
    again = corrupt_images(images, "noise", 5, seed=3)
    assert np.array_equal(changed, again)
    assert not np.array_equal(changed, corrupt_images(images, "noise", 5, seed=4))


def test_blur_is_near_a_gaussian(images):
    changed = corrupt_images(images, "blur", 5).astype(float)
    expected = ndimage.gaussian_filter(images.astype(float), (0, 1, 1, 0))
    inner = (slice(None), slice(4, -4), slice(4, -4))
    before = np.abs(images - expected)[inner].mean()
    assert np.abs(changed - expected)[inner].mean() < 0.2 * before


def test_contrast_is_about_each_channel_s_mean(images):
    changed = corrupt_images(images, "contrast", 4).astype(float)
    means = images.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(changed, means + 0.3 * (images - means), atol=1.01)


def test_brightness_is_added_to_the_value_of_hsv(images):
    changed = corrupt_images(images, "brightness", 3)
    for before, after in zip(images[0, 0], changed[0, 0], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(before / 255))
        expected = colorsys.hsv_to_rgb(hue, saturation, min(value + 0.15, 1))
        np.testing.assert_allclose(after, 255 * np.array(expected), atol=1.01)
    black = np.zeros((1, 4, 4, 3), "uint8")
    assert (corrupt_images(black, "brightness", 3) == 38).all()


def test_pixelate_leaves_a_coarser_grid(images):
    changed = corrupt_images(images, "pixelate", 5)
    # int(0.65 * 32) = 20 of 32 rows remain, and those between are mixed of two.
    fewer = [np.linalg.matrix_rank(x[:, :, 0].astype(float), tol=20) for x in changed]
    assert max(fewer) <= 20
    assert abs(changed.mean() - images.mean()) < 1


def test_jpeg_is_that_of_its_quality(images):
    packed = io.BytesIO()
    Image.fromarray(images[7]).save(packed, "JPEG", quality=50)
    changed = corrupt_images(images, "jpeg", 4)
    np.testing.assert_array_equal(changed[7], np.asarray(Image.open(packed)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corruption": "snow"}, "corruption must be one of 'noise'"),
        ({"strength": 0}, "strength must be a whole number from 1 to 5"),
        ({"strength": 6}, "strength must be"),
        ({"images": np.zeros((2, 8, 8, 3))}, "images must be uint8 .* got float64"),
        ({"images": np.zeros((2, 8, 8, 1), "uint8")}, "images must be uint8 of shape"),
    ],
)
def test_refused(images, change, said):
    arguments = {"images": images, "corruption": "blur", "strength": 1, **change}
    with pytest.raises(ValueError, match=said):
        corrupt_images(**arguments)
