"""airbench's network: whitening, identity initialisation, biases that learn fast."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import ArrayLike

from tutorials_lib.airbench.images import CIFAR_MEAN, CIFAR_STD
from tutorials_lib.noise import StochasticDepth, list_survivals
from tutorials_lib.support.backend import Tensor
from tutorials_lib.support.checks import (
    check_choice,
    check_finite,
    check_images,
    check_positive,
)


def whiten_patches(images: ArrayLike, epsilon: float = 5e-4) -> np.ndarray:
    """Computes the kernel of a convolution that whitens 2x2 patches of images.

    A filter is an eigenvector of the patches' second-moment matrix, divided by the root
    of (its eigenvalue + epsilon), so that the outputs are uncorrelated and equally
    large. Each comes with its negative, as GELU lets little of a negative output pass.
    As published, it is `whiten_patches(normalise_images(x_train[:5000]))`.

    Args:
        images: float array (n, height, width, channels), normalised.
        epsilon: Keeps weak directions, mostly noise, from being amplified too much.

    Returns:
        float32 array (2, 2, channels, 8 * channels): the filters by decreasing
        eigenvalue, then their negatives.
    """
    images = np.asarray(images)
    check_images("images", images)
    check_finite("images", images)
    length = 4 * images.shape[-1]
    moment, patches = np.zeros((length, length)), 0
    # Only some images at a time: their patches take eight times the memory.
    for first in range(0, len(images), 500):
        few = images[first : first + 500].astype("float64")
        windows = np.lib.stride_tricks.sliding_window_view(few, (2, 2), (1, 2))
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
    return filters.reshape(2, 2, -1, 2 * length).astype("float32")


def _torch_default(seed=None):
    """Returns PyTorch's default initialiser: uniform within 1 / sqrt(fan-in)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed)


@keras.saving.register_keras_serializable("tutorials_lib")
class IdentityStart(keras.initializers.Initializer):
    """Initialises a convolution so that its first filters each pass on one channel.

    All other filters start as in PyTorch. `seed` is an integer, or None to follow
    `keras.utils.set_random_seed`.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._rest = _torch_default(seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        """Returns a kernel (height, width, input channels, filters)."""
        height, width, channels, filters = shape
        identity = np.zeros(shape)
        identity[height // 2, width // 2] = np.eye(channels, filters)
        rest = self._rest(shape, dtype)
        first = np.arange(filters) < channels
        return ops.where(first, ops.cast(identity, rest.dtype), rest)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {"seed": self.seed}


@keras.saving.register_keras_serializable("tutorials_lib")
class ScaledBias(layers.Layer):
    """Adds a bias that under SGD learns `scale` times as fast as the other weights.

    The layer learns v and adds sqrt(scale) * v. By the chain rule v's gradient is
    sqrt(scale) times the bias's, and the bias moves sqrt(scale) times as far as v.

    Args:
        scale: Above 0; 1 makes an ordinary bias.
        **kwargs: Passed to `keras.layers.Layer`.
    """

    def __init__(self, scale: float = 64.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = check_positive("scale", scale)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates v, zeros of shape (channels,)."""
        self.v = self.add_weight(shape=input_shape[-1:], initializer="zeros", name="v")

    def call(self, inputs: Tensor) -> Tensor:
        """Returns the inputs (..., channels) plus the bias."""
        return inputs + math.sqrt(self.scale) * self.v


def build_airbench_net(
    widths: Sequence[int] = (64, 256, 256),
    convolutions: int = 2,
    whitening: ArrayLike | None = None,
    identity: bool = True,
    bias_scale: float = 64.0,
    residual: bool = False,
    dropout: float = 0.0,
    last_survival: float = 1.0,
    dropped_per: str = "batch",
    augmentation: keras.Layer | None = None,
    norm_momentum: float = 0.6,
) -> keras.Model:
    """Builds the network of airbench: a 2x2 convolution, three blocks, a dense layer.

    It first normalises images as `normalise_images` does. With `whitening` it is
    airbench94's network of 1,971,640 parameters (moving statistics not counted).
    PyTorch's moving variance is n / (n - 1) times Keras' for n pixels, which is
    negligible for n in the thousands.

    Args:
        widths: Filters of the blocks; airbench95 has (128, 384, 384).
        convolutions: Convolutions per block: 2, or 3 as in airbench96, whose last two
            form a residual branch.
        whitening: float array (2, 2, 3, 24) from `whiten_patches`, which stays fixed;
            None trains the first convolution like the others.
        identity: Whether convolutions are initialised by `IdentityStart`.
        bias_scale: How many times as fast the batch norms' biases learn.
        residual: Whether the second of two convolutions is a residual branch.
        dropout: Share of the dense layer's inputs dropped in training.
        last_survival: Survival probability of the last branch, see `list_survivals`.
        dropped_per: See `noise.StochasticDepth`.
        augmentation: A layer applied to the images first, or None.
        norm_momentum: Momentum of the moving statistics; airbench96 has 0.9.

    Returns:
        An uncompiled `keras.Model` from images (n, 32, 32, 3), 0 to 1, to float32
        logits (n, 10) under any dtype policy. Layer "whitening_bias" is the first bias.
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
            x = StochasticDepth(survival, dropped_per)(x)
        return gelu(layers.Add()([shortcut, x]) if residual else x)

    def gelu(x):
        return layers.Activation("gelu")(x)

    inputs = keras.Input((32, 32, 3))
    x = augmentation(inputs) if augmentation else inputs
    # The first and last layers cost little and stay in float32; whitening multiplies
    # the difference of two pixels, and with it their rounding errors, by up to 12.
    single: dict[str, Any] = {"dtype": "float32"}
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
