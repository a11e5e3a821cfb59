"""Pseudo-labels: what is kept, repeated and written, worked by hand."""

import numpy as np
import pytest

from tutorials_lib.few_labels import balance_classes, keep_confident, write_labels

ROWS = np.array(
    [[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.05, 0.9, 0.05], [0.1, 0.15, 0.75]]
)


class TestKeepConfident:
    def test_keeps_what_is_above_and_not_at_the_threshold(self):
        assert keep_confident(ROWS, 0.75).tolist() == [0, 2]
        assert keep_confident(ROWS, 0.74).tolist() == [0, 2, 3]
        assert keep_confident(ROWS, 0).tolist() == [0, 1, 2, 3]

    def test_nothing_kept_names_the_largest_confidence(self):
        with pytest.raises(ValueError, match=r"largest confidence, 0\.9000; got 0\.95"):
            keep_confident(ROWS, 0.95)
        with pytest.raises(ValueError, match="of at least one image; got none"):
            keep_confident(ROWS[:0], 0.5)

    @pytest.mark.parametrize("threshold", [1, -0.1, float("nan"), "0.5", None])
    def test_bad_threshold(self, threshold):
        with pytest.raises(ValueError, match="threshold must be a number from 0"):
            keep_confident(ROWS, threshold)

    def test_logits_are_refused(self):
        with pytest.raises(ValueError, match="every row with sum 1"):
            keep_confident(10 * ROWS, 0.5)


class TestBalanceClasses:
    def test_by_hand(self):
        # Class 0 at 1 and 5, class 1 at 0, 2, 3, 4, 6, class 2 at 7.
        labels = np.array([1, 0, 1, 1, 1, 0, 1, 2])
        expected = [1, 5, 1, 5, 1, 0, 2, 3, 4, 6, 7, 7, 7, 7, 7]
        assert balance_classes(labels, 3).tolist() == expected

    def test_equal_classes_none_lost_and_evenly_repeated(self):
        rng = np.random.default_rng(0)
        labels = rng.choice(6, p=[0.4, 0.3, 0.15, 0.1, 0.04, 0.01], size=500)
        places = balance_classes(labels, 6)
        counts = np.bincount(labels[places])
        assert set(counts) == {np.bincount(labels).max()}
        times = np.bincount(places, minlength=500)
        assert times.min() >= 1
        for each in range(6):
            assert np.ptp(times[labels == each]) <= 1

    def test_an_empty_class(self):
        labels = np.array([0, 0, 3])
        with pytest.raises(ValueError, match=r"none is of \[1, 2\].*empty='skip'"):
            balance_classes(labels, 4)
        assert balance_classes(labels, 4, empty="skip").tolist() == [0, 1, 2, 2]

    @pytest.mark.parametrize(
        ("labels", "classes", "empty", "said"),
        [
            ([0, 4], 4, "stop", "labels must be from 0 to 3; got 0 to 4"),
            ([-1, 0], 4, "stop", "labels must be from 0 to 3; got -1 to 0"),
            ([0.5], 4, "stop", "labels must be whole numbers"),
            (np.zeros(0, int), 4, "skip", "n of at least 1"),
            ([0], 0, "stop", "classes must be a whole number of at least 1"),
            ([0], 1, "drop", "empty must be one of 'stop', 'skip'; got 'drop'"),
        ],
    )
    def test_bad_input(self, labels, classes, empty, said):
        with pytest.raises(ValueError, match=said):
            balance_classes(labels, classes, empty)


def test_soft_rows_stay_and_hard_ones_are_one_hot():
    np.testing.assert_array_equal(write_labels(ROWS), ROWS.astype("float32"))
    hard = write_labels(ROWS, soft=False)
    np.testing.assert_array_equal(hard, np.eye(3)[[0, 0, 1, 2]])
    assert hard.dtype == np.float32
    with pytest.raises(ValueError, match="soft must be True or False"):
        write_labels(ROWS, soft=1)
