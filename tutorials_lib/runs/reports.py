"""Tables and sentences that chapters make from records.

Rows without a record are left out; a table without rows becomes one line that says so.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from scipy import integrate, stats

from tutorials_lib.runs.articles import ARTICLES, find_published, read_published
from tutorials_lib.runs.estimates import (
    MOST_PAIRS,
    NO_RUNS,
    Records,
    count_pairs,
    estimate,
    name_metric,
    paired,
    read_scores,
    show_table,
    show_text,
    tabulate,
)
from tutorials_lib.runs.profiles import is_comparable
from tutorials_lib.runs.schema import Record
from tutorials_lib.support.data import SPECIFICATIONS
from tutorials_lib.support.statistics import binomial_error

# Names of variants, or a row's title with the variant, or with (variant, metric).
Rows = Iterable[str] | Mapping[str, str | tuple[str, str]]

OURS = "ours: mean ± 95% (seeds)"
# If a table has more intervals than this, a line says how many miss by chance.
MANY = 5


def list_rows(rows: Rows | None, metric: str, records: Records) -> list[tuple]:
    """Returns a list of (title, variant, metric) for each row that was asked for."""
    rows = tabulate(records)["variant"].unique() if rows is None else rows
    named = rows.items() if isinstance(rows, Mapping) else ((row, row) for row in rows)
    return [
        (title, what, metric) if isinstance(what, str) else (title, *what)
        for title, what in named
    ]


def stand_beside(frame: pd.DataFrame) -> bool:
    """Tells whether runs may be compared with the article's numbers."""
    cells = zip(frame["chapter"], frame["profile"], strict=True)
    return len(frame) > 0 and all(is_comparable(*each) for each in cells)


def compare(
    records: Records, metric: str, rows: Rows | None = None, digits: int | None = None
) -> None:
    """Shows variants with the article's number, ours, and the difference.

    The article's numbers are shown only for runs by its own protocol. Its seconds are
    never shown, because they were measured on another device. If the article has none
    of the numbers, there is no such column.

    Args:
        records: Records of one chapter and profile.
        metric: Name of the metric, for instance `"test_accuracy"`.
        rows: Variants in the order of the rows; or a dict of title to variant, or to
            (variant, metric). None shows all.
        digits: Digits after the point, if not the usual ones for the metric.
    """
    frame = tabulate(records)
    beside = stand_beside(frame) and not metric.startswith("seconds")
    chapter = "" if frame.empty else frame["chapter"].iloc[0]
    lines = []
    for title, variant, name in list_rows(rows, metric, frame):
        ours = estimate(frame, name, variant)
        if ours is None:
            continue
        if digits is not None:
            ours = dataclasses.replace(ours, digits=digits)
        theirs = find_published(chapter, variant, name) if beside else None
        line = [title, "", f"{ours:cell}", ""]
        if theirs is not None:
            line[1] = ours.write(theirs)
            line[3] = ours.write(ours.mean - theirs, "+")
        lines.append(line)
    said = "one run" if frame.empty else ARTICLES[chapter].get("runs", "one run")
    headers = [name_metric(metric), f"article ({said})", OURS, "difference"]
    if not any(line[1] for line in lines):
        headers, lines = headers[::2], [line[::2] for line in lines]
    show_table(headers, lines)


def show_metrics(
    records: Records, metrics: Mapping[str, str], rows: Rows | None = None
) -> None:
    """Shows several metrics, a dict of column to name, of each variant over seeds."""
    frame, lines = tabulate(records), []
    for title, variant, _ in list_rows(rows, "", frame):
        cells = [estimate(frame, metric, variant) for metric in metrics.values()]
        if any(cells):
            number = int((frame["variant"] == variant).sum())
            means = [f"{cell:mean}" if cell else "" for cell in cells]
            lines.append([title, *means, number])
    show_table(["means over seeds", *metrics, "seeds"], lines)


def show_differences(
    records: Records,
    metric: str,
    baseline: str,
    variants: Iterable[str | tuple[str, str]],
) -> None:
    """Shows each variant against a baseline, paired by seed.

    Variants are names in the order of the rows; (variant, another baseline) compares
    with that one.
    """
    frame = tabulate(records)
    lines = []
    for variant in variants:
        pair = (variant, baseline) if isinstance(variant, str) else variant
        gain = paired(frame, metric, *pair)
        if gain is None:
            continue
        zero = "one pair gives no interval"
        if gain.half_width is not None:
            zero = "yes" if gain.holds(0) else "no"
        name = pair[0] if pair[1] == baseline else " minus ".join(pair)
        lines.append([name, f"{gain:cell}", zero])
    unit = "points" if metric.endswith("accuracy") else "difference"
    title = f"{metric.replace('_', ' ')} minus that of {baseline}"
    show_table([title, f"{unit}: mean ± 95% (pairs)", "interval contains zero"], lines)
    if len(lines) > MANY:
        show_text(
            f"Even if none of these {len(lines)} truly differed, about one row in "
            f"twenty would say `no`: {0.05 * len(lines):.1f} of them on average."
        )


def show_gap(
    records: Records,
    metric: str,
    variant: str,
    baseline: str,
    published: tuple[str, str] | None = None,
) -> None:
    """Shows how two variants differ, in the article's one pair and in ours, in points.

    `published` names the article's pair if its names differ from ours.
    """
    frame = tabulate(records)
    gain = paired(frame, metric, variant, baseline)
    if gain is None:
        show_text(NO_RUNS)
        return
    chapter = frame["chapter"].iloc[0]
    names = published or (variant, baseline)
    first, second = (read_published(chapter, metric)[name] for name in names)
    theirs = first - second
    images = SPECIFICATIONS[ARTICLES[chapter]["dataset"]].test_images
    error = math.hypot(*(binomial_error(value, images) for value in (first, second)))
    gain = dataclasses.replace(gain, digits=3)
    lines = [
        ["article, one pair", gain.write(theirs)],
        [
            "its standard error, if both networks err independently",
            gain.write(error, ""),
        ],
        [f"ours, mean of {gain.n} pairs", f"{gain:mean}"],
    ]
    if gain.half_width is not None:
        spread = float(np.std(gain.values, ddof=1))
        number = count_pairs(theirs, spread)
        needed = f"about {number:,}" if number else f"more than {MOST_PAIRS:,}"
        lines += [
            ["95% interval of the mean", f"{gain:range}"],
            ["95% interval for one more pair", f"{gain.predict_one_more():range}"],
            ["estimated standard deviation of the pairs", gain.write(spread, "")],
            ["pairs needed to see the article's gap (80% power, this spread)", needed],
        ]
        if gain.p_value is not None:
            lines.insert(4, ["p-value, paired t-test", f"{gain.p_value:.3f}"])
    show_table([f"{variant} minus {baseline}", "points"], lines)


def expect_range(number: int) -> float:
    """Returns the mean range of so many standard normal values: 2.85 for eight."""

    def density(x):
        return 1 - stats.norm.cdf(x) ** number - stats.norm.sf(x) ** number

    return float(integrate.quad(density, -10, 10)[0])


def show_range(records: Records, metric: str, variants: Iterable[str]) -> None:
    """Shows the range of the scores beside the range of equally good networks.

    If all were equally good, the third column would be their range on average, and the
    last one an upper limit in 95% of cases, by the studentised range. Variants with
    several seeds give the spread of runs of one variant.
    """
    frame = tabulate(records)
    ours = {name: read_scores(frame, metric, name) for name in variants}
    ours = {name: scores for name, scores in ours.items() if len(scores) > 1}
    if not ours:
        show_text(NO_RUNS)
        return
    chapter = frame["chapter"].iloc[0]
    images = SPECIFICATIONS[ARTICLES[chapter]["dataset"]].test_images
    found = [find_published(chapter, name, metric) for name in ours]
    theirs = [value for value in found if value is not None]
    degrees = sum(len(scores) - 1 for scores in ours.values())
    spread = math.sqrt(
        sum((len(scores) - 1) * scores.var() for scores in ours.values()) / degrees
    )
    seeds = stats.hmean([len(scores) for scores in ours.values()])
    means = [scores.mean() for scores in ours.values()]
    error = binomial_error(float(np.mean(theirs)), images)
    article, of_means = f"article, {len(theirs)} runs", spread / math.sqrt(seeds)
    cases = [
        (f"{article}; spread if each had its own test images", theirs, error, math.inf),
        (f"{article}; spread of our seeds", theirs, spread, degrees),
        (f"ours, {len(means)} means; spread of our seeds", means, of_means, degrees),
    ]
    lines = []
    for title, values, scale, free in cases:
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
        record = runs.iloc[0]["record"]
        history, data = record["history"], record["data"]
        passes = 3 * len(history["loss"]) * data["train_images"]
        passes += step.draws * data["test_images"]
        cost = step.members * step.flops * passes / 1e15
        seconds = sum(history["seconds"])
        seconds += sum(history.get("tta_seconds", [])) if step.draws > 1 else 0
        seconds *= step.members
        first = first or seconds
        price, accuracy = "", 100 * ours.mean
        # A row that does not beat all rows before it has no price.
        if best is not None and accuracy > best[0]:
            price = f"{(cost - best[1]) / (accuracy - best[0]):.2g}"
        if best is None or accuracy > best[0]:
            best = accuracy, cost
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

    def collect(read: Callable[[Record], object]) -> str:
        found = {str(read(record)) for record in frame["record"]}
        return ", ".join(sorted(found))

    dates = sorted(frame["date"].str[:10])
    rows: list[list[object]] = [
        ["profile", collect(lambda x: x["profile"])],
        ["runs", len(frame)],
        ["seeds", collect(lambda x: x["seed"])],
        ["dates", " to ".join(sorted({dates[0], dates[-1]}))],
        ["images", collect(lambda x: SPECIFICATIONS[x["data"]["name"]].title)],
        ["SHA-256", collect(lambda x: x["data"]["sha256"][:16])],
        ["backend", collect(lambda x: x["environment"]["backend"])],
        ["device", collect(lambda x: x["environment"]["device"])],
        ["cores per run", collect(lambda x: x["environment"]["cores"])],
        ["total time", f"{frame['hours'].sum():.1f} h"],
        ["commit", ", ".join(sorted(set(frame["commit"])))],
    ]
    for name in ("keras", "jax", "tensorflow", "python"):
        versions = (each["environment"]["versions"] for each in frame["record"])
        if found := sorted({each[name] for each in versions if name in each}):
            rows.append([name, ", ".join(found)])
    notes = [each["note"] for each in frame["record"] if "note" in each]
    for note in dict.fromkeys(notes):
        n = notes.count(note)
        rows.append([f"note on {n} run{'s' * (n > 1)}", note])
    show_table(["published runs", "on record"], rows)
