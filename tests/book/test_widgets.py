"""Widgets in a real browser: sliders move pictures, and numbers are the right ones.

Those of trained networks are given data of runs that are made here, of networks that
learned nothing; the stored data are held to the published records.
"""

import base64
import functools
import json
import re

import keras
import numpy as np
import pytest
from playwright.sync_api import expect
from scipy import stats

from tutorials_lib.book import widgets
from tutorials_lib.book.chapters import book_folder
from tutorials_lib.book.cli import main
from tutorials_lib.few_labels import hide_labels
from tutorials_lib.mixup import mix
from tutorials_lib.networks import build_mixup_fashion_net
from tutorials_lib.runs.records import RecordError
from tutorials_lib.support.data import load_dataset, scale_images
from tutorials_lib.support.page import NO_RUNS

pytestmark = pytest.mark.book


def use_slider(visit, page_name, widget, keys, slider=0, **options):
    """Moves a widget's slider by keys.

    Returns:
        The page, the widget, and what it says before and after.
    """
    page, wrong = visit(page_name, width=360, **options)
    place = page.locator(f"div[data-widget={widget}]")
    handle, output = place.get_by_role("slider").nth(slider), place.locator("output")
    handle.focus()
    before = output.inner_text(), place.locator("svg").inner_html()
    for key in keys:
        page.keyboard.press(key)
    after = output.inner_text(), place.locator("svg").inner_html()
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert handle.get_attribute("aria-valuetext") == after[0]
    assert wrong == []
    return page, place, before[0], after[0]


def read_lengths(places, name="width"):
    return np.array([float(place.get_attribute(name)) for place in places.all()])


def test_widget_mixes_labels_as_images(visit):
    keys = ["ArrowLeft"] * 3
    _, place, before, after = use_slider(visit, "mixup_mnist", "mix", keys)
    assert "0.75 ring and 0.25 plus" in before
    assert "0.60 ring and 0.40 plus" in after
    tile = place.locator("g").nth(1)
    shares = read_lengths(tile.locator("[opacity]"), "opacity")
    assert shares == pytest.approx([0.6, 0.4])


def test_widget_of_alpha_agrees_with_scipy(visit):
    for said in use_slider(visit, "mixup_mnist", "beta", ["ArrowRight"] * 7)[2:]:
        alpha, share = map(float, re.findall(r"[\d.]+(?=:|%)", said))
        expected = 200 * stats.beta.cdf(0.1, alpha, alpha)
        assert share == pytest.approx(expected, abs=0.51)


def test_widget_of_the_power_iteration(visit):
    *_, before, after = use_slider(visit, "vat_mnist", "power", ["ArrowRight"] * 4)
    hessian = np.diag([1, 0.6])
    d = np.array([np.cos(1.35), np.sin(1.35)])
    assert before.endswith(f"{d[0]:.3f}")
    for _ in range(4):
        d = hessian @ d / np.linalg.norm(hessian @ d)
    assert after.endswith(f"{d[0]:.3f}")


def test_widget_of_survival(visit):
    _, place, before, after = use_slider(visit, "noisy_student", "survival", ["Home"])
    # 16 blocks, linear from 1 - (1 - p) / 16 to p: on average 1 - (1 - p) 17 / 32.
    assert f"{16 * (1 - 0.2 * 17 / 32):.1f} of 16" in before
    assert f"{16 * (1 - 17 / 32):.1f} of 16" in after
    heights = read_lengths(place.locator("rect"), "height")
    np.testing.assert_allclose(heights, 140 * (1 - np.arange(1, 17) / 16), atol=1e-9)


@pytest.fixture
def images(monkeypatch):
    """Sample images in place of the real ones."""
    load = functools.partial(load_dataset, source="sample")
    monkeypatch.setattr(widgets, "load_dataset", load)


def read_script(chapter):
    path = book_folder() / "_static" / "data" / f"{chapter}.js"
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("chapter", list(widgets.WIDGETS))
def test_stored_data_are_of_the_published_runs(chapter):
    """`tutorials widgets` brings them up to date; see below for what they hold."""
    script = read_script(chapter)
    stored = json.loads(script[script.index(",") + 1 : script.rindex(")")])
    runs = widgets.describe_runs(widgets.find_runs(chapter))
    assert (stored["runs"] if stored else []) == runs


@pytest.mark.real_data
@pytest.mark.parametrize("chapter", list(widgets.WIDGETS))
def test_stored_data_can_be_made_again(chapter):
    """But for what another machine's arithmetic may change."""
    made = widgets.write_call(chapter, widgets.make_widget(chapter))
    # Text and numbers with a point, in turn.
    made, stored = (re.split(r"(\d+\.\d+)", x) for x in (made, read_script(chapter)))
    assert made[::2] == stored[::2]
    found, wanted = (np.array(x[1::2], "float64") for x in (made, stored))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-3)


def test_without_runs_a_sentence_says_so(visit):
    none = {"cifar10_fast": widgets.write_call("cifar10_fast", None)}
    page, wrong = visit("cifar10_fast", data=none)
    for widget in ("cifar10_fast", "own_picture"):
        expect(page.locator(f"div[data-widget={widget}]")).to_have_text(NO_RUNS)
    assert wrong == []


def test_the_command_writes_what_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path))
    monkeypatch.setattr(widgets, "book_folder", lambda: tmp_path)
    (tmp_path / "_static").mkdir()
    for said in ("mixup_fashion_mnist.js", "changed: none"):
        assert main(["widgets"]) == 0
        assert said in capsys.readouterr().out
    for chapter in widgets.WIDGETS:
        text = (tmp_path / "_static" / "data" / f"{chapter}.js").read_text()
        assert text == f'bookData("{chapter}", null);\n'


def try_widget(visit, chapter, keys, slider=0, scheme="light"):
    """Opens a chapter with data made just now, and moves a slider by keys.

    Returns:
        The widget, its data, and what it says before and after.
    """
    made = widgets.make_widget(chapter)
    options = {"scheme": scheme, "data": {chapter: widgets.write_call(chapter, made)}}
    found = use_slider(visit, chapter, chapter, keys, slider, **options)
    page, place, before, after = found
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for run, link in zip(made["runs"], place.locator("a").all(), strict=True):
        assert link.inner_text() == run["name"]
        assert link.get_attribute("href") == run["record"]
    return place, made, before, after


def test_widget_of_mixup_answers_as_keras_does(visit, publish, images):
    keras.utils.set_random_seed(0)
    networks = [build_mixup_fashion_net(), build_mixup_fashion_net()]
    for name, network in zip(("none", "alpha 0.2"), networks, strict=True):
        *rest, kernel, bias = network.get_weights()
        # They learned nothing; so their answers are far from even all the same.
        network.set_weights([*rest, 30 * kernel, bias + np.linspace(-1, 1, 10)])
        arrays = {f"weight {k}": each for k, each in enumerate(network.get_weights())}
        publish("mixup_fashion_mnist", f"{name}, window 6,400", arrays)
    keys = ["ArrowLeft"] * 5
    place, data, _, said = try_widget(visit, "mixup_fashion_mnist", keys)
    real = load_dataset("fashion_mnist", "sample")
    # What is shown: 35% of the second class and 65% of the ninth.
    pair = [scale_images(real.x_test[[np.argmax(real.y_test == k)]]) for k in (1, 8)]
    mixed, wanted = mix(pair, np.array([0.35])), []
    for name, network in zip(data["networks"], networks, strict=True):
        shares = network.predict(mixed, verbose=0)[0]
        wanted += [shares[1], shares[8], np.delete(shares, [1, 8]).max()]
        assert f"{name} {100 * shares[1]:.1f}%" in said
        distance = data["networks"][name]["distances"][7]
        assert f"{name} {100 * distance:.1f}" in said
    assert np.min(wanted) > 0.001
    bars = read_lengths(place.locator(".bar, .wrong"))
    np.testing.assert_allclose(bars / 176, wanted, atol=1e-5)
    place.get_by_label("second").select_option("C")
    assert said != place.locator("output").inner_text()


def draw_shares(*shape, seed=0):
    return (
        np.random.default_rng(seed).dirichlet([0.1] * 10, size=shape).astype("float16")
    )


def test_widget_of_pseudo_labels_counts_them(visit, publish, images):
    """And refuses answers about other images than it counts."""
    classes = load_dataset("cifar10", "sample").y_train[:1700]
    labelled, _ = hide_labels(classes, 400, seed=0)
    truth = np.delete(classes, labelled)
    answers = draw_shares(1300)
    # They are kept in half precision, and used with a sum of 1.
    told = answers.argmax(axis=1)
    sure = answers.max(axis=1) / answers.astype("float32").sum(axis=1)

    def publish_teachers(accuracy):
        more = {"metrics": {"unlabelled_accuracy": accuracy}}
        more["parameters"] = {"split": {"held_out": 200, "labelled": 400}}
        for name in ("teacher", "noised teacher"):
            publish("noisy_student", name, {"answers": answers}, **more)

    publish_teachers(0.9)
    with pytest.raises(RecordError, match="other images"):
        widgets.make_widget("noisy_student")
    publish_teachers((told == truth).mean())
    keys = ["ArrowLeft"] * 5
    place, _, before, after = try_widget(visit, "noisy_student", keys)
    for threshold, said in ((0.75, before), (0.7, after)):
        kept = sure > threshold
        share = 100 * (told == truth)[kept].mean()
        assert f"Threshold {threshold:.2f}: of 1,300 labels {kept.sum():,} are" in said
        assert f"{share:.1f}% of these are right" in said
        counts = np.bincount(told[kept], minlength=10)
        assert f"{counts.max() / counts.min():.1f} times" in said
    # Two bars for each class, and two in the key.
    wide = read_lengths(place.locator("rect"))
    right = np.bincount(told[kept & (told == truth)], minlength=10)
    assert len(wide) == 22
    np.testing.assert_allclose(wide[1:20:2] / wide[0:20:2], right / counts, atol=1e-6)


@pytest.mark.parametrize(("slider", "versions", "networks"), [(0, 4, 1), (1, 1, 3)])
def test_widget_of_averages(visit, publish, images, slider, versions, networks):
    drawn = [draw_shares(5, 36, seed=seed) for seed in range(3)]
    for seed, name in enumerate(("decay", "decay", "strong")):
        publish("cifar10_95", name, {"draws": drawn[seed]}, seed)
    keys = ["ArrowRight"] * (versions * networks - 1)
    place, data, _, said = try_widget(visit, "cifar10_95", keys, slider)
    truth = load_dataset("cifar10", "sample").y_test[:36]
    answers = np.array(drawn, dtype="float64")
    # From the image with most right answers to the one with fewest.
    right = (answers.argmax(axis=-1) == truth).sum(axis=(0, 1))
    ranks = -np.sort(-right)[[0, 7, 14, 21, 28, 35]]
    pictures = [base64.b64decode(text) for text in data["images"]]
    test = [image.tobytes() for image in load_dataset("cifar10", "sample").x_test[:36]]
    chosen = [test.index(picture) for picture in pictures]
    np.testing.assert_array_equal(right[chosen], ranks)
    mean = answers[:networks, :versions].mean(axis=(0, 1))[chosen]
    settled = answers.mean(axis=(0, 1))[chosen]
    truth, rows = truth[chosen], np.arange(6)
    number = (mean.argmax(axis=1) == truth).sum()
    distance = 100 * np.abs(mean - settled)[rows, truth].mean()
    assert f"{number} of 6 images right" in said
    assert f"{distance:.1f} points from where" in said
    bars = read_lengths(place.locator(".bar"))
    np.testing.assert_allclose(bars / 136, mean[rows, truth], atol=1e-3)


def test_widget_of_directions(visit, publish, images):
    lengths, right = np.linspace(0, 4, 17), []
    for seed, name in enumerate(("none, logits", "VAT, recommended")):
        arrays = {"lengths": lengths, "images": np.array(500)}
        history = {"loss": [0.5]}
        for way in ("adversarial", "random"):
            arrays[f"{way} direction"] = 0.1 * draw_shares(10, 28, 28)[..., :1]
            arrays[f"{way} answers"] = draw_shares(17, 10, seed=seed)
            history[f"{way}_accuracies"] = list(np.linspace(0.9, 0.1 * seed, 17))
        right.append(arrays["adversarial answers"][11, 3, 3])
        publish("vat_mnist", f"corrected: {name}", arrays, history=history)
    keys = ["ArrowRight"] * 3
    place, _, _, said = try_widget(visit, "vat_mnist", keys, scheme="dark")
    assert "Length 2.75, adversarial" in said
    for name, share in zip(("plain", "VAT"), right, strict=True):
        assert f"{name} network {100 * share:.1f}%" in said
    assert "plain network 28.1%, VAT network 35.0%" in said
    place.get_by_label("direction").select_option("random")
    expect(place.locator("output")).to_contain_text("Length 2.75, random")


def test_widget_of_minutes_picks_the_best_recipe_in_time(visit, publish):
    runs = (
        ("94% recipe", 0.34, 0.938),
        ("94% recipe", 0.34, 0.942),
        ("3 epochs", 0.11, 0.9),
        ("6 epochs", 0.22, 0.89),
        ("95% recipe", 0.8, 0.95),
    )
    for seed, (name, pflop, accuracy) in enumerate(runs):
        run = {"metrics": {"tta_accuracy": accuracy, "pflop": pflop}}
        # The first takes 50 minutes for a PFLOP, but for the epoch that was
        # interrupted. The others are slower, so they do not set the pace.
        seconds = [4000] if seed else [255, 255, 255, 4000]
        run["history"] = {"seconds": seconds}
        publish("cifar10_fast", name, {}, seed, **run)
    # From 21 minutes, half of what there is, down to 11.
    keys = ["ArrowLeft"] * 10
    place, _, before, after = try_widget(visit, "cifar10_fast", keys)
    assert before.startswith("21 minutes on a processor")
    assert '"94% recipe". It takes about 17 minutes and gets 94.0%' in before
    assert '"3 epochs". It takes about 6 minutes and gets 90.0%' in after
    place.get_by_role("slider").press("Home")
    expect(place.locator("output")).to_contain_text("no recorded recipe is as short")
    place.get_by_role("slider").press("End")
    expect(place.locator("output")).to_contain_text("95% recipe")
