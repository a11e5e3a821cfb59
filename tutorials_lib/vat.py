"""Virtual adversarial training: the same prediction around every image.

Miyato, Maeda, Koyama, Nakae and Ishii, "Distributional Smoothing with Virtual
Adversarial Training", arXiv:1507.00677. With p(x) the network's prediction for x, the
loss gains the term KL(p(x) || p(x + r)), where r is the perturbation of length eps
that maximises the term. Finding it needs no label:

    d <- grad_r KL(p(x) || p(x + r)) at r = xi * d,   with d scaled to length 1,
    r  = eps * d.

For small r the term is about r' H r / 2, with H its Hessian, and its gradient at
xi * d is about xi * H d. So this is power iteration, which finds H's top eigenvector.
"""

import functools
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from tutorials_lib.support.backend import Tensor, compute_gradient
from tutorials_lib.support.checks import check_floats, check_positive, check_whole


def kl_divergence(p: Tensor, q: Tensor, from_logits: bool = False) -> Tensor:
    """Computes KL(p || q) for each row.

    Args:
        p: float array (n, classes) of probabilities or logits.
        q: The same for the other distribution.
        from_logits: Whether p and q are logits.

    Returns:
        float32 tensor (n,), the sum of p * log(p / q). As in the article, Keras'
        epsilon (1e-7) is added to probabilities inside the logarithms, so that the
        result is finite and has a gradient where one is exactly 0 or 1.
    """
    p, q = ops.cast(p, "float32"), ops.cast(q, "float32")
    if from_logits:
        log_p, log_q = ops.log_softmax(p), ops.log_softmax(q)
        p = ops.exp(log_p)
    else:
        log_p = ops.log(p + keras.config.epsilon())
        log_q = ops.log(q + keras.config.epsilon())
    return ops.sum(p * (log_p - log_q), axis=-1)


def normalise(d: Tensor) -> Tensor:
    """Scales every sample of (n, ...) to length 1; a zero sample stays zero."""
    axes = tuple(range(1, len(d.shape)))
    # A confident network's gradients are so small that their squares would underflow.
    largest = ops.stop_gradient(ops.max(ops.abs(d), axis=axes, keepdims=True))
    d = d / ops.where(largest > 0, largest, 1.0)
    # At least 1 unless the sample is zero; a square root has no gradient at 0.
    squares = ops.sum(ops.square(d), axis=axes, keepdims=True)
    return d / ops.sqrt(ops.maximum(squares, 0.5))


def iterate_power(
    divergence: Callable[[Tensor], Tensor],
    d: Tensor,
    xi: float,
    through_normalisation: bool = True,
) -> Tensor:
    """Performs one step of power iteration.

    Args:
        divergence: Function from a perturbation (n, ...) to the KL divergence (n,).
        d: float tensor (n, ...) of directions, of any length.
        xi: Length of the perturbation at which the gradient is taken.
        through_normalisation: Whether to differentiate with respect to d before it is
            scaled to length 1, as in the article, rather than after, as in the paper.
            This removes the gradient's component along d, which is negligible for a
            random d, but is what the iteration seeks from the second step on.

    Returns:
        Tensor (n, ...) of new directions, of any length; d where the gradient is zero.
    """
    if through_normalisation:
        slope = compute_gradient(lambda d: ops.sum(divergence(xi * normalise(d))), d)
    else:
        slope = compute_gradient(lambda d: ops.sum(divergence(xi * d)), normalise(d))
    axes = tuple(range(1, len(d.shape)))
    return ops.where(ops.any(slope != 0, axis=axes, keepdims=True), slope, d)


def find_perturbation(
    network: keras.Model,
    images: np.ndarray,
    eps: float = 1.0,
    xi: float = 10.0,
    iterations: int = 1,
    through_normalisation: bool = True,
    from_logits: bool = False,
    start: ArrayLike | None = None,
) -> np.ndarray:
    """Finds the virtual adversarial perturbation of each image, without dropout.

    Args:
        network: A built `keras.Model` that returns probabilities (or logits).
        images: float array (n, ...).
        eps: Length of each perturbation.
        xi: Length at which gradients are taken, above 0: 10 in the article, 1e-6 in
            the paper. In single precision, 1e-3 to 1e-2 gives the paper's limit. Where
            the network is more than about 99.99% sure, the constant in `kl_divergence`
            hides the direction even at 1e-1, unless the network returns logits.
        iterations: Steps of power iteration, at least 1.
        through_normalisation: See `iterate_power`.
        from_logits: Whether the network returns logits.
        start: Initial directions, shaped like images; None draws them from a normal
            distribution, the same on every call.

    Returns:
        float32 array shaped like images; every sample has length eps.
    """
    check_positive("eps", eps)
    check_positive("xi", xi)
    check_whole("iterations", iterations, 1)
    check_network(network, from_logits)
    check_floats("images", images)
    shape = tuple(images.shape)
    if start is None:
        start = np.random.default_rng(0).normal(size=shape)
    if np.shape(start) != shape:
        raise ValueError(
            f"start must be shaped as images, {shape}; got {np.shape(start)}."
        )
    x, d = (ops.convert_to_tensor(each, "float32") for each in (images, start))
    p = network(x, training=False)

    def divergence(r):
        return kl_divergence(p, network(x + r, training=False), from_logits)

    for _ in range(iterations):
        d = iterate_power(divergence, d, xi, through_normalisation)
    return ops.convert_to_numpy(eps * normalise(d))


@keras.saving.register_keras_serializable("tutorials_lib")
class VatModel(keras.Model):
    """Trains a network with the virtual adversarial term added to its loss.

    The defaults are the article's; the trained network is `model.network`. The term is
    added only in training: `evaluate` and validation report the compiled loss alone.
    Sample weights do not apply to the term, which needs no label: give unlabelled
    images the weight 0.

    Args:
        network: A built `keras.Model` with one input and one output.
        eps: Length of the perturbation, above 0.
        xi: Length at which gradients are taken, see `find_perturbation`.
        iterations: Steps of power iteration, at least 1.
        constant_clean: Whether the term treats p(x) as constant, as in the paper. In
            the article the gradient flows through both predictions.
        through_normalisation: See `iterate_power`.
        same_dropout: Whether all predictions of a training step drop the same units.
            In the article each drops its own.
        from_logits: Whether the network returns logits.
        seed: Seed of directions and dropped units; None follows
            `keras.utils.set_random_seed`.
        **kwargs: Passed to `keras.Model`.
    """

    def __init__(
        self,
        network: keras.Model,
        eps: float = 1.0,
        xi: float = 10.0,
        iterations: int = 1,
        constant_clean: bool = False,
        through_normalisation: bool = True,
        same_dropout: bool = False,
        from_logits: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_network(network, from_logits)
        self.network = network
        self.eps = check_positive("eps", eps)
        self.xi = check_positive("xi", xi)
        self.iterations = check_whole("iterations", iterations, 1)
        self.constant_clean = constant_clean
        self.through_normalisation = through_normalisation
        self.same_dropout = same_dropout
        self.from_logits = from_logits
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # The states of the network's generators before the clean prediction.
        self.clean_seeds = [keras.random.SeedGenerator(0) for _ in _find_seeds(network)]
        self.build(network.input_shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Marks the model as built; its network already is."""
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Returns the network's predictions."""
        check_floats("images", images)
        if training and self.same_dropout:
            seeds = _find_seeds(self.network)
            for kept, seed in zip(self.clean_seeds, seeds, strict=True):
                kept.state.assign(seed)
        return self.network(images, training=training)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Adds the mean of KL(p(x) || p(x + r)) to the compiled loss in training."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        clean = ops.stop_gradient(y_pred)

        def divergence(r, mask, p=clean):
            q = self._predict_again(x + r, mask)
            return kl_divergence(p, q, self.from_logits)

        *masks, last_mask = self._draw_masks(self.iterations + 1)
        d = keras.random.normal(ops.shape(x), seed=self.seed_generator)
        for mask in masks:
            masked = functools.partial(divergence, mask=mask)
            d = iterate_power(masked, d, self.xi, self.through_normalisation)
        r = ops.stop_gradient(self.eps * normalise(d))
        p = clean if self.constant_clean else y_pred
        return loss + ops.mean(divergence(r, last_mask, p))

    def _predict_again(self, images, mask):
        """Predicts with the given dropout masks, without changing the network.

        So batch normalisation's statistics stay those of the clean images, and on JAX
        no traced value leaks out of the gradient.
        """
        values = [(variable, variable.value) for variable in self.network.variables]
        values += zip(_find_seeds(self.network), mask, strict=True)
        with keras.StatelessScope(values):
            return self.network(images, training=True)

    def _draw_masks(self, passes):
        """Returns, for each pass, states of the dropout generators."""
        if self.same_dropout:
            return [[kept.state.value for kept in self.clean_seeds]] * passes
        states = _find_seeds(self.network)
        shape = (passes, len(states), 2)
        drawn = keras.random.randint(shape, 0, 2**31 - 1, seed=self.seed_generator)
        return [
            [ops.cast(drawn[row, k], state.dtype) for k, state in enumerate(states)]
            for row in range(passes)
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        names = ["eps", "xi", "iterations", "constant_clean"]
        names += ["through_normalisation", "same_dropout", "from_logits", "seed"]
        network = keras.saving.serialize_keras_object(self.network)
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), "network": network, **own}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Rebuilds the model from the result of `get_config`."""
        load = keras.saving.deserialize_keras_object
        return cls(**{**config, "network": load(config["network"], custom_objects)})


def check_network(network: keras.Model, from_logits: bool = False) -> None:
    """Raises ValueError unless the network's output matches `from_logits`.

    Training with logits mistaken for probabilities, or the reverse, raises no error.
    """
    shape = network.input_shape[1:]
    images = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    rows = ops.convert_to_numpy(network(images, training=False)).astype("float64")
    probabilities = (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-2)
    if probabilities == from_logits:
        found = "probabilities" if probabilities else "not probabilities"
        raise ValueError(
            f"from_logits must match what network returns; got {from_logits}, but the "
            f"outputs are {found}."
        )


def _find_seeds(network):
    """Returns the states of the network's random generators, those of its dropout."""
    weights = {id(variable) for variable in network.non_trainable_weights}
    return [x for x in network.non_trainable_variables if id(x) not in weights]
