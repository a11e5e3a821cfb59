"""The parts of airbench: 94% on CIFAR-10 in ten epochs.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, and its
code, https://github.com/KellerJordan/cifar10-airbench: `airbench94.py`, and the larger
`airbench95.py` and `airbench96.py`. That code is PyTorch in half precision; where Keras
computes something else by default, this module follows PyTorch and says so.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import ArrayLike

from tutorials_lib.noise import StochasticDepth, list_survivals
from tutorials_lib.support.backend import Tensor
from tutorials_lib.support.batches import SeededBatches
from tutorials_lib.support.checks import (
    check_choice,
    check_finite,
    check_images,
    check_label_rows,
    check_positive,
    check_range,
    check_whole,
)

# Of each colour over the training images, pixels from 0 to 1, as published.
CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2470, 0.2435, 0.2616)
FLIPS = ("alternating", "random", "none")
# Pixels down and to the right, and the weight of that shift.
VIEWS = {
    "plain": [(0, 1.0)],
    "mirror": [(0, 1.0)],
    "multi-crop": [(0, 0.5), (1, 0.25), (-1, 0.25)],
}


def normalise_images(images: ArrayLike) -> np.ndarray:
    """Subtracts each colour's mean, then divides by its standard deviation.

    Args:
        images: float array (n, height, width, 3), from 0 to 1.

    Returns:
        float32 array of the same shape.
    """
    images = np.asarray(images)
    check_images("images", images, 3)
    return ((images - np.array(CIFAR_MEAN)) / np.array(CIFAR_STD)).astype("float32")


def whiten_patches(
    images: ArrayLike, size: int = 2, epsilon: float = 5e-4
) -> np.ndarray:
    """Computes the kernel of a convolution that whitens small patches of images.

    A filter is an eigenvector of the patches' second-moment matrix over the root of
    (its eigenvalue + epsilon), so that the outputs are uncorrelated and of equal size.
    Each comes with its negative, for GELU lets little of a negative output through.
    Published: `whiten_patches(normalise_images(x_train[:5000]))`.

    Args:
        images: float array (n, height, width, channels), normalised.
        size: Height and width of a patch.
        epsilon: Keeps faint directions, mostly noise, from being blown up.

    Returns:
        float32 array (size, size, channels, 2 * size * size * channels), the filter
        of the largest eigenvalue first, all negatives last.

    Raises:
        ValueError: images that are not finite floats of that shape, or fewer patches
            than a patch has numbers.
    """
    images = np.asarray(images)
    check_images("images", images)
    check_finite("images", images)
    size = check_whole("size", size, 1, min(images.shape[1:3]))
    length = size * size * images.shape[-1]
    moment, patches = np.zeros((length, length)), 0
    # Some images at a time: their patches take up eight times the memory.
    for first in range(0, len(images), 500):
        few = images[first : first + 500].astype("float64")
        windows = np.lib.stride_tricks.sliding_window_view(few, (size, size), (1, 2))
        rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, length)
        moment, patches = moment + rows.T @ rows, patches + len(rows)
    if patches < length:
        raise ValueError(
            f"images must hold at least {length} patches, as many as a patch has "
            f"numbers; got {patches}."
        )
    values, vectors = np.linalg.eigh(moment / patches)
    filters = (vectors / np.sqrt(values + epsilon))[:, ::-1]
    filters = np.concatenate([filters, -filters], axis=1)
    return filters.reshape(size, size, -1, 2 * length).astype("float32")


def _torch_default(seed=None):
    """PyTorch's start of weights: uniform within 1 / sqrt(inputs of a unit)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed)


@keras.saving.register_keras_serializable("tutorials_lib")
class IdentityStart(keras.initializers.Initializer):
    """Starts a convolution so that its first filters pass its input on.

    The filters above the number of input channels start as PyTorch's do.

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
        rest = self._rest(shape, dtype)[..., channels:]
        return ops.concatenate([ops.cast(identity, rest.dtype), rest], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {"seed": self.seed}


@keras.saving.register_keras_serializable("tutorials_lib")
class ScaledBias(layers.Layer):
    """Adds a bias that learns `scale` times as fast as the other weights.

    The layer learns v and adds sqrt(scale) * v. By the chain rule v's gradient is
    sqrt(scale) times the bias's, and the bias moves sqrt(scale) times as far as v, so
    under SGD it learns `scale` times as fast. L2 on v shrinks it at the plain rate.

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
        return inputs + math.sqrt(self.scale) * self.v

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
    """Builds the network of airbench: a 2x2 convolution, three blocks, a dense layer.

    A block is convolution, max pooling, batch norm, GELU, then once or twice
    convolution, batch norm, GELU. With `whitening` it is airbench94's network of
    1,971,640 parameters (moving statistics not counted). PyTorch's moving variance is
    n / (n - 1) times Keras' for n pixels; at n of thousands that changes nothing.

    Args:
        widths: Filters of the blocks; airbench95 has (128, 384, 384).
        convolutions: In a block: 2, or 3 as in airbench96, whose last two make a
            residual branch.
        whitening: float array (2, 2, 3, 24) from `whiten_patches`; it stays as it is.
            None: the first convolution learns as the others do.
        identity: Whether convolutions have `IdentityStart`.
        bias_scale: How many times as fast the batch norms' biases learn.
        residual: Whether the second of two convolutions is a residual branch.
        dropout: Share of the dense layer's inputs left out in training.
        last_survival: Survival of the last residual branch, see `list_survivals`.
        augmentation: A layer that sees the images first.
        normalise: Whether the net normalises images as `normalise_images` does.
        norm_momentum: Of the moving statistics; airbench96 has 0.9.

    Returns:
        An uncompiled `keras.Model` from images (n, 32, 32, 3), 0 to 1, to float32
        logits (n, 10), under any precision. "whitening_bias" is the first bias.

    Raises:
        ValueError: a value out of range, a whitening kernel of another shape.
    """
    check_choice("convolutions", convolutions, (2, 3))
    residual = residual or convolutions == 3
    if last_survival < 1 and not residual:
        raise ValueError("last_survival must be 1 without residual branches.")
    start = IdentityStart if identity else _torch_default

    def convolve(x, filters, size=3, padding="same", **kwargs):
        kwargs |= {"use_bias": False, "kernel_initializer": start()}
        return layers.Conv2D(filters, size, padding=padding, **kwargs)(x)

    def norm(x):
        fixed = {"epsilon": 1e-12, "center": False, "scale": False}
        x = layers.BatchNormalization(momentum=norm_momentum, **fixed)(x)
        return ScaledBias(bias_scale)(x)

    def block(x, width, survival):
        x = shortcut = gelu(norm(layers.MaxPooling2D(2)(convolve(x, width))))
        if convolutions == 3:
            x = gelu(norm(convolve(x, width)))
        x = norm(convolve(x, width))
        if survival < 1:
            x = StochasticDepth(survival)(x)
        return gelu(layers.Add()([shortcut, x]) if residual else x)

    def gelu(x):
        return layers.Activation("gelu")(x)

    x = inputs = keras.Input((32, 32, 3))
    if augmentation is not None:
        x = augmentation(x)
    # Beginning and end cost little and stay in float32; whitening multiplies the
    # difference of two pixels, and with it their rounding errors, by up to 12.
    single: dict[str, Any] = {"dtype": "float32"}
    if normalise:
        scale = [1 / std for std in CIFAR_STD]
        offset = [-m / std for m, std in zip(CIFAR_MEAN, CIFAR_STD, strict=True)]
        x = layers.Rescaling(scale, offset, name="normalise", **single)(x)
    learns = whitening is None
    x = convolve(x, 24, 2, "valid", name="whitening", trainable=learns, **single)
    x = gelu(ScaledBias(1.0, name="whitening_bias", **single)(x))
    survivals = list_survivals(3, last_survival)
    for width, survival in zip(widths, survivals, strict=True):
        x = block(x, width, survival)
    x = layers.Flatten()(layers.MaxPooling2D(3)(x))
    x = layers.Dropout(dropout)(x) if dropout else x
    single |= {"use_bias": False, "kernel_initializer": _torch_default()}
    x = layers.Rescaling(1 / 9, dtype="float32")(layers.Dense(10, **single)(x))
    model = keras.Model(inputs, x, name="airbench_net")
    if whitening is not None:
        model.get_layer("whitening").set_weights([np.asarray(whitening)])
    return model


@keras.saving.register_keras_serializable("tutorials_lib")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in a straight line to its peak, then falls in one.

    Args:
        peak: Highest rate.
        steps: Training steps T.
        start: Rate of the first step, in parts of the peak.
        end: Rate after the last step, in parts of the peak.
        peak_at: Where the peak is, in parts of T.
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
        self.steps = check_whole("steps", steps, 1)
        self.start, self.end = start, end
        self.peak_at = check_range("peak_at", peak_at, 0, 1)

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate of a step, counted from 0; a float32 scalar."""
        step, top = ops.cast(step, "float32"), int(self.steps * self.peak_at)
        rising = self.start + (1 - self.start) * step / max(top, 1)
        falling = 1 - (1 - self.end) * (step - top) / max(self.steps - top, 1)
        return self.peak * ops.where(step < top, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        names = ("peak", "steps", "start", "end", "peak_at")
        return {name: getattr(self, name) for name in names}


def convert_rates(
    rate: float, decay: float, momentum: float = 0.85
) -> tuple[float, float]:
    """Converts the published rate and weight decay to those of `AirbenchSGD`.

    The published ones are for the sum of the loss over 1,024 images, and the rate is
    that of the whole step, 1 + 1 / (1 - momentum) times the plain one where the
    gradient stays the same. airbench94 has (11.5, 0.0153), which makes (1.5, 0.00133),
    airbench95 (10, 0.0153), airbench96 (9, 0.012).

    Returns:
        Learning rate and L2 coefficient, for the mean of the loss.
    """
    return rate / (1 + 1 / (1 - momentum)), decay / rate


@keras.saving.register_keras_serializable("tutorials_lib")
class AirbenchSGD(keras.optimizers.SGD):
    """SGD with Nesterov momentum and an L2 penalty, as PyTorch computes it.

    With g the gradient plus `l2` times the variable: m <- momentum * m + g, variable
    <- variable - rate * (g + momentum * m). Keras' own SGD has the rate inside m, which
    differs while the rate changes, and its weight decay stays out of the momentum. The
    loss reported is without the penalty.

    Args:
        learning_rate: Number or schedule.
        momentum: From 0 to 1.
        l2: Coefficient of the penalty's gradient, at least 0.
        frozen_after: Name of a layer or variable -> steps after which it stops
            learning, momentum and penalty included.
        **kwargs: Passed on to `keras.optimizers.SGD`.

    Raises:
        ValueError: a value out of range; when training starts, a name that no
            trainable variable has.
    """

    def __init__(
        self,
        learning_rate: Any = 1.5,
        momentum: float = 0.85,
        l2: float = 0.0,
        frozen_after: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, momentum, nesterov=True, **kwargs)
        self.l2 = check_range("l2", l2, 0, math.inf)
        self.frozen_after = dict(frozen_after or {})

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the momenta, and finds the variables that stop learning."""
        super().build(variables)
        self._last_steps: dict[int, int] = {}
        for name, step in self.frozen_after.items():
            found = [i for i, v in enumerate(variables) if name in v.path.split("/")]
            if not found:
                raise ValueError(f"frozen_after names no trainable variable: {name!r}.")
            self._last_steps.update(dict.fromkeys(found, step))

    def update_step(
        self, gradient: Tensor, variable: Tensor, learning_rate: Tensor
    ) -> None:
        """Moves one variable."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype) + self.l2 * variable
        last = self._last_steps.get(index)
        if last is not None:
            # At a rate of 0 the variable stays; its momentum no longer matters.
            rate = ops.where(self.iterations < last, rate, 0)
        step = gradient
        if self.momentum:
            velocity = self.momentum * self.momentums[index] + gradient
            self.assign(self.momentums[index], velocity)
            step = gradient + self.momentum * velocity
        self.assign_sub(variable, rate * step)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        config = super().get_config()
        del config["nesterov"]
        return {**config, "l2": self.l2, "frozen_after": self.frozen_after}


class Lookahead(keras.callbacks.Callback):
    """Pulls the weights back to slowly moving ones every few steps.

    Every `every` steps: slow <- slow + (1 - decay) * (fast - slow), fast <- slow, with
    decay = strength * (step / steps)^3, and after the last step fast <- slow. As in the
    published code, these are all weights, the batch norms' moving statistics too.

    Args:
        steps: Training steps T.
        every: Steps between two pulls.
        strength: Decay at step T, from 0 to 1.

    Attributes:
        slow: Slow weights, in the order of `model.weights`; empty before training.
        step: Training steps done. To go on from a checkpoint, set both.
    """

    def __init__(self, steps: int, every: int = 5, strength: float = 0.95**5) -> None:
        super().__init__()
        self.steps = check_whole("steps", steps, 1)
        self.every = check_whole("every", every, 1)
        self.strength = check_range("strength", strength, 0, 1)
        self.step = 0
        self.slow: list[np.ndarray] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes the weights as they are for the slow ones, unless there are some."""
        if self.model.steps_per_execution != 1:
            raise ValueError("Lookahead must see each step: steps_per_execution 1.")
        self.slow = self.slow or self._copy_weights()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the step, and pulls where it is time."""
        self.step += 1
        if self.step % self.every == 0 and self.step <= self.steps:
            self._pull(self.strength * (self.step / self.steps) ** 3)
        if self.step == self.steps:
            self._pull(1.0)

    def _copy_weights(self):
        # On JAX the training loop holds the weights until it is asked for them.
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        return [np.array(weight) for weight in self.model.get_weights()]

    def _pull(self, decay):
        pairs = zip(self.slow, self._copy_weights(), strict=True)
        self.slow = [slow + (1 - decay) * (fast - slow) for slow, fast in pairs]
        # Copies here too, for a backend may keep the memory that it is handed.
        self.model.set_weights([slow.copy() for slow in self.slow])


class StopAfter(keras.callbacks.Callback):
    """Ends training after a number of steps, within an epoch: 9.9 epochs.

    Args:
        steps: Training steps since epoch 0, also where `initial_epoch` is later.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = check_whole("steps", steps, 1)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Counts the steps of the epochs before."""
        self._before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends training where it is time."""
        if self._before + batch + 1 >= self.steps:
            self.model.stop_training = True


class AirbenchBatches(SeededBatches):
    """Shuffled batches of flipped and shifted images for `model.fit`.

    Batch i of epoch e is drawn from a generator seeded by (seed, e, i). Images that
    fill no whole batch are left out of that epoch, as published.

    Args:
        images: float array (n, height, width, channels).
        labels: float array (n, classes), one-hot rows.
        batch_size: From 1 to n.
        seed: Whole number of at least 0.
        flip: `"alternating"` draws once which images are mirrored, and mirrors the
            others instead in every other epoch; `"random"` draws for each batch;
            `"none"`.
        shift: Largest shift in pixels; what comes in is reflected at the border.
        cutout: Side of a square of every image, at a random place, that takes the mean
            colour, 0 once normalised; airbench96 has 12.

    Raises:
        ValueError: a value out of range, images that are not floats, labels that are
            not one-hot, lengths that differ.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        flip: str = "alternating",
        shift: int = 2,
        cutout: int = 0,
    ) -> None:
        check_images("images", images)
        self.images = images.astype("float32", copy=False)
        self.labels = check_label_rows("labels", labels, images).astype("float32")
        self.batch_size = check_whole("batch_size", batch_size, 1, len(images))
        self.flip = check_choice("flip", flip, FLIPS)
        self.shift = check_whole("shift", shift, 0, min(images.shape[1:3]) - 1)
        self.cutout = check_whole("cutout", cutout, 0, min(images.shape[1:3]))
        super().__init__(seed, len(images), shuffles=1)
        # No batch and no shuffle has a seed of two numbers.
        self._mirrored = np.random.default_rng([seed, 2**32 - 1]).random(len(images))

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns batch `index`: images, labels, float32 (batch_size, ...)."""
        rng = self.make_generator(index)
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        chosen = self.shuffles[0][batch]
        down, right = rng.integers(-self.shift, self.shift + 1, (2, len(chosen)))
        mirrored = np.zeros(len(chosen), bool)
        if self.flip == "random":
            mirrored = rng.random(len(chosen)) < 0.5
        elif self.flip == "alternating":
            mirrored = (self._mirrored[chosen] < 0.5) ^ (self.epoch % 2 == 1)
        images = shift_images(self.images, down, right, mirrored, chosen)
        if self.cutout:
            free = [size - self.cutout + 1 for size in images.shape[1:3]]
            corners = rng.integers(free, size=(len(images), 2))
            for image, (y, x) in zip(images, corners, strict=True):
                image[y : y + self.cutout, x : x + self.cutout] = CIFAR_MEAN
        return images, self.labels[chosen]


def shift_images(
    images: np.ndarray,
    down: ArrayLike,
    right: ArrayLike,
    mirrored: ArrayLike,
    chosen: np.ndarray | None = None,
) -> np.ndarray:
    """Shifts images, reflects them at their border, then mirrors some left to right.

    Args:
        images: Array (n, height, width, channels).
        down: Pixels, a whole number or an array (m,); negative is up.
        right: Likewise; negative is left.
        mirrored: True, False or a bool array (m,).
        chosen: Which images to take, (m,); all in their order without it.

    Returns:
        Array (m, height, width, channels).
    """
    chosen = np.arange(len(images)) if chosen is None else chosen
    height, width = images.shape[1:3]

    def reflect(at, size):
        return size - 1 - np.abs(size - 1 - np.abs(at))

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
        views: `"plain"`: the image; `"mirror"`: it and its mirror image;
            `"multi-crop"`: half the weight on these, half on both of them shifted by
            a pixel up and left, and down and right.
        batch_size: Images predicted at once.

    Returns:
        float32 array (n, classes).
    """
    check_choice("views", views, VIEWS)
    images = np.asarray(images)
    check_images("images", images)
    turns = (False,) if views == "plain" else (False, True)
    total: Any = 0.0
    for shift, weight in VIEWS[views]:
        for mirrored in turns:
            view = shift_images(images, shift, shift, mirrored)
            logits = model.predict(view, batch_size=batch_size, verbose=0)
            total += weight / len(turns) * logits
    return total
