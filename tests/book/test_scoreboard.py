"""The rules of verdicts by hand, and the pages made of records."""

import json
import math
import shutil

import numpy as np
import pytest
from scipy import stats
from stand_ins import make_notebook, make_record, make_records

from tutorials_lib.book import scoreboard
from tutorials_lib.book.chapters import book_folder
from tutorials_lib.results.articles import ARTICLES, CLAIMS
from tutorials_lib.results.verdicts import judge_claims, list_numbers

NONE = {chapter: [] for chapter in ARTICLES}


def find_number(records, variant, metric):
    """The article's number, beside records of its chapter."""
    (chapter,) = {record["chapter"] for record in records}
    wanted = (chapter, variant, metric)
    (number,) = (
        each
        for each in list_numbers({chapter: records})
        if (each.chapter, each.variant, each.metric) == wanted
    )
    return number


class TestNumbers:
    def test_how_far_apart_the_two_may_lie(self):
        """The article has one more run, or at `cifar10_fast` a mean of many."""
        # Student's t with two degrees of freedom is 4.3027.
        metric, width = "tta_accuracy", 4.3027 * 0.001
        for chapter, variant, by_hand in (
            ("cifar10_95", "decay", width * math.sqrt(1 + 1 / 3)),
            ("cifar10_fast", "94% recipe", width / math.sqrt(3)),
        ):
            scores = {variant: (0.940, 0.941, 0.942)}
            runs = make_records(scores, metric, chapter=chapter)
            number = find_number(runs, variant, metric)
            assert number.tolerance == pytest.approx(by_hand, rel=1e-3)
            assert number.verdict == "agrees"
            # Two runs are too few for a verdict.
            assert find_number(runs[1:], variant, metric).verdict == "not judged"

    @pytest.mark.parametrize(
        ("chapter", "variant", "profile", "verdict"),
        [
            ("cifar10_95", "decay", "laptop", "not run"),
            # The profile's own schedule is shorter.
            ("noisy_student", "teacher", "full", "not run"),
            ("noisy_student", "teacher, article's schedule", "full", "differs"),
        ],
    )
    def test_only_the_article_s_protocol_is_judged(
        self, chapter, variant, profile, verdict
    ):
        scores = {variant: (0.5, 0.5001, 0.5002)}
        runs = make_records(scores, chapter=chapter, profile=profile)
        name = variant.partition(", article's")[0]
        assert find_number(runs, name, "test_accuracy").verdict == verdict

    def test_members_and_their_mean(self):
        members = [
            make_record("cifar10_95", "decay" if k < 5 else "strong", k, tta_accuracy=k)
            for k in range(10)
        ]

        def find(name, runs=members):
            return find_number(runs, name, "tta_accuracy").ours

        assert (find("member 3").mean, find("member 8").mean) == (2, 7)
        assert find("mean of the members").n == 10
        # A mean of nine is not what the article has.
        assert find("mean of the members", members[1:]) is None
        assert find("ensemble") is None
        with pytest.raises(ValueError, match=r"two of .*'decay', 2"):
            find("decay", [*members, members[2]])


def make_pairs(baseline, variant, gains, **fields):
    scores = {baseline: [0.6] * len(gains), variant: [0.6 + x / 100 for x in gains]}
    return make_records(scores, **fields)


def make_steps(*gains, profile="laptop"):
    """Of the article's gain by augmentation, 3.03 points."""
    fields = {"chapter": "cifar10_95", "profile": profile}
    return make_pairs("benchmark", "augmentation", gains, **fields)


def judge(records, name="augmentation", chapter="cifar10_95"):
    (claim,) = (each for each in CLAIMS if (each.chapter, each.name) == (chapter, name))
    (judged,) = judge_claims({chapter: records}, [claim])
    return judged


class TestClaims:
    @pytest.mark.parametrize(
        ("gains", "verdict"),
        [
            ([2.9, 3.0, 3.1], "seen"),
            ([5.9, 6.0, 6.1], "seen"),
            ([0.9, 1.0, 1.1], "smaller"),
            ([-0.1, 0.0, 0.1], "not seen"),
            ([-3.0, 1.0, 5.0], "undecided"),
            ([2.99, 3.0], "undecided"),
            ([-1.1, -1.0, -0.9], "opposite"),
            ([], "not run"),
        ],
    )
    def test_each_verdict(self, gains, verdict):
        assert judge(make_steps(*gains)).verdict == verdict

    @pytest.mark.parametrize(
        ("gains", "verdict"),
        # The margin is 0.18 points; an interval that excludes 0 may lie within it.
        [
            ([0.05, 0.06, 0.07], "seen"),
            ([-0.5, 0.0, 0.5], "undecided"),
            ([-0.5, -0.51, -0.52], "opposite"),
        ],
    )
    def test_no_difference_has_a_margin(self, gains, verdict):
        records = make_pairs("none", "alpha 0.1", gains)
        assert judge(records, "no gain", "mixup_mnist").verdict == verdict

    def test_full_runs_come_before_those_of_a_laptop(self):
        both = make_steps(1.0, 1.1) + make_steps(3.0, profile="full")
        assert judge(both).protocol == "1 seed, full"
        assert judge(make_steps(1.0, 1.1)).protocol == "2 seeds, laptop"

    def test_of_two_faithful_profiles_that_with_more_runs_counts(self):
        def run(seed, profile):
            scores = {"test_accuracy": 0.93, "tta_accuracy": 0.94}
            made = make_record("cifar10_fast", "94% recipe", seed, **scores)
            return made | {"profile": profile}

        runs = [run(0, "full"), run(0, "laptop")]
        assert judge(runs, "six views", "cifar10_fast").protocol == "1 seed, full"
        runs.append(run(1, "laptop"))
        assert judge(runs, "six views", "cifar10_fast").protocol == "2 seeds, laptop"
        number = find_number(runs, "94% recipe", "tta_accuracy")
        assert number.ours.n == 2

    @pytest.mark.parametrize(("profile", "points"), [("laptop", 2), ("full", 17)])
    def test_at_laptop_noise_is_told_from_flips_and_shifts(self, profile, points):
        scores = {"teacher": 0.6, "shifted teacher": 0.75, "noised teacher": 0.77}
        scores = {name: [score] * 3 for name, score in scores.items()}
        records = make_records(scores, chapter="noisy_student", profile=profile)
        judged = judge(records, "noise", "noisy_student")
        assert judged.effect == f"+{points}.00 ± 0.00 points"

    def test_a_cost_is_a_ratio_of_shortest_epochs_on_one_device(self):
        scores = {"corrected: VAT": [0.9] * 4, "swapped: none": [0.9] * 4}
        records = make_records(scores, chapter="vat_mnist")
        for record in records:
            shortest = 23 if "VAT" in record["variant"] else 10
            record["history"]["seconds"] = [90, shortest, 50]
        records[-1]["environment"]["device"] = "another processor"
        judged = judge(records, "cost", "vat_mnist")
        assert (judged.article, judged.effect) == ("2.25 times", "2.30 ± 0.00 times")
        assert (judged.protocol, judged.verdict) == ("3 seeds, full", "seen")

    def test_an_ensemble_by_bootstrap_over_test_images(self, keep):
        run = make_record("cifar10_95", "ensemble of 6", 0, tta_accuracy=0.95)
        # It trains nothing.
        run["history"]["seconds"] = []
        rng = np.random.default_rng(0)
        arrays = {
            "right": rng.random(5000) < 0.95,
            "members_right": rng.random((6, 5000)) < 0.94,
        }
        keep(run, arrays)
        judged = judge([run], "ensemble")
        gains = arrays["right"] - arrays["members_right"].mean(axis=0)
        assert judged.ours.mean == pytest.approx(gains.mean())
        theirs = stats.bootstrap((gains,), np.mean, method="percentile", batch=50)
        low, high = theirs.confidence_interval
        half = judged.ours.half_width
        assert half == pytest.approx((high - low) / 2, rel=0.1)

    def test_every_claim_has_a_name_of_its_own_and_an_effect(self):
        assert len({(claim.chapter, claim.name) for claim in CLAIMS}) == len(CLAIMS)
        assert all(claim.effect > 0 for claim in CLAIMS)


def test_the_stored_pages_are_those_of_the_records():
    """`tutorials scoreboard` brings them up to date."""
    for name, text in scoreboard.make_pages(scoreboard.read_all_records()).items():
        assert (book_folder() / name).read_text(encoding="utf-8") == text, name


def test_without_a_run_every_number_and_claim_has_a_row():
    pages = scoreboard.make_pages(NONE)
    assert pages["scoreboard.md"].count('data-verdict="not run"') == 61
    assert pages["scoreboard.md"].count(">not run</a>") == len(CLAIMS)
    assert "**61** published numbers: **61** not run" in pages["totals.txt"]


def test_written_only_where_something_changed(tmp_path, monkeypatch):
    book = tmp_path / "book"
    shutil.copytree(book_folder(), book, ignore=shutil.ignore_patterns("records"))
    shutil.copy(book_folder().parent / "README.md", tmp_path)
    monkeypatch.setattr(scoreboard, "book_folder", lambda: book)
    for name in ("status.md", "totals.txt", "_static/records.csv"):
        (book / name).write_text("old")
    readme = (tmp_path / "README.md").read_text()
    (tmp_path / "README.md").write_text(readme.replace("A blog post", "It"))
    assert len(scoreboard.write_pages()) == 4
    assert (tmp_path / "README.md").read_text() == readme
    assert scoreboard.write_pages() == []


def test_a_page_of_other_settings_says_so(tmp_path):
    path = make_notebook(tmp_path / "a.ipynb", parameters="profile = 'quick'\nn = 1")
    notebook = json.loads(path.read_text())
    times = {"duration": 438.0, "end_time": "2026-01-31T12:00:00+00:00"}
    notebook["metadata"]["papermill"] = {**times, "parameters": {}}
    path.write_text(json.dumps(notebook))
    assert scoreboard.read_run(path)["run"] == "quick, n = 1"
