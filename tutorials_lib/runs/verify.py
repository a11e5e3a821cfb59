"""Runs the configuration of a record again and compares what comes out."""

import math
import os
import pathlib
import shutil
import tempfile

from tutorials_lib.intervals import binomial_error
from tutorials_lib.runs.records import RecordError, find_path, read_record

# A backend promises equal bits on the same of each of these.
SAME = ("backend", "device", "cores")
# Two accuracies that differ by more have one chance in 370 of being of equal nets.
ERRORS = 3


def verify_record(path):
    """Runs a record's configuration again, from the chapter's own code, and compares.

    On the same backend, device, number of cores and versions every metric, every
    number of the history but times, and the arrays must be equal to the last bit.
    Elsewhere random numbers and sums differ: the accuracies must agree within three
    binomial errors of their difference, and losses are shown alone.

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
    again = _run_again(record, path)
    differing = _list_changes(record["environment"], again["environment"])
    lines = [f"{record['chapter']}, {record['variant']}, seed {record['seed']}"]
    if differing:
        lines += ["not the same machine or versions:", *differing]
        found, agree = _compare_scores(record, again)
    else:
        lines.append("the same backend, device, cores and versions")
        found, agree = _compare_bits(record, again)
    return [*lines, *found], agree


def _run_again(record, path):
    from tutorials_lib.runs.scripts import run_as_script

    name = find_path(record)
    with tempfile.TemporaryDirectory(prefix="tutorials-verify-") as folder:
        for beside in (*path.parent.glob("*.json"), *path.parent.glob("*.npz")):
            if beside.stem != path.stem:
                target = pathlib.Path(folder) / record["chapter"] / beside.name
                target.parent.mkdir(exist_ok=True)
                shutil.copy(beside, target)
        home = pathlib.Path(folder)
        changes = {
            "TUTORIALS_RECORDS": folder,
            "TUTORIALS_RUNS": folder,
            "TUTORIALS_ONLY": pathlib.Path(name).name,
        }
        before = {key: os.environ.get(key) for key in changes}
        os.environ.update(changes)
        try:
            run_as_script(record["chapter"], record["profile"], {})
        finally:
            for key, value in before.items():
                os.environ.pop(key)
                if value is not None:
                    os.environ[key] = value
        # Records of full runs and of others lie in folders of their own.
        made = [home / name, home / record["profile"] / name]
        for place in made:
            if place.is_file():
                return read_record(place)
    raise RecordError(
        f"{path}: the chapter as it stands plans no such run. Its protocol has changed "
        f"since commit {record['git']['commit']}, or a run that it builds on is not "
        f"among the records beside it."
    )


def _list_changes(old, new):
    pairs = [(name, old[name], new[name]) for name in SAME]
    names = ("keras", "numpy", old["backend"])
    pairs += [
        (name, old["versions"].get(name), new["versions"].get(name)) for name in names
    ]
    return [f"  {name}: {a}, now {b}" for name, a, b in pairs if a != b]


def _compare_bits(record, again):
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
    if record.get("arrays") != again.get("arrays"):
        differing.append("  arrays")
    if differing:
        return ["DIFFERS:", *differing], False
    return [f"equal to the last bit: {len(record['metrics'])} metrics, history"], True


def _compare_scores(record, again):
    lines, agree = [], True
    for name, value in record["metrics"].items():
        new = again["metrics"].get(name, math.nan)
        said = f"  {name}: {value:.5f}, now {new:.5f}"
        if name.endswith("accuracy"):
            part = "train_images" if name.startswith("train") else "test_images"
            errors = (
                binomial_error(each, record["data"][part]) for each in (value, new)
            )
            allowed = ERRORS * math.hypot(*errors)
            near = abs(new - value) <= allowed
            agree &= near
            said += f", {'within' if near else 'MORE THAN'} {allowed:.5f}"
        lines.append(said)
    return lines, agree
