"""The networks against what the articles print of them."""

import keras
import numpy as np
import pytest

from tutorials_lib.models import (
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
