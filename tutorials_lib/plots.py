"""Pictures in one style: the same size, colours and labels in every chapter."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import is_color_like
from numpy.typing import ArrayLike

from tutorials_lib.checks import (
    check_array,
    check_choice,
    check_count,
    check_finite,
    check_flag,
    check_numbers,
    check_pair,
    check_positive,
    check_range,
)
from tutorials_lib.intervals import Interval

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
# What a curve consists of, and how its line may be broken.
CURVE = ("x", "y", "colour", "style", "width")
STYLES = ("-", "--", "-.", ":")
# Inches; larger figures do not fit in memory.
LARGEST = 100


# See `show_curves`.
Curves = Mapping[str, Mapping[str, Any]]


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
    pixels = check_array("images", images).astype("float32")
    if pixels.ndim != 4 or not pixels.size or pixels.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must have shape (n, height, width, 1 or 3), none of them 0; got "
            f"{pixels.shape}."
        )
    check_finite("images", pixels)
    check_count("columns", columns)
    check_range("size", size, 0.1, LARGEST)
    if titles is not None and not _is_list(titles, len(pixels)):
        raise ValueError(f"titles must be {len(pixels)} strings; got {titles!r}.")
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / max(high - low, 1e-12)
    rows = -(-len(pixels) // columns)
    height = size + (0.3 if titles is not None else 0)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * height), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for place, (axis, image) in enumerate(zip(axes.flat, pixels, strict=False)):
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
    size: tuple[float, float] = (6.5, 3.6),
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
    curves = _check_curves("curves", curves, logx)
    _check_size(size)
    if limits is not None:
        low, high = check_pair("limits", limits, low=-np.inf)
        if low >= high:
            raise ValueError(f"limits must rise; got {limits!r}.")
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
    _name_ends(figure, axis)
    _show_drawing(figure)


def show_panels(
    panels: Mapping[str, Curves],
    xlabel: str,
    columns: int = 2,
    size: tuple[float, float] = (3.4, 2.3),
) -> None:
    """Draws several sets of lines in panels side by side, with one legend.

    Args:
        panels: Dict of title to curves, see `show_curves`; all have the same labels.
        xlabel: Label of the horizontal axes, with its unit.
        columns: Panels in a row.
        size: Width and height of a panel in inches.

    Raises:
        ValueError: no panels, curves that `show_curves` refuses, columns below 1.
    """
    if not isinstance(panels, dict) or not panels:
        raise ValueError(f"panels must be a dict of title to curves; got {panels!r}.")
    panels = {
        title: _check_curves(f"panels[{title!r}]", curves)
        for title, curves in panels.items()
    }
    check_count("columns", columns)
    _check_size(size)
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size[0], rows * size[1]), squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
        _draw_curves(axis, curves)
        axis.set_title(title, fontsize=10)
        _style(axis, xlabel, "")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes.flat[0].legend(fontsize=8, frameon=False)
    _show_drawing(figure)


def show_bars(
    bars: Mapping[str, Sequence[float]],
    labels: Sequence[str],
    ylabel: str,
    size: tuple[float, float] = (6.5, 3.2),
) -> None:
    """Draws groups of bars.

    Args:
        bars: Dict of name to numbers, as many as there are labels.
        labels: Label of each group.
        ylabel: Label of the vertical axis, with its unit.
        size: Width and height in inches.

    Raises:
        ValueError: no bars or more than three of a group, not a finite number for
            each label.
    """
    colours = (COLOURS["baseline"], COLOURS["method"], COLOURS["variant"])
    if not isinstance(bars, dict) or not 0 < len(bars) <= len(colours):
        raise ValueError(f"bars must be a dict of one to three rows; got {bars!r}.")
    for name, heights in bars.items():
        heights = check_numbers(f"bars[{name!r}]", heights)
        if not _is_list(labels, len(heights)):
            raise ValueError(
                f"labels must be as many as the bars {name!r}, {len(heights)}; got "
                f"{labels!r}."
            )
    _check_size(size)
    figure, axis = plt.subplots(figsize=size)
    places, width = np.arange(len(labels)), 0.8 / len(bars)
    for number, (name, heights) in enumerate(bars.items()):
        shift = (number - (len(bars) - 1) / 2) * width
        axis.bar(places + shift, heights, width, label=name, color=colours[number])
    axis.set_xticks(places, labels, rotation=30, ha="right")
    _finish(figure, axis, "", ylabel, None)


def draw_flow(
    boxes: Mapping[str, tuple[float, float]],
    arrows: Sequence[tuple[str, str, str]],
    size: tuple[float, float] = (7.0, 2.8),
) -> None:
    """Draws boxes and arrows between them.

    Args:
        boxes: Dict of text to (x, y), in steps of one box.
        arrows: Sequence of (text of one box, text of another, label).
        size: Width and height in inches.

    Raises:
        ValueError: no boxes, a place that is no pair of numbers, an arrow that is not
            between two boxes.
    """
    if not isinstance(boxes, dict) or not boxes:
        raise ValueError(f"boxes must be a dict of text to (x, y); got {boxes!r}.")
    for text, place in boxes.items():
        check_pair(f"boxes[{text!r}]", place, low=-np.inf)
    _check_arrows(arrows, boxes)
    _check_size(size)
    figure, axis = plt.subplots(figsize=size)
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


def _draw_curves(axis, curves):
    for label, curve in curves.items():
        y = curve["y"]
        axis.plot(
            curve.get("x", range(1, len(y) + 1)),
            y,
            color=curve.get("colour"),
            linestyle=curve.get("style", "-"),
            linewidth=curve.get("width", 1.6),
            label=label,
        )


def show_intervals(
    rows: Mapping[str, tuple[Sequence[float], Interval]],
    xlabel: str,
    published: Mapping[str, float] | None = None,
    size: tuple[float, float] = (6.5, 3.6),
) -> None:
    """Draws a mean with its interval for each row, single runs as dots.

    Args:
        rows: Dict of label to (values, `Interval`), values on the axis' scale and
            the interval's too.
        xlabel: Label of the horizontal axis, with its unit.
        published: Dict of label to the article's value, or None.
        size: Width and height in inches.

    Raises:
        ValueError: rows that are not pairs of finite numbers and an `Interval`,
            published values that are not finite.
    """
    _check_rows(rows)
    published = {} if published is None else published
    if not isinstance(published, dict):
        raise ValueError(f"published must be a dict or None; got {published!r}.")
    if published:
        check_numbers("published", list(published.values()))
    _check_size(size)
    figure, axis = plt.subplots(figsize=size)
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
    _finish(figure, axis, xlabel, "", None)


def _style(axis, xlabel, ylabel):
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _finish(figure, axis, xlabel, ylabel, limits):
    _style(axis, xlabel, ylabel)
    if limits:
        axis.set_ylim(limits)
    if axis.get_legend_handles_labels()[0]:
        # Above the axes, where it covers nothing.
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3}
        axis.legend(fontsize=8, frameon=False, **above)
    _show_drawing(figure)


def _name_ends(figure, axis, points=8):
    """Names each line at its right end; names that would overlap are moved apart."""
    # Until it is asked for them, an axis has not yet set its limits to its lines.
    axis.autoscale_view()
    to_share = axis.transData + axis.transAxes.inverted()
    named = [line for line in axis.lines if not line.get_label().startswith("_")]
    ends = []
    for line in named:
        points_drawn = line.get_xydata()
        # A training that diverged ends with NaN.
        last = points_drawn[np.isfinite(points_drawn).all(axis=1)][-1]
        ends.append(float(to_share.transform(last)[1]))
    # Axes take about three quarters of a figure's height; a line of text a bit more
    # than its letters.
    step = 1.25 * points / 72 / (0.75 * figure.get_figheight())
    places = spread_apart(np.clip(ends, 0, 1), step)
    for line, place in zip(named, places, strict=True):
        beside = {"transform": axis.transAxes, "clip_on": False}
        look = {"color": line.get_color(), "linestyle": line.get_linestyle()}
        axis.plot([1.01, 1.04], [place, place], **look, **beside)
        axis.text(1.05, place, line.get_label(), fontsize=points, va="center", **beside)


def spread_apart(places: Sequence[float] | np.ndarray, step: float) -> np.ndarray:
    """Moves places apart until neighbours are at least a step from each other.

    Args:
        places: Sequence of n numbers.
        step: Least distance of two places.

    Returns:
        float array (n,), in the order of `places` and sorted alike; a crowd spreads
        about its middle.

    Raises:
        ValueError: places that are not finite numbers, a step below 0.
    """
    wished = check_finite("places", check_array("places", places))
    if wished.ndim != 1:
        raise ValueError(f"places must be of shape (n,); got {wished.shape}.")
    wished, step = wished.astype("float64"), check_range("step", step, 0, 1e100)
    order = np.argsort(wished, kind="stable")
    # Each crowd: its members' wishes, less what lies below them in it.
    crowds = []
    for number in order:
        crowds.append([[wished[number]], [number]])
        while len(crowds) > 1:
            (low, first), (high, second) = crowds[-2:]
            reach = np.mean(low) + step * len(low) / 2 + step * len(high) / 2
            if np.mean(high) >= reach:
                break
            crowds[-2:] = [[low + high, first + second]]
    moved = np.empty(len(wished))
    for wishes, members in crowds:
        offsets = step * (np.arange(len(members)) - (len(members) - 1) / 2)
        moved[members] = np.mean(wishes) + offsets
    return moved


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


def _is_list(values, length):
    """Whether values are a sequence of a length, and no single text."""
    sequence = hasattr(values, "__len__") and not isinstance(values, (str, bytes, dict))
    return sequence and getattr(values, "ndim", 1) > 0 and len(values) == length


def _check_size(size):
    """Raises ValueError unless size is width and height of a figure, in inches."""
    if (check_pair("size", size, low=0) > LARGEST).any():
        raise ValueError(f"size must be at most {LARGEST} inches; got {size!r}.")


def _check_curves(name, curves, positive=False):
    """Raises ValueError unless curves are what `show_curves` says.

    Returns:
        The same, with x and y as arrays.
    """
    if not isinstance(curves, dict):
        raise ValueError(f"{name} must be a dict of label to curve; got {curves!r}.")
    checked = {}
    for label, curve in curves.items():
        own = f"{name}[{label!r}]"
        if not isinstance(curve, dict) or "y" not in curve:
            raise ValueError(f"{own} must be a dict with y; got {curve!r}.")
        for key in curve:
            check_choice(f"the keys of {own}", key, CURVE)
        y = check_array(f"{own}['y']", curve["y"]).astype("float64")
        if y.ndim != 1 or not np.isfinite(y).any():
            raise ValueError(
                f"{own}['y'] must be numbers (n,), at least one finite; got {y}."
            )
        x = check_numbers(f"{own}['x']", curve.get("x", range(1, len(y) + 1)))
        if len(x) != len(y):
            raise ValueError(f"{own}['x'] must be {len(y)} numbers; got {len(x)}.")
        if positive and not (x > 0).all():
            raise ValueError(f"{own}['x'] must be above 0 where logx is True; got {x}.")
        colour = curve.get("colour")
        if colour is not None and not is_color_like(colour):
            raise ValueError(f"{own}['colour'] must be a colour; got {colour!r}.")
        check_choice(f"{own}['style']", curve.get("style", "-"), STYLES)
        check_positive(f"{own}['width']", curve.get("width", 1.6))
        checked[label] = {**curve, "x": x, "y": y}
    return checked


def _check_rows(rows):
    if not isinstance(rows, dict):
        raise ValueError(f"rows must be a dict; got {rows!r}.")
    for label, row in rows.items():
        if not _is_pair(row) or not isinstance(row[1], Interval):
            raise ValueError(
                f"rows[{label!r}] must be (values, Interval); got {row!r}."
            )
        check_numbers(f"rows[{label!r}]", row[0])


def _is_pair(values):
    return isinstance(values, (tuple, list)) and len(values) == 2


def _check_arrows(arrows, boxes):
    if not isinstance(arrows, (tuple, list)):
        raise ValueError(f"arrows must be a sequence; got {arrows!r}.")
    for arrow in arrows:
        if not isinstance(arrow, (tuple, list)) or len(arrow) != 3:
            raise ValueError(f"arrows must be of three texts; got {arrow!r}.")
        for end in arrow[:2]:
            check_choice("the ends of arrows", end, tuple(boxes))
