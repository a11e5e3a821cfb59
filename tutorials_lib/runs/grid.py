"""Makes the runs that a chapter plans and writes a record of each."""

import dataclasses
import datetime
import functools
import json
import os
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tutorials_lib.runs import environment, records, storage
from tutorials_lib.runs.checkpoints import ResumableFit
from tutorials_lib.runs.profiles import PUBLISHED
from tutorials_lib.runs.records import SCHEMA, Record, RecordError, list_differences
from tutorials_lib.runs.settings import Settings
from tutorials_lib.runs.single import run_on_cluster
from tutorials_lib.support.data import Dataset

# Seconds between checks of what other processes have finished.
PAUSE = 5

Parameters = Mapping[str, Any]


class NotDoneError(LookupError):
    """A run that another one builds on has no record yet."""


@dataclasses.dataclass
class Run:
    """One planned run.

    Attributes:
        variant: Name of the variant, the same for all its seeds.
        seed: Whole number.
        plan: All that determines the result apart from seed and data; or a function
            that returns it, and raises `NotDoneError` while a run that this one builds
            on has no record.
    """

    variant: str
    seed: int
    plan: Parameters | Callable[[], Parameters]

    @property
    def name(self) -> str:
        """The run's name, such as `alpha 0.1, seed 0`."""
        return records.name_run(self.variant, self.seed)

    @functools.cached_property
    def parameters(self) -> Parameters:
        """What the run is called with."""
        return self.plan() if callable(self.plan) else self.plan

    @property
    def blocked(self) -> str:
        """Says what has to be done before this run; nothing if it can be made."""
        try:
            self.parameters  # noqa: B018
        except NotDoneError as error:
            return f"{self.name} ({error})"
        return ""


# Trains a run: called with the run and a substitute for `model.fit`.
Train = Callable[[Run, ResumableFit], Mapping[str, Any]]


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
        planned: Dict of the name of each run to its record; None until it is done.
    """

    def __init__(self, settings: Settings, data: Dataset) -> None:
        numbers = keras.config.floatx(), keras.config.image_data_format()
        if numbers != ("float32", "channels_last"):
            raise ValueError(
                f"Keras must use float32 and channels_last, as for every record; got "
                f"{' and '.join(numbers)} (see ~/.keras/keras.json)."
            )
        self.settings, self.data = settings, data
        self.planned: dict[str, Record | None] = {}
        self.commit = environment.describe_commit()
        lasting = settings.profile in PUBLISHED and data.origin != "sample"
        # Whether a run that has a record is read.
        self.resumes = lasting or bool(settings.only or settings.listing)
        own = storage.runs_folder() / settings.protocol / settings.chapter
        published = storage.published_folder() / settings.chapter
        # Records are written to the first folder, and looked for in each.
        if settings.into:
            self.folders = [pathlib.Path(settings.into)]
        elif not lasting or settings.changed or settings.retrain:
            self.folders = [own]
        elif os.environ.get("TUTORIALS_RECORDS") or storage.find_checkout():
            self.folders = [published]
        else:
            # The published records are a copy inside the package.
            self.folders = [own, published]
        self.folder = self.folders[0]

    def run(self, runs: Sequence[Run], train: Train) -> list[Record]:
        """Makes every run that is not done yet; returns the records of all.

        `train` returns a dict with `metrics` (name to number), `history` (name to
        list), `images` (how many images training has seen; 0 for a run that trains
        nothing, such as an ensemble) and optionally `arrays` (name to array). A run
        that could not be made is left out.
        """
        self.planned |= dict.fromkeys(run.name for run in runs)
        pending = {run.name: run for run in runs}
        # What is wrong with runs that are left alone, because the others are still
        # worth making.
        failed: dict[str, str] = {}
        for run in _find_ready(pending) if self.resumes else ():
            try:
                if self._read(run):
                    del pending[run.name]
            except RecordError as error:
                failed[run.name] = str(error)
                del pending[run.name]
        if recorded := len(runs) - len(pending) - len(failed):
            print(f"{recorded} of {len(runs)} runs are recorded already", flush=True)
        if not self.settings.listing:
            if only := self.settings.only:
                pending = {name: run for name, run in pending.items() if name == only}
                failed = {name: said for name, said in failed.items() if name == only}
            if pending and not self.settings.is_late:
                storage.check_writable(self.folder)
            if self.settings.scheduler:
                self._run_on_cluster(pending)
            else:
                failed |= self._run_here(pending, train)
            if blocked := [run.blocked for run in pending.values() if run.blocked]:
                if only:
                    raise RecordError(f"cannot be run: {blocked[0]}.")
                print(f"not run: {'; '.join(blocked)}", flush=True)
            if failed:
                raise RecordError(" ".join(failed.values()))
        return [done for run in runs if (done := self.planned[run.name])]

    def _run_here(self, pending, train):
        """Makes the pending runs, but for those that another process works on.

        It waits for these, as others may build on them. Returns what is wrong with runs
        that failed, by their names.
        """
        total, failed = len(pending), {}
        while pending and not self.settings.is_late:
            before, elsewhere = len(pending), False
            for run in _find_ready(pending):
                if self.settings.is_late:
                    break
                with storage.claim_run(self._find_path(run)) as claimed:
                    if not claimed:
                        elsewhere = True
                        continue
                    del pending[run.name]
                    try:
                        # Another process may have made it meanwhile.
                        record = self.resumes and self._read(run)
                        said = records.summarise(record or self._make(run, train))
                    except RecordError as error:
                        failed[run.name] = said = str(error)
                print(f"[{total - len(pending)}/{total}] {said}", flush=True)
            if len(pending) == before:
                if not elsewhere:
                    break
                time.sleep(PAUSE)
        return failed

    def _run_on_cluster(self, pending):
        """Has a cluster make the pending runs, and then those that build on them."""
        while ready := {self._find_path(run): run for run in _find_ready(pending)}:
            made = run_on_cluster(self.settings.scheduler, self.settings, ready)
            for number, run in enumerate(made, start=1):
                said = records.summarise(self._read(pending.pop(run.name)))
                print(f"[{number}/{len(ready)}] {said}", flush=True)

    def _plan(self, run):
        """What a run's record holds before it is made, as JSON stores it."""
        data, settings = self.data, self.settings
        plan = {
            "schema": SCHEMA,
            "chapter": settings.chapter,
            "variant": run.variant,
            "seed": run.seed,
            "profile": settings.profile,
            "settings": settings.record(),
            "parameters": run.parameters,
            "data": {
                "name": data.name,
                "origin": data.origin,
                "sha256": data.sha256,
                "train_images": len(data.x_train),
                "test_images": len(data.x_test),
            },
        }
        return json.loads(json.dumps(plan))

    def _find_path(self, run):
        """Where a run's record is written."""
        return self.folder / records.name_record(self._plan(run))

    def _read(self, run):
        """Reads the record of a run; one that was moved or edited is refused."""
        plan = self._plan(run)
        for path in (folder / records.name_record(plan) for folder in self.folders):
            if path.is_file():
                record = records.read_record(path)
                found = records.identify(record)
                if differs := list_differences(records.identify(plan), found):
                    raise RecordError(
                        f"{path}: holds another run than its name says; differences: "
                        f"{'; '.join(differs)}."
                    )
                self.planned[run.name] = record
                return record
        return None

    def _make(self, run, train):
        """Trains a run and writes its record."""
        path, date = self._find_path(run), datetime.datetime.now(datetime.UTC)
        storage.remove_partials(path)
        fit = self._prepare_fit(run, path.stem)
        result = train(run, fit)
        if result["images"] and not fit.seconds:
            raise ValueError("train must call fit(model, ...); no epoch was seen.")
        history = {name: list(map(float, x)) for name, x in result["history"].items()}
        speed = result["images"] / max(sum(fit.seconds), 1e-9)
        record = {
            **self._plan(run),
            "metrics": {name: float(x) for name, x in result["metrics"].items()},
            "history": {**history, "seconds": [round(s, 3) for s in fit.seconds]},
            "timing": {
                "wall_seconds": round(fit.wall_seconds, 3),
                "images_per_second": round(speed, 1),
                "sessions": fit.sessions,
            },
            "environment": environment.describe_environment(),
            "git": self.commit,
            "date": date.isoformat(timespec="seconds"),
            **environment.describe_products(),
        }
        records.keep_run(record, result.get("arrays"), path)
        if fit.path:
            fit.path.unlink(missing_ok=True)
        self.planned[run.name] = record
        return record

    def _prepare_fit(self, run, name):
        """What trains a run; if it resumes, with a checkpoint named like the record."""
        chapter, home = self.settings.chapter, storage.runs_folder()
        log = home / "progress" / f"{chapter}.log"
        apart = self.folder if self.settings.into else home
        checkpoint = apart / "checkpoints" / chapter / f"{name}.npz"
        storage.remove_partials(checkpoint)
        versions, backend = environment.describe_versions(), keras.backend.backend()
        identity = {**records.identify(self._plan(run)), "backend": backend}
        identity["versions"] = {x: versions.get(x) for x in ("keras", backend)}
        return ResumableFit(checkpoint if self.resumes else None, identity, log)


def _find_ready(pending):
    """Those runs whose inputs are there when it is their turn."""
    return (run for run in [*pending.values()] if not run.blocked)
