"""Data of the widgets that show trained networks, made from recorded runs.

`tutorials widgets` writes a small script for each chapter into `book/_static/data`,
which the widget's own script in `book/_static/widgets` reads. It holds `null` while the
runs are not recorded.
"""

import base64
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tutorials_lib.book.chapters import book_folder
from tutorials_lib.results.estimates import measure_pace, tabulate
from tutorials_lib.runs.records import (
    Record,
    RecordError,
    find_path,
    name_run,
    published_records,
    read_arrays,
)
from tutorials_lib.runs.storage import write_changed
from tutorials_lib.support.data import SPECIFICATIONS, load_dataset, scale_images

Data = dict[str, Any]
NETWORK = "cifar10_fast_network"


def write_widgets() -> list[pathlib.Path]:
    """Writes the data of all widgets into the book; returns the files that changed."""
    folder = book_folder() / "_static" / "data"
    return write_changed(
        {folder / f"{name}.js": write_call(name, make_widget(name)) for name in WIDGETS}
    )


def write_call(chapter: str, data: Data | None) -> str:
    """Writes the script that hands data to a page."""
    return f"bookData({json.dumps(chapter)}, {json.dumps(data)});\n"


def write_network() -> str:
    """Writes the script with the weights of the network that `cifar10_fast` keeps.

    `tutorials build` adds it to the pages, so that the weights are kept only once.
    """
    records = published_records("cifar10_fast", "laptop")
    kept = [read_arrays(record) for record in records if "arrays" in record]
    if not kept:
        return write_call(NETWORK, None)
    weights = [[array.dtype.name, pack(array)] for _, array in sorted(kept[0].items())]
    classes = SPECIFICATIONS["cifar10"].classes
    return write_call(NETWORK, {"classes": classes, "weights": weights})


def find_runs(chapter: str) -> list[Record]:
    """Finds the published runs that a widget shows; none if a variant is missing."""
    widget = WIDGETS[chapter]
    found = [
        record
        for name in widget.variants
        for record in published_records(chapter, widget.profile)
        if record["variant"] == name and (widget.every_seed or record["seed"] == 0)
    ]
    return found if {x["variant"] for x in found} == set(widget.variants) else []


def make_widget(chapter: str) -> Data | None:
    """Makes the data of a chapter's widget, or None if runs are missing.

    A `RecordError` says that a run's arrays are missing, or that it used other images.
    """
    records = find_runs(chapter)
    if not records:
        return None
    return {**WIDGETS[chapter].make(records), "runs": describe_runs(records)}


def _load_images(records):
    data = records[0]["data"]
    images = load_dataset(data["name"])
    images = images.take(data["train_images"], data["test_images"])
    if {record["data"]["sha256"] for record in records} != {images.sha256}:
        raise RecordError(f"{', '.join(map(find_path, records))} used other images.")
    return images


def describe_runs(records: list[Record]) -> list[dict[str, str | None]]:
    """Says which runs these are: name, record and hash of the arrays if it has any."""
    return [
        {
            "name": name_run(record["variant"], record["seed"]),
            "record": find_path(record),
            "arrays": record.get("arrays", {}).get("sha256"),
        }
        for record in records
    ]


def pack(array: np.ndarray) -> str:
    """Writes an array's numbers as base64, little-endian as browsers read them."""
    content = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(content).decode()


def _show_mixes(records: list[Record]) -> Data:
    """One garment of each class, both networks, and their distances from lambda."""
    import keras

    from tutorials_lib.mixup import measure_distances
    from tutorials_lib.networks import build_mixup_fashion_net

    images, lambdas = _load_images(records), np.linspace(0, 1, 21)
    test = scale_images(images.x_test), keras.utils.to_categorical(images.y_test, 10)
    network, shown = build_mixup_fashion_net(), {}
    for name, record in zip(("plain network", "mixup network"), records, strict=True):
        kept = read_arrays(record)
        weights = [kept[f"weight {k}"] for k in range(len(kept))]
        network.set_weights(weights)
        distances, pairs = measure_distances(network, *test, lambdas.tolist())
        shown[name] = {
            "weights": [pack(each.astype("float32")) for each in weights],
            "distances": distances.round(4).tolist(),
        }
    return {
        "classes": images.class_names,
        "images": _choose_first(images),
        "lambdas": lambdas.round(2).tolist(),
        "networks": shown,
        "pairs": pairs,
    }


def _choose_first(images):
    """The first test image of each class, so that nobody chose it."""
    return [pack(images.x_test[np.argmax(images.y_test == k)]) for k in range(10)]


def _show_labels(records: list[Record]) -> Data:
    """How many labels each threshold keeps, and how many of those are right."""
    from tutorials_lib.few_labels import hide_labels, keep_confident

    images, shown = _load_images(records), {}
    for record in records:
        split = record["parameters"]["split"]
        labels = images.y_train[: len(images.y_train) - split["held_out"]]
        _, hidden = hide_labels(labels, split["labelled"], record["seed"])
        # Half precision leaves sums a little off 1.
        answers = read_arrays(record)["answers"].astype("float32")
        answers /= answers.sum(axis=1, keepdims=True)
        told = answers.argmax(axis=1)
        right = told == labels[hidden]
        if abs(right.mean() - record["metrics"]["unlabelled_accuracy"]) > 1e-3:
            raise RecordError(f"{find_path(record)}: its answers are of other images.")
        kept = [keep_confident(answers, threshold / 100) for threshold in range(100)]
        shown[record["variant"]] = {
            name: [np.bincount(told[x], minlength=10).tolist() for x in places]
            for name, places in (("kept", kept), ("right", [x[right[x]] for x in kept]))
        }
    return {"classes": images.class_names, "images": len(hidden), "teachers": shown}


def _show_averages(records: list[Record]) -> Data:
    """Answers about six test images, from the easiest to the hardest of those kept."""
    images = _load_images(records)
    # For each member, version, image and class.
    answers = np.stack([read_arrays(record)["draws"] for record in records])
    truth = images.y_test[: answers.shape[2]]
    right = (answers.argmax(axis=-1) == truth).mean(axis=(0, 1))
    order = np.argsort(-right, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, 6).round().astype(int)]
    return {
        "classes": images.class_names,
        "images": [pack(each) for each in images.x_test[chosen]],
        "labels": truth[chosen].tolist(),
        "members": len(answers),
        "draws": answers.shape[1],
        "answers": _pack_shares(answers[:, :, chosen]),
    }


def _show_directions(records: list[Record]) -> Data:
    """Answers about a digit of each class along two directions, of both networks."""
    networks: Data = {}
    for name, record in zip(("plain network", "VAT network"), records, strict=True):
        kept, networks[name] = read_arrays(record), {}
        for way in ("adversarial", "random"):
            steps = kept[f"{way} direction"].astype("float64")
            largest = np.abs(steps).max()
            networks[name][way] = {
                "steps": pack(np.round(127 * steps / largest).astype("int8")),
                "largest": round(float(largest), 6),
                "answers": _pack_shares(kept[f"{way} answers"]),
                "accuracies": record["history"][f"{way}_accuracies"],
            }
    return {
        "images": _choose_first(_load_images(records)),
        "directions": ["adversarial", "random"],
        "lengths": kept["lengths"].tolist(),
        "measured": int(kept["images"]),
        "networks": networks,
    }


def _pack_shares(shares):
    """Numbers from 0 to 1 as whole parts of 65,535."""
    return pack(np.round(shares.astype("float64") * 65535).astype("uint16"))


def _show_recipes(records: list[Record]) -> Data:
    """Accuracy of each recipe, and its minutes at the pace of the timed run."""
    pace, processor = measure_pace(records)
    recipes = [
        {
            "name": name,
            "minutes": round(pace * group["pflop"].mean(), 2),
            "accuracy": round(group["tta_accuracy"].mean(), 4),
            "runs": len(group),
        }
        for name, group in tabulate(records).groupby("variant", sort=False)
    ]
    return {"recipes": recipes, "processor": processor}


class Widget(NamedTuple):
    """How a widget's data are made of runs: those of seed 0, or of every seed."""

    make: Callable[[list[Record]], Data]
    profile: str
    variants: tuple[str, ...]
    every_seed: bool = False


MIXES = ("none, window 6,400", "alpha 0.2, window 6,400")
TEACHERS = ("teacher", "noised teacher")
RECIPES = ("94% recipe", "3 epochs", "6 epochs", "95% recipe")
DIRECTIONS = ("corrected: none, logits", "corrected: VAT, recommended")
WIDGETS = {
    "mixup_fashion_mnist": Widget(_show_mixes, "full", MIXES),
    "noisy_student": Widget(_show_labels, "laptop", TEACHERS),
    "cifar10_95": Widget(_show_averages, "laptop", ("decay", "strong"), True),
    "cifar10_fast": Widget(_show_recipes, "laptop", RECIPES, True),
    "vat_mnist": Widget(_show_directions, "full", DIRECTIONS),
}
