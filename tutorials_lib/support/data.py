"""One loader for MNIST, Fashion-MNIST and CIFAR-10, and for images in their place."""

import dataclasses
import functools
import hashlib
import os
import pathlib
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.checks import (
    check_array,
    check_choice,
    check_range,
    check_whole,
)
from tutorials_lib.support.downloads import hold_downloads, remove_downloads
from tutorials_lib.support.samples import SAMPLE_CLASSES, draw_samples


@dataclasses.dataclass(frozen=True)
class Specification:
    """What a data set must look like to be taken for itself.

    `downloads` are patterns of the files that Keras keeps of it.
    """

    title: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    fingerprint: str
    downloads: tuple[str, ...]


SPECIFICATIONS = {
    "mnist": Specification(
        title="MNIST",
        image_shape=(28, 28, 1),
        classes=tuple("0123456789"),
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        fingerprint="54e1ab866c948494-97b756d55950f184",
        downloads=("mnist.npz",),
    ),
    "fashion_mnist": Specification(
        title="Fashion-MNIST",
        image_shape=(28, 28, 1),
        classes=(
            "T-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        train_counts=(6000,) * 10,
        test_counts=(1000,) * 10,
        fingerprint="fb88a2f5c1b590c9-0b381379398a0943",
        downloads=("fashion-mnist",),
    ),
    "cifar10": Specification(
        title="CIFAR-10",
        image_shape=(32, 32, 3),
        classes=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        train_counts=(5000,) * 10,
        test_counts=(1000,) * 10,
        fingerprint="6a3b2c04d0a79ce2-65a6ffe079453e51",
        downloads=("cifar-10-batches-py*",),
    ),
}
SOURCES = ("real", "sample")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


class DataError(RuntimeError):
    """A data set is missing, damaged, or not what its name says."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images with integer labels, split into train and test.

    Attributes:
        name: `"mnist"`, `"fashion_mnist"` or `"cifar10"`: the set asked for.
        origin: `"folder"`, `"download"` or `"sample"`.
        title: What the images are, fit for a caption.
        class_names: Ten names, in the order of the labels.
        x_train, x_test: uint8 arrays (n, height, width, channels), 0 to 255.
        y_train, y_test: int64 arrays (n,), 0 to 9.
    """

    name: str
    origin: str
    title: str
    class_names: tuple[str, ...]
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the four arrays, in the order train, test, images first."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()

    def describe(self) -> str:
        """Says in one line what the images are and where they come from."""
        size = "x".join(str(length) for length in self.x_train.shape[1:])
        counts = (
            f"{len(self.x_train):,} training and {len(self.x_test):,} test images "
            f"of {size}"
        )
        if self.origin == "sample":
            asked = SPECIFICATIONS[self.name].title
            return (
                f"SAMPLE IMAGES, NOT {asked}: {counts}, drawn by tutorials_lib. "
                f"No score below says anything about {asked}."
            )
        places = {"folder": "the folder TUTORIALS_DATA", "download": "keras.datasets"}
        return f"{self.title}: {counts}, from {places[self.origin]}."

    def take(
        self, train_images: int | None = None, test_images: int | None = None
    ) -> Self:
        """Returns the same set with only its first images.

        Args:
            train_images: How many training images to keep; None keeps all.
            test_images: How many test images to keep; None keeps all.

        Raises:
            ValueError: a number below 1 or above what there is.
        """
        parts = {}
        for split, number in (("train", train_images), ("test", test_images)):
            there = len(getattr(self, f"x_{split}"))
            kept = there if number is None else number
            check_whole(f"{split}_images", kept, 1, there)
            for array in (f"x_{split}", f"y_{split}"):
                parts[array] = getattr(self, array)[:kept]
        return dataclasses.replace(self, **parts)


def load_dataset(name: str, source: str = "real") -> Dataset:
    """Loads a data set.

    Args:
        name: `"mnist"`, `"fashion_mnist"` or `"cifar10"`.
        source: `"real"` reads NAME.npz from the folder that the environment
            variable TUTORIALS_DATA names; where that is not set, `keras.datasets`
            downloads it. `"sample"` draws images in place of the set.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: unknown name or source.
        DataError: the file is missing, truncated or not that set, or the download
            failed. Nothing else is loaded in its place.
    """
    check_choice("name", name, tuple(SPECIFICATIONS))
    check_choice("source", source, SOURCES)
    if source == "sample":
        return _draw(name)
    folder = os.environ.get("TUTORIALS_DATA")
    return _load_from_folder(name, folder) if folder else _download(name)


def scale_images(images: ArrayLike, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Scales uint8 images linearly from 0..255 to low..high.

    Args:
        images: uint8 array.
        low: Value of a black pixel, from -1e6 to 1e6.
        high: Value of a white pixel, the same.

    Returns:
        float32 array of the same shape.

    Raises:
        ValueError: images that are not uint8, values out of range.
    """
    low, high = check_range("low", low, -1e6, 1e6), check_range("high", high, -1e6, 1e6)
    images = check_array("images", images)
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 (0 to 255); got {images.dtype}.")
    return images.astype("float32") * np.float32((high - low) / 255) + np.float32(low)


@functools.lru_cache(maxsize=len(SPECIFICATIONS))
def _draw(name):
    specification = SPECIFICATIONS[name]
    x_train, y_train = draw_samples(2000, specification.image_shape, seed=0)
    x_test, y_test = draw_samples(500, specification.image_shape, seed=1)
    for array in (x_train, y_train, x_test, y_test):
        # The cache hands the same arrays to every caller.
        array.setflags(write=False)
    return Dataset(
        name=name,
        origin="sample",
        title=f"sample images (not {specification.title})",
        class_names=SAMPLE_CLASSES,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
    )


def _load_from_folder(name, folder):
    path = pathlib.Path(folder) / f"{name}.npz"
    if not path.parent.is_dir():
        raise DataError(_explain(name, path, f"{path.parent} is not a folder"))
    if not path.is_file():
        raise DataError(_explain(name, path, "there is no such file"))
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = [key for key in ARRAYS if key not in arrays]
            if missing:
                found = f"it lacks {', '.join(missing)}"
                raise DataError(_explain(name, path, found))
            loaded = {key: arrays[key] for key in ARRAYS}
    except DataError:
        raise
    # Damaged files make NumPy, zipfile and zlib raise nearly anything.
    except Exception as error:
        found = f"it cannot be read ({type(error).__name__}: {error})"
        raise DataError(_explain(name, path, found)) from error
    return _check_and_wrap(name, "folder", path, loaded)


def _download(name):
    import keras

    place = "the download by keras.datasets"
    with hold_downloads():
        try:
            train, test = getattr(keras.datasets, name).load_data()
            loaded = dict(zip(ARRAYS, (*train, *test), strict=True))
            return _check_and_wrap(name, "download", place, loaded)
        # Keras wraps what the network raises in a bare Exception.
        except Exception as error:
            remove_downloads(SPECIFICATIONS[name].downloads)
            if isinstance(error, DataError):
                raise
            found = (
                f"it failed ({type(error).__name__}: {error}). Nothing of it is kept; "
                f"the next try fetches it anew"
            )
            raise DataError(_explain(name, place, found)) from error


def _check_and_wrap(name, origin, place, arrays):
    specification = SPECIFICATIONS[name]
    for split in ("train", "test"):
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if images.ndim == 3:
            images = images[..., np.newaxis]
        found = _find_fault(specification, split, images, labels)
        if found:
            raise DataError(_explain(name, place, found))
        arrays[f"x_{split}"] = images
        arrays[f"y_{split}"] = labels.astype("int64")
    prints = [
        fingerprint_images(arrays[f"x_{split}"], arrays[f"y_{split}"])
        for split in ("train", "test")
    ]
    if "-".join(found[:16] for found in prints) != specification.fingerprint:
        found = "shapes and counts are right, but the labelled images are others"
        raise DataError(_explain(name, place, found))
    return Dataset(
        name=name,
        origin=origin,
        title=specification.title,
        class_names=specification.classes,
        **{key: arrays[key] for key in ARRAYS},
    )


def _find_fault(specification, split, images, labels):
    counts = getattr(specification, f"{split}_counts")
    shape = (sum(counts), *specification.image_shape)
    if images.dtype != np.uint8 or images.shape != shape:
        return f"x_{split} is {images.dtype} of shape {images.shape}"
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != shape[:1]:
        return f"y_{split} is {labels.dtype} of shape {labels.shape}"
    if labels.min() < 0 or labels.max() > 9:
        return f"y_{split} has labels from {labels.min()} to {labels.max()}"
    seen = tuple(int(count) for count in np.bincount(labels, minlength=10))
    if seen != counts:
        return f"y_{split} counts {seen} images a class instead of {counts}"
    return None


def fingerprint_images(images: np.ndarray, labels: np.ndarray) -> str:
    """Hashes labelled images whatever their order.

    Args:
        images: uint8 array (n, ...).
        labels: Integer array (n,), 0 to 255.

    Returns:
        SHA-256 of the sorted SHA-256 of each image with its label.

    Raises:
        ValueError: images that are not uint8, or not a label from 0 to 255 for each.
    """
    images, labels = check_array("images", images), check_array("labels", labels)
    if images.dtype != np.uint8 or not images.ndim:
        raise ValueError(
            f"images must be uint8 of shape (n, ...); got {images.dtype} of shape "
            f"{images.shape}."
        )
    whole = np.issubdtype(labels.dtype, np.integer)
    shaped = whole and labels.shape == images.shape[:1]
    if not shaped or not ((labels >= 0) & (labels <= 255)).all():
        raise ValueError(
            f"labels must be whole numbers from 0 to 255, one for each of the "
            f"{len(images)} images; got {labels.dtype} of shape {labels.shape}."
        )
    labels = labels.astype("uint8")
    each = [
        hashlib.sha256(image.tobytes() + label.tobytes()).digest()
        for image, label in zip(np.ascontiguousarray(images), labels, strict=True)
    ]
    return hashlib.sha256(b"".join(sorted(each))).hexdigest()


def _explain(name, place, found):
    specification = SPECIFICATIONS[name]
    height, width, channels = specification.image_shape
    image = f"{height}, {width}" + (f", {channels}" if channels > 1 else "")
    return (
        f"{specification.title} could not be loaded from {place}: {found}.\n"
        f"Expected: {name}.npz with uint8 x_train ({sum(specification.train_counts)}, "
        f"{image}), x_test ({sum(specification.test_counts)}, {image}) and integer "
        f"y_train, y_test (n,), labels 0 to 9.\n"
        f"Two ways out: set TUTORIALS_DATA to a folder that holds that file (unset "
        f"it to download through keras.datasets), or pass source='sample' for images "
        f"that the package draws itself."
    )
