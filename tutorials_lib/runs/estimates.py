"""Means of runs with their intervals, differences of pairs, and how they are shown.

Every function takes records: a list of them, as `published_records` and the grid return
it, or a frame from `tabulate`.
"""

import dataclasses
import math
import sys
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy import integrate, stats

from tutorials_lib.runs.records import Record
from tutorials_lib.support.checks import check_choice
from tutorials_lib.support.statistics import Interval, mean_interval, paired_difference

Records: TypeAlias = Iterable[Record] | pd.DataFrame
NO_RUNS = "These runs have not been made yet; see Running the full book."
# Nobody makes more pairs of runs than this.
MOST_PAIRS = 10_000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval, and how it is written.

    In text, `f"{gain}"` gives `+3.12 ± 0.40 points (3 seeds)`. A format picks a part:
    `{gain:short}` `+3.12 ± 0.40`, `{gain:mean}` `+3.12`, `{gain:range}`
    `+2.72 to +3.52`, `{gain:n}` `3 seeds`, and `{gain:cell}` `+3.12 ± 0.40 (3)`.
    `{gain:judged}` adds to the first what the interval says: `a gain`, `a loss`,
    `which may be chance`, or that one pair gives no verdict.

    Attributes:
        interval: Mean, half-width and number of values, as they were measured.
        scale: What they are multiplied by when written.
        digits: Digits after the point.
        unit: Unit after the number, or an empty string.
        signed: Whether a plus sign is written.
        p_value: Of the paired t-test of no difference; None if there is none.
        counted: What n counts, in the singular.
        values: The scores or differences behind the mean, if they are known.
    """

    interval: Interval
    scale: float = 1
    digits: int = 4
    unit: str = ""
    signed: bool = False
    p_value: float | None = None
    counted: str = "seed"
    values: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The mean as measured: an accuracy from 0 to 1."""
        return self.interval.mean

    def predict_one_more(self) -> "Estimate":
        """Returns the same with the interval of one more value."""
        return dataclasses.replace(self, interval=self.interval.predict_one_more())

    def write(self, value: float, sign: str | None = None) -> str:
        """Writes another value with the same scale and digits, without its unit."""
        sign = ("+" if self.signed else "") if sign is None else sign
        # Adding 0 turns what rounds to minus zero into zero.
        return f"{round(self.scale * value, self.digits) + 0.0:{sign},.{self.digits}f}"

    def __str__(self) -> str:
        return format(self)

    def __format__(self, part: str) -> str:
        interval = self.interval
        unit = self.unit if self.unit in ("", "%") else f" {self.unit}"
        mean = self.write(interval.mean)
        half = interval.half_width
        short = mean if half is None else f"{mean} ± {self.write(half, '')}"
        count = f"{interval.n:,} {self.counted}{'s' * (interval.n != 1)}"
        parts = {
            "": f"{short}{unit} ({count})",
            "mean": mean,
            "short": short,
            "range": f"{self.write(interval.low)} to {self.write(interval.high)}",
            "n": count,
            "cell": f"{short} ({interval.n:,})",
        }
        verdict = "a gain" if interval.mean > 0 else "a loss"
        if half is None:
            verdict = "a single pair, so no verdict"
        elif interval.holds(0):
            verdict = "which may be chance"
        parts["judged"] = f"{parts['']}, {verdict}"
        return parts[check_choice("format", part, parts)]


def describe_metric(metric: str) -> tuple[float, int, str]:
    """Says how a metric is written: scale, digits and unit."""
    if metric.startswith("seconds"):
        return 1, 1, "s"
    if metric.endswith("accuracy"):
        return 100, 2, "%"
    if metric.endswith(("_kept", "images", "steps")):
        return 1, 0, ""
    return 1, 4, ""


def name_metric(metric: str) -> str:
    """Writes a metric's name with its unit, as the title of a column or an axis."""
    unit = describe_metric(metric)[2]
    return metric.replace("_", " ") + (f", {unit}" if unit else "")


def tabulate(records: Records) -> pd.DataFrame:
    """Makes a frame of records, one row per run, to group and to compute with.

    Columns are chapter, variant, seed, profile, date, device, cores, hours, commit,
    each metric, `seconds_per_epoch` (of the shortest epoch, because other work on the
    machine only lengthens epochs), and the whole `record`.
    """
    if isinstance(records, pd.DataFrame):
        return records
    columns = ["chapter", "variant", "seed", "profile"]
    rows = [
        {
            **{name: record[name] for name in [*columns, "date"]},
            **{name: record["environment"][name] for name in ("device", "cores")},
            "hours": record["timing"]["wall_seconds"] / 3600,
            "commit": (record["git"]["commit"] or "unknown")[:10],
            # An ensemble trains nothing and has no epochs.
            "seconds_per_epoch": min(record["history"].get("seconds") or [math.nan]),
            **record["metrics"],
            "record": record,
        }
        for record in records
    ]
    frame = pd.DataFrame(rows, columns=None if rows else [*columns, "record"])
    twice = frame[frame.duplicated(columns)]
    if len(twice):
        raise ValueError(
            f"records must hold each variant and seed once; got two of "
            f"{twice.iloc[0]['variant']!r}, seed {twice.iloc[0]['seed']}."
        )
    return frame.sort_values("seed", kind="stable")


def read_scores(records: Records, metric: str, variant: str) -> pd.Series:
    """Returns one metric of a variant's runs, by seed; empty where there are none."""
    frame = tabulate(records)
    if metric not in frame:
        return pd.Series(dtype="float64")
    return frame[frame["variant"] == variant].set_index("seed")[metric].dropna()


def estimate(records: Records, metric: str, variant: str) -> Estimate | None:
    """Estimates the mean of a variant's metric over seeds; None without a run."""
    scores = read_scores(records, metric, variant)
    if scores.empty:
        return None
    interval, values = mean_interval(scores), tuple(scores)
    return Estimate(interval, *describe_metric(metric), values=values)


def paired(
    records: Records,
    metric: str,
    variant: str,
    baseline: str,
    baseline_metric: str | None = None,
) -> Estimate | None:
    """Estimates how much higher a variant scores than another, over pairs of runs.

    Runs of the same seed make a pair. The baseline may have another metric.
    """
    first = read_scores(records, metric, variant)
    second = read_scores(records, baseline_metric or metric, baseline)
    seeds = first.index.intersection(second.index)
    if seeds.empty:
        return None
    interval, p_value = paired_difference(first[seeds], second[seeds])
    scale, digits, unit = describe_metric(metric)
    unit = "points" if unit == "%" else unit
    values = tuple(first[seeds] - second[seeds])
    return Estimate(interval, scale, digits, unit, True, p_value, values=values)


def measure_pace(records: Iterable[Record]) -> tuple[float | None, str]:
    """Measures how many minutes a PFLOP of training takes, and on what.

    It takes the fastest run, because other work on a machine only lengthens runs; and
    of that the median epoch, because an interrupted one says nothing about the pace.
    All runs need the metric `pflop`. Returns the minutes and "NAME, 2 cores", or None
    and "" without records.
    """

    def measure(run):
        seconds = run["history"]["seconds"]
        return np.median(seconds) * len(seconds) / (60 * run["metrics"]["pflop"])

    fastest = min(records, key=measure, default=None)
    if fastest is None:
        return None, ""
    machine = fastest["environment"]
    cores = f"{machine['cores']} core{'s' * (machine['cores'] > 1)}"
    return float(measure(fastest)), f"{machine['device']}, {cores}"


def ratio(
    records: Records, metric: str, variant: str, baseline: str
) -> Estimate | None:
    """Estimates a metric of a variant as a multiple of another's, over pairs of runs.

    Pairs that ran on different devices are left out, so that seconds can be compared.
    """
    frame = tabulate(records)
    if metric not in frame:
        return None
    alike = ["seed", "device", "cores"]
    first, second = (
        frame[frame["variant"] == name][[*alike, metric]].dropna()
        for name in (variant, baseline)
    )
    pairs = first.merge(second, on=alike)
    if pairs.empty:
        return None
    ratios = pairs[f"{metric}_x"] / pairs[f"{metric}_y"]
    return Estimate(mean_interval(ratios), 1, 2, "times")


def bootstrap_gain(right: np.ndarray, members_right: np.ndarray) -> Estimate:
    """Estimates by how much an ensemble beats the mean of its members.

    There is only one: the interval says how far the gain may move with other test
    images, and nothing about other seeds. The arrays (images) and (members, images)
    have a 1 for each image that is classified correctly, else 0.
    """
    differences = right - members_right.mean(axis=0)
    rng = np.random.default_rng(0)
    means = [rng.choice(differences, len(differences)).mean() for _ in range(2000)]
    low, high = np.quantile(means, [0.025, 0.975])
    interval = Interval(differences.mean(), (high - low) / 2, len(differences))
    return Estimate(interval, 100, 2, "points", True, None, "test image")


def count_pairs(gap: float, spread: float) -> int | None:
    """Says how many pairs of runs it takes to tell a gap from zero.

    The gap is the true mean difference, the spread the standard deviation of the
    differences, itself an estimate. In 80% of such experiments the 95% interval then
    excludes zero. None means more than `MOST_PAIRS`.
    """
    if spread == 0:
        return 2
    n = np.arange(2, MOST_PAIRS + 1)
    edge, shift = stats.t.ppf(0.975, n - 1), abs(gap) / spread * np.sqrt(n)
    enough = n[stats.nct.sf(edge, n - 1, shift) >= 0.8]
    return int(enough[0]) if len(enough) else None


def expect_range(number: int) -> float:
    """Returns the mean range of so many standard normal values: 2.85 for eight."""

    def density(x):
        return 1 - stats.norm.cdf(x) ** number - stats.norm.sf(x) ** number

    return float(integrate.quad(density, -10, 10)[0])


def show_text(text: str) -> None:
    """Shows Markdown in a notebook; elsewhere, as in a script, prints it."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(text, flush=True)
    else:
        ipython.display.display(ipython.display.Markdown(text))


def say(*templates: str, **values: object) -> None:
    """Shows sentences with numbers in them; one whose number is missing is left out.

    A format picks a part of an `Estimate`: `"Augmentation gains {gain:mean} points."`
    A value of None means that the runs have not been made.
    """
    known = {name: value for name, value in values.items() if value is not None}
    said = []
    for template in templates:
        try:
            said.append(template.format(**known))
        except KeyError as error:
            if error.args[0] not in values:
                raise
    if said:
        show_text("\n".join(said))


def show_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Shows a table; the first column is text, the others are aligned to the right."""
    rows = list(rows)
    if not rows:
        show_text(NO_RUNS)
        return
    lines = [headers, [":--"] + ["--:"] * (len(headers) - 1), *rows]
    show_text("\n".join(f"| {' | '.join(map(str, row))} |" for row in lines))
