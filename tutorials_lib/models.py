"""The networks of the articles, layer by layer as published."""

from keras import Sequential, layers


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
