"""What tests share that stands in for the real thing: training, records, notebooks."""

import copy
import os
import pathlib
import subprocess
import sys

import nbformat

from tutorials_lib.runs.records import SCHEMA, read_arrays, read_records

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"

# For what computes nothing: the backend that is imported fastest.
QUICK_IMPORT = {"KERAS_BACKEND": "numpy"}

RECORD = {
    "schema": SCHEMA,
    "chapter": "mixup_mnist",
    "variant": "alpha 0.1",
    "seed": 0,
    "profile": "full",
    "settings": {"epochs": 30, "seeds": [0, 1, 2]},
    "parameters": {"alpha": 0.1},
    "data": {
        "name": "mnist",
        "origin": "folder",
        "sha256": "0" * 64,
        "train_images": 60000,
        "test_images": 10000,
    },
    "metrics": {"test_accuracy": 0.99},
    "history": {"loss": [0.5, 0.25], "seconds": [3.0, 2.0, 2.5]},
    "timing": {"wall_seconds": 12.5, "images_per_second": 1000.0, "sessions": 1},
    "environment": {
        "device": "a processor",
        "cores": 2,
        "backend": "jax",
        "versions": {"keras": "3.15.1"},
    },
    "git": {"commit": None, "clean": None},
    "date": "2026-01-31T12:00:00+00:00",
}
# Beside the article's 99.16 and 99.18%.
SCORES = {"none": (0.990, 0.991, 0.992), "alpha 0.1": (0.991, 0.993, 0.995)}


def make_record(chapter, variant, seed, **metrics):
    fields = {"chapter": chapter, "variant": variant, "seed": seed, "metrics": metrics}
    return copy.deepcopy(RECORD | fields)


def make_records(scores=None, metric="test_accuracy", **fields):
    """Records of variants by their scores, of seed 0, 1, ...

    They are out of order, so that pairing by place instead of by seed would show.
    """
    return [
        make_record("mixup_mnist", variant, seed, **{metric: value})
        | copy.deepcopy(fields)
        for variant, values in (SCORES if scores is None else scores).items()
        for seed, value in reversed(list(enumerate(values)))
    ]


def start_python(*arguments, **environment):
    """Starts a program that is talked to line by line; returns its process."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_results(folder, chapter):
    """What the runs found, without times and dates; their arrays last."""
    results = {}
    for record in read_records(folder / chapter):
        lists = record["history"].items()
        history = {k: v for k, v in lists if not k.endswith("seconds")}
        arrays = read_arrays(record, folder / chapter) if "arrays" in record else {}
        arrays = {name: array.tolist() for name, array in arrays.items()}
        found = record["parameters"], record["metrics"], history, arrays
        results[record["variant"], record["seed"]] = found
    return results


def make_notebook(path, *sources, parameters="profile = 'smoke'\nepochs = None"):
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    cells = [first, *map(nbformat.v4.new_code_cell, sources)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, path)
    return path


def make_pages(folder):
    folder.mkdir(parents=True)
    (folder / ".buildinfo").write_text("old")
    (folder / "index.html").write_text("the old page")
