"""Repeats the run of a record and compares the results."""

import hashlib
import json
import math
import pathlib

from tutorials_lib.runs.environment import describe_processor
from tutorials_lib.runs.records import (
    RecordError,
    check_record,
    list_differences,
    name_record,
    name_run,
    read_arrays,
    read_record,
    unpack_arrays,
)
from tutorials_lib.runs.single import gather_beside, run_one
from tutorials_lib.support.statistics import binomial_error

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
    name = name_run(record["variant"], record["seed"])
    old_arrays = read_arrays(record, path.parent) if "arrays" in record else {}
    again, new_arrays = _run_again(record, path, name)
    changes = list_differences(*map(_describe_machine, (record, again)))
    if again["environment"]["device"] != describe_processor():
        changes.append("a GPU, which does not guarantee equal bits")
    if changes:
        said = ["not the same machine or versions:", *changes]
        lines, agree = _compare_scores(record, again)
        verdict = f"within {ERRORS} binomial errors" if agree else "too far apart"
    else:
        said = ["the same backend, device, cores and versions"]
        old, new = _list_results(record, old_arrays), _list_results(again, new_arrays)
        lines = list_differences(old, new)
        agree = not lines
        verdict = "equal to the last bit" if agree else "not equal"
    title = f"{'AGREES' if agree else 'DIFFERS'}: {record['chapter']}, {name}"
    return [f"{title}: {verdict}", *(f"  {x}" for x in (*said, *lines))], agree


def _run_again(record, path, name):
    """The record and the arrays of the same run, made anew."""
    profile, settings = record["profile"], record["settings"]
    # A copy of the record, too, is of this very run.
    named = path.with_name(name_record(record))
    beside = gather_beside(named, record["parameters"])
    backend = record["environment"]["backend"]
    files = run_one(record["chapter"], profile, settings, name, beside, backend)
    content = {pathlib.Path(file).suffix: files[file] for file in files}
    again = check_record(json.loads(content[".json"]))
    if again["data"]["sha256"] != record["data"]["sha256"]:
        raise RecordError(f"{path}: made on other images than the ones found here.")
    if differs := list_differences(record["parameters"], again["parameters"]):
        raise RecordError(
            f"{path}: the chapter now gives {name} other parameters: "
            f"{'; '.join(differs)}."
        )
    return again, unpack_arrays(content[".npz"]) if ".npz" in content else {}


def _describe_machine(record):
    """All that must be the same for a backend to guarantee equal bits."""
    found = record["environment"]
    named = ("keras", "numpy", found["backend"])
    versions = {name: found["versions"].get(name) for name in named}
    return {name: found[name] for name in ("backend", "device", "cores")} | versions


def _list_results(record, arrays):
    """All that a run found, without times; arrays by their hash."""
    hashes = {x: hashlib.sha256(arrays[x].tobytes()).hexdigest() for x in arrays}
    found = {"metrics": record["metrics"], "arrays": hashes}
    lists = record["history"].items()
    return found | {x: each for x, each in lists if not x.endswith("seconds")}


def _compare_scores(record, again):
    """Compares the accuracies of two runs that need not be equal; shows all metrics."""
    lines, agree = [], True
    for name, value in record["metrics"].items():
        # One that is no longer computed is no number, and near to none.
        new, allowed = again["metrics"].get(name, math.nan), math.inf
        said, part = f"{name}: {value:.5f}, now {new:.5f}", name.partition("_")[0]
        if name.endswith("accuracy") and part in IMAGES:
            n = record["data"][IMAGES[part]]
            allowed = ERRORS * math.hypot(*(binomial_error(x, n) for x in (value, new)))
        near = abs(new - value) <= allowed
        agree &= near
        if allowed < math.inf:
            said += f", {'within' if near else 'MORE THAN'} {allowed:.5f}"
        lines.append(said)
    return lines, agree
