"""Loading: what is right passes, and each way a file can be wrong is refused."""

import dataclasses
import hashlib

import keras
import numpy as np
import pytest

from tutorials_lib.support.data import (
    SPECIFICATIONS,
    DataError,
    fingerprint_images,
    load_dataset,
    scale_images,
)

RNG = np.random.default_rng(0)
LABELS = np.arange(20, dtype="uint8") % 10


def pretend(monkeypatch, name):
    """Lets thirty random images pass for a set; returns its four arrays."""
    specification = SPECIFICATIONS[name]
    shape = (30, *specification.image_shape)
    images = RNG.integers(0, 256, shape, "uint8")
    arrays = {"x_train": images[:20], "y_train": LABELS}
    arrays |= {"x_test": images[20:], "y_test": LABELS[:10]}
    splits = ((images[:20], LABELS), (images[20:], LABELS[:10]))
    prints = [fingerprint_images(*split)[:16] for split in splits]
    changed = dataclasses.replace(specification, fingerprint="-".join(prints))
    monkeypatch.setitem(SPECIFICATIONS, name, changed)
    return arrays


@pytest.fixture
def mnist(monkeypatch, tmp_path):
    monkeypatch.setenv("TUTORIALS_DATA", str(tmp_path))
    return pretend(monkeypatch, "mnist")


def check_refused(path):
    """The error names the file, what is expected and two ways out."""
    with pytest.raises(DataError) as caught:
        load_dataset("mnist")
    for part in (str(path), "mnist.npz", "TUTORIALS_DATA", "source='sample'"):
        assert part in str(caught.value)


def test_folder(mnist, tmp_path):
    np.savez(tmp_path / "mnist.npz", **{**mnist, "x_train": mnist["x_train"][..., 0]})
    data = load_dataset("mnist")
    np.testing.assert_array_equal(data.x_train, mnist["x_train"])
    np.testing.assert_array_equal(data.y_train, LABELS)
    assert (data.x_test.dtype, data.y_test.dtype) == (np.uint8, np.int64)
    assert data.origin == "folder"
    assert data.describe().startswith("MNIST: 20 training and 10 test images of 28x28")


def test_download_with_columns_of_labels(monkeypatch):
    monkeypatch.delenv("TUTORIALS_DATA", raising=False)
    arrays = pretend(monkeypatch, "cifar10")
    train = arrays["x_train"], arrays["y_train"][:, None]
    test = arrays["x_test"], arrays["y_test"][:, None]
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: (train, test))
    data = load_dataset("cifar10")
    np.testing.assert_array_equal(data.y_train, LABELS)
    assert data.origin == "download"


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("x_train", lambda x: x[:-1]),
        ("x_train", lambda x: x[::-1]),
        ("x_test", lambda x: x.astype("float32")),
        ("x_test", lambda x: x[:, ::2, ::2]),
        ("y_test", lambda y: y + 1),
        ("y_test", lambda y: np.eye(10)[y]),
        ("y_train", lambda y: np.array([{}], dtype=object)),
    ],
)
def test_another_set(mnist, tmp_path, key, change):
    path = tmp_path / "mnist.npz"
    np.savez(path, **{**mnist, key: change(mnist[key])})
    check_refused(path)


def test_damaged_and_missing_files(mnist, tmp_path):
    path = tmp_path / "mnist.npz"
    check_refused(path)
    np.savez(path, **mnist)
    content = path.read_bytes()
    for keep in (0, 10, 2000):
        path.write_bytes(content[:keep])
        check_refused(path)
    np.savez(path, x_train=mnist["x_train"])
    check_refused(path)
    for name, source in (("x", "real"), ("mnist", "fake")):
        with pytest.raises(ValueError, match="must be one of"):
            load_dataset(name, source)


def test_fingerprint_is_of_labelled_images_in_any_order():
    images = RNG.integers(0, 256, (20, 5, 4), "uint8")
    found = fingerprint_images(images, LABELS)
    each = sorted(
        hashlib.sha256(image.tobytes() + bytes([label])).digest()
        for image, label in zip(images, LABELS, strict=True)
    )
    assert found == hashlib.sha256(b"".join(each)).hexdigest()
    order = RNG.permutation(20)
    assert fingerprint_images(images[order], LABELS[order].astype(int)) == found
    assert fingerprint_images(images, LABELS[order]) != found


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_sample_says_what_it_is(name):
    data = load_dataset(name, "sample")
    title = SPECIFICATIONS[name].title
    assert data.describe().startswith(f"SAMPLE IMAGES, NOT {title}")
    assert data.origin == "sample"
    assert data.x_train.shape == (2000, *SPECIFICATIONS[name].image_shape)
    # The next caller gets the same arrays.
    with pytest.raises(ValueError, match="read-only"):
        data.x_train[:] = 0


def test_take_and_hash():
    data = load_dataset("mnist", "sample")
    part = data.take(30, 20)
    for name, n in (("x_train", 30), ("y_train", 30), ("x_test", 20), ("y_test", 20)):
        np.testing.assert_array_equal(getattr(part, name), getattr(data, name)[:n])
    arrays = part.x_train, part.y_train, part.x_test, part.y_test
    content = b"".join(array.tobytes() for array in arrays)
    assert part.sha256 == hashlib.sha256(content).hexdigest()
    assert data.take().sha256 == data.sha256 != part.sha256
    for name, n in (("train_images", 2001), ("test_images", 0)):
        with pytest.raises(ValueError, match=name):
            data.take(**{name: n})


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (3.5, -70)])
def test_scaling_is_linear(low, high):
    pixels = np.arange(256, dtype="uint8").reshape(16, 16)
    scaled = scale_images(pixels, low, high)
    assert scaled.dtype == np.float32
    expected = np.interp(pixels, [0, 255], [low, high])
    np.testing.assert_allclose(scaled, expected, atol=1e-5)
    with pytest.raises(ValueError, match="images"):
        scale_images(scaled)
