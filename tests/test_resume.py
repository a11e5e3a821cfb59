"""A whole chapter killed and resumed, at a reduced size of its full profile."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tutorials_lib.runs.records import read_records

# The full profile with other numbers, on drawn images that pass for the real set:
# what a grid resumes are full runs alone.
SCRIPT = """
import dataclasses
from tutorials_lib import datasets
from tutorials_lib.runs import profiles, scripts

profiles.TABLE["cifar10_95"]["full"] |= {
    "train_images": 60, "validation_images": 20, "test_images": 40, "epochs": 2,
    "batch_size": 30, "seeds": 1, "members": 2, "draws": 2, "width": 2,
    "precision": "float32", "recipe_epochs": 1, "recipe_batch_size": 30,
}
data = dataclasses.replace(datasets.load_dataset("cifar10", "sample"), origin="folder")
datasets.load_dataset = lambda name, source: data
scripts.run_as_script("cifar10_95", "full", {})
"""


def start(folder, backend):
    environment = {
        **os.environ,
        "TUTORIALS_RECORDS": str(folder),
        "KERAS_BACKEND": backend,
    }
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_results(folder):
    """What the runs found, without times and dates; their arrays too."""
    results = {}
    for record in read_records(folder / "cifar10_95"):
        record["history"].pop("seconds")
        arrays = {}
        if "arrays" in record:
            with np.load(folder / "cifar10_95" / record["arrays"]["file"]) as found:
                arrays = {name: found[name].tolist() for name in found}
        kept = {name: record[name] for name in ("parameters", "metrics", "history")}
        results[record["variant"], record["seed"]] = {**kept, "arrays": arrays}
    return results


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_killed_chapter_ends_like_one_never_killed(tmp_path, backend):
    pytest.importorskip(backend)
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    process = start(broken, backend)
    deadline = time.monotonic() + 600
    while len(list(broken.rglob("*.json"))) < 5 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.05)
    # Amid the members: in training, asking about versions, or writing.
    time.sleep(2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {path: path.read_bytes() for path in broken.rglob("*.json")}
    assert 5 <= len(kept) < 10

    resumed, errors = start(broken, backend).communicate()
    assert "+ ensemble" in resumed, errors[-3000:]
    assert not list(broken.rglob(".partial-*"))
    assert {path: path.read_bytes() for path in kept} == kept
    start(whole, backend).communicate()
    first, second = read_results(broken), read_results(whole)
    assert len(first) == 10
    last = ("ensemble of 4", 0)
    assert json.dumps(first[last]) == json.dumps(second[last])
    assert first == second
