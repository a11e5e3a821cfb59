"""Runs a chapter's grid of variants and seeds, each ending in its record."""

import contextlib
import datetime
import json
import os
import socket
import tempfile
import time

import keras

from tutorials_lib.runs.environment import describe_commit, describe_environment
from tutorials_lib.runs.records import (
    SCHEMA,
    identify_run,
    name_record,
    published_folder,
    read_record,
    runs_folder,
    write_record,
)

# A run touches its claim every epoch; no epoch of the book takes this long.
CLAIM_SECONDS = 3 * 3600


def plan_run(variant, seed, **parameters):
    """Describes one run of a grid.

    Args:
        variant: Name of the variant, the same for all its seeds.
        seed: Whole number.
        **parameters: All that the training function is called with.

    Returns:
        A dict for `run_grid`.
    """
    return {"variant": variant, "seed": seed, "parameters": parameters}


def run_grid(settings, data, grid, train):
    """Runs every planned run that is not done yet and returns all records.

    Runs of profile `full` on real data and with the profile's own protocol are
    written to the folder of published records, and one that stands there is read
    instead of run again. So a grid that was killed goes on where it was, and several
    processes may work on one grid: each claims a run before it starts it. Runs of
    other profiles are always run and written to the runs folder.

    Args:
        settings: The chapter's `Settings`. `max_minutes` starts no new run after
            that time; 0 only reads what is there.
        data: The `Dataset` that the runs use.
        grid: Planned runs, from `plan_run`, in the order to run them.
        train: Function called as `train(seed=..., callbacks=..., **parameters)`; it
            hands the callbacks to `fit` and returns a dict with `metrics` (name to
            number), `history` (name to list, one entry an epoch) and `images` (how
            many images training has seen).

    Returns:
        Records, in the order of the grid; runs not done are left out.

    Raises:
        OSError: the folder for records cannot be written to.
    """
    resumable = settings.profile == "full" and not settings.changed
    resumable = resumable and data.origin != "sample"
    home = published_folder() if resumable else runs_folder() / settings.profile
    folder = home / settings.chapter
    _check_writable(folder)
    start = time.monotonic()
    commit = describe_commit()
    planned = [_place(settings.chapter, folder, data, run) for run in grid]
    done = {}
    while len(done) < len(planned):
        late = _is_late(settings.max_minutes, start)
        waiting = []
        for place, (path, run) in enumerate(planned):
            if place in done:
                continue
            if resumable and path.exists():
                done[place] = read_record(path)
                continue
            late = late or _is_late(settings.max_minutes, start)
            if late:
                continue
            with _claim(path) as claimed:
                # The holder of a claim may have finished since the first look.
                if claimed and resumable and path.exists():
                    done[place] = read_record(path)
                elif claimed:
                    record = _run_once(settings, data, run, train, commit, path)
                    write_record(record, path)
                    done[place] = record
                    _say(len(done), len(planned), record)
                else:
                    waiting.append(run)
        if not waiting or late:
            break
        time.sleep(5)
    return [done[place] for place in sorted(done)]


def _place(chapter, folder, data, run):
    identity = identify_run(
        chapter, run["variant"], run["seed"], run["parameters"], data.sha256
    )
    return folder / name_record(run["variant"], run["seed"], identity), run


def _is_late(max_minutes, start):
    return max_minutes is not None and time.monotonic() - start >= 60 * max_minutes


def _run_once(settings, data, run, train, commit, path):
    watch = WatchEpochs(path, f"{run['variant']}, seed {run['seed']}")
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    start = time.perf_counter()
    result = train(seed=run["seed"], callbacks=[watch], **run["parameters"])
    wall = time.perf_counter() - start
    history = {
        name: [float(value) for value in values]
        for name, values in result["history"].items()
    }
    return {
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
            "images_per_second": round(result["images"] / sum(watch.seconds), 1),
        },
        "environment": describe_environment(),
        "git": commit,
        "date": date,
    }


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
    """Times the epochs of a run, logs them beside the record, keeps the claim fresh.

    Args:
        path: The record's path; its claim and log stand beside it.
        title: What to call the run in the log.
    """

    def __init__(self, path, title):
        super().__init__()
        self.claim = path.with_suffix(".claim")
        self.log = path.parent / "progress.log"
        self.title = title
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the epoch's clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stops the clock, writes a line to the log, renews the claim."""
        self.seconds.append(time.perf_counter() - self.start)
        scores = " ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        with self.log.open("a", encoding="utf-8") as log:
            print(
                f"{datetime.datetime.now():%H:%M:%S} {self.title}: epoch {epoch + 1} "
                f"of {self.params['epochs']}, {self.seconds[-1]:.1f} s, {scores}",
                file=log,
            )
        if self.claim.exists():
            os.utime(self.claim)


def _check_writable(folder):
    """Raises OSError, before any work, where `folder` cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"records cannot be written to {folder} ({error}). Set TUTORIALS_RECORDS "
            f"(full runs) or TUTORIALS_RUNS (other runs) to a folder that can be."
        ) from error


@contextlib.contextmanager
def _claim(path):
    """Claims a run for this process; yields whether it could be had."""
    claim = path.with_suffix(".claim")
    owner = {"host": socket.gethostname(), "process": os.getpid()}
    for _ in range(2):
        try:
            handle = os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            if not _is_abandoned(claim):
                yield False
                return
            with contextlib.suppress(FileNotFoundError):
                claim.unlink()
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(owner, file)
        try:
            yield True
        finally:
            with contextlib.suppress(FileNotFoundError):
                claim.unlink()
        return
    yield False


def _is_abandoned(claim):
    """Tells whether the process that holds a claim is gone."""
    try:
        owner = json.loads(claim.read_text(encoding="utf-8"))
        age = time.time() - claim.stat().st_mtime
    except FileNotFoundError:
        return True
    except ValueError:
        # Another process has made the file and is about to write its name.
        return time.time() - claim.stat().st_mtime > 60
    here = owner["host"] == socket.gethostname()
    return age > CLAIM_SECONDS or (here and not _is_running(owner["process"]))


def _is_running(process):
    # Elsewhere os.kill would end the process that it asks about.
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
