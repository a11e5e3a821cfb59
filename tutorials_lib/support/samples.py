"""Ten classes of drawn shapes: images to run everything on without a download."""

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tutorials_lib.support.checks import check_count, check_size, check_whole

SAMPLE_CLASSES = (
    "ring",
    "disc",
    "square",
    "triangle",
    "plus",
    "cross",
    "rows",
    "columns",
    "slope",
    "dots",
)
_CANVAS = 128


def draw_samples(
    n: int, image_shape: Sequence[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws n images of ten shapes, each turned, scaled, shifted and made noisy.

    Classes differ in shape alone: size, place, angle, colours and contrast are
    drawn independently of the class.

    Args:
        n: How many, at least 1; labels cycle through the classes, then are shuffled.
        image_shape: (height, width, channels), channels 1 or 3.
        seed: Whole number of at least 0.

    Returns:
        Images uint8 (n, *image_shape) and labels int64 (n,), 0 to 9.

    Raises:
        ValueError: n below 1, channels other than 1 or 3, or a side below 1.
    """
    check_count("n", n)
    check_whole("seed", seed, 0)
    try:
        *size, channels = image_shape
    except (TypeError, ValueError):
        raise ValueError(
            f"image_shape must be (height, width, channels); got {image_shape!r}."
        ) from None
    height, width = check_size("image_shape", size)
    if check_whole("image_shape", channels, 1) not in (1, 3):
        raise ValueError(f"image_shape must end in 1 or 3 channels; got {image_shape}.")
    rng = np.random.default_rng([seed, height, width, channels])
    labels = rng.permutation(np.arange(n) % len(SAMPLE_CLASSES))
    masks = _warp(_draw_shapes()[labels], height, width, rng)
    paper = rng.uniform(0, 60, size=(n, 1, 1, channels))
    ink = rng.uniform(160, 255, size=(n, 1, 1, channels))
    images = paper + (ink - paper) * masks[..., np.newaxis]
    images += rng.normal(0, 8, size=images.shape)
    return images.clip(0, 255).astype("uint8"), labels.astype("int64")


def _warp(shapes, height, width, rng):
    """Samples each canvas at an image's pixels under a random similarity."""
    n = len(shapes)
    angle = rng.uniform(-0.25, 0.25, size=(n, 1, 1))
    zoom = rng.uniform(0.9, 1.25, size=(n, 1, 1))
    shift_y, shift_x = rng.uniform(-0.12, 0.12, size=(2, n, 1, 1))
    y = np.linspace(-1, 1, height).reshape(1, height, 1)
    x = np.linspace(-1, 1, width).reshape(1, 1, width)
    rows = zoom * (np.cos(angle) * y - np.sin(angle) * x) + shift_y
    columns = zoom * (np.sin(angle) * y + np.cos(angle) * x) + shift_x
    places = [
        np.clip((at + 1) / 2 * (_CANVAS - 1), 0, _CANVAS - 1).round().astype(int)
        for at in (rows, columns)
    ]
    return shapes[np.arange(n).reshape(n, 1, 1), places[0], places[1]]


@functools.cache
def _draw_shapes():
    """Draws the ten shapes on large canvases, 0 to 1, softened at the edges."""
    low, high, middle, line = 24, 104, 64, 9

    def ring(pen):
        pen.ellipse((low, low, high, high), outline=255, width=line + 3)

    def disc(pen):
        pen.ellipse((low + 6, low + 6, high - 6, high - 6), fill=255)

    def square(pen):
        pen.rectangle((low, low, high, high), outline=255, width=line)

    def triangle(pen):
        pen.polygon([(middle, low), (high, high), (low, high)], fill=255)

    def plus(pen):
        pen.line([(middle, low), (middle, high)], fill=255, width=line + 5)
        pen.line([(low, middle), (high, middle)], fill=255, width=line + 5)

    def cross(pen):
        pen.line([(low, low), (high, high)], fill=255, width=line + 5)
        pen.line([(low, high), (high, low)], fill=255, width=line + 5)

    def rows(pen):
        for y in (low, middle - line // 2, high - line):
            pen.rectangle((low, y, high, y + line), fill=255)

    def columns(pen):
        for x in (low, middle - line // 2, high - line):
            pen.rectangle((x, low, x + line, high), fill=255)

    def slope(pen):
        pen.line([(low, high), (high, low)], fill=255, width=2 * line)

    def dots(pen):
        for x in (low + 14, high - 14):
            for y in (low + 14, high - 14):
                pen.ellipse((x - 12, y - 12, x + 12, y + 12), fill=255)

    canvases = []
    for draw in (
        ring,
        disc,
        square,
        triangle,
        plus,
        cross,
        rows,
        columns,
        slope,
        dots,
    ):
        canvas = Image.new("L", (_CANVAS, _CANVAS))
        draw(ImageDraw.Draw(canvas))
        softened = canvas.resize((40, 40), Image.Resampling.BOX)
        softened = softened.resize((_CANVAS, _CANVAS), Image.Resampling.BILINEAR)
        canvases.append(np.asarray(softened, dtype="float32") / 255)
    return np.stack(canvases)
