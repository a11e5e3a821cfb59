"""The networks against what the articles print of them."""

import keras
import numpy as np
import pytest

from tutorials_lib.models import (
    build_cifar10_benchmark_net,
    build_cifar10_deep_net,
    build_mixup_fashion_net,
    build_mixup_mnist_net,
    build_vat_mnist_net,
)
from tutorials_lib.scores import score_model


@pytest.mark.parametrize(
    ("build", "parameters", "layers"),
    [
        (build_mixup_mnist_net, 1_028_618, (3, 3, 0.5)),
        (build_mixup_fashion_net, 18_762, (2, 4, 0.2)),
    ],
)
def test_published_shape(build, parameters, layers):
    model = build()
    assert model.count_params() == parameters
    kinds = [type(layer).__name__ for layer in model.layers]
    dropouts = [layer.rate for layer in model.layers if hasattr(layer, "rate")]
    activations = kinds.count("LeakyReLU") + kinds.count("MaxPooling2D")
    weighted = kinds.count("Conv2D") + kinds.count("Dense")
    assert (activations, weighted, *dropouts) == (layers[0], 4, layers[2])
    probabilities = model.predict(np.zeros((3, 28, 28, 1)), verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("dropout", [False, True])
def test_published_shape_of_the_vat_net(dropout):
    model = build_vat_mnist_net(dropout)
    assert model.count_params() == 600_810
    kinds = [type(layer).__name__ for layer in model.layers if "drop" not in layer.name]
    assert kinds == ["Conv2D", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense"]
    rates = {
        place: layer.rate
        for place, layer in enumerate(model.layers)
        if "drop" in layer.name
    }
    assert rates == ({3: 0.25, 6: 0.5} if dropout else {})


def write_layers(model):
    """A net in one line: widths of its weighted layers, letters for others."""
    letters = {
        "BatchNormalization": "n",
        "MaxPooling2D": "p",
        "GlobalAveragePooling2D": "g",
    }
    words = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Dropout":
            words.append(f"d{layer.rate}")
        else:
            words.append(
                letters.get(kind) or f"{getattr(layer, 'filters', 0) or layer.units}"
            )
    return " ".join(words)


@pytest.mark.parametrize(
    ("build", "parameters", "written"),
    [
        (
            build_cifar10_benchmark_net,
            1_418_826,
            "64 64 d0.25 p 128 128 d0.25 p 256 256 g 1024 d0.25 10",
        ),
        (
            build_cifar10_deep_net,
            8_228_106,
            "64 64 n 64 p d0.25 128 128 n 128 p d0.25 256 256 n 256 256 256 n 512 512 "
            "g 1024 d0.5 1024 d0.5 10",
        ),
    ],
)
def test_published_shape_of_the_cifar10_nets(build, parameters, written):
    model = build()
    assert model.count_params() == parameters
    assert write_layers(model) == written
    narrow = build(width=8, augmentation=keras.layers.Rescaling(1.0))
    assert narrow.layers[0].name.startswith("rescaling")
    assert narrow.count_params() < parameters / 50
    assert narrow.output_shape == (None, 10)
    with pytest.raises(ValueError, match="width must be a whole number of at least 1"):
        build(width=0)


def test_cifar10_nets_answer_in_single_precision_under_mixed():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = build_cifar10_deep_net(width=4)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.layers[0].compute_dtype == "bfloat16"
    answers = model.predict(np.ones((2, 32, 32, 3)), verbose=0)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)


def test_leak_is_a_fifth():
    layer = next(x for x in build_mixup_mnist_net().layers if "leaky" in x.name)
    np.testing.assert_allclose(layer(np.array([[-10.0, 10.0]])), [[-2.0, 10.0]])


def test_decay_is_that_of_the_old_optimiser():
    rate = keras.optimizers.schedules.InverseTimeDecay(0.002, 1, 1e-4)
    for step in (0, 1, 1875, 56_250):
        assert float(rate(step)) == pytest.approx(0.002 / (1 + 1e-4 * step), rel=1e-5)


def test_scores_are_those_of_the_predictions(images, labels):
    layers = [keras.Input((6, 5, 1)), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(4, activation="softmax")])
    model.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    scores = score_model(
        model, batch_size=7, all=(images, labels), one=(images[:1], labels[:1])
    )
    assert set(scores) == {"all_loss", "all_accuracy", "one_loss", "one_accuracy"}
    predicted = model.predict(images, verbose=0)
    hits = predicted.argmax(axis=1) == labels.argmax(axis=1)
    assert scores["all_accuracy"] == pytest.approx(hits.mean())
    losses = -np.log((predicted * labels).sum(axis=1))
    assert scores["all_loss"] == pytest.approx(losses.mean(), rel=1e-4)
    assert scores["one_loss"] == pytest.approx(losses[0], rel=1e-4)
