"""The pages made from records: scoreboard, runs, status, cards, README's table.

`tutorials scoreboard` writes them, and a test compares them with the stored ones: no
number on them is typed.
"""

import functools
import json
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from tutorials_lib.runs.articles import ARTICLES
from tutorials_lib.runs.chapters import book_folder, find_parameters
from tutorials_lib.runs.estimates import estimate, measure_pace, paired, tabulate
from tutorials_lib.runs.profiles import PUBLISHED
from tutorials_lib.runs.records import (
    Record,
    find_path,
    flatten,
    published_records,
    write_words,
)
from tutorials_lib.runs.storage import write_changed
from tutorials_lib.runs.verdicts import (
    CLAIM_VERDICTS,
    VERDICTS,
    Judged,
    Number,
    find_effect,
    judge_claims,
    list_numbers,
)

PAGES = ("scoreboard.md", "full_runs.md", "status.md", "what_to_use.md")
# Where README.md has its table.
README_TABLE = re.compile(
    r"(<!-- Written by `tutorials scoreboard`.*?-->\n).*?(<!-- End -->)", re.S
)


def read_all_records() -> dict[str, list[Record]]:
    """Reads the published records of all chapters, at every profile."""
    return {
        chapter: [
            record
            for profile in PUBLISHED
            for record in published_records(chapter, profile)
        ]
        for chapter in ARTICLES
    }


def write_pages() -> list[pathlib.Path]:
    """Writes the pages that are made from records; returns those that changed."""
    pages = make_pages(read_all_records())
    return write_changed({book_folder() / name: text for name, text in pages.items()})


def make_pages(records: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """Makes the pages from records: dict of path in the book to text."""
    # A part of Jupyter Book; not needed only to run chapters.
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    frames = {chapter: tabulate(group) for chapter, group in records.items()}
    numbers, claims = list_numbers(frames), judge_claims(frames)
    runs = {
        chapter: sorted(group, key=lambda run: (run["variant"], run["seed"]))
        for chapter, group in records.items()
    }
    book = book_folder()

    def measure(function, chapter, *arguments):
        return find_effect(frames[chapter], lambda x: function(x, *arguments))[0]

    def measure_gain(chapter, variant, baseline, metric="test_accuracy", *other):
        return measure(paired, chapter, metric, variant, baseline, *other)

    fast = [run for run in records["cifar10_fast"] if run["profile"] == "laptop"]
    context: dict[str, Any] = {
        "articles": ARTICLES,
        "cards": [describe_chapter(name, numbers, claims) for name in ARTICLES],
        "claims": claims,
        "example": next((find_path(x) for each in runs.values() for x in each), ""),
        "find_path": find_path,
        "full": {chapter: _sum_up(frame) for chapter, frame in frames.items()},
        "gain": measure_gain,
        "name_place": name_place,
        "name_section": name_section,
        "numbers": numbers,
        "pace": measure_pace(fast),
        "pages": [
            {"chapter": name} | read_run(book / f"{name}.ipynb") for name in ARTICLES
        ],
        "runs": runs,
        "say_devices": _say_devices,
        "say_hours": _say_hours,
        "score": functools.partial(measure, estimate),
        "totals": say_totals(numbers, claims, frames),
        "verdicts": VERDICTS,
    }

    def render(name):
        return templates.get_template(name).render(context).rstrip() + "\n"

    pages = {name: render(name) for name in PAGES}
    pages |= {"cards.txt": render("cards.md"), "totals.txt": context["totals"] + "\n"}
    pages["_static/records.csv"] = _write_csv(records)
    readme = book.parent / "README.md"
    if readme.is_file():
        table = render("readme.md")
        pages["../README.md"] = README_TABLE.sub(
            lambda marks: f"{marks[1]}\n{table}\n{marks[2]}", readme.read_text("utf-8")
        )
    return pages


def describe_chapter(
    chapter: str, numbers: Iterable[Number], claims: Iterable[Judged]
) -> dict[str, str]:
    """Sums a chapter up for the first page: its question and its answer.

    The answer is on the headline claim, or else on the first claim that has runs.
    """
    article = ARTICLES[chapter]
    mine = [each for each in claims if each.claim.chapter == chapter]
    head = next(each for each in mine if each.claim.name == article["headline"])
    if not head.ours:
        head = next((each for each in mine if each.ours), head)
    ours = "; our runs are still to be made."
    if head.ours:
        ours = f" and **{head.effect}** in our runs ({head.protocol}): "
        ours += f"*{head.verdict}*."
    rows = [number for number in numbers if number.chapter == chapter]
    return {
        "name": chapter,
        "question": article["question"],
        "result": f"Claim: {head.claim.text} The claimed effect is {head.article} in "
        f"the article{ours}",
        "verdicts": (
            f"Published numbers: {_say_counts(rows, VERDICTS)}. "
            f"Claims: {_say_counts(mine, CLAIM_VERDICTS)}"
        ),
    }


def say_totals(
    numbers: Sequence[Number],
    claims: Sequence[Judged],
    frames: Mapping[str, pd.DataFrame],
) -> str:
    """Counts the verdicts on the published numbers and claims, and our runs."""
    runs = pd.concat(frames.values())
    return (
        f"**{len(numbers)}** published numbers: "
        f"{_say_counts(numbers, VERDICTS, '**')}. **{len(claims)}** claims: "
        f"{_say_counts(claims, CLAIM_VERDICTS, '**')}. Our results rest on "
        f"**{len(runs)}** runs and "
        f"{runs['hours'].sum() if len(runs) else 0:.0f} hours of computing."
    )


def _say_counts(judged, verdicts, mark=""):
    """Says how many have each verdict; verdicts without any are left out."""
    found = [each.verdict for each in judged]
    counts = {name: found.count(name) for name in verdicts if name in found}
    plural = {"agrees": "agree", "differs": "differ"}
    return ", ".join(
        f"{mark}{n}{mark} {name if n == 1 else plural.get(name, name)}"
        for name, n in counts.items()
    )


def read_run(path: pathlib.Path) -> dict[str, str]:
    """Reads when an executed notebook was run, for how long, and on what.

    Returns `run`, `date`, `time`, `commit` and `versions` as text, "-" for those that
    the notebook does not give.
    """
    metadata = json.loads(path.read_text("utf-8"))["metadata"]
    found = dict.fromkeys(("run", "date", "time", "commit", "versions"), "-")
    timing = metadata.get("papermill")
    if timing:
        given = {**find_parameters(path), **timing["parameters"]}
        profile = given.pop("profile", "-")
        changed = [f"{name} = {given[name]}" for name in given if given[name]]
        found["run"] = ", ".join([profile, *changed])
        found["date"] = timing["end_time"][:10]
        found["time"] = f"{timing['duration'] / 60:.1f} minutes"
    return found | metadata.get("tutorials", {})


def name_place(record: Record) -> str:
    """Names the anchor of a variant's runs."""
    return write_words(f"{record['chapter']} {record['variant']}")


def name_section(title: str) -> str:
    """Names the anchor of a section, as Sphinx does."""
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")


def _sum_up(frame):
    rows = []
    for profile, runs in frame.groupby("profile"):
        cells = (runs["seed"].astype(str), runs["device"], runs["commit"])
        seeds, devices, commits = (", ".join(sorted(set(each))) for each in cells)
        hours = f"{runs['hours'].sum():.1f}"
        rows.append(
            [profile, len(runs), seeds, max(runs["date"])[:10], hours, devices, commits]
        )
    return rows or [["-", 0, *["-"] * 5]]


def _say_hours(records):
    seconds = sum(record["timing"]["wall_seconds"] for record in records)
    return f"{seconds / 3600:.1f}" if records else "-"


def _say_devices(records):
    """Names the devices of runs, without words that every processor's name has."""
    full = {record["environment"]["device"] for record in records}
    names = {re.sub(r"\((R|TM)\)| Processor| CPU| @.*", "", name) for name in full}
    return ", ".join(sorted(names)) or "-"


def _write_csv(records):
    rows = [
        {**record, "parameters": json.dumps(record["parameters"])}
        for group in records.values()
        for record in group
    ]
    table = flatten(rows, ("schema", "settings", "history", "metrics", "arrays"))
    return table.to_csv(index=False, lineterminator="\n")
