"""Hands the runs of a grid to a Dask cluster: the same runs, elsewhere."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from tutorials_lib.runs.alone import gather_beside, run_apart
from tutorials_lib.runs.chapters import ChapterError, check_run, find_parameters
from tutorials_lib.runs.profiles import Settings
from tutorials_lib.runs.storage import write_bytes

# Seconds to wait for a scheduler to answer.
PATIENCE = 30


def run_on_cluster(
    address: str,
    settings: Settings,
    planned: Mapping[pathlib.Path, Mapping[str, Any]],
    home: pathlib.Path,
) -> Iterator[pathlib.Path]:
    """Runs what is planned on a cluster's workers and keeps what they leave.

    A worker runs the chapter's own code, as one program, for the one run it is asked
    for. Where a worker dies, the scheduler has another take over its run.

    Args:
        address: Of the scheduler, such as `tcp://host:8786`.
        settings: The chapter's `Settings`.
        planned: Dict of path of a run's record to the run.
        home: Folder for the records.

    Yields:
        The path of each record, once it is written.

    Raises:
        ValueError: the address is none, nothing answers there, or there is a limit of
            minutes.
        ImportError: Dask is not installed.
        ChapterError: a run failed; the others are done first.
    """
    from distributed import Client, as_completed

    if settings.max_minutes is not None:
        raise ValueError("minutes limit this machine; they do not go with a scheduler.")
    path = check_run(settings.chapter, settings.profile, {})
    names = set(find_parameters(path)) & set(settings.values) - {"max_minutes"}
    parameters = {name: settings.values[name] for name in sorted(names)}
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"scheduler must be the address of a Dask scheduler that answers, such as "
            f"tcp://host:8786; got {address!r} ({error})."
        ) from error
    failed = []
    with client:
        workers = len(client.scheduler_info()["workers"])
        print(f"{len(planned)} runs go to {workers} workers at {address}", flush=True)
        futures = {
            client.submit(
                run_apart,
                settings.chapter,
                settings.profile,
                parameters,
                record.name,
                gather_beside(home, record.name, run["parameters"]),
                pure=False,
            ): record
            for record, run in planned.items()
        }
        for future in as_completed(futures, loop=client.loop):
            record = futures[future]
            try:
                files = future.result()
            except Exception as error:
                failed.append(f"{record.name}: {type(error).__name__}: {error}")
                continue
            if record.name not in files:
                failed.append(
                    f"{record.name}: the worker plans no such run; its version of "
                    f"tutorials_lib or its images are others."
                )
                continue
            # Arrays first: what has its record is complete.
            for name in (record.with_suffix(".npz").name, record.name):
                if name in files:
                    write_bytes(home / name, files[name])
            yield record
    if failed:
        raise ChapterError("runs failed on the cluster:\n" + "\n".join(failed))
