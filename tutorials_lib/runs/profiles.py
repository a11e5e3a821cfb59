"""The one table of what each profile means for each chapter."""

import dataclasses
import time
import types
from typing import Any

from tutorials_lib.runs.knobs import CHECKS, CHOOSING
from tutorials_lib.support.checks import check_choice

PROFILES = ("smoke", "quick", "full")

# The article has seven; the first stands for its limit without mixing.
MNIST_ALPHAS = (1e-6, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 2.0)
FASHION_ALPHAS = (0.001, 0.1, 0.2, 0.4, 1.0)
# Half of the students, for a minute's sake: one of each kind.
SMOKE_STUDENTS = (
    "teacher",
    "noised teacher",
    "student of the noised",
    "control of the student of the noised",
    "second round",
)


def _split_columns(protocol, **rows):
    """What all profiles of a chapter share, and for each its column of the rows."""
    columns = zip(*rows.values(), strict=True)
    values = (dict(zip(rows, column, strict=True)) for column in columns)
    return {"protocol": protocol, **dict(zip(PROFILES, values, strict=True))}


# Of each chapter what no profile changes, then each knob in smoke, quick and full.
# fmt: off
TABLE: dict[str, dict[str, dict[str, Any]]] = {
    "mixup_mnist": _split_columns(
        {
            "batch_size": 32, "learning_rate": 0.002, "decay": 1e-4,
            "pairing": "replacement", "lambda_per": "sample",
        },
        source=      ("sample",         "real",       "real"),
        train_images=(640,              10_000,       None),
        test_images= (200,              None,         None),
        epochs=      (2,                3,            30),
        seeds=       (1,                1,            3),
        alphas=      ((1e-6, 0.1, 2.0), MNIST_ALPHAS, MNIST_ALPHAS),
    ),
    "vat_mnist": _split_columns(
        {
            "batch_size": 128, "learning_rate": 1.0, "eps": 1.0, "xi": 10.0,
            "iterations": 1, "labelled_per_batch": 32,
        },
        source=           ("sample", "real",          "real"),
        train_images=     (640,      10_000,          None),
        test_images=      (200,      None,            None),
        validation_images=(200,      2000,            10_000),
        study_images=     (256,      2000,            10_000),
        epochs=           (1,        3,               12),
        seeds=            (1,        1,               3),
        labels=           ((100,),   (100, 1000),     (100, 1000)),
        eps_values=       ((0.5,),   (0.5, 1.0, 2.0), (0.25, 0.5, 1.0, 2.0, 4.0)),
    ),
    "cifar10_95": _split_columns(
        {
            "learning_rate": 0.001, "rotation": 20.0, "shift": 0.2, "zoom": 0.2,
            "channel_shift": 0.2, "strong": 0.3, "off_centre": True,
            "recipe_peak": 0.4,
        },
        source=           ("sample",  "real",    "real"),
        train_images=     (200,       5000,      None),
        validation_images=(40,        1000,      5000),
        test_images=      (100,       1000,      None),
        epochs=           (2,         12,        150),
        batch_size=       (50,        50,        500),
        seeds=            (1,         1,         3),
        members=          (2,         2,         5),
        draws=            (2,         10,        50),
        width=            (4,         8,         64),
        # The last named for a GPU, where alone that profile ends within a day.
        precision=        ("float32", "float32", "mixed_bfloat16"),
        recipe_epochs=    (1,         12,        40),
        recipe_batch_size=(50,        100,       500),
    ),
    "mixup_fashion_mnist": _split_columns(
        {"batch_size": 64, "pairing": "shuffles", "lambda_per": "sample"},
        source=           ("sample",          "real",          "real"),
        train_images=     (1000,              12_000,          None),
        validation_images=(200,               2000,            2000),
        test_images=      (200,               None,            None),
        epochs=           (2,                 5,               10),
        seeds=            (1,                 2,               5),
        alphas=           ((0.001, 0.2, 1.0), (0.1, 0.2, 1.0), FASHION_ALPHAS),
        images_per_mix=   ((2, 3),            (2, 3),          (2, 3, 4)),
    ),
    "noisy_student": _split_columns(
        {
            "folder": None, "leave_out": (), "schedules": ("short",),
            "watch": "held out", "stride_on": "last",
        },
        source=           ("sample",       "real",    "real"),
        variants=         (SMOKE_STUDENTS, None,      None),
        train_images=     (300,            2600,      None),
        validation_images=(50,             500,       5000),
        unlabelled_images=(100,            700,       8000),
        test_images=      (60,             500,       None),
        epochs=           (2,              8,         60),
        long_epochs=      (3,              30,        300),
        batch_size=       (50,             25,        256),
        # A small net takes long steps well; chosen on held-out images.
        learning_rate=    (0.001,          0.004,     0.002),
        seeds=            (1,              1,         3),
        # A teacher of a few epochs is seldom sure.
        threshold=        (0.1,            0.25,      0.75),
        other_threshold=  (0.05,           0.35,      0.95),
        empty=            ("skip",         "skip",    "stop"),
        width=            (4,              8,         64),
        blocks=           ((1,),           (1, 1),    (3, 4, 6, 3)),
        strengths=        ((3,),           (1, 3, 5), (1, 2, 3, 4, 5)),
        precision=        ("float32",      "float32", "mixed_bfloat16"),
    ),
}
# fmt: on
CHAPTERS = tuple(TABLE)


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
