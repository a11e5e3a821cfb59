"""Loads MNIST, Fashion-MNIST and CIFAR-10, or drawn images in their place."""

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import shutil
import zipfile
from collections.abc import Iterator
from typing import Any, Self

import filelock
import numpy as np

from tutorials_lib.support.checks import check_choice, check_whole
from tutorials_lib.support.samples import SAMPLE_CLASSES, draw_samples


@dataclasses.dataclass(frozen=True)
class Specification:
    """The properties by which a data set is recognised.

    `fingerprint` is that of the labelled training and test images, see
    `fingerprint_images`; `downloads` is a glob pattern of the files that Keras keeps.
    """

    title: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    fingerprint: str
    downloads: str
    test_images: int = 10_000


_FASHION = "T-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"
_CIFAR = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"
# fmt: off
SPECIFICATIONS = {
    "mnist": Specification(
        "MNIST", (28, 28, 1), tuple("0123456789"),
        "54e1ab866c948494-97b756d55950f184", "mnist.npz",
    ),
    "fashion_mnist": Specification(
        "Fashion-MNIST", (28, 28, 1), tuple(_FASHION.split(",")),
        "fb88a2f5c1b590c9-0b381379398a0943", "fashion-mnist",
    ),
    "cifar10": Specification(
        "CIFAR-10", (32, 32, 3), tuple(_CIFAR.split(",")),
        "6a3b2c04d0a79ce2-65a6ffe079453e51", "cifar-10-batches-py*",
    ),
}
# fmt: on
SOURCES = ("real", "sample")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


class DataError(RuntimeError):
    """A data set is missing, damaged, or not the one that its name says."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images with integer labels, split into train and test.

    Attributes:
        name: `"mnist"`, `"fashion_mnist"` or `"cifar10"`: the requested set.
        origin: `"folder"`, `"download"` or `"sample"`.
        class_names: Ten names, in the order of the labels.
        x_train, x_test: uint8 arrays (n, height, width, channels), 0 to 255.
        y_train, y_test: int64 arrays (n,), 0 to 9.
    """

    name: str
    origin: str
    class_names: tuple[str, ...]
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the four arrays: training images and labels, then test."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            digest.update(getattr(self, name).tobytes())
        return digest.hexdigest()

    def describe(self) -> str:
        """Describes in one line what the images are and where they come from."""
        size = "x".join(str(length) for length in self.x_train.shape[1:])
        train, test = f"{len(self.x_train):,} training", f"{len(self.x_test):,} test"
        counts = f"{train} and {test} images of {size}"
        title = SPECIFICATIONS[self.name].title
        if self.origin == "sample":
            return (
                f"SAMPLE IMAGES, NOT {title}: {counts}, drawn by tutorials_lib. "
                f"No score below says anything about {title}."
            )
        places = {"folder": "the folder TUTORIALS_DATA", "download": "keras.datasets"}
        return f"{title}: {counts}, from {places[self.origin]}."

    def take(
        self, train_images: int | None = None, test_images: int | None = None
    ) -> Self:
        """Returns the same set with only its first images; None keeps all."""
        parts: dict[str, Any] = {}
        for split, n in (("train", train_images), ("test", test_images)):
            images, labels = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
            if n is not None:
                check_whole(f"{split}_images", n, 1, len(images))
            parts |= {f"x_{split}": images[:n], f"y_{split}": labels[:n]}
        return dataclasses.replace(self, **parts)


def check_data(name: str) -> pathlib.Path | None:
    """Returns the path of NAME.npz in TUTORIALS_DATA, None if that is not set.

    Raises DataError if the folder does not hold it. The file is not loaded.
    """
    folder = os.environ.get("TUTORIALS_DATA")
    if not folder:
        return None
    path = pathlib.Path(folder) / f"{name}.npz"
    if not zipfile.is_zipfile(path):
        raise _explain(name, path, "no such file, or it is damaged")
    return path


def _explain(name, place, why):
    """Makes the error that says what is wrong with a data set, and the ways out."""
    specification = SPECIFICATIONS[name]
    shape = ", ".join(map(str, specification.image_shape))
    return DataError(
        f"{specification.title} could not be loaded from {place}: {why}.\n"
        f"Two ways out: set TUTORIALS_DATA to a folder that holds {name}.npz, with "
        f"uint8 images x_train and x_test (n, {shape}) and integer labels y_train and "
        f"y_test (n,) (unset it to download through keras.datasets), or pass "
        f"source='sample' to use images that the package draws."
    )


def load_dataset(name: str, source: str = "real") -> Dataset:
    """Loads a data set.

    Args:
        name: `"mnist"`, `"fashion_mnist"` or `"cifar10"`.
        source: `"real"` reads NAME.npz from the folder that the environment variable
            TUTORIALS_DATA names or, if that is not set, has `keras.datasets` download
            the set. `"sample"` draws images instead.

    Raises:
        DataError: The file is missing, damaged or another set, or the download failed.
            Nothing else is loaded instead.
    """
    check_choice("name", name, tuple(SPECIFICATIONS))
    check_choice("source", source, SOURCES)
    if source == "sample":
        return _draw(name)
    path = check_data(name)
    try:
        if path:
            with np.load(path) as file:
                return _identify(name, "folder", *(file[key] for key in ARRAYS))
        import keras

        with hold_downloads(SPECIFICATIONS[name].downloads):
            train, test = getattr(keras.datasets, name).load_data()
            return _identify(name, "download", *train, *test)
    # Damaged files and failed downloads raise nearly any exception.
    except Exception as error:
        place = path or "the download by keras.datasets"
        raise _explain(name, place, f"{type(error).__name__}: {error}") from error


def find_downloads() -> pathlib.Path:
    """Returns the folder of Keras' downloads, found by Keras' own rules."""
    home = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    if not os.access(home, os.W_OK):
        home = pathlib.Path("/tmp/.keras")
    return home / "datasets"


@contextlib.contextmanager
def hold_downloads(pattern: str) -> Iterator[None]:
    """Lets one process download at a time, and removes its files if it fails.

    Keras mistakes a damaged or half-downloaded file for a complete one. `pattern` is a
    glob pattern of the files and folders to remove.
    """
    folder = find_downloads()
    lock = filelock.FileLock(folder / ".tutorials.lock", timeout=600)
    # Continues without a lock if the file system has none, or after ten minutes.
    with contextlib.suppress(OSError, NotImplementedError):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    except Exception:
        for path in list(folder.glob(pattern)):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        raise
    finally:
        lock.release()


def _identify(name, origin, *arrays):
    """Makes a `Dataset` of four arrays; raises ValueError unless they are that set."""
    specification = SPECIFICATIONS[name]
    x_train, x_test = (x.reshape(-1, *specification.image_shape) for x in arrays[::2])
    y_train, y_test = (y.reshape(-1).astype("uint8") for y in arrays[1::2])
    pairs = (x_train, y_train), (x_test, y_test)
    prints = [fingerprint_images(*pair)[:16] for pair in pairs]
    if "-".join(prints) != specification.fingerprint:
        found = ", ".join(f"{array.dtype} {array.shape}" for array in arrays)
        raise ValueError(f"the labelled images are not this set's; found {found}")
    y_train, y_test = (y.astype("int64") for y in (y_train, y_test))
    classes = specification.classes
    return Dataset(name, origin, classes, x_train, y_train, x_test, y_test)


def fingerprint_images(images: np.ndarray, labels: np.ndarray) -> str:
    """Hashes labelled uint8 images (n, ...), whatever their order.

    Returns the SHA-256 of the sorted SHA-256 hashes of each image with its label.
    """
    each = [
        hashlib.sha256(image.tobytes() + label.tobytes()).digest()
        for image, label in zip(images, labels.astype("uint8"), strict=True)
    ]
    return hashlib.sha256(b"".join(sorted(each))).hexdigest()


@functools.lru_cache(maxsize=len(SPECIFICATIONS))
def _draw(name):
    specification = SPECIFICATIONS[name]
    train = draw_samples(2000, specification.image_shape, seed=0)
    test = draw_samples(500, specification.image_shape, seed=1)
    for array in (*train, *test):
        # The cache returns the same arrays to every caller.
        array.setflags(write=False)
    return Dataset(name, "sample", SAMPLE_CLASSES, *train, *test)


def scale_images(images: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Scales uint8 images linearly from 0..255 to low..high, in float32."""
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 (0 to 255); got {images.dtype}.")
    return images.astype("float32") * np.float32((high - low) / 255) + np.float32(low)
