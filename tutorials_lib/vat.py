"""Virtual adversarial training: the same answer around every image.

Miyato, Maeda, Koyama, Nakae and Ishii, "Distributional Smoothing with Virtual
Adversarial Training", arXiv:1507.00677. With p(x) the net's prediction for x, the
loss gains the term KL(p(x) || p(x + r)), where r is the perturbation of length eps
that makes the term largest. No label is needed to find it:

    d <- gradient by r of KL(p(x) || p(x + r)) at r = xi * d,   d scaled to length 1,
    r  = eps * d.

Around r = 0 the term is r' H r / 2 up to higher orders, its gradient at r = xi * d is
xi * H d, so each step is one of the power iteration for the top eigenvector of H, the
Hessian.
"""

from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from tutorials_lib.support.backend import Tensor, compute_gradient
from tutorials_lib.support.checks import check_floats, check_positive, check_whole


def kl_divergence(p: Tensor, q: Tensor, from_logits: bool = False) -> Tensor:
    """Computes KL(p || q), row by row.

    Args:
        p: float array (n, classes) of probabilities, or of logits.
        q: The same for the other distribution.
        from_logits: Whether p and q are logits.

    Returns:
        float32 tensor (n,), sum of p * log(p / q). Probabilities have Keras' epsilon
        (1e-7) added within the logarithms, as in the article. So it is finite where one
        is exactly 0 or 1, and has a gradient there, which Keras' own loss has not.
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
    """Scales every sample of (n, ...) to length 1; one of zeros stays as it is."""
    axes = tuple(range(1, len(d.shape)))
    # Gradients of a confident net are so small that their squares would underflow.
    largest = ops.stop_gradient(ops.max(ops.abs(d), axis=axes, keepdims=True))
    d = d / ops.where(largest > 0, largest, 1.0)
    # At least 1 unless the sample is zero, where a root of 0 has no gradient.
    squares = ops.sum(ops.square(d), axis=axes, keepdims=True)
    return d / ops.sqrt(ops.maximum(squares, 0.5))


def iterate_power(
    divergence: Callable[[Tensor], Tensor],
    d: Tensor,
    xi: float,
    through_normalisation: bool = True,
) -> Tensor:
    """Makes one step of the power iteration.

    Args:
        divergence: Function of a perturbation (n, ...) that returns the KL (n,).
        d: Directions, float tensor (n, ...), of any length.
        xi: Length of the perturbation at which the gradient is taken.
        through_normalisation: Whether the gradient is that by d before it is scaled
            to length 1, as in the article. That takes out the gradient's part along
            d. From a random d this is next to nothing; from the second step on it
            is what the iteration is after, and the paper takes the gradient by the
            scaled d.

    Returns:
        New directions (n, ...), of any length; d itself where the gradient is zero.
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
        network: A built `keras.Model` that predicts probabilities (or logits).
        images: float array (n, ...).
        eps: Length of each perturbation.
        xi: Length at which gradients are taken, above 0: 10 in the article, 1e-6 in
            the paper. In single precision the paper's limit is reached from 1e-3 to
            1e-2; at 1e-1 higher orders turn the direction where the top eigenvalues
            are close, at 1e-6 rounding does. Near an image of which the network is
            surer than about 99.99%, the constant in `kl_divergence` hides the
            direction even at 1e-1, unless the network returns logits.
        iterations: Steps of the power iteration, at least 1.
        through_normalisation: See `iterate_power`.
        from_logits: Whether the network returns logits.
        start: Directions to start from, shaped as images; None draws them from a
            normal distribution, the same each time.

    Returns:
        float32 array shaped as images; every sample has length eps.
    """
    check_positive("xi", xi)
    check_whole("iterations", iterations, 1)
    check_network(network, from_logits)
    check_floats("images", images)
    if start is None:
        start = np.random.default_rng(0).normal(size=images.shape)
    if np.shape(start) != tuple(images.shape):
        raise ValueError(
            f"start must be shaped as images, {tuple(images.shape)}; "
            f"got {np.shape(start)}."
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
    """Trains a network with the term of virtual adversarial training in its loss.

    The defaults are the article's. `fit`, callbacks, metrics and saving work as for
    any model; the trained network is `model.network`. The term is added in training
    only: the loss that `evaluate` and validation report is the compiled one.

    Sample weights weigh the compiled loss and not the term, which needs no label: an
    image of weight 0 is an unlabelled one.

    Args:
        network: A built `keras.Model` with one input and one output.
        eps: Length of the perturbation, above 0.
        xi: Length at which gradients are taken, see `find_perturbation`.
        iterations: Steps of the power iteration, at least 1.
        constant_clean: Whether p(x) is a constant in the term, as in the paper. In
            the article the gradient runs through both predictions.
        through_normalisation: See `iterate_power`.
        same_dropout: Whether all predictions of a step drop the same units. In the
            article each has a mask of its own.
        from_logits: Whether the network returns logits.
        seed: For the first directions and the masks; None takes what
            `keras.utils.set_random_seed` set.
        **kwargs: Of `keras.Model`.

    Raises:
        ValueError: a length that is not above 0, a network whose output is not what
            `from_logits` says, or images that are not floats.
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
        # What the network's own generators held before the clean prediction.
        self.clean_seeds = [keras.random.SeedGenerator(0) for _ in _find_seeds(network)]
        self.build(network.input_shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Does nothing: the network is built."""
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Predicts with the network."""
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
        """Adds the mean of KL(p(x) || p(x + r)) to the loss, in training."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        p = ops.stop_gradient(y_pred)
        *seeds, last_seeds = self._draw_masks(self.iterations + 1)
        d = keras.random.normal(ops.shape(x), seed=self.seed_generator)
        for step in range(self.iterations):

            def divergence(r, step=step):
                q = self._predict_again(x + r, seeds[step])
                return kl_divergence(p, q, self.from_logits)

            d = iterate_power(divergence, d, self.xi, self.through_normalisation)
        r = ops.stop_gradient(self.eps * normalise(d))
        q = self._predict_again(x + r, last_seeds)
        p = p if self.constant_clean else y_pred
        return loss + ops.mean(kl_divergence(p, q, self.from_logits))

    def _predict_again(self, images, seeds):
        """Predicts with given masks of dropout, and changes nothing in the network.

        Stateless, so that batch normalisation's statistics stay those of the clean
        images, and nothing traced leaks out of the gradient on JAX.
        """
        values = {id(variable): variable.value for variable in self.network.variables}
        for variable, seed in zip(_find_seeds(self.network), seeds, strict=True):
            values[id(variable)] = seed
        predicted, _ = self.network.stateless_call(
            [values[id(variable)] for variable in self.network.trainable_variables],
            [values[id(variable)] for variable in self.network.non_trainable_variables],
            images,
            training=True,
        )
        return predicted

    def _draw_masks(self, passes):
        """For each pass, what the network's generators of dropout start from."""
        states = _find_seeds(self.network)
        if self.same_dropout:
            return [[kept.state.value for kept in self.clean_seeds]] * passes
        shape, most = (passes, max(len(states), 1), 2), 2**31 - 1
        drawn = keras.random.randint(shape, 0, most, seed=self.seed_generator)
        return [
            [ops.cast(row[place], state.dtype) for place, state in enumerate(states)]
            for row in (drawn[number] for number in range(passes))
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        names = ["eps", "xi", "iterations", "constant_clean"]
        names += ["through_normalisation", "same_dropout", "from_logits", "seed"]
        own = {name: getattr(self, name) for name in names}
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, **own}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Makes the model that `get_config` described."""
        load = keras.saving.deserialize_keras_object
        return cls(**{**config, "network": load(config["network"], custom_objects)})


def check_network(network: keras.Model, from_logits: bool = False) -> None:
    """Raises ValueError unless a network returns what `from_logits` says.

    Logits that are taken for probabilities, or the reverse, train without complaint.
    """
    shape = network.input_shape[1:]
    images = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    rows = ops.convert_to_numpy(network(images, training=False)).astype("float64")
    probabilities = (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-2)
    if probabilities == from_logits:
        found = "probabilities" if probabilities else "no probabilities"
        raise ValueError(
            f"from_logits must say what network returns: it is {from_logits}, and the "
            f"outputs are {found}."
        )


def _find_seeds(network):
    """The states of the network's random generators, those of its dropout."""
    weights = {id(variable) for variable in network.non_trainable_weights}
    return [x for x in network.non_trainable_variables if id(x) not in weights]
