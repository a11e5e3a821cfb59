"""Records: one JSON file for each run, holding all that is needed to repeat it.

A run may leave arrays too, such as predictions: an .npz file beside the record.
"""

import hashlib
import io
import json
import math
import os
import pathlib
import re
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tutorials_lib.runs import storage
from tutorials_lib.runs.profiles import CHAPTERS, PUBLISHED
from tutorials_lib.runs.settings import choose_settings
from tutorials_lib.support.checks import check_choice

SCHEMA = 2
# As JSON has it; `check_record` says what it holds.
Record = dict[str, Any]

# What each part is: a type, a list of it, or a dict, of which `str` is any name. A
# float is any finite number.
FIELDS: dict[str, Any] = {
    "schema": int,
    "chapter": str,
    "variant": str,
    "seed": int,
    "profile": str,
    "settings": dict,
    "parameters": dict,
    "data": {
        "name": str,
        "origin": str,
        "sha256": str,
        "train_images": int,
        "test_images": int,
    },
    "metrics": {str: float},
    "history": {str: [float]},
    # Sessions are processes: more than 1 where the run was killed and resumed.
    "timing": {"wall_seconds": float, "images_per_second": float, "sessions": int},
    "environment": {"device": str, "cores": int, "backend": str, "versions": dict},
    "git": {"commit": str | None, "clean": bool | None},
    "date": str,
}
# Of a run that left arrays; and what else is to be known of one.
OPTIONAL = {"arrays": {"file": str, "sha256": str}, "note": str}


class RecordError(RuntimeError):
    """A record is damaged, of another schema, or not what was expected."""


def identify(record: Record) -> dict[str, Any]:
    """What decides a run's result, apart from the machine; of the images, the hash."""
    names = ("chapter", "variant", "seed", "parameters")
    return {**{x: record[x] for x in names}, "data": record["data"]["sha256"]}


def name_record(record: Record) -> str:
    """Names a record's file: readable, and different for different protocols."""
    identity = json.dumps([*identify(record).values()], sort_keys=True, allow_nan=False)
    digits = hashlib.sha256(identity.encode()).hexdigest()[:10]
    return f"{write_words(record['variant'])}_seed-{record['seed']}_{digits}.json"


def name_run(variant: str, seed: int) -> str:
    """Names a run as it is shown and asked for: `alpha 0.1, seed 0`."""
    return f"{variant}, seed {seed}"


def summarise(record: Record) -> str:
    """Says in a line how a run came out."""
    scores = ", ".join(
        f"{name.replace('_', ' ')} {value:.4f}"
        for name, value in record["metrics"].items()
        if name.endswith("accuracy")
    )
    name = name_run(record["variant"], record["seed"])
    return f"{name}: {scores} ({record['timing']['wall_seconds']:.0f} s)"


def write_words(name: str) -> str:
    """Writes a name in small letters and hyphens, for files and addresses."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def find_path(record: Record) -> str:
    """Finds where a record belongs, within the folder of records."""
    return f"{record['chapter']}/{name_record(record)}"


def write_record(record: Record, path: pathlib.Path) -> None:
    """Checks a record and writes it atomically."""
    check_record(record, str(path))
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    # Each list of numbers on one line, so that a diff shows runs, not epochs.
    lists = r"\[[-+0-9.e,\s]*\]"
    text = re.sub(lists, lambda found: " ".join(found.group().split()), text)
    storage.write_bytes(path, text.encode())


def write_arrays(arrays: Mapping[str, ArrayLike], path: pathlib.Path) -> dict[str, str]:
    """Writes the arrays of a run beside its record; returns the record's `arrays`."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.kind not in "biuf":
            raise RecordError(f"{path}: array {name} must hold numbers.")
    packed = io.BytesIO()
    np.savez_compressed(packed, **dict[str, Any](arrays))
    content = packed.getvalue()
    path = path.with_suffix(".npz")
    storage.write_bytes(path, content)
    return {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}


def keep_run(
    record: Record, arrays: Mapping[str, ArrayLike] | None, path: pathlib.Path
) -> None:
    """Writes a finished run; where its folder has filled up meanwhile, elsewhere.

    A `RecordError` says which number is none, as where training diverged.
    """
    check_record(record, name_run(record["variant"], record["seed"]))
    try:
        _write(record, arrays, path)
    except OSError as error:
        shelter = pathlib.Path(tempfile.mkdtemp(prefix="tutorials-kept-"))
        _write(record, arrays, shelter / path.name)
        raise storage.WriteError(
            f"{error} The finished run is kept in {shelter}: move its files to "
            f"{path.parent} when there is space, and continue."
        ) from error


def _write(record, arrays, path):
    # Arrays first: what has its record is complete.
    if arrays:
        record["arrays"] = write_arrays(arrays, path)
    write_record(record, path)


def read_arrays(
    record: Record, folder: pathlib.Path | None = None
) -> dict[str, np.ndarray]:
    """Reads the arrays that a run left: dict of name to array.

    It looks in `folder` before the usual ones. A `RecordError` says that the run left
    none, or that their file is missing or another one.
    """
    name = name_run(record["variant"], record["seed"])
    if "arrays" not in record:
        raise RecordError(f"the run {name} left no arrays.")
    chapter, file = record["chapter"], record["arrays"]["file"]
    paths = [folder / file] if folder else []
    # A changed protocol has a folder of its own; the hash says whose arrays they are.
    paths += [storage.published_folder() / chapter / file]
    paths += storage.runs_folder().glob(f"*/{chapter}/{file}")
    for path in filter(pathlib.Path.is_file, paths):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == record["arrays"]["sha256"]:
            return unpack_arrays(content)
    raise RecordError(
        f"the arrays of the run {name}, {file}, are missing or damaged: put the file "
        f"back beside the record, or delete the record too and run it again."
    )


def unpack_arrays(content: bytes) -> dict[str, np.ndarray]:
    """Reads the arrays in the bytes of an .npz file: dict of name to array."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return dict(found)


def read_record(path: pathlib.Path) -> Record:
    """Reads and checks one record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read ({error}).") from error
    return check_record(record, str(path))


def read_records(folder: pathlib.Path) -> list[Record]:
    """Reads every record of a folder, which may be missing, in order of file names."""
    return [read_record(path) for path in sorted(folder.glob("*.json"))]


def published_records(chapter: str, profile: str | None = None) -> list[Record]:
    """Reads the published records of a chapter.

    The profile is `"laptop"` or `"full"`; None takes the one that has more records. A
    `RecordError` says that one of them is damaged, or no such run of this chapter on
    real data, or that TUTORIALS_RECORDS names no folder.
    """
    check_choice("chapter", chapter, CHAPTERS)
    check_choice("profile", profile, (None, *PUBLISHED))
    home = storage.published_folder()
    if os.environ.get("TUTORIALS_RECORDS") and not home.is_dir():
        raise RecordError(f"TUTORIALS_RECORDS must name a folder; {home} is none.")
    records = read_records(home / chapter)
    for record in records:
        ours = record["chapter"] == chapter and record["profile"] in PUBLISHED
        if not ours or record["data"]["origin"] == "sample":
            raise RecordError(
                f"{home / find_path(record)} is no run of {chapter} at "
                f"{' or '.join(PUBLISHED)} on real data."
            )
    if profile is None:
        profiles = [record["profile"] for record in records]
        # Of two that have as many, the article's own.
        profile = max(reversed(PUBLISHED), key=profiles.count)
    return [record for record in records if record["profile"] == profile]


def load_records(chapter: str, profile: str | None = None) -> pd.DataFrame:
    """Loads the published records of a chapter as a table to play with.

    The profile is as in `published_records`. A row for each run has `variant`, `seed`,
    `profile`, `date`, each metric by its name, and `parameters.*`, `settings.*`,
    `timing.*`, `environment.*` and `git.*`. What a run does not have is missing.

    Example:
        >>> runs = load_records("mixup_mnist")  # doctest: +SKIP
        >>> runs.groupby("variant").test_accuracy.agg(["mean", "std", "count"])
    """
    left_out = ("schema", "chapter", "data", "metrics", "history", "arrays")
    return flatten(published_records(chapter, profile), left_out)


def flatten(records: list[Record], left_out: tuple[str, ...]) -> pd.DataFrame:
    """Makes a table of records, metrics by name and other parts as `git.commit`."""
    rows = [{**record, **record["metrics"]} for record in records]
    return pd.json_normalize(
        [{name: row[name] for name in row if name not in left_out} for row in rows]
    )


def check_record(record: Any, origin: str = "record") -> Record:
    """Returns a record; raises RecordError unless it follows the schema.

    One of schema 1 becomes one of schema 2. The origin stands in the message.
    """
    _check(record, dict, origin)
    if record.get("schema") == 1:
        record = _upgrade(record)
    schema = record.get("schema")
    if schema != SCHEMA:
        raise RecordError(
            f"{origin}: schema {schema!r}, but this version of tutorials_lib reads "
            f"schema {SCHEMA}. Use the version that wrote it, or repeat the run."
        )
    more = {name: kind for name, kind in OPTIONAL.items() if name in record}
    _check(record, FIELDS | more, origin)
    file = record.get("arrays", {}).get("file", "a.npz")
    if pathlib.PurePath(file).name != file or not file.endswith(".npz"):
        raise RecordError(
            f"{origin}: arrays.file must be the bare name of an .npz file; "
            f"got {file!r}."
        )
    return record


def _upgrade(record):
    """Makes a record of schema 1 one of schema 2.

    Those that were published had their profile's own settings, save that seeds may
    have been added; whether a run was resumed is not known, and seldom was the case.
    """
    settings = choose_settings(record["chapter"], record["profile"]).record()
    settings["seeds"] = sorted({*settings["seeds"], record["seed"]})
    timing = {**record["timing"], "sessions": 1}
    return {**record, "schema": SCHEMA, "settings": settings, "timing": timing}


def _check(value, kind, name):
    """Raises RecordError unless a value is of a kind, as `FIELDS` has them."""
    if isinstance(kind, list):
        _check(value, list, name)
        for epoch, each in enumerate(value, start=1):
            _check(each, kind[0], f"{name} of epoch {epoch}")
    elif isinstance(kind, dict):
        _check(value, dict, name)
        if str in kind:
            kind = dict.fromkeys(value, kind[str])
            if not value:
                raise RecordError(f"{name} is empty.")
        if missing := sorted(kind.keys() - value.keys()):
            raise RecordError(f"{name}: missing {', '.join(missing)}.")
        if unknown := sorted(value.keys() - kind.keys()):
            raise RecordError(f"{name}: unknown {', '.join(unknown)}.")
        for key, each in value.items():
            _check(each, kind[key], f"{name}: {key}")
    elif kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise RecordError(f"{name} must be a finite number; got {value!r}.")
    elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RecordError(f"{name} has the wrong type: {value!r}.")


def list_differences(planned: Any, found: Any, name: str = "") -> list[str]:
    """Says where two values of JSON differ, down through the dicts they hold."""
    if not (isinstance(planned, dict) and isinstance(found, dict)):
        same = planned == found
        return [] if same else [f"{name} {found!r:.80}, not {planned!r:.80}"]
    differences = []
    for key in sorted(planned.keys() | found.keys()):
        differences += list_differences(planned.get(key), found.get(key), key)
    return differences
