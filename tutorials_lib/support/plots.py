"""Pictures in one style: the same size, colours and labels in every chapter."""

import sys
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.checks import check_flag, check_numbers
from tutorials_lib.support.line_names import name_ends
from tutorials_lib.support.plot_checks import (
    Curves,
    check_bars,
    check_curves,
    check_figure,
    check_flow,
    check_intervals,
    check_limits,
    check_panels,
    check_pictures,
)
from tutorials_lib.support.statistics import Interval

# Okabe and Ito's colours, told apart also by colour-blind readers.
COLOURS = {
    "baseline": "#444444",
    "method": "#0072B2",
    "variant": "#D55E00",
    "article": "#CC79A7",
    "other": "#009E73",
}
# For a quantity that grows from line to line, light to dark.
SEQUENCE = ("#9ECAE1", "#4292C6", "#08519C", "#08233F")
# Width and height in inches.
FIGURE = (6.5, 3.6)


def show_images(
    images: ArrayLike,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    size: float = 1.2,
) -> None:
    """Shows images in a grid.

    Args:
        images: Array (n, height, width, channels), channels 1 or 3: uint8, or floats
            that are shown from their smallest to their largest value.
        titles: n strings, or None.
        columns: Images in a row.
        size: Width and height of an image, in inches.

    Raises:
        ValueError: no images, images of another shape or not finite, not one title
            for each, a number out of range.
    """
    pixels = check_pictures(images, titles, columns, size)
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / max(high - low, 1e-12)
    height = size + (0.3 if titles is not None else 0)
    figure, axes = _make_grid(len(pixels), columns, size, height)
    for place, (axis, image) in enumerate(zip(axes, pixels, strict=True)):
        axis.axis("off")
        # Pixels as they are; smoothed ones also make a file three times as large.
        axis.imshow(
            image.squeeze(), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest"
        )
        if titles is not None:
            axis.set_title(titles[place], fontsize=8)
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
    """Draws lines, each named at its right end.

    Args:
        curves: Dict of label to a dict with `y` (sequence of numbers) and, as
            wanted, `x` (1, 2, ... without it), `colour`, `style` and `width`.
        xlabel: Label of the horizontal axis, with its unit.
        ylabel: Label of the vertical axis, with its unit.
        size: Width and height in inches.
        limits: Lowest and highest y, or None.
        xticks: Numbers to mark on the horizontal axis, or None.
        logx: Whether equal factors of x are equally far apart.

    Raises:
        ValueError: curves without numbers to draw or with those of another length, a
            look that Matplotlib does not know, limits or ticks that are no numbers.
    """
    check_flag("logx", logx)
    curves = check_curves("curves", curves, logx)
    check_figure(size)
    if limits is not None:
        check_limits(limits)
    if xticks is not None:
        check_numbers("xticks", xticks)
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
    name_ends(figure, axis)
    _show_drawing(figure)


def show_panels(panels: Mapping[str, Curves], xlabel: str) -> None:
    """Draws several sets of lines in panels, two in a row, with one legend.

    Args:
        panels: Dict of title to curves, see `show_curves`; all have the same labels.
        xlabel: Label of the horizontal axes, with its unit.

    Raises:
        ValueError: no panels, or curves that `show_curves` refuses.
    """
    panels = check_panels(panels)
    figure, axes = _make_grid(len(panels), 2, 3.4, 2.3)
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        _draw_curves(axis, curves)
        axis.set_title(title, fontsize=10)
        _style(axis, xlabel, "")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(fontsize=8, frameon=False)
    _show_drawing(figure)


def show_bars(
    bars: Mapping[str, Sequence[float]],
    labels: Sequence[str],
    ylabel: str,
) -> None:
    """Draws groups of bars.

    Args:
        bars: Dict of name to numbers, as many as there are labels.
        labels: Label of each group.
        ylabel: Label of the vertical axis, with its unit.

    Raises:
        ValueError: no bars or more than three of a group, not a finite number for
            each label.
    """
    check_bars(bars, labels)
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    colours = (COLOURS["baseline"], COLOURS["method"], COLOURS["variant"])
    places, width = np.arange(len(labels)), 0.8 / len(bars)
    for number, (name, heights) in enumerate(bars.items()):
        shift = (number - (len(bars) - 1) / 2) * width
        axis.bar(places + shift, heights, width, label=name, color=colours[number])
    axis.set_xticks(places, labels, rotation=30, ha="right")
    _finish(figure, axis, "", ylabel)


def draw_flow(
    boxes: Mapping[str, tuple[float, float]],
    arrows: Sequence[tuple[str, str, str]],
) -> None:
    """Draws boxes and arrows between them.

    Args:
        boxes: Dict of text to (x, y), in steps of one box.
        arrows: Sequence of (text of one box, text of another, label).

    Raises:
        ValueError: no boxes, a place that is no pair of numbers, an arrow that is not
            between two boxes.
    """
    check_flow(boxes, arrows)
    figure, axis = plt.subplots(figsize=(7.0, 2.8))
    style = {"boxstyle": "round,pad=0.5", "facecolor": "white"}
    drawn = {
        text: axis.text(x, y, text, ha="center", va="center", fontsize=9, bbox=style)
        for text, (x, y) in boxes.items()
    }
    for one, other, label in arrows:
        ends = {"patchA": drawn[one].get_bbox_patch()}
        ends["patchB"] = drawn[other].get_bbox_patch()
        arrow = {"arrowstyle": "->", "shrinkA": 2, "shrinkB": 2, **ends}
        axis.annotate("", boxes[other], boxes[one], arrowprops=arrow)
        x, y = np.add(boxes[one], boxes[other]) / 2
        background = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        if label:
            axis.text(x, y, label, ha="center", fontsize=8, bbox=background)
    columns, rows = zip(*boxes.values(), strict=True)
    axis.set_xlim(min(columns) - 0.5, max(columns) + 0.5)
    axis.set_ylim(min(rows) - 0.4, max(rows) + 0.4)
    axis.axis("off")
    _show_drawing(figure)


def show_intervals(
    rows: Mapping[str, tuple[Sequence[float], Interval]],
    xlabel: str,
    published: Mapping[str, float] | None = None,
) -> None:
    """Draws a mean with its interval for each row, single runs as dots.

    Args:
        rows: Dict of label to (values, `Interval`), values on the axis' scale and
            the interval's too.
        xlabel: Label of the horizontal axis, with its unit.
        published: Dict of label to the article's value, or None.

    Raises:
        ValueError: rows that are not pairs of finite numbers and an `Interval`,
            published values that are not finite.
    """
    published = {} if published is None else published
    check_intervals(rows, published)
    figure, axis = plt.subplots(figsize=FIGURE)
    for place, (label, (values, interval)) in enumerate(rows.items()):
        last = place == len(rows) - 1
        axis.plot(
            values,
            [place] * len(values),
            "o",
            color=COLOURS["method"],
            alpha=0.35,
            markersize=4,
            label="one seed" if last else None,
        )
        axis.errorbar(
            interval.mean,
            place,
            xerr=interval.half_width,
            fmt="|",
            markersize=12,
            capsize=3,
            color=COLOURS["method"],
            label="mean, 95% interval" if last else None,
        )
        if label in published:
            labelled = any(line.get_marker() == "D" for line in axis.lines)
            axis.plot(
                published[label],
                place,
                "D",
                color=COLOURS["article"],
                markersize=5,
                label=None if labelled else "article, one run",
            )
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()
    _finish(figure, axis, xlabel, "")


def _make_grid(n, columns, width, height):
    """A figure and n axes in rows; what the last row has left stays empty."""
    rows = -(-n // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * width, rows * height), squeeze=False
    )
    for axis in axes.flat[n:]:
        axis.axis("off")
    return figure, axes.flat[:n]


def _draw_curves(axis, curves):
    for label, curve in curves.items():
        axis.plot(
            curve["x"],
            curve["y"],
            color=curve["colour"],
            linestyle=curve["style"],
            linewidth=curve["width"],
            label=label,
        )


def _style(axis, xlabel, ylabel):
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _finish(figure, axis, xlabel, ylabel):
    _style(axis, xlabel, ylabel)
    if axis.get_legend_handles_labels()[0]:
        # Above the axes, where it covers nothing.
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3}
        axis.legend(fontsize=8, frameon=False, **above)
    _show_drawing(figure)


def _show_drawing(figure):
    """Shows what is lines and letters, in a notebook as vectors."""
    figure.tight_layout()
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is None:
        plt.show()
        return
    # Without date and random names of parts, so that equal figures are equal files.
    inline.set_matplotlib_formats("svg", metadata={"Date": None})
    try:
        with plt.rc_context({"svg.hashsalt": "figure"}):
            plt.show()
    finally:
        inline.set_matplotlib_formats("png")
