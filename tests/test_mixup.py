"""The formula of mixup, the law of its weights and who is mixed with whom."""

import itertools
import math

import keras
import numpy as np
import pytest
from scipy import stats

from tutorials_lib.mixup import (
    LAMBDA_PER,
    METHODS,
    PAIRINGS,
    MixupBatches,
    measure_distances,
    mix,
    sample_weights,
)


def make_batches(**changes):
    """Batches of 40 images, each of a class of its own and one-hot like its label."""
    own = np.eye(40, dtype="float32")
    arguments = {"images": own, "labels": own, "alpha": 1.0, "batch_size": 8}
    return MixupBatches(**{**arguments, "seed": 5, **changes})


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("method", METHODS)
def test_weights_follow_dirichlet(k, method):
    alpha = 0.4
    rows = sample_weights(np.random.default_rng(1), 20_000, alpha, k, method)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
    for column in rows.T:
        law = stats.beta(alpha, (k - 1) * alpha)
        assert stats.kstest(column, law.cdf).pvalue > 1e-3
    covariance = (np.eye(k) / k - 1 / k**2) / (k * alpha + 1)
    np.testing.assert_allclose(np.cov(rows.T), covariance, atol=0.004)


@pytest.mark.parametrize(
    ("alpha", "method"),
    [(1e-300, "beta"), (1e-3, "beta"), (1e-3, "gamma"), (1e6, "beta"), (1e6, "gamma")],
)
@pytest.mark.parametrize("k", [2, 3])
def test_weights_at_extreme_alpha(alpha, method, k):
    rows = sample_weights(np.random.default_rng(0), 1000, alpha, k, method)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-9)
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.mean(axis=0), 1 / k, atol=0.06)
    if alpha < 1:
        assert (rows.max(axis=1) > 0.99).mean() > 0.98
    else:
        np.testing.assert_allclose(rows, 1 / k, atol=0.01)


@pytest.mark.parametrize("shape", [(7,), (7, 4, 5, 1), (1, 2, 2)])
@pytest.mark.parametrize(("k", "dtype"), [(2, "float32"), (3, "uint8")])
def test_mix_is_the_weighted_sum(shape, k, dtype):
    rng = np.random.default_rng(2)
    arrays = list(rng.normal(100, 20, size=(k, *shape)).astype(dtype))
    weights = rng.dirichlet([1] * k, size=shape[0])
    mixed = mix(arrays, weights)
    expected = np.einsum("kn...,nk->n...", np.float64(arrays), weights)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("pairing", "lambda_per", "k"),
    list(itertools.product(PAIRINGS, LAMBDA_PER, (2, 3))),
)
def test_batches_mix_labels_as_images(images, pairing, lambda_per, k):
    labels = np.eye(len(images), dtype="float32")
    batches = MixupBatches(images, labels, 0.5, 7, 3, pairing, lambda_per, k)
    assert len(batches) == len(list(batches)) == (5 if pairing == "replacement" else 6)
    for mixed, rows in batches:
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
        assert (rows > 0).sum(axis=1).max() == k
        expected = np.einsum("nk,khwc->nhwc", rows, images)
        np.testing.assert_allclose(mixed, expected, atol=1e-5)


def list_chosen(batches):
    """The places of an epoch, one row for each image of a mix."""
    rng = np.random.default_rng(0)
    chosen = [batches.choose_images(rng, k) for k in range(len(batches))]
    return np.concatenate(chosen, axis=1)


def test_replacement_leaves_images_out_as_chance_has_it():
    images = np.arange(4000, dtype="float32").reshape(-1, 1)
    batches = MixupBatches(images, np.ones((4000, 1)), 1e-6, 50, 0)
    drawn = np.concatenate([batch for batch, _ in batches])
    # A draw of n of n images with replacement has 1 - 1/e of them.
    assert len(np.unique(drawn)) / 4000 == pytest.approx(1 - math.exp(-1), abs=0.03)


def test_shuffles_use_every_image_once_in_each_place():
    batches = make_batches(pairing="shuffles", batch_size=16, images_per_mix=3)
    assert [len(rows) for _, rows in batches] == [16, 16, 8]
    chosen = list_chosen(batches)
    # In the order that past runs had them.
    rng = np.random.default_rng([5, 0, 2**32 - 1])
    np.testing.assert_array_equal(chosen, [rng.permutation(40) for _ in range(3)])


@pytest.mark.parametrize("pairing", ["shuffles", "batch"])
def test_window_keeps_images_near_their_place(pairing):
    def find_last_of_first_batch(**options):
        batches = make_batches(pairing=pairing, images_per_mix=3, **options)
        return max(place[:8].max() for place in list_chosen(batches))

    # The first batch comes from the window's first 10 + 8 - 1 images, and so all its
    # mixes; without a window from anywhere.
    assert find_last_of_first_batch(window=10) <= 16
    assert find_last_of_first_batch() > 16


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_images_of_a_mix_are_chosen_independently(pairing):
    batches = make_batches(pairing=pairing, batch_size=40, images_per_mix=3)
    for one, two in itertools.combinations(list_chosen(batches), 2):
        # The same image twice is as rare as chance has it: 1 in 40.
        assert (one == two).mean() < 0.25


def test_weights_of_batches_follow_beta_of_alpha():
    """Not of 2 alpha, and not the larger one always on the first image."""
    n = 2000
    own = np.eye(n, dtype="float32")
    batches = MixupBatches(own[:, :1], own, 0.7, n, 0)
    first, second = batches.choose_images(batches.make_generator(0), 0)
    drawn = batches[0][1][np.arange(n), first][first != second]
    assert stats.kstest(drawn, stats.beta(0.7, 0.7).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": 0},
        {"alpha": 1e7},
        {"alpha": 1e-4, "method": "gamma"},  # Nearly all gammas would be 0.
        {"batch_size": 41},
        {"lambda_per": "image"},
        {"images_per_mix": 1},
        {"method": "uniform"},
        {"window": 10},  # Nothing is shuffled with replacement.
        {"labels": np.arange(40)},
        {"labels": np.full((40, 4), 0.5)},
        {"labels": np.eye(4)[[0] * 39]},
        {"images": np.zeros((40, 6, 5, 1), "uint8")},
        {"images": np.full((40, 2), np.nan)},
    ],
)
def test_bad_arguments(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        make_batches(**changes)


def test_distances_of_networks_that_answer_the_mix():
    """One answers with the mix itself, one is off by 0.1, one is always sure."""
    rows = np.eye(4, dtype="float32")
    labels = rows[[0, 1, 2, 3, 1, 1, 3, 0, 2]]
    # Of the four pairs the second is of one class, and a ninth image has no partner.
    exact = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    exact.set_weights([rows, np.zeros(4)])
    off = keras.models.clone_model(exact)
    off.set_weights([rows, np.full(4, -0.1)])
    sure = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, "softmax")])
    sure.set_weights([1e4 * rows, np.zeros(4)])
    lambdas = [0.0, 0.3, 0.9, 1.0]
    for network, wanted in ((exact, 0), (off, 0.1), (sure, [0, 0.3, 0.1, 0])):
        found, pairs = measure_distances(network, labels, labels, lambdas)
        np.testing.assert_allclose(found, np.broadcast_to(wanted, 4), atol=1e-6)
        assert pairs == 3
