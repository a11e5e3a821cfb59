"""Downloads that go wrong, played by a server on this machine."""

import concurrent.futures
import contextlib
import dataclasses
import gzip
import hashlib
import http.server
import importlib
import importlib.util
import io
import json
import pathlib
import struct
import threading
import time

import numpy as np
import pytest

from tutorials_lib.runs.cli import main
from tutorials_lib.support.data import (
    SPECIFICATIONS,
    DataError,
    fingerprint_images,
    load_dataset,
)

# One image of each class and split, all different: small, and a set all the same.
LABELS = np.arange(10, dtype="uint8")
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 10, 28, 28), "uint8")
FAULTS = ("403", "html", "cut", "cut unnoticed", "others", "garbage")


def pack_arrays(images):
    packed = io.BytesIO()
    parts = {"x_train": images[0], "x_test": images[1]}
    np.savez(packed, **parts, y_train=LABELS, y_test=LABELS)
    return packed.getvalue()


def pack_idx(array, magic):
    header = struct.pack(f">{array.ndim + 1}I", magic, *array.shape)
    return gzip.compress(header + array.tobytes())


def make_files(images=IMAGES):
    """The files of both sets, by the names under which Keras asks for them."""
    return {
        "mnist.npz": pack_arrays(images),
        "train-images-idx3-ubyte.gz": pack_idx(images[0], 2051),
        "train-labels-idx1-ubyte.gz": pack_idx(LABELS, 2049),
        "t10k-images-idx3-ubyte.gz": pack_idx(images[1], 2051),
        "t10k-labels-idx1-ubyte.gz": pack_idx(LABELS, 2049),
    }


class Answer(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`, with the fault in `server.fault`."""

    def do_GET(self):
        fault = self.server.fault
        self.server.asked.append(self.path)
        if fault == "403":
            self.send_error(403)
            return
        content = self.server.files.get(self.path.strip("/"), b"nothing known")
        if fault == "html":
            content = b"<html><body>Please log in to the hotel's network</body></html>"
        elif fault == "garbage":
            content = bytes(reversed(content))
        elif fault == "others":
            content = make_files(255 - IMAGES).get(self.path.strip("/"), b"")
        self.send_response(200)
        if fault != "cut unnoticed":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        middle = len(content) // 2
        self.wfile.write(content[:middle])
        self.wfile.flush()
        time.sleep(self.server.pause)
        if not str(fault).startswith("cut"):
            self.wfile.write(content[middle:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server of this machine alone; `fault` and `pause` say how it misbehaves."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.files, server.fault, server.pause, server.asked = make_files(), None, 0, []
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def find_fingerprint():
    return "-".join(fingerprint_images(images, LABELS)[:16] for images in IMAGES)


def pretend(name, fingerprint):
    """Lets ten images of each split pass for a set."""
    ones = {"train_counts": (1,) * 10, "test_counts": (1,) * 10}
    return dataclasses.replace(SPECIFICATIONS[name], **ones, fingerprint=fingerprint)


def redirect(module, port, **changes):
    """Has a module of `keras.datasets` fetch its files from this machine."""
    get_file = module.get_file

    def fetch(fname, origin, file_hash=None, **rest):
        origin = f"http://127.0.0.1:{port}/{origin.rpartition('/')[2]}"
        # Keras pins the real set's file; here the stand-in's takes its place.
        if file_hash is not None and fname in make_files():
            file_hash = hashlib.sha256(make_files()[fname]).hexdigest()
        return get_file(fname, origin=origin, file_hash=file_hash, **rest, **changes)

    module.get_file = fetch


@pytest.fixture
def cache(tmp_path, monkeypatch, server):
    """Keras' folder, and Keras' loaders led to the server."""
    home = tmp_path / "keras"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.delenv("TUTORIALS_DATA", raising=False)
    for name in SPECIFICATIONS:
        module = importlib.import_module(f"keras.src.datasets.{name}")
        monkeypatch.setattr(module, "get_file", module.get_file)
        redirect(module, server.server_port, cache_dir=str(home))
    for name in ("mnist", "fashion_mnist"):
        monkeypatch.setitem(SPECIFICATIONS, name, pretend(name, find_fingerprint()))
    return home / "datasets"


def list_files(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if path.name != ".tutorials.lock"]


def check_loaded(name):
    data = load_dataset(name)
    assert data.origin == "download"
    np.testing.assert_array_equal(data.x_train[..., 0], IMAGES[0])
    np.testing.assert_array_equal(data.x_test[..., 0], IMAGES[1])
    np.testing.assert_array_equal(data.y_test, LABELS)


def check_sentence(said, name):
    """What happened, and what to do about it."""
    assert "Traceback" not in said
    assert said.startswith(f"{SPECIFICATIONS[name].title} could not be loaded from the")
    for way in ("Two ways out", "TUTORIALS_DATA", "source='sample'"):
        assert way in said


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_answer_is_told_and_forgotten(cache, server, name, fault):
    server.fault = fault
    with pytest.raises(DataError) as caught:
        load_dataset(name)
    check_sentence(str(caught.value), name)
    if fault == "403":
        assert "403" in str(caught.value)
    assert list_files(cache) == []
    server.fault = None
    check_loaded(name)
    asked = len(server.asked)
    check_loaded(name)
    assert len(server.asked) == asked


@pytest.mark.parametrize("fault", ["403", "html", "cut"])
def test_an_archive_that_is_none(cache, server, fault):
    server.fault = fault
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10")
    check_sentence(str(caught.value), "cifar10")
    assert list_files(cache) == []


@pytest.mark.parametrize("name", list(SPECIFICATIONS))
def test_no_network(cache, server, name):
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="refused") as caught:
        load_dataset(name)
    check_sentence(str(caught.value), name)
    assert list_files(cache) == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "mnist.npz"),
        ("fashion_mnist", "fashion-mnist/train-images-idx3-ubyte.gz"),
        ("fashion_mnist", "fashion-mnist/t10k-labels-idx1-ubyte.gz"),
    ],
)
def test_what_a_killed_download_left(cache, name, file):
    """Keras writes under the final name, so half a file passes for a whole one."""
    path = cache / file
    path.parent.mkdir(parents=True)
    content = make_files()[path.name]
    path.write_bytes(content[: len(content) // 2])
    with contextlib.suppress(DataError):
        load_dataset(name)
    check_loaded(name)


def test_other_files_in_the_cache_stay(cache, server):
    (cache / "fashion-mnist").mkdir(parents=True)
    others = [cache / "mnist.npz", cache / "imdb.npz", cache / "notes.txt"]
    for path in others:
        path.write_text("another's")
    server.fault = "html"
    with pytest.raises(DataError):
        load_dataset("fashion_mnist")
    assert [path.read_text() for path in others] == ["another's"] * 3


def test_the_command_says_it_in_sentences(cache, server, capsys):
    server.fault = "403"
    assert main(["run", "mixup_mnist", "--profile", "quick", "--script"]) == 1
    said = capsys.readouterr().err
    assert "MNIST could not be loaded from the download" in said
    assert "Traceback" not in said


# Keras is not told where its folder is: the variable alone says so.
CHILD = """
import json, sys
sys.path.insert(0, {tests!r})
import test_downloads as tests
from tutorials_lib.support.data import SPECIFICATIONS, DataError, load_dataset
import keras.src.datasets.fashion_mnist as module
tests.redirect(module, {port})
SPECIFICATIONS["fashion_mnist"] = tests.pretend("fashion_mnist", {fingerprint!r})
try:
    print(json.dumps(load_dataset("fashion_mnist").x_train.sum().item()))
except DataError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture
def load_apart(run_python, server, tmp_path):
    """Loads Fashion-MNIST in a process of its own; returns what came of it."""

    def load():
        code = CHILD.format(
            tests=str(pathlib.Path(__file__).parent),
            port=server.server_port,
            fingerprint=find_fingerprint(),
        )
        environment = {"KERAS_HOME": str(tmp_path / "home")}
        # The quickest to import; in some versions of Keras it needs JAX.
        if importlib.util.find_spec("jax"):
            environment["KERAS_BACKEND"] = "numpy"
        done = run_python("-c", code, TUTORIALS_DATA="", **environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return load


def test_two_processes_download_at_once(load_apart, server, tmp_path):
    """And one after them finds nothing damaged in the folder that Keras uses."""
    # Long enough that the second looks while the first has half a file.
    server.pause = 1
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load_apart) for _ in range(2)]
        assert [load.result() for load in loads] == [IMAGES[0].sum()] * 2
    folder = tmp_path / "home" / "datasets" / "fashion-mnist"
    assert len(list_files(folder)) == 4
    assert len(server.asked) == 4
    for path in folder.iterdir():
        path.unlink()
    server.pause, server.fault = 0, "html"
    assert load_apart().startswith("Fashion-MNIST could not be loaded")
    assert not folder.exists()
