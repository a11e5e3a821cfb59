"""Ten classes of drawn shapes: images to run everything on without a download."""

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

SAMPLE_CLASSES = (
    "ring", "disc", "square", "triangle", "plus",
    "cross", "rows", "columns", "slope", "dots",
)  # fmt: skip
_CANVAS = 128


def draw_samples(
    n: int, image_shape: Sequence[int], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws n images of ten shapes, each rotated, scaled, shifted and noisy.

    Classes differ only in shape: size, position, angle, colours and contrast do not
    depend on the class. Labels cycle through the classes and are then shuffled. Returns
    images, uint8 (n, *image_shape), with image_shape (height, width, channels), and
    labels, int64 (n,), 0 to 9.
    """
    height, width, channels = image_shape
    rng = np.random.default_rng([seed, height, width, channels])
    labels = rng.permutation(np.arange(n) % len(SAMPLE_CLASSES))
    masks = _warp(_draw_shapes()[labels], height, width, rng)
    paper = rng.uniform(0, 60, size=(n, 1, 1, channels))
    ink = rng.uniform(160, 255, size=(n, 1, 1, channels))
    images = paper + (ink - paper) * masks[..., np.newaxis]
    images += rng.normal(0, 8, size=images.shape)
    return images.clip(0, 255).astype("uint8"), labels.astype("int64")


def _warp(shapes, height, width, rng):
    """Samples each canvas at an image's pixels, with a random rotation, zoom, shift."""
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
    """Draws the ten shapes on large canvases, from 0 to 1, with soft edges."""
    low, middle, high = 24, 64, 104
    bars = [(low, low + 9), (60, 69), (high - 9, high)]
    falling, rising = [low, low, high, high], [low, high, high, low]
    drawings = {
        "ring": [("ellipse", falling, {"outline": 255, "width": 12})],
        "disc": [("ellipse", [30, 30, 98, 98], {"fill": 255})],
        "square": [("rectangle", falling, {"outline": 255, "width": 9})],
        "triangle": [("polygon", [middle, low, high, high, low, high], {"fill": 255})],
        "plus": [
            ("line", [middle, low, middle, high], {"fill": 255, "width": 14}),
            ("line", [low, middle, high, middle], {"fill": 255, "width": 14}),
        ],
        "cross": [
            ("line", falling, {"fill": 255, "width": 14}),
            ("line", rising, {"fill": 255, "width": 14}),
        ],
        "rows": [("rectangle", [low, a, high, b], {"fill": 255}) for a, b in bars],
        "columns": [("rectangle", [a, low, b, high], {"fill": 255}) for a, b in bars],
        "slope": [("line", rising, {"fill": 255, "width": 18})],
        "dots": [
            ("ellipse", [x - 12, y - 12, x + 12, y + 12], {"fill": 255})
            for x in (38, 90)
            for y in (38, 90)
        ],
    }
    canvases = []
    for name in SAMPLE_CLASSES:
        canvas = Image.new("L", (_CANVAS, _CANVAS))
        for shape, corners, style in drawings[name]:
            getattr(ImageDraw.Draw(canvas), shape)(corners, **style)
        soft = canvas.resize((40, 40), Image.Resampling.BOX)
        soft = soft.resize((_CANVAS, _CANVAS), Image.Resampling.BILINEAR)
        canvases.append(np.asarray(soft, dtype="float32") / 255)
    return np.stack(canvases)
