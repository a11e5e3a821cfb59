"""Makes the runs that a chapter plans and writes a record of each."""

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tutorials_lib.runs.chapters import OnlyDone
from tutorials_lib.runs.checkpoints import ResumableFit, WatchEpochs
from tutorials_lib.runs.environment import (
    describe_commit,
    describe_environment,
    describe_products,
    describe_versions,
)
from tutorials_lib.runs.profiles import PUBLISHED
from tutorials_lib.runs.records import keep_run, name_record, name_run, read_record
from tutorials_lib.runs.schema import SCHEMA, Record, RecordError, list_differences
from tutorials_lib.runs.settings import Settings
from tutorials_lib.runs.storage import (
    check_writable,
    claim_run,
    find_checkout,
    published_folder,
    remove_partials,
    runs_folder,
)
from tutorials_lib.support.data import Dataset

# Seconds between checks of what other processes have finished.
PAUSE = 5

Parameters = Mapping[str, Any]


class NotDoneError(LookupError):
    """A run that another one builds on has no record yet."""


class DivergedError(RuntimeError):
    """Training ended in NaN or infinity."""


@dataclasses.dataclass
class Run:
    """One planned run.

    Attributes:
        variant: Name of the variant, the same for all its seeds.
        seed: Whole number.
        parameters: All that determines the result apart from seed and data; or a
            function that returns them, and raises `NotDoneError` while a run that this
            one builds on has no record.
    """

    variant: str
    seed: int
    parameters: Parameters | Callable[[], Parameters]

    @property
    def name(self) -> str:
        """The run's name, such as `alpha 0.1, seed 0`."""
        return name_run(self.variant, self.seed)

    def resolve(self) -> Parameters:
        """The run's parameters."""
        if callable(self.parameters):
            self.parameters = self.parameters()
        return self.parameters


# Trains a run: called with the run, its parameters and a substitute for `model.fit`.
Train = Callable[[Run, Parameters, ResumableFit], Mapping[str, Any]]


class Grid:
    """The runs of a chapter: which there are, where their records are, which are done.

    Runs of a published profile on real data and with the profile's own settings go to
    the folder of published records, unless the settings say otherwise; with changed
    settings, they go to a separate folder for these settings in the runs folder. A run
    that has a record there is read, not repeated. A grid that was killed therefore
    resumes from its last finished epoch, and several processes may work on one grid:
    each claims a run before it starts it. Other runs are always made anew, in the runs
    folder.

    Attributes:
        planned: Names of all runs.
        finished: Dict of name to record, of all runs that were made or read.
    """

    def __init__(self, settings: Settings, data: Dataset) -> None:
        keras_floats, layout = keras.config.floatx(), keras.config.image_data_format()
        if (keras_floats, layout) != ("float32", "channels_last"):
            raise ValueError(
                f"Keras must be set to floatx float32 and channels_last, as for every "
                f"record; got {keras_floats} and {layout} (see ~/.keras/keras.json)."
            )
        self.settings, self.data = settings, data
        self.planned: list[str] = []
        self.finished: dict[str, Record] = {}
        chapter, own = settings.chapter, not settings.changed
        lasting = settings.profile in PUBLISHED and data.origin != "sample"
        published = published_folder() / chapter
        self.folder = runs_folder() / settings.profile / chapter
        self.others: list[pathlib.Path] = []
        if settings.into:
            self.folder = pathlib.Path(settings.into)
        elif lasting and not own:
            self.folder = runs_folder() / settings.protocol / chapter
        elif lasting and not settings.retrain:
            # Without a checkout, published records are the copy inside the package.
            if os.environ.get("TUTORIALS_RECORDS") or find_checkout():
                self.folder = published
            else:
                self.others = [published]
        # Whether a run that has a record is read.
        self.resumes = lasting or bool(settings.only or settings.listing)
        self.commit = describe_commit()
        self.diverged: list[DivergedError] = []

    def run(self, runs: Sequence[Run], train: Train) -> list[Record]:
        """Makes every run that is not done yet; returns the records of all.

        `train` returns a dict with `metrics` (name to number), `history` (name to
        list), `images` (how many images training has seen; 0 for a run that trains
        nothing, such as an ensemble) and optionally `arrays` (name to array). A run
        that could not be made is left out.
        """
        self.planned += [run.name for run in runs]
        if not self.settings.listing:
            check_writable(self.folder)
        pending = self._read_done(runs)
        if self.settings.listing:
            return self._gather(runs)
        if scheduler := self.settings.scheduler:
            self._run_on_cluster(scheduler, pending)
        while pending and not (self.settings.scheduler or self.settings.is_late):
            before = len(pending)
            elsewhere = self._pass_over(pending, len(runs), train)
            if len(pending) == before:
                if not elsewhere:
                    break
                time.sleep(PAUSE)
        self._tell_what_is_missing(pending)
        if self.diverged:
            raise RecordError("; ".join(map(str, self.diverged)))
        only = [run for run in runs if run.name == self.settings.only]
        if only and (done := self._gather(only)):
            raise OnlyDone(_summarise(done[0]))
        return self._gather(runs)

    def _gather(self, runs):
        return [self.finished[x.name] for x in runs if x.name in self.finished]

    def _read_done(self, runs):
        """Reads the records that are there; returns the other runs by name."""
        pending = {}
        for run in runs:
            record = None
            with contextlib.suppress(NotDoneError):
                record = self._read(run) if self.resumes else None
            if record is None:
                pending[run.name] = run
        if recorded := len(runs) - len(pending):
            print(f"{recorded} of {len(runs)} runs are recorded already", flush=True)
        return pending

    def _pass_over(self, pending, total, train):
        """Makes the pending runs that it can; returns how many others work on."""
        elsewhere = 0
        for name, run in list(pending.items()):
            if self.settings.only not in (None, name):
                continue
            if self.settings.is_late:
                return 0
            try:
                record = self._make(run, train)
            except NotDoneError:
                continue
            except DivergedError as error:
                # The other runs are still worth making.
                print(error, flush=True)
                self.diverged.append(error)
                del pending[name]
                continue
            if record is None:
                elsewhere += 1
                continue
            del pending[name]
            print(f"[{total - len(pending)}/{total}] {_summarise(record)}", flush=True)
        return elsewhere

    def _make(self, run, train):
        """Makes a run, or reads its record; None while another process works on it."""
        path = self._find_path(run)
        with claim_run(path) as claimed:
            if not claimed:
                return None
            record = self._read(run) if self.resumes else None
            if record is None:
                remove_partials(path)
                fit = self._prepare_fit(run, path)
                record, arrays = self._train(run, train, fit)
                keep_run(record, arrays, path)
                fit.remove()
                self.finished[run.name] = record
            return record

    def _identify(self, run):
        """What identifies a run, as JSON stores it: a tuple becomes a list."""
        return {
            "chapter": self.settings.chapter,
            "variant": run.variant,
            "seed": run.seed,
            "parameters": json.loads(json.dumps(run.resolve())),
            "data": self.data.sha256,
        }

    def _find_path(self, run):
        """Where a run's record is written."""
        return self.folder / name_record(*self._identify(run).values())

    def _read(self, run):
        """Reads the record of a run; one that was moved or edited is refused."""
        planned = self._identify(run)
        name = name_record(*planned.values())
        paths = [folder / name for folder in (self.folder, *self.others)]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return None
        record = read_record(path)
        found = {name: record[name] for name in planned}
        found["data"] = record["data"]["sha256"]
        if differs := list_differences(planned, found):
            raise RecordError(
                f"{path}: holds another run than its name says; differences: "
                f"{'; '.join(differs)}."
            )
        self.finished[run.name] = record
        return record

    def _prepare_fit(self, run, path):
        """What trains a run; if it resumes, with a checkpoint named like the record."""
        chapter = self.settings.chapter
        log = runs_folder() / "progress" / f"{chapter}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        versions = describe_versions()
        backend = keras.backend.backend()
        identity = {**self._identify(run), "backend": backend}
        identity["versions"] = {name: versions.get(name) for name in ("keras", backend)}
        checkpoint = None
        if self.resumes:
            folder = runs_folder() / "checkpoints" / chapter
            if self.settings.into:
                folder = self.folder / "checkpoints"
            folder.mkdir(parents=True, exist_ok=True)
            checkpoint = folder / f"{path.stem}.npz"
            remove_partials(checkpoint)
        return ResumableFit(checkpoint, identity, [WatchEpochs(log, run.name)])

    def _train(self, run, train, fit):
        (watch,) = fit.callbacks
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        start = time.perf_counter()
        result = train(run, run.resolve(), fit)
        wall = fit.seconds + time.perf_counter() - start
        if result["images"] and not watch.seconds:
            raise ValueError("train must call fit(model, ...); no epoch was seen.")
        for name, values in {**result["history"], **result["metrics"]}.items():
            values = np.atleast_1d(values)
            wrong = values[~np.isfinite(values)]
            if len(wrong):
                raise DivergedError(
                    f"{run.name}: training diverged, {name} is {wrong[0]}"
                )
        history = {
            name: [float(value) for value in values]
            for name, values in result["history"].items()
        }
        speed = result["images"] / max(sum(watch.seconds), 1e-9)
        data, settings = self.data, self.settings
        record = {
            "schema": SCHEMA,
            "chapter": settings.chapter,
            "variant": run.variant,
            "seed": run.seed,
            "profile": settings.profile,
            "settings": settings.record(),
            "parameters": run.resolve(),
            "data": {
                "name": data.name,
                "origin": data.origin,
                "sha256": data.sha256,
                "train_images": len(data.x_train),
                "test_images": len(data.x_test),
            },
            "metrics": {name: float(x) for name, x in result["metrics"].items()},
            "history": {**history, "seconds": [round(s, 3) for s in watch.seconds]},
            "timing": {
                "wall_seconds": round(wall, 3),
                "images_per_second": round(speed, 1),
                "sessions": fit.sessions,
            },
            "environment": describe_environment(),
            "git": self.commit,
            "date": date,
            **describe_products(),
        }
        return record, result.get("arrays")

    def _run_on_cluster(self, scheduler, pending):
        """Lets a cluster make the pending runs, and then those that build on them."""
        from tutorials_lib.runs.single import run_on_cluster

        while True:
            missing = {}
            for run in pending.values():
                with contextlib.suppress(NotDoneError):
                    missing[self._find_path(run)] = run
            if not missing:
                return
            made = run_on_cluster(scheduler, self.settings, missing)
            for number, run in enumerate(made, start=1):
                record = self._read(pending.pop(run.name))
                print(f"[{number}/{len(missing)}] {_summarise(record)}", flush=True)

    def _tell_what_is_missing(self, pending):
        blocked = []
        for run in pending.values():
            try:
                run.resolve()
            except NotDoneError as error:
                blocked.append(f"{run.name} ({error})")
        if blocked and not self.settings.only:
            more = f" and {len(blocked) - 1} more" if len(blocked) > 1 else ""
            print(f"not run: {blocked[0]}{more}", flush=True)
        if self.settings.only in pending and not self.settings.is_late:
            raise RecordError(f"cannot be run: {'; '.join(blocked)}.")


def _summarise(record):
    scores = ", ".join(
        f"{name.replace('_', ' ')} {value:.4f}"
        for name, value in record["metrics"].items()
        if name.endswith("accuracy")
    )
    name = name_run(record["variant"], record["seed"])
    return f"{name}: {scores} ({record['timing']['wall_seconds']:.0f} s)"
