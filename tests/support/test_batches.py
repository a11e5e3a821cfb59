"""Batches that repeat from seed, epoch and index, and what `fit` makes of them."""

import keras
import numpy as np
import pytest

from tutorials_lib.support.batches import ArrayBatches

IMAGES = np.random.default_rng(0).normal(size=(40, 30)).astype("float32")
LABELS = np.arange(40.0)


def read_epoch(batches):
    return [labels.tolist() for _, labels in batches]


def test_every_image_once_an_epoch_with_its_label():
    batches = ArrayBatches(IMAGES, LABELS, 16, seed=3)
    assert [len(labels) for _, labels in batches] == [16, 16, 8]
    for images, labels in batches:
        np.testing.assert_array_equal(images, IMAGES[labels.astype(int)])
    # The shuffle of the first epoch, as the records of past runs have it.
    order = np.random.default_rng([3, 0, 2**32 - 1]).permutation(40)
    np.testing.assert_array_equal(np.concatenate(read_epoch(batches)), order)


def test_seed_and_epoch_decide():
    batches, same = (ArrayBatches(IMAGES, LABELS, 16, seed=0) for _ in range(2))
    first = read_epoch(batches)
    batches.on_epoch_end()
    second = read_epoch(batches)
    batches.on_epoch_end()
    assert first != second != read_epoch(batches) != first
    assert first == read_epoch(same) != read_epoch(ArrayBatches(IMAGES, LABELS, 16, 1))
    # A run that resumes sets the epoch, and may go back.
    same.epoch = 2
    assert same.epoch == 2
    assert read_epoch(same) == read_epoch(batches)
    same.epoch = 0
    assert read_epoch(same) == first


def test_generators_are_of_seed_epoch_and_index():
    batches = ArrayBatches(IMAGES, LABELS, 16, seed=7)
    batches.epoch = 4
    expected = np.random.default_rng([7, 4, 2]).random(3)
    np.testing.assert_array_equal(batches.make_generator(2).random(3), expected)


def test_fit_gives_every_epoch_new_batches():
    asked = []

    class Spy(ArrayBatches):
        def __getitem__(self, index):
            asked.append((self.epoch, index))
            return super().__getitem__(index)

    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    model.fit(Spy(IMAGES, LABELS, 8, seed=0), epochs=3, verbose=0)
    # Keras may look at the first batches before it starts, and count that an epoch.
    whole = [e for e in range(9) if {(e, k) for k in range(5)} <= set(asked)]
    assert len(whole) == 3


def test_bad_arguments():
    with pytest.raises(ValueError, match="labels"):
        ArrayBatches(IMAGES, LABELS[:39], 8, seed=0)
    with pytest.raises(ValueError, match="seed"):
        ArrayBatches(IMAGES, LABELS, 8, seed=-1)
