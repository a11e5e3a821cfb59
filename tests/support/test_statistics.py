"""Intervals against tables of Student's t and worked examples."""

import numpy as np
import pytest
from scipy import stats

from tutorials_lib.support.statistics import Interval, mean_interval


def test_one_value_has_no_interval():
    interval = mean_interval([0.5])
    assert interval.half_width is None
    assert (interval.mean, interval.n) == (0.5, 1)
    # Nor does it rule anything out.
    for each in (interval, interval.predict_one_more()):
        assert (each.low, each.high) == (-np.inf, np.inf)
        assert each.holds(1e9)


def test_bounds_are_held_and_nothing_beyond():
    tried = (0.2499, 0.25, 0.5, 0.75, 0.7501, np.nan)
    assert [x for x in tried if Interval(0.5, 0.25, 3).holds(x)] == [0.25, 0.5, 0.75]


def test_one_more_value_is_as_students_t():
    """It differs from the mean by a standard error of s * sqrt(1 + 1 / n)."""
    values = [2.0, 4.0, 4.0, 4.0, 6.0]
    error = np.std(values, ddof=1) * (1 + 1 / 5) ** 0.5
    low, high = stats.t.interval(0.95, 4, np.mean(values), error)
    found = mean_interval(values).predict_one_more()
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.mean, found.n) == (4, 5)


def test_refused():
    for bad in ([], [0.5, np.nan]):
        with pytest.raises(ValueError, match="values"):
            mean_interval(bad)
