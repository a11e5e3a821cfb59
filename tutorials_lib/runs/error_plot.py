"""Where the scoreboard's drawing has its lines, words and points."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tutorials_lib.runs.articles import CHAPTER_COLOURS
from tutorials_lib.runs.verdicts import Row

SIZE, MARGIN, LEGEND = 460, 56, 190
LOWEST, HIGHEST = 5e-5, 0.3


def place_errors(rows: Iterable[Row]) -> dict[str, Any]:
    """Places our errors against the article's in a drawing, both in logarithms.

    Returns:
        Dict of `width`, `height` and lists of `lines` (x1, y1, x2, y2), `texts` (x, y,
        anchor, text) and `points` (x, y, top and end of the interval, colour, title).
    """
    bottom, end = SIZE - MARGIN, SIZE - 20
    lines = [
        (_place_x(LOWEST), _place_y(LOWEST), _place_x(HIGHEST), _place_y(HIGHEST)),
        (MARGIN, 10, MARGIN, bottom),
        (MARGIN, bottom, end, bottom),
    ]
    texts = [
        (SIZE / 2, SIZE - 10, "middle", "article: wrong answers"),
        (MARGIN + 8, 20, "start", "ours: wrong answers"),
    ]
    for tick in (1e-4, 1e-3, 1e-2, 1e-1):
        x, y, said = _place_x(tick), _place_y(tick), f"{100 * tick:g}%"
        lines += [(x, bottom, x, bottom + 5), (MARGIN - 5, y, MARGIN, y)]
        texts += [(x, bottom + 20, "middle", said), (MARGIN - 9, y + 4, "end", said)]
    points, shown = [], {}
    for row in rows:
        interval = row.interval
        if interval is None or not row.unit:
            continue
        ours, half = 1 - interval.mean, interval.half_width or 0
        title = (
            f"{row.chapter}, {row.variant}, {row.metric.replace('_', ' ')}: article "
            f"{row.format(row.published)}%, ours {row.format(interval.mean)}%"
        )
        points.append(
            (
                _place_x(1 - row.published),
                _place_y(ours),
                _place_y(ours + half),
                _place_y(ours - half),
                CHAPTER_COLOURS[row.chapter],
                title,
            )
        )
        shown[row.chapter] = CHAPTER_COLOURS[row.chapter]
    for number, (chapter, colour) in enumerate(shown.items()):
        y = 40 + 24 * number
        points.append((SIZE + 6, y, y, y, colour, chapter))
        texts.append((SIZE + 18, y + 4, "start", chapter))
    return {
        "width": SIZE + LEGEND,
        "height": SIZE,
        "lines": lines,
        "texts": texts,
        "points": points,
    }


def _place_x(error):
    return round(MARGIN + _measure(error), 1)


def _place_y(error):
    return round(SIZE - MARGIN - _measure(error), 1)


def _measure(error):
    within = float(np.clip(error, LOWEST, HIGHEST))
    share = math.log(within / LOWEST) / math.log(HIGHEST / LOWEST)
    return share * (SIZE - MARGIN - 20)
