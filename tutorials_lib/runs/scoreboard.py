"""The pages that are made of records: scoreboard, full runs, status, cards.

`tutorials scoreboard` writes them, and a test compares them with what is stored: no
number on them is typed.
"""

import csv
import io
import json
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

from tutorials_lib.runs.articles import ARTICLES, read_published
from tutorials_lib.runs.chapters import book_folder
from tutorials_lib.runs.error_plot import place_errors
from tutorials_lib.runs.records import Record, find_path, published_records, write_words
from tutorials_lib.runs.storage import write_text
from tutorials_lib.runs.tables import (
    group_records,
    join_values,
    pair_scores,
    read_commit,
    sum_hours,
)
from tutorials_lib.runs.times import read_run, read_smoke_runs
from tutorials_lib.runs.verdicts import VERDICTS, Row, count_verdicts, list_rows
from tutorials_lib.support.statistics import paired_difference


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
        name_place=name_place,
        say_hours=_say_hours,
        say_devices=_say_devices,
    )
    lines = {chapter: _list_runs(group) for chapter, group in records.items()}
    example = next((run["path"] for group in lines.values() for run in group), "")
    full_runs = templates.get_template("full_runs.md").render(
        chapters=lines, example=example
    )
    status = templates.get_template("status.md").render(
        pages=[
            read_run(chapter, book_folder() / f"{chapter}.ipynb")
            for chapter in ARTICLES
        ],
        smoke=read_smoke_runs(),
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


def _sum_up(records):
    if not records:
        return [0, *["-"] * 5]
    dates = [record["date"] for record in records]

    def collect(read):
        return join_values(records, read)

    return [
        len(records),
        collect(lambda record: record["seed"]),
        max(dates)[:10],
        _say_hours(records),
        collect(lambda record: record["environment"]["device"]),
        collect(read_commit),
    ]


def say_totals(rows: Sequence[Row], records: Mapping[str, Sequence[Record]]) -> str:
    """Says what became of the published numbers."""
    runs = {find_path(record): record for row in rows for record in row.records}
    number = sum(len(group) for group in records.values())
    hours = sum_hours(runs.values())
    counts = count_verdicts(rows).items()
    said = ", ".join(f"**{count}** {name}" for name, count in counts if count)
    return (
        f"Of **{len(rows)}** published numbers: {said}. Ours rest on **{len(runs)}** "
        f"full runs, {hours:.0f} hours of computing; **{number - len(runs)}** "
        f"more answer what the articles leave open."
    )


def _say_hours(records):
    return f"{sum_hours(records):.1f}" if records else "-"


def _say_devices(records):
    """Names what runs ran on, without what every processor's name says."""
    full = {record["environment"]["device"] for record in records}
    names = {re.sub(r"\((R|TM)\)| Processor| CPU| @.*", "", name) for name in full}
    return ", ".join(sorted(names)) or "-"


def name_place(record: Record) -> str:
    """Names the anchor of a variant's runs."""
    return write_words(f"{record['chapter']} {record['variant']}")


def _list_runs(records):
    lines, seen = [], set()
    for record in sorted(records, key=lambda each: (each["variant"], each["seed"])):
        metrics, environment = record["metrics"], record["environment"]
        accuracy = metrics.get("test_accuracy", metrics.get("tta_accuracy"))
        # None where it is not known.
        changed = record["git"]["clean"] is False
        cells = [
            "-" if accuracy is None else f"{100 * accuracy:.2f}",
            f"{record['timing']['wall_seconds'] / 60:.1f}",
            f"{record['timing']['images_per_second']:.0f}",
            environment["backend"],
            environment["cores"],
            environment["versions"]["keras"],
            record["date"][:10],
            read_commit(record) + (", with changes" if changed else ""),
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
