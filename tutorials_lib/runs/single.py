"""One run of a chapter in a process of its own, here or on a cluster's workers."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tutorials_lib.runs.records import name_record, read_record
from tutorials_lib.runs.settings import Settings
from tutorials_lib.runs.storage import scratch_folder, write_bytes

# Seconds to wait for a scheduler to answer.
PATIENCE = 30


class RunError(RuntimeError):
    """A run failed in its own process, which says why."""


def run_one(
    chapter: str,
    profile: str,
    settings: Mapping[str, Any],
    name: str,
    beside: Mapping[str, bytes],
    backend: str | None = None,
) -> dict[str, bytes]:
    """Makes one run by `tutorials run CHAPTER --only NAME`, in a process of its own.

    In this process it might not repeat: the threads of a cluster's worker, for
    instance, draw from the random numbers that shuffle batches. Files are dicts of name
    to bytes: `beside`, records and arrays that the run may build on, and what is
    returned, the record and the arrays that it left. A setting of None keeps the
    profile's own; KERAS_BACKEND comes before `backend`.
    """
    environment = dict(os.environ)
    if backend:
        environment.setdefault("KERAS_BACKEND", backend)
    with scratch_folder() as folder:
        for file, content in beside.items():
            (folder / file).write_bytes(content)
        command = [sys.executable, "-m", "tutorials_lib.book.cli", "run", chapter]
        command += ["--profile", profile, "--only", name, "--into", str(folder)]
        for key, value in settings.items():
            command += ["--parameter", key, repr(value)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            # Without what libraries log before.
            reason = done.stderr.split("tutorials run: ")[-1]
            raise RunError(reason.strip()[-2000:])
        # Arrays first: what has its record is complete.
        made = [*folder.glob("*.npz"), *folder.glob("*.json")]
        return {x.name: x.read_bytes() for x in made if x.name not in beside}


def gather_beside(
    path: pathlib.Path, parameters: Mapping[str, Any]
) -> dict[str, bytes]:
    """Reads what a run may build on, by the path of its record.

    That is the records of other runs in the folder, and the arrays that its parameters
    name.
    """
    others = []
    for each in path.parent.glob("*.json"):
        record = read_record(each)
        if name_record(record) != path.name:
            others.append(each)
            arrays = record.get("arrays")
            if arrays and arrays["sha256"] in str(parameters):
                others.append(path.with_name(arrays["file"]))
    return {each.name: each.read_bytes() for each in others}


def run_on_cluster(
    address: str, settings: Settings, missing: Mapping[pathlib.Path, Any]
) -> Iterator[Any]:
    """Makes runs on the workers of a Dask cluster and keeps the records they leave.

    Where a worker dies, the scheduler has another take over its run. `missing` has each
    `grid.Run` by the path of its record. Yields each run, once its record is written;
    runs that failed raise in the end.
    """
    from distributed import Client, as_completed

    if settings.max_minutes is not None:
        raise ValueError("max_minutes must be None with a scheduler.")
    how, failed = (settings.chapter, settings.profile, settings.record()), []
    with Client(address, timeout=PATIENCE, set_as_default=False) as client:
        workers = len(client.scheduler_info()["workers"])
        print(f"{len(missing)} runs go to {workers} workers at {address}", flush=True)
        futures = {}
        for path, run in missing.items():
            beside = gather_beside(path, run.parameters)
            future = client.submit(run_one, *how, run.name, beside, pure=False)
            futures[future] = path
        for future in as_completed(futures, loop=client.loop):
            path, error = futures[future], future.exception()
            files = {} if error else future.result()
            if path.name in files:
                for name, content in files.items():
                    write_bytes(path.with_name(name), content)
                yield missing[path]
                continue
            said = f"the worker made {[*files]}; its version or its images differ."
            if error:
                said = f"{type(error).__name__}: {error}"
            failed.append(f"{path.name}: {said}")
    if failed:
        raise RunError("runs failed on the cluster:\n" + "\n".join(failed))
