"""The table of profiles, and what is refused before anything starts."""

import pytest

from tutorials_lib.runs.profiles import CHAPTERS, PROFILES, SHARED
from tutorials_lib.runs.settings import CHOOSING, choose_settings, list_defaults


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_valid(chapter, profile):
    settings = choose_settings(chapter, profile)
    assert settings.changed == ()
    assert (settings.source == "sample") == (profile == "smoke")


def test_full_is_the_published_protocol():
    """Where no records of it are held to it."""
    cifar = choose_settings("cifar10_95", "full")
    assert (cifar.epochs, cifar.batch_size, cifar.learning_rate) == (150, 500, 0.001)
    assert (cifar.members, cifar.draws, cifar.width) == (5, 50, 64)
    assert (cifar.rotation, cifar.shift, cifar.zoom) == (20, 0.2, 0.2)
    assert (cifar.channel_shift, cifar.strong, cifar.off_centre) == (0.2, 0.3, True)
    student = choose_settings("noisy_student", "full")
    # The net, the unlabelled images and the threshold are the article's; the schedule
    # is a fifth of it unless asked for.
    assert (student.width, student.blocks) == (64, (3, 4, 6, 3))
    assert (student.unlabelled_images, student.threshold) == (8000, 0.75)
    assert (student.schedules, student.long_epochs) == (("short",), 300)
    assert (student.watch, student.validation_images) == ("held out", 5000)


def test_own_values():
    settings = choose_settings(
        "mixup_mnist", "full", epochs=1, seeds=2, alphas=0.3, pairing=None
    )
    assert (settings.epochs, settings.seeds, settings.alphas) == (1, (0, 1), (0.3,))
    # Fewer seeds or strengths are the same runs; fewer epochs are other runs.
    assert settings.changed == ("epochs",)
    assert "epochs = 1" in settings.describe()
    assert "not the article's protocol" in settings.describe()
    whole = choose_settings("mixup_mnist", "full", seeds=[4, 7])
    assert (whole.seeds, whole.changed) == ((4, 7), ())
    assert whole.describe() == "profile full"
    # Its effects are findings, though its scores stand beside no article's.
    laptop = choose_settings("cifar10_95", "laptop").describe()
    assert laptop.endswith("compare gains, not scores)")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epochs": "3"}, "epochs must be a whole number of at least 1; got '3'"),
        ({"seeds": [1, 1]}, "no value twice"),
        ({"seeds": [10**9 + 1]}, "seeds must be a whole number from 0 to 1000000000"),
        ({"seeds": 10**12}, "seeds must be a whole number from 1 to 1000"),
        ({"alphas": []}, "alphas must hold at least one value"),
        ({"alphas": float("nan")}, "alphas must be a finite number above 0; got nan"),
        ({"source": "web"}, "source must be one of 'real', 'sample'"),
        ({"folder": 3}, "folder must hold text; got 3"),
        ({"leave_out": 3}, "leave_out must hold text; got 3"),
        ({"threshold": 1}, r"threshold must be .*from 0 to 0\.9999"),
        ({"strengths": [6]}, "strengths must be a whole number from 1 to 5; got 6"),
        ({"stretch": 1}, "stretch must be one of True, False"),
    ],
)
def test_what_is_refused(given, said):
    (name,) = given
    chapter = next(x for x in CHAPTERS if name in list_defaults(x, "smoke"))
    with pytest.raises(ValueError, match=said):
        choose_settings(chapter, "smoke", **given)


def test_lists_that_may_be_empty_or_hold_a_value_twice(tmp_path):
    few = {"recipes": "94%", "lengths": [2.5], "without": [], "pairs": [0, 5]}
    fast = choose_settings("cifar10_fast", "laptop", **few)
    assert (fast.recipes, fast.lengths, fast.without) == (("94%",), (2.5,), ())
    # What chooses runs changes none; `laptop` is the published protocol.
    assert (fast.pairs, fast.changed) == ((0, 5), ())
    # As text, as plain papermill hands over a list.
    given = {"folder": str(tmp_path), "leave_out": "['a*', 'b*']", "widths": [8, 8, 9]}
    own = choose_settings("noisy_student", "smoke", **given)
    assert (own.folder, own.leave_out) == (str(tmp_path), ("a*", "b*"))
    assert own.widths == (8, 8, 9)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_all_runs_share_are_settings_that_choose_none(chapter):
    shared = set(SHARED[chapter])
    assert shared <= set(list_defaults(chapter, "full")) - set(CHOOSING)
