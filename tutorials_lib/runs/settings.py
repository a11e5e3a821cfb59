"""Settings of a chapter: a profile's values, the reader's own, and what each takes."""

import ast
import collections.abc
import contextlib
import dataclasses
import hashlib
import json
import os
import time
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tutorials_lib.runs.profiles import (
    BY_DEVICE,
    CHAPTERS,
    PROFILES,
    PUBLISHED,
    RECIPES,
    TABLE,
    TRICKS,
    is_comparable,
)
from tutorials_lib.support.checks import (
    MOST,
    PRECISIONS,
    check_choice,
    check_flag,
    check_positive,
    check_range,
    check_whole,
)
from tutorials_lib.support.data import SOURCES

# Of noisy_student: ours, and the 300 epochs of its article.
SCHEDULES = ("short", "article")
STUDENTS = (
    "teacher",
    "noised teacher",
    "shifted teacher",
    "noised teacher, other noise",
    "noised teacher, other stretch",
    "student",
    "student of the noised",
    "student of the shifted",
    "student without noise",
    "all labels",
    "control of the student",
    "control of the student of the noised",
    "hard labels",
    "other threshold",
    "second round",
    "second round, wider",
)

# Settings that choose which runs there are and leave each run as it is.
CHOOSING = (
    "seeds",
    "alphas",
    "images_per_mix",
    "labels",
    "eps_values",
    "further",
    "members",
    "schedules",
    "variants",
    "recipes",
    "lengths",
    "without",
    "larger_seeds",
    "pairs",
    "max_minutes",
)


def _parse_list(value):
    """Reads a list that came as text, as plain papermill hands it over."""
    if isinstance(value, str):
        with contextlib.suppress(SyntaxError, ValueError):
            return ast.literal_eval(value)
    return value


def _check_items(check, name, value):
    """Checks each item of a list; what is no list is one of a single item."""
    value = _parse_list(value)
    if isinstance(value, str) or not isinstance(value, collections.abc.Sequence):
        value = (value,)
    return tuple(check(name, item) for item in value)


def _check_some(check, name, value):
    checked = _check_items(check, name, value)
    if not checked:
        raise ValueError(f"{name} must hold at least one value; got {value!r}.")
    return checked


def _check_distinct(check, name, value):
    checked = _check_some(check, name, value)
    if len(set(checked)) < len(checked):
        raise ValueError(f"{name} must hold no value twice; got {value!r}.")
    return checked


def _check_unless_none(check, name, value):
    return None if value is None else check(name, value)


def _check_seeds(name, value):
    """A list of seeds, or how many."""
    value = _parse_list(value)
    if isinstance(value, collections.abc.Sequence):
        # Chapters add thousands to a seed, and layers take any below 2**31.
        return _check_distinct(_from(0, MOST), name, value)
    return tuple(range(check_whole(name, value, 1, 1000)))


def _check_minutes(name, value):
    if value == 0 and not isinstance(value, bool):
        return value
    return check_positive(name, value)


def _check_folder(name, value):
    """A folder of the user's, as text, so that a record can hold it."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"{name} must be the path of a folder; got {value!r}.")
    # A notebook may run elsewhere than where the command was given.
    if not os.path.isabs(value):
        raise ValueError(f"{name} must be a full path; got {value!r}.")
    if not os.path.isdir(value):
        raise ValueError(f"{name} must be a folder; {value!r} is none.")
    return str(value)


def _check_pattern(name, value):
    if not isinstance(value, str):
        raise ValueError(f"{name} must hold patterns of file names; got {value!r}.")
    return value


def _from(low, high=None):
    return partial(check_whole, low=low, high=high)


def _between(low, high):
    return partial(check_range, low=low, high=high)


def _one_of(*allowed):
    return partial(check_choice, allowed=allowed)


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "source": _one_of(*SOURCES),
    "train_images": partial(_check_unless_none, _from(1)),
    "test_images": partial(_check_unless_none, _from(1)),
    "validation_images": _from(1),
    "labelled_images": partial(_check_unless_none, _from(1)),
    "unlabelled_images": partial(_check_unless_none, _from(1)),
    "corrupted_images": partial(_check_unless_none, _from(1)),
    "passes": partial(_check_unless_none, _from(1)),
    "study_images": _from(1),
    "labelled_per_batch": _from(1),
    "epochs": _from(1),
    "long_epochs": _from(2),
    "batch_size": _from(1),
    "learning_rate": check_positive,
    "score_every": _from(1),
    "decay": check_positive,
    "precision": _one_of(*PRECISIONS, BY_DEVICE),
    "seeds": _check_seeds,
    "larger_seeds": _check_seeds,
    "pairs": _check_seeds,
    "max_minutes": partial(_check_unless_none, _check_minutes),
    "pairing": _one_of("replacement", "shuffles", "batch"),
    "lambda_per": _one_of("sample", "batch"),
    "alphas": partial(_check_distinct, check_positive),
    "images_per_mix": partial(_check_distinct, _from(2)),
    "labels": partial(_check_distinct, _from(1)),
    "eps": check_positive,
    "eps_values": partial(_check_distinct, check_positive),
    "further": check_flag,
    "xi": check_positive,
    "iterations": _from(1),
    "rotation": _between(0, 360),
    "shift": _between(0, 1),
    "zoom": _between(0, 0.99),
    "channel_shift": _between(0, 255),
    "strong": _between(0, 0.99),
    "off_centre": check_flag,
    "members": _from(1),
    "draws": _from(1),
    "width": _from(1),
    "widths": partial(_check_unless_none, partial(_check_some, _from(1))),
    "network": _one_of("airbench", "resnet"),
    "weights": _one_of("last", "best"),
    "stretch": check_flag,
    "dropout": _between(0, 0.99),
    "blocks": partial(_check_some, _from(1)),
    "stride_on": _one_of("last", "middle"),
    "folder": partial(_check_unless_none, _check_folder),
    "leave_out": partial(_check_items, _check_pattern),
    "schedules": partial(_check_distinct, _one_of(*SCHEDULES)),
    "variants": partial(
        _check_unless_none, partial(_check_distinct, _one_of(*STUDENTS))
    ),
    "watch": _one_of("held out", "test"),
    "threshold": _between(0, 0.9999),
    "other_threshold": _between(0, 0.9999),
    "empty": _one_of("stop", "skip"),
    "strengths": partial(_check_distinct, _from(1, 5)),
    "shrink": _from(1, 2),
    "recipes": partial(_check_distinct, _one_of(*RECIPES)),
    "lengths": partial(_check_items, check_positive),
    "without": partial(_check_items, _one_of(*TRICKS)),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """A profile's values for one chapter, after the reader's own.

    Every value is an attribute too: `settings.epochs` is `settings.values["epochs"]`.

    Attributes:
        chapter: Name of the chapter.
        profile: `"smoke"`, `"quick"`, `"laptop"` or `"full"`.
        values: All settings by name.
        changed: Names of settings that make a run differ from the profile's own.
        started: When they were chosen, in seconds of `time.monotonic`: `max_minutes`
            counts from here, over all grids of the chapter.
    """

    chapter: str
    profile: str
    values: types.MappingProxyType[str, Any]
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
        if self.profile not in PUBLISHED or not self.changed:
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
        if self.changed:
            changes = ", ".join(
                f"{name} = {self.values[name]}" for name in self.changed
            )
            said += f", changed: {changes}"
        if self.profile not in PUBLISHED or self.changed:
            said += " (not the article's protocol: no score below is a finding)"
        elif not is_comparable(self.chapter, self.profile):
            said += " (not the article's protocol: gains compare, scores do not)"
        return said

    def record(self) -> dict[str, Any]:
        """The settings as a record holds them: JSON, without the limit of minutes."""
        kept = {name: x for name, x in self.values.items() if name != "max_minutes"}
        return json.loads(json.dumps(kept))


def choose_settings(chapter: str, profile: str, **given: Any) -> Settings:
    """Looks up a chapter's profile and lays the reader's own values over it.

    Args:
        chapter: One of `CHAPTERS`.
        profile: `"smoke"`, `"quick"`, `"laptop"` or `"full"`.
        **given: Values by name; None keeps the profile's own.

    Returns:
        A `Settings`.

    Raises:
        ValueError: unknown chapter, profile or setting, or a value out of range.
    """
    check_choice("chapter", chapter, CHAPTERS)
    check_choice("profile", profile, PROFILES)
    if profile == "laptop" and TABLE[chapter]["laptop"] == TABLE[chapter]["full"]:
        profile = "full"
    defaults = list_defaults(chapter, profile)
    for name in given:
        check_choice("parameter", name, tuple(defaults))
    chosen = {name: value for name, value in given.items() if value is not None}
    values = {
        name: CHECKS[name](name, value)
        for name, value in {**defaults, **chosen}.items()
    }
    own = {name: CHECKS[name](name, value) for name, value in defaults.items()}
    changed = tuple(
        name for name in chosen if name not in CHOOSING and values[name] != own[name]
    )
    fixed = types.MappingProxyType(values)
    return Settings(chapter, profile, fixed, changed, time.monotonic())


def list_defaults(chapter: str, profile: str) -> dict[str, Any]:
    """A profile's own values for a chapter: dict of setting to value."""
    table = TABLE[chapter]
    return {"max_minutes": None, **table["protocol"], **table[profile]}


@dataclasses.dataclass(frozen=True)
class Options:
    """How a chapter is run, whatever its settings; parameters of every chapter.

    Attributes:
        retrain: Whether to train anew what published records hold. What comes out is
            kept among the runs; the published records stay.
        only: Name of the one run to make, such as `"alpha 0.1, seed 0"`.
        listing: Whether to name the runs, and make none.
        scheduler: Address of a Dask scheduler whose workers make the runs.
        into: Folder for the chapter's records, in place of the usual ones.
    """

    retrain: bool = False
    only: str | None = None
    listing: bool = False
    scheduler: str | None = None
    into: str | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            text = field.default is None
            if not isinstance(value, str if text else bool) and value is not None:
                kind = "text" if text else "True or False"
                raise ValueError(f"{field.name} must be {kind}; got {value!r}.")


def read_parameters(
    chapter: str, parameters: Mapping[str, Any]
) -> tuple[Settings, Options]:
    """Makes settings and options of the values that a chapter was given.

    Args:
        chapter: Name of the chapter.
        parameters: Values by name, `profile` among them; None keeps the profile's own.

    Returns:
        Settings and options.

    Raises:
        ValueError: an unknown name, or a value out of range.
    """
    values = dict(parameters)
    profile = values.pop("profile", "quick")
    names = {field.name for field in dataclasses.fields(Options)} & values.keys()
    options = {name: values.pop(name) for name in names}
    options = {name: value for name, value in options.items() if value is not None}
    return choose_settings(chapter, profile, **values), Options(**options)
