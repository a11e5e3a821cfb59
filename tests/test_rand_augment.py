"""RandAugment against Pillow, operation by operation, and against hand counts."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image, ImageEnhance, ImageOps

from tutorials_lib.rand_augment import (
    LEVELS,
    OPERATIONS,
    POLICIES,
    RandAugment,
    apply_operations,
    list_magnitudes,
    stretch_images,
)


def run_pillow(policy, name, magnitude, sign, image):
    """One operation in Pillow, as the article's generator (or the paper's) has it."""
    article, side = policy == "article", 1 - 2 * sign
    fill = None if article else (128, 128, 128)
    bilinear = Image.Resampling.BILINEAR
    size = image.size
    if name == "rotate":
        if not article:
            return image.rotate(side * magnitude, bilinear, fillcolor=fill)
        turned = image.convert("RGBA").rotate(magnitude)
        grey = Image.new("RGBA", turned.size, (128,) * 4)
        return Image.composite(turned, grey, turned).convert("RGB")
    if name.startswith(("shear", "translate")):
        matrix = [1, 0, 0, 0, 1, 0]
        place = {"shear_x": 1, "shear_y": 3, "translate_x": 2, "translate_y": 5}[name]
        scale = {2: size[0], 5: size[1]}.get(place, 1)
        matrix[place] = side * magnitude * scale
        sampling = Image.Resampling.NEAREST
        if name.startswith("shear"):
            sampling = Image.Resampling.BICUBIC if article else bilinear
        return image.transform(
            size, Image.Transform.AFFINE, matrix, sampling, fillcolor=fill
        )
    if name == "solarize":
        return ImageOps.solarize(image, magnitude)
    if name == "posterize":
        return ImageOps.posterize(image, int(magnitude))
    if name == "autocontrast":
        return ImageOps.autocontrast(image)
    if name == "equalize":
        return image if article else ImageOps.equalize(image)
    enhance = getattr(ImageEnhance, name.capitalize())
    return enhance(image).enhance(1 + side * magnitude)


@pytest.fixture(scope="module")
def pictures():
    """Noise over the whole range, a dark and smooth one, one colour, two values."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (32, 32, 3))
    noise[0, :2] = [[0], [255]]
    slope = np.linspace(20, 180, 32)[:, None, None] + rng.integers(0, 40, (32, 32, 3))
    single = np.full((32, 32, 3), (10, 200, 90))
    two = np.where(rng.random((32, 32, 1)) < 0.3, (20, 40, 60), (90, 80, 70))
    return np.stack([noise, slope, single, two]).astype("uint8")


def apply(images, *drawn):
    """As `apply_operations`, from integers to integers."""
    return np.round(255 * apply_operations(images / 255, *drawn)).astype(int)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_operation_at_every_level_is_pillow_s(policy, pictures):
    magnitudes = list_magnitudes(policy)
    places = itertools.product(OPERATIONS, range(len(pictures)), range(LEVELS), (0, 1))
    cases = list(places)
    names, image, level, sign = (np.array(each) for each in zip(*cases, strict=True))
    # All in one batch, so that a mix-up between images would show.
    found = apply(pictures[image], names, level, sign, policy)
    for (name, image, level, sign), ours in zip(cases, found, strict=True):
        # All but what interpolates, and autocontrast, whose quotients may be whole.
        exact = not name.startswith(("shear", "autocontrast"))
        exact &= (name, policy) != ("rotate", "paper")
        picture = Image.fromarray(pictures[image])
        theirs = run_pillow(policy, name, magnitudes[name][level], sign, picture)
        error = np.abs(ours - np.asarray(theirs).astype(int))
        assert error.max() <= (0 if exact else 1), (name, level, sign)
        # Few values differ: sums that are whole but for their last bit.
        assert error.mean() < (0.06 if image < 2 else 0.3), (name, image, level, sign)


def test_one_image_stands_for_all(pictures):
    names, signs = ["rotate", "color"], [1, 0]
    expected = apply(pictures[[0, 0]], names, [3, 3], signs)
    np.testing.assert_array_equal(apply(pictures[0], names, 3, signs), expected)


def test_the_article_s_ranges_are_as_printed():
    magnitudes = list_magnitudes("article")
    assert tuple(magnitudes) == OPERATIONS
    assert magnitudes["posterize"] == [8, 8, 7, 7, 6, 6, 5, 5, 4, 4]
    ends = {"rotate": (0, 360), "solarize": (256, 231), "contrast": (0, 0.5)}
    ends |= {"brightness": (0, 0.3), "color": (0, 0.9), "sharpness": (0, 0.9)}
    ends |= dict.fromkeys(("shear_x", "shear_y"), (0, 0.3))
    ends |= dict.fromkeys(("translate_x", "translate_y"), (0, 0.2))
    for name, end in ends.items():
        np.testing.assert_allclose(magnitudes[name], np.linspace(*end, 10))


class TestLayer:
    def test_two_operations_one_after_the_other_drawn_anew(self, pictures):
        images = np.repeat(pictures[:2], 60, axis=0).astype("float32") / 255
        layer, other = RandAugment(seed=3), RandAugment(seed=3)
        found = [ops.convert_to_numpy(layer(images, training=True)) for _ in "ab"]
        assert not np.array_equal(*found)
        for each in found:
            expected = images
            for _ in range(2):
                expected = other.apply(expected, other.draw(len(images)))
            np.testing.assert_array_equal(each, ops.convert_to_numpy(expected))

    def test_drawn_for_each_image_and_evenly(self):
        layer = RandAugment(seed=0)
        drawn = {k: ops.convert_to_numpy(v) for k, v in layer.draw(13_000).items()}
        for name, number in (("operation", 13), ("level", 10), ("sign", 2)):
            counts = np.bincount(drawn[name], minlength=number)
            # Six standard deviations of a binomial count.
            expected = 13_000 / number
            assert np.abs(counts - expected).max() < 6 * np.sqrt(expected), name
        pairs = np.corrcoef([drawn["operation"], drawn["level"], drawn["sign"]])
        assert np.abs(pairs - np.eye(3)).max() < 0.05
        assert set(ops.convert_to_numpy(RandAugment(level=4).draw(99)["level"])) == {4}

    def test_one_layer_takes_images_of_any_size(self, pictures):
        RandAugment()(pictures.astype("float32") / 255, training=True)
        images = np.random.default_rng(0).integers(0, 256, (2, 20, 28, 3), "uint8")
        found = apply(images, "translate_x", 9, 1)
        for image, ours in zip(images, found, strict=True):
            picture = Image.fromarray(image)
            theirs = run_pillow("article", "translate_x", 0.2, 1, picture)
            np.testing.assert_array_equal(ours, theirs)

    def test_what_would_be_augmented_in_silence_is_refused(self):
        for options in ({"policy": "auto"}, {"operations": 0}, {"level": 10}):
            with pytest.raises(ValueError, match=next(iter(options))):
                RandAugment(**options)
        for images in (np.zeros((4, 8, 8, 3), "uint8"), np.zeros((4, 8, 8, 1))):
            with pytest.raises(ValueError, match="images"):
                RandAugment()(images, training=True)


def array_to_img(x):
    """What keras-preprocessing 1.1.1 makes of an image before Pillow gets it."""
    x = x - np.min(x)
    x_max = np.max(x)
    if x_max != 0:
        x /= x_max
    x *= 255
    return x.astype("uint8")


class TestStretch:
    @pytest.mark.parametrize(
        "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
    )
    def test_every_range_of_grey_values(self, jit_compile):
        # Lowest and highest value, and all between.
        ends = np.array([(a, b) for a in range(256) for b in range(a, 256)])[::5]
        values = np.clip(np.arange(256), ends[:, :1], ends[:, 1:])
        images = (values.reshape(-1, 16, 16, 1) / 255).astype("float32")
        model = keras.Sequential([keras.Input((16, 16, 1))])
        model.add(keras.layers.Lambda(stretch_images))
        model.compile(jit_compile=jit_compile)
        found = 255 * model.predict(images, batch_size=512, verbose=0)
        expected = np.stack([array_to_img(image) for image in images])
        np.testing.assert_array_equal(np.round(found), expected)
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_over_all_channels_before_the_operations(self, pictures):
        images = pictures.astype("float32") / 255
        plain, layer = RandAugment(seed=3), RandAugment(seed=3, stretch=True)
        expected = np.stack([array_to_img(image) for image in images]) / 255
        np.testing.assert_array_equal(
            layer(images, training=True),
            plain(expected.astype("float32"), training=True),
        )
