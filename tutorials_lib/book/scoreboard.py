"""The pages made from records: scoreboard, runs, status, cards, README's table.

`tutorials scoreboard` writes them, and a test compares them with the stored ones: no
number on them is typed.
"""

import collections
import functools
import itertools
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tutorials_lib.book.chapters import book_folder, find_parameters
from tutorials_lib.results import estimates, verdicts
from tutorials_lib.results.articles import ARTICLES
from tutorials_lib.results.estimates import Scores, join
from tutorials_lib.runs.profiles import PUBLISHED
from tutorials_lib.runs.records import (
    Record,
    find_path,
    flatten,
    published_records,
    write_words,
)
from tutorials_lib.runs.storage import write_changed
from tutorials_lib.support.page import fill

PAGES = ("scoreboard.md", "full_runs.md", "status.md", "what_to_use.md", "cards.txt")
# Where README.md has its table.
README_TABLE = re.compile(
    r"(<!-- Written by `tutorials scoreboard`.*?-->\n).*?(<!-- End -->)", re.S
)


def read_all_records() -> dict[str, list[Record]]:
    """Reads the published records of all chapters, at every profile."""
    return {
        chapter: [run for each in PUBLISHED for run in published_records(chapter, each)]
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
    book = book_folder()
    frames = {name: estimates.tabulate(group) for name, group in records.items()}
    ordered = {x: frames[x].sort_values(["variant", "seed"])["record"] for x in frames}
    numbers = verdicts.list_numbers(frames)
    claims = verdicts.judge_claims(frames)

    def measure(function, chapter, *rest):
        frame = frames[chapter]
        return verdicts.find_effect(frame, lambda runs: function(runs, *rest))[0]

    def measure_gain(chapter, variant, baseline, metric="test_accuracy", *other):
        pair = variant, baseline
        return measure(estimates.paired, chapter, metric, *pair, *other)

    fast = [run for run in records["cifar10_fast"] if run["profile"] == "laptop"]
    context: dict[str, Any] = {
        "articles": ARTICLES,
        "cards": {
            name: _describe_chapter(name, frame, numbers, claims)
            for name, frame in frames.items()
        },
        "claims": claims,
        "example": next(map(find_path, itertools.chain(*ordered.values())), ""),
        "find_path": find_path,
        "full": {chapter: _sum_up(frame) for chapter, frame in frames.items()},
        "gain": measure_gain,
        "name_metric": estimates.name_metric,
        "name_place": name_place,
        "name_section": name_section,
        "numbers": numbers,
        "pace": estimates.measure_pace(fast),
        "pages": {name: read_run(book / f"{name}.ipynb") for name in ARTICLES},
        "runs": {name: list(group) for name, group in ordered.items()},
        "say_devices": _say_devices,
        "score": functools.partial(measure, estimates.estimate),
        "totals": _say_totals(numbers, claims, frames),
        "verdicts": verdicts.VERDICTS,
    }

    def render(name):
        return templates.get_template(name).render(context).rstrip() + "\n"

    pages = {name: render(name) for name in PAGES}
    pages["totals.txt"] = context["totals"] + "\n"
    pages["_static/records.csv"] = _write_csv(records)
    table, readme = render("readme.md"), (book.parent / "README.md").read_text("utf-8")
    pages["../README.md"] = README_TABLE.sub(
        lambda marks: f"{marks[1]}\n{table}\n{marks[2]}", readme
    )
    return pages


def _describe_chapter(chapter, frame, numbers, claims):
    """Sums a chapter up for the first page: its answer, and counts of verdicts.

    The answer rests on the profile with more runs.
    """
    mine = [each for each in claims if each.claim.chapter == chapter]
    rows = [number for number in numbers if number.chapter == chapter]
    runs = frame[frame["profile"] == frame["profile"].mode().max()]
    answer = fill(
        ARTICLES[chapter]["answer"],
        claim={each.claim.name: each.ours for each in mine},
        test=Scores(runs),
        tta=Scores(runs, "tta_accuracy"),
    )
    return {
        "answer": answer or "Our runs are still to be made.",
        "verdicts": f"Published numbers: {_say_counts(rows, verdicts.VERDICTS)}. "
        f"Claims: {_say_counts(mine, verdicts.CLAIM_VERDICTS)}",
    }


def _say_totals(numbers, claims, frames):
    """Counts the verdicts on the published numbers and claims, and our runs."""
    hours = pd.concat(frame["hours"] for frame in frames.values())
    return (
        f"**{len(numbers)}** published numbers: "
        f"{_say_counts(numbers, verdicts.VERDICTS, '**')}. **{len(claims)}** claims: "
        f"{_say_counts(claims, verdicts.CLAIM_VERDICTS, '**')}. Our results rest on "
        f"**{len(hours)}** runs and {hours.sum():.0f} hours of computing."
    )


def _say_counts(judged, kinds, mark=""):
    """Says how many have each verdict; verdicts without any are left out."""
    counts = collections.Counter(each.verdict for each in judged)
    plural = {"agrees": "agree", "differs": "differ"}
    return ", ".join(
        f"{mark}{n}{mark} {name if n == 1 else plural.get(name, name)}"
        for name in kinds
        if (n := counts[name])
    )


def read_run(path: pathlib.Path) -> dict[str, str]:
    """Reads when an executed notebook was run, for how long, and on what.

    Returns `run`, `date`, `time`, `commit` and `versions` as text, "-" for those that
    the notebook does not give.
    """
    metadata = json.loads(path.read_text("utf-8"))["metadata"]
    found = dict.fromkeys(("run", "date", "time", "commit", "versions"), "-")
    if timing := metadata.get("papermill"):
        given = {**find_parameters(path), **timing["parameters"]}
        profile = given.pop("profile")
        changed = [f"{name} = {value}" for name, value in given.items() if value]
        found["run"] = ", ".join([profile, *changed])
        found["date"] = timing["end_time"][:10]
        found["time"] = f"{timing['duration'] / 60:.1f} minutes"
    return found | metadata.get("tutorials", {})


def name_place(run: Mapping[str, Any] | pd.Series) -> str:
    """Names the anchor of a variant's runs."""
    return write_words(f"{run['chapter']} {run['variant']}")


def name_section(title: str) -> str:
    """Names the anchor of a section, as Sphinx does."""
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")


def _sum_up(frame):
    """Returns a row of the status page for each profile: runs, seeds, dates, ..."""
    rows = []
    for profile, runs in frame.groupby("profile"):
        seeds, devices, commits = (join(runs[x]) for x in ("seed", "device", "commit"))
        row = [profile, len(runs), seeds, max(runs["date"])[:10]]
        rows.append([*row, f"{runs['hours'].sum():.1f}", devices, commits])
    return rows or [["-", 0, *["-"] * 5]]


def _say_devices(runs):
    """Names the devices of runs, without words that every processor's name has."""
    common = r"\((R|TM)\)| Processor| CPU| @.*"
    return join(re.sub(common, "", name) for name in runs["device"])


def _write_csv(records):
    runs = itertools.chain(*records.values())
    rows = [{**run, "parameters": json.dumps(run["parameters"])} for run in runs]
    table = flatten(rows, ("schema", "settings", "history", "metrics", "arrays"))
    return table.to_csv(index=False, lineterminator="\n")
