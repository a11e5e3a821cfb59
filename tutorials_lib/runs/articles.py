"""The numbers that the articles print, each under the name of the variant it is of."""

from typing import Any

ARTICLES: dict[str, dict[str, Any]] = {
    "mixup_mnist": {
        "title": "mixup on MNIST (a blog, 2017)",
        "dataset": "mnist",
        "question": "A blog tries seven values of mixup's parameter and sees little "
        "effect. What can a gain of 0.02 points mean?",
        # The gap that the article is about: what is compared with what.
        "gap": ("test_accuracy", "alpha 0.1", "none"),
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
        "question": "A blog finds virtual adversarial training better than dropout. "
        "Its two halves were trained on different losses: what is left of the claim?",
        "gap": ("test_accuracy", "corrected: VAT", "corrected: dropout"),
        # The article had dropout on the swapped loss alone.
        "published_gap": ("corrected: VAT", "swapped: dropout"),
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
    "cifar10_95": {
        "title": "CIFAR-10 to 95% (a blog, Keras 2)",
        "dataset": "cifar10",
        "question": "A blog takes CIFAR-10 from 84% to 95% in five steps. What is each "
        "worth, and what does it cost?",
        # The members are scored with test-time augmentation; the last five are strong.
        "metrics": ("test_accuracy", "tta_accuracy"),
        "published": {
            "benchmark": (0.8439, None),
            "augmentation": (0.8742, None),
            "depth": (0.9004, None),
            "decay": (0.9250, 0.9431),
            "member 1": (None, 0.9422),
            "member 2": (None, 0.9393),
            "member 3": (None, 0.9395),
            "member 4": (None, 0.9431),
            "member 5": (None, 0.9403),
            "member 6": (None, 0.9433),
            "member 7": (None, 0.9448),
            "member 8": (None, 0.9439),
            "member 9": (None, 0.9433),
            "member 10": (None, 0.9410),
            "mean of the members": (None, 0.9421),
            "ensemble": (None, 0.9507),
        },
        # Where ours goes by another name: variant and seeds (None: all).
        "ours": {
            **{f"member {seed + 1}": [("decay", (seed,))] for seed in range(5)},
            **{f"member {seed + 1}": [("strong", (seed,))] for seed in range(5, 10)},
            "mean of the members": [
                ("decay", tuple(range(5))),
                ("strong", tuple(range(5, 10))),
            ],
            "ensemble": [("ensemble of 10", None)],
        },
    },
    "mixup_fashion_mnist": {
        "title": "MixUp augmentation for image classification (Keras documentation)",
        "dataset": "fashion_mnist",
        "question": "Keras' own example of mixup loses a point of accuracy. How much "
        "of that is chance?",
        "gap": ("test_accuracy", "alpha 0.2", "none"),
        "metrics": ("test_accuracy",),
        "published": {"alpha 0.2": (0.8582,), "none": (0.8692,)},
    },
    "noisy_student": {
        "title": "Noisy Student on CIFAR-10 (a blog, 2020, Keras 2)",
        "dataset": "cifar10",
        "question": "A blog has a noised student beat its teacher with images that "
        "nobody labelled. How much of that is the labels, how much the noise?",
        "gap": (
            "test_accuracy",
            "student of the noised",
            "control of the student of the noised",
        ),
        # The article has no such control, but the teacher to compare with.
        "published_gap": ("student of the noised", "noised teacher"),
        "metrics": ("test_loss", "test_accuracy"),
        "published": {
            "teacher": (0.8177, 0.8839),
            "student": (0.2470, 0.9394),
            "noised teacher": (0.2492, 0.9414),
            "student of the noised": (0.2289, 0.9428),
        },
        # The full profile's own schedule is a fifth as long.
        "ours": {
            name: [(f"{name}, article's schedule", None)]
            for name in (
                "teacher",
                "student",
                "noised teacher",
                "student of the noised",
            )
        },
    },
}
# Told apart by colour-blind readers, on light and on dark.
CHAPTER_COLOURS = dict(
    zip(ARTICLES, ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"), strict=True)
)


def read_published(chapter: str, metric: str) -> dict[str, float]:
    """Returns the article's numbers for one metric, by variant.

    Args:
        chapter: Name of a chapter.
        metric: Name of a metric that the article prints.

    Returns:
        Dict of variant to number, without variants of which it prints others.

    Raises:
        KeyError: no such chapter.
        ValueError: the article does not print that metric.
    """
    article = ARTICLES[chapter]
    place = article["metrics"].index(metric)
    rows = article["published"].items()
    return {name: row[place] for name, row in rows if row[place] is not None}


def find_published(chapter: str, variant: str, metric: str) -> float | None:
    """Returns the article's number beside which a variant of ours stands, or None.

    Variants of another protocol than the article's, such as a shorter schedule, have
    none.
    """
    article = ARTICLES[chapter]
    if metric not in article["metrics"]:
        return None
    for name, number in read_published(chapter, metric).items():
        if article.get("ours", {}).get(name, [(name, None)]) == [(variant, None)]:
            return number
    return None
