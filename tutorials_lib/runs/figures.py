"""Figures that chapters draw from records.

A curve is the mean over seeds if all have equally many values, else the first seed's.
A figure without records becomes one line that says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tutorials_lib.runs.articles import find_published
from tutorials_lib.runs.estimates import (
    NO_RUNS,
    Estimate,
    Records,
    estimate,
    name_metric,
    show_text,
    tabulate,
)
from tutorials_lib.runs.reports import Rows, list_rows, stand_beside
from tutorials_lib.support.plots import (
    COLOURS,
    Curves,
    show_bars,
    show_curves,
    show_intervals,
    show_panels,
)
from tutorials_lib.support.statistics import Interval

# Colours of the lines in a figure, in order.
CYCLE = tuple(COLOURS.values())


def show_spread(records: Records, metric: str, rows: Rows | None = None) -> None:
    """Draws each variant's seeds, their mean and its interval.

    The article's numbers are drawn if the records follow its own protocol. `rows` are
    variants from top to bottom, see `reports.compare`.
    """
    frame = tabulate(records)
    beside = stand_beside(frame)
    chapter = frame["chapter"].iloc[0] if beside else ""
    ours, theirs = {}, {}
    for title, variant, name in list_rows(rows, metric, frame):
        ours[title] = estimate(frame, name, variant)
        theirs[title] = find_published(chapter, variant, name) if beside else None
    show_estimates(ours, theirs, name_metric(metric))


def show_estimates(
    ours: Mapping[str, Estimate | None],
    published: Mapping[str, float | None],
    label: str = "gain in test accuracy, points",
) -> None:
    """Draws means with intervals, the values behind them, and the article's numbers.

    `ours` has means or gains by title, from top to bottom; None is left out.
    `published` has the article's numbers by title, before they are scaled.
    """
    shown, theirs = {}, {}
    for title, found in ours.items():
        if found is None:
            continue
        half, scale = found.half_width, found.scale
        half = None if half is None else scale * half
        interval = Interval(scale * found.mean, half, found.n)
        shown[title] = [scale * value for value in found.values], interval
        if (number := published.get(title)) is not None:
            theirs[title] = scale * number
    if shown:
        show_intervals(shown, label, theirs)
    else:
        show_text(NO_RUNS)


def read_curve(records: Records, variant: str, key: str) -> np.ndarray | None:
    """Reads a list of a variant's history: the mean over seeds, or the first seed's.

    None where no run of the variant has that list.
    """
    frame = tabulate(records)
    histories = [row["history"] for row in frame[frame["variant"] == variant]["record"]]
    lists = [history[key] for history in histories if key in history]
    if not lists:
        return None
    alike = len({len(values) for values in lists}) == 1
    return np.mean(lists, axis=0) if alike else np.array(lists[0], dtype="float64")


def show_epochs(
    records: Records,
    key: str | Mapping[str, str],
    variants: Iterable[str] | Mapping[str, str],
    ylabel: str = "",
    error: bool = False,
    levels: Mapping[str, float] | None = None,
    **options: Any,
) -> None:
    """Draws a metric of several variants from epoch to epoch.

    Args:
        records: Records of one profile.
        key: A list of the history, such as `"val_accuracy"`; or a dict of a panel's
            title to such a list, each of which gets a panel.
        variants: Names of variants; or a dict of name to the name of a colour, see
            `plots.COLOURS`.
        ylabel: Label of the vertical axis, if one panel is drawn.
        error: Whether to draw the error rate in place of an accuracy.
        levels: Dict of label to a height that is drawn as a dashed line.
        **options: Passed on to `plots.show_curves`, if one panel is drawn.
    """
    frame = tabulate(records)
    if not isinstance(variants, Mapping):
        variants = dict(zip(variants, COLOURS, strict=False))
    panels = {}
    for title, name in (key if isinstance(key, Mapping) else {"": key}).items():
        curves: dict[str, dict[str, Any]] = {}
        for variant, colour in variants.items():
            y = read_curve(frame, variant, name)
            if y is None:
                continue
            if name.endswith("accuracy"):
                y = 100 * (1 - y if error else y)
            curves[variant] = {"y": y, "colour": COLOURS[colour]}
            # If test images were scored only every few epochs.
            x = read_curve(frame, variant, "scored_epoch")
            if name.startswith("val_") and x is not None and len(x) == len(y):
                curves[variant]["x"] = x
        for label, height in (levels or {}).items() if curves else ():
            ends = [1, max(len(curve["y"]) for curve in curves.values())]
            flat = {"x": ends, "y": [height] * 2, "style": "--", "colour": "gray"}
            curves[label] = flat
        if curves:
            panels[title] = curves
    if not panels:
        show_text(NO_RUNS)
    elif isinstance(key, Mapping):
        show_panels(panels, "epoch")
    else:
        show_curves(panels[""], "epoch", ylabel, **options)


def show_growth(
    records: Records,
    lines: Mapping[str, tuple[str, str]],
    xlabel: str,
    levels: Mapping[str, tuple[str, ...]] | None = None,
    steps: Mapping[str, int] | None = None,
    **options: Any,
) -> None:
    """Draws accuracy against the number of draws, members or votes averaged.

    Args:
        records: Records of one profile.
        lines: Dict of label to (variant, list of its history); the list has the
            accuracy with the first one, two, ... of them.
        xlabel: What is counted.
        levels: Dict of label to (variant, metric) of a dashed horizontal line; or to
            (variant, metric, style).
        steps: Dict of label to how many are added from one value to the next, if not 1.
        **options: Passed on to `plots.show_curves`.
    """
    frame = tabulate(records)
    curves: dict[str, dict[str, Any]] = {}
    for (label, (variant, key)), colour in zip(lines.items(), CYCLE[1:], strict=False):
        y = read_curve(frame, variant, key)
        if y is not None:
            step = (steps or {}).get(label, 1)
            x = step * np.arange(1, len(y) + 1)
            curves[label] = {"x": x, "y": 100 * y, "colour": colour}
    ends = [1, max((curve["x"][-1] for curve in curves.values()), default=1)]
    colours = {
        lines[label][0]: curve["colour"] for label, curve in reversed(curves.items())
    }
    for label, (variant, metric, *style) in (levels or {}).items() if curves else ():
        ours = estimate(frame, metric, variant)
        if ours is not None:
            colour = colours.get(variant, CYCLE[0])
            flat = {"x": ends, "y": [100 * ours.mean] * 2, "colour": colour}
            curves[label] = {**flat, "style": style[0] if style else "--"}
    show_lines(curves, xlabel, "test accuracy, %", **options)


def show_strengths(
    records: Records,
    kinds: Sequence[str],
    variants: Mapping[str, tuple[str, str]],
    **options: Any,
) -> None:
    """Draws accuracy against the strength of corruptions, 0 for the clean images.

    A kind's mean is over the records that have it. A variant is left out if none of its
    records has one of the kinds. Each kind has a list `KIND_accuracies` in the history,
    along the parameter `strengths`. `variants` is a dict of name to (colour, style).
    """
    frame, curves = tabulate(records), {}
    for variant, (colour, style) in variants.items():
        clean = estimate(frame, "test_accuracy", variant)
        means = [read_curve(frame, variant, f"{kind}_accuracies") for kind in kinds]
        if clean is None or any(mean is None for mean in means):
            continue
        record = frame[frame["variant"] == variant]["record"].iloc[0]
        curves[variant] = {
            "x": [0, *record["parameters"]["strengths"]],
            "y": 100 * np.array([clean.mean, *np.mean(np.array(means), axis=0)]),
            "colour": COLOURS[colour],
            "style": style,
        }
    show_lines(curves, "strength of the corruption", "test accuracy, %", **options)


def show_reliability(records: Records, variants: Iterable[str]) -> None:
    """Draws how often labels of a given confidence are right, summed over seeds.

    The history has `bin_images`, `bin_confidence` and `bin_right`.
    """
    frame, curves = tabulate(records), {}
    keys = ("bin_images", "bin_confidence", "bin_right")
    for variant, colour in zip(variants, CYCLE, strict=False):
        images, confidence, right = (read_curve(frame, variant, key) for key in keys)
        if images is None or confidence is None or right is None:
            continue
        seen = images > 0
        error = estimate(frame, "calibration_error", variant)
        label = variant if error is None else f"{variant}, error {error.mean:.3f}"
        curves[label] = {
            "x": confidence[seen] / images[seen],
            "y": right[seen] / images[seen],
            "colour": colour,
        }
    if curves:
        flat = {"x": [0, 1], "y": [0, 1], "style": ":", "colour": "gray"}
        curves["calibrated"] = flat
    show_lines(curves, "confidence", "share of right labels", size=(4.6, 3.8))


def show_counts(
    records: Records, variant: str, bars: Mapping[str, str], labels: Sequence[str]
) -> None:
    """Draws counts by class of a variant's first run, such as pseudo-labels.

    `bars` is a dict of name to a list of the history.
    """
    frame = tabulate(records)
    runs = frame[frame["variant"] == variant]["record"]
    if runs.empty:
        show_text(NO_RUNS)
        return
    history = runs.iloc[0]["history"]
    heights = {name: history[key] for name, key in bars.items()}
    show_bars(heights, labels, "images")


def show_lines(curves: Curves, xlabel: str, ylabel: str, **options: Any) -> None:
    """Draws curves by `plots.show_curves`, or says that there are no runs yet."""
    if curves:
        show_curves(curves, xlabel, ylabel, **options)
    else:
        show_text(NO_RUNS)
