"""Tables of records: the article's number, ours beside it, and on what ours rest."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from tutorials_lib.runs.articles import ARTICLES, read_published
from tutorials_lib.runs.records import Record
from tutorials_lib.support.data import SPECIFICATIONS
from tutorials_lib.support.plots import show_intervals
from tutorials_lib.support.statistics import (
    MOST_VALUES,
    binomial_error,
    mean_interval,
    paired_difference,
)

OURS = "ours: mean ± 95% (seeds)"


def group_records(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Groups records by variant, in order of seeds.

    Returns:
        Dict of variant to a list of records; variants in order of appearance.

    Raises:
        ValueError: two records are of the same variant and seed, as when an old
            protocol's stand beside a new one's.
    """
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record["seed"]):
        group = groups.setdefault(record["variant"], [])
        if group and group[-1]["seed"] == record["seed"]:
            raise ValueError(
                f"records must hold each variant and seed once; got two of "
                f"{record['variant']!r}, seed {record['seed']}."
            )
        group.append(record)
    return groups


def read_metric(records: Iterable[Record], metric: str) -> list[float]:
    """Returns one metric of each record, as a list.

    `"seconds_per_epoch"` is the shortest epoch of a run: whatever else the machine
    does, and the compilation in the first, only lengthen one.
    """
    if metric == "seconds_per_epoch":
        seconds = [record["history"]["seconds"] for record in records]
        return [min(each) for each in seconds]
    return [record["metrics"][metric] for record in records]


def sum_hours(records: Iterable[Record]) -> float:
    """Returns how many hours runs took together."""
    return sum(record["timing"]["wall_seconds"] for record in records) / 3600


def read_commit(record: Record) -> str:
    """Returns the first digits of the commit that a run was made from."""
    return (record["git"]["commit"] or "unknown")[:10]


def join_values(records: Iterable[Record], read: Callable[[Record], object]) -> str:
    """Returns what a function reads from records as one text, each value once."""
    return ", ".join(sorted({str(read(record)) for record in records}))


def show_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Shows a table; the first column is text, the others stand to the right.

    Args:
        headers: Column titles.
        rows: Sequences of cells, each as long as `headers`.
    """
    lines = [headers, [":--"] + ["--:"] * (len(headers) - 1), *rows]
    _display("\n".join(f"| {' | '.join(map(str, row))} |" for row in lines))


def _display(text):
    """Shows Markdown in a notebook; elsewhere, as in a script, prints it."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(text, flush=True)
    else:
        ipython.display.display(ipython.display.Markdown(text))


def show_scores(records: Iterable[Record], metric: str) -> None:
    """Shows the mean of each variant, in percent, beside nothing else.

    For runs that are not the article's protocol and must not stand beside its numbers.

    Args:
        records: Records of one profile.
        metric: Name of the metric, for instance `"test_accuracy"`.
    """
    rows = [
        [variant, mean_interval(read_metric(group, metric)).format()]
        for variant, group in group_records(records).items()
    ]
    show_table([f"{metric.replace('_', ' ')}, %", OURS], rows)


def show_spread(
    records: Iterable[Record],
    metric: str,
    variants: Iterable[str],
    chapter: str | None = None,
) -> None:
    """Draws each variant's seeds, their mean and its interval, in percent.

    Args:
        records: Records of full runs.
        metric: Name of the metric, for instance `"test_accuracy"`.
        variants: Names of variants, from top to bottom; those not run are left out.
        chapter: Name of the chapter whose article's numbers stand beside; None draws
            ours alone.
    """
    groups = group_records(records)
    rows = {}
    for name in variants:
        if name in groups:
            percent = [100 * value for value in read_metric(groups[name], metric)]
            rows[name] = (percent, mean_interval(percent))
    if not rows:
        print("not run")
        return
    published = read_published(chapter, metric) if chapter else {}
    theirs = {name: 100 * value for name, value in published.items()}
    show_intervals(rows, f"{metric.replace('_', ' ')}, %", theirs)


def compare_scores(
    records: Iterable[Record],
    chapter: str,
    metric: str,
    variants: Iterable[str],
    digits: int = 2,
    scale: float = 100,
    unit: str | None = "%",
) -> None:
    """Shows the article's number and ours for each variant, in percent.

    Args:
        records: Records of full runs.
        chapter: Name of the chapter.
        metric: Name of the metric, for instance `"test_accuracy"`.
        variants: Names of variants, in the order of the rows.
        digits: Digits after the point.
        scale: What the numbers are multiplied by; 1 for those that are no shares.
        unit: Unit after that, or None.
    """
    published = read_published(chapter, metric)
    groups = group_records(records)
    rows = [
        (variant, published.get(variant), read_metric(groups.get(variant, []), metric))
        for variant in variants
    ]
    name = metric.replace("_", " ") + (f", {unit}" if unit else "")
    compare_numbers(name, rows, digits, scale)


def compare_numbers(
    title: str,
    rows: Iterable[tuple[str, float | None, Sequence[float]]],
    digits: int = 2,
    scale: float = 100,
) -> None:
    """Shows numbers of the article and ours.

    Args:
        title: What the numbers are, with their unit.
        rows: Sequence of (name, the article's number or None, list of ours by seed);
            an empty list is a row that was not run.
        digits: Digits after the point.
        scale: What the numbers are multiplied by; 1 for those that are no shares.
    """
    table = []
    for name, theirs, values in rows:
        row = [name, "-", "not run", "-"]
        if theirs is not None:
            row[1] = f"{scale * theirs:.{digits}f}"
        if values:
            ours = mean_interval(values)
            row[2] = ours.format(scale, digits)
            if theirs is not None:
                row[3] = f"{scale * (ours.mean - theirs):+.{digits}f}"
        table.append(row)
    show_table([title, "article (one run)", OURS, "difference"], table)


def show_differences(
    records: Iterable[Record], metric: str, baseline: str, variants: Iterable[str]
) -> None:
    """Shows each variant against a baseline, paired by seed, in points.

    Args:
        records: Records of one profile.
        metric: Name of the metric.
        baseline: Name of the variant to compare with.
        variants: Names of variants, in the order of the rows.
    """
    groups = group_records(records)
    rows = []
    for variant in variants:
        first, second = pair_scores(groups, metric, variant, baseline)
        if not first:
            rows.append([variant, "not run", "-"])
            continue
        interval, _ = paired_difference(first, second)
        zero = "no interval"
        if interval.half_width is not None:
            zero = "yes" if interval.holds(0) else "no"
        rows.append([variant, interval.format(), zero])
    title = f"{metric.replace('_', ' ')} minus that of {baseline}"
    show_table([title, "points: mean ± 95% (pairs)", "interval holds zero"], rows)


def pair_scores(
    groups: Mapping[str, Iterable[Record]], metric: str, first: str, second: str
) -> tuple[list[float], list[float]]:
    """Returns the scores of two variants for the seeds that both were run with."""
    scores = [
        {record["seed"]: record["metrics"][metric] for record in groups.get(name, [])}
        for name in (first, second)
    ]
    seeds = sorted(scores[0].keys() & scores[1].keys())
    return [scores[0][seed] for seed in seeds], [scores[1][seed] for seed in seeds]


def show_provenance(records: Sequence[Record]) -> None:
    """Shows on what the records rest: how many, when, with what, how long."""
    if not records:
        print("No records of full runs are here yet.")
        return

    def collect(read):
        return join_values(records, read)

    titles = {name: each.title for name, each in SPECIFICATIONS.items()}
    dates = sorted(record["date"][:10] for record in records)
    cores = collect(lambda record: record["environment"]["cores"])
    versions = ("keras", "jax", "tensorflow", "python")
    rows = [
        ["runs", len(records)],
        ["seeds", collect(lambda record: record["seed"])],
        ["dates", " to ".join(sorted({dates[0], dates[-1]}))],
        ["images", collect(lambda record: titles[record["data"]["name"]])],
        ["SHA-256", collect(lambda record: record["data"]["sha256"][:16])],
        ["backend", collect(lambda record: record["environment"]["backend"])],
        ["device", collect(lambda record: record["environment"]["device"])],
        ["cores a run", cores],
        ["time in all", f"{sum_hours(records):.1f} h"],
        ["commit", collect(read_commit)],
    ]
    for name in versions:
        rows.append(
            [
                name,
                collect(
                    lambda record, name=name: record["environment"]["versions"].get(
                        name, "none"
                    )
                ),
            ]
        )
    show_table(["full runs", "on record"], rows)


def print_gap(
    records: Iterable[Record], chapter: str, metric: str, first: str, second: str
) -> None:
    """Prints how two variants differ, the article's way and ours, in points.

    The article's gap is of one run each. Ours is the mean over pairs of runs with the
    same seed, with Student's 95% interval and the paired t-test of no difference. The
    article's gap belongs in the wider interval for one more pair.

    Args:
        records: Records of one profile.
        chapter: Name of the chapter.
        metric: Name of a metric that the article prints.
        first: Name of a variant.
        second: Name of the variant to subtract.
    """
    published = read_published(chapter, metric)
    theirs = published[first] - published[second]
    n = SPECIFICATIONS[ARTICLES[chapter]["dataset"]].test_images
    error = math.hypot(*(binomial_error(published[x], n) for x in (first, second)))
    print(f"the article's gap, {first} minus {second}: {100 * theirs:+.2f} points,")
    print(f"standard error {100 * error:.2f} if the two nets err independently")
    pairs = pair_scores(group_records(records), metric, first, second)
    if not pairs[0]:
        print("our gap: no pair of full runs is here yet")
        return
    interval, p_value = paired_difference(*pairs)
    print(f"our gap: {100 * interval.mean:+.3f} points, pairs of runs: {interval.n}")
    if interval.half_width is None:
        print("one pair gives no interval: it takes more seeds to answer")
        return
    if p_value is None:
        print("all pairs differ alike, which gives no interval")
        return
    print(f"95% interval of the mean: {_say_bounds(interval)}")
    print(f"p = {p_value:.3f}; the interval holds zero: {interval.holds(0)}")
    one_more = interval.predict_one_more()
    print(f"95% interval for one more pair: {_say_bounds(one_more)}")
    print(f"it holds the article's gap: {one_more.holds(theirs)}")
    number = interval.count_to_tell(abs(theirs))
    needed = f"about {number:,}" if number else f"more than {MOST_VALUES:,}"
    print(f"pairs to tell a gap of the article's size from zero: {needed}")


def _say_bounds(interval):
    return f"{100 * interval.low:+.3f} to {100 * interval.high:+.3f}"
