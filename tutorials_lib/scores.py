"""Scores of a network on whole sets of images."""

import keras
import numpy as np


def score_model(model, batch_size=1000, **splits):
    """Evaluates a compiled model on several sets.

    Args:
        model: A compiled `keras.Model`.
        batch_size: Images evaluated at once; it does not change the scores.
        **splits: (images, labels) by name, for instance `test=(x_test, y_test)`.

    Returns:
        Dict with the loss and each metric of every set: `test_loss`,
        `test_accuracy`, ...
    """
    scores = {}
    for split, (images, labels) in splits.items():
        found = model.evaluate(
            images, labels, batch_size=batch_size, return_dict=True, verbose=0
        )
        scores |= {f"{split}_{name}": value for name, value in found.items()}
    return scores


class ScoreEpochs(keras.callbacks.Callback):
    """Evaluates further sets after each epoch, beside `fit`'s validation set.

    Their scores join the epoch's in the history, as `test_accuracy` and the like.

    Args:
        batch_size: Images evaluated at once.
        **splits: (images, labels) by name, for instance `test=(x_test, y_test)`.
    """

    def __init__(self, batch_size=1000, **splits):
        super().__init__()
        self.batch_size = batch_size
        self.splits = splits

    def on_epoch_end(self, epoch, logs=None):
        """Adds the scores to the epoch's logs."""
        logs |= score_model(self.model, self.batch_size, **self.splits)


def measure_accuracy(rows, labels):
    """Computes the share of images whose most probable class is their label.

    Args:
        rows: Array (n, classes) of probabilities.
        labels: Array (n, classes) of one-hot labels.

    Returns:
        A float from 0 to 1.

    Raises:
        ValueError: no rows, or shapes that differ.
    """
    rows, labels = np.asarray(rows), np.asarray(labels)
    if rows.ndim != 2 or not len(rows) or rows.shape != labels.shape:
        raise ValueError(
            f"rows and labels must both have shape (n, classes) with n of at least 1; "
            f"got {rows.shape} and {labels.shape}."
        )
    return float(np.mean(rows.argmax(axis=1) == labels.argmax(axis=1)))
