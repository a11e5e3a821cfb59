"""Reads images of any size and format from a folder."""

import fnmatch
import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

# The formats that Pillow reads without another program.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
# In pixels: more than most cameras take, far too few to fill the memory.
LARGEST = 50_000_000


def read_folder(
    folder: str | pathlib.Path, leave_out: Sequence[str] = ()
) -> tuple[np.ndarray, dict[str, int]]:
    """Reads every image in a folder or below, centre-cropped, as 32x32 pixels.

    Files are read in order of their paths. Grey images become colour, transparent areas
    become white, and the orientation that a camera recorded is applied.

    Args:
        folder: Path of the folder.
        leave_out: Patterns of file names to leave out, for instance `"cifar10-*"` for
            the part of CINIC-10 that is CIFAR-10.

    Returns:
        uint8 array (n, 32, 32, 3), and a dict of counts: `read`, `left out`,
        `no image`, `damaged` and `too large`.
    """
    counts = dict.fromkeys(("read", "left out", "no image", "damaged", "too large"), 0)
    images = []
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if not path.is_file():
            continue
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in leave_out):
            counts["left out"] += 1
            continue
        try:
            images.append(_read_image(path))
            counts["read"] += 1
        except Image.UnidentifiedImageError:
            counts["no image"] += 1
        except Image.DecompressionBombError:
            counts["too large"] += 1
        # A damaged file makes Pillow raise nearly any exception.
        except Exception:
            counts["damaged"] += 1
    if not images:
        # In full: a notebook may run elsewhere than where its command was given.
        folder = pathlib.Path(folder).resolve()
        raise ValueError(f"folder must hold images; found in {folder}: {counts}.")
    return np.stack(images), counts


def _read_image(path):
    with Image.open(path, formats=FORMATS) as file:
        if file.width * file.height > LARGEST:
            raise Image.DecompressionBombError
        image = ImageOps.exif_transpose(file).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image).convert("RGB")
    return np.asarray(ImageOps.fit(image, (32, 32), Image.Resampling.LANCZOS))


def hash_images(images: np.ndarray) -> str:
    """Returns sixteen hexadecimal digits that identify a set of images."""
    content = str(images.shape).encode() + images.tobytes()
    return hashlib.sha256(content).hexdigest()[:16]
