"""The networks of the articles, layer by layer as published."""

import contextlib
import math
from collections.abc import Iterator, Sequence

import keras
from keras import Sequential, layers

from tutorials_lib.noise import StochasticDepth, list_survivals
from tutorials_lib.support.checks import check_choice


def build_mixup_mnist_net() -> keras.Sequential:
    """Builds the network of "mixup on MNIST".

    Input (28, 28, 1), output softmax over 10 classes, 1,028,618 parameters.
    """
    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(64, 5, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(128, 5, strides=2),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Flatten(),
            layers.Dense(256),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ],
        name="mixup_mnist_net",
    )


def build_vat_mnist_net(dropout: bool, logits: bool = False) -> keras.Sequential:
    """Builds the network of "VAT on MNIST", Keras' former MNIST example.

    Input (28, 28, 1), output softmax over 10 classes, 600,810 parameters.

    Args:
        dropout: Whether to drop a quarter of the units after pooling and half after
            the hidden layer.
        logits: Whether to return logits instead, without the softmax.
    """
    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            *([layers.Dropout(0.25)] if dropout else []),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            *([layers.Dropout(0.5)] if dropout else []),
            layers.Dense(10, activation=None if logits else "softmax"),
        ],
        name="vat_mnist_net",
    )


def build_mixup_fashion_net() -> keras.Sequential:
    """Builds the network of the Keras example "MixUp augmentation".

    Input (28, 28, 1), output softmax over 10 classes, 18,762 parameters.
    """
    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="mixup_fashion_net",
    )


def build_cifar10_benchmark_net(
    width: int = 64, augmentation: keras.Layer | None = None
) -> keras.Sequential:
    """Builds the benchmark network of "CIFAR-10 to 95%".

    Input (32, 32, 3), output softmax over 10 classes in float32 under any dtype policy,
    1,418,826 parameters at the article's width.

    Args:
        width: Filters of the first convolutions; all other widths scale with it.
        augmentation: A layer applied to the images first, or None.
    """
    stack = [layers.Input((32, 32, 3)), *([augmentation] if augmentation else [])]
    for factor in (1, 2):
        stack += [_convolve(factor * width), _convolve(factor * width)]
        stack += [layers.Dropout(0.25), layers.MaxPooling2D(2)]
    stack += [_convolve(4 * width), _convolve(4 * width)]
    stack += [layers.GlobalAveragePooling2D()]
    stack += [layers.Dense(16 * width, activation="relu"), layers.Dropout(0.25)]
    stack += [layers.Dense(10, activation="softmax", dtype="float32")]
    return Sequential(stack, name="cifar10_benchmark_net")


def build_cifar10_deep_net(
    width: int = 64, augmentation: keras.Layer | None = None
) -> keras.Sequential:
    """Builds the deep network of "CIFAR-10 to 95%".

    Thirteen convolutions, 8,228,106 parameters at the article's width; input, output
    and arguments are those of `build_cifar10_benchmark_net`.
    """
    stack = [layers.Input((32, 32, 3)), *([augmentation] if augmentation else [])]
    for factor in (1, 2):
        stack += [_convolve(factor * width), _convolve(factor * width)]
        stack += [layers.BatchNormalization(), _convolve(factor * width)]
        stack += [layers.MaxPooling2D(2), layers.Dropout(0.25)]
    stack += [_convolve(4 * width), _convolve(4 * width), layers.BatchNormalization()]
    stack += [_convolve(4 * width) for _ in range(3)]
    stack += [layers.BatchNormalization(), _convolve(8 * width), _convolve(8 * width)]
    stack += [layers.GlobalAveragePooling2D()]
    for _ in range(2):
        stack += [layers.Dense(16 * width, activation="relu"), layers.Dropout(0.5)]
    stack += [layers.Dense(10, activation="softmax", dtype="float32")]
    return Sequential(stack, name="cifar10_deep_net")


def _convolve(filters):
    return layers.Conv2D(filters, 3, padding="same", activation="relu")


def build_noisy_student_net(
    width: int = 64,
    blocks: Sequence[int] = (3, 4, 6, 3),
    dropout: float = 0.0,
    last_survival: float = 1.0,
    dropped_per: str = "batch",
    stride_on: str = "last",
    augmentation: keras.Layer | None = None,
) -> keras.Model:
    """Builds the network of "Noisy Student on CIFAR-10", for teacher and student.

    A ResNet-50 for small images: a 5x5 stem, four stages of bottleneck blocks with
    stride 2 at the start of the second and the fourth, global average pooling. Input
    and output are those of `build_cifar10_benchmark_net`. The defaults give the
    article's teacher of 23,590,794 parameters; its student has `dropout=0.5` and
    `last_survival=0.8`.

    Args:
        width: Filters inside the first stage's bottlenecks; an even number.
        blocks: Number of blocks in each stage.
        dropout: Share of the pooled features to drop; 0 for none.
        last_survival: Survival probability of the last block's branch, see
            `noise.list_survivals`; 1 turns stochastic depth off.
        dropped_per: See `noise.StochasticDepth`.
        stride_on: Which convolution of a bottleneck has the stride: `"last"`, as in
            the article, or `"middle"`, as is usual today.
        augmentation: A layer applied to the images first, or None.
    """
    check_choice("stride_on", stride_on, ("last", "middle"))
    survivals = iter(list_survivals(sum(blocks), last_survival))
    inputs = layers.Input((32, 32, 3))
    x = augmentation(inputs) if augmentation else inputs
    x = layers.Conv2D(width // 2, 5, padding="same")(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    for stage, number in enumerate(blocks):
        for place in range(number):
            strides = 2 if stage in (1, 3) and place == 0 else 1
            at = {"last": (1, 1, strides), "middle": (1, strides, 1)}[stride_on]
            branch = _bottleneck(x, width * 2**stage, at)
            survival = next(survivals)
            if last_survival < 1:
                branch = StochasticDepth(survival, dropped_per)(branch)
            x = layers.Add()([_shortcut(x, branch, strides), branch])
            x = layers.Activation("relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x) if dropout else x
    outputs = layers.Dense(10, activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="noisy_student_net")


def _bottleneck(x, filters, strides):
    for number, (wide, size) in enumerate(((1, 1), (1, 3), (4, 1))):
        x = _convolve_strided(x, wide * filters, size, strides[number])
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x) if number < 2 else x
    return x


def _shortcut(x, branch, strides):
    if x.shape == branch.shape:
        return x
    options = {"kernel_initializer": "he_normal"}
    options["kernel_regularizer"] = keras.regularizers.L2(1e-4)
    x = _convolve_strided(x, branch.shape[-1], 1, strides, **options)
    return layers.BatchNormalization()(x)


def _convolve_strided(x, filters, size, strides, **options):
    if size == 1 and strides > 1:
        # Take the pixels that a strided convolution of size 1 reads; in TensorFlow 2.21
        # its gradient writes out of bounds on a CPU: batches of 3 images killed Python.
        x, strides = x[:, ::strides, ::strides], 1
    return layers.Conv2D(filters, size, strides, padding="same", **options)(x)


@contextlib.contextmanager
def use_precision(policy: str) -> Iterator[None]:
    """Sets the dtype policy, for instance `"mixed_bfloat16"`, of layers made inside."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def count_flops(model: keras.Model) -> int:
    """Counts the floating-point operations of predicting one image.

    A multiplication and an addition count as two. Only convolutions and dense layers
    count; those nested in other layers are missed. A training step costs about three
    times as much: one pass forwards, and backwards one for the weights and one for the
    layers below.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            # Each output position multiplies every weight once.
            _, height, width, _ = layer.output.shape
            total += 2 * height * width * math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.Dense):
            total += 2 * math.prod(layer.kernel.shape)
    return total
