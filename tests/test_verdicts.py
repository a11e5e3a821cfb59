"""The rule of verdicts by hand, and which runs a published number is held against."""

import math

import pytest
from stand_ins import NONE, make_group, make_record

from tutorials_lib.runs.verdicts import find_ours, find_tolerance, list_rows
from tutorials_lib.support.statistics import mean_interval

TTA = "tta_accuracy"


def find_row(records, variant="none", metric="test_accuracy"):
    (row,) = (
        row
        for row in list_rows(records)
        if records[row.chapter] and (row.variant, row.metric) == (variant, metric)
    )
    return row


class TestRule:
    def test_an_accuracy_by_hand(self):
        # Student's half-width is 4.303 * 0.001 / sqrt 3; the article's standard error
        # on 10,000 images is 0.0913 points.
        found = find_tolerance(0.9916, mean_interval([0.990, 0.991, 0.992]), 10_000)
        assert found == pytest.approx(
            math.hypot(0.0024841, 1.96 * 0.00091267), rel=1e-3
        )

    def test_one_seed_has_its_own_binomial_error(self):
        found = find_tolerance(0.9916, mean_interval([0.99]), 10_000)
        assert found == pytest.approx(
            1.96 * math.hypot(0.00091267, 0.00099499), rel=1e-3
        )

    def test_a_loss_is_one_more_run(self):
        found = find_tolerance(0.3, mean_interval([0.20, 0.21, 0.22]))
        assert found == pytest.approx(4.3027 * 0.01 * math.sqrt(1 + 1 / 3), rel=1e-3)
        assert find_tolerance(0.3, mean_interval([0.2])) is None
        assert find_tolerance(0.3, mean_interval([0.2, 0.21])) is None

    def test_too_wide_for_a_verdict(self):
        """Two seeds a point apart would let six points pass."""
        assert find_tolerance(0.99, mean_interval([0.98, 0.99]), 10_000) is None
        row = find_row(make_group(0.90, 0.95))
        assert (row.verdict, row.tolerance) == ("not judged", None)

    @pytest.mark.parametrize(
        ("accuracy", "verdict"),
        # One seed beside 99.16: 0.259 points are allowed above it, 0.285 below.
        [
            (0.9916, "reproduced"),
            (0.9938, "reproduced"),
            (0.9943, "differs"),
            (0.9890, "reproduced"),
            (0.9886, "differs"),
        ],
    )
    def test_on_either_side(self, accuracy, verdict):
        assert find_row(make_group(accuracy)).verdict == verdict

    def test_train_accuracies_are_of_all_training_images(self):
        row = find_row(make_group(0.99), metric="train_accuracy")
        # 60,000 of MNIST: with 10,000 it would be 2.4 times as much.
        errors = (math.sqrt(p * (1 - p) / 60_000) for p in (0.999933, 0.9999))
        assert row.tolerance == pytest.approx(1.96 * math.hypot(*errors), rel=1e-3)

    def test_seconds_are_not_judged(self):
        records = {
            **NONE,
            "vat_mnist": [
                make_record(
                    "vat_mnist",
                    "swapped: none",
                    0,
                    test_accuracy=0.9877,
                    test_swapped_crossentropy=0.2,
                )
            ],
        }
        row = find_row(records, "swapped: none", "seconds_per_epoch")
        assert (row.verdict, row.tolerance) == ("not judged", None)
        assert row.values == [2.0]


def test_members_and_their_mean():
    members = [
        make_record("cifar10_95", "decay" if k < 5 else "strong", k, tta_accuracy=0.9)
        for k in range(10)
    ]
    (third,) = find_ours("cifar10_95", "member 3", TTA, members)
    assert (third["variant"], third["seed"]) == ("decay", 2)
    (eighth,) = find_ours("cifar10_95", "member 8", TTA, members)
    assert (eighth["variant"], eighth["seed"]) == ("strong", 7)
    assert len(find_ours("cifar10_95", "mean of the members", TTA, members)) == 10
    # A mean of nine is not what the article has.
    assert find_ours("cifar10_95", "mean of the members", TTA, members[1:]) == []
    assert find_ours("cifar10_95", "ensemble", TTA, members) == []
    # Without that score they are no runs of it.
    assert find_ours("cifar10_95", "decay", "test_accuracy", members) == []
    with pytest.raises(ValueError, match="two of 'decay', seed 2"):
        find_ours("cifar10_95", "decay", TTA, [*members, members[2]])


def test_another_schedule_is_not_judged():
    short = make_group(0.90, chapter="noisy_student", variant="teacher")
    assert find_row(short, "teacher").verdict == "not run"
    long = make_group(
        0.8839, chapter="noisy_student", variant="teacher, article's schedule"
    )
    long["noisy_student"] += short["noisy_student"]
    row = find_row(long, "teacher")
    assert (row.values, row.verdict) == ([0.8839], "reproduced")
