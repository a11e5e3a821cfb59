"""Few labels: which images keep theirs, and batches that hold both kinds."""

import keras
import numpy as np
import pytest

from tutorials_lib.few_labels import PartlyLabelledBatches, choose_labelled


@pytest.fixture
def parts(images, labels):
    """Eight labelled images and the other 32."""
    return images[:8], labels[:8], images[8:]


def find(image, among):
    (places,) = np.nonzero((among == image).all(axis=(1, 2, 3)))
    return places


class TestChooseLabelled:
    def test_takes_equally_many_of_each_class(self):
        labels = np.repeat([3, 0, 7], [50, 10, 25])
        chosen = choose_labelled(labels, 30, seed=0)
        assert len(set(chosen)) == 30
        assert (np.diff(chosen) > 0).all()
        assert np.bincount(labels[chosen]).tolist() == [10, 0, 0, 10, 0, 0, 0, 10]

    def test_seeds_differ_and_repeat(self):
        labels = np.arange(1000) % 10
        one, same, other = (choose_labelled(labels, 50, seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, same)
        # Two choices of 50 among 1,000 share 2.5 on average.
        assert len(np.intersect1d(one, other)) < 15

    def test_every_image_may_be_chosen(self):
        labels = np.arange(40) % 4
        seen = {
            place for seed in range(60) for place in choose_labelled(labels, 8, seed)
        }
        assert seen == set(range(40))

    @pytest.mark.parametrize(
        ("labels", "n", "said"),
        [
            (np.arange(40) % 4, 10, "multiple of the 4 classes, with at most 10"),
            (np.arange(40) % 4, 44, "multiple of the 4 classes, with at most 10"),
            (np.arange(40) % 4, 0, "n must be a whole number of at least 1; got 0"),
            (np.zeros(0, int), 4, "labels must be .* n of at least 1"),
            (np.eye(4), 4, "labels must be whole numbers of shape"),
        ],
    )
    def test_bad_input(self, labels, n, said):
        with pytest.raises(ValueError, match=said):
            choose_labelled(labels, n, seed=0)


class TestPartlyLabelledBatches:
    def test_labelled_first_then_each_unlabelled_at_most_once(self, parts):
        images, labels, unlabelled = parts
        batches = PartlyLabelledBatches(images, labels, unlabelled, 12, 4, seed=0)
        assert len(batches) == 4
        seen = []
        for k in range(4):
            x, y, weights = batches[k]
            assert x.shape == (12, 6, 5, 1)
            for image, row in zip(x[:4], y[:4], strict=True):
                (place,) = find(image, images)
                np.testing.assert_array_equal(row, labels[place])
            assert not y[4:].any()
            np.testing.assert_array_equal(weights, [3] * 4 + [0] * 8)
            seen += [int(find(image, unlabelled)[0]) for image in x[4:]]
        assert sorted(seen) == list(range(32))

    def test_labelled_only_keeps_the_labelled_images_and_the_number(self, parts):
        both = PartlyLabelledBatches(*parts, 12, 4, seed=0)
        alone = PartlyLabelledBatches(*parts, 12, 4, seed=0, labelled_only=True)
        assert len(both) == len(alone)
        x, y, weights = alone[2]
        np.testing.assert_array_equal(x, both[2][0][:4])
        np.testing.assert_array_equal(y, both[2][1][:4])
        np.testing.assert_array_equal(weights, np.ones(4))

    def test_loss_is_the_mean_over_the_labelled(self, parts):
        batches = PartlyLabelledBatches(*parts, 12, 4, seed=0)
        x, y, weights = batches[0]
        model = keras.Sequential(
            [
                keras.Input((6, 5, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(4, activation="softmax"),
            ]
        )
        model.compile("sgd", "categorical_crossentropy", jit_compile=False)
        p = model.predict(x[:4], verbose=0)
        expected = -np.log((p * y[:4]).sum(axis=1)).mean()
        found = np.ravel(model.train_on_batch(x, y, sample_weight=weights))[0]
        assert found == pytest.approx(expected, rel=1e-4)

    def test_epochs_differ_and_repeat(self, parts):
        one, two = (PartlyLabelledBatches(*parts, 12, 4, seed=0) for _ in range(2))
        first = one[0]
        for batches in (one, two):
            batches.on_epoch_end()
        for mine, yours in zip(one[0], two[0], strict=True):
            np.testing.assert_array_equal(mine, yours)
        assert not np.array_equal(first[0], one[0][0])
        other = PartlyLabelledBatches(*parts, 12, 4, seed=1)
        assert not np.array_equal(first[0], other[0][0])

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"batch_size": 1}, "batch_size must be a whole number of at least 2"),
            ({"labelled_per_batch": 12}, "labelled_per_batch must be .* from 1 to 11"),
            ({"labelled_per_batch": 0}, "labelled_per_batch must be .* from 1 to 11"),
            (
                {"batch_size": 40},
                "unlabelled must fill .* batch_size 40, 36; got 32",
            ),
            ({"seed": -1}, "seed must be a whole number of at least 0"),
            ({"labelled_only": 1}, "labelled_only must be True or False"),
        ],
    )
    def test_bad_numbers(self, parts, changes, said):
        numbers = {"batch_size": 12, "labelled_per_batch": 4, "seed": 0, **changes}
        with pytest.raises(ValueError, match=said):
            PartlyLabelledBatches(*parts, **numbers)

    def test_bad_arrays(self, parts):
        images, labels, unlabelled = parts
        for bad, said in (
            ((images, labels[:7], unlabelled), "one row for each image: 8 images, 7"),
            ((images, 2 * labels, unlabelled), "every row with sum 1"),
            ((images, labels, unlabelled.astype("uint8")), "unlabelled must be floats"),
            ((images.astype(int), labels, unlabelled), "images must be floats"),
            ((images, labels, unlabelled[:, :5]), r"shape of images, \(6, 5, 1\)"),
            (
                (images[:0], labels[:0], unlabelled),
                "images must hold at least one image",
            ),
        ):
            with pytest.raises(ValueError, match=said):
                PartlyLabelledBatches(*bad, 12, 4, seed=0)
        with pytest.raises(IndexError, match="index must be from 0 to 3; got 4"):
            PartlyLabelledBatches(*parts, 12, 4, seed=0)[4]
