"""Repeats the run of a record and compares the results."""

import json
import math
import pathlib

import numpy as np

from tutorials_lib.runs.environment import describe_processor
from tutorials_lib.runs.records import name_run, read_arrays, read_record, unpack_arrays
from tutorials_lib.runs.schema import RecordError, check_record, list_differences
from tutorials_lib.runs.single import gather_beside, run_one
from tutorials_lib.support.statistics import binomial_error

# A backend guarantees equal bits only if each of these is the same.
SAME = ("backend", "device", "cores")
# Accuracies of equal networks differ by more than this once in 370 times.
ERRORS = 3
# How the names of accuracies begin that are of all training or of all test images.
IMAGES = {
    "train": "train_images",
    **dict.fromkeys(("test", "tta", "own", "flip"), "test_images"),
}


def verify_record(path: str | pathlib.Path) -> tuple[list[str], bool]:
    """Repeats the run of a record with the chapter's own code, and compares the two.

    On a CPU, with the same backend, device, number of cores and versions, every metric,
    every number of the history except times, and the arrays must be equal to the last
    bit. Elsewhere random numbers differ, and on a GPU the order of sums too. There
    accuracies on training and test images must agree within three binomial errors;
    other numbers are only shown. Runs that this one builds on, such as the members of
    an ensemble, are read from the records beside it. Returns lines to show, the verdict
    first, and whether the two agree.
    """
    path = pathlib.Path(path).resolve()
    record = read_record(path)
    again, arrays = _run_again(record, path)
    differing = _list_changes(record["environment"], again["environment"])
    if again["environment"]["device"] != describe_processor():
        differing.append("  a GPU, which does not guarantee equal bits")
    if differing:
        said = ["not the same machine or versions:", *differing]
        lines, agree = _compare_scores(record, again)
        verdict = f"within {ERRORS} binomial errors" if agree else "too far apart"
    else:
        said = ["the same backend, device, cores and versions"]
        same = _have_same_arrays(record, path, arrays)
        lines, agree = _compare_bits(record, again, same)
        verdict = "equal to the last bit" if agree else "not equal"
    title = f"{record['chapter']}, {name_run(record['variant'], record['seed'])}"
    verdict = f"{'AGREES' if agree else 'DIFFERS'}: {title}: {verdict}"
    return [verdict, *said, *lines], agree


def _run_again(record, path):
    chapter, name = record["chapter"], name_run(record["variant"], record["seed"])
    beside = gather_beside(path.parent, record["parameters"])
    for own in (path.name, record.get("arrays", {}).get("file")):
        beside.pop(own, None)
    profile, settings = record["profile"], record["settings"]
    backend = record["environment"]["backend"]
    files = run_one(chapter, profile, settings, name, beside, backend)
    (file,) = [file for file in files if file.endswith(".json")]
    again = check_record(json.loads(files.pop(file)), file)
    if again["data"]["sha256"] != record["data"]["sha256"]:
        raise RecordError(f"{path}: made on other images than the ones found here.")
    if differs := list_differences(record["parameters"], again["parameters"]):
        raise RecordError(
            f"{path}: the chapter now gives {name} other parameters: "
            f"{'; '.join(differs)}."
        )
    return again, next(iter(files.values()), None)


def _have_same_arrays(record, path, content):
    old = read_arrays(record, path.parent) if "arrays" in record else {}
    new = unpack_arrays(content) if content else {}
    return old.keys() == new.keys() and all(np.array_equal(old[x], new[x]) for x in old)


def _list_changes(old, new):
    pairs = [(name, old[name], new[name]) for name in SAME]
    for name in ("keras", "numpy", old["backend"]):
        pairs.append((name, *(each["versions"].get(name) for each in (old, new))))
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
    same = f"  {len(record['metrics'])} metrics, history, arrays: the same"
    return differing or [same], not differing


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
