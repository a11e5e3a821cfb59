"""Means, intervals and numbers of pairs, against SciPy and closed forms."""

import numpy as np
import pytest
from scipy import stats
from stand_ins import SCORES, make_records

from tutorials_lib.runs.estimates import (
    bootstrap_gain,
    count_pairs,
    estimate,
    paired,
    ratio,
    say,
)


def test_pairs_are_those_of_equal_seeds():
    records = make_records({**SCORES, "none": (*SCORES["none"], 0.5)})
    gain = paired(records, "test_accuracy", "alpha 0.1", "none")
    theirs = stats.ttest_rel(SCORES["alpha 0.1"], SCORES["none"])
    low, high = theirs.confidence_interval(0.95)
    assert (gain.interval.low, gain.interval.high) == pytest.approx((low, high))
    assert gain.p_value == pytest.approx(theirs.pvalue)
    assert gain.interval.n == 3


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ((0.991, 0.993, 0.995), "which may be chance"),
        ((0.995, 0.996, 0.997), "a gain"),
        ((0.985, 0.9861, 0.987), "a loss"),
        ((0.999,), "a single pair, so no verdict"),
    ],
)
def test_what_the_interval_of_a_gain_says(scores, said):
    records = make_records({**SCORES, "other": scores})
    gain = paired(records, "test_accuracy", "other", "none")
    assert f"{gain:judged}" == f"{gain}, {said}"
    assert gain.values == pytest.approx(
        np.subtract(scores, SCORES["none"][: len(scores)])
    )


def test_one_seed_and_no_seed():
    records = make_records({"none": (0.99,)})
    assert str(estimate(records, "test_accuracy", "none")) == "99.00% (1 seed)"
    assert estimate(records, "test_accuracy", "alpha 1") is None
    assert estimate(records, "no_such_metric", "none") is None
    assert paired(records, "test_accuracy", "none", "alpha 1") is None


def test_what_rounds_to_zero_has_no_minus():
    gain = paired(
        make_records({"a": (0.99,), "b": (0.99001,)}), "test_accuracy", "a", "b"
    )
    assert f"{gain:mean}" == "+0.00"


def test_seconds_are_compared_on_one_device_alone():
    records = make_records({"none": (0.9,) * 3, "alpha 0.1": (0.9,) * 3})
    for record in records:
        shortest = {"none": 6.0, "alpha 0.1": 11.0}[record["variant"]]
        record["history"]["seconds"] = [90.0, shortest, 50.0]
    records[-1]["environment"]["device"] = "another processor"
    times = ratio(records, "seconds_per_epoch", "alpha 0.1", "none")
    assert (times.mean, times.interval.n) == (pytest.approx(11 / 6), 2)
    assert str(times) == "1.83 ± 0.00 times (2 seeds)"


def test_an_ensemble_by_bootstrap_over_test_images():
    rng = np.random.default_rng(1)
    one, members = rng.random(2000) < 0.95, rng.random((5, 2000)) < 0.93
    gain = bootstrap_gain(one, members)
    theirs = stats.bootstrap(
        (one - members.mean(axis=0),), np.mean, method="percentile", batch=50
    ).confidence_interval
    assert gain.mean == pytest.approx(one.mean() - members.mean())
    half = (theirs.high - theirs.low) / 2
    assert gain.interval.half_width == pytest.approx(half, rel=0.1)
    assert format(gain, "n") == "2,000 test images"


@pytest.mark.parametrize(("gap", "power"), [(0.5, 0.8), (1.0, 0.9)])
def test_pairs_needed_by_simulation(gap, power):
    number = count_pairs(gap, 1.0, power)
    drawn = np.random.default_rng(0).normal(gap, 1, (20_000, number))
    seen = (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean()
    assert seen == pytest.approx(power, abs=0.03)
    assert count_pairs(1e-6, 1.0) is None
    assert count_pairs(1.0, 0) == 2


def test_sentences_without_a_number_are_left_out(capsys):
    gain = paired(make_records(), "test_accuracy", "alpha 0.1", "none")
    say("{gain}: {gain:size} up.", "The other {other}.", gain=gain, other=None)
    say("{other}", other=None)
    said = "+0.20 ± 0.25 points (3 seeds): 0.20 up.\n"
    assert capsys.readouterr().out == said
    with pytest.raises(KeyError, match="gian"):
        say("It gains {gian}.", gain=gain)
