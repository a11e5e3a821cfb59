"""The knobs of chapters: what each takes, and which of them only choose runs."""

import ast
import collections.abc
import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

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
    "precision": _one_of(*PRECISIONS),
    "seeds": _check_seeds,
    "max_minutes": partial(_check_unless_none, _check_minutes),
    "pairing": _one_of("replacement", "shuffles", "batch"),
    "lambda_per": _one_of("sample", "batch"),
    "alphas": partial(_check_distinct, check_positive),
    "images_per_mix": partial(_check_distinct, _from(2)),
    "labels": partial(_check_distinct, _from(1)),
    "eps": check_positive,
    "eps_values": partial(_check_distinct, check_positive),
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
}
