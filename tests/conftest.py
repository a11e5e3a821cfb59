import functools
import http.server
import os
import pathlib
import runpy
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

# A shell starts what runs in the background deaf to Ctrl-C, and its children are too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """Sends tests that share something slow to make to one process (`-n auto`).

    The longest come first, so that no process waits for another at the end.
    """
    items.sort(key=lambda item: "test_check_passes" not in item.name)
    for item in items:
        for name in {"site", "colab", "trainer"}.intersection(item.fixturenames):
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            group = f"{name} {parameters.get(name, '')}"
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def images():
    """Forty random images, every pixel different."""
    return np.random.default_rng(0).normal(size=(40, 6, 5, 1)).astype("float32")


@pytest.fixture
def colour():
    """Twelve random images from 0 to 1, of unequal sides and three channels."""
    return np.random.default_rng(0).random((12, 10, 14, 3)).astype("float32")


@pytest.fixture
def labels():
    """One-hot labels for `images`, classes 0 to 3 in turn."""
    return np.eye(4, dtype="float32")[np.arange(40) % 4]


@pytest.fixture
def model():
    """A small compiled network for `images` and `labels`."""
    import keras

    layers = [keras.Input((6, 5, 1)), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(4, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """Keeps what tests run away from the project's own records and runs."""
    monkeypatch.setenv("TUTORIALS_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def figure(monkeypatch):
    """Keeps the figures that are shown."""
    import matplotlib.pyplot as plt

    found = []
    monkeypatch.setattr(plt, "show", lambda: found.append(plt.gcf()))
    yield found
    plt.close("all")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The pages as stored in the book, built over older ones; a warning fails it."""
    from stand_ins import make_pages

    from tutorials_lib.book.site import build_site

    folder = tmp_path_factory.mktemp("site") / "html"
    make_pages(folder)
    return build_site(output=folder).parent


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(site):
    """The pages as a server on this machine gives them out."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import Error, sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            # Chromium's own sandbox wants rights that root in a container lacks.
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox"]
            )
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no browser: `apt-get install chromium`. {error}"[:200])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Opens a page, cut off from all other hosts; returns it with what went wrong.

    `data` is a dict of a widget's name to the script that it gets for its data.
    """
    contexts = []

    def open_page(name, width=1280, scheme="light", data=(), **options):
        view = {"width": width, "height": 900}
        context = browser.new_context(viewport=view, color_scheme=scheme, **options)
        contexts.append(context)
        context.set_default_timeout(60_000)
        page, wrong = context.new_page(), []

        def answer(route):
            place = route.request.url.rpartition("/_static/data/")[2]
            if place.removesuffix(".js") in data:
                text = data[place.removesuffix(".js")]
                route.fulfill(body=text, content_type="text/javascript")
            elif route.request.url.startswith((address, "data:")):
                route.continue_()
            else:
                wrong.append(f"asked {route.request.url}")
                route.abort()

        page.route("**/*", answer)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda said: said.type in ("error", "warning") and wrong.append(said.text),
        )
        page.on(
            "response",
            lambda got: got.status >= 400 and wrong.append(f"{got.status} {got.url}"),
        )
        page.goto(f"{address}{name}.html", wait_until="load")
        return page, wrong

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """Writes a record and its arrays among the published ones, which are no others."""
    from tutorials_lib.runs.records import find_path, write_arrays, write_record

    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path))

    def write(record, arrays=None):
        path = tmp_path / find_path(record)
        path.parent.mkdir(exist_ok=True)
        if arrays:
            record["arrays"] = write_arrays(arrays, path)
        write_record(record, path)
        return path

    return write


@pytest.fixture
def publish(keep):
    """Publishes a record for a chapter's widget, of a run on sample images."""
    from stand_ins import make_record

    from tutorials_lib.book.widgets import WIDGETS
    from tutorials_lib.results.articles import ARTICLES
    from tutorials_lib.support.data import load_dataset

    def write(chapter, variant, arrays, seed=0, **more):
        record = make_record(chapter, variant, seed, test_accuracy=0.5) | more
        record["profile"] = WIDGETS[chapter].profile
        name = ARTICLES[chapter]["dataset"]
        # Not all of the training images, as in runs of `laptop`.
        few = load_dataset(name, "sample").take(1900)
        record["data"] |= {"name": name, "sha256": few.sha256}
        record["data"] |= {"train_images": 1900, "test_images": len(few.x_test)}
        keep(record, arrays)

    return write


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Names of a stand-in for training and its data; records stay in `tmp_path`."""
    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path / "records"))
    return runpy.run_path(str(ROOT / "tests" / "programs" / "stand_in.py"))


@pytest.fixture
def run_python(tmp_path):
    """Runs code or a module in a fresh Python; returns the finished process."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
