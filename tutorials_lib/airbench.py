"""The parts of airbench: CIFAR-10 to 94% in ten epochs.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, and its
code, https://github.com/KellerJordan/cifar10-airbench: `airbench94.py` and its larger
variants `airbench95.py` and `airbench96.py`. The published code is PyTorch in half
precision; where Keras computes something else by default, this module follows PyTorch
and says so.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import ArrayLike

from tutorials_lib.batches import _SeededBatches
from tutorials_lib.checks import (
    check_array,
    check_choice,
    check_count,
    check_finite,
    check_flag,
    check_images,
    check_label_rows,
    check_positive,
    check_range,
    check_whole,
)
from tutorials_lib.stochastic_depth import StochasticDepth, list_survivals
from tutorials_lib.tensors import Tensor

# Of each colour over the training images, pixels from 0 to 1, as published.
CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2470, 0.2435, 0.2616)
FLIPS = ("alternating", "random", "none")
# Shift down, shift right, mirrored, weight.
VIEWS = {
    "plain": [(0, 0, False, 1.0)],
    "mirror": [(0, 0, mirrored, 0.5) for mirrored in (False, True)],
    "multi-crop": [
        (shift, shift, mirrored, weight)
        for shift, weight in ((0, 0.25), (1, 0.125), (-1, 0.125))
        for mirrored in (False, True)
    ],
}


def normalise_images(images: ArrayLike) -> np.ndarray:
    """Subtracts the mean of each colour and divides by its standard deviation.

    Args:
        images: float array (n, height, width, 3), from 0 to 1.

    Returns:
        float32 array of the same shape.

    Raises:
        ValueError: images of another shape or dtype.
    """
    images = check_array("images", images)
    check_images("images", images, 3)
    mean, std = np.array(CIFAR_MEAN), np.array(CIFAR_STD)
    return ((images - mean) / std).astype("float32")


def whiten_patches(
    images: ArrayLike, size: int = 2, epsilon: float = 5e-4
) -> np.ndarray:
    """Computes the kernel of a convolution that whitens small patches of images.

    Each filter is an eigenvector of the patches' second-moment matrix, divided by the
    root of its eigenvalue plus epsilon, so that the filters' outputs are uncorrelated
    and of equal size. Each comes a second time with its sign turned, because the GELU
    that follows would lose the negative half of the output. The published recipe takes
    the first 5,000 training images: `whiten_patches(normalise_images(x[:5000]))`.

    Args:
        images: float array (n, height, width, channels), normalised as the net's
            convolution will see them.
        size: Height and width of a patch, at least 1.
        epsilon: Added to each eigenvalue, so that faint directions, which are mostly
            noise, are not blown up; at least 0.

    Returns:
        float32 array (size, size, channels, 2 * size * size * channels), the
        largest eigenvalue first, the negatives in the second half.

    Raises:
        ValueError: images that are not finite floats of that shape, or fewer patches
            than a patch has numbers.
    """
    images = check_array("images", images)
    check_images("images", images)
    check_finite("images", images)
    size = check_whole("size", size, 1, min(images.shape[1:3]))
    epsilon = check_range("epsilon", epsilon, 0, math.inf)
    length = size * size * images.shape[-1]
    moment, patches = np.zeros((length, length)), 0
    # Some images at a time: the patches are `size` squared times as large as these.
    for first in range(0, len(images), 500):
        few = images[first : first + 500].astype("float64")
        windows = np.lib.stride_tricks.sliding_window_view(few, (size, size), (1, 2))
        rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, length)
        moment += rows.T @ rows
        patches += len(rows)
    if patches < length:
        raise ValueError(
            f"images must hold at least {length} patches of {size}x{size}, as many as "
            f"a patch has numbers; got {patches}."
        )
    values, vectors = np.linalg.eigh(moment / patches)
    # Rounding can put an eigenvalue of 0 just below it.
    scales = np.sqrt(np.maximum(values, 0) + epsilon)
    if not scales.all():
        raise ValueError("images must differ more, or epsilon be above 0.")
    filters = (vectors / scales)[:, ::-1]
    filters = np.concatenate([filters, -filters], axis=1)
    return filters.reshape(size, size, -1, 2 * length).astype("float32")


@keras.saving.register_keras_serializable("tutorials_lib")
class IdentityStart(keras.initializers.Initializer):
    """Starts a convolution by passing its input on in the first filters.

    The filters above the number of input channels are drawn as PyTorch draws a
    convolution's: uniformly within 1 / sqrt(inputs of a filter).

    Args:
        seed: Whole number, or None for what `keras.utils.set_random_seed` set.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._rest = _torch_default(seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        """Returns a kernel (height, width, input channels, filters).

        Raises:
            ValueError: fewer filters than input channels.
        """
        height, width, channels, filters = shape
        if filters < channels:
            raise ValueError(
                f"filters must be at least the {channels} input channels, to pass each "
                f"on; got {filters}."
            )
        identity = np.zeros((height, width, channels, channels), "float32")
        identity[height // 2, width // 2] = np.eye(channels)
        # Drawn whole and then cut, for the limit depends on the shape.
        rest = self._rest(shape, dtype)[..., channels:]
        return ops.concatenate([ops.cast(identity, rest.dtype), rest], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {"seed": self.seed}


def _torch_default(seed=None):
    """PyTorch's start of weights: uniform within 1 / sqrt(inputs of a unit)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed)


@keras.saving.register_keras_serializable("tutorials_lib")
class ScaledBias(layers.Layer):
    """Adds a bias that learns `scale` times as fast as the other weights.

    The layer learns v and adds sqrt(scale) * v. The gradient by v is sqrt(scale) times
    that by the bias, and the bias moves sqrt(scale) times as far as v: under SGD,
    with or without momentum, that makes `scale`. An L2 penalty on v shrinks the bias
    at the plain rate, as published.

    Args:
        scale: Number above 0; 1 makes a plain bias.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, scale: float = 64.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = check_positive("scale", scale)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates v, zeros (channels,)."""
        self.v = self.add_weight(shape=input_shape[-1:], initializer="zeros", name="v")

    def call(self, inputs: Tensor) -> Tensor:
        """Returns the inputs (..., channels) plus the bias."""
        return inputs + ops.cast(math.sqrt(self.scale), self.v.dtype) * self.v

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {**super().get_config(), "scale": self.scale}


def build_airbench_net(
    widths: Sequence[int] = (64, 256, 256),
    convolutions: int = 2,
    whitening: ArrayLike | None = None,
    identity: bool = True,
    bias_scale: float = 64.0,
    residual: bool = False,
    dropout: float = 0.0,
    last_survival: float = 1.0,
    augmentation: keras.Layer | None = None,
    normalise: bool = True,
    norm_momentum: float = 0.6,
) -> keras.Model:
    """Builds the network of airbench: one 2x2 convolution, three blocks, one layer.

    A block is convolution, max pooling, batch norm, GELU, then one or two times
    convolution, batch norm, GELU. Input (32, 32, 3) from 0 to 1, output logits over
    10 classes. By default, with `whitening` given, it is airbench94's network of
    1,971,640 parameters, not counting the batch norms' moving statistics.

    PyTorch's batch norm keeps the unbiased variance, n / (n - 1) times what Keras'
    keeps; with thousands of pixels a channel nothing depends on it.

    Args:
        widths: Filters of the three blocks; airbench95 has (128, 384, 384).
        convolutions: In a block: 2, or 3 as in airbench96, whose last two make a
            residual branch around which its input is added.
        whitening: float array (2, 2, 3, 24) from `whiten_patches`, which stays as it
            is, only its bias learns. None: the first convolution learns as the others.
        identity: Whether convolutions start by passing their input on.
        bias_scale: How many times as fast the batch norms' biases learn.
        residual: Whether the second of two convolutions is a residual branch.
        dropout: Share of the last layer's inputs left out in training, from 0, below 1.
        last_survival: Probability that the last block's residual branch survives a
            training step, see `list_survivals`; above 0.
        augmentation: A layer that sees the images first.
        normalise: Whether the net normalises images as `normalise_images` does.
        norm_momentum: Share of the old in the batch norms' moving statistics;
            airbench96 has 0.9.

    Returns:
        An uncompiled `keras.Model`, float32 logits under any precision. The bias after
        the first convolution is the layer "whitening_bias".

    Raises:
        ValueError: a value out of range, or a whitening kernel of another shape.
    """
    if len(widths) != 3:
        raise ValueError(f"widths must be three numbers; got {widths!r}.")
    check_choice("convolutions", convolutions, (2, 3))
    check_flag("identity", identity)
    residual = check_flag("residual", residual) or convolutions == 3
    survivals = list_survivals(3, check_range("last_survival", last_survival, 0, 1))
    if last_survival < 1 and not residual:
        raise ValueError("last_survival must be 1 without residual branches.")

    def convolve(x, filters, size=3, padding="same", **kwargs):
        start = IdentityStart() if identity else _torch_default()
        kwargs = {"use_bias": False, "kernel_initializer": start, **kwargs}
        return layers.Conv2D(filters, size, padding=padding, **kwargs)(x)

    def norm(x):
        batch_norm = layers.BatchNormalization(
            momentum=norm_momentum, epsilon=1e-12, center=False, scale=False
        )
        return ScaledBias(bias_scale)(batch_norm(x))

    def block(x, width, survival):
        x = layers.MaxPooling2D(2)(convolve(x, width))
        x = shortcut = gelu(norm(x))
        for number in range(2, convolutions + 1):
            x = norm(convolve(x, width))
            if number < convolutions:
                x = gelu(x)
        if residual:
            x = x if survival == 1 else StochasticDepth(survival)(x)
            x = layers.Add()([shortcut, x])
        return gelu(x)

    def gelu(x):
        return layers.Activation("gelu")(x)

    x = inputs = keras.Input((32, 32, 3))
    if augmentation is not None:
        x = augmentation(x)
    # The first layers cost little and stay in float32: whitening multiplies the
    # differences of neighbours, and so rounding errors, by up to 45.
    if check_flag("normalise", normalise):
        scale = [1 / std for std in CIFAR_STD]
        offset = [-m / std for m, std in zip(CIFAR_MEAN, CIFAR_STD, strict=True)]
        x = layers.Rescaling(scale, offset, dtype="float32", name="normalise")(x)
    first = {"name": "whitening", "dtype": "float32", "trainable": whitening is None}
    x = convolve(x, 24, 2, "valid", **first)
    x = gelu(ScaledBias(1.0, name="whitening_bias", dtype="float32")(x))
    for width, survival in zip(widths, survivals, strict=True):
        x = block(x, check_count("width", width), survival)
    x = layers.Flatten()(layers.MaxPooling2D(3)(x))
    x = layers.Dropout(dropout)(x) if dropout else x
    start = _torch_default()
    last = {"use_bias": False, "kernel_initializer": start, "dtype": "float32"}
    logits = layers.Rescaling(1 / 9, dtype="float32")(layers.Dense(10, **last)(x))
    model = keras.Model(inputs, logits, name="airbench_net")
    if whitening is not None:
        whitening = check_finite("whitening", check_array("whitening", whitening))
        if whitening.shape != (2, 2, 3, 24):
            raise ValueError(
                f"whitening must have shape (2, 2, 3, 24); got {whitening.shape}."
            )
        model.get_layer("whitening").set_weights([whitening])
    return model


@keras.saving.register_keras_serializable("tutorials_lib")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in a straight line to its peak, then falls in one.

    Args:
        peak: Highest rate, above 0.
        steps: Training steps T.
        start: Rate of the first step, in parts of the peak.
        end: Rate after the last step, in parts of the peak.
        peak_at: Where the peak is, in parts of T; its step is rounded down.
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        start: float = 0.2,
        end: float = 0.07,
        peak_at: float = 0.23,
    ) -> None:
        self.peak = check_positive("peak", peak)
        self.steps = check_count("steps", steps)
        self.start = check_range("start", start, 0, 1)
        self.end = check_range("end", end, 0, 1)
        self.peak_at = check_range("peak_at", peak_at, 0, 1)

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate of a step, from 0; a float32 scalar."""
        step = ops.cast(step, "float32")
        rise = int(self.steps * self.peak_at)
        up = step / max(rise, 1)
        down = ops.minimum((step - rise) / max(self.steps - rise, 1), 1.0)
        rising = self.start + (1 - self.start) * up
        falling = 1 + (self.end - 1) * down
        return self.peak * ops.where(step < rise, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        names = ("peak", "steps", "start", "end", "peak_at")
        return {name: getattr(self, name) for name in names}


def convert_rates(
    rate: float, decay: float, momentum: float = 0.85
) -> tuple[float, float]:
    """Converts the published rate and weight decay to those of `AirbenchSGD`.

    The published code states them for 1,024 images at a constant gradient, for which
    Nesterov momentum takes 1 + 1 / (1 - momentum) times the plain step, and sums the
    loss over a batch; Keras takes the mean. airbench94 has (11.5, 0.0153), which makes
    (1.5, 0.00133), airbench95 (10, 0.0153), airbench96 (9, 0.012).

    Returns:
        Learning rate and L2 coefficient.
    """
    return rate / (1 + 1 / (1 - momentum)), decay / rate


@keras.saving.register_keras_serializable("tutorials_lib")
class AirbenchSGD(keras.optimizers.SGD):
    """SGD with Nesterov momentum and an L2 penalty, as PyTorch computes it.

    With g the gradient plus `l2` times the variable: m <- momentum * m + g, variable
    <- variable - rate * (g + momentum * m). Keras' own SGD keeps the rate inside m,
    which differs while the rate changes, and its weight decay bypasses the momentum.
    The penalty is in the gradient alone, so the loss reported is without it.

    Args:
        learning_rate: Number or schedule.
        momentum: From 0, below 1.
        l2: Coefficient of the penalty's gradient, at least 0.
        frozen_after: Layer or variable name -> number of steps after which its
            variables keep their value, whatever the penalty and the momentum.
        **kwargs: Passed on to `keras.optimizers.SGD`.

    Raises:
        ValueError: a value out of range; when training starts, a name that no
            trainable variable has in its path.
    """

    def __init__(
        self,
        learning_rate: Any = 1.5,
        momentum: float = 0.85,
        l2: float = 0.0,
        frozen_after: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, float(momentum), nesterov=True, **kwargs)
        self.l2 = check_range("l2", l2, 0, math.inf)
        self.frozen_after = {
            name: check_whole("frozen_after", step, 0)
            for name, step in (frozen_after or {}).items()
        }

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the momenta, and finds the variables that stop learning."""
        super().build(variables)
        paths = [variable.path.split("/") for variable in variables]
        for name in self.frozen_after:
            if not any(name in path for path in paths):
                raise ValueError(f"frozen_after names no trainable variable: {name!r}.")
        self._last_steps = [
            min(
                (self.frozen_after[name] for name in path if name in self.frozen_after),
                default=None,
            )
            for path in paths
        ]

    def update_step(
        self, gradient: Tensor, variable: Tensor, learning_rate: Tensor
    ) -> None:
        """Moves one variable."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        gradient = ops.cast(gradient, dtype) + ops.cast(self.l2, dtype) * variable
        step = gradient
        last, learns = self._last_steps[index], True
        if last is not None:
            learns = self.iterations < last
        if self.momentum:
            momentum = ops.cast(self.momentum, dtype)
            velocity = self.momentums[index]
            moved = momentum * velocity + gradient
            step = gradient + momentum * moved
            self.assign(velocity, ops.where(learns, moved, velocity))
        step = ops.cast(learning_rate, dtype) * step
        self.assign_sub(variable, ops.where(learns, step, ops.zeros_like(step)))

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        config = super().get_config()
        del config["nesterov"]
        return {**config, "l2": self.l2, "frozen_after": self.frozen_after}


class Lookahead(keras.callbacks.Callback):
    """Pulls the weights back to slowly moving ones every few steps.

    Every `every` steps: slow <- decay * slow + (1 - decay) * fast, fast <- slow, with
    decay = strength * (step / steps)^3, and after the last step fast <- slow. Like the
    published code it moves all weights, the batch norms' moving statistics with them.

    Args:
        steps: Training steps T.
        every: Steps between two pulls.
        strength: Decay at step T; the default is the published 0.95^5.

    Attributes:
        slow: Slow weights, float arrays in the order of `model.weights`; empty before
            training starts. A training run that goes on from a checkpoint sets both.
        step: Training steps done.
    """

    def __init__(self, steps: int, every: int = 5, strength: float = 0.95**5) -> None:
        super().__init__()
        self.steps = check_count("steps", steps)
        self.every = check_count("every", every)
        self.strength = check_range("strength", strength, 0, 1)
        self.step = 0
        self.slow: list[np.ndarray] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the weights as they are for the slow ones, unless there are some."""
        if self.model.steps_per_execution != 1:
            raise ValueError("Lookahead must see each step: steps_per_execution 1.")
        if not self.slow:
            self.slow = self._read_weights()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Counts the step, and pulls where it is time."""
        self.step += 1
        if self.step % self.every == 0 and self.step <= self.steps:
            self._pull(self.strength * (self.step / self.steps) ** 3)
        if self.step == self.steps:
            self._pull(1.0)

    def _read_weights(self):
        # On JAX the weights are with the training loop until it is asked for them.
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        # Copies: a backend may hand out, and take, its own memory.
        return [np.array(weight) for weight in self.model.weights]

    def _pull(self, decay):
        fast = self._read_weights()
        self.slow = [
            slow + np.float32(1 - decay) * (new - slow)
            for slow, new in zip(self.slow, fast, strict=True)
        ]
        for weight, slow in zip(self.model.weights, self.slow, strict=True):
            weight.assign(slow.copy())


class StopAfter(keras.callbacks.Callback):
    """Ends training after a number of steps, within an epoch: 9.9 epochs.

    Args:
        steps: Training steps, counted from epoch 0, so that a run that goes on from
            a checkpoint with `initial_epoch` ends where a whole one does.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = check_count("steps", steps)
        self._before = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the steps of the epochs before."""
        self._before = epoch * self.params["steps"]

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Ends training where it is time."""
        if self._before + batch + 1 >= self.steps:
            self.model.stop_training = True


class AirbenchBatches(_SeededBatches):
    """Shuffled batches of flipped and shifted images for `model.fit`.

    Batch i of epoch e is drawn from a generator seeded by (seed, e, i). Images that
    fill no whole batch are left out of that epoch, as published.

    Args:
        images: float array (n, height, width, channels).
        labels: float array (n, classes), one-hot rows.
        batch_size: From 1 to n; published is 1,024.
        seed: Whole number of at least 0.
        flip: `"alternating"` draws once which images are mirrored, then mirrors
            the others in every other epoch; `"random"` draws anew for each batch;
            `"none"`.
        shift: Largest shift in pixels, down and across; what comes in at the border is
            the image reflected there, without its outermost row.

    Raises:
        ValueError: a value out of range, images that are not finite floats, labels
            that are not one-hot, lengths that differ.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        flip: str = "alternating",
        shift: int = 2,
    ) -> None:
        images = check_array("images", images)
        check_images("images", images)
        self.images = check_finite("images", images).astype("float32", copy=False)
        self.labels = check_label_rows("labels", labels, images).astype("float32")
        self.batch_size = check_whole("batch_size", batch_size, 1, len(images))
        self.flip = check_choice("flip", flip, FLIPS)
        self.shift = check_whole("shift", shift, 0, min(images.shape[1:3]) - 1)
        super().__init__(seed, len(images), shuffles=1)
        # No batch and no shuffle has a seed of two numbers.
        self._mirrored = np.random.default_rng([seed, 2**32 - 1]).random(len(images))

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns batch `index` of this epoch.

        Returns:
            Images float32 (batch, ...) and labels float32 (batch, classes).

        Raises:
            IndexError: index not from 0 to the number of batches less 1.
            TypeError: index that is no whole number.
        """
        rng = self._make_generator(index)
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        chosen = self._shuffles[0][batch]
        shifts = rng.integers(-self.shift, self.shift + 1, (2, len(chosen)))
        mirrored = rng.random(len(chosen)) < 0.5
        if self.flip == "alternating":
            mirrored = (self._mirrored[chosen] < 0.5) ^ (self.epoch % 2 == 1)
        elif self.flip == "none":
            mirrored[:] = False
        return shift_images(self.images, *shifts, mirrored, chosen), self.labels[chosen]


def shift_images(
    images: np.ndarray,
    down: ArrayLike,
    right: ArrayLike,
    mirrored: ArrayLike,
    chosen: np.ndarray | None = None,
) -> np.ndarray:
    """Shifts each image, reflects it at its border, then mirrors some of them.

    Args:
        images: Array (n, height, width, channels).
        down: Pixels, one whole number or one for each image; negative is up.
        right: Likewise; negative is left.
        mirrored: Whether to mirror left and right, one or one for each image.
        chosen: Positions of the images to take, (m,); all without it.

    Returns:
        Array (m, height, width, channels).
    """
    chosen = np.arange(len(images)) if chosen is None else chosen
    height, width = images.shape[1:3]

    def reflect(positions, size):
        return size - 1 - np.abs(size - 1 - np.abs(positions))

    rows = reflect(np.arange(height) - np.reshape(down, (-1, 1)), height)
    columns = reflect(np.arange(width) - np.reshape(right, (-1, 1)), width)
    columns = np.where(np.reshape(mirrored, (-1, 1)), columns[:, ::-1], columns)
    return images[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]


def predict_views(
    model: keras.Model,
    images: ArrayLike,
    views: str = "plain",
    batch_size: int = 1000,
) -> np.ndarray:
    """Predicts the mean of the logits over views of each image.

    Args:
        model: Network from images to logits.
        images: float array (n, height, width, channels), as the network takes them.
        views: `"plain"`: the image; `"mirror"`: the image and its mirror image;
            `"multi-crop"`, the published one: half the weight on these, half on both
            of them shifted by one pixel up and left, and down and right.
        batch_size: Images predicted at once.

    Returns:
        float32 array (n, classes).

    Raises:
        ValueError: another name of views, images that are not floats of that shape.
    """
    check_choice("views", views, VIEWS)
    images = check_array("images", images)
    check_images("images", images)
    logits: Any = 0.0
    for down, right, mirrored, weight in VIEWS[views]:
        view = shift_images(images, down, right, mirrored)
        logits += weight * model.predict(view, batch_size=batch_size, verbose=0)
    return logits
