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
from tutorials_lib.support.downloads import find_downloads, hold_downloads

LABELS = np.arange(10, dtype="uint8")
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 10, 28, 28), "uint8")
FAULTS = ("403", "html", "cut", "cut unnoticed", "others", "garbage", "no network")


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
    """Serves `server.files` with `server.fault`, once `server.awaited` have come."""

    def do_GET(self):
        server, fault, name = self.server, self.server.fault, self.path.strip("/")
        if name == "started":
            self.send_response(200)
            self.end_headers()
            server.awaited.wait(timeout=60)
            return
        server.asked.append(name)
        if fault == "403":
            self.send_error(403)
            return
        content = server.files.get(name, b"nothing known")
        if fault == "html":
            content = b"<html><body>Please log in to the hotel's network</body></html>"
        elif fault == "garbage":
            content = bytes(reversed(content))
        elif fault == "others":
            content = make_files(255 - IMAGES).get(name, b"")
        self.send_response(200)
        if fault != "cut unnoticed":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        middle = len(content) // 2
        self.wfile.write(content[:middle])
        self.wfile.flush()
        if not str(fault).startswith("cut"):
            self.wfile.write(content[middle:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server of this machine alone; `fault` says how it misbehaves."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.files, server.fault, server.asked = make_files(), None, []
    server.awaited = threading.Barrier(2)
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


@pytest.mark.parametrize("name", list(SPECIFICATIONS))
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
    if fault != "no network" and name != "cifar10":
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


def test_a_file_is_locked_while_it_is_downloaded(cache):
    with hold_downloads([]):
        (file,) = find_downloads().glob(".*.lock")
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(file, timeout=0).acquire()
    with filelock.FileLock(file, timeout=0):
        pass


@pytest.mark.parametrize(
    "error",
    [OSError("no locks available"), NotImplementedError(), filelock.Timeout("")],
)
def test_a_file_system_without_locks(cache, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    check_loaded("mnist")


# Keras is not told where its folder is: the variable alone says so.
CHILD = """
import json, sys, urllib.request
sys.path.insert(0, {tests!r})
import test_downloads as tests
from tutorials_lib.support.data import SPECIFICATIONS, load_dataset
import keras.src.datasets.fashion_mnist as module
tests.redirect(module, {port})
SPECIFICATIONS["fashion_mnist"] = tests.pretend("fashion_mnist")
urllib.request.urlopen("http://127.0.0.1:{port}/started").read()
print(json.dumps(load_dataset("fashion_mnist").x_train.sum().item()))
"""


def test_two_processes_download_at_once(run_python, server, tmp_path):
    """Both start when the other is there, and find whole files, fetched once."""
    folder = str(pathlib.Path(__file__).parent)
    code = CHILD.format(tests=folder, port=server.server_port)
    environment = {"KERAS_HOME": str(tmp_path / "home"), "TUTORIALS_DATA": ""}
    # The quickest to import; in some versions of Keras it needs JAX.
    if importlib.util.find_spec("jax"):
        environment["KERAS_BACKEND"] = "numpy"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(run_python, "-c", code, **environment) for _ in range(2)]
    for load in loads:
        assert load.result().returncode == 0, load.result().stderr[-3000:]
        assert json.loads(load.result().stdout.splitlines()[-1]) == IMAGES[0].sum()
    assert sorted(server.asked) == sorted(list(make_files())[1:])
    assert len(list_files(tmp_path / "home" / "datasets" / "fashion-mnist")) == 4
