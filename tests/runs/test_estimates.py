"""What sentences say of means and gains, and how many pairs it takes to see one."""

import numpy as np
import pytest
from scipy import stats
from stand_ins import SCORES, make_records

from tutorials_lib.runs.estimates import count_pairs, estimate, paired, say


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


@pytest.mark.parametrize(("gap", "power"), [(0.5, 0.8), (1.0, 0.9)])
def test_pairs_needed_by_simulation(gap, power):
    number = count_pairs(gap, 1.0, power)
    drawn = np.random.default_rng(0).normal(gap, 1, (20_000, number))
    seen = (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean()
    assert seen == pytest.approx(power, abs=0.03)
    assert count_pairs(1e-6, 1.0) is None
    assert count_pairs(1.0, 0) == 2


def test_sentences_without_a_number_are_left_out(capsys):
    records = make_records({**SCORES, "one": (0.99,)})
    gain = paired(records, "test_accuracy", "alpha 0.1", "none")
    one = estimate(records, "test_accuracy", "one")
    say("{gain}: {gain:size} up.", "The other {other}.", gain=gain, other=None)
    say("{one}", one=one)
    say("{other}", other=None)
    said = "+0.20 ± 0.25 points (3 seeds): 0.20 up.\n99.00% (1 seed)\n"
    assert capsys.readouterr().out == said
    with pytest.raises(KeyError, match="gian"):
        say("It gains {gian}.", gain=gain)
