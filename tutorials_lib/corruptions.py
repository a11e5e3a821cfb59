"""Corruptions of test images, at five strengths, for measuring robustness.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions
and Perturbations", arXiv:1903.12261: six of their kinds, with the strengths that they
chose for CIFAR-10. Means of accuracy over these six are not theirs over all.
"""

import io

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageFilter

from tutorials_lib.support.checks import check_array, check_choice, check_whole

# By strength 1 to 5: standard deviation of the noise and radius of the blur (pixels of
# value 1, pixels), what contrast is left, what is added to the value, the share of the
# size that is left, JPEG quality.
CORRUPTIONS = {
    "noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    "blur": (0.4, 0.6, 0.7, 0.8, 1.0),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg": (80, 65, 58, 50, 40),
}


def corrupt_images(
    images: ArrayLike, corruption: str, strength: int, seed: int = 0
) -> np.ndarray:
    """Corrupts images.

    Args:
        images: uint8 array (n, height, width, 3).
        corruption: `"noise"`, `"blur"`, `"contrast"`, `"brightness"`, `"pixelate"` or
            `"jpeg"`.
        strength: 1 to 5.
        seed: Whole number, for the noise.

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: an unknown corruption, a strength out of range, images that are
            not uint8 and in colour, or no images.
    """
    check_choice("corruption", corruption, tuple(CORRUPTIONS))
    check_whole("strength", strength, 1, 5)
    check_whole("seed", seed, 0)
    images = check_array("images", images)
    shaped = images.ndim == 4 and images.shape[-1] == 3 and images.size
    if images.dtype != np.uint8 or not shaped:
        raise ValueError(
            f"images must be uint8 of shape (n, height, width, 3), none of them 0; got "
            f"{images.dtype} of shape {images.shape}."
        )
    amount = CORRUPTIONS[corruption][strength - 1]
    if corruption in ("blur", "pixelate", "jpeg"):
        change = {"blur": _blur, "pixelate": _pixelate, "jpeg": _compress}[corruption]
        changed = [change(Image.fromarray(image), amount) for image in images]
        return np.stack([np.asarray(image) for image in changed])
    values = images.astype("float32") / 255
    if corruption == "noise":
        rng = np.random.default_rng(seed)
        values += rng.normal(0, amount, size=images.shape)
    elif corruption == "contrast":
        means = values.mean(axis=(1, 2), keepdims=True)
        values = means + amount * (values - means)
    else:
        # Added to the value of HSV, the largest channel, which keeps hue and
        # saturation: all channels grow by the same factor.
        value = values.max(axis=-1, keepdims=True)
        factor = np.clip(value + amount, 0, 1) / np.maximum(value, 1e-9)
        values = np.where(value > 0, values * factor, amount)
    return (255 * np.clip(values, 0, 1)).astype("uint8")


def _blur(image, radius):
    return image.filter(ImageFilter.GaussianBlur(radius))


def _pixelate(image, share):
    small = [max(int(length * share), 1) for length in image.size]
    small = image.resize(small, Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BOX)


def _compress(image, quality):
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=quality)
    return Image.open(packed)
