"""Means of runs with their intervals, differences of pairs, and how they are shown.

Every function takes records: a list of them, as `published_records` and the grid return
it, or a frame from `tabulate`.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from tutorials_lib.runs.records import Record
from tutorials_lib.support.statistics import Interval, mean_interval

Records: TypeAlias = Iterable[Record] | pd.DataFrame
# Nobody makes more pairs of runs than this.
MOST_PAIRS = 10_000


@dataclasses.dataclass(frozen=True)
class Estimate(Interval):
    """A mean with its 95% interval, and how it is written.

    In text, `f"{gain}"` gives `+3.12 ± 0.40 points (3 seeds)`. A format picks a part:
    `{gain:short}` `+3.12 ± 0.40`, `{gain:mean}` `+3.12`, `{gain:range}`
    `+2.72 to +3.52`, `{gain:n}` `3 seeds`, `{gain:cell}` `+3.12 ± 0.40 (3)`, and
    `{gain:values}` `+3.01, +3.10, +3.25`.
    `{gain:judged}` adds to the first what the interval says: `a gain`, `a loss`,
    `which may be chance`, or that one pair gives no verdict.

    Mean and interval are as measured: of accuracies from 0 to 1.

    Attributes:
        scale: What they are multiplied by when written.
        digits: Digits after the point.
        unit: Unit after the number, or an empty string.
        signed: Whether a plus sign is written.
        counted: What n counts, in the singular.
        values: The scores or differences behind the mean, if they are known.
    """

    scale: float = 1
    digits: int = 4
    unit: str = ""
    signed: bool = False
    counted: str = "seed"
    values: tuple[float, ...] = ()

    @property
    def p_value(self) -> float | None:
        """Of the t-test of no difference; None of one value, or if all are equal."""
        if np.ptp(self.values) < 1e-6:
            return None
        return float(stats.ttest_1samp(self.values, 0).pvalue)

    def write(self, value: float, sign: str | None = None) -> str:
        """Writes another value with the same scale and digits, without its unit."""
        sign = ("+" if self.signed else "") if sign is None else sign
        # Adding 0 turns what rounds to minus zero into zero.
        return f"{round(self.scale * value, self.digits) + 0.0:{sign},.{self.digits}f}"

    def __str__(self) -> str:
        return format(self)

    def __format__(self, part: str) -> str:
        mean, half = self.write(self.mean), self.half_width
        short = mean if half is None else f"{mean} ± {self.write(half, '')}"
        unit = self.unit if self.unit in ("", "%") else f" {self.unit}"
        count = f"{self.n:,} {self.counted}{'s' * (self.n != 1)}"
        verdict = "a gain" if self.mean > 0 else "a loss"
        if half is None:
            verdict = "a single pair, so no verdict"
        elif self.holds(0):
            verdict = "which may be chance"
        return {
            "": f"{short}{unit} ({count})",
            "mean": mean,
            "short": short,
            "range": f"{self.write(self.low)} to {self.write(self.high)}",
            "n": count,
            "values": ", ".join(map(self.write, self.values)),
            "cell": f"{short} ({self.n:,})",
            "judged": f"{short}{unit} ({count}), {verdict}",
        }[part]


def describe_metric(metric: str) -> dict[str, Any]:
    """Says how an `Estimate` of a metric is written: scale, digits and unit."""
    if metric.startswith("seconds"):
        return {"scale": 1, "digits": 1, "unit": "s"}
    if metric.endswith("accuracy"):
        return {"scale": 100, "digits": 2, "unit": "%"}
    if metric.endswith(("_kept", "images", "steps")):
        return {"scale": 1, "digits": 0, "unit": ""}
    return {"scale": 1, "digits": 4, "unit": ""}


def describe_difference(metric: str) -> dict[str, Any]:
    """Says how an `Estimate` of a difference of a metric is written."""
    look = describe_metric(metric)
    return look | {"unit": look["unit"].replace("%", "points"), "signed": True}


def name_metric(metric: str) -> str:
    """Writes a metric's name as the title of a column or an axis."""
    percent = ", %" if metric.endswith("accuracy") else ""
    return metric.replace("_", " ") + percent


def tabulate(records: Records) -> pd.DataFrame:
    """Makes a frame of records, one row per run, to group and to compute with.

    Columns are chapter, variant, seed, profile, date, device, cores, hours, commit,
    each metric, `seconds_per_epoch` (of the shortest epoch, because other work on the
    machine only lengthens epochs), and the whole `record`. No run may be there twice.
    """
    if isinstance(records, pd.DataFrame):
        return records
    runs, name = list(records), ["chapter", "variant", "seed", "profile"]
    frame = pd.DataFrame(runs, columns=[*name, "date"]).assign(
        device=[run["environment"]["device"] for run in runs],
        cores=[run["environment"]["cores"] for run in runs],
        hours=[run["timing"]["wall_seconds"] / 3600 for run in runs],
        commit=[(run["git"]["commit"] or "unknown")[:10] for run in runs],
        # An ensemble trains nothing and has no epochs.
        seconds_per_epoch=[min(x["history"].get("seconds") or [np.nan]) for x in runs],
        record=runs,
    )
    frame = frame.join(pd.DataFrame([run["metrics"] for run in runs]))
    twice = frame.loc[frame.duplicated(name), name].to_numpy().tolist()
    if twice:
        raise ValueError(f"records must hold each run once; got two of {twice}.")
    return frame.sort_values("seed", kind="stable")


def read_scores(
    records: Records, metric: str, variant: str, index: str | list[str] = "seed"
) -> pd.Series:
    """Returns one metric of a variant's runs, by seed; empty where there are none."""
    frame = tabulate(records)
    if metric not in frame:
        return pd.Series(dtype="float64")
    return frame[frame["variant"] == variant].set_index(index)[metric].dropna()


def average(scores: ArrayLike, metric: str, **look: Any) -> Estimate | None:
    """Estimates the mean of scores in a metric; `look` changes how it is written."""
    values = tuple(np.asarray(scores))
    if not values:
        return None
    look = {**vars(mean_interval(values)), **describe_metric(metric), **look}
    return Estimate(**look, values=values)


def estimate(records: Records, metric: str, variant: str) -> Estimate | None:
    """Estimates the mean of a variant's metric over seeds; None without a run."""
    return average(read_scores(records, metric, variant), metric)


def paired(
    records: Records,
    metric: str,
    variant: str,
    baseline: str,
    baseline_metric: str = "",
) -> Estimate | None:
    """Estimates how much higher a variant scores than another, over pairs of runs.

    Runs of the same seed make a pair. The baseline may have another metric.
    """
    first = read_scores(records, metric, variant)
    second = read_scores(records, baseline_metric or metric, baseline)
    return average((first - second).dropna(), metric, **describe_difference(metric))


class Scores:
    """A metric's estimates by name, to look up in the sentences of `say`.

    With `accuracy = Scores(records)`, `{accuracy[alpha 1]}` is the mean of a variant
    and `{accuracy[alpha 1 minus none]:short}` a paired difference; None without runs.
    """

    def __init__(self, records: Records, metric: str = "test_accuracy") -> None:
        self.frame, self.metric = tabulate(records), metric

    def __getitem__(self, name: str) -> Estimate | None:
        variant, minus, baseline = name.partition(" minus ")
        if minus:
            return paired(self.frame, self.metric, variant, baseline)
        return estimate(self.frame, self.metric, variant)


def ratio(
    records: Records, metric: str, variant: str, baseline: str
) -> Estimate | None:
    """Estimates a metric of a variant as a multiple of another's, over pairs of runs.

    Pairs that ran on different devices are left out, so that seconds can be compared.
    """
    alike = ["seed", "device", "cores"]
    first = read_scores(records, metric, variant, alike)
    second = read_scores(records, metric, baseline, alike)
    return average((first / second).dropna(), metric, digits=2, unit="times")


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
    look = describe_difference("accuracy")
    return Estimate(**vars(interval), **look, counted="test image")


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


def join(values: Iterable[object]) -> str:
    """Lists different values in the order of the alphabet, with commas."""
    return ", ".join(sorted({str(value) for value in values}))
