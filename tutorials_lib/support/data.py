"""Loads MNIST, Fashion-MNIST and CIFAR-10, or drawn images in their place."""

import dataclasses
import functools
import hashlib
import os
import pathlib
import zipfile
from typing import Self

import numpy as np

from tutorials_lib.support.checks import check_choice, check_whole
from tutorials_lib.support.downloads import hold_downloads
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
    test_images: int
    fingerprint: str
    downloads: str


# fmt: off
_FASHION = (
    "T-shirt", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)
_CIFAR = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)
SPECIFICATIONS = {
    "mnist": Specification(
        "MNIST", (28, 28, 1), tuple("0123456789"), 10_000,
        "54e1ab866c948494-97b756d55950f184", "mnist.npz",
    ),
    "fashion_mnist": Specification(
        "Fashion-MNIST", (28, 28, 1), _FASHION, 10_000,
        "fb88a2f5c1b590c9-0b381379398a0943", "fashion-mnist",
    ),
    "cifar10": Specification(
        "CIFAR-10", (32, 32, 3), _CIFAR, 10_000,
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
        counts = (
            f"{len(self.x_train):,} training and {len(self.x_test):,} test images "
            f"of {size}"
        )
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
        if train_images is not None:
            check_whole("train_images", train_images, 1, len(self.x_train))
        if test_images is not None:
            check_whole("test_images", test_images, 1, len(self.x_test))
        return dataclasses.replace(
            self,
            x_train=self.x_train[:train_images],
            y_train=self.y_train[:train_images],
            x_test=self.x_test[:test_images],
            y_test=self.y_test[:test_images],
        )


def check_data(name: str) -> pathlib.Path | None:
    """Returns the path of NAME.npz in TUTORIALS_DATA, None if that is not set.

    Raises DataError if the folder does not hold it. The file is not loaded.
    """
    folder = os.environ.get("TUTORIALS_DATA")
    if not folder:
        return None
    path = pathlib.Path(folder) / f"{name}.npz"
    if not path.parent.is_dir():
        wrong = f"{folder} is not a folder"
    elif not path.is_file():
        wrong = f"{path} is not there"
    elif not zipfile.is_zipfile(path):
        wrong = f"{path} is no .npz file, or is damaged"
    else:
        return path
    raise DataError(
        f"TUTORIALS_DATA must name a folder that holds {name}.npz; {wrong}. Without "
        f"TUTORIALS_DATA, Keras downloads the data; source='sample' uses images that "
        f"the package draws."
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
                return _identify(name, "folder", [file[key] for key in ARRAYS])
        import keras

        with hold_downloads(SPECIFICATIONS[name].downloads):
            train, test = getattr(keras.datasets, name).load_data()
            return _identify(name, "download", [*train, *test])
    # Damaged files and failed downloads raise nearly any exception.
    except Exception as error:
        specification = SPECIFICATIONS[name]
        raise DataError(
            f"{specification.title} could not be loaded from "
            f"{path or 'the download by keras.datasets'}: "
            f"{type(error).__name__}: {error}\n"
            f"Expected: {name}.npz with uint8 images x_train and x_test (n, "
            f"{', '.join(map(str, specification.image_shape))}) and their integer "
            f"labels y_train and y_test (n,).\n"
            f"Two ways out: set TUTORIALS_DATA to a folder that holds that file (unset "
            f"it to download through keras.datasets), or pass source='sample' to use "
            f"images that the package draws."
        ) from error


def _identify(name, origin, arrays):
    """Makes a `Dataset` of four arrays; raises ValueError unless they are that set."""
    specification = SPECIFICATIONS[name]
    found = ", ".join(
        f"{key} {array.dtype} {array.shape}"
        for key, array in zip(ARRAYS, arrays, strict=True)
    )
    images = [array.reshape(-1, *specification.image_shape) for array in arrays[::2]]
    labels = [array.reshape(-1).astype("uint8") for array in arrays[1::2]]
    prints = [fingerprint_images(images[i], labels[i])[:16] for i in (0, 1)]
    if "-".join(prints) != specification.fingerprint:
        raise ValueError(f"the labelled images are not this set's; found {found}.")
    train, test = ((images[i], labels[i].astype("int64")) for i in (0, 1))
    return Dataset(name, origin, specification.classes, *train, *test)


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
