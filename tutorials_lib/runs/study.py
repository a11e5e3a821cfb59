"""What a chapter needs to run its experiment: settings, data, runs and records."""

import dataclasses
import datetime
import inspect
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tutorials_lib.evaluate import score_model
from tutorials_lib.runs import environment
from tutorials_lib.runs.grid import Grid, NotDoneError, Parameters, Run
from tutorials_lib.runs.profiles import BY_DEVICE, SHARED, TABLE
from tutorials_lib.runs.records import Record, name_run, read_arrays
from tutorials_lib.runs.settings import choose_settings, list_defaults, read_literals
from tutorials_lib.support.checks import check_choice
from tutorials_lib.support.data import load_dataset, scale_images
from tutorials_lib.support.page import show_text

Split = tuple[np.ndarray, np.ndarray]
# What a variant is: its parameters, or a function of the seed that returns them.
Variant = Parameters | Callable[[int], Parameters]


class Study:
    """A chapter's experiment.

    Every setting is an attribute: `study.epochs`.

    Args:
        chapter: Name of the chapter.
        names: `globals()` of the notebook. The variables of its parameters cell, and of
            the cell that papermill adds, are settings; None keeps the profile's value.
            `max_minutes = 0` only reads records.

    Attributes:
        settings: The chapter's `Settings`.
        data: The `Dataset`, once it is loaded.
        splits: Dict of name to (images, labels): what `run` scores a network on.
            `load` puts `"train"` and `"test"` there.
        records: Records of all runs of this study, in the order they were planned.

    Raises:
        ValueError: an unknown variable, or a value out of range.

    Example:
        >>> study = Study("mixup_mnist", globals())
        >>> (x, y), (x_test, y_test) = study.load("mnist", low=-1, high=1)
        >>> def train(seed, fit, alpha):
        ...     keras.utils.set_random_seed(seed)
        ...     model = build_net()
        ...     model.compile(...)
        ...     batches = MixupBatches(x, y, alpha, study.batch_size, seed)
        ...     return model, fit(model, batches, epochs=study.epochs)
        >>> study.run(train, {"alpha 0.1": {"alpha": 0.1}, "alpha 1": {"alpha": 1.0}})
    """

    def __init__(self, chapter: str, names: Mapping[str, Any]) -> None:
        # A chapter trains many small networks, which TensorFlow takes for one that is
        # traced again and again.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        settings = choose_settings(chapter, **_read_cell(names, chapter))
        if settings.values.get("precision") == BY_DEVICE:
            values = {**settings.values, "precision": environment.choose_precision()}
            settings = dataclasses.replace(settings, values=values)
        self.settings = settings
        self.splits: dict[str, Split] = {}
        self.records: list[Record] = []

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["settings"].values[name]
        except KeyError:
            said = f"the study has no setting {name!r}; `data` comes with study.load."
            raise AttributeError(said) from None

    def load(
        self, name: str, low: float = 0.0, high: float = 1.0
    ) -> tuple[Split, Split]:
        """Loads the images of the profile and their labels, one-hot.

        A black pixel becomes `low`, a white one `high`. Returns (images, labels) for
        training, and for testing.
        """
        values = self.settings.values
        data = load_dataset(name, self.settings.source)
        data = data.take(values.get("train_images"), values.get("test_images"))
        self.data, self.grid = data, Grid(self.settings, data)
        for split in ("train", "test"):
            images = scale_images(getattr(data, f"x_{split}"), low, high)
            labels = keras.utils.to_categorical(getattr(data, f"y_{split}"), 10)
            self.splits[split] = images, labels
        return self.splits["train"], self.splits["test"]

    def run(
        self,
        train: Callable[..., Any],
        variants: Mapping[str, Variant],
        seeds: Iterable[int] | Mapping[str, Iterable[int]] | None = None,
        settings: Iterable[str] | None = None,
        score: Mapping[str, Split] | None = None,
    ) -> list[Record]:
        """Runs every variant with every seed, or reads the records that are there.

        Where the setting `variants` names some, the others are left out; what follows
        ", article's" in a name does not count.

        The parameters of a run, which tell it from all others, are those of its
        variant, and the settings that all runs of the chapter share
        (`profiles.SHARED`). A variant may set one of these anew.

        Args:
            train: Called as `train(seed=..., fit=..., ...)` with the variant's
                parameters, and with those shared settings that it has an argument for.
                It trains by `fit(model, ...)` in place of `model.fit(...)`, see
                `checkpoints.ResumableFit`, and returns `(model, history)`, or what
                `grid.Grid.run` takes.
            variants: Dict of name to parameters; to a function of the seed where they
                depend on other runs, see `find`.
            seeds: Seeds of all variants, or a dict of variant to seeds; default: the
                setting `seeds`.
            settings: Names of the settings among the parameters of these runs, where
                they are others than the chapter's.
            score: Dict of name to (images, labels) to score a network on that `train`
                returned; default: `self.splits`.

        Returns:
            Records of these runs, by seed and then in the order of the variants; a run
            that is not done is left out.
        """
        shared = SHARED[self.settings.chapter] if settings is None else tuple(settings)
        common = {name: getattr(self, name) for name in shared}
        seeds = self.settings.seeds if seeds is None else seeds
        if not isinstance(seeds, Mapping):
            seeds = dict.fromkeys(variants, tuple(seeds))
        if wanted := self.settings.values.get("variants"):
            kept = [name for name in variants if _shorten(name) in wanted]
            variants = {name: variants[name] for name in kept}
        order = dict.fromkeys(seed for each in seeds.values() for seed in each)
        runs = [
            Run(name, seed, _complete(variant, seed, common))
            for seed in order
            for name, variant in variants.items()
            if seed in seeds[name]
        ]
        for run in runs:
            if not callable(run.plan):
                _choose_arguments(train, run, self.settings.values)

        def call(run, fit):
            arguments = _choose_arguments(train, run, self.settings.values)
            result = train(seed=run.seed, fit=fit, **arguments)
            if isinstance(result, tuple):
                model, history = result
                splits: Any = self.splits if score is None else score
                result = {"metrics": score_model(model, **splits), "history": history}
            return {"images": fit.images, **result}

        records = self.grid.run(runs, call)
        self.records += records
        return records

    def check_variants(self, names: Iterable[str]) -> None:
        """Raises ValueError if the setting `variants` has another name than these."""
        known = [_shorten(name) for name in names]
        for name in self.settings.values.get("variants") or ():
            check_choice("variants", name, known)

    def find(self, variant: str, seed: int) -> Record:
        """Finds a run of this study that another one builds on.

        Raises:
            NotDoneError: it has not been run. Raised in a variant's function, it has
                the grid go on with other runs, and come back to this one.
        """
        name = name_run(variant, seed)
        if record := self.planned.get(name):
            return record
        raise NotDoneError(f"{name} is not done")

    def read_arrays(self, variant: str, seed: int) -> dict[str, np.ndarray]:
        """Reads the arrays that a run of this study left: dict of name to array."""
        return read_arrays(self.find(variant, seed), self.grid.folder)

    @property
    def planned(self) -> dict[str, Record | None]:
        """Dict of name to record, of all runs planned so far; None if not done."""
        return self.grid.planned

    def describe(self) -> str:
        """Says in three lines what is run on what; without a GPU, what fits."""
        precision = self.settings.values.get("precision", "float32")
        device = f"{environment.describe_device()}, computing in {precision}"
        if not environment.has_accelerator():
            table = TABLE[self.settings.chapter]
            small = table["laptop"] == table["full"]
            fits = "profile laptop fits, profile full does not"
            device += f"; no GPU: {'every profile fits' if small else fits}"
        return f"{self.settings.describe()}\n{self.data.describe()}\n{device}"

    def show_own(
        self, published: Sequence[Record], show: Callable[[list[Record]], None]
    ) -> None:
        """Shows by `show` those records of this study that are not published."""
        show_text(f"**Your own run**, {self.settings.describe()}:")
        if own := [record for record in self.records if record not in published]:
            show(own)
        else:
            show_text("Nothing was trained; the tables show the published runs.")

    def show_environment(self) -> None:
        """Prints what this study ran on: profile, data, device, versions, time."""
        machine, git = environment.describe_environment(), environment.describe_commit()
        changed = ", with changes" if git["clean"] is False else ""
        minutes = (time.monotonic() - self.settings.started) / 60
        lines = {
            "run": self.settings.describe(),
            "images": self.data.describe(),
            "device": "{device}, {cores} cores, backend {backend}".format(**machine),
            "versions": ", ".join(map(" ".join, machine["versions"].items())),
            "commit": f"{git['commit'] or 'unknown'}{changed}",
            "date": datetime.date.today().isoformat(),
            "time": f"{minutes:.1f} minutes",
        }
        for name, said in lines.items():
            print(f"{name:<9} {said}")


def _shorten(variant):
    """What the setting `variants` names a variant, whatever its schedule."""
    return variant.split(", article's")[0]


def _complete(variant, seed, common):
    """The parameters of a run with the shared settings, or a function for them."""
    if callable(variant):
        return lambda: {**common, **variant(seed)}
    return {**common, **variant}


def _choose_arguments(train, run, settings):
    """What `train` is called with: all but the settings that it has no argument for."""
    signature = inspect.signature(train)
    names = signature.parameters
    takes_all = any(each.kind is each.VAR_KEYWORD for each in names.values())
    chosen = {
        name: value
        for name, value in run.parameters.items()
        if takes_all or name in names or name not in settings
    }
    try:
        signature.bind(seed=run.seed, fit=None, **chosen)
    except TypeError as error:
        raise ValueError(f"{run.name}: train: {error}.") from error
    return chosen


def _read_cell(names, chapter):
    """The variables of the parameters cell, and of the one that papermill adds.

    Jupyter keeps the cells that were run in `In`: the last one of literals with the
    profile counts, and papermill's later. It keeps none if it runs without a history,
    as nbval does: then these are the variables that are named like settings.
    """
    chosen, problem = ["profile", *list_defaults(chapter, "smoke")], None
    for source in names.get("In", ()):
        try:
            found = read_literals(source)
        except (SyntaxError, ValueError) as error:
            if re.search(r"^profile\s*=", source, re.M):
                problem = error
        else:
            if source.startswith("# Param"):
                chosen += found
            elif "profile" in found:
                chosen, problem = [*found], None
    if problem:
        raise ValueError(f"the parameters cell: {problem}.")
    return {name: names[name] for name in chosen if name in names}
