"""Runs a chapter's grid of variants and seeds, each ending in its record."""

import contextlib
import datetime
import hashlib
import inspect
import json
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tutorials_lib.runs.checkpoints import ResumableFit
from tutorials_lib.runs.claims import claim_run
from tutorials_lib.runs.cluster import run_on_cluster
from tutorials_lib.runs.devices import spread_batches
from tutorials_lib.runs.environment import (
    describe_commit,
    describe_environment,
    describe_versions,
)
from tutorials_lib.runs.files import WriteError, remove_partials
from tutorials_lib.runs.folders import may_publish, published_folder, runs_folder
from tutorials_lib.runs.profiles import PUBLISHED, Settings
from tutorials_lib.runs.records import (
    SCHEMA,
    Record,
    RecordError,
    identify_run,
    name_record,
    read_record,
    write_arrays,
    write_record,
)
from tutorials_lib.support.data import Dataset

# Bytes that must be free where records go before a run of hours is begun.
ROOM = 2**20


def plan_run(variant: str, seed: int, **parameters: Any) -> dict[str, Any]:
    """Describes one run of a grid.

    Args:
        variant: Name of the variant, the same for all its seeds.
        seed: Whole number.
        **parameters: All that the training function is called with.

    Returns:
        A dict for `run_grid`.
    """
    return {"variant": variant, "seed": seed, "parameters": parameters}


def run_grid(
    settings: Settings,
    data: Dataset,
    grid: Sequence[Mapping[str, Any]],
    train: Callable[..., Mapping[str, Any]],
) -> list[Record]:
    """Runs every planned run that is not done yet and returns all records.

    Runs of profiles `laptop` and `full` on real data and with the profile's own
    protocol are written to the folder of published records (the runs folder where the
    package is installed apart from its project); with a changed protocol, to a folder
    of that protocol's own among the runs. One that stands there is read instead of
    run again. So a grid that was killed goes on where it was, from its last finished
    epoch, and several processes may work on one grid: each claims a run before it
    starts it. Runs of other profiles are always run and written to the runs folder.
    Where TUTORIALS_SCHEDULER names a Dask scheduler, its workers run them.

    Args:
        settings: The chapter's `Settings`. `max_minutes` starts no new run that
            long after they were chosen; 0 only reads what is there.
        data: The `Dataset` that the runs use.
        grid: Planned runs, from `plan_run`, in the order to run them.
        train: Function called as `train(seed=..., fit=..., **parameters)`. It trains by
            `fit(model, batches, ...)`, see `checkpoints.ResumableFit`; one that has an
            argument `callbacks` instead hands these to `model.fit`. It returns a dict
            with `metrics` (name to number), `history` (name to list), `images` (how
            many images training has seen; 0 for a run that trains nothing, as an
            ensemble) and, as wanted, `arrays` (name to array, see
            `records.read_arrays`).

    Returns:
        Records, in the order of the grid; runs not done are left out.

    Raises:
        ValueError: two planned runs of one variant and seed, Keras set to other floats
            or another image layout than the book's, training that keeps its callbacks
            from `fit`, or what `cluster.run_on_cluster` and `devices.spread_batches`
            refuse.
        OSError: the folder for records cannot be written to. Where it could when the
            run began, the finished run is kept elsewhere, and the message says where.
        RecordError: a record that stands there is damaged or is of another run, or a
            run's own numbers are not finite.
        ChapterError: a run failed on the cluster.
    """
    _check_grid(grid)
    # The one run that is asked for; what it builds on is read where it stands.
    only = os.environ.get("TUTORIALS_ONLY")
    lasting = settings.profile in PUBLISHED and data.origin != "sample"
    folder = _choose_folder(settings, lasting, only)
    _check_writable(folder)
    commit = describe_commit()
    planned = {_place(settings.chapter, folder, data, run): run for run in grid}
    resumable = lasting or bool(only)
    if scheduler := os.environ.get("TUTORIALS_SCHEDULER"):
        _run_elsewhere(scheduler, settings, planned, resumable, folder)
        resumable = True
    wanted = {path for path in planned if not only or path.name == only}
    done: dict[pathlib.Path, Record] = {}
    waiting = 0
    while len(done) < len(planned):
        late = _is_late(settings)
        for path, run in planned.items():
            if path in done:
                continue
            if resumable and path.exists():
                done[path] = _read_planned(settings.chapter, data, run, path)
            elif path in wanted and not (late := late or _is_late(settings)):
                with claim_run(path) as claimed:
                    # The holder of a claim may have finished since the first look.
                    if claimed and resumable and path.exists():
                        done[path] = _read_planned(settings.chapter, data, run, path)
                    elif claimed:
                        remove_partials(path)
                        fit = _prepare_fit(settings, data, run, resumable and path)
                        record, arrays = _run_once(
                            settings, data, run, train, commit, fit
                        )
                        _keep(record, arrays, path)
                        fit.remove()
                        done[path] = record
                        _say(len(done), len(planned), record)
        before, waiting = waiting, len(wanted - done.keys())
        if not waiting or late:
            break
        if waiting != before:
            print(f"waiting for {waiting} runs that other processes work on")
        time.sleep(5)
    return [done[path] for path in planned if path in done]


def _choose_folder(settings, lasting, only):
    """Chooses where records go, by whether they last and are the profile's own."""
    home = runs_folder() / settings.profile
    if lasting and not settings.changed and may_publish():
        home = published_folder()
    elif lasting and settings.changed and not only:
        home = home.with_name(f"{settings.profile}-{_name_protocol(settings)}")
    return home / settings.chapter


def _run_elsewhere(scheduler, settings, planned, resumable, folder):
    """Has a cluster's workers leave the records that are missing in the folder."""
    missing = {
        path: run for path, run in planned.items() if not (resumable and path.exists())
    }
    paths = run_on_cluster(scheduler, settings, missing, folder)
    for number, path in enumerate(paths, len(planned) - len(missing) + 1):
        _say(number, len(planned), read_record(path))


def _keep(record, arrays, path):
    """Writes a finished run; where its folder has filled up meanwhile, elsewhere."""
    try:
        _write(record, arrays, path)
    except OSError as error:
        shelter = None
        try:
            shelter = pathlib.Path(tempfile.mkdtemp(prefix="tutorials-kept-"))
            _write(record, arrays, shelter / path.name)
        except OSError:
            if shelter:
                shutil.rmtree(shelter, ignore_errors=True)
            raise error from None
        raise WriteError(
            f"{error} The finished run is kept in {shelter}: move its files to "
            f"{path.parent} when there is room, and go on."
        ) from error


def _write(record, arrays, path):
    # Arrays first: what has its record is complete.
    if arrays:
        record["arrays"] = write_arrays(arrays, path)
    write_record(record, path)


def _name_protocol(settings):
    """Names what was changed, of which a run's own parameters need not tell."""
    changes = {name: settings.values[name] for name in settings.changed}
    text = json.dumps(changes, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _place(chapter, folder, data, run):
    identity = identify_run(
        chapter, run["variant"], run["seed"], run["parameters"], data.sha256
    )
    return folder / name_record(run["variant"], run["seed"], identity)


def _check_grid(grid):
    keras_floats, layout = keras.config.floatx(), keras.config.image_data_format()
    if (keras_floats, layout) != ("float32", "channels_last"):
        raise ValueError(
            f"Keras must be set to floatx float32 and channels_last, as every record "
            f"is; got {keras_floats} and {layout} (see ~/.keras/keras.json)."
        )
    runs = [(run["variant"], run["seed"]) for run in grid]
    if twice := sorted({run for run in runs if runs.count(run) > 1}):
        raise ValueError(f"grid must hold each variant and seed once; got {twice[0]}.")


def _read_planned(chapter, data, run, path):
    """Reads the record of a planned run; one that was moved or edited is refused."""
    record = read_record(path)
    found = {name: record[name] for name in ("variant", "seed", "parameters")}
    # As JSON has it: a tuple comes back as a list.
    planned = json.loads(json.dumps(run))
    same = record["chapter"] == chapter and record["data"]["sha256"] == data.sha256
    if not same or found != planned:
        differs = _list_differences(planned, found) or ["chapter or data"]
        raise RecordError(
            f"{path}: holds another run than its name says; what differs: "
            f"{'; '.join(differs)}."
        )
    return record


def _list_differences(planned, found, name=""):
    """Says where two values differ, down through the dicts they hold."""
    if not (isinstance(planned, dict) and isinstance(found, dict)):
        return [] if planned == found else [f"{name} {found!r}, not {planned!r}"]
    differences = []
    for key in sorted(planned.keys() | found.keys()):
        differences += _list_differences(planned.get(key), found.get(key), key)
    return differences


def _is_late(settings):
    minutes = settings.max_minutes
    return minutes is not None and time.monotonic() - settings.started >= 60 * minutes


def _prepare_fit(settings, data, run, path):
    """What trains a run; it has a checkpoint, named as the record, if it may resume."""
    log = runs_folder() / "progress" / f"{settings.chapter}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    watch = WatchEpochs(log, f"{run['variant']}, seed {run['seed']}")
    versions = describe_versions()
    backend = keras.backend.backend()
    identity = {
        **{name: run[name] for name in ("variant", "seed", "parameters")},
        "data": data.sha256,
        "backend": backend,
        "versions": {name: versions.get(name) for name in ("keras", backend)},
    }
    if path:
        path = runs_folder() / "checkpoints" / settings.chapter / f"{path.stem}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_partials(path)
    identity["chapter"] = settings.chapter
    return ResumableFit(path or None, identity, [watch])


def _run_once(settings, data, run, train, commit, fit):
    (watch,) = fit.callbacks
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    # A function that calls `model.fit` itself takes callbacks, and cannot resume.
    takes_fit = "fit" in inspect.signature(train).parameters
    how = {"fit": fit} if takes_fit else {"callbacks": fit.callbacks}
    start = time.perf_counter()
    with spread_batches() as devices:
        result = train(seed=run["seed"], **how, **run["parameters"])
    wall = fit.seconds + time.perf_counter() - start
    if result["images"] and not watch.seconds:
        raise ValueError("train must hand its callbacks to fit; no epoch was seen.")
    history = {
        name: [float(value) for value in values]
        for name, values in result["history"].items()
    }
    record = {
        "schema": SCHEMA,
        "chapter": settings.chapter,
        "variant": run["variant"],
        "seed": run["seed"],
        "profile": settings.profile,
        "parameters": run["parameters"],
        "data": {
            "name": data.name,
            "origin": data.origin,
            "sha256": data.sha256,
            "train_images": len(data.x_train),
            "test_images": len(data.x_test),
        },
        "metrics": {name: float(value) for name, value in result["metrics"].items()},
        "history": {**history, "seconds": [round(s, 3) for s in watch.seconds]},
        "timing": {
            "wall_seconds": round(wall, 3),
            "images_per_second": round(
                result["images"] / max(sum(watch.seconds), 1e-9), 1
            ),
        },
        "environment": describe_environment(devices),
        "git": commit,
        "date": date,
    }
    return record, result.get("arrays")


def _say(number, total, record):
    scores = ", ".join(
        f"{name.replace('_', ' ')} {value:.4f}"
        for name, value in record["metrics"].items()
        if name.endswith("accuracy")
    )
    print(
        f"[{number}/{total}] {record['variant']}, seed {record['seed']}: {scores} "
        f"({record['timing']['wall_seconds']:.0f} s)",
        flush=True,
    )


class WatchEpochs(keras.callbacks.Callback):
    """Times the epochs of a run and writes a line for each to a log.

    Args:
        log: Path of the log.
        title: What to call the run in the log.
    """

    def __init__(self, log: pathlib.Path, title: str) -> None:
        super().__init__()
        self.log = log
        self.title = title
        self.seconds: list[float] = []

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, float] | None = None
    ) -> None:
        """Starts the epoch's clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Stops the clock and writes a line to the log."""
        self.seconds.append(time.perf_counter() - self.start)
        scores = " ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        line = (
            f"{datetime.datetime.now():%H:%M:%S} {self.title}: epoch {epoch + 1} "
            f"of {self.params['epochs']}, {self.seconds[-1]:.1f} s, {scores}\n"
        )
        # A line that finds no room is not worth the run.
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8") as log:
            log.write(line)


def _check_writable(folder):
    """Raises OSError, before any work, where `folder` cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        raise WriteError(
            f"records cannot be written to {folder} ({error}). Set TUTORIALS_RECORDS "
            f"(full runs) or TUTORIALS_RUNS (other runs) to a folder that can be."
        ) from error
