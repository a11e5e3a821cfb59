"""The numbers that the articles print, each under the name of the variant it is of."""

ARTICLES = {
    "mixup_mnist": {
        "title": "mixup on MNIST (a blog, 2017)",
        "dataset": "mnist",
        "metrics": ("train_accuracy", "test_accuracy"),
        "published": {
            "none": (0.999933, 0.991600),
            "alpha 0.1": (0.999767, 0.991800),
            "alpha 0.2": (0.999483, 0.990600),
            "alpha 0.3": (0.999283, 0.990300),
            "alpha 0.4": (0.998983, 0.991600),
            "alpha 0.5": (0.998633, 0.989500),
            "alpha 1": (0.997483, 0.989700),
            "alpha 2": (0.996383, 0.990000),
        },
    },
    "vat_mnist": {
        "title": "VAT on MNIST, with and without dropout (a blog, Keras 1)",
        "dataset": "mnist",
        # The printed "score" is a swapped cross-entropy in all four rows; only the
        # rows without VAT were trained on it too.
        "metrics": ("test_accuracy", "test_swapped_crossentropy", "seconds_per_epoch"),
        "published": {
            "swapped: none": (0.9877, 0.211949993095, 8),
            "swapped: dropout": (0.9853, 0.238920686956, 8),
            "corrected: VAT": (0.9916, 0.180048364889, 18),
            "corrected: VAT, dropout": (0.9901, 0.245401585515, 19),
        },
    },
    "mixup_fashion_mnist": {
        "title": "MixUp augmentation for image classification (Keras documentation)",
        "dataset": "fashion_mnist",
        "metrics": ("test_accuracy",),
        "published": {"alpha 0.2": (0.8582,), "none": (0.8692,)},
    },
}


def read_published(chapter, metric):
    """Returns the article's numbers for one metric, by variant.

    Args:
        chapter: Name of a chapter.
        metric: Name of a metric that the article prints.

    Returns:
        Dict of variant to number.

    Raises:
        KeyError: no such chapter.
        ValueError: the article does not print that metric.
    """
    article = ARTICLES[chapter]
    place = article["metrics"].index(metric)
    return {name: row[place] for name, row in article["published"].items()}
