"""Runs the configuration of a record again and compares what comes out."""

import hashlib
import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from tutorials_lib.runs.alone import gather_beside, run_alone
from tutorials_lib.runs.environment import describe_processor
from tutorials_lib.runs.profiles import TABLE
from tutorials_lib.runs.records import (
    Record,
    RecordError,
    check_record,
    find_path,
    read_record,
    unpack_arrays,
)
from tutorials_lib.runs.settings import SCHEDULES
from tutorials_lib.support.checks import check_choice
from tutorials_lib.support.statistics import binomial_error

# A backend promises equal bits on the same of each of these.
SAME = ("backend", "device", "cores")
# Two accuracies that differ by more have one chance in 370 of being of equal nets.
ERRORS = 3
# How the names of accuracies begin that are of all training or of all test images.
IMAGES = {
    "train": "train_images",
    **dict.fromkeys(("test", "tta", "own", "flip"), "test_images"),
}
# Of a knob that lists runs, the parameter that tells which of them a run is.
LISTED = {"alphas": "alpha", "images_per_mix": "images_per_mix", "labels": "number"}


def verify_record(path: str | pathlib.Path) -> tuple[list[str], bool]:
    """Runs a record's configuration again, from the chapter's own code, and compares.

    On a CPU, with the same backend, device, number of cores and versions, every metric,
    every number of the history but times, and the arrays must be equal to the last bit.
    Elsewhere random numbers differ, and on a GPU the order of sums: there accuracies on
    training and test images must agree within three binomial errors, and other numbers
    are shown alone.

    Args:
        path: The record's file. What it builds on, such as the members of an ensemble,
            is read from the records beside it.

    Returns:
        Lines to show, and whether the two agree.

    Raises:
        RecordError: the record cannot be read, or the chapter as it stands plans no
            such run.
        ChapterError: the chapter failed.
    """
    path = pathlib.Path(path).resolve()
    record = read_record(path)
    # Keras reads it when it is first imported, which is below.
    os.environ.setdefault("KERAS_BACKEND", record["environment"]["backend"])
    again, arrays = _run_again(record, path)
    differing = _list_changes(record["environment"], again["environment"])
    if again["environment"]["device"] != describe_processor():
        differing.append("  a GPU, which does not promise equal bits")
    lines = [f"{record['chapter']}, {record['variant']}, seed {record['seed']}"]
    if differing:
        lines += ["not the same machine or versions:", *differing]
        found, agree = _compare_scores(record, again)
    else:
        lines.append("the same backend, device, cores and versions")
        same = _have_same_arrays(record, path, arrays)
        found, agree = _compare_bits(record, again, same)
    return [*lines, *found], agree


def _run_again(record, path):
    name = pathlib.Path(find_path(record)).name
    beside = gather_beside(path.parent, name, record["parameters"])
    chapter, profile = record["chapter"], record["profile"]
    check_choice("chapter", chapter, tuple(TABLE))
    # What chooses among runs, so that this one is among them.
    knobs: dict[str, Any] = {"seeds": [record["seed"]], **choose_knobs(record)}
    if "schedules" in TABLE[chapter]["protocol"]:
        knobs["schedules"] = SCHEDULES
    files = run_alone(chapter, profile, knobs, name, beside)
    if name in files:
        arrays = files.get(pathlib.Path(name).with_suffix(".npz").name)
        return check_record(json.loads(files[name]), name), arrays
    raise RecordError(
        f"{path}: the chapter as it stands plans no such run. Its protocol has changed "
        f"since commit {record['git']['commit']}, or a run that it builds on is not "
        f"among the records beside it."
    )


def choose_knobs(record: Record) -> dict[str, Any]:
    """Chooses what a chapter has to be asked for so that a record's run is planned.

    Args:
        record: A record.

    Returns:
        Dict of knob to value, for those that choose among runs and of which the profile
        does not have the record's own.
    """
    listed = TABLE[record["chapter"]][record["profile"]]
    own = record["parameters"]
    chosen = {knob: own.get(name) for knob, name in LISTED.items()}
    chosen["eps_values"] = (own.get("vat") or {}).get("eps")
    knobs: dict[str, Any] = {
        knob: [value]
        for knob, value in chosen.items()
        if value is not None and knob in listed and value not in listed[knob]
    }
    half = listed.get("members", 0)
    if half and len(own.get("answers", ())) not in (0, 2 * half):
        knobs["members"] = len(own["answers"]) // 2
    # The weak members take the seeds from 0, the strong ones those from `members` on.
    if half and record["variant"] == "strong" and record["seed"] // half != 1:
        knobs["members"] = record["seed"]
    return knobs


def _have_same_arrays(record, path, content):
    if "arrays" not in record or content is None:
        return ("arrays" in record) == (content is not None)
    kept = (path.parent / record["arrays"]["file"]).read_bytes()
    if hashlib.sha256(kept).hexdigest() != record["arrays"]["sha256"]:
        raise RecordError(f"{path}: its arrays are damaged.")
    old, new = unpack_arrays(kept), unpack_arrays(content)
    return set(old) == set(new) and all(np.array_equal(old[x], new[x]) for x in old)


def _list_changes(old, new):
    pairs = [(name, old[name], new[name]) for name in SAME]
    names = ("keras", "numpy", old["backend"])
    pairs += [
        (name, old["versions"].get(name), new["versions"].get(name)) for name in names
    ]
    return [f"  {name}: {a}, now {b}" for name, a, b in pairs if a != b]


def _compare_bits(record, again, same_arrays):
    differing = [
        f"  {name}: {value!r}, now {again['metrics'].get(name)!r}"
        for name, value in record["metrics"].items()
        if again["metrics"].get(name) != value
    ]
    differing += [
        f"  history of {name}"
        for name, values in record["history"].items()
        if not name.endswith("seconds") and again["history"].get(name) != values
    ]
    if not same_arrays:
        differing.append("  arrays")
    if differing:
        return ["DIFFERS:", *differing], False
    return [f"equal to the last bit: {len(record['metrics'])} metrics, history"], True


def _compare_scores(record, again):
    lines, agree = [], True
    for name, value in record["metrics"].items():
        new = again["metrics"].get(name)
        if new is None:
            lines.append(f"  {name}: {value:.5f}, now MISSING")
            agree = False
            continue
        said = f"  {name}: {value:.5f}, now {new:.5f}"
        part = name.partition("_")[0]
        if name.endswith("accuracy") and part in IMAGES:
            n = record["data"][IMAGES[part]]
            allowed = ERRORS * math.hypot(*(binomial_error(x, n) for x in (value, new)))
            near = abs(new - value) <= allowed
            agree &= near
            said += f", {'within' if near else 'MORE THAN'} {allowed:.5f}"
        lines.append(said)
    return lines, agree
