import os
import pathlib
import runpy
import signal
import subprocess
import sys
import types

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

# A shell starts what runs in the background deaf to Ctrl-C, and its children are too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """Sends tests that share something slow to make to one process (`-n auto`)."""
    for item in items:
        for name in {"site", "colab", "trainer"}.intersection(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture
def images():
    """Forty random images, every pixel different."""
    return np.random.default_rng(0).normal(size=(40, 6, 5, 1)).astype("float32")


@pytest.fixture
def labels():
    """One-hot labels for `images`, classes 0 to 3 in turn."""
    return np.eye(4, dtype="float32")[np.arange(40) % 4]


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """Keeps what tests run away from the project's own records and runs."""
    monkeypatch.setenv("TUTORIALS_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def score_through():
    """Scores a layer's images against the images: loss in training, and in testing."""
    import keras

    def score(layer, images, batch_size, jit_compile):
        model = keras.Sequential([keras.Input(images.shape[1:]), layer])
        model.add(keras.layers.Rescaling(1.0))
        model.compile(loss="mse", jit_compile=jit_compile)
        fit = {"batch_size": batch_size, "verbose": 0}
        (loss,) = model.fit(images, images, **fit).history["loss"]
        return loss, model.evaluate(images, images, verbose=0)

    return score


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The pages as stored in the book; the build fails on any warning."""
    from tutorials_lib.runs.site import build_site

    return build_site(output=tmp_path_factory.mktemp("site") / "html").parent


@pytest.fixture
def jupyter_book(monkeypatch):
    """Stands in for jupyter-book, which takes long: two pages of two megabytes."""

    def build(command, cwd, **_):
        pages = cwd / "_build" / "html"
        pages.mkdir(parents=True)
        for name in ("index.html", "other.html"):
            (pages / name).write_bytes(bytes(2_000_000))
        (pages / ".buildinfo").write_text("new")
        return subprocess.CompletedProcess(command, 0)

    # Not for the whole process, which has disks to unmount.
    fake = types.SimpleNamespace(run=build)
    monkeypatch.setattr("tutorials_lib.runs.site.subprocess", fake)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Names of a stand-in for training and its data; records stay in `tmp_path`."""
    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path / "records"))
    return runpy.run_path(str(ROOT / "tests" / "programs" / "stand_in.py"))


@pytest.fixture
def run_python(tmp_path):
    """Runs code or a module in a fresh Python; returns the finished process."""

    def run(*arguments, cwd=None, **environment):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd or tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def tutorials(run_python):
    """Runs the `tutorials` command in a process of its own."""

    def run(*arguments, **environment):
        return run_python("-m", "tutorials_lib.runs.cli", *arguments, **environment)

    return run
