"""Tables and sentences that chapters make from records.

Rows without a record are left out; a table without rows becomes one line that says so.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy import integrate, stats

from tutorials_lib.results.articles import ARTICLES, find_published, read_published
from tutorials_lib.results.estimates import (
    MOST_PAIRS,
    Estimate,
    Records,
    count_pairs,
    estimate,
    join,
    name_metric,
    paired,
    read_scores,
    tabulate,
)
from tutorials_lib.runs.profiles import is_comparable
from tutorials_lib.support.data import SPECIFICATIONS
from tutorials_lib.support.page import NO_RUNS, show_table, show_text
from tutorials_lib.support.statistics import binomial_error

# Names of variants, or a row's title with the variant, or with (variant, metric).
Rows = Iterable[str] | Mapping[str, str | tuple[str, str]]

# Name of a variant to compare with the baseline, or (variant, another baseline).
Pair = str | tuple[str, str]

OURS = "ours: mean ± 95% (seeds)"
# If a table has more intervals than this, a line says how many miss by chance.
MANY = 5


def place_beside(
    records: Records, metric: str, rows: Rows | None
) -> list[tuple[str, Estimate, float | None]]:
    """Returns (title, ours, the article's number) for each row that has runs.

    The article's number is None if it prints none or ours is of another protocol. Its
    seconds are left out too, because they were measured on another device.
    """
    frame, found = tabulate(records), []
    cells = zip(frame["chapter"], frame["profile"], strict=True)
    alike = all(is_comparable(*each) for each in cells)
    rows = frame["variant"].unique() if rows is None else rows
    named = rows if isinstance(rows, Mapping) else {name: name for name in rows}
    for title, what in named.items():
        variant, name = (what, metric) if isinstance(what, str) else what
        if ours := estimate(frame, name, variant):
            theirs = find_published(frame["chapter"].iloc[0], variant, name)
            beside = alike and not metric.startswith("seconds")
            found.append((title, ours, theirs if beside else None))
    return found


def compare(
    records: Records, metric: str, rows: Rows | None = None, digits: int | None = None
) -> None:
    """Shows variants with the article's number, ours, and the difference.

    The article's numbers are shown only for runs by its own protocol, its seconds
    never. If there are none, there is no such column.

    Args:
        records: Records of one chapter and profile.
        metric: Name of the metric, for instance `"test_accuracy"`.
        rows: Variants in the order of the rows; or a dict of title to variant, or to
            (variant, metric). None shows all.
        digits: Digits after the point, if not the usual ones for the metric.
    """
    frame, lines = tabulate(records), []
    for title, ours, theirs in place_beside(frame, metric, rows):
        if digits is not None:
            ours = dataclasses.replace(ours, digits=digits)
        line = [title, "", f"{ours:cell}", ""]
        if theirs is not None:
            line[1::2] = ours.write(theirs), ours.write(ours.mean - theirs, "+")
        lines.append(line)
    runs = join(ARTICLES[name].get("runs", "one run") for name in frame["chapter"])
    headers = [name_metric(metric), f"article ({runs})", OURS, "difference"]
    if not any(line[1] for line in lines):
        headers, lines = headers[::2], [line[::2] for line in lines]
    show_table(headers, lines)


def show_metrics(
    records: Records, metrics: Mapping[str, str], variants: Iterable[str] | None = None
) -> None:
    """Shows several metrics, a dict of column to name, of each variant over seeds."""
    frame, lines = tabulate(records), []
    for variant in frame["variant"].unique() if variants is None else variants:
        cells = [estimate(frame, metric, variant) for metric in metrics.values()]
        if any(cells):
            means = [f"{cell:mean}" if cell else "" for cell in cells]
            lines.append([variant, *means, (frame["variant"] == variant).sum()])
    show_table(["means over seeds", *metrics, "seeds"], lines)


def show_differences(
    records: Records, metric: str, baseline: str, variants: Iterable[Pair]
) -> None:
    """Shows each variant against a baseline, paired by seed, in the order given."""
    frame, lines = tabulate(records), []
    for each in variants:
        variant, other = (each, baseline) if isinstance(each, str) else each
        if gain := paired(frame, metric, variant, other):
            zero = "yes" if gain.holds(0) else "no"
            if gain.half_width is None:
                zero = "one pair gives no interval"
            name = variant if other == baseline else f"{variant} minus {other}"
            lines.append([name, f"{gain:cell}", zero])
    unit = "points" if metric.endswith("accuracy") else "difference"
    title = f"{metric.replace('_', ' ')} minus that of {baseline}"
    show_table([title, f"{unit}: mean ± 95% (pairs)", "interval contains zero"], lines)
    judged = sum(zero in ("yes", "no") for *_, zero in lines)
    if judged > MANY:
        show_text(
            f"Even if none of these {judged} truly differed, about one row in twenty "
            f"would say `no`: {0.05 * judged:.1f} of them on average."
        )


def find_error(chapter: str, accuracy: float) -> float:
    """Computes the standard error of an article's accuracy on its test images."""
    images = SPECIFICATIONS[ARTICLES[chapter]["dataset"]].test_images
    return binomial_error(accuracy, images)


def show_gap(records: Records, metric: str, variant: str, baseline: str) -> None:
    """Shows how two variants differ, in the article's one pair and in ours, in points.

    The article's are those of the same names, apart from the `suffix` of ours.
    """
    frame, lines = tabulate(records), []
    if gain := paired(frame, metric, variant, baseline):
        gain = dataclasses.replace(gain, digits=3)
        chapter = frame["chapter"].iloc[0]
        numbers = read_published(chapter, metric)
        suffix = ARTICLES[chapter].get("suffix", "")
        first, second = (numbers[x.removesuffix(suffix)] for x in (variant, baseline))
        error = math.hypot(find_error(chapter, first), find_error(chapter, second))
        error_title = "its standard error, if both networks err independently"
        lines = [
            ["article, one pair", gain.write(first - second)],
            [error_title, gain.write(error, "")],
            [f"ours, mean of {gain.n} pairs", f"{gain:mean}"],
        ]
    if gain and gain.half_width is not None:
        spread = float(np.std(gain.values, ddof=1))
        number = count_pairs(first - second, spread)
        needed = f"about {number:,}" if number else f"more than {MOST_PAIRS:,}"
        chance = "-" if gain.p_value is None else f"{gain.p_value:.3f}"
        lines += [
            ["95% interval of the mean", f"{gain:range}"],
            ["p-value, paired t-test", chance],
            ["95% interval for one more pair", f"{gain.predict_one_more():range}"],
            ["estimated standard deviation of the pairs", gain.write(spread, "")],
            ["pairs needed to see the article's gap (80% power, this spread)", needed],
        ]
    show_table([f"{variant} minus {baseline}", "points"], lines)


def expect_range(number: int) -> float:
    """Returns the mean range of so many standard normal values: 2.85 for eight."""

    def density(x):
        return 1 - stats.norm.cdf(x) ** number - stats.norm.sf(x) ** number

    return integrate.quad(density, -10, 10)[0]


def show_range(records: Records, metric: str, variants: Iterable[str]) -> None:
    """Shows the range of the scores beside the range of equally good networks.

    If all were equally good, the third column would be their range on average, and the
    last one an upper limit in 95% of cases, by the studentised range. The spread of
    equal runs is that of a variant's seeds, of which it takes those with several.
    """
    frame = tabulate(records)
    scores = {name: read_scores(frame, metric, name) for name in variants}
    scores = {name: each for name, each in scores.items() if len(each) > 1}
    if not scores:
        show_text(NO_RUNS)
        return
    chapter = frame["chapter"].iloc[0]
    numbers = read_published(chapter, metric)
    theirs = [numbers[name] for name in scores if name in numbers]
    runs = pd.DataFrame(each.agg(["size", "mean", "var"]) for each in scores.values())
    seeds, ours = runs["size"], runs["mean"]
    free = (seeds - 1).sum()
    spread = math.sqrt(((seeds - 1) * runs["var"]).sum() / free)
    of_means = spread / math.sqrt(stats.hmean(seeds))
    lines = []
    for title, values, scale in (
        (f"article, {len(theirs)} runs", theirs, spread),
        (f"ours, {len(ours)} means", ours, of_means),
    ):
        number = len(values)
        limit = stats.studentized_range.ppf(0.95, number, free)
        sizes = np.ptp(values), expect_range(number) * scale, limit * scale
        lines.append([title, *(f"{100 * size:.2f}" for size in sizes)])
    titles = ["range, points", "found", "mean if all equal", "95% limit if all equal"]
    show_table(titles, lines)


@dataclasses.dataclass(frozen=True)
class Step:
    """A row of `show_costs`.

    Attributes:
        variant: Name of the variant that was scored.
        flops: Operations of the network's forward pass on one image.
        metric: Its score.
        draws: How many versions of each test image the network classifies.
        members: How many networks are trained.
        trained: The variant whose runs give the cost, if it is another one.
    """

    variant: str
    flops: float
    metric: str = "test_accuracy"
    draws: int = 1
    members: int = 1
    trained: str | None = None


def show_costs(records: Records, steps: Mapping[str, Step]) -> None:
    """Shows what each step costs: training, and classifying all test images.

    A training step counts as three forward passes. Time is given as a multiple of the
    first row's, and only if all rows ran on the same device.
    """
    frame = tabulate(records)
    lines, devices, best, first = [], set(), None, None
    for title, step in steps.items():
        ours = estimate(frame, step.metric, step.variant)
        runs = frame[frame["variant"] == (step.trained or step.variant)]
        if ours is None or runs.empty:
            continue
        devices.add(tuple(runs.iloc[0][["device", "cores"]]))
        history, data = (runs.iloc[0]["record"][part] for part in ("history", "data"))
        passes = 3 * len(history["loss"]) * data["train_images"]
        passes += step.draws * data["test_images"]
        cost = step.members * step.flops * passes / 1e15
        seconds = sum(history["seconds"])
        seconds += sum(history.get("tta_seconds", [])) if step.draws > 1 else 0
        seconds *= step.members
        best, first = best or (ours.mean, cost), first or seconds
        # A row that does not beat all rows before it has no price.
        price, gain = "", 100 * (ours.mean - best[0])
        if gain > 0:
            price, best = f"{(cost - best[1]) / gain:.2g}", (ours.mean, cost)
        cells = [title, f"{ours:mean}", f"{cost:.3g}", price, f"{seconds / first:.1f}"]
        lines.append(cells)
    titles = ["step", "accuracy, %", "PFLOP", "PFLOP per point", "time, first = 1"]
    if len(devices) > 1:
        titles, lines = titles[:-1], [line[:-1] for line in lines]
    show_table(titles, lines)


def show_provenance(records: Records) -> None:
    """Shows what the records rest on: how many runs, when, on what, and how long."""
    frame = tabulate(records)
    if frame.empty:
        show_text(NO_RUNS)
        return
    table = pd.json_normalize(list(frame["record"]))
    dates = sorted(frame["date"].str[:10])
    rows: list[list[object]] = [
        ["profile", join(frame["profile"])],
        ["runs", len(frame)],
        ["seeds", join(frame["seed"])],
        ["dates", " to ".join(dict.fromkeys((dates[0], dates[-1])))],
        ["images", join(SPECIFICATIONS[name].title for name in table["data.name"])],
        ["SHA-256", join(table["data.sha256"].str[:16])],
        ["backend", join(table["environment.backend"])],
        ["device", join(frame["device"])],
        ["cores per run", join(frame["cores"])],
        ["total time", f"{frame['hours'].sum():.1f} h"],
        ["commit", join(frame["commit"])],
    ]
    for name in ("keras", "jax", "tensorflow", "python"):
        if (column := f"environment.versions.{name}") in table:
            rows.append([name, join(table[column].dropna())])
    notes = list(table.get("note", pd.Series(dtype="object")).dropna())
    for note in dict.fromkeys(notes):
        n = notes.count(note)
        rows.append([f"note on {n} run{'s' * (n > 1)}", note])
    show_table(["published runs", "on record"], rows)
