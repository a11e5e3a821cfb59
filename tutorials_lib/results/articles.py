"""What the articles print and claim: sources, numbers, claims."""

import dataclasses
from typing import Any

# Accuracies of the ten members of the ensemble of cifar10_95.
MEMBERS = (
    *(0.9422, 0.9393, 0.9395, 0.9431, 0.9403),
    *(0.9433, 0.9448, 0.9439, 0.9433, 0.9410),
)

# `paper` is the arXiv number of the paper that introduced the method.
# `scoreboard` fills `answer` with our numbers. `published` has a number for each of the
# `metrics`. Where our variants have other names than the article's, `suffix` is what is
# added to all, or `ours` has those of one.
ARTICLES: dict[str, dict[str, Any]] = {
    "mixup_mnist": {
        "author": "not known",
        "title": "not known",
        "address": "not known",
        "date": "not known; days after the paper of October 2017",
        "paper": "arXiv:1710.09412",
        "dataset": "mnist",
        "question": "A blog post tries seven values of mixup's parameter and sees "
        "little effect. Does a gain of 0.02 points mean anything?",
        "answer": "No. In our runs the change is {claim[no gain]}, so one pair of runs "
        "may show either sign. Strong mixing lowers accuracy: at alpha 2 the change is "
        "{test[alpha 2 minus none]:short}.",
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
    "mixup_fashion_mnist": {
        "author": "Sayak Paul",
        "title": "MixUp augmentation for image classification",
        "address": "https://keras.io/examples/vision/mixup/",
        "date": "2021-03-06, changed 2023-07-24",
        "paper": "arXiv:1710.09412",
        "dataset": "fashion_mnist",
        "question": "Keras' own example of mixup loses a point of accuracy. How much "
        "of that is chance?",
        "answer": "Much of it, it seems. Shuffled as in the article, mixup changes "
        "accuracy by {test[alpha 0.2, window 6,400 minus none, window 6,400]} in our "
        "runs; in the article by -1.10.",
        "metrics": ("test_accuracy",),
        "published": {"alpha 0.2": (0.8582,), "none": (0.8692,)},
        # The article shuffles in this way.
        "suffix": ", window 6,400",
    },
    "vat_mnist": {
        "author": "mokemokechicken",
        "title": "Trying VAT (virtual adversarial training) on MNIST with Keras",
        "address": "https://qiita.com/mokemokechicken/items/69228b4c7884025e1ffe",
        "date": "not known; 2017 or shortly before",
        "paper": "arXiv:1507.00677",
        "dataset": "mnist",
        "question": "A blog post finds virtual adversarial training (VAT) better than "
        "dropout, but it trained the two on different losses. What is left of the "
        "claim?",
        "answer": "On the same loss VAT leads dropout by {claim[VAT over dropout]}; on "
        "the article's mix of losses by {claim[VAT over dropout, as run]:short} (0.63 "
        "in the article). With 100 labels VAT gains "
        "{test[100 labels: VAT on all minus 100 labels: none]:short} points.",
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
        "author": "yy1003",
        "title": "Reaching 95% on CIFAR-10 with a CNN",
        "address": "https://qiita.com/yy1003/items/c590d1a26918e4abe512",
        "date": "not known; before August 2020",
        "paper": "none",
        "results": "Compare with the article",
        "dataset": "cifar10",
        "question": "A blog post goes from 84% to 95% on CIFAR-10 in five steps. How "
        "much does each step gain, and what does it cost?",
        "answer": "In a smaller protocol for two cores, the three training steps "
        "together gain {claim[three steps]:short} points (8.11 in the article), "
        "averaging over versions of the test images {claim[averaging]:short} (1.81). "
        "Single training steps cannot be told from chance.",
        # The members are scored with test-time augmentation; the last five are strong.
        "metrics": ("test_accuracy", "tta_accuracy"),
        "published": {
            "benchmark": (0.8439, None),
            "augmentation": (0.8742, None),
            "depth": (0.9004, None),
            "decay": (0.9250, 0.9431),
            **{f"member {n}": (None, x) for n, x in enumerate(MEMBERS, start=1)},
            "mean of the members": (None, 0.9421),
            "ensemble": (None, 0.9507),
        },
        # Our variants and their seeds (None: all), which the article takes together.
        "ours": {
            **{f"member {n}": (("decay",), (n - 1,)) for n in range(1, 6)},
            **{f"member {n}": (("strong",), (n - 1,)) for n in range(6, 11)},
            "mean of the members": (("decay", "strong"), range(10)),
            "ensemble": (("ensemble of 10",), None),
        },
    },
    "noisy_student": {
        "author": "rabbitcaptain",
        "title": "Trying Noisy Student in Keras",
        "address": "https://qiita.com/rabbitcaptain/items/a15591ca49dc428223ca",
        "date": "2020-08-12",
        "paper": "arXiv:1911.04252",
        "dataset": "cifar10",
        "question": "In a blog post, a noised student that also learns from unlabelled "
        "images beats its teacher. How much of the gain is due to the pseudo-labels, "
        "how much to the noise?",
        "answer": "In a smaller protocol for two cores, noise gains {claim[noise]}. "
        "Pseudo-labels change that by {claim[second student]:short} points in a short "
        "training and by {claim[second student, longer]:short} in one twice as long.",
        "metrics": ("test_loss", "test_accuracy"),
        "published": {
            "teacher": (0.8177, 0.8839),
            "student": (0.2470, 0.9394),
            "noised teacher": (0.2492, 0.9414),
            "student of the noised": (0.2289, 0.9428),
        },
        # The full profile's own schedule is a fifth as long.
        "suffix": ", article's schedule",
    },
    "cifar10_fast": {
        "author": "Keller Jordan",
        "title": "94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
        "address": "https://github.com/KellerJordan/cifar10-airbench",
        "date": "2024-03-30",
        "paper": "arXiv:2404.00498",
        "dataset": "cifar10",
        "question": "A paper reaches 94% after four seconds on a GPU. Does Keras get "
        "there too, on a laptop's processor, and how much does each trick gain?",
        "answer": "Yes: {tta[94% recipe]} on two cores, without tuning (94.01% in the "
        "paper). Six views instead of one gain {claim[six views]:short} points; "
        "without whitening, accuracy changes by "
        "{tta[without whitening minus 94% recipe]}.",
        "runs": "mean of hundreds",
        # With one view of each test image, and with six.
        "metrics": ("test_accuracy", "tta_accuracy"),
        "published": {
            "94% recipe": (0.932, 0.9401),
            "95% recipe": (0.944, 0.9501),
            "96% recipe": (0.956, 0.9603),
        },
    },
}


@dataclasses.dataclass(frozen=True)
class Claim:
    """What an article claims, and how its effect is measured in numbers and in records.

    The effect is the metric of a variant minus that of a baseline, ordered so that the
    article's effect is positive.

    Attributes:
        baseline: Name of the variant to subtract, with the same seeds.
        text: The claim in a sentence.
        baseline_metric: The baseline's metric, if it is another one.
        section: Title of the section that shows it, if not the chapter's `results`.
        published: The article's two rows, if their names differ from ours.
        margin: For a claim of no difference: the largest difference that counts as
            none.
        laptop: Variant and baseline at profile `laptop`, if they differ: there all
            noise comes with flips and shifts, which the article does not have.
        kind: `"difference"`; `"ratio"`, the variant as a multiple of the baseline; or
            `"ensemble"`, of which there is only one: the variant is that whose name
            begins so, the baseline the mean of its members.
    """

    chapter: str
    name: str
    variant: str
    baseline: str
    text: str
    metric: str = "test_accuracy"
    baseline_metric: str = ""
    section: str = ""
    published: tuple[str, str] | None = None
    margin: float | None = None
    laptop: tuple[str, str] | None = None
    kind: str = "difference"

    @property
    def place(self) -> str:
        """Title of the section that shows the claim."""
        return self.section or ARTICLES[self.chapter].get("results", "Results")

    @property
    def effect(self) -> float:
        """The article's effect, from the numbers that it prints."""
        numbers = list_published(self.chapter)
        first, second = self.published or (self.variant, self.baseline)
        variant = numbers[first, self.metric]
        baseline = numbers[second, self.baseline_metric or self.metric]
        return variant / baseline if self.kind == "ratio" else variant - baseline


# Chapter and name, the variant and its baseline; then the claim and how it is measured.
# fmt: off
CLAIMS = (
    Claim("mixup_mnist", "memory", "alpha 0.1", "alpha 2",
          "Training accuracy falls as alpha grows from 0.1 to 2.", "train_accuracy"),
    Claim("mixup_mnist", "slope", "alpha 0.1", "alpha 2",
          "Test accuracy falls a little as alpha grows from 0.1 to 2."),
    Claim("mixup_mnist", "no gain", "alpha 0.1", "none",
          "Mixing with alpha 0.1 changes test accuracy no more than chance does.",
          # What the article's own slope, from alpha 0.1 to 2, comes to.
          section="Is the gain at 0.1 real?", margin=0.0018),
    Claim("mixup_fashion_mnist", "cost of mixup", "none", "alpha 0.2",
          "Mixup costs a point of accuracy."),
    Claim("vat_mnist", "VAT", "corrected: VAT", "corrected: none",
          "On the same loss, VAT beats the plain network (the article used two).",
          published=("corrected: VAT", "swapped: none")),
    Claim("vat_mnist", "VAT over dropout", "corrected: VAT", "corrected: dropout",
          "On the same loss, VAT beats dropout (the article used two).",
          published=("corrected: VAT", "swapped: dropout")),
    Claim("vat_mnist", "VAT over dropout, as run", "corrected: VAT", "swapped: dropout",
          "VAT beats dropout trained on the swapped loss, as in the article."),
    Claim("vat_mnist", "dropout", "swapped: none", "swapped: dropout",
          "Dropout alone lowers accuracy."),
    Claim("vat_mnist", "VAT alone", "corrected: VAT", "corrected: VAT, dropout",
          "VAT is better without dropout than with it."),
    Claim("vat_mnist", "cost", "corrected: VAT", "swapped: none",
          "VAT takes longer.", "seconds_per_epoch", kind="ratio",
          section="What is each worth, and what does it cost?"),
    Claim("cifar10_95", "augmentation", "augmentation", "benchmark",
          "Augmentation raises accuracy."),
    Claim("cifar10_95", "depth", "depth", "augmentation",
          "A deeper network raises accuracy further."),
    Claim("cifar10_95", "decay", "decay", "depth",
          "Lowering the learning rate raises accuracy further."),
    Claim("cifar10_95", "three steps", "decay", "benchmark",
          "Augmentation, depth and decay together raise accuracy greatly."),
    Claim("cifar10_95", "averaging", "decay", "decay",
          "Averaging over augmented test images raises accuracy further.",
          "tta_accuracy", "test_accuracy"),
    Claim("cifar10_95", "ensemble", "ensemble", "mean of the members",
          "An ensemble beats the mean of its members.",
          "tta_accuracy", kind="ensemble"),
    Claim("noisy_student", "student", "student", "teacher",
          "A noised student beats its plain teacher.",
          laptop=("student of the shifted", "shifted teacher")),
    Claim("noisy_student", "noise", "noised teacher", "teacher",
          "Noise alone makes a better teacher.",
          laptop=("noised teacher", "shifted teacher")),
    Claim("noisy_student", "second student", "student of the noised", "noised teacher",
          "A noised student beats its noised teacher too."),
    Claim("noisy_student", "second student, longer",
          "student of the noised, twice as long", "noised teacher, twice as long",
          "A noised student beats its noised teacher if both train twice as long.",
          published=("student of the noised", "noised teacher")),
    Claim("noisy_student", "better teacher", "student of the noised", "student",
          "A noised teacher has a better student than a plain one.",
          laptop=("student of the noised", "student of the shifted")),
    Claim("cifar10_fast", "larger", "95% recipe", "94% recipe",
          "A network 1.5 to 2 times as wide, trained 1.5 times as long, gains a point.",
          "tta_accuracy"),
    Claim("cifar10_fast", "six views", "94% recipe", "94% recipe",
          "Averaging six views of a test image beats a single view.",
          "tta_accuracy", "test_accuracy"),
)
# fmt: on


def list_published(chapter: str) -> dict[tuple[str, str], float]:
    """Lists the numbers that an article prints, by (variant, metric)."""
    article = ARTICLES[chapter]
    return {
        (variant, metric): number
        for variant, numbers in article["published"].items()
        for metric, number in zip(article["metrics"], numbers, strict=True)
        if number is not None
    }


def read_published(chapter: str, metric: str) -> dict[str, float]:
    """Returns the article's numbers for one metric, by variant that has one."""
    numbers = list_published(chapter).items()
    return {variant: number for (variant, name), number in numbers if name == metric}


def find_ours(chapter: str, variant: str) -> tuple[tuple[str, ...], Any]:
    """Returns our variants that correspond to one of the article's, and their seeds."""
    article = ARTICLES[chapter]
    same = (variant + article.get("suffix", ""),), None
    return article.get("ours", {}).get(variant, same)


def find_published(chapter: str, variant: str, metric: str) -> float | None:
    """Returns the article's number to compare a variant of ours with, or None."""
    for name, number in read_published(chapter, metric).items():
        if find_ours(chapter, name) == ((variant,), None):
            return number
    return None
