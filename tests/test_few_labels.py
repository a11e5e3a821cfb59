"""Which images keep their label, which a teacher labels, batches of both kinds."""

import numpy as np
import pytest

from tutorials_lib.few_labels import (
    PartlyLabelledBatches,
    balance_classes,
    hide_labels,
    keep_confident,
)


def test_hides_all_labels_but_equally_many_of_each_class():
    labels = np.repeat([3, 0, 7], [50, 10, 25])
    chosen, others = hide_labels(labels, 30, seed=0)
    assert (np.diff(chosen) > 0).all()
    assert (np.diff(others) > 0).all()
    assert sorted([*chosen, *others]) == list(range(85))
    assert np.bincount(labels[chosen]).tolist() == [10, 0, 0, 10, 0, 0, 0, 10]
    with pytest.raises(ValueError, match="n must be"):
        hide_labels(labels, 31, seed=0)
    with pytest.raises(ValueError, match="labels"):
        hide_labels(np.eye(8)[labels], 30, seed=0)


def test_seeds_choose_differently_and_repeat_and_from_all():
    labels = np.arange(40) % 4
    seen = [hide_labels(labels, 8, seed)[0] for seed in range(60)]
    np.testing.assert_array_equal(seen[1], hide_labels(labels, 8, seed=1)[0])
    assert set(np.concatenate(seen)) == set(range(40))


def test_keeps_what_is_above_and_not_at_the_threshold():
    rows = np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.1, 0.15, 0.75]])
    assert keep_confident(rows, 0.75).tolist() == [0]
    assert keep_confident(rows, 0.74).tolist() == [0, 2]
    with pytest.raises(ValueError, match="probabilities"):
        keep_confident(np.log(rows), 0.5)


def test_an_empty_class():
    labels = np.array([0, 0, 3])
    assert balance_classes(labels, 4, empty="skip").tolist() == [0, 1, 2, 2]
    for empty, said in (("stop", "labels"), ("skipp", "empty")):
        with pytest.raises(ValueError, match=said):
            balance_classes(labels, 4, empty)


class TestPartlyLabelledBatches:
    @pytest.fixture
    def parts(self, images, labels):
        """Eight labelled images and the other 32."""
        return images[:8], labels[:8], images[8:]

    def test_labelled_first_then_each_unlabelled_at_most_once(self, labels):
        own = np.eye(40, dtype="float32")
        batches = PartlyLabelledBatches(own[:8], labels[:8], own[8:], 12, 4, seed=0)
        assert len(batches) == 4
        seen = np.zeros(40)
        for x, y, weights in batches:
            np.testing.assert_array_equal(x[:4] @ labels, y[:4])
            assert not x[:4, 8:].any() and not y[4:].any()
            np.testing.assert_array_equal(weights, [3] * 4 + [0] * 8)
            seen += x[4:].sum(axis=0)
        np.testing.assert_array_equal(seen, [0] * 8 + [1] * 32)

    def test_labelled_images_are_drawn_from_all_with_replacement(self, parts):
        batches = PartlyLabelledBatches(*parts, 12, 6, seed=0)
        drawn = [x[:6, 0, 0, 0] for x, _, _ in batches]
        assert set(np.ravel(drawn)) == set(np.ravel(parts[0][:, 0, 0, 0]))
        assert any(len(set(batch)) < 6 for batch in drawn)

    def test_labelled_only_keeps_the_labelled_images_and_the_number(self, parts):
        both = PartlyLabelledBatches(*parts, 12, 4, seed=0)
        alone = PartlyLabelledBatches(*parts, 12, 4, seed=0, labelled_only=True)
        assert len(both) == len(alone)
        x, y, weights = alone[2]
        np.testing.assert_array_equal(x, both[2][0][:4])
        np.testing.assert_array_equal(y, both[2][1][:4])
        np.testing.assert_array_equal(weights, np.ones(4))

    def test_loss_is_the_mean_over_the_labelled(self, parts, model):
        x, y, weights = PartlyLabelledBatches(*parts, 12, 4, seed=0)[0]
        p = model.predict(x[:4], verbose=0)
        expected = -np.log((p * y[:4]).sum(axis=1)).mean()
        found = np.ravel(model.train_on_batch(x, y, sample_weight=weights))[0]
        assert found == pytest.approx(expected, rel=1e-4)

    def test_bad_arguments(self, parts):
        images, labels, unlabelled = parts
        sound = {"images": images, "labels": labels, "unlabelled": unlabelled}
        sound |= {"batch_size": 12, "labelled_per_batch": 4, "seed": 0}
        for name, value in (
            ("labelled_per_batch", 12),
            ("labels", 2 * labels),
            ("images", images.astype("uint8")),
            ("unlabelled", unlabelled.astype("uint8")),
            ("unlabelled", unlabelled[:7]),
            ("unlabelled", unlabelled + np.inf),
        ):
            with pytest.raises(ValueError, match=name):
                PartlyLabelledBatches(**{**sound, name: value})
