"""The schema of records: what one holds, and how one of an older schema is read."""

import math
import pathlib
from typing import Any

from tutorials_lib.runs.settings import choose_settings

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
