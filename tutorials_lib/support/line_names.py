"""Names of lines at their ends, moved apart where they would overlap."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tutorials_lib.support.checks import check_array, check_finite, check_range

# Size of the letters.
POINTS = 8


def name_ends(figure: Figure, axis: Axes) -> None:
    """Names each line at its right end; names that would overlap are moved apart.

    Args:
        figure: Of its final size.
        axis: With all its lines and limits; a line whose label begins with "_" has no
            name.
    """
    # Until it is asked for them, an axis has not yet set its limits to its lines.
    axis.autoscale_view()
    to_share = axis.transData + axis.transAxes.inverted()
    named = [line for line in axis.lines if not str(line.get_label()).startswith("_")]
    ends = []
    for line in named:
        points = np.asarray(line.get_xydata())
        # A training that diverged ends with NaN.
        last = points[np.isfinite(points).all(axis=1)][-1]
        ends.append(float(to_share.transform(last)[1]))
    # Axes take about three quarters of a figure's height; a line of text a bit more
    # than its letters.
    step = 1.25 * POINTS / 72 / (0.75 * figure.get_figheight())
    places = spread_apart(np.clip(ends, 0, 1), step)
    for line, place in zip(named, places, strict=True):
        axis.plot(
            [1.01, 1.04],
            [place, place],
            color=line.get_color(),
            linestyle=line.get_linestyle(),
            transform=axis.transAxes,
            clip_on=False,
        )
        axis.text(
            1.05,
            place,
            str(line.get_label()),
            fontsize=POINTS,
            va="center",
            transform=axis.transAxes,
            clip_on=False,
        )


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
