"""Loading: what is right passes, and each way a file can be wrong is told apart."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tutorials_lib.support.data import (
    SPECIFICATIONS,
    DataError,
    fingerprint_images,
    load_dataset,
    scale_images,
)
from tutorials_lib.support.samples import SAMPLE_CLASSES, draw_samples


@pytest.fixture(scope="module")
def arrays():
    """Black images in the shapes of MNIST, with as many of each digit as it has."""
    made = {}
    for split in ("train", "test"):
        counts = getattr(SPECIFICATIONS["mnist"], f"{split}_counts")
        made[f"y_{split}"] = np.repeat(np.arange(10, dtype="uint8"), counts)
        made[f"x_{split}"] = np.zeros((sum(counts), 28, 28), "uint8")
    return made


@pytest.fixture
def taken_for_mnist(arrays, monkeypatch):
    """Lets the black images pass for MNIST: their fingerprint becomes the expected."""
    prints = [
        fingerprint_images(arrays[f"x_{split}"], arrays[f"y_{split}"])[:16]
        for split in ("train", "test")
    ]
    changed = dataclasses.replace(SPECIFICATIONS["mnist"], fingerprint="-".join(prints))
    monkeypatch.setitem(SPECIFICATIONS, "mnist", changed)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TUTORIALS_DATA", str(tmp_path))
    return tmp_path


def test_published_counts():
    for name, train in (
        ("mnist", 60_000),
        ("fashion_mnist", 60_000),
        ("cifar10", 50_000),
    ):
        specification = SPECIFICATIONS[name]
        assert sum(specification.train_counts) == train
        assert sum(specification.test_counts) == 10_000
        assert len(set(specification.classes)) == 10


def test_folder(arrays, folder, taken_for_mnist):
    np.savez(folder / "mnist.npz", **arrays)
    data = load_dataset("mnist")
    assert (data.x_train.shape, data.x_train.dtype) == ((60_000, 28, 28, 1), np.uint8)
    assert (data.y_test.shape, data.y_test.dtype) == ((10_000,), np.int64)
    assert data.origin == "folder"
    assert data.describe().startswith("MNIST: 60,000 training and 10,000 test images")
    assert "TUTORIALS_DATA" in data.describe()


def test_download_with_columns_of_labels(monkeypatch):
    import keras

    monkeypatch.delenv("TUTORIALS_DATA", raising=False)
    made = []
    for count in (5000, 1000):
        labels = np.arange(10 * count).reshape(-1, 1) % 10
        made.append((np.zeros((10 * count, 32, 32, 3), "uint8"), labels))
    prints = [fingerprint_images(x, y[:, 0])[:16] for x, y in made]
    changed = dataclasses.replace(
        SPECIFICATIONS["cifar10"], fingerprint="-".join(prints)
    )
    monkeypatch.setitem(SPECIFICATIONS, "cifar10", changed)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: tuple(made))
    data = load_dataset("cifar10")
    assert data.y_train.shape == (50_000,)
    assert data.origin == "download"


def test_failed_download(monkeypatch):
    import keras

    def fail():
        raise Exception("URL fetch failure on https://...: None")

    monkeypatch.delenv("TUTORIALS_DATA", raising=False)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(DataError) as caught:
        load_dataset("mnist")
    for said in ("URL fetch failure", "mnist.npz", "TUTORIALS_DATA", "source='sample'"):
        assert said in str(caught.value)


def damage(arrays, kind):
    """Returns MNIST-like arrays with one thing wrong."""
    broken = dict(arrays)
    if kind == "lacks x_test":
        del broken["x_test"]
    elif kind == "fewer images":
        broken["x_train"] = broken["x_train"][:-1]
    elif kind == "floats":
        broken["x_test"] = broken["x_test"].astype("float32")
    elif kind == "labels to 10":
        broken["y_test"] = broken["y_test"] + 1
    elif kind == "labels are one-hot":
        broken["y_test"] = np.eye(10)[broken["y_test"]]
    elif kind == "another set":
        broken["y_train"] = (np.arange(60_000) % 10).astype("uint8")
    return broken


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("lacks x_test", "lacks x_test"),
        ("fewer images", r"x_train is uint8 of shape \(59999, 28, 28, 1\)"),
        ("floats", "x_test is float32"),
        ("labels to 10", "y_test has labels from 1 to 10"),
        ("labels are one-hot", "y_test is float64"),
        ("another set", r"y_train counts \(6000, 6000"),
        ("right in shape alone", "the labelled images are others"),
    ],
)
def test_wrong_file(arrays, folder, kind, said):
    np.savez(folder / "mnist.npz", **damage(arrays, kind))
    with pytest.raises(DataError, match=said) as caught:
        load_dataset("mnist")
    for part in (str(folder / "mnist.npz"), "Expected: mnist.npz", "Two ways out"):
        assert part in str(caught.value)


@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_truncated_file(folder, keep):
    np.savez(folder / "whole.npz", x_train=np.zeros((100, 28, 28), "uint8"))
    whole = (folder / "whole.npz").read_bytes()
    (folder / "mnist.npz").write_bytes(whole[:keep])
    with pytest.raises(DataError, match=r"cannot be read.*\n.*\nTwo ways out"):
        load_dataset("mnist")


def test_fingerprint_is_of_labelled_images_in_any_order():
    x, y = draw_samples(30, (28, 28, 1), seed=0)
    order = np.random.default_rng(0).permutation(30)
    assert fingerprint_images(x, y) == fingerprint_images(x[order], y[order])
    assert fingerprint_images(x, y) != fingerprint_images(x, y[order])
    assert fingerprint_images(x, y) != fingerprint_images(255 - x, y)


def test_samples_cannot_be_changed_for_the_next_caller():
    with pytest.raises(ValueError, match="read-only"):
        load_dataset("mnist", "sample").x_train[:] = 0


def test_pickles_are_not_opened(folder):
    np.savez(folder / "mnist.npz", **{"x_train": np.array([{}], dtype=object)})
    with pytest.raises(DataError):
        load_dataset("mnist")


def test_missing_file_and_folder(folder, monkeypatch):
    with pytest.raises(DataError, match="no such file"):
        load_dataset("mnist")
    monkeypatch.setenv("TUTORIALS_DATA", str(folder / "nowhere"))
    with pytest.raises(DataError, match="nowhere is not a folder"):
        load_dataset("mnist")


def test_unknown_name_and_source():
    with pytest.raises(
        ValueError, match="'mnist', 'fashion_mnist', 'cifar10'; got 'x'"
    ):
        load_dataset("x")
    with pytest.raises(ValueError, match="source must be one of 'real', 'sample'"):
        load_dataset("mnist", "fake")


@pytest.mark.parametrize("name", list(SPECIFICATIONS))
def test_sample_says_what_it_is(name):
    data = load_dataset(name, "sample")
    title = SPECIFICATIONS[name].title
    assert data.describe().startswith(f"SAMPLE IMAGES, NOT {title}")
    assert data.title == f"sample images (not {title})"
    assert data.origin == "sample"
    assert data.class_names == SAMPLE_CLASSES
    assert data.x_train.shape[1:] == SPECIFICATIONS[name].image_shape
    assert data.x_train.dtype == np.uint8
    assert set(data.y_train) == set(range(10))


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_samples_are_separable_by_shape_alone(shape):
    x, y = draw_samples(1000, shape, seed=0)
    x_new, y_new = draw_samples(300, shape, seed=1)

    def standardise(images):
        flat = images.reshape(len(images), -1).astype(float)
        return (flat - flat.mean(axis=1, keepdims=True)) / flat.std(axis=1)[:, None]

    nearest = cdist(standardise(x_new), standardise(x)).argmin(axis=1)
    assert (y[nearest] == y_new).mean() > 0.95
    # Brightness gives little away: a classifier must look at the shape.
    means = [x[y == k].mean() for k in range(10)]
    guess = np.abs(x_new.mean(axis=(1, 2, 3))[:, None] - means).argmin(axis=1)
    assert (guess == y_new).mean() < 0.35


def test_samples_repeat_and_differ():
    one, two = draw_samples(50, (28, 28, 1), 3), draw_samples(50, (28, 28, 1), 3)
    np.testing.assert_array_equal(one[0], two[0])
    other = draw_samples(50, (28, 28, 1), 4)
    assert not np.array_equal(one[0], other[0])
    assert len({image.tobytes() for image in one[0]}) == 50


def test_bad_samples():
    with pytest.raises(ValueError, match="n must be"):
        draw_samples(0, (28, 28, 1), 0)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        draw_samples(5, (28, 28, 2), 0)


def test_take():
    data = load_dataset("mnist", "sample")
    part = data.take(30, 20)
    assert (len(part.x_train), len(part.y_train), len(part.x_test)) == (30, 30, 20)
    np.testing.assert_array_equal(part.x_train, data.x_train[:30])
    assert part.sha256 != data.sha256
    assert data.take().sha256 == data.sha256
    with pytest.raises(ValueError, match=r"train_images must be .* from 1 to 2000"):
        data.take(2001)


def test_scale():
    black_grey_white = np.array([0, 51, 255], "uint8")
    np.testing.assert_allclose(scale_images(black_grey_white), [0, 0.2, 1], atol=1e-7)
    np.testing.assert_allclose(
        scale_images(black_grey_white, -1, 1), [-1, -0.6, 1], atol=1e-6
    )
    with pytest.raises(ValueError, match="must be uint8"):
        scale_images(np.zeros(3))
