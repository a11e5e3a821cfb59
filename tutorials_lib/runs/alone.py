"""One run of a chapter's grid by itself, as `verify` and a cluster's workers do it."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any
from unittest import mock

from tutorials_lib.runs.records import read_record
from tutorials_lib.runs.storage import write_bytes


def run_alone(
    chapter: str,
    profile: str,
    parameters: Mapping[str, Any],
    name: str,
    beside: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Runs one run of a chapter's grid, in a folder of its own.

    Args:
        chapter: Name of a chapter.
        profile: Name of a profile.
        parameters: Values by name, laid over the profile's own.
        name: File name of the run's record, which identifies the run.
        beside: Dict of file name to bytes: finished records, and arrays that the run
            builds on.

    Returns:
        Dict of file name to bytes: the record and the arrays it left. Empty where the
        chapter plans no such run.

    Raises:
        ValueError: unknown chapter, profile or parameter, or a value out of range.
        ChapterError: a cell failed.
    """
    from tutorials_lib.runs.scripts import run_as_script

    with tempfile.TemporaryDirectory(prefix="tutorials-alone-") as folder:
        # Where full runs leave their records, and where others do.
        published, home = pathlib.Path(folder, "full"), pathlib.Path(folder, profile)
        home = home / chapter
        home.mkdir(parents=True)
        published.mkdir(exist_ok=True)
        for file, content in beside.items():
            write_bytes(home / file, content)
        changes = {
            "TUTORIALS_ONLY": name,
            "TUTORIALS_RECORDS": str(published),
            "TUTORIALS_RUNS": folder,
            "TUTORIALS_SCHEDULER": "",
        }
        with mock.patch.dict(os.environ, changes):
            run_as_script(chapter, profile, parameters)
        made = [home / name, (home / name).with_suffix(".npz")]
        return {path.name: path.read_bytes() for path in made if path.is_file()}


def gather_beside(
    home: str | pathlib.Path, name: str, parameters: Mapping[str, Any]
) -> dict[str, bytes]:
    """Reads what a run may build on: the other records, and the arrays it names.

    Args:
        home: Folder of the chapter's records.
        name: File name of the run's own record, which is left out.
        parameters: The run's; arrays are named by their SHA-256 in them.

    Returns:
        Dict of file name to bytes, for `run_alone`.
    """
    beside = {}
    for path in sorted(pathlib.Path(home).glob("*.json")):
        if path.name == name:
            continue
        beside[path.name] = path.read_bytes()
        arrays = read_record(path).get("arrays")
        if arrays and arrays["sha256"] in str(parameters):
            beside[arrays["file"]] = (path.parent / arrays["file"]).read_bytes()
    return beside


def run_apart(
    chapter: str,
    profile: str,
    parameters: Mapping[str, Any],
    name: str,
    beside: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Does what `run_alone` does, in a process of its own.

    The threads of a cluster's worker draw from Python's random numbers, which shuffle
    the batches too: among them a run could not be repeated.

    Raises:
        RuntimeError: it failed; the message is the end of what it said.
    """
    call = {
        "chapter": chapter,
        "profile": profile,
        "parameters": dict(parameters),
        "name": name,
        "beside": _pack(beside),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tutorials_lib.runs.alone"],
        input=json.dumps(call),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])
    return _unpack(json.loads(done.stdout.splitlines()[-1]))


def _answer():
    """Runs what standard input asks for; the last line printed holds the files."""
    call = json.load(sys.stdin)
    call["beside"] = _unpack(call["beside"])
    print(json.dumps(_pack(run_alone(**call))))


def _pack(files):
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def _unpack(packed):
    return {name: base64.b64decode(content) for name, content in packed.items()}


if __name__ == "__main__":
    _answer()
