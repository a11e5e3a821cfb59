"""Plots in one style: the same size, colours and labels in every chapter."""

import sys
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from tutorials_lib.support.statistics import Interval

# Dict from label to a curve, see `show_curves`.
Curves = Mapping[str, Mapping[str, Any]]

# Okabe and Ito's colours, which colour-blind readers can also tell apart.
COLOURS = {
    "baseline": "#444444",
    "method": "#0072B2",
    "variant": "#D55E00",
    "article": "#CC79A7",
    "other": "#009E73",
}
# For a quantity that increases from line to line, light to dark.
SEQUENCE = ("#6BAED6", "#3182BD", "#08519C", "#08233F")
# Width and height in inches.
FIGURE = (6.5, 3.6)
# Font size of the lines' labels.
POINTS = 8


def show_images(
    images: ArrayLike,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    size: float = 1.2,
) -> None:
    """Shows images in a grid, scaled from their lowest to their highest value.

    They are (n, height, width, channels), channels 1 or 3, with n titles or None. Each
    is `size` inches wide and high.
    """
    pixels = np.asarray(images, "float32")
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / max(high - low, 1e-12)
    figure, axes = _make_grid(len(pixels), columns, size, size + 0.3 * bool(titles))
    titles = titles or [""] * len(pixels)
    for axis, image, title in zip(axes, pixels, titles, strict=True):
        axis.axis("off")
        axis.set_title(title, fontsize=8)
        # No smoothing, which would also make the file three times as large.
        look = {"cmap": "gray_r", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        axis.imshow(image.squeeze(), **look)
    figure.tight_layout()
    plt.show()


def show_curves(
    curves: Curves,
    xlabel: str,
    ylabel: str,
    size: tuple[float, float] = FIGURE,
    limits: tuple[float, float] | None = None,
    xticks: Sequence[float] | None = None,
    logx: bool = False,
) -> None:
    """Draws lines, each labelled at its right end.

    Args:
        curves: Dict from label to a dict with `y` (sequence of numbers) and optionally
            `x` (default: 1, 2, ...), `colour` (default: those of the book in turn),
            `style`, `width` and `marker`.
        xlabel: Label of the horizontal axis, with its unit.
        ylabel: Label of the vertical axis, with its unit.
        size: Width and height in inches.
        limits: Lowest and highest y, or None.
        xticks: Numbers to mark on the horizontal axis, or None.
        logx: Whether the horizontal axis is logarithmic.
    """
    figure, axis = plt.subplots(figsize=size)
    _draw_curves(axis, curves)
    if logx:
        axis.set_xscale("log")
    if xticks is not None:
        axis.set_xticks(xticks, [f"{tick:g}" for tick in xticks])
        axis.set_xticks([], minor=True)
    _style(axis, xlabel, ylabel)
    if limits is not None:
        axis.set_ylim(limits)
    _name_ends(figure, axis)
    _show_drawing(figure)


def show_panels(panels: Mapping[str, Curves], xlabel: str) -> None:
    """Draws several sets of lines in panels, two in a row, with one legend.

    `panels` maps titles to curves, see `show_curves`, all with the same labels.
    """
    figure, axes = _make_grid(len(panels), 2, 3.4, 2.3)
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        _draw_curves(axis, curves)
        axis.set_title(title, fontsize=10)
        _style(axis, xlabel, "")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(fontsize=8, frameon=False)
    _show_drawing(figure)


def show_bars(
    bars: Mapping[str, Sequence[float]], labels: Sequence[str], ylabel: str
) -> None:
    """Draws groups of bars.

    `bars` maps up to three names to lists with a number for each label.
    """
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    colours = (COLOURS["baseline"], COLOURS["method"], COLOURS["variant"])
    places, width = np.arange(len(labels)), 0.8 / len(bars)
    for number, (name, heights) in enumerate(bars.items()):
        shift = (number - (len(bars) - 1) / 2) * width
        axis.bar(places + shift, heights, width, label=name, color=colours[number])
    axis.set_xticks(places, labels, rotation=30, ha="right")
    _finish(figure, axis, "", ylabel)


def show_intervals(
    rows: Mapping[str, tuple[Sequence[float], Interval]],
    xlabel: str,
    published: Mapping[str, float],
) -> None:
    """Draws the mean and its interval for each row, with single runs as dots.

    `rows` maps labels to (values, `Interval`), both on the axis' scale, and
    `published` maps labels to the article's values.
    """
    figure, axis = plt.subplots(figsize=FIGURE)
    runs: dict[str, Any] = {"color": "0.25", "alpha": 0.6, "markersize": 4, "zorder": 3}
    ours: dict[str, Any] = {"color": COLOURS["method"], "markersize": 12, "capsize": 3}
    theirs: dict[str, Any] = {"color": COLOURS["article"], "markersize": 5}
    for place, (label, (values, interval)) in enumerate(rows.items()):
        axis.plot(values, [place] * len(values), "o", label="one seed", **runs)
        mean, half, name = interval.mean, interval.half_width, "mean, 95% interval"
        axis.errorbar(mean, place, xerr=half, fmt="|", label=name, **ours)
        if label in published:
            axis.plot(published[label], place, "D", label="article, one run", **theirs)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()
    _finish(figure, axis, xlabel, "")


def _make_grid(n, columns, width, height):
    """Returns a figure and n axes in rows; the rest of the last row stays empty."""
    rows = -(-n // columns)
    size = (columns * width, rows * height)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat[n:]:
        axis.axis("off")
    return figure, axes.flat[:n]


def _draw_curves(axis, curves):
    for (label, curve), colour in zip(curves.items(), cycle(COLOURS.values())):
        x = curve.get("x", range(1, len(curve["y"]) + 1))
        look = {"linestyle": curve.get("style", "-"), "marker": curve.get("marker")}
        look |= {"linewidth": curve.get("width", 1.6)}
        look |= {"color": curve.get("colour", colour)}
        axis.plot(x, curve["y"], label=label, **look)


def _name_ends(figure, axis):
    """Labels each line at its right end; moves labels apart that would overlap."""
    # Axes fit their limits to their lines only on request.
    axis.autoscale_view()
    lines = list(axis.lines)
    points = [np.asarray(line.get_xydata()) for line in lines]
    # A run that diverged ends with NaN.
    lasts = [each[np.isfinite(each).all(axis=1)][-1] for each in points]
    ends = (axis.transData + axis.transAxes.inverted()).transform(lasts)[:, 1]
    # Axes take about three quarters of a figure's height, a line of text a bit more
    # than the font size.
    step = 1.25 * POINTS / 72 / (0.75 * figure.get_figheight())
    off = {"transform": axis.transAxes, "clip_on": False}
    places = spread_apart(np.clip(ends, 0, 1), step)
    for line, place in zip(lines, places, strict=True):
        look = {"color": line.get_color(), "linestyle": line.get_linestyle()}
        axis.plot([1.01, 1.04], [place, place], **look, **off)
        axis.text(1.05, place, line.get_label(), fontsize=POINTS, va="center", **off)


def spread_apart(places: Sequence[float] | np.ndarray, step: float) -> np.ndarray:
    """Moves positions apart, as little as possible, until neighbours are a step apart.

    The result keeps their order; a cluster spreads about its middle.
    """
    wished = np.asarray(places, "float64")
    order, steps = np.argsort(wished, kind="stable"), step * np.arange(len(wished))
    moved = np.empty(len(wished))
    moved[order] = isotonic_regression(wished[order] - steps).x + steps
    return moved


def _style(axis, xlabel, ylabel):
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _finish(figure, axis, xlabel, ylabel):
    """Styles a figure; a legend above the axes lists each kind of mark once."""
    _style(axis, xlabel, ylabel)
    handles, labels = axis.get_legend_handles_labels()
    if marks := dict(zip(labels, handles, strict=True)):
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3}
        axis.legend(marks.values(), marks, fontsize=8, frameon=False, **above)
    _show_drawing(figure)


def _show_drawing(figure):
    """Shows a line drawing, in a notebook as SVG."""
    figure.tight_layout()
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is None:
        plt.show()
        return
    # Without the date and random ids, so that equal figures give equal files.
    inline.set_matplotlib_formats("svg", metadata={"Date": None})
    with plt.rc_context({"svg.hashsalt": "figure"}):
        plt.show()
    inline.set_matplotlib_formats("png")
