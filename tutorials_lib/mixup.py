"""mixup: train on weighted means of images and of their labels.

Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk
Minimization", arXiv:1710.09412, equation 1:

    x = lambda * x_i + (1 - lambda) * x_j
    y = lambda * y_i + (1 - lambda) * y_j,    lambda ~ Beta(alpha, alpha)
"""

import math
from collections.abc import Sequence

import keras
import numpy as np

from tutorials_lib.support.batches import SeededBatches
from tutorials_lib.support.checks import (
    check_choice,
    check_finite,
    check_floats,
    check_label_rows,
    check_positive,
    check_range,
    check_whole,
)

METHODS = ("beta", "gamma")
PAIRINGS = ("replacement", "shuffles", "batch")
LAMBDA_PER = ("sample", "batch")


def sample_weights(
    rng: np.random.Generator,
    n: int,
    alpha: float,
    images_per_mix: int = 2,
    method: str = "beta",
) -> np.ndarray:
    """Draws n rows of mixing weights from Dirichlet(alpha, ..., alpha).

    For two images a row is (lambda, 1 - lambda) with lambda ~ Beta(alpha, alpha).

    Args:
        rng: NumPy generator.
        n: Number of rows.
        alpha: Above 0. As it falls to 0, one weight tends to 1 and the others to 0.
        images_per_mix: Number of weights in a row.
        method: `"beta"` samples the distribution directly. `"gamma"` divides
            Gamma(alpha, 1) draws by their sum, which gives the same distribution.

    Returns:
        float64 array (n, images_per_mix) whose rows sum to 1; float32 would round too
        many weights to 1.
    """
    if method == "gamma":
        gammas = rng.gamma(alpha, size=(n, images_per_mix))
        while (underflow := gammas.sum(axis=1) == 0).any():
            gammas[underflow] = rng.gamma(alpha, size=(underflow.sum(), images_per_mix))
        return gammas / gammas.sum(axis=1, keepdims=True)
    if images_per_mix == 2:
        lambdas = rng.beta(alpha, alpha, size=n)
        return np.array([lambdas, 1 - lambdas]).T
    return rng.dirichlet([alpha] * images_per_mix, size=n)


def mix(arrays: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Returns the weighted mean of arrays for each sample: equation 1 of the paper.

    Args:
        arrays: k arrays of the same shape (n, ...).
        weights: lambda (n,) for two arrays; or rows (n, k) that sum to 1. A single
            row, (1, k), applies to all samples.

    Returns:
        float32 array (n, ...).
    """
    if weights.ndim == 1:
        weights = np.stack([weights, 1 - weights], axis=1)
    ones = (1,) * (arrays[0].ndim - 1)
    return sum(
        np.multiply(weight.reshape(-1, *ones), array, dtype="float32")
        for weight, array in zip(weights.T.astype("float32"), arrays, strict=True)
    )


def measure_distances(
    network: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    lambdas: Sequence[float],
) -> tuple[np.ndarray, int]:
    """Measures how far predictions for mixed images are from the mixing weight.

    Each image of the first half is mixed with its counterpart in the second half;
    pairs of the same class are left out.

    Args:
        network: A built `keras.Model` from images to probabilities (n, classes).
        images: float array (n, ...).
        labels: One-hot rows (n, classes).
        lambdas: Weights of the first image.

    Returns:
        The mean of |p(first image's class) - lambda| for each lambda, a float64 array,
        and the number of pairs.
    """
    half = len(images) // 2
    classes = labels.argmax(axis=1)
    pairs = np.flatnonzero(classes[:half] != classes[half : 2 * half])
    distances = []
    for weight in lambdas:
        weights = np.array([[weight, 1 - weight]])
        mixes = mix([images[pairs], images[half + pairs]], weights)
        answers = network.predict(mixes, batch_size=1000, verbose=0)
        first = answers[np.arange(len(pairs)), classes[pairs]]
        distances.append(np.abs(first - weight).mean(dtype="float64"))
    return np.array(distances), len(pairs)


class MixupBatches(SeededBatches):
    """Batches of mixed images and labels for `model.fit`.

    Args:
        images: float array (n, ...).
        labels: float array (n, classes), one-hot rows.
        alpha: Parameter of Beta(alpha, alpha): above 0 and at most 1e6. With gamma
            draws at least 1e-3, because below that nearly all underflow to 0.
        batch_size: Images per batch, from 1 to n.
        seed: Non-negative integer.
        pairing: `"replacement"` draws every image of a batch from the whole set with
            replacement; an epoch has floor(n / batch_size) batches. `"shuffles"` zips
            independent shuffles of the set, so that an epoch uses every image once in
            each position; the last batch may be smaller. `"batch"` shuffles once and
            mixes each batch with permutations of itself, as the paper's authors do.
        lambda_per: `"sample"`, or `"batch"`, again as the paper's authors do.
        images_per_mix: At least 2.
        method: `"beta"` or `"gamma"`, see `sample_weights`.
        window: See `batches.ArrayBatches`; None with `"replacement"`, which does not
            shuffle.
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
        window: int | None = None,
    ) -> None:
        check_floats("images", images)
        self.images = check_finite("images", images).astype("float32", copy=False)
        self.labels = check_label_rows("labels", labels, images).astype("float32")
        self.method = check_choice("method", method, METHODS)
        least = 1e-3 if method == "gamma" else 0
        self.alpha = check_range("alpha", check_positive("alpha", alpha), least, 1e6)
        self.batch_size = check_whole("batch_size", batch_size, 1, len(images))
        self.pairing = check_choice("pairing", pairing, PAIRINGS)
        self.lambda_per = check_choice("lambda_per", lambda_per, LAMBDA_PER)
        self.images_per_mix = check_whole("images_per_mix", images_per_mix, 2)
        shuffles = {"replacement": 0, "shuffles": images_per_mix, "batch": 1}[pairing]
        if not shuffles:
            check_choice("window with pairing 'replacement'", window, (None,))
        super().__init__(seed, len(images), shuffles, window)

    def __len__(self) -> int:
        if self.pairing == "replacement":
            return len(self.images) // self.batch_size
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns images (batch, ...) and labels (batch, classes), both float32."""
        rng = self.make_generator(index)
        chosen = self.choose_images(rng, index)
        n = len(chosen[0]) if self.lambda_per == "sample" else 1
        weights = sample_weights(rng, n, self.alpha, self.images_per_mix, self.method)
        images = mix([self.images.take(each, axis=0) for each in chosen], weights)
        labels = mix([self.labels.take(each, axis=0) for each in chosen], weights)
        return images, labels

    def choose_images(self, rng: np.random.Generator, index: int) -> list[np.ndarray]:
        """Chooses indices into the set: one array for each image of a mix."""
        if self.pairing == "replacement":
            shape = (self.images_per_mix, self.batch_size)
            return list(rng.integers(len(self.images), size=shape))
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        chosen = [shuffle[batch] for shuffle in self.shuffles]
        while len(chosen) < self.images_per_mix:
            chosen.append(rng.permutation(chosen[0]))
        return chosen
