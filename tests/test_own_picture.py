"""A picture of the reader's own, and what the kept network answers in a real browser.

The network is made here: narrow, of random weights, with statistics and biases that
matter. Keras and Pillow say what is right.
"""

import base64
import functools
import io

import keras
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from test_browser import find_faults

from tutorials_lib import airbench
from tutorials_lib.book import widgets
from tutorials_lib.support.data import SPECIFICATIONS, load_dataset, scale_images

pytestmark = pytest.mark.book


@pytest.fixture(scope="module")
def network():
    """A network as the chapter keeps it, kernels in half precision, and its weights."""
    keras.utils.set_random_seed(0)
    made = airbench.build_airbench_net([24, 28, 32], whitening=np.zeros((2, 2, 3, 24)))
    rng, weights = np.random.default_rng(0), []
    for weight in made.weights:
        shape = weight.shape
        if len(shape) > 1:
            drawn = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
            # Logits that differ from image to image.
            drawn *= 6 if len(shape) == 2 else 1
            weights.append(drawn.astype("float16"))
        elif "variance" in weight.path:
            weights.append(rng.uniform(0.5, 2, shape).astype("float32"))
        else:
            weights.append(rng.normal(0, 0.1, shape).astype("float32"))
    made.set_weights(weights)
    return made, {f"weight_{k:02d}": each for k, each in enumerate(weights)}


@pytest.fixture
def visit_widget(visit, publish, network):
    """Opens the chapter as it is once its runs are recorded, of which one is kept."""
    metrics = {"tta_accuracy": 0.94, "pflop": 9.0}
    for name in widgets.WIDGETS["cifar10_fast"].variants:
        arrays = network[1] if name == "94% recipe" else {}
        publish("cifar10_fast", name, arrays, metrics=metrics)
    chapter = widgets.write_call("cifar10_fast", widgets.make_widget("cifar10_fast"))
    data = {"cifar10_fast": chapter, widgets.NETWORK: widgets.write_network()}

    def open_page(weights=None, **options):
        given = data | ({widgets.NETWORK: weights} if weights else {})
        page, wrong = visit("cifar10_fast", data=given, **options)
        place = page.locator("div[data-widget=own_picture]")
        expect(place.locator("legend")).to_be_visible()
        return page, place, wrong

    return open_page


def answer(network, pixels):
    logits = airbench.predict_views(network, scale_images(pixels), "mirror")
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def pack(pixels):
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return {"name": "mine.png", "mimeType": "image/png", "buffer": written.getvalue()}


def drop(page, place, file):
    """Drops a file on a widget."""
    dropped = page.evaluate_handle(
        """(text) => {
          const bytes = Uint8Array.from(atob(text), (x) => x.charCodeAt(0));
          const carried = new DataTransfer();
          carried.items.add(new File([bytes], "mine.png", { type: "image/png" }));
          return carried;
        }""",
        base64.b64encode(file["buffer"]).decode(),
    )
    place.locator("fieldset").dispatch_event("drop", {"dataTransfer": dropped})


def test_halves_and_pixels_are_read_as_numpy_and_pillow_read_them(visit_widget):
    page, _, _ = visit_widget()
    halves = np.arange(2**16, dtype="uint16")
    halves = halves[np.isfinite(halves.view("float16"))]
    script = "(bits) => [...bookWidgets.own_picture.widen(Uint16Array.from(bits))]"
    found = page.evaluate(script, halves.tolist())
    np.testing.assert_array_equal(found, halves.view("float16"))

    for size in ((96, 160), (83, 50), (32, 32), (9, 7)):
        check_means(page, size)


def check_means(page, size):
    """Each pixel of the shrunk picture is the mean of its area."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype("uint8")
    url = base64.b64encode(pack(pixels)["buffer"]).decode()
    found = page.evaluate(
        """async (url) => {
          const picture = await (await fetch(url)).blob();
          return [...bookWidgets.own_picture.shrink(await createImageBitmap(picture))];
        }""",
        f"data:image/png;base64,{url}",
    )
    side = min(size)
    top, left = ((length - side) // 2 for length in size)
    square = np.kron(
        pixels[top : top + side, left : left + side],
        np.ones((32, 32, 1), "uint8"),
    )
    wanted = np.asarray(Image.fromarray(square).reduce(side)).astype(int)
    np.testing.assert_allclose(np.reshape(found, (32, 32, 3)), wanted, atol=1)


@pytest.mark.parametrize(("scheme", "number"), [("light", 3), ("dark", 5)])
def test_a_reader_shows_pictures(visit_widget, network, scheme, number):
    """One is chosen and one is dropped; the browser answers as Keras does."""
    page, place, wrong = visit_widget(width=360, scheme=scheme)
    said = place.locator("output")
    expect(said).to_contain_text("stays on your machine")
    scripts = page.locator(f"script[src*={widgets.NETWORK}]")
    expect(scripts).to_have_count(0)
    image = load_dataset("cifar10", "sample").x_test[number]
    pixels, names = np.stack([image, 255 - image]), SPECIFICATIONS["cifar10"].classes
    answers = answer(network[0], pixels)
    # They differ, and the mirror image matters.
    plain = keras.ops.softmax(network[0].predict(scale_images(pixels), verbose=0))
    assert np.ptp(answers, axis=0).max() > 0.05
    assert np.abs(keras.ops.convert_to_numpy(plain) - answers).max() > 0.01
    chooser = place.get_by_label("picture")
    ways = chooser.set_input_files, functools.partial(drop, page, place)
    for show, image, shares in zip(ways, pixels, answers, strict=True):
        show(pack(np.kron(image, np.ones((3, 3, 1), "uint8"))))
        second, first = np.argsort(shares)[-2:]
        told = [f"{names[k]} {100 * shares[k]:.1f}%" for k in (first, second)]
        expect(said).to_contain_text(f"{told[0]}, then {told[1]}. The network knows")
        bars = [float(x.get_attribute("width")) for x in place.locator(".bar").all()]
        np.testing.assert_allclose(np.array(bars) / 176, shares, atol=1e-4)
    expect(scripts).to_have_count(1)
    drawn = page.evaluate(
        """async (picture) => {
          const image = Object.assign(new Image(), { src: picture.href.baseVal });
          await image.decode();
          const canvas = document.createElement("canvas").getContext("2d");
          canvas.drawImage(image, 0, 0);
          return [...canvas.getImageData(0, 0, 32, 32).data];
        }""",
        place.locator("image").element_handle(),
    )
    np.testing.assert_array_equal(np.reshape(drawn, (32, 32, 4))[..., :3], pixels[1])
    assert place.locator("a").all_inner_texts() == ["94% recipe, seed 0"]
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert wrong == []
    assert find_faults(page, "div[data-widget=own_picture]") == []
    # axe-core asks for imported style sheets where they are not.
    wrong.clear()
    # Whatever is no picture takes the old answer away.
    chooser.set_input_files(pack(image) | {"buffer": b"no picture"})
    expect(said).to_contain_text("cannot read this file as a picture")
    expect(place.locator("image, rect")).to_have_count(0)
    assert wrong == []


def test_without_weights_a_sentence_says_so(visit_widget):
    _, place, wrong = visit_widget(widgets.write_call(widgets.NETWORK, None))
    place.get_by_label("picture").set_input_files(pack(np.zeros((40, 40, 3), "uint8")))
    expect(place.locator("output")).to_have_text("The network's weights are missing.")
    assert wrong == []


def test_pages_bring_the_weights_of_the_published_run(site):
    script = (site / "_static" / "data" / f"{widgets.NETWORK}.js").read_text()
    assert script == widgets.write_network()
