"""mixup: train on weighted means of images and of their labels.

Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk
Minimization", arXiv:1710.09412, equation 1:

    x = lambda * x_i + (1 - lambda) * x_j
    y = lambda * y_i + (1 - lambda) * y_j,    lambda ~ Beta(alpha, alpha)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tutorials_lib.support.checks import (
    check_array,
    check_arrays,
    check_choice,
    check_count,
    check_finite,
    check_positive,
)

METHODS = ("beta", "gamma")
PAIRINGS = ("replacement", "shuffles", "batch")
LAMBDA_PER = ("sample", "batch")


def check_alpha(alpha: float, method: str = "beta") -> float:
    """Raises ValueError unless Beta(alpha, alpha) can be drawn from in floats.

    Args:
        alpha: Above 0 and at most 1e6; at least 1e-3 where weights come from gamma
            draws, most of which underflow to 0 below that.
        method: `"beta"` or `"gamma"`.

    Returns:
        `alpha` as a float.
    """
    check_choice("method", method, METHODS)
    alpha = check_positive("alpha", alpha)
    lowest = 1e-3 if method == "gamma" else 0
    if not lowest <= alpha <= 1e6:
        raise ValueError(
            f"alpha must be from {lowest:g} to 1e6 where method is {method!r}; "
            f"got {alpha!r}."
        )
    return alpha


def sample_lambda(
    rng: np.random.Generator, n: int, alpha: float, method: str = "beta"
) -> np.ndarray:
    """Draws n mixing weights from Beta(alpha, alpha).

    Args:
        rng: A `numpy.random.Generator`.
        n: How many.
        alpha: See `check_alpha`. Towards 0 the weights become 0 or 1 (no mixing).
        method: `"beta"` draws from the distribution; `"gamma"` takes
            g1 / (g1 + g2) of two Gamma(alpha, 1) draws, which has the same law.
            A generator's Beta is safe at any alpha; the quotient is 0 / 0 where
            both draws underflow, which is drawn again here.

    Returns:
        float64 array (n,) in [0, 1]. In single precision so many weights near 1
        would round to 1 that at small alpha the law would visibly change.

    Raises:
        ValueError: n below 1, alpha not positive and finite, unknown method.
    """
    return sample_weights(rng, n, alpha, 2, method)[:, 0]


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
        rng: A `numpy.random.Generator`.
        n: How many rows.
        alpha: Finite and above 0.
        images_per_mix: Weights in a row, at least 2.
        method: `"beta"` or `"gamma"`, see `sample_lambda`.

    Returns:
        float64 array (n, images_per_mix), every row with sum 1.

    Raises:
        TypeError: rng is no generator.
        ValueError: a value out of range, unknown method.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator; got {rng!r}.")
    n = check_count("n", n)
    alpha = check_alpha(alpha, method)
    images_per_mix = check_count("images_per_mix", images_per_mix, 2)
    if method == "beta" and images_per_mix == 2:
        first = rng.beta(alpha, alpha, size=n)
        weights = np.stack([first, 1 - first], axis=1)
    elif method == "beta":
        weights = rng.dirichlet(np.full(images_per_mix, alpha), size=n)
    else:
        weights = _normalised_gammas(rng, n, alpha, images_per_mix)
    return weights


def _normalised_gammas(rng, n, alpha, images_per_mix):
    gammas = rng.gamma(alpha, size=(n, images_per_mix))
    while (empty := gammas.sum(axis=1) == 0).any():
        gammas[empty] = rng.gamma(alpha, size=(empty.sum(), images_per_mix))
    return gammas / gammas.sum(axis=1, keepdims=True)


def mix(arrays: Sequence[ArrayLike], weights: ArrayLike) -> np.ndarray:
    """Returns the weighted mean of arrays, sample by sample.

    The formula of mixup; images and labels go through the same function with the
    same weights.

    Args:
        arrays: Sequence of k arrays, each (n, ...), all of one shape.
        weights: float array (n, k), every row with sum 1, or (n,) with the first
            of two weights (lambda).

    Returns:
        float32 array (n, ...).

    Raises:
        ValueError: shapes that do not agree, weights that are not from 0 to 1 or do
            not sum to 1, values that are not finite in single precision.
    """
    arrays = check_arrays("arrays", arrays)
    rows = check_finite("weights", check_array("weights", weights))
    if rows.ndim == 1:
        rows = np.stack([rows, 1 - rows], axis=1)
    rows = rows.astype("float32")
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or shapes == {()}:
        raise ValueError(
            f"arrays must hold at least one array (n, ...), all of one shape; got "
            f"shapes {sorted(shapes)}."
        )
    (shape,) = shapes
    if rows.shape != (shape[0], len(arrays)):
        raise ValueError(
            f"weights must have shape {(shape[0], len(arrays))} for {len(arrays)} "
            f"arrays of {shape[0]} samples; got {rows.shape}."
        )
    right = (rows >= 0).all() and (np.abs(rows.sum(axis=1) - 1) <= 1e-3).all()
    if not right:
        raise ValueError("weights must sum to 1 for every sample, none below 0.")
    ones = (1,) * (len(shape) - 1)
    parts = (
        np.multiply(weight.reshape(-1, *ones), array, dtype="float32")
        for array, weight in zip(arrays, rows.T, strict=True)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        mixed = next(parts)
        for part in parts:
            mixed += part
    # Not of every array: whatever is not finite in one of them, is not in their sum.
    return check_finite("arrays", mixed)
