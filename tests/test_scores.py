"""Scores of whole sets against NumPy."""

import keras
import numpy as np
import pytest

from tutorials_lib.evaluate import (
    ScoreEpochs,
    count_confidence,
    measure_accuracy,
    measure_calibration,
    score_model,
)


@pytest.fixture
def model():
    layers = [keras.Input((6, 5, 1)), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(4, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_scores_are_those_of_the_predictions(model, images, labels):
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


def test_scores_of_each_epoch_are_those_at_its_end(model, images, labels):
    """And scoring leaves training as it is."""
    kept = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append(
            score_model(model, test=(images[:9], labels[:9]))
        )
    )
    start = model.get_weights()
    fit = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False}
    history = model.fit(
        images,
        labels,
        validation_data=(images[9:], labels[9:]),
        callbacks=[ScoreEpochs(batch_size=4, test=(images[:9], labels[:9])), keep],
        **fit,
    ).history
    assert history["test_loss"] == pytest.approx([x["test_loss"] for x in kept])
    assert len(set(history["test_loss"])) == 3
    assert history["test_accuracy"] == [x["test_accuracy"] for x in kept]
    trained = model.get_weights()
    model.set_weights(start)
    plain = model.fit(images, labels, **fit).history
    assert history["loss"] == pytest.approx(plain["loss"], rel=1e-6)
    for one, other in zip(trained, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_accuracy_of_rows():
    rows = np.array([[0.6, 0.4, 0.0], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0, 0, 1]])
    labels = np.eye(3)[[0, 2, 0, 1]]
    assert measure_accuracy(rows, labels) == 0.5
    for wrong in (labels[:3], labels[:, :2], labels[0]):
        with pytest.raises(ValueError, match="rows and labels must both have shape"):
            measure_accuracy(rows, wrong)
    with pytest.raises(ValueError, match="n of at least 1"):
        measure_accuracy(rows[:0], labels[:0])


class TestConfidence:
    # Three images 0.8 sure, two of them right; one 0.5 sure and right.
    rows = np.array([[0.8, 0.2], [0.2, 0.8], [0.8, 0.2], [0.5, 0.5]])
    labels = np.eye(2)[[0, 0, 0, 0]]

    def test_counts_by_hand(self):
        counts = count_confidence(self.rows, self.labels)
        assert counts["images"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 3, 0]
        assert counts["right"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 2, 0]
        np.testing.assert_allclose(counts["confidence"][[5, 8]], [0.5, 2.4])

    def test_a_sure_answer_is_in_the_last_bin(self):
        counts = count_confidence(np.eye(3), np.eye(3), bins=4)
        assert counts["images"].tolist() == [0, 0, 0, 3]

    def test_calibration_by_hand(self):
        # (|2 - 2.4| + |1 - 0.5|) / 4
        counts = count_confidence(self.rows, self.labels)
        assert measure_calibration(counts) == pytest.approx(0.225)

    def test_calibrated(self):
        rows = np.tile([0.75, 0.25], (4, 1))
        counts = count_confidence(rows, np.eye(2)[[0, 0, 0, 1]])
        assert measure_calibration(counts) == pytest.approx(0)

    def test_refused(self):
        with pytest.raises(ValueError, match="bins must be a whole number"):
            count_confidence(self.rows, self.labels, bins=0)
        with pytest.raises(ValueError, match="rows and labels"):
            count_confidence(self.rows, self.labels[:2])
