"""How certain the mean of a few runs is."""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from tutorials_lib.support.checks import check_finite


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean with its 95% confidence interval, or a 95% prediction interval.

    Attributes:
        mean: Mean of the values.
        half_width: Half the interval's width; None if there is only one value.
        n: Number of values.
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def low(self) -> float:
        """The lower end; minus infinity if there is only one value."""
        return -math.inf if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end; infinity if there is only one value."""
        return math.inf if self.half_width is None else self.mean + self.half_width

    def holds(self, value: float) -> bool:
        """Returns whether a number lies in the interval, ends included."""
        return self.low <= value <= self.high

    def predict_one_more(self) -> "Interval":
        """Returns the 95% prediction interval of one more value, around the same mean.

        It covers the spread of the values and the uncertainty of their mean, so it is
        sqrt(n + 1) times as wide as the interval of the mean.
        """
        if self.half_width is None:
            return self
        wider = self.half_width * math.sqrt(self.n + 1)
        return dataclasses.replace(self, half_width=wider)


def mean_interval(values: ArrayLike) -> Interval:
    """Computes the mean of at least one value and Student's 95% interval around it."""
    values = check_finite("values", np.asarray(values, "float64"))
    n = len(values)
    if not n:
        raise ValueError("values must hold at least one number; got none.")
    if n == 1:
        return Interval(float(values[0]), None, 1)
    half_width = stats.t.ppf(0.975, n - 1) * stats.sem(values)
    return Interval(float(values.mean()), float(half_width), n)


def binomial_error(accuracy: float, n: int) -> float:
    """Computes the standard error of an accuracy, 0 to 1, measured on n images."""
    return math.sqrt(accuracy * (1 - accuracy) / n)
