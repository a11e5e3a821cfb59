"""Scores of a trained network on whole sets of images."""


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
