"""The schema of records: what one holds, and how one of an older schema is read."""

import datetime
import math
import numbers
import pathlib
from typing import Any

from tutorials_lib.runs.settings import choose_settings

SCHEMA = 2
# As JSON has it; `check_record` says what it holds.
Record = dict[str, Any]

Whole, Number = numbers.Integral, numbers.Real
# What each field is; those of a section stand after its name and a point.
FIELDS: dict[str, Any] = {
    "schema": Whole,
    "chapter": str,
    "variant": str,
    "seed": Whole,
    "profile": str,
    "settings": dict,
    "parameters": dict,
    "data.name": str,
    "data.origin": str,
    "data.sha256": str,
    "data.train_images": Whole,
    "data.test_images": Whole,
    "metrics": dict,
    "history": dict,
    "timing.wall_seconds": Number,
    "timing.images_per_second": Number,
    # Processes that the run took: more than 1 where it was killed and resumed.
    "timing.sessions": Whole,
    "environment.device": str,
    "environment.cores": Whole,
    "environment.backend": str,
    "environment.versions": dict,
    "git.commit": (str, type(None)),
    "git.clean": (bool, type(None)),
    "date": str,
}
# Of a run that left arrays.
ARRAYS = {"arrays.file": str, "arrays.sha256": str}
# What else is to be known of a run; most have none.
NOTE = {"note": str}


class RecordError(RuntimeError):
    """A record is damaged, of another schema, or not what was expected."""


def check_record(record: Any, origin: str = "record") -> Record:
    """Returns a record; raises RecordError unless it follows the schema.

    One of schema 1 becomes one of schema 2. The origin stands in the message.
    """
    if not isinstance(record, dict):
        raise RecordError(f"{origin}: expected an object, got {type(record).__name__}.")
    if record.get("schema") == 1:
        record = _upgrade(record)
    schema = record.get("schema")
    if schema != SCHEMA:
        raise RecordError(
            f"{origin}: schema {schema!r}, but this version of tutorials_lib reads "
            f"schema {SCHEMA}. Use the version that wrote it, or repeat the run."
        )
    expected = FIELDS | (ARRAYS if "arrays" in record else {})
    expected |= NOTE if "note" in record else {}
    _check_fields(record, expected, origin)
    file = record.get("arrays", {}).get("file", "a.npz")
    if pathlib.PurePath(file).name != file or not file.endswith(".npz"):
        raise RecordError(
            f"{origin}: arrays.file must be the bare name of an .npz file; "
            f"got {file!r}."
        )
    try:
        datetime.datetime.fromisoformat(record["date"])
    except ValueError as error:
        raise RecordError(f"{origin}: date must be in ISO format ({error}).") from error
    for name in ("metrics", "history"):
        if not record[name]:
            raise RecordError(f"{origin}: {name} is empty.")
    for name, value in record["metrics"].items():
        _check_number(value, f"{origin}: metrics.{name}")
    for name, values in record["history"].items():
        if not isinstance(values, list):
            raise RecordError(f"{origin}: history.{name} must be a list.")
        for epoch, value in enumerate(values, start=1):
            _check_number(value, f"{origin}: history.{name} of epoch {epoch}")
    return record


def _upgrade(record):
    """Makes a record of schema 1 one of schema 2.

    Those that were published had their profile's own settings, save that seeds may
    have been added; whether a run was resumed is not known, and seldom was the case.
    """
    try:
        settings = choose_settings(record["chapter"], record["profile"]).record()
        if record["seed"] not in settings["seeds"]:
            settings["seeds"] = [*settings["seeds"], record["seed"]]
        timing = {**record["timing"], "sessions": 1}
    except (KeyError, TypeError, ValueError):
        # Damaged: what is wrong with it is said by the checks.
        settings, timing = {}, record.get("timing")
    return {**record, "schema": SCHEMA, "settings": settings, "timing": timing}


def _check_number(value, name):
    number = isinstance(value, Number) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise RecordError(f"{name} must be a finite number; got {value!r}.")


def _check_fields(record, expected, origin):
    sections = {name.partition(".")[0] for name in expected if "." in name}
    found: dict[str, Any] = {}
    for name, value in record.items():
        if name in sections and isinstance(value, dict):
            found |= {f"{name}.{key}": each for key, each in value.items()}
        else:
            found[name] = value
    if missing := sorted(expected.keys() - found.keys()):
        raise RecordError(f"{origin}: missing {', '.join(missing)}.")
    if extra := sorted(found.keys() - expected.keys()):
        raise RecordError(f"{origin}: unknown {', '.join(extra)}.")
    for name, kind in expected.items():
        boolean = isinstance(found[name], bool) and kind in (Whole, Number)
        if boolean or not isinstance(found[name], kind):
            raise RecordError(f"{origin}: {name} has the wrong type: {found[name]!r}.")


def list_differences(planned: Any, found: Any, name: str = "") -> list[str]:
    """Says where two values of JSON differ, down through the dicts they hold."""
    if not (isinstance(planned, dict) and isinstance(found, dict)):
        return [] if planned == found else [f"{name} {found!r}, not {planned!r}"]
    differences = []
    for key in sorted(planned.keys() | found.keys()):
        differences += list_differences(planned.get(key), found.get(key), key)
    return differences
