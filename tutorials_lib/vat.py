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

from tutorials_lib.support.checks import (
    are_probabilities,
    check_array,
    check_callable,
    check_count,
    check_finite,
    check_flag,
    check_floats,
    check_positive,
    check_predictions,
    check_range,
    check_samples,
    check_seed,
    check_whole,
    has_shape,
)
from tutorials_lib.support.tensors import Tensor

# Of what single precision squares without ending at 0 or at infinity.
LEAST, MOST = 1e-12, 1e12


def kl_divergence(p: Tensor, q: Tensor, from_logits: bool = False) -> Tensor:
    """Computes KL(p || q), row by row.

    Args:
        p: float array (n, classes) of probabilities, or of logits.
        q: The same for the other distribution.
        from_logits: Whether p and q are logits.

    Returns:
        float32 tensor (n,), sum of p * log(p / q). Probabilities have Keras' epsilon
        (1e-7) added within the logarithms, as in the article: finite, and with a
        gradient, where one is exactly 0 or 1, as that of Keras' own loss has not.

    Raises:
        ValueError: p and q of different shapes, numbers that are not finite, or that
            are no probabilities where `from_logits` is False.
    """
    check_flag("from_logits", from_logits)
    p = check_predictions("p", p, from_logits)
    q = check_predictions("q", q, from_logits)
    if not has_shape(q, *p.shape):
        raise ValueError(f"q must have the shape of p, {p.shape}; got {q.shape}.")
    p, q = ops.cast(p, "float32"), ops.cast(q, "float32")
    if from_logits:
        log_p, log_q = ops.log_softmax(p), ops.log_softmax(q)
        p = ops.exp(log_p)
    else:
        log_p = ops.log(p + keras.config.epsilon())
        log_q = ops.log(q + keras.config.epsilon())
    return ops.sum(p * (log_p - log_q), axis=-1)


def normalise(d: Tensor) -> Tensor:
    """Scales every sample to length 1 (the root of its summed squares).

    Args:
        d: float array (n, ...).

    Returns:
        Tensor of the same shape; a sample of zeros stays as it is.

    Raises:
        TypeError: d that is no array.
        ValueError: d that is not of finite floats, or without any.
    """
    check_samples("d", d)
    axes = tuple(range(1, len(d.shape)))
    # Gradients of a confident net are so small that their squares would underflow.
    largest = ops.stop_gradient(ops.max(ops.abs(d), axis=axes, keepdims=True))
    d = d / ops.where(largest > 0, largest, 1.0)
    # At least 1 unless the sample is zero, where a root of 0 has no gradient.
    squares = ops.sum(ops.square(d), axis=axes, keepdims=True)
    return d / ops.sqrt(ops.maximum(squares, 0.5))


def compute_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Computes the gradient of a scalar function, on TensorFlow and JAX.

    Args:
        function: Takes a tensor shaped as x, returns a scalar tensor.
        x: float tensor.

    Returns:
        Tensor shaped as x.

    Raises:
        TypeError: function that is none, x that is no array.
        ValueError: x not of finite floats, a value of function that is no scalar.
        NotImplementedError: Keras runs on another backend.
    """
    check_callable("function", function)
    check_floats("x", x)
    check_finite("x", x)
    x = ops.convert_to_tensor(x)

    def compute(x):
        value = ops.convert_to_tensor(function(x))
        if tuple(value.shape):
            raise ValueError(f"function must return a scalar; got {value!r}.")
        return value

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = compute(x)
        # Zeros, as on JAX, for a function that does not depend on x.
        return tape.gradient(value, x, unconnected_gradients="zero")
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(compute)(x)
    raise NotImplementedError(
        f"the backend must be tensorflow or jax; got {keras.backend.backend()}."
    )


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

    Raises:
        TypeError: divergence that is no function, d that is no array.
        ValueError: d that is not of finite floats, xi out of range.
    """
    check_callable("divergence", divergence)
    check_flag("through_normalisation", through_normalisation)
    xi = _check_length("xi", xi)
    check_samples("d", d)
    if through_normalisation:
        slope = compute_gradient(lambda d: ops.sum(divergence(xi * normalise(d))), d)
    else:
        slope = compute_gradient(lambda d: ops.sum(divergence(xi * d)), normalise(d))
    axes = tuple(range(1, len(d.shape)))
    return ops.where(ops.any(slope != 0, axis=axes, keepdims=True), slope, d)


def find_perturbation(
    network: keras.Model,
    images: ArrayLike,
    eps: float = 1.0,
    xi: float = 10.0,
    iterations: int = 1,
    through_normalisation: bool = True,
    from_logits: bool = False,
    start: ArrayLike | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Finds the virtual adversarial perturbation of each image, without dropout.

    Args:
        network: A built `keras.Model` that predicts probabilities (or logits).
        images: float array (n, ...).
        eps: Length of each perturbation, from 1e-12 to 1e12.
        xi: Length at which gradients are taken, above 0. The article has 10, the
            paper 1e-6; in single precision the paper's limit is reached between
            1e-3 and 1e-1, below which rounding takes over. Near an image of which the
            network is surer than about 99.99%, the constant in `kl_divergence` does so
            even at 1e-1, unless the network returns logits.
        iterations: Steps of the power iteration, at least 1.
        through_normalisation: See `iterate_power`.
        from_logits: Whether the network returns logits.
        start: Directions to start from, float array shaped as images; None draws
            them from a normal distribution.
        seed: Whole number, for the draw.

    Returns:
        float32 array shaped as images; every sample has length eps.

    Raises:
        TypeError: a network that is no `keras.Model`.
        ValueError: a value out of range, images that are not floats, a network
            whose output is not what `from_logits` says.
    """
    eps = _check_length("eps", eps)
    xi = _check_length("xi", xi)
    iterations = check_count("iterations", iterations)
    check_flag("through_normalisation", through_normalisation)
    check_flag("from_logits", from_logits)
    check_network(network, from_logits)
    x = _check_images(images, network.input_shape[1:])
    d = _choose_start(start, x.shape, seed)
    x, d = (ops.convert_to_tensor(each, "float32") for each in (x, d))
    clean = network(x, training=False)

    def divergence(r):
        return kl_divergence(clean, network(x + r, training=False), from_logits)

    for _ in range(iterations):
        d = iterate_power(divergence, d, xi, through_normalisation)
    return ops.convert_to_numpy(eps * normalise(d))


def _check_length(name, value):
    return check_range(name, check_positive(name, value), LEAST, MOST)


def _check_images(images, taken):
    """Images of the shape that a network takes, as an array."""
    images = check_array("images", images)
    check_floats("images", images)
    check_finite("images", images)
    if images.shape[1:] != taken or not len(images):
        raise ValueError(
            f"images must have shape {('n', *taken)}, n of at least 1; got "
            f"{images.shape}."
        )
    return images


def _choose_start(start, shape, seed):
    """The directions that were given, or drawn ones."""
    if start is None:
        check_whole("seed", seed, 0)
        return np.random.default_rng(seed).normal(size=shape)
    start = check_finite("start", check_array("start", start)).astype("float32")
    if start.shape != shape:
        raise ValueError(f"start must be shaped as images, {shape}; got {start.shape}.")
    if not start.any(axis=tuple(range(1, start.ndim))).all():
        raise ValueError("start must have a direction for each image; one is all 0.")
    return start


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
        weight: Factor of the term, above 0.
        constant_clean: Whether p(x) is a constant in the term, as in the paper. In
            the article the gradient runs through both predictions.
        through_normalisation: See `iterate_power`.
        same_dropout: Whether all predictions of a step drop the same units. In the
            article each has a mask of its own.
        from_logits: Whether the network returns logits.
        seed: For the first directions and the masks; None takes what
            `keras.utils.set_random_seed` set.
        **kwargs: Passed on to `keras.Model`.

    Raises:
        TypeError: a network that is no `keras.Model`.
        ValueError: a value out of range, a network that is not built or whose output
            is not what `from_logits` says; in training, images that are not floats.
    """

    def __init__(
        self,
        network: keras.Model,
        eps: float = 1.0,
        xi: float = 10.0,
        iterations: int = 1,
        weight: float = 1.0,
        constant_clean: bool = False,
        through_normalisation: bool = True,
        same_dropout: bool = False,
        from_logits: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.options: dict[str, Any] = {
            "eps": _check_length("eps", eps),
            "xi": _check_length("xi", xi),
            "iterations": check_count("iterations", iterations),
            "weight": _check_length("weight", weight),
            "constant_clean": check_flag("constant_clean", constant_clean),
            "through_normalisation": check_flag(
                "through_normalisation", through_normalisation
            ),
            "same_dropout": check_flag("same_dropout", same_dropout),
            "from_logits": check_flag("from_logits", from_logits),
            "seed": check_seed(seed),
        }
        check_network(network, from_logits)
        self.network = network
        self.seed_generator = keras.random.SeedGenerator(seed)
        # What the network's own generators held before the clean prediction.
        self.clean_seeds = [keras.random.SeedGenerator(0) for _ in _find_seeds(network)]
        self.build(network.input_shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Does nothing: the network is built."""
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Predicts with the network."""
        if training and self.options["same_dropout"]:
            for kept, seed in zip(
                self.clean_seeds, _find_seeds(self.network), strict=True
            ):
                kept.state.assign(seed)
        return self.network(images, training=training)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does."""
        # Refused later, inside of a step, it would cost the weights on JAX.
        if hasattr(x, "dtype"):
            check_floats("images", x)
        return super().fit(x, *args, **kwargs)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Adds the term to the compiled loss; Keras calls it."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        return loss + self.options["weight"] * self._compute_term(x, y_pred)

    def _compute_term(self, images, clean):
        """The mean over the batch of KL(p(x) || p(x + r))."""
        check_floats("images", images)
        if self.options["constant_clean"]:
            clean = ops.stop_gradient(clean)
        *steps, last = self._choose_seeds(self.options["iterations"] + 1)
        # A generator of the backend: the directions differ from step to step.
        d = keras.random.normal(ops.shape(images), seed=self.seed_generator)
        held = ops.stop_gradient(clean)
        for seeds in steps:

            def divergence(r, seeds=seeds):
                return self._diverge(held, images + r, seeds)

            d = iterate_power(
                divergence,
                d,
                self.options["xi"],
                self.options["through_normalisation"],
            )
        r = ops.stop_gradient(self.options["eps"] * normalise(d))
        return ops.mean(self._diverge(clean, images + r, last))

    def _diverge(self, clean, images, seeds):
        # Stateless, so that batch normalisation's statistics stay those of the clean
        # images, and nothing traced leaks out of the gradient on JAX.
        values = {id(variable): variable.value for variable in self.network.variables}
        values |= {
            id(variable): seed
            for variable, seed in zip(_find_seeds(self.network), seeds, strict=True)
        }
        predicted, _ = self.network.stateless_call(
            [values[id(variable)] for variable in self.network.trainable_variables],
            [values[id(variable)] for variable in self.network.non_trainable_variables],
            images,
            training=True,
        )
        return kl_divergence(clean, predicted, self.options["from_logits"])

    def _choose_seeds(self, passes):
        """For each pass, what the network's generators of dropout start from."""
        states = _find_seeds(self.network)
        if self.options["same_dropout"]:
            return [[kept.state.value for kept in self.clean_seeds]] * passes
        drawn = keras.random.randint(
            (passes, max(len(states), 1), 2),
            0,
            2**31 - 1,
            dtype="int32",
            seed=self.seed_generator,
        )
        return [
            [
                ops.cast(drawn[number, place], state.dtype)
                for place, state in enumerate(states)
            ]
            for number in range(passes)
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, **self.options}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Makes the model that `get_config` described."""
        network = keras.saving.deserialize_keras_object(
            config["network"], custom_objects
        )
        return cls(**{**config, "network": network})


def check_network(network: keras.Model, from_logits: bool = False) -> None:
    """Raises unless a network's outputs can be compared by the KL.

    Args:
        network: A built `keras.Model` with one input and one output (n, classes).
        from_logits: Whether its outputs are logits; else every row of them, for
            random images, must be probabilities.

    Raises:
        TypeError: no `keras.Model`.
        ValueError: one that is not built, or whose outputs are of another kind.
    """
    if not isinstance(network, keras.Model):
        raise TypeError(f"network must be a keras.Model; got {network!r}.")
    check_flag("from_logits", from_logits)
    shape = getattr(network, "input_shape", None) if network.built else None
    if not isinstance(shape, tuple) or not all(shape[1:]):
        raise ValueError(
            "network must be built, with one input of a known shape: let it start with "
            f"keras.Input; got {network!r}."
        )
    images = np.random.default_rng(0).normal(size=(4, *shape[1:])).astype("float32")
    rows = ops.convert_to_numpy(network(images, training=False)).astype("float64")
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise ValueError(
            f"network must return one row of at least two classes for each image; "
            f"got shape {rows.shape} for 4 images."
        )
    if not np.isfinite(rows).all():
        raise ValueError("network must return finite numbers; it returns NaN.")
    sums = rows.sum(axis=1)
    probabilities = are_probabilities(rows)
    if probabilities == from_logits:
        found = "probabilities" if probabilities else f"rows that sum to {sums}"
        advice = "False" if probabilities else "True, or let it end with softmax"
        raise ValueError(
            f"from_logits must say what network returns: it is {from_logits}, and the "
            f"outputs are {found}. Set it to {advice}."
        )


def _find_seeds(network):
    """The states of the network's random generators, those of its dropout."""
    weights = {id(variable) for variable in network.non_trainable_weights}
    return [
        variable
        for variable in network.non_trainable_variables
        if id(variable) not in weights
    ]
