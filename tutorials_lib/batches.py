"""Batches for `model.fit` that are drawn, and mixed, as they are asked for."""

import math

import numpy as np

from tutorials_lib.mixup import LAMBDA_PER, PAIRINGS, check_alpha, mix, sample_weights
from tutorials_lib.support.batches import SeededBatches
from tutorials_lib.support.checks import (
    check_array,
    check_choice,
    check_count,
    check_finite,
    check_flag,
    check_floats,
    check_label_rows,
    check_whole,
)


class MixupBatches(SeededBatches):
    """Batches of mixed images and labels for `model.fit`.

    Batch i of epoch e is drawn from a generator seeded by (seed, e, i), so a batch
    does not depend on which batches were asked for before it.

    Args:
        images: float32 array (n, ...).
        labels: float array (n, classes), one-hot rows.
        alpha: Parameter of Beta(alpha, alpha), see `mixup.check_alpha`.
        batch_size: From 1 to n.
        seed: Whole number of at least 0.
        pairing: Who is mixed with whom.
            `"replacement"`: every image of every batch is drawn uniformly with
            replacement; an epoch has floor(n / batch_size) batches.
            `"shuffles"`: independent shuffles of the whole set, zipped; an epoch
            uses every image once in each place, the last batch may be smaller.
            `"batch"`: one shuffle of the set, each batch mixed with permutations
            of itself, as the paper's authors do.
        lambda_per: `"sample"`, or `"batch"` for one lambda a batch, as the
            paper's authors do.
        images_per_mix: Images in a mix; above 2 the weights are
            Dirichlet(alpha, ..., alpha).
        method: `"beta"` or `"gamma"`, see `sample_lambda`.

    Raises:
        ValueError: a value out of range, images that are not finite floats, labels
            that are not one-hot, lengths that differ.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        alpha: float,
        batch_size: int,
        seed: int,
        pairing: str = "replacement",
        lambda_per: str = "sample",
        images_per_mix: int = 2,
        method: str = "beta",
    ) -> None:
        self.images = _check_images("images", images)
        self.labels = check_label_rows("labels", labels, self.images).astype("float32")
        self.batch_size = check_whole("batch_size", batch_size, 1, len(self.images))
        self.pairing = check_choice("pairing", pairing, PAIRINGS)
        self.lambda_per = check_choice("lambda_per", lambda_per, LAMBDA_PER)
        self.images_per_mix = check_count("images_per_mix", images_per_mix, 2)
        self.alpha = check_alpha(alpha, method)
        self.method = method
        shuffles = {"replacement": 0, "batch": 1, "shuffles": self.images_per_mix}
        super().__init__(seed, len(self.images), shuffles[pairing])

    def __len__(self) -> int:
        if self.pairing == "replacement":
            return len(self.images) // self.batch_size
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns batch `index` of this epoch.

        Returns:
            Images float32 (batch, ...) and labels float32 (batch, classes).

        Raises:
            IndexError: index not from 0 to the number of batches less 1.
            TypeError: index that is no whole number.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"index must be from 0 to {len(self) - 1}; got {index}.")
        rng = self.make_generator(index)
        chosen = self._choose(rng, index)
        n = len(chosen[0])
        if self.lambda_per == "sample":
            weights = sample_weights(
                rng, n, self.alpha, self.images_per_mix, self.method
            )
        else:
            row = sample_weights(rng, 1, self.alpha, self.images_per_mix, self.method)
            weights = np.repeat(row, n, axis=0)
        images = mix([self.images[places] for places in chosen], weights)
        labels = mix([self.labels[places] for places in chosen], weights)
        return images, labels

    def _choose(self, rng, index):
        """Places in the set, one array for each image of a mix."""
        if self.pairing == "replacement":
            shape = (self.images_per_mix, self.batch_size)
            return rng.integers(len(self.images), size=shape)
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        if self.pairing == "shuffles":
            return [shuffle[batch] for shuffle in self.shuffles]
        first = self.shuffles[0][batch]
        return [first] + [
            rng.permutation(first) for _ in range(self.images_per_mix - 1)
        ]


class PartlyLabelledBatches(SeededBatches):
    """Batches of which a part is labelled, for training with few labels.

    A batch is (images, labels, sample weights): first the labelled images, drawn with
    replacement, then the unlabelled ones, each of which comes up at most once an
    epoch. An unlabelled image has a row of zeros for a label and the weight 0; the
    weights of the others make the mean loss of a batch that of its labelled images.

    Batch i of epoch e is drawn from a generator seeded by (seed, e, i).

    Args:
        images: float array (n, ...) of the labelled images.
        labels: float array (n, classes), one-hot rows.
        unlabelled: float array (m, ...) of the others.
        batch_size: Images in a batch.
        labelled_per_batch: How many of them are labelled, from 1 to batch_size - 1.
        seed: Whole number of at least 0.
        labelled_only: Whether to leave the unlabelled images out of the batches; an
            epoch keeps its number of batches, and these their labelled images.

    Raises:
        ValueError: a value out of range, labels that are not one-hot, images that are
            not finite floats or differ in shape, too few for one batch.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        unlabelled: np.ndarray,
        batch_size: int,
        labelled_per_batch: int,
        seed: int,
        labelled_only: bool = False,
    ) -> None:
        self.images = _check_images("images", images)
        self.labels = check_label_rows("labels", labels, self.images).astype("float32")
        self.unlabelled = _check_images("unlabelled", unlabelled)
        if self.images.shape[1:] != self.unlabelled.shape[1:]:
            raise ValueError(
                f"unlabelled must hold images of the shape of images, "
                f"{self.images.shape[1:]}; got {self.unlabelled.shape[1:]}."
            )
        batch_size = check_whole("batch_size", batch_size, 2)
        self.labelled_per_batch = check_whole(
            "labelled_per_batch", labelled_per_batch, 1, batch_size - 1
        )
        self.unlabelled_per_batch = batch_size - self.labelled_per_batch
        if self.unlabelled_per_batch > len(self.unlabelled):
            raise ValueError(
                f"unlabelled must fill their part of batch_size {batch_size}, "
                f"{self.unlabelled_per_batch}; got {len(self.unlabelled)}."
            )
        self.labelled_only = check_flag("labelled_only", labelled_only)
        super().__init__(seed, len(self.unlabelled), shuffles=1)

    def __len__(self) -> int:
        return len(self.unlabelled) // self.unlabelled_per_batch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns batch `index` of this epoch.

        Returns:
            Images float32 (batch, ...), labels float32 (batch, classes), sample
            weights float32 (batch,).

        Raises:
            IndexError: index not from 0 to the number of batches less 1.
            TypeError: index that is no whole number.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"index must be from 0 to {len(self) - 1}; got {index}.")
        rng = self.make_generator(index)
        drawn = rng.integers(len(self.images), size=self.labelled_per_batch)
        images, labels = self.images[drawn], self.labels[drawn]
        weights = np.ones(len(drawn), dtype="float32")
        if self.labelled_only:
            return images, labels, weights
        size = self.unlabelled_per_batch
        places = self.shuffles[0][index * size : (index + 1) * size]
        images = np.concatenate([images, self.unlabelled[places]])
        padding = ((0, size), (0, 0))
        weights *= len(images) / len(drawn)
        return images, np.pad(labels, padding), np.pad(weights, padding[0])


def _check_images(name, images):
    images = check_array(name, images)
    check_floats(name, images)
    if not images.ndim or not images.size:
        raise ValueError(
            f"{name} must hold at least one image, of shape (n, ...); got "
            f"{images.shape}."
        )
    # A number too large for single precision becomes infinity, which is refused.
    with np.errstate(over="ignore"):
        return check_finite(name, images.astype("float32", copy=False))
