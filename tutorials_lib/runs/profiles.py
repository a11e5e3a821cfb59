"""The one table of what each profile means for each chapter."""

from typing import Any

PROFILES = ("smoke", "quick", "laptop", "full")
# A precision that `environment.choose_precision` replaces.
BY_DEVICE = "by device"
# Profiles whose runs on real images leave records that are published.
PUBLISHED = ("laptop", "full")
# Chapters whose `laptop` is the article's protocol too, but for the precision.
FAITHFUL = ("cifar10_fast",)

# The article has seven; the first stands for its limit without mixing.
MNIST_ALPHAS = (1e-6, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 2.0)
FASHION_ALPHAS = (0.001, 0.1, 0.2, 0.4, 1.0)
# For a minute's sake one of each kind.
SMOKE_STUDENTS = ("teacher", "noised teacher", "student of the noised", "second round")
SMOKE_VAT = (
    *("swapped: dropout", "corrected: VAT", "corrected: VAT, recommended"),
    *("corrected: none, logits", "100 labels: none", "100 labels: VAT on all"),
    *("study: none", "study: eps 0.5"),
)
# Of cifar10_fast.
RECIPES = ("94%", "95%", "96%")
TRICKS = (
    "whitening", "scaled biases", "identity start", "alternating flip", "lookahead",
)  # fmt: skip


def is_comparable(chapter: str, profile: str) -> bool:
    """Tells whether a profile's scores may stand beside the article's."""
    return profile == "full" or (profile == "laptop" and chapter in FAITHFUL)


def _split_columns(**rows):
    """The value of each row by profile; a row's last value holds for those after it."""
    return {
        profile: {name: row[min(place, len(row) - 1)] for name, row in rows.items()}
        for place, profile in enumerate(PROFILES)
    }


# Each setting of a chapter in smoke, quick, laptop and full; one value holds for all.
# Where there are three, the chapter fits two cores in full, and `laptop` means `full`.
# fmt: off
TABLE: dict[str, dict[str, dict[str, Any]]] = {
    "mixup_mnist": _split_columns(
        batch_size=(32,), learning_rate=(0.002,), decay=(1e-4,),
        pairing=("replacement",), lambda_per=("sample",),
        source=      ("sample",         "real",       "real"),
        train_images=(640,              10_000,       None),
        test_images= (200,              None,         None),
        epochs=      (2,                3,            30),
        seeds=       (1,                1,            3),
        alphas=      ((1e-6, 0.1, 2.0), MNIST_ALPHAS, MNIST_ALPHAS),
    ),
    "mixup_fashion_mnist": _split_columns(
        batch_size=(64,), pairing=("shuffles",), lambda_per=("sample",),
        source=           ("sample",          "real",          "real"),
        train_images=     (1000,              12_000,          None),
        validation_images=(200,               2000,            2000),
        test_images=      (200,               None,            None),
        epochs=           (2,                 5,               10),
        seeds=            (1,                 2,               5),
        alphas=           ((0.001, 0.2, 1.0), (0.1, 0.2, 1.0), FASHION_ALPHAS),
        images_per_mix=   ((2, 3),            (2, 3),          (2, 3, 4)),
    ),
    "vat_mnist": _split_columns(
        batch_size=(128,), learning_rate=(1.0,), eps=(1.0,), xi=(10.0,),
        iterations=(1,), labelled_per_batch=(32,),
        source=           ("sample", "real",          "real"),
        train_images=     (640,      10_000,          None),
        test_images=      (200,      None,            None),
        validation_images=(200,      2000,            10_000),
        study_images=     (256,      2000,            10_000),
        epochs=           (1,        3,               12),
        variants=         (SMOKE_VAT, None,           None),
        seeds=            (1,        1,               3),
        labels=           ((100,),   (100, 1000),     (100, 1000)),
        eps_values=       ((0.5,),   (0.5, 1.0, 2.0), (0.25, 0.5, 1.0, 2.0, 4.0)),
    ),
    "cifar10_95": _split_columns(
        learning_rate=(0.001,), rotation=(20.0,), shift=(0.2,), zoom=(0.2,),
        channel_shift=(0.2,), strong=(0.3,), off_centre=(True,),
        source=           ("sample",  "real",    "real",    "real"),
        train_images=     (200,       5000,      10_000,    None),
        validation_images=(40,        1000,      2000,      5000),
        test_images=      (100,       1000,      None,      None),
        # Long enough for the benchmark to overfit, as the article's does.
        epochs=           (2,         12,        75,        150),
        batch_size=       (50,        50,        100,       500),
        # Test images are scored every so many epochs, and after the last five.
        score_every=      (1,         1,         5,         1),
        seeds=            (1,         1,         3,         3),
        # Of two networks twice as wide, with and without augmentation.
        pairs=            ((0,),      (),        (0, 1, 2), ()),
        members=          (1,         2,         3,         5),
        draws=            (2,         10,        50,        50),
        width=            (4,         8,         24,        64),
        # Half of it where the device has it; `laptop` is the same on every machine.
        precision=        ("float32", "float32", "float32", BY_DEVICE),
    ),
    "noisy_student": _split_columns(
        folder=(None,), leave_out=((),), watch=("held out",),
        stride_on=("last",), weights=("last",),
        # As the article's generator does, see `rand_augment.stretch_images`.
        stretch=(True,),
        source=           ("sample",       "real",       "real",       "real"),
        variants=         (SMOKE_STUDENTS, None,         None,         None),
        schedules=        (("short",), ("short",), ("short", "twice"), ("short",)),
        # The article's network is far too slow for two cores; `full` has it.
        network=          ("airbench",     "airbench",   "airbench",   "resnet"),
        train_images=     (300,            12_000,       None,         None),
        validation_images=(50,             1000,         5000,         5000),
        labelled_images=  (150,            2000,         4000,         None),
        unlabelled_images=(100,            None,         None,         8000),
        test_images=      (60,             1000,         None,         None),
        # Test images that are corrupted, the first ones; None for all.
        corrupted_images= (60,             500,          2000,         None),
        # Of the fast network: how many images training passes through it.
        passes=           (300,            20_000,       125_000,      None),
        # Of the article's.
        epochs=           (2,              8,            60,           60),
        long_epochs=      (3,              30,           300,          300),
        batch_size=       (50,             250,          500,          256),
        learning_rate=    (0.001,          0.002,        0.002,        0.002),
        # Of the teachers and their students; of the variations.
        seeds=            (1,              1,            3,            3),
        pairs=            (1,              1,            1,            3),
        # A teacher of a few steps is seldom sure; label smoothing keeps all below 0.91.
        threshold=        (0.1,            0.5,          0.75,         0.75),
        other_threshold=  (0.05,           0.75,         0.5,          0.95),
        empty=            ("skip",         "skip",       "stop",       "stop"),
        dropout=          (0.2,            0.2,          0.2,          0.5),
        widths=           ((24, 24, 24),   (32, 64, 64), (64, 128, 128), None),
        width=            (4,              8,            64,           64),
        blocks=           ((1,),           (1, 1),       (3, 4, 6, 3), (3, 4, 6, 3)),
        strengths=        ((3,),           (1, 3, 5),    (1, 3, 5), (1, 2, 3, 4, 5)),
        precision=        ("float32",      "float32",    "float32", BY_DEVICE),
    ),
    "cifar10_fast": _split_columns(
        source=      ("sample",   "real",    "real",    "real"),
        train_images=(200,        None,      None,      None),
        test_images= (100,        None,      None,      None),
        # Filters of the recipes are divided by it.
        shrink=      (2,          2,         1,         1),
        # No recipe trains for more epochs.
        epochs=      (2,          3,         37,        37),
        batch_size=  (50,         1024,      1024,      1024),
        recipes=     (("94%", "96%"), ("94%",), ("94%", "95%"), RECIPES),
        # Epochs of shorter runs of the first recipe.
        lengths=     ((),         (),        (3, 6),    (3, 6)),
        # Parts of it that are taken out, one at a time.
        without=     (TRICKS[::4], (),       TRICKS,    TRICKS),
        # Of the first recipe, of larger ones, and of all else.
        seeds=       (1,          1,         5,         3),
        larger_seeds=(1,          1,         3,         3),
        pairs=       (1,          1,         1,         3),
        precision=   ("float32",  "float32", "float32", BY_DEVICE),
    ),
}
# fmt: on
CHAPTERS = tuple(TABLE)

# Settings that every run of a chapter has among its parameters. Others either choose
# runs (`settings.CHOOSING`), or the data, or enter the parameters of some runs.
SHARED: dict[str, tuple[str, ...]] = {
    chapter: tuple(names.split())
    for chapter, names in {
        "mixup_mnist": "pairing lambda_per epochs batch_size learning_rate decay",
        "mixup_fashion_mnist": "pairing lambda_per epochs batch_size validation_images",
        "vat_mnist": "epochs batch_size learning_rate",
        "cifar10_95": "width epochs batch_size learning_rate precision score_every",
        "noisy_student": "weights strengths",
        "cifar10_fast": "batch_size precision",
    }.items()
}
