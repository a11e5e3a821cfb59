"""The scoreboard: every published number, ours beside it, and a verdict by rule.

`tutorials scoreboard` writes this and the other pages that are made of records, and a
test compares them with what is stored: no number on them is typed.
"""

import csv
import dataclasses
import io
import json
import math
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tutorials_lib.datasets import SPECIFICATIONS
from tutorials_lib.intervals import (
    Interval,
    binomial_error,
    mean_interval,
    paired_difference,
)
from tutorials_lib.runs.articles import ARTICLES, read_published
from tutorials_lib.runs.chapters import book_folder
from tutorials_lib.runs.records import (
    Record,
    find_path,
    published_records,
    write_text,
    write_words,
)
from tutorials_lib.runs.tables import group_records, pair_scores, read_metric

VERDICTS = ("reproduced", "differs", "not judged", "not run")
# Of a normal distribution, 95% lie within so many standard errors.
WIDE = 1.96
# Told apart by colour-blind readers, on light and on dark.
CHAPTER_COLOURS = dict(
    zip(ARTICLES, ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"), strict=True)
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A published number and what stands beside it.

    Attributes:
        chapter: Name of the chapter.
        variant: What the number is of, as `articles.ARTICLES` names it.
        metric: Name of the metric.
        published: The article's number.
        records: Records of our full runs of it, by seed.
    """

    chapter: str
    variant: str
    metric: str
    published: float
    records: tuple[Record, ...]

    @property
    def values(self) -> list[float]:
        """Our numbers, one for each record."""
        return read_metric(self.records, self.metric)

    @property
    def interval(self) -> Interval | None:
        """Mean and interval of our numbers; None where there are none."""
        return mean_interval(self.values) if self.records else None

    @property
    def difference(self) -> float:
        """Our mean minus the article's number."""
        return mean_interval(self.values).mean - self.published

    @property
    def tolerance(self) -> float | None:
        """How far the two may lie apart, see `find_tolerance`."""
        n = None
        if self.metric.endswith("accuracy"):
            specification = SPECIFICATIONS[ARTICLES[self.chapter]["dataset"]]
            part = self.metric.startswith("train")
            counts = specification.train_counts if part else specification.test_counts
            n = sum(counts)
        elif self.metric.startswith("seconds"):
            return None
        return find_tolerance(self.published, mean_interval(self.values), n)

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if not self.records:
            return "not run"
        if self.tolerance is None:
            return "not judged"
        return "reproduced" if abs(self.difference) <= self.tolerance else "differs"

    @property
    def place(self) -> str:
        """The anchor of its runs on their page."""
        return name_place(self.records[0])

    @property
    def hours(self) -> str:
        """What the runs took together."""
        seconds = sum(record["timing"]["wall_seconds"] for record in self.records)
        return f"{seconds / 3600:.1f}" if self.records else "-"

    @property
    def devices(self) -> str:
        """What the runs ran on, without what every processor's name says."""
        full = {record["environment"]["device"] for record in self.records}
        names = {re.sub(r"\((R|TM)\)| Processor| CPU| @.*", "", name) for name in full}
        return ", ".join(sorted(names)) or "-"

    @property
    def unit(self) -> str:
        """What is to be said of the unit beside the metric's name."""
        return ", %" if self.metric.endswith("accuracy") else ""

    def format(self, value: float | None, sign: str = "") -> str:
        """Writes a number of this metric: percent, loss or seconds; None as a dash."""
        if value is None:
            return "-"
        if self.unit:
            return f"{100 * value:{sign}.2f}"
        digits = 1 if self.metric.startswith("seconds") else 4
        return f"{value:{sign}.{digits}f}"


def find_tolerance(
    published: float, ours: Interval, n: int | None = None
) -> float | None:
    """Says how far apart the article's number and the mean of ours may lie.

    An accuracy is a share of n images: half our 95% interval and 1.96 of the published
    number's binomial standard errors are combined, as the root of the sum of their
    squares. With one seed our own binomial error takes the interval's place. Where our
    interval is more than twice as wide as the article's error, it would let nearly
    everything pass, and there is no verdict. A loss has no such error: the article's is
    one more run, see `Interval.predict_one_more`; that takes three seeds.

    Args:
        published: The article's number.
        ours: `Interval` of ours.
        n: Number of images that an accuracy is a share of; None for a loss.

    Returns:
        A number; None where our seeds are too few for a verdict.
    """
    if n is None:
        return ours.predict_one_more().half_width if ours.n >= 3 else None
    half = ours.half_width
    theirs = WIDE * binomial_error(published, n)
    if half is None:
        half = WIDE * binomial_error(ours.mean, n)
    elif half > 2 * theirs:
        return None
    return math.hypot(half, theirs)


def list_rows(records: Mapping[str, Sequence[Record]]) -> list[Row]:
    """Lists all published numbers, in the order of the chapters.

    Args:
        records: Dict of chapter to its records of full runs.

    Returns:
        A list of `Row`.
    """
    return [
        Row(chapter, variant, metric, published, tuple(ours))
        for chapter, article in ARTICLES.items()
        for variant, numbers in article["published"].items()
        for metric, published in zip(article["metrics"], numbers, strict=True)
        for ours in [find_ours(chapter, variant, metric, records[chapter])]
        if published is not None
    ]


def find_ours(
    chapter: str, variant: str, metric: str, records: Iterable[Record]
) -> list[Record]:
    """Finds our runs of what an article's number is of.

    Args:
        chapter: Name of a chapter.
        variant: What the number is of, as `ARTICLES` names it.
        metric: Name of the metric; records without it are left out.
        records: The chapter's records.

    Returns:
        A list of records, in order of seeds; empty where they are not all there.

    Raises:
        ValueError: two records are of the same variant and seed.
    """
    groups = group_records(records)
    found = []
    for name, seeds in (
        ARTICLES[chapter].get("ours", {}).get(variant, [(variant, None)])
    ):
        part = [
            record
            for record in groups.get(name, [])
            if (seeds is None or record["seed"] in seeds)
            # Seconds are no metric, but every run has them.
            and (metric in record["metrics"] or metric.startswith("seconds"))
        ]
        if seeds is not None and len(part) < len(seeds):
            return []
        found += part
    return sorted(found, key=lambda record: record["seed"])


def count_verdicts(rows: Iterable[Row]) -> dict[str, int]:
    """Returns how many rows have each of `VERDICTS`."""
    found = [row.verdict for row in rows]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def write_pages() -> list[pathlib.Path]:
    """Writes the pages that are made of records into the book.

    Returns:
        Paths of the files that changed.
    """
    records = {chapter: published_records(chapter) for chapter in ARTICLES}
    changed = []
    for name, text in make_pages(records).items():
        path = book_folder() / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
            changed.append(path)
    return changed


def make_pages(records: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """Makes the pages that are made of records.

    Args:
        records: Dict of chapter to its records of full runs.

    Returns:
        Dict of path within the book to text.
    """
    # A part of Jupyter Book; whoever only runs chapters does without.
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    rows = list_rows(records)
    totals = say_totals(rows, records)
    scoreboard = templates.get_template("scoreboard.md").render(
        totals=totals,
        rows=rows,
        plot=place_errors(rows),
        chapters=list(ARTICLES),
        verdicts=VERDICTS,
    )
    lines = {chapter: _list_runs(group) for chapter, group in records.items()}
    example = next((run["path"] for group in lines.values() for run in group), "")
    full_runs = templates.get_template("full_runs.md").render(
        chapters=lines, example=example
    )
    status = templates.get_template("status.md").render(
        pages=[_read_environment(chapter) for chapter in ARTICLES],
        full={chapter: _sum_up(group) for chapter, group in records.items()},
    )
    cards = templates.get_template("cards.md").render(
        chapters=[describe_chapter(chapter, rows, records) for chapter in ARTICLES]
    )
    return {
        "cards.txt": cards.rstrip() + "\n",
        "scoreboard.md": scoreboard + "\n",
        "full_runs.md": full_runs.rstrip() + "\n",
        "status.md": status + "\n",
        "totals.txt": totals + "\n",
        "_static/records.csv": _write_csv(records),
    }


def describe_chapter(
    chapter: str, rows: Iterable[Row], records: Mapping[str, Sequence[Record]]
) -> dict[str, str]:
    """Sums a chapter up for the first page.

    Args:
        chapter: Name of a chapter.
        rows: All rows, see `list_rows`.
        records: Dict of chapter to its records of full runs.

    Returns:
        Dict of `name`, `question`, `result` and `verdicts`, all text.
    """
    article = ARTICLES[chapter]
    mine = [row for row in rows if row.chapter == chapter]
    said = [f"{count} {name}" for name, count in count_verdicts(mine).items() if count]
    return {
        "name": chapter,
        "question": article["question"],
        "result": _say_gap(article, chapter, records[chapter]),
        "verdicts": f"{len(mine)} published numbers: {', '.join(said)}",
    }


def _say_gap(article, chapter, records):
    if not records:
        return "Its full runs need a GPU and are still to be made."
    if "gap" not in article:
        return f"Its full runs are {len(records)} so far."
    metric, method, baseline = article["gap"]
    pairs = pair_scores(group_records(records), metric, method, baseline)
    if not pairs[0]:
        return f"Its full runs are {len(records)} so far."
    published = read_published(chapter, metric)
    names = article.get("published_gap", (method, baseline))
    theirs = 100 * (published[names[0]] - published[names[1]])
    ours, _ = paired_difference(*pairs)
    half = "" if ours.half_width is None else f" ± {100 * ours.half_width:.2f}"
    return (
        f"{method} against {baseline}: **{100 * ours.mean:+.2f}{half}** points "
        f"(n = {ours.n}); the article has {theirs:+.2f}."
    )


def _read_environment(chapter):
    """What `show_environment` printed when the stored chapter was last run."""
    path = book_folder() / f"{chapter}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    said = "".join(
        "".join(output.get("text", "")) for output in cells[-1].get("outputs", [])
    )
    names = ("run", "date", "time", "device", "commit", "versions")
    found = dict.fromkeys(names, "-") | {"chapter": chapter}
    for line in said.splitlines():
        name, _, value = line.partition(" ")
        if name in names:
            found[name] = value.strip()
    # What follows in brackets stands on the chapter's own page.
    found["run"] = found["run"].partition(" (")[0].removeprefix("profile ")
    commit, _, state = found["commit"].partition(",")
    return {**found, "commit": commit[:10] + (f",{state}" if state else "")}


def _sum_up(records):
    if not records:
        return [0, *["-"] * 5]
    dates = [record["date"] for record in records]
    hours = sum(record["timing"]["wall_seconds"] for record in records) / 3600

    def collect(read):
        return ", ".join(sorted({read(record) for record in records}))

    return [
        len(records),
        collect(lambda record: str(record["seed"])),
        max(dates)[:10],
        f"{hours:.1f}",
        collect(lambda record: record["environment"]["device"]),
        collect(lambda record: (record["git"]["commit"] or "unknown")[:10]),
    ]


def say_totals(rows: Sequence[Row], records: Mapping[str, Sequence[Record]]) -> str:
    """Says what became of the published numbers."""
    runs = {find_path(record): record for row in rows for record in row.records}
    number = sum(len(group) for group in records.values())
    seconds = sum(record["timing"]["wall_seconds"] for record in runs.values())
    counts = count_verdicts(rows).items()
    said = ", ".join(f"**{count}** {name}" for name, count in counts if count)
    return (
        f"Of **{len(rows)}** published numbers: {said}. Ours rest on **{len(runs)}** "
        f"full runs, {seconds / 3600:.0f} hours of computing; **{number - len(runs)}** "
        f"more answer what the articles leave open."
    )


def name_place(record: Record) -> str:
    """Names the anchor of a variant's runs."""
    return write_words(f"{record['chapter']} {record['variant']}")


def _list_runs(records):
    lines, seen = [], set()
    for record in sorted(records, key=lambda each: (each["variant"], each["seed"])):
        metrics, environment = record["metrics"], record["environment"]
        accuracy = metrics.get("test_accuracy", metrics.get("tta_accuracy"))
        commit = (record["git"]["commit"] or "unknown")[:10]
        cells = [
            "-" if accuracy is None else f"{100 * accuracy:.2f}",
            f"{record['timing']['wall_seconds'] / 60:.1f}",
            f"{record['timing']['images_per_second']:.0f}",
            environment["backend"],
            environment["cores"],
            environment["versions"]["keras"],
            record["date"][:10],
            commit if record["git"]["clean"] else f"{commit}, with changes",
        ]
        place = name_place(record)
        lines.append(
            {
                "variant": record["variant"],
                "seed": record["seed"],
                "place": None if place in seen else place,
                "path": find_path(record),
                "cells": cells,
            }
        )
        seen.add(place)
    return lines


def _write_csv(records):
    lines = [_flatten(record) for group in records.values() for record in group]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def _flatten(record):
    environment = record["environment"]
    return {
        **{name: record[name] for name in ("chapter", "variant", "seed", "date")},
        **record["metrics"],
        **record["timing"],
        **{name: environment[name] for name in ("device", "cores", "backend")},
        **environment["versions"],
        "commit": record["git"]["commit"],
        "images": record["data"]["name"],
        "sha256": record["data"]["sha256"],
        "parameters": json.dumps(record["parameters"]),
    }


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
