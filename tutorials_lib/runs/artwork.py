"""Logo and pictures of the first page, drawn from the package's own images.

`python -m tutorials_lib.runs.artwork` writes them into `book/_static`; a test compares
what is stored there with what is drawn here.
"""

import pathlib

import numpy as np
from PIL import Image, ImageOps

from tutorials_lib.mixup import mix
from tutorials_lib.runs.articles import CHAPTER_COLOURS
from tutorials_lib.runs.chapters import book_folder
from tutorials_lib.support.samples import SAMPLE_CLASSES, draw_samples

# A picture has three tiles of 28 pixels, each shown as 4 by 4.
TILE, ZOOM, GAP = 28, 4, 8

LOGO = """<svg xmlns="http://www.w3.org/2000/svg"
  width="64" height="64" viewBox="0 0 64 64">
<title>Two images, mixed</title>
<rect width="64" height="64" rx="12" fill="#0b2540"/>
<circle cx="26" cy="32" r="16" fill="none" stroke="#56b4e9" stroke-width="7"/>
<path d="M40 14v36M22 32h36" stroke="#e69f00" stroke-width="7" opacity="0.85"/>
</svg>
"""


def draw_pictures() -> dict[str, np.ndarray]:
    """Draws each chapter's picture: its method on three small images.

    Returns:
        Dict of chapter to uint8 array (height, width, 4), with alpha.
    """
    images, labels = draw_samples(100, (TILE, TILE, 1), seed=5)
    shapes = {
        name: images[labels == number][0, :, :, 0].astype("float32")
        for number, name in enumerate(SAMPLE_CLASSES)
    }
    ring, disc, square = (shapes[name] for name in ("ring", "disc", "square"))
    tiles = {
        "mixup_mnist": _blend(ring, shapes["plus"], (1, 0.5, 0)),
        # For a linear network the perturbation is the way to another class.
        "vat_mnist": (ring, 128 + (disc - ring) / 2, ring + 0.3 * (disc - ring)),
        "cifar10_95": (square, *(_turn(square, angle) for angle in (-25, 15))),
        "mixup_fashion_mnist": _blend(shapes["cross"], disc, (0.8, 0.5, 0.2)),
        "noisy_student": (
            shapes["triangle"],
            _apply(ImageOps.invert, shapes["triangle"]),
            _apply(ImageOps.posterize, _turn(shapes["triangle"], 30), 1),
        ),
    }
    return {
        chapter: _join(tiles[chapter], CHAPTER_COLOURS[chapter])
        for chapter in CHAPTER_COLOURS
    }


def _blend(first, second, weights):
    pairs = [np.repeat(image[None], len(weights), axis=0) for image in (first, second)]
    return mix(pairs, np.array(weights, dtype="float32"))


def _apply(operation, image, *arguments):
    pixels = Image.fromarray(image.clip(0, 255).astype("uint8"))
    return np.asarray(operation(pixels, *arguments), dtype="float32")


def _turn(image, angle):
    return _apply(lambda pixels: pixels.rotate(angle, fillcolor=30), image)


def _join(tiles, colour):
    """Sets tiles side by side, from near black through a colour to white."""
    ramp = Image.new("L", (256, 1))
    ramp.putdata(range(256))
    ramp = ImageOps.colorize(ramp, "#0b1a2b", "#ffffff", mid=colour, midpoint=150)
    table = np.asarray(ramp.convert("RGBA"))[0]
    large = [
        np.kron(tile.clip(0, 255).astype("uint8"), np.ones((ZOOM, ZOOM), "uint8"))
        for tile in tiles
    ]
    gap = np.zeros((len(large[0]), GAP, 4), dtype="uint8")
    parts = [part for tile in large for part in (table[tile], gap)]
    return np.concatenate(parts[:-1], axis=1)


def write_artwork(folder: pathlib.Path) -> None:
    """Writes logo and pictures into a folder."""
    folder.joinpath("logo.svg").write_text(LOGO, encoding="utf-8")
    for chapter, picture in draw_pictures().items():
        Image.fromarray(picture).save(folder / f"{chapter}.png", optimize=True)


if __name__ == "__main__":
    write_artwork(book_folder() / "_static")
