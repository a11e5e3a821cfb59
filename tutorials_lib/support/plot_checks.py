"""Checks of what `plots` is asked to show."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import is_color_like

from tutorials_lib.support.checks import (
    check_array,
    check_choice,
    check_count,
    check_finite,
    check_numbers,
    check_pair,
    check_positive,
    check_range,
)
from tutorials_lib.support.statistics import Interval

# See `plots.show_curves`.
Curves = Mapping[str, Mapping[str, Any]]

# How a curve looks that does not say it, and how its line may be broken.
LOOK = {"colour": None, "style": "-", "width": 1.6}
STYLES = ("-", "--", "-.", ":")
# Inches; larger figures do not fit in memory.
LARGEST = 100


def check_figure(size: Any) -> None:
    """Raises ValueError unless `size` is width and height of a figure, in inches."""
    if (check_pair("size", size, low=0) > LARGEST).any():
        raise ValueError(f"size must be at most {LARGEST} inches; got {size!r}.")


def check_limits(limits: Any) -> None:
    """Raises ValueError unless `limits` are two numbers, the lower one first."""
    low, high = check_pair("limits", limits, low=-np.inf)
    if low >= high:
        raise ValueError(f"limits must rise; got {limits!r}.")


def check_pictures(images: Any, titles: Any, columns: int, size: float) -> np.ndarray:
    """Raises ValueError unless the arguments are what `plots.show_images` says.

    Returns:
        The images in single precision.
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
    return pixels


def check_curves(
    name: str, curves: Any, positive: bool = False
) -> dict[str, dict[str, Any]]:
    """Raises ValueError unless `curves` are what `plots.show_curves` says.

    Args:
        name: The argument's name, for the message.
        curves: What was passed.
        positive: Whether every x must be above 0.

    Returns:
        The same, each with x and y as arrays and with a whole look.
    """
    if not isinstance(curves, dict):
        raise ValueError(f"{name} must be a dict of label to curve; got {curves!r}.")
    checked = {}
    for label, curve in curves.items():
        own = f"{name}[{label!r}]"
        if not isinstance(curve, dict) or "y" not in curve:
            raise ValueError(f"{own} must be a dict with y; got {curve!r}.")
        for key in curve:
            check_choice(f"the keys of {own}", key, ("x", "y", *LOOK))
        curve = {**LOOK, **curve}
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
        colour = curve["colour"]
        if colour is not None and not is_color_like(colour):
            raise ValueError(f"{own}['colour'] must be a colour; got {colour!r}.")
        check_choice(f"{own}['style']", curve["style"], STYLES)
        check_positive(f"{own}['width']", curve["width"])
        checked[label] = {**curve, "x": x, "y": y}
    return checked


def check_panels(panels: Any) -> dict[str, Curves]:
    """Raises ValueError unless `panels` are what `plots.show_panels` says.

    Returns:
        The same, with what `check_curves` returns.
    """
    if not isinstance(panels, dict) or not panels:
        raise ValueError(f"panels must be a dict of title to curves; got {panels!r}.")
    return {
        title: check_curves(f"panels[{title!r}]", curves)
        for title, curves in panels.items()
    }


def check_bars(bars: Any, labels: Any) -> None:
    """Raises ValueError unless the arguments are what `plots.show_bars` says."""
    if not isinstance(bars, dict) or not 0 < len(bars) <= 3:
        raise ValueError(f"bars must be a dict of one to three rows; got {bars!r}.")
    for name, heights in bars.items():
        n = len(check_numbers(f"bars[{name!r}]", heights))
        if not _is_list(labels, n):
            raise ValueError(
                f"labels must be as many as the bars {name!r}, {n}; got {labels!r}."
            )


def check_flow(boxes: Any, arrows: Any) -> None:
    """Raises ValueError unless the arguments are what `plots.draw_flow` says."""
    if not isinstance(boxes, dict) or not boxes:
        raise ValueError(f"boxes must be a dict of text to (x, y); got {boxes!r}.")
    for text, place in boxes.items():
        check_pair(f"boxes[{text!r}]", place, low=-np.inf)
    if not isinstance(arrows, (tuple, list)):
        raise ValueError(f"arrows must be a sequence; got {arrows!r}.")
    for arrow in arrows:
        if not isinstance(arrow, (tuple, list)) or len(arrow) != 3:
            raise ValueError(f"arrows must be of three texts; got {arrow!r}.")
        for end in arrow[:2]:
            check_choice("the ends of arrows", end, tuple(boxes))


def check_intervals(rows: Any, published: Any) -> None:
    """Raises ValueError unless the arguments are what `plots.show_intervals` says."""
    if not isinstance(rows, dict):
        raise ValueError(f"rows must be a dict; got {rows!r}.")
    for label, row in rows.items():
        pair = isinstance(row, (tuple, list)) and len(row) == 2
        if not pair or not isinstance(row[1], Interval):
            raise ValueError(
                f"rows[{label!r}] must be (values, Interval); got {row!r}."
            )
        check_numbers(f"rows[{label!r}]", row[0])
    if not isinstance(published, dict):
        raise ValueError(f"published must be a dict or None; got {published!r}.")
    if published:
        check_numbers("published", list(published.values()))


def _is_list(values, length):
    """Whether values are a sequence of a length, and no single text."""
    sequence = hasattr(values, "__len__") and not isinstance(values, (str, bytes, dict))
    return sequence and getattr(values, "ndim", 1) > 0 and len(values) == length
