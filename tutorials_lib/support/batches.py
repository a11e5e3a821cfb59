"""Batches for `model.fit` that depend only on a seed, the epoch and their index."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tutorials_lib.support.checks import check_whole


def shuffle_in_window(
    rng: np.random.Generator, n: int, window: int | None = None
) -> np.ndarray:
    """Returns 0 to n - 1, shuffled as by `tf.data.Dataset.shuffle(window)`.

    A buffer holds the first `window` images. Repeatedly, a random image of the buffer
    comes next in the order, and the next image of the file takes its place. So an image
    comes at most `window - 1` positions early, but may come arbitrarily late. None
    shuffles all images; every order is equally likely.
    """
    if window is None or window >= n:
        return rng.permutation(n)
    buffer, order = list(range(window)), []
    for following, slot in enumerate(rng.integers(window, size=n - window), window):
        order.append(buffer[slot])
        buffer[slot] = following
    return np.concatenate([order, rng.permutation(buffer)])


class SeededBatches(keras.utils.PyDataset):
    """Base class of batches that a seed reproduces and that differ between epochs.

    A subclass draws batch i with `self.make_generator(i)`, seeded by (seed, epoch, i),
    so that a batch does not depend on which others were requested before.
    `self.shuffles` holds the epoch's orders of the n images, see `shuffle_in_window`.
    """

    def __init__(
        self, seed: int, n: int, shuffles: int = 1, window: int | None = None
    ) -> None:
        super().__init__()
        self.seed = check_whole("seed", seed, 0)
        self.window = None if window is None else check_whole("window", window, 1)
        self._lengths = [n] * shuffles
        self.epoch = 0

    @property
    def epoch(self) -> int:
        """The current epoch, which determines the batches; set it to resume a run."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch
        # No batch has this index, so no batch shares the shuffles' stream.
        rng = self.make_generator(2**32 - 1)
        self.shuffles = [shuffle_in_window(rng, n, self.window) for n in self._lengths]

    def on_epoch_end(self) -> None:
        """Moves on to the next epoch; `fit` calls it."""
        self.epoch += 1

    def __iter__(self) -> Iterator[Any]:
        """Goes through one epoch; with Keras' older `PyDataset` a loop has no end."""
        return (self[index] for index in range(len(self)))

    def make_generator(self, index: int) -> np.random.Generator:
        """Returns the generator of batch `index` in this epoch."""
        return np.random.default_rng([self.seed, self.epoch, index])


class ArrayBatches(SeededBatches):
    """Shuffled batches of images and labels; an epoch uses every image once.

    Args:
        images: Array (n, ...).
        labels: Array (n, ...).
        batch_size: Images per batch; the last batch may be smaller.
        seed: Non-negative integer.
        window: Buffer size of a `tf.data` shuffle, see `shuffle_in_window`; None
            shuffles all images. With a window, pass `shuffle=False` to `fit`: otherwise
            Keras also shuffles the batches, and early ones no longer come from the
            front of the file.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        window: int | None = None,
    ) -> None:
        if len(images) != len(labels):
            raise ValueError(f"labels must be {len(images)}, as images are.")
        self.images, self.labels = images, labels
        self.batch_size = check_whole("batch_size", batch_size, 1)
        super().__init__(seed, len(images), window=window)

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns batch `index` of this epoch: images and labels."""
        start = index * self.batch_size
        chosen = self.shuffles[0][start : start + self.batch_size]
        return self.images[chosen], self.labels[chosen]
