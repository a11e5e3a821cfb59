"""The networks of the articles, layer by layer as published."""

from keras import Sequential, layers

from tutorials_lib.checks import check_whole


def build_mixup_mnist_net():
    """Builds the network of "mixup on MNIST".

    Two strided convolutions with LeakyReLU, one hidden dense layer, dropout 0.5;
    input (28, 28, 1), output softmax over 10 classes, 1,028,618 parameters.

    Returns:
        An uncompiled `keras.Sequential`.
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


def build_vat_mnist_net(dropout):
    """Builds the network of "VAT on MNIST", Keras' own old MNIST example.

    Two convolutions, pooling, one hidden dense layer; input (28, 28, 1), output
    softmax over 10 classes, 600,810 parameters.

    Args:
        dropout: Whether to drop a quarter of the units after pooling and half after
            the hidden layer.

    Returns:
        An uncompiled `keras.Sequential`.
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
            layers.Dense(10, activation="softmax"),
        ],
        name="vat_mnist_net",
    )


def build_mixup_fashion_net():
    """Builds the network of the Keras example "MixUp augmentation".

    Two convolutions with pooling, dropout 0.2, global average pooling, one hidden
    dense layer; input (28, 28, 1), output softmax over 10 classes, 18,762
    parameters.

    Returns:
        An uncompiled `keras.Sequential`.
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


def build_cifar10_benchmark_net(width=64, augmentation=None):
    """Builds the benchmark network of "CIFAR-10 to 95%".

    Three pairs of convolutions, global average pooling, one hidden dense layer; input
    (32, 32, 3), output softmax over 10 classes in float32 under any precision,
    1,418,826 parameters at the article's width.

    Args:
        width: Filters of the first convolutions; all other widths follow.
        augmentation: A layer that the images go through first, or None.

    Returns:
        An uncompiled `keras.Sequential`.
    """
    check_whole("width", width, 1)
    stack = [layers.Input((32, 32, 3)), *([augmentation] if augmentation else [])]
    for factor in (1, 2):
        stack += [_convolve(factor * width), _convolve(factor * width)]
        stack += [layers.Dropout(0.25), layers.MaxPooling2D(2)]
    stack += [_convolve(4 * width), _convolve(4 * width)]
    stack += [layers.GlobalAveragePooling2D()]
    stack += [layers.Dense(16 * width, activation="relu"), layers.Dropout(0.25)]
    stack += [layers.Dense(10, activation="softmax", dtype="float32")]
    return Sequential(stack, name="cifar10_benchmark_net")


def build_cifar10_deep_net(width=64, augmentation=None):
    """Builds the deep network of "CIFAR-10 to 95%".

    Thirteen convolutions with batch normalisation after the second, fifth, eighth and
    eleventh, two hidden dense layers with dropout 0.5; input (32, 32, 3), output
    softmax over 10 classes in float32 under any precision, 8,228,106 parameters at the
    article's width.

    Args:
        width: Filters of the first convolutions; all other widths follow.
        augmentation: A layer that the images go through first, or None.

    Returns:
        An uncompiled `keras.Sequential`.
    """
    check_whole("width", width, 1)
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
