"""Loading: what is right passes, and each way a file can be wrong is refused."""

import dataclasses
import gzip
import hashlib
import importlib
import shutil

import filelock
import numpy as np
import pytest

from tutorials_lib.book.cli import main
from tutorials_lib.support.data import (
    SPECIFICATIONS,
    DataError,
    fingerprint_images,
    load_dataset,
    scale_images,
)

RNG = np.random.default_rng(0)
LABELS = np.arange(10, dtype="uint8")
IMAGES = RNG.integers(0, 256, (2, 10, 28, 28), "uint8")


def name_arrays(images=IMAGES):
    parts = {"x_train": images[0], "y_train": LABELS}
    return parts | {"x_test": images[1], "y_test": LABELS}


@pytest.fixture
def pretended(monkeypatch):
    """Lets ten random images a split pass for MNIST and for Fashion-MNIST."""
    prints = "-".join(fingerprint_images(images, LABELS)[:16] for images in IMAGES)
    for name in ("mnist", "fashion_mnist"):
        changed = dataclasses.replace(SPECIFICATIONS[name], fingerprint=prints)
        monkeypatch.setitem(SPECIFICATIONS, name, changed)


@pytest.fixture
def path(pretended, monkeypatch, tmp_path):
    """Where MNIST's file is looked for."""
    monkeypatch.setenv("TUTORIALS_DATA", str(tmp_path))
    return tmp_path / "mnist.npz"


def check_refused(name, *parts):
    """The error names the set, what is expected and two ways out."""
    with pytest.raises(DataError) as caught:
        load_dataset(name)
    ways_out = ("TUTORIALS_DATA", "source='sample'")
    for part in (*parts, SPECIFICATIONS[name].title, f"{name}.npz", *ways_out):
        assert part in str(caught.value)


def test_folder(path):
    """Grey images may come without channels, and labels in a column."""
    np.savez(path, **name_arrays() | {"y_train": LABELS[:, None]})
    data = load_dataset("mnist")
    np.testing.assert_array_equal(data.x_train, IMAGES[0][..., None])
    np.testing.assert_array_equal(data.y_train, LABELS)
    assert (data.x_test.dtype, data.y_test.dtype) == (np.uint8, np.int64)
    assert data.origin == "folder"


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("x_train", lambda x: x[::-1]),
        ("x_test", lambda x: x.astype("float32")),
        ("y_test", lambda y: y + 1),
        ("y_train", lambda y: np.array([{}], dtype=object)),
    ],
)
def test_another_set(path, key, change):
    arrays = name_arrays()
    np.savez(path, **arrays | {key: change(arrays[key])})
    check_refused("mnist", str(path))


def test_damaged_files_and_other_names(path):
    np.savez(path, **name_arrays())
    content = path.read_bytes()
    path.write_bytes(content.replace(IMAGES[0].tobytes(), IMAGES[1].tobytes()))
    check_refused("mnist", str(path))
    np.savez(path, x_train=IMAGES[0])
    check_refused("mnist", str(path))
    for name, source in (("x", "real"), ("mnist", "fake")):
        with pytest.raises(ValueError, match="must be one of"):
            load_dataset(name, source)


@pytest.fixture
def served(pretended, monkeypatch, tmp_path):
    """An empty folder in place of the web; Keras keeps its files in `tmp_path`."""
    monkeypatch.delenv("TUTORIALS_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    folder = tmp_path / "served"
    folder.mkdir()
    for name in ("mnist", "fashion_mnist"):
        module = importlib.import_module(f"keras.src.datasets.{name}")

        # Without the hash that Keras pins for the real file of MNIST.
        def fetch(fname, origin, file_hash=None, get_file=module.get_file, **rest):
            origin = (folder / fname).as_uri()
            return get_file(fname, origin=origin, cache_dir=str(tmp_path), **rest)

        monkeypatch.setattr(module, "get_file", fetch)
    return folder


def serve(folder, images=IMAGES):
    """Writes the files of both sets, by the names that Keras asks for."""
    np.savez(folder / "mnist.npz", **name_arrays(images))
    for split, few in zip(("train", "t10k"), images, strict=True):
        # Keras skips the headers, of 16 and of 8 bytes.
        kinds = {"images-idx3": bytes(16) + few.tobytes()}
        kinds |= {"labels-idx1": bytes(8) + LABELS.tobytes()}
        for kind, content in kinds.items():
            file = folder / f"{split}-{kind}-ubyte.gz"
            file.write_bytes(gzip.compress(content))


def serve_halves(folder):
    serve(folder)
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def check_downloaded(name):
    data = load_dataset(name)
    assert data.origin == "download"
    np.testing.assert_array_equal(data.x_train[..., 0], IMAGES[0])
    np.testing.assert_array_equal(data.x_test[..., 0], IMAGES[1])
    np.testing.assert_array_equal(data.y_test, LABELS)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize(
    "serve_badly",
    [lambda folder: None, serve_halves, lambda folder: serve(folder, 255 - IMAGES)],
    ids=["none", "halves", "others"],
)
def test_a_bad_download_is_told_and_forgotten(served, tmp_path, name, serve_badly):
    serve_badly(served)
    check_refused(name, "the download")
    kept = [x for x in (tmp_path / "datasets").rglob("*") if x.is_file()]
    assert [file.name for file in kept if not file.name.startswith(".")] == []
    serve(served)
    check_downloaded(name)
    # A second time it is not asked for.
    shutil.rmtree(served)
    check_downloaded(name)


def test_the_command_says_it_in_sentences(served, capsys):
    assert main(["run", "mixup_mnist", "--profile", "quick", "--script"]) == 1
    said = capsys.readouterr().err
    assert "MNIST could not be loaded from the download" in said
    assert "Traceback" not in said


def test_a_file_system_without_locks(served, monkeypatch):
    def refuse(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    serve(served)
    check_downloaded("mnist")


def test_fingerprint_is_of_labelled_images_in_any_order():
    images, order = IMAGES[0], RNG.permutation(10)
    found = fingerprint_images(images, LABELS)
    each = sorted(
        hashlib.sha256(image.tobytes() + bytes([label])).digest()
        for image, label in zip(images, LABELS, strict=True)
    )
    assert found == hashlib.sha256(b"".join(each)).hexdigest()
    assert fingerprint_images(images[order], LABELS[order].astype(int)) == found


def test_sample():
    data = load_dataset("cifar10", "sample")
    assert data.origin == "sample"
    assert data.x_train.shape == (2000, 32, 32, 3)
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
    assert data.take().sha256 == data.sha256
    for name, n in (("train_images", 2001), ("test_images", 0)):
        with pytest.raises(ValueError, match=name):
            data.take(**{name: n})


@pytest.mark.parametrize(("low", "high"), [(0, 1), (3.5, -70)])
def test_scaling_is_linear(low, high):
    pixels = np.arange(256, dtype="uint8").reshape(16, 16)
    scaled = scale_images(pixels, low, high)
    assert scaled.dtype == np.float32
    expected = np.interp(pixels, [0, 255], [low, high])
    np.testing.assert_allclose(scaled, expected, atol=1e-5)
    with pytest.raises(ValueError, match="images"):
        scale_images(scaled)
