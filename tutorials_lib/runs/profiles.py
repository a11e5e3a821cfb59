"""The one table of what each profile means for each chapter."""

import ast
import collections.abc
import contextlib
import dataclasses
import functools
import os
import time
import types
from typing import Any

from tutorials_lib.checks import (
    PRECISIONS,
    check_choice,
    check_flag,
    check_positive,
    check_range,
    check_whole,
)
from tutorials_lib.datasets import SOURCES
from tutorials_lib.mixup import LAMBDA_PER, PAIRINGS
from tutorials_lib.pseudo_labels import EMPTY

PROFILES = ("smoke", "quick", "full")

# Article 0 has seven; the first stands for the limit without mixing.
MIXUP_MNIST_ALPHAS = (1e-6, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 2.0)

TABLE: dict[str, dict[str, dict[str, Any]]] = {
    "mixup_mnist": {
        "protocol": {
            "batch_size": 32,
            "learning_rate": 0.002,
            "decay": 1e-4,
            "pairing": "replacement",
            "lambda_per": "sample",
        },
        "smoke": {
            "source": "sample",
            "train_images": 640,
            "test_images": 200,
            "epochs": 2,
            "seeds": 1,
            "alphas": (1e-6, 0.1, 2.0),
        },
        "quick": {
            "source": "real",
            "train_images": 10_000,
            "test_images": None,
            "epochs": 3,
            "seeds": 1,
            "alphas": MIXUP_MNIST_ALPHAS,
        },
        "full": {
            "source": "real",
            "train_images": None,
            "test_images": None,
            "epochs": 30,
            "seeds": 3,
            "alphas": MIXUP_MNIST_ALPHAS,
        },
    },
    "vat_mnist": {
        "protocol": {
            "batch_size": 128,
            "learning_rate": 1.0,
            "eps": 1.0,
            "xi": 10.0,
            "iterations": 1,
            "labelled_per_batch": 32,
        },
        "smoke": {
            "source": "sample",
            "train_images": 640,
            "test_images": 200,
            "epochs": 1,
            "seeds": 1,
            "labels": (100,),
            "study_images": 256,
            "validation_images": 200,
            "eps_values": (0.5,),
        },
        "quick": {
            "source": "real",
            "train_images": 10_000,
            "test_images": None,
            "epochs": 3,
            "seeds": 1,
            "labels": (100, 1000),
            "study_images": 2000,
            "validation_images": 2000,
            "eps_values": (0.5, 1.0, 2.0),
        },
        "full": {
            "source": "real",
            "train_images": None,
            "test_images": None,
            "epochs": 12,
            "seeds": 3,
            "labels": (100, 1000),
            "study_images": 10_000,
            "validation_images": 10_000,
            "eps_values": (0.25, 0.5, 1.0, 2.0, 4.0),
        },
    },
    "cifar10_95": {
        "protocol": {
            "learning_rate": 0.001,
            "rotation": 20.0,
            "shift": 0.2,
            "zoom": 0.2,
            "channel_shift": 0.2,
            "strong": 0.3,
            "off_centre": True,
            "recipe_peak": 0.4,
        },
        "smoke": {
            "source": "sample",
            "train_images": 200,
            "validation_images": 40,
            "test_images": 100,
            "epochs": 2,
            "batch_size": 50,
            "seeds": 1,
            "members": 2,
            "draws": 2,
            "width": 4,
            "precision": "float32",
            "recipe_epochs": 1,
            "recipe_batch_size": 50,
        },
        "quick": {
            "source": "real",
            "train_images": 5000,
            "validation_images": 1000,
            "test_images": 1000,
            "epochs": 12,
            "batch_size": 50,
            "seeds": 1,
            "members": 2,
            "draws": 10,
            "width": 8,
            "precision": "float32",
            "recipe_epochs": 12,
            "recipe_batch_size": 100,
        },
        "full": {
            "source": "real",
            "train_images": None,
            "validation_images": 5000,
            "test_images": None,
            "epochs": 150,
            "batch_size": 500,
            "seeds": 3,
            "members": 5,
            "draws": 50,
            "width": 64,
            # Named for a GPU, where alone this profile ends within a day.
            "precision": "mixed_bfloat16",
            "recipe_epochs": 40,
            "recipe_batch_size": 500,
        },
    },
    "mixup_fashion_mnist": {
        "protocol": {
            "batch_size": 64,
            "validation_images": 2000,
            "pairing": "shuffles",
            "lambda_per": "sample",
        },
        "smoke": {
            "source": "sample",
            "train_images": 1000,
            "validation_images": 200,
            "test_images": 200,
            "epochs": 2,
            "seeds": 1,
            "alphas": (0.001, 0.2, 1.0),
            "images_per_mix": (2, 3),
        },
        "quick": {
            "source": "real",
            "train_images": 12_000,
            "test_images": None,
            "epochs": 5,
            "seeds": 2,
            "alphas": (0.1, 0.2, 1.0),
            "images_per_mix": (2, 3),
        },
        "full": {
            "source": "real",
            "train_images": None,
            "test_images": None,
            "epochs": 10,
            "seeds": 5,
            "alphas": (0.001, 0.1, 0.2, 0.4, 1.0),
            "images_per_mix": (2, 3, 4),
        },
    },
    "noisy_student": {
        "protocol": {
            "folder": None,
            "leave_out": (),
            "schedules": ("short",),
            "variants": None,
            "watch": "held out",
            "stride_on": "last",
        },
        "smoke": {
            "source": "sample",
            # Half of them, for a minute's sake: one of each kind.
            "variants": (
                "teacher",
                "noised teacher",
                "student of the noised",
                "control of the student of the noised",
                "second round",
            ),
            "train_images": 300,
            "validation_images": 50,
            "unlabelled_images": 100,
            "test_images": 60,
            "epochs": 2,
            "long_epochs": 3,
            "batch_size": 50,
            "learning_rate": 0.001,
            "seeds": 1,
            "threshold": 0.1,
            "other_threshold": 0.05,
            "empty": "skip",
            "width": 4,
            "blocks": (1,),
            "strengths": (3,),
            "precision": "float32",
        },
        "quick": {
            "source": "real",
            "train_images": 2600,
            "validation_images": 500,
            "unlabelled_images": 700,
            "test_images": 500,
            "epochs": 8,
            "long_epochs": 30,
            "batch_size": 25,
            # A small net takes long steps well; chosen on held-out images.
            "learning_rate": 0.004,
            "seeds": 1,
            # A teacher of a few epochs is seldom sure.
            "threshold": 0.25,
            "other_threshold": 0.35,
            "empty": "skip",
            "width": 8,
            "blocks": (1, 1),
            "strengths": (1, 3, 5),
            "precision": "float32",
        },
        "full": {
            "source": "real",
            "train_images": None,
            "validation_images": 5000,
            "unlabelled_images": 8000,
            "test_images": None,
            "epochs": 60,
            "long_epochs": 300,
            "batch_size": 256,
            "learning_rate": 0.002,
            "seeds": 3,
            "threshold": 0.75,
            "other_threshold": 0.95,
            "empty": "stop",
            "width": 64,
            "blocks": (3, 4, 6, 3),
            "strengths": (1, 2, 3, 4, 5),
            "precision": "mixed_bfloat16",
        },
    },
}
CHAPTERS = tuple(TABLE)

# Of noisy_student: ours, and the 300 epochs of its article.
SCHEDULES = ("short", "article")
STUDENTS = (
    "teacher",
    "noised teacher",
    "noised teacher, other noise",
    "student",
    "student of the noised",
    "control of the student",
    "control of the student of the noised",
    "hard labels",
    "other threshold",
    "second round",
)

# Knobs that choose which runs there are and leave each run as it is.
CHOOSING = (
    "seeds",
    "alphas",
    "images_per_mix",
    "labels",
    "eps_values",
    "members",
    "schedules",
    "variants",
    "max_minutes",
)


def _parse_list(value):
    """Reads a list that came as text, as plain papermill hands it over."""
    if isinstance(value, str):
        with contextlib.suppress(SyntaxError, ValueError):
            return ast.literal_eval(value)
    return value


def _check_items(name, value, check):
    """Checks each item of a list; what is no list is one of a single item."""
    value = _parse_list(value)
    if isinstance(value, str) or not isinstance(value, collections.abc.Sequence):
        value = (value,)
    return tuple(check(name, item) for item in value)


def _check_list(name, value, check):
    checked = _check_items(name, value, check)
    if not checked:
        raise ValueError(f"{name} must hold at least one value; got {value!r}.")
    if len(set(checked)) < len(checked):
        raise ValueError(f"{name} must hold no value twice; got {value!r}.")
    return checked


def _check_seeds(name, value):
    value = _parse_list(value)
    if isinstance(value, collections.abc.Sequence):
        seed = functools.partial(check_whole, low=0, high=2**32 - 1)
        return _check_list(name, value, seed)
    return tuple(range(check_whole(name, value, 1, 1000)))


def _check_minutes(name, value):
    if value is None or (value == 0 and not isinstance(value, bool)):
        return value
    return check_positive(name, value)


def _check_folder(name, value):
    """A folder of the user's, as text, so that a record can hold it."""
    if value is None:
        return None
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


def _check_blocks(name, value):
    """Blocks of each stage of a network; the same number may come twice."""
    checked = _check_items(name, value, functools.partial(check_whole, low=1))
    if not checked:
        raise ValueError(f"{name} must hold at least one value; got {value!r}.")
    return checked


def _check_optional_whole(name, value):
    return None if value is None else check_whole(name, value, 1)


CHECKS: dict[str, collections.abc.Callable[[str, Any], Any]] = {
    "source": functools.partial(check_choice, allowed=SOURCES),
    "train_images": _check_optional_whole,
    "test_images": _check_optional_whole,
    "validation_images": functools.partial(check_whole, low=1),
    "epochs": functools.partial(check_whole, low=1),
    "batch_size": functools.partial(check_whole, low=1),
    "seeds": _check_seeds,
    "alphas": lambda name, value: _check_list(name, value, check_positive),
    "images_per_mix": lambda name, value: _check_list(
        name, value, functools.partial(check_whole, low=2)
    ),
    "labels": lambda name, value: _check_list(
        name, value, functools.partial(check_whole, low=1)
    ),
    "eps_values": lambda name, value: _check_list(name, value, check_positive),
    "study_images": functools.partial(check_whole, low=1),
    "labelled_per_batch": functools.partial(check_whole, low=1),
    "eps": check_positive,
    "xi": check_positive,
    "iterations": functools.partial(check_whole, low=1),
    "learning_rate": check_positive,
    "decay": check_positive,
    "pairing": functools.partial(check_choice, allowed=PAIRINGS),
    "lambda_per": functools.partial(check_choice, allowed=LAMBDA_PER),
    "rotation": functools.partial(check_range, low=0, high=360),
    "shift": functools.partial(check_range, low=0, high=1),
    "zoom": functools.partial(check_range, low=0, high=0.99),
    "channel_shift": functools.partial(check_range, low=0, high=255),
    "off_centre": check_flag,
    "strong": functools.partial(check_range, low=0, high=0.99),
    "members": functools.partial(check_whole, low=1),
    "draws": functools.partial(check_whole, low=1),
    "width": functools.partial(check_whole, low=1),
    "precision": functools.partial(check_choice, allowed=PRECISIONS),
    "recipe_epochs": functools.partial(check_whole, low=1),
    "recipe_batch_size": functools.partial(check_whole, low=1),
    "recipe_peak": check_positive,
    "folder": _check_folder,
    "leave_out": functools.partial(_check_items, check=_check_pattern),
    "long_epochs": functools.partial(check_whole, low=2),
    "stride_on": functools.partial(check_choice, allowed=("last", "middle")),
    "schedules": lambda name, value: _check_list(
        name, value, functools.partial(check_choice, allowed=SCHEDULES)
    ),
    "variants": lambda name, value: (
        None
        if value is None
        else _check_list(name, value, functools.partial(check_choice, allowed=STUDENTS))
    ),
    "watch": functools.partial(check_choice, allowed=("held out", "test")),
    "unlabelled_images": functools.partial(check_whole, low=1),
    "threshold": functools.partial(check_range, low=0, high=0.9999),
    "other_threshold": functools.partial(check_range, low=0, high=0.9999),
    "empty": functools.partial(check_choice, allowed=EMPTY),
    "blocks": _check_blocks,
    "strengths": lambda name, value: _check_list(
        name, value, functools.partial(check_whole, low=1, high=5)
    ),
    "max_minutes": _check_minutes,
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """A profile's values for one chapter, after the reader's own.

    Every value is an attribute too: `settings.epochs` is `settings.values["epochs"]`.

    Attributes:
        chapter: Name of the chapter.
        profile: `"smoke"`, `"quick"` or `"full"`.
        values: All knobs and their values.
        changed: Names of knobs that make a run differ from the profile's own.
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

    def describe(self) -> str:
        """Says in a few words which profile this is and what was changed in it."""
        said = f"profile {self.profile}"
        if self.changed:
            changes = ", ".join(
                f"{name} = {self.values[name]}" for name in self.changed
            )
            said += f", changed: {changes}"
        if self.profile != "full" or self.changed:
            said += " (not the article's protocol: no score below is a finding)"
        return said


def choose_settings(chapter: str, profile: str, **knobs: Any) -> Settings:
    """Looks up a chapter's profile and lays the reader's own values over it.

    Args:
        chapter: One of `CHAPTERS`.
        profile: `"smoke"`, `"quick"` or `"full"`.
        **knobs: Values by name; None keeps the profile's own.

    Returns:
        A `Settings`.

    Raises:
        ValueError: unknown chapter, profile or knob, or a value out of range.
    """
    check_choice("chapter", chapter, CHAPTERS)
    check_choice("profile", profile, PROFILES)
    defaults = {
        "max_minutes": None,
        **TABLE[chapter]["protocol"],
        **TABLE[chapter][profile],
    }
    for name in knobs:
        check_choice("parameter", name, tuple(defaults))
    given = {name: value for name, value in knobs.items() if value is not None}
    values = {
        name: CHECKS[name](name, value) for name, value in {**defaults, **given}.items()
    }
    own = {name: CHECKS[name](name, value) for name, value in defaults.items()}
    changed = tuple(
        name for name in given if name not in CHOOSING and values[name] != own[name]
    )
    fixed = types.MappingProxyType(values)
    return Settings(chapter, profile, fixed, changed, time.monotonic())
