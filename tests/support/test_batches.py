"""Batches that repeat from seed, epoch and index, and what `fit` makes of them."""

import keras
import numpy as np
import pytest
from scipy import stats

from tutorials_lib.airbench import AirbenchBatches
from tutorials_lib.few_labels import PartlyLabelledBatches
from tutorials_lib.mixup import PAIRINGS, MixupBatches
from tutorials_lib.support.batches import ArrayBatches, shuffle_in_window

IMAGES = np.random.default_rng(0).normal(size=(40, 30)).astype("float32")
LABELS = np.arange(40.0)
ROWS = np.eye(4, dtype="float32")[np.arange(40) % 4]
SQUARES = IMAGES[:, :25].reshape(40, 5, 5, 1)
KINDS = {
    "array": lambda seed: ArrayBatches(IMAGES, ROWS, 8, seed),
    "half": lambda seed: PartlyLabelledBatches(IMAGES, ROWS, IMAGES, 8, 4, seed),
    "airbench": lambda seed: AirbenchBatches(SQUARES, ROWS, 8, seed),
}
for name in PAIRINGS:
    KINDS[name] = lambda seed, name=name: MixupBatches(IMAGES, ROWS, 1, 8, seed, name)


def read_epoch(batches):
    return [labels.tolist() for _, labels in batches]


def test_every_image_once_an_epoch_with_its_label():
    batches = ArrayBatches(IMAGES, LABELS, 16, seed=3)
    assert [len(labels) for _, labels in batches] == [16, 16, 8]
    for images, labels in batches:
        np.testing.assert_array_equal(images, IMAGES[labels.astype(int)])
    # The shuffle and the draws, as the records of past runs have them.
    order = np.random.default_rng([3, 0, 2**32 - 1]).permutation(40)
    np.testing.assert_array_equal(np.concatenate(read_epoch(batches)), order)
    batches.epoch = 4
    drawn = np.random.default_rng([3, 4, 2]).random(3)
    np.testing.assert_array_equal(batches.make_generator(2).random(3), drawn)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_batch_depends_on_seed_epoch_and_index_alone(kind):
    def draw(seed=5, epoch=1, index=2):
        batches = KINDS[kind](seed)
        batches[1]
        batches.epoch = epoch
        return batches[index][0]

    alone = KINDS[kind](5)
    alone.on_epoch_end()
    np.testing.assert_array_equal(draw(), alone[2][0])
    for other in (draw(seed=6), draw(epoch=0), draw(index=1)):
        # From the first image to the last: both kinds of a partly labelled batch.
        assert not (draw()[0] == other[0]).all()
        assert not (draw()[-1] == other[-1]).all()


def test_fit_gives_every_epoch_new_batches():
    asked = []

    class Spy(ArrayBatches):
        def __getitem__(self, index):
            asked.append((self.epoch, index))
            return super().__getitem__(index)

    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    model.fit(Spy(IMAGES, LABELS, 2, seed=0), epochs=3, verbose=0)
    # Keras may look at the first batches before it starts, and count that an epoch.
    whole = [e for e in range(9) if {(e, k) for k in range(20)} <= set(asked)]
    assert len(whole) == 3


def draw_places(orders):
    """Where each image comes in each order, less where it stood: (orders, images)."""
    orders = np.stack(orders)
    return np.argsort(orders, axis=1) - np.arange(orders.shape[1])


@pytest.mark.parametrize("window", [64, 290])
def test_window_moves_images_as_tf_data_does(window):
    tf = pytest.importorskip("tensorflow")
    n, rounds = 300, 100
    data = tf.data.Dataset.range(n).shuffle(window, seed=3).batch(n).repeat(rounds)
    theirs = draw_places([order.numpy() for order in data])
    rng = np.random.default_rng(4)
    ours = draw_places([shuffle_in_window(rng, n, window) for _ in range(rounds)])
    for moved in (ours, theirs):
        assert moved.min() == 1 - window
    means = [np.abs(moved).mean(axis=1) for moved in (ours, theirs)]
    assert stats.ttest_ind(*means).pvalue > 1e-3
    # The first and the last image of the first buffer, one amid the file, and the last.
    for image in (0, window - 1, n // 2, n - 1):
        assert stats.ks_2samp(ours[:, image], theirs[:, image]).pvalue > 1e-3
    # A window of half the size is told apart.
    half = draw_places([shuffle_in_window(rng, n, window // 2) for _ in range(rounds)])
    assert stats.ttest_ind(np.abs(half).mean(axis=1), means[1]).pvalue < 1e-6


def test_windowed_batches():
    batches = ArrayBatches(IMAGES, LABELS, 16, seed=3, window=10)
    assert draw_places([np.concatenate(read_epoch(batches))]).min() >= -9
    # A window as long as the file is the shuffle of all, to the last bit.
    wide = ArrayBatches(IMAGES, LABELS, 16, seed=3, window=40)
    assert read_epoch(wide) == read_epoch(ArrayBatches(IMAGES, LABELS, 16, seed=3))


def test_bad_arguments():
    for name, value in (
        ("labels", LABELS[:39]),
        ("seed", -1),
        ("window", 0),
        ("batch_size", 0),
    ):
        sound = {"images": IMAGES, "labels": LABELS, "batch_size": 8, "seed": 0}
        with pytest.raises(ValueError, match=name):
            ArrayBatches(**{**sound, name: value})
