"""Settings of a chapter: a profile's values, the reader's own, and what each takes."""

import ast
import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from tutorials_lib.runs import profiles
from tutorials_lib.support import checks
from tutorials_lib.support.data import SOURCES

# How a chapter is run, whatever its profile: settings of every chapter, of no record.
OPTIONS: dict[str, Any] = {
    # No new run is begun after so many minutes; at 0, records are only read.
    "max_minutes": None,
    # Whether to train anew what published records hold. What comes out is kept among
    # the runs; the published records stay.
    "retrain": False,
    # Name of the one run to make, such as "alpha 0.1, seed 0".
    "only": None,
    # Whether to name the runs, and make none.
    "listing": False,
    # Address of a Dask scheduler whose workers make the runs.
    "scheduler": None,
    # Folder for the chapter's records, in place of the usual ones.
    "into": None,
}
# Settings that choose which runs there are and leave each run as it is.
SEEDS = ("seeds", "larger_seeds", "pairs")
CHOOSING = (
    *SEEDS, "alphas", "images_per_mix", "labels", "eps_values", "members", "schedules",
    "variants", "recipes", "lengths", "without", *OPTIONS,
)  # fmt: skip
# What text a setting may be, whole or as an item of a list.
CHOICES: dict[str, tuple[str, ...]] = {
    "source": SOURCES,
    "precision": (*checks.PRECISIONS, profiles.BY_DEVICE),
    "pairing": ("replacement", "shuffles", "batch"),
    "lambda_per": ("sample", "batch"),
    "network": ("airbench", "resnet"),
    "weights": ("last", "best"),
    "stride_on": ("last", "middle"),
    "watch": ("held out", "test"),
    "empty": ("stop", "skip"),
    # Of noisy_student: ours, twice as long, and the 300 epochs of its article.
    "schedules": ("short", "twice", "article"),
    "recipes": profiles.RECIPES,
    "without": profiles.TRICKS,
}
# Smallest and largest value, where not any whole number from 1 or any other above 0.
BOUNDS: dict[str, tuple[float, float]] = {
    # Chapters add thousands to a seed, and layers take any below 2**31.
    **dict.fromkeys(SEEDS, (0, checks.MOST)),
    **dict.fromkeys(("max_minutes", "decay", "lengths"), (0, checks.MOST)),
    **dict.fromkeys(("long_epochs", "images_per_mix"), (2, checks.MOST)),
    **dict.fromkeys(("threshold", "other_threshold", "dropout"), (0, 0.9999)),
    "strengths": (1, 5),
    "shrink": (1, 2),
}
MAY_BE_EMPTY = ("leave_out", "lengths", "without", "pairs")
# Lists that say how a network is built, layer by layer.
MAY_REPEAT = ("blocks", "widths")


def _check_setting(name, value, example):
    """Returns a setting as a run takes it: of the kind that the example is."""
    # In the table: nothing is limited or chosen.
    if value is None:
        return None
    if not isinstance(example, tuple) and name not in SEEDS:
        return _check_item(name, value, example)
    # As text, a list comes from plain papermill.
    if isinstance(value, str):
        value = parse_literal(value)
    if name in SEEDS and isinstance(value, int):
        return tuple(range(checks.check_whole(name, value, 1, 1000)))
    example = example[0] if isinstance(example, tuple) and example else example
    listed = value if isinstance(value, (list, tuple, range)) else [value]
    items = tuple(_check_item(name, item, example) for item in listed)
    if not items and name not in MAY_BE_EMPTY:
        raise ValueError(f"{name} must hold at least one value; got {value!r}.")
    if len(set(items)) < len(items) and name not in MAY_REPEAT:
        raise ValueError(f"{name} must hold no value twice; got {value!r}.")
    return items


def _check_item(name, value, example):
    if name in CHOICES:
        return checks.check_choice(name, value, CHOICES[name])
    if isinstance(example, bool):
        return checks.check_choice(name, value, (True, False))
    if isinstance(example, int):
        return checks.check_whole(name, value, *BOUNDS.get(name, (1,)))
    if name in BOUNDS:
        return checks.check_range(name, value, *BOUNDS[name])
    if isinstance(example, float):
        return checks.check_positive(name, value)
    # A folder, patterns of file names, or names that only the chapter knows.
    if not isinstance(value, str):
        raise ValueError(f"{name} must hold text; got {value!r}.")
    return value


@dataclasses.dataclass(frozen=True)
class Settings:
    """A profile's values for one chapter, after the reader's own.

    Every value is an attribute too: `settings.epochs` is `settings.values["epochs"]`.

    Attributes:
        values: All settings by name.
        changed: Names of settings that make a run differ from the profile's own.
        started: When they were chosen, in seconds of `time.monotonic`: `max_minutes`
            counts from here, over all grids of the chapter.
    """

    chapter: str
    profile: str
    values: Mapping[str, Any]
    changed: tuple[str, ...]
    started: float

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def protocol(self) -> str:
        """Names the folder of what runs with these settings leave behind.

        That is the profile; where settings of a published profile are changed, a hash
        of the changes follows, so that such runs are kept apart.
        """
        if self.profile not in profiles.PUBLISHED or not self.changed:
            return self.profile
        changes = {name: self.values[name] for name in self.changed}
        text = json.dumps(changes, sort_keys=True)
        return f"{self.profile}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def is_late(self) -> bool:
        """Whether `max_minutes` have gone by."""
        minutes = self.values["max_minutes"]
        return minutes is not None and time.monotonic() - self.started >= 60 * minutes

    def describe(self) -> str:
        """Says in a few words which profile this is and what was changed in it."""
        said = f"profile {self.profile}"
        if changes := [f"{name} = {self.values[name]}" for name in self.changed]:
            said += f", changed: {', '.join(changes)}"
        if self.profile not in profiles.PUBLISHED or self.changed:
            said += " (not the article's protocol: no score below counts as a result)"
        elif not profiles.is_comparable(self.chapter, self.profile):
            said += " (not the article's protocol: compare gains, not scores)"
        return said

    def record(self) -> dict[str, Any]:
        """The settings as a record holds them: JSON, without `OPTIONS`."""
        kept = {name: x for name, x in self.values.items() if name not in OPTIONS}
        return json.loads(json.dumps(kept))


def choose_settings(chapter: str, /, profile: str = "quick", **given: Any) -> Settings:
    """Looks up a chapter's profile and lays the reader's own values over it.

    A value of None keeps the profile's own.

    Raises:
        ValueError: unknown chapter, profile or setting, or a value out of range.
    """
    checks.check_choice("profile", profile, profiles.PROFILES)
    same = list_defaults(chapter, "laptop") == list_defaults(chapter, "full")
    if same and profile == "laptop":
        profile = "full"
    defaults, examples = (list_defaults(chapter, each) for each in (profile, "smoke"))
    for name in given:
        checks.check_choice("parameter", name, tuple(defaults))

    def check(values):
        return {name: _check_setting(name, x, examples[name]) for name, x in values}

    own = check(defaults.items())
    chosen = check(item for item in given.items() if item[1] is not None)
    changed = tuple(x for x in chosen if x not in CHOOSING and chosen[x] != own[x])
    return Settings(chapter, profile, {**own, **chosen}, changed, time.monotonic())


def list_defaults(chapter: str, profile: str) -> dict[str, Any]:
    """A profile's own values for a chapter: dict of setting to value."""
    checks.check_choice("chapter", chapter, profiles.CHAPTERS)
    return {**OPTIONS, **profiles.TABLE[chapter][profile]}


def parse_literal(text: str) -> Any:
    """Returns the value of a literal such as `"[0.1, 1]"`; other text as it is."""
    try:
        return ast.literal_eval(text)
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        return text


def read_literals(source: str) -> dict[str, Any]:
    """Reads a cell of nothing but `name = literal`: dict of name to value."""
    body: list[Any] = ast.parse(source).body
    values = {}
    for node in body:
        try:
            (target,) = node.targets
            values[target.id] = ast.literal_eval(node.value)
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"line {node.lineno} must be `name = literal`") from None
    return values
