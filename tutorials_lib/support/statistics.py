"""How sure a mean of few runs is, and whether two arms differ."""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from tutorials_lib.support.checks import check_finite


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean with its 95% confidence interval, or with the one for a further value.

    Attributes:
        mean: Mean of the values.
        half_width: Half the interval's width; None where there is one value.
        n: Number of values.
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def low(self) -> float:
        """Where it begins: minus infinity where there is one value."""
        return -math.inf if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float:
        """Where it ends: infinity where there is one value."""
        return math.inf if self.half_width is None else self.mean + self.half_width

    def holds(self, value: float) -> bool:
        """Says whether a number lies in it, ends included."""
        return self.low <= value <= self.high

    def predict_one_more(self) -> "Interval":
        """Returns where one more value lies in 95% of cases, around the same mean.

        It spreads as the values do and around a mean that is unsure itself, which makes
        the interval sqrt(n + 1) times as wide as that of the mean.
        """
        if self.half_width is None:
            return self
        wider = self.half_width * math.sqrt(self.n + 1)
        return dataclasses.replace(self, half_width=wider)


def mean_interval(values: ArrayLike) -> Interval:
    """Computes a mean and Student's 95% interval around it.

    Args:
        values: Sequence of at least one number, for instance a score for each seed.

    Returns:
        An `Interval`; without a half-width where there is only one value.
    """
    values = check_finite("values", np.asarray(values, "float64"))
    n = len(values)
    if not n:
        raise ValueError("values must hold at least one number; got none.")
    if n == 1:
        return Interval(float(values[0]), None, 1)
    error = values.std(ddof=1) / np.sqrt(n)
    half_width = stats.t.ppf(0.975, n - 1) * error
    return Interval(float(values.mean()), float(half_width), n)


def paired_difference(
    first: ArrayLike, second: ArrayLike
) -> tuple[Interval, float | None]:
    """Compares two arms that were run with the same seeds.

    Args:
        first: Scores, one for each seed.
        second: Scores of the other arm, for the same seeds in the same order.

    Returns:
        The `Interval` of the mean of first - second, and the two-sided p-value of
        the paired t-test (None where there is one pair, or where all differences are
        alike up to the rounding of single precision).
    """
    first, second = (np.asarray(each, "float64") for each in (first, second))
    if len(first) != len(second):
        raise ValueError(
            f"first and second must pair up; got {len(first)} and {len(second)} values."
        )
    interval = mean_interval(first - second)
    scale = max(np.abs(first).max(), np.abs(second).max())
    if np.ptp(first - second) <= 1e-6 * scale:
        return interval, None
    return interval, float(stats.ttest_rel(first, second).pvalue)


def binomial_error(accuracy: float, n: int) -> float:
    """Computes the standard error of an accuracy, 0 to 1, measured on n samples."""
    return math.sqrt(accuracy * (1 - accuracy) / n)
