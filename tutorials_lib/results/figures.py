"""Figures that chapters draw from records.

A curve is the mean over seeds if all have equally many values, else the first seed's.
A figure without records becomes one line that says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tutorials_lib.results import estimates
from tutorials_lib.results.estimates import Estimate, Records, read_scores, tabulate
from tutorials_lib.results.reports import Rows, place_beside
from tutorials_lib.support import page, plots
from tutorials_lib.support.plots import COLOURS, Curves
from tutorials_lib.support.statistics import Interval

# Colours of the lines in a figure, in order.
CYCLE = tuple(COLOURS.values())


def show_spread(records: Records, metric: str, rows: Rows | None = None) -> None:
    """Draws each variant's seeds, their mean and its interval.

    The article's numbers are drawn if the records follow its own protocol. `rows` are
    variants from top to bottom, see `reports.compare`.
    """
    found = place_beside(records, metric, rows)
    ours = {title: mean for title, mean, _ in found}
    theirs = {title: number for title, _, number in found}
    show_estimates(ours, theirs, estimates.name_metric(metric))


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
        if found:
            half, scale = found.half_width, found.scale
            half = None if half is None else scale * half
            interval = Interval(scale * found.mean, half, found.n)
            shown[title] = [scale * value for value in found.values], interval
            if (number := published.get(title)) is not None:
                theirs[title] = scale * number
    show(plots.show_intervals, shown, label, theirs)


def show(draw: Callable[..., None], found: Any, *rest: Any, **options: Any) -> None:
    """Draws what was found, or says that there are no runs yet."""
    if found:
        draw(found, *rest, **options)
    else:
        page.show_text(page.NO_RUNS)


def show_lines(curves: Curves, xlabel: str, ylabel: str, **options: Any) -> None:
    """Draws curves by `plots.show_curves`, or says that there are no runs yet."""
    show(plots.show_curves, curves, xlabel, ylabel, **options)


def read_curve(records: Records, variant: str, key: str) -> np.ndarray | None:
    """Reads a list of a variant's history: the mean over seeds, or the first seed's.

    None where no run of the variant has that list.
    """
    frame = tabulate(records)
    histories = [run["history"] for run in frame[frame["variant"] == variant]["record"]]
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

    def trace(name):
        curves: dict[str, dict[str, Any]] = {}
        for variant, colour in variants.items():
            if (y := read_curve(frame, variant, name)) is None:
                continue
            # Test images may be scored only every few epochs.
            x = read_curve(frame, variant, "scored_epoch")
            if not name.startswith("val_") or x is None or len(x) != len(y):
                x = np.arange(1, len(y) + 1)
            if name.endswith("accuracy"):
                y = 100 * (1 - y if error else y)
            curves[variant] = {"x": x, "y": y, "colour": COLOURS[colour]}
        ends = [1, max((len(curve["y"]) for curve in curves.values()), default=1)]
        for label, height in (levels or {}).items() if curves else ():
            curves[label] = _draw_level(ends, height, "gray")
        return curves

    if isinstance(key, Mapping):
        panels = {title: trace(name) for title, name in key.items()}
        panels = {title: curves for title, curves in panels.items() if curves}
        show(plots.show_panels, panels, "epoch")
    else:
        show_lines(trace(key), "epoch", ylabel, **options)


def _draw_level(ends, height, colour, style="--"):
    return {"x": ends, "y": [height] * 2, "colour": colour, "style": style}


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
    frame, last, colours = tabulate(records), 1, dict[str, str]()
    curves: dict[str, dict[str, Any]] = {}
    for (label, (variant, key)), colour in zip(lines.items(), CYCLE[1:], strict=False):
        if (y := read_curve(frame, variant, key)) is not None:
            x = (steps or {}).get(label, 1) * np.arange(1, len(y) + 1)
            curves[label] = {"x": x, "y": 100 * y, "colour": colour}
            colours.setdefault(variant, colour)
            last = max(last, x[-1])
    for label, (variant, metric, *style) in (levels or {}).items() if curves else ():
        scores = read_scores(frame, metric, variant)
        if len(scores):
            colour, height = colours.get(variant, CYCLE[0]), 100 * scores.mean()
            curves[label] = _draw_level([1, last], height, colour, *style)
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
        means = [read_curve(frame, variant, f"{kind}_accuracies") for kind in kinds]
        if not any(mean is None for mean in means):
            record = frame[frame["variant"] == variant]["record"].iloc[0]
            clean = read_scores(frame, "test_accuracy", variant).mean()
            curves[variant] = {
                "x": [0, *record["parameters"]["strengths"]],
                "y": 100 * np.array([clean, *np.mean(np.array(means), axis=0)]),
                "colour": COLOURS[colour],
                "style": style,
            }
    show_lines(curves, "strength of the corruption", "test accuracy, %", **options)


def show_reliability(records: Records, variants: Iterable[str]) -> None:
    """Draws how often labels of a given confidence are right, summed over seeds.

    The history has `bin_images`, `bin_confidence` and `bin_right`.
    """
    frame, curves = tabulate(records), {}
    for variant, colour in zip(variants, CYCLE, strict=False):
        keys = ("bin_images", "bin_confidence", "bin_right")
        bins = [read_curve(frame, variant, key) for key in keys]
        if bins[0] is not None:
            images, confidence, right = np.array(bins)[:, bins[0] > 0]
            error = read_scores(frame, "calibration_error", variant).mean()
            x, y = confidence / images, right / images
            curves[f"{variant}, error {error:.3f}"] = {"x": x, "y": y, "colour": colour}
    if curves:
        curves["calibrated"] = _draw_level([0, 1], 0, "gray", ":") | {"y": [0, 1]}
    show_lines(curves, "confidence", "share of right labels", size=(4.6, 3.8))


def show_counts(
    records: Records, variant: str, bars: Mapping[str, str], labels: Sequence[str]
) -> None:
    """Draws counts by class of a variant's first run, such as pseudo-labels.

    `bars` is a dict of name to a list of the history.
    """
    frame = tabulate(records)
    runs = list(frame[frame["variant"] == variant]["record"])[:1]
    heights = {name: run["history"][key] for run in runs for name, key in bars.items()}
    show(plots.show_bars, heights, labels, "images")
