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
FAULTS = ("403", "html", "cut unnoticed", "others", "no network")


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


class Answer(http.server.BaseHTTPRequestHandler):
    """Serves `server.files` with `server.fault`."""

    def do_GET(self):
        server, fault, name = self.server, self.server.fault, self.path.strip("/")
        server.asked.append(name)
        if fault == "403":
            self.send_error(403)
            return
        content = server.files.get(name, b"nothing known")
        if fault == "html":
            content = b"<html><body>Please log in to the hotel's network</body></html>"
        elif fault == "others":
            content = make_files(255 - IMAGES).get(name, b"")
        self.send_response(200)
        if fault != "cut unnoticed":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        middle = len(content) // 2
        self.wfile.write(content[:middle])
        self.wfile.flush()
        if fault != "cut unnoticed":
            self.wfile.write(content[middle:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server of this machine alone; `fault` says how it misbehaves."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.files, server.fault, server.asked = make_files(), None, []
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def pretend(name):
    """Lets ten images of each split pass for a set."""
    prints = [fingerprint_images(images, LABELS)[:16] for images in IMAGES]
    return dataclasses.replace(SPECIFICATIONS[name], fingerprint="-".join(prints))


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
        monkeypatch.setitem(SPECIFICATIONS, name, pretend(name))
    return home / "datasets"


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
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_answer_is_told_and_forgotten(cache, server, name, fault):
    server.fault = fault
    if fault == "no network":
        server.shutdown()
        server.server_close()
    with pytest.raises(DataError) as caught:
        load_dataset(name)
    said = str(caught.value)
    assert said.startswith(f"{SPECIFICATIONS[name].title} could not be loaded from the")
    reason = {"403": "403", "no network": "refused"}.get(fault, "")
    for part in (reason, "TUTORIALS_DATA", "source='sample'"):
        assert part in said
    assert list_files(cache) == []
    if fault != "no network":
        server.fault = None
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
    content = make_files()[path.name]
    path.write_bytes(content[: len(content) // 2])
    with contextlib.suppress(DataError):
        load_dataset(name)
    check_loaded(name)


def test_the_command_says_it_in_sentences(cache, server, capsys):
    server.fault = "403"
    assert main(["run", "mixup_mnist", "--profile", "quick", "--script"]) == 1
    said = capsys.readouterr().err
    assert "MNIST could not be loaded from the download" in said
    assert "Traceback" not in said


def test_a_file_system_without_locks(cache, monkeypatch):
    def refuse(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    check_loaded("mnist")
