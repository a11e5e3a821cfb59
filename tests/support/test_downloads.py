"""Downloads that go wrong, played by a server on this machine."""

import contextlib
import dataclasses
import gzip
import hashlib
import http.server
import importlib
import io
import struct
import threading

import filelock
import numpy as np
import pytest

from tutorials_lib.runs.cli import main
from tutorials_lib.support.data import (
    SPECIFICATIONS,
    DataError,
    fingerprint_images,
    load_dataset,
)

LABELS = np.arange(10, dtype="uint8")
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 10, 28, 28), "uint8")


def pack_idx(array, magic):
    header = struct.pack(f">{array.ndim + 1}I", magic, *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


def make_files(images=IMAGES):
    """The files of MNIST and Fashion-MNIST, by the names that Keras asks for."""
    packed = io.BytesIO()
    parts = {"x_train": images[0], "x_test": images[1]}
    np.savez(packed, **parts, y_train=LABELS, y_test=LABELS)
    return {
        "mnist.npz": packed.getvalue(),
        "train-images-idx3-ubyte.gz": pack_idx(images[0], 2051),
        "train-labels-idx1-ubyte.gz": pack_idx(LABELS, 2049),
        "t10k-images-idx3-ubyte.gz": pack_idx(images[1], 2051),
        "t10k-labels-idx1-ubyte.gz": pack_idx(LABELS, 2049),
    }


FILES = make_files()
# What a bad server gives out in their place.
BAD = {
    "none": {},
    "halves": {name: content[: len(content) // 2] for name, content in FILES.items()},
    "others": make_files(255 - IMAGES),
}


class Answer(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`."""

    def do_GET(self):
        name = self.path.strip("/")
        self.server.asked.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.files[name])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server of this machine alone."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.files, server.asked = FILES, []
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def redirect(get_file, port, home):
    """Has Keras fetch files from this machine."""

    def fetch(fname, origin, file_hash=None, **rest):
        origin = f"http://127.0.0.1:{port}/{origin.rpartition('/')[2]}"
        # Keras pins the real set's file; here the stand-in's takes its place.
        file_hash = file_hash and hashlib.sha256(FILES[fname]).hexdigest()
        return get_file(
            fname, origin=origin, file_hash=file_hash, cache_dir=home, **rest
        )

    return fetch


@pytest.fixture
def cache(tmp_path, monkeypatch, server):
    """Keras' folder; Keras asks the server, and ten images a split pass for a set."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("TUTORIALS_DATA", raising=False)
    prints = "-".join(fingerprint_images(images, LABELS)[:16] for images in IMAGES)
    for name in ("mnist", "fashion_mnist"):
        module = importlib.import_module(f"keras.src.datasets.{name}")
        fetch = redirect(module.get_file, server.server_port, str(tmp_path))
        monkeypatch.setattr(module, "get_file", fetch)
        pretended = dataclasses.replace(SPECIFICATIONS[name], fingerprint=prints)
        monkeypatch.setitem(SPECIFICATIONS, name, pretended)
    return tmp_path / "datasets"


def list_files(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if not path.name.startswith(".")]


def check_loaded(name):
    data = load_dataset(name)
    assert data.origin == "download"
    np.testing.assert_array_equal(data.x_train[..., 0], IMAGES[0])
    np.testing.assert_array_equal(data.x_test[..., 0], IMAGES[1])
    np.testing.assert_array_equal(data.y_test, LABELS)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("bad", list(BAD))
def test_a_bad_answer_is_told_and_forgotten(cache, server, name, bad):
    server.files = BAD[bad]
    with pytest.raises(DataError) as caught:
        load_dataset(name)
    said = str(caught.value)
    assert said.startswith(f"{SPECIFICATIONS[name].title} could not be loaded from the")
    for part in ("404" if bad == "none" else "", "TUTORIALS_DATA", "source='sample'"):
        assert part in said
    assert list_files(cache) == []
    server.files = FILES
    check_loaded(name)
    asked = len(server.asked)
    check_loaded(name)
    assert len(server.asked) == asked


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
    path.write_bytes(BAD["halves"][path.name])
    with contextlib.suppress(DataError):
        load_dataset(name)
    check_loaded(name)


def test_the_command_says_it_in_sentences(cache, server, capsys):
    server.files = {}
    assert main(["run", "mixup_mnist", "--profile", "quick", "--script"]) == 1
    said = capsys.readouterr().err
    assert "MNIST could not be loaded from the download" in said
    assert "Traceback" not in said


def test_a_file_system_without_locks(cache, monkeypatch):
    def refuse(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    check_loaded("mnist")
