"""Images without labels: training images that hide theirs, or a folder of any."""

import fnmatch
import hashlib
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageOps

from tutorials_lib.labels import choose_labelled
from tutorials_lib.support.checks import check_array, check_finite, check_size

# What Pillow reads itself, without another program.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
# More than most cameras take, and far less than would fill the memory.
LARGEST = 50_000_000


def hide_labels(labels: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Chooses training images whose labels are hidden, equally many of each class.

    They are drawn as `labels.choose_labelled` draws images, which there keep their
    label and here lose it.

    Args:
        labels: Integer array (images,), each image's class.
        n: How many to hide; a multiple of the number of classes.
        seed: Whole number of at least 0.

    Returns:
        Two integer arrays: the places of images that keep their label and of those
        that do not, both ascending.

    Raises:
        ValueError: more images than there are, or not equally many of each class.
    """
    hidden = choose_labelled(labels, n, seed)
    kept = np.setdiff1d(np.arange(len(labels)), hidden)
    if not len(kept):
        raise ValueError(
            f"n must leave images with a label; got {n} of {len(labels)} labels."
        )
    return kept, hidden


def read_folder(
    folder: str | pathlib.Path,
    size: Sequence[int] = (32, 32),
    leave_out: Sequence[str] = (),
) -> tuple[np.ndarray, dict[str, int]]:
    """Reads every image below a folder, cropped to its middle and resized.

    Files are read in order of their path. Grey images become colour, what is
    transparent shows white, and a camera's note on which side is up is followed.

    Args:
        folder: Path of the folder.
        size: (height, width) of the result.
        leave_out: Patterns of file names to leave out, as `"cifar10-*"` for the part
            of CINIC-10 that is CIFAR-10.

    Returns:
        uint8 array (n, height, width, 3), and a dict of counts: `read`, `left out`,
        `no image`, `damaged` and `too large`.

    Raises:
        TypeError: a folder or patterns that are not text.
        ValueError: no folder, or no image in it that can be read.
    """
    # An empty path would be the folder that Python runs in.
    if not isinstance(folder, (str, os.PathLike)) or not str(folder):
        raise TypeError(f"folder must be a path; got {folder!r}.")
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f"folder must be a folder; {folder} is none.")
    height, width = check_size("size", size)
    # The letters of a single pattern would each be one.
    sequence = isinstance(leave_out, (tuple, list))
    if not sequence or not all(isinstance(each, str) for each in leave_out):
        raise TypeError(f"leave_out must be a sequence of strings; got {leave_out!r}.")
    names = ("read", "left out", "no image", "damaged", "too large")
    images, counts = [], dict.fromkeys(names, 0)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in leave_out):
            counts["left out"] += 1
            continue
        image, found = _read_image(path, (width, height))
        counts[found] += 1
        if image is not None:
            images.append(image)
    if not images:
        said = ", ".join(f"{name} {counts[name]}" for name in names)
        raise ValueError(f"folder must hold images; {folder} has none ({said}).")
    return np.stack(images), counts


def hash_images(images: ArrayLike) -> str:
    """Returns sixteen hexadecimal digits that tell sets of images apart."""
    content = np.ascontiguousarray(
        check_finite("images", check_array("images", images))
    )
    return hashlib.sha256(str(content.shape).encode() + content.tobytes()).hexdigest()[
        :16
    ]


def _read_image(path, size):
    """One image and what became of it."""
    try:
        with Image.open(path, formats=FORMATS) as opened:
            if opened.width * opened.height > LARGEST:
                return None, "too large"
            upright = ImageOps.exif_transpose(opened)
            clear = upright.convert("RGBA")
    except Image.UnidentifiedImageError:
        return None, "no image"
    except Image.DecompressionBombError:
        return None, "too large"
    # A damaged file makes Pillow's readers raise nearly anything.
    except Exception:
        return None, "damaged"
    white = Image.new("RGBA", clear.size, "white")
    image = Image.alpha_composite(white, clear).convert("RGB")
    fitted = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    return np.asarray(fitted), "read"
