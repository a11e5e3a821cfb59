"""Ten classes of letters: images to run everything on without a download."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# No two are much alike, even turned.
SAMPLE_CLASSES = tuple("ACHJKSTVXZ")


def draw_samples(
    n: int, image_shape: Sequence[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws n images of ten letters, each rotated, scaled, shifted and noisy.

    Classes differ only in shape: size, position, angle, colours and contrast do not
    depend on the class. Labels cycle through the classes and are then shuffled. Returns
    images, uint8 (n, *image_shape), with image_shape (height, width, channels), and
    labels, int64 (n,), 0 to 9.
    """
    height, width, channels = image_shape
    rng = np.random.default_rng([seed, height, width, channels])
    labels = rng.permutation(np.arange(n) % len(SAMPLE_CLASSES))
    font = ImageFont.load_default(90)
    letters = [SAMPLE_CLASSES[label] for label in labels]
    masks = np.stack([_draw(each, font, (width, height), rng) for each in letters])
    paper = rng.uniform(0, 60, size=(n, 1, 1, channels))
    ink = rng.uniform(160, 255, size=(n, 1, 1, channels))
    images = paper + (ink - paper) * masks[..., np.newaxis]
    images += rng.normal(0, 8, size=images.shape)
    return images.clip(0, 255).astype("uint8"), labels.astype("int64")


def _draw(letter, font, size, rng):
    """Draws a letter, from 0 to 1, with a random shift, rotation and zoom."""
    canvas = Image.new("L", (128, 128))
    place = rng.uniform(56, 72, size=2)
    ImageDraw.Draw(canvas).text(tuple(place), letter, 255, font, anchor="mm")
    canvas = canvas.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
    margin = rng.uniform(0, 15)
    box = (margin, margin, 128 - margin, 128 - margin)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX, box)) / 255
