"""Mixed batches: who is mixed with whom, and that images and labels agree."""

import numpy as np
import pytest
from scipy import stats

from tutorials_lib.mixup import MixupBatches


def make_batches(images, labels, **changes):
    arguments = {"alpha": 1.0, "batch_size": 8, "seed": 5, **changes}
    return MixupBatches(images, labels, **arguments)


def unmix(batch, images):
    """Writes each mixed image as a weighted sum of the originals, by least squares."""
    originals = images.reshape(len(images), -1).T
    mixed = batch.reshape(len(batch), -1).T
    # Thirty pixels cannot tell forty images apart: try every pair instead.
    found = []
    for column in mixed.T:
        best = None
        for i in range(len(images)):
            for j in range(i + 1, len(images)):
                pair = originals[:, [i, j]]
                weights, *_ = np.linalg.lstsq(pair, column, rcond=None)
                error = np.abs(pair @ weights - column).max()
                if best is None or error < best[0]:
                    best = (error, i, j, weights)
        found.append(best)
    return found


@pytest.mark.parametrize("pairing", ["replacement", "shuffles", "batch"])
def test_image_and_label_share_pair_and_weight(images, labels, pairing):
    # Every image its own class, so that a label names the images in a mix.
    own = np.eye(len(images), dtype="float32")
    mixed, rows = make_batches(images, own, pairing=pairing)[0]
    for row, (error, i, j, weights) in zip(rows, unmix(mixed, images), strict=True):
        assert error < 1e-4
        np.testing.assert_allclose(row[[i, j]], weights, atol=1e-4)
        np.testing.assert_allclose(weights.sum(), 1, atol=1e-4)
        assert row.sum() == pytest.approx(1, abs=1e-6)


def test_labels_of_one_class_stay_one_hot(images):
    labels = np.zeros((40, 3), "float32")
    labels[:, 1] = 1
    _, mixed = make_batches(images, labels)[0]
    np.testing.assert_allclose(mixed, labels[:8], atol=1e-6)


def test_lambda_per_sample_and_per_batch(images):
    own = np.eye(len(images), dtype="float32")
    arguments = {"pairing": "batch", "batch_size": 40}
    _, rows = make_batches(images, own, **arguments)[0]
    assert len(np.unique(rows.max(axis=1).round(5))) > 30
    _, rows = make_batches(images, own, lambda_per="batch", **arguments)[0]
    mixed = rows.max(axis=1) < 1
    assert mixed.sum() > 30
    assert len(np.unique(rows.max(axis=1)[mixed].round(5))) == 1


def test_shuffles_use_every_image_once_in_each_place(images):
    own = np.eye(len(images), dtype="float32")
    batches = make_batches(images, own, pairing="shuffles", batch_size=16)
    assert [len(batches[k][0]) for k in range(len(batches))] == [16, 16, 8]
    places = np.concatenate([batches.choose_images(None, k) for k in range(3)], axis=1)
    for place in places:
        np.testing.assert_array_equal(np.sort(place), np.arange(40))
    assert (places[0] != places[1]).any()


def test_batch_pairing_mixes_a_batch_with_itself(images):
    own = np.eye(len(images), dtype="float32")
    batches = make_batches(images, own, pairing="batch", batch_size=10)
    seen = [set(np.flatnonzero(batches[k][1].sum(axis=0))) for k in range(4)]
    assert [len(places) for places in seen] == [10] * 4
    assert set.union(*seen) == set(range(40))


def test_replacement_leaves_images_out_as_chance_has_it():
    n = 4000
    images = np.arange(n, dtype="float32").reshape(n, 1)
    labels = np.ones((n, 1), "float32")
    batches = make_batches(images, labels, alpha=1e-6, batch_size=50)
    assert len(batches) == 80
    drawn = np.concatenate([batches[k][0] for k in range(80)])
    # With alpha near 0 an epoch draws n of n images with replacement: 1 - 1/e are seen.
    assert len(np.unique(drawn)) / n == pytest.approx(1 - np.exp(-1), abs=0.03)


def test_tiny_alpha_gives_plain_images_and_labels(images, labels):
    mixed, rows = make_batches(images, labels, alpha=1e-6)[0]
    for image, row in zip(mixed, rows, strict=True):
        (place,) = np.flatnonzero((images == image).all(axis=(1, 2, 3)))
        np.testing.assert_array_equal(row, labels[place])


def own_weights(pairing, alpha, method="beta"):
    """Mixing weights of the first image of many mixes, read off their labels."""
    n = 4000
    own = np.eye(n, dtype="float32")
    batches = MixupBatches(own[:, :1], own, alpha, n, 0, pairing, method=method)
    chosen = batches.choose_images(np.random.default_rng([0, 0, 0]), 0)
    rows = batches[0][1]
    apart = chosen[0] != chosen[1]
    return rows[np.arange(n), chosen[0]][apart]


@pytest.mark.parametrize("pairing", ["replacement", "shuffles", "batch"])
def test_mixing_weights_follow_beta_of_alpha(pairing):
    """Not of 2 alpha, and not the larger one always on the first image."""
    drawn = own_weights(pairing, alpha=0.7)
    assert stats.kstest(drawn, stats.beta(0.7, 0.7).cdf).pvalue > 1e-3


def test_method_reaches_the_draws():
    beta, gamma = (own_weights("shuffles", 0.7, method) for method in ("beta", "gamma"))
    assert not np.array_equal(beta, gamma)
    assert stats.kstest(gamma, stats.beta(0.7, 0.7).cdf).pvalue > 1e-3


def test_lambda_per_batch_is_new_in_every_batch(images):
    own = np.eye(len(images), dtype="float32")
    batches = make_batches(images, own, lambda_per="batch", pairing="batch")
    tops = {round(float(batches[k][1].max(axis=1).min()), 5) for k in range(5)}
    assert len(tops) == 5


@pytest.mark.parametrize("pairing", ["shuffles", "batch"])
def test_every_epoch_is_shuffled_anew(images, labels, pairing):
    batches = make_batches(images, labels, pairing=pairing)
    before = batches.choose_images(np.random.default_rng(0), 0)
    batches.on_epoch_end()
    after = batches.choose_images(np.random.default_rng(0), 0)
    assert not np.array_equal(np.sort(before[0]), np.sort(after[0]))


@pytest.mark.parametrize("pairing", ["replacement", "shuffles", "batch"])
def test_the_images_of_a_mix_are_chosen_independently(images, pairing):
    own = np.eye(len(images), dtype="float32")
    batches = make_batches(
        images, own, pairing=pairing, batch_size=40, images_per_mix=3
    )
    first, second, third = batches.choose_images(np.random.default_rng(0), 0)
    for one, two in ((first, second), (first, third), (second, third)):
        assert (np.asarray(one) == np.asarray(two)).mean() < 0.25


def test_batches_in_an_epoch(images, labels):
    for pairing, number in (("replacement", 5), ("shuffles", 6), ("batch", 6)):
        batches = make_batches(images, labels, pairing=pairing, batch_size=7)
        assert len(batches) == number
        assert len(list(batches)) == number
        with pytest.raises(IndexError, match=f"from 0 to {number - 1}; got {number}"):
            batches[number]


def test_more_than_two_images(images):
    own = np.eye(len(images), dtype="float32")
    mixed, rows = make_batches(
        images, own, images_per_mix=4, pairing="shuffles", batch_size=40
    )[0]
    assert np.median((rows > 0).sum(axis=1)) == 4
    # A mixed image is its label's weights applied to the originals.
    np.testing.assert_allclose(
        mixed, np.einsum("nk,khwc->nhwc", rows, images), atol=1e-5
    )


def test_a_batch_depends_on_seed_epoch_and_index_alone(images, labels):
    one, two = make_batches(images, labels), make_batches(images, labels)
    one[3], one[1]
    for first, second in zip(one[2], two[2], strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(one[2][0], one[1][0])
    assert not np.array_equal(one[2][0], make_batches(images, labels, seed=6)[2][0])
    two.on_epoch_end()
    assert not np.array_equal(one[2][0], two[2][0])


def test_fit_gives_every_epoch_new_batches(images, labels):
    import keras

    asked = []

    class Spy(MixupBatches):
        def __getitem__(self, index):
            asked.append((self.epoch, index))
            return super().__getitem__(index)

    layers = [keras.Input((6, 5, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    model = keras.Sequential(layers)
    model.compile(loss="mse", optimizer="sgd")
    model.fit(Spy(images, labels, 1.0, 8, 0), epochs=3, verbose=0)
    # Keras may look at the first batches before it starts, and count that an epoch.
    whole = [e for e in range(9) if {(e, k) for k in range(5)} <= set(asked)]
    assert len(whole) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": 0}, "alpha must be .* above 0; got 0"),
        ({"alpha": -0.5}, "alpha must be .* above 0; got -0.5"),
        ({"alpha": float("nan")}, "alpha must be .* above 0; got nan"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 to 40; got 0"),
        ({"batch_size": 41}, "batch_size must be a whole number from 1 to 40; got 41"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"pairing": "random"}, "pairing must be one of 'replacement', 'shuffles'"),
        ({"lambda_per": "image"}, "lambda_per must be one of 'sample', 'batch'"),
        ({"labels": np.zeros(40, int)}, "labels must be one-hot rows of shape"),
        ({"labels": np.full((40, 4), 0.5)}, "every row with sum 1"),
        ({"labels": np.eye(4)[[0] * 39]}, "40 images, 39 rows"),
        ({"images": np.zeros((40, 6, 5, 1), "uint8")}, "images must be floats"),
    ],
)
def test_bad_arguments(images, labels, changes, said):
    images, labels = changes.pop("images", images), changes.pop("labels", labels)
    with pytest.raises(ValueError, match=said):
        make_batches(images, labels, **changes)
