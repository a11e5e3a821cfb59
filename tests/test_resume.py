"""Whole chapters killed and resumed, at a reduced size of their full profiles."""

import os
import signal
import subprocess
import sys
import time

import pytest
from stand_ins import read_results

# The full profile with other numbers, on drawn images that pass for the real set:
# what a grid resumes are full runs alone.
SCRIPT = """
import dataclasses
from tutorials_lib.support import data
from tutorials_lib.runs import profiles, scripts

profiles.TABLE["{chapter}"]["full"] |= {knobs}
data = dataclasses.replace(datasets.load_dataset("cifar10", "sample"), origin="folder")
datasets.load_dataset = lambda name, source: data
scripts.run_as_script("{chapter}", "full", {{}})
"""
SMALL = {
    "seeds": 1,
    "batch_size": 30,
    "epochs": 2,
    "validation_images": 20,
    "test_images": 40,
    "precision": "float32",
}
KNOBS = {
    "cifar10_95": {
        **SMALL,
        "train_images": 60,
        "members": 2,
        "draws": 2,
        "width": 2,
        "recipe_epochs": 1,
        "recipe_batch_size": 30,
    },
    "noisy_student": {
        **SMALL,
        # Enough to hide some labels of every class.
        "train_images": 160,
        "unlabelled_images": 20,
        "long_epochs": 2,
        "threshold": 0.05,
        "other_threshold": 0.02,
        "empty": "skip",
        "width": 2,
        "blocks": (1,),
        "strengths": (1, 5),
    },
}
# How many runs there are; after how many the kill comes; a run that builds on others.
RUNS = {
    "cifar10_95": (10, 5, "ensemble of 4"),
    "noisy_student": (10, 4, "second round"),
}


def start(chapter, folder, backend):
    environment = {
        **os.environ,
        "TUTORIALS_RECORDS": str(folder),
        "KERAS_BACKEND": backend,
    }
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(chapter=chapter, knobs=KNOBS[chapter])],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("chapter", list(KNOBS))
def test_a_killed_chapter_ends_like_one_never_killed(tmp_path, chapter, backend):
    pytest.importorskip(backend)
    runs, enough, last = RUNS[chapter]
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    process = start(chapter, broken, backend)
    deadline = time.monotonic() + 600
    while len(list(broken.rglob("*.json"))) < enough and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.05)
    # Amid a later run: in training, scoring or writing.
    time.sleep(2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {path: path.read_bytes() for path in broken.rglob("*.json")}
    assert enough <= len(kept) < runs

    resumed, errors = start(chapter, broken, backend).communicate()
    assert "| runs |" in resumed, errors[-3000:]
    assert not list(broken.rglob(".partial-*"))
    assert {path: path.read_bytes() for path in kept} == kept
    start(chapter, whole, backend).communicate()
    first, second = read_results(broken, chapter), read_results(whole, chapter)
    assert len(first) == runs
    # Short ones first, for a message that can be read.
    for run in first:
        assert first[run]["metrics"] == second[run]["metrics"], run
    assert first[last, 0] == second[last, 0]
    assert first == second
