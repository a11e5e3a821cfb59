"""The pages made of records: the rule of verdicts by hand, and nothing typed."""

import copy
import csv
import io
import json
import math
import re
import shutil

import pytest
from test_records import RECORD

from tutorials_lib.intervals import mean_interval
from tutorials_lib.runs import scoreboard
from tutorials_lib.runs.articles import ARTICLES
from tutorials_lib.runs.chapters import book_folder
from tutorials_lib.runs.records import find_path, published_records, read_records
from tutorials_lib.runs.scoreboard import find_ours

TTA = "tta_accuracy"
NONE = {chapter: [] for chapter in ARTICLES}


def make_record(chapter, variant, seed, **metrics):
    record = copy.deepcopy(RECORD)
    record |= {"chapter": chapter, "variant": variant, "seed": seed}
    record["metrics"] = metrics
    record["history"]["seconds"] = [3.0, 2.0, 2.5]
    return record


def make_group(*accuracies, chapter="mixup_mnist", variant="none"):
    group = [
        make_record(chapter, variant, seed, train_accuracy=0.9999, test_accuracy=value)
        for seed, value in enumerate(accuracies)
    ]
    return {**NONE, chapter: group}


def find_row(records, variant="none", metric="test_accuracy"):
    (row,) = (
        row
        for row in scoreboard.list_rows(records)
        if records[row.chapter] and (row.variant, row.metric) == (variant, metric)
    )
    return row


def test_the_stored_pages_are_those_of_the_records():
    """`tutorials scoreboard` brings them up to date."""
    records = {chapter: published_records(chapter) for chapter in ARTICLES}
    for name, text in scoreboard.make_pages(records).items():
        assert (book_folder() / name).read_text(encoding="utf-8") == text, name


def test_every_record_is_where_its_link_leads():
    records = book_folder() / "records"
    for chapter in ARTICLES:
        paths = {find_path(record) for record in read_records(records / chapter)}
        found = (records / chapter).glob("*.json")
        assert paths == {path.relative_to(records).as_posix() for path in found}


def test_all_published_numbers_have_a_row():
    rows = scoreboard.list_rows(NONE)
    assert len(rows) == 55
    assert {row.verdict for row in rows} == {"not run"}
    page = scoreboard.make_pages(NONE)["scoreboard.md"]
    assert page.count('data-verdict="not run"') == 55
    assert "Of **55** published numbers: **55** not run." in page


def test_a_chapter_is_summed_up_by_its_gap():
    """Three pairs, +0.2, +0.1 and +0.3 points: half-width 4.303 * 0.1 / sqrt 3."""
    records = {**NONE, "mixup_fashion_mnist": []}
    for seed, (none, mixed) in enumerate(
        [(0.870, 0.872), (0.871, 0.872), (0.869, 0.872)]
    ):
        for variant, value in (("none", none), ("alpha 0.2", mixed)):
            made = make_record(
                "mixup_fashion_mnist", variant, seed, test_accuracy=value
            )
            records["mixup_fashion_mnist"].append(made)
    rows = scoreboard.list_rows(records)
    said = scoreboard.describe_chapter("mixup_fashion_mnist", rows, records)
    assert said["result"] == (
        "alpha 0.2 against none: **+0.20 ± 0.25** points (n = 3); "
        "the article has -1.10."
    )
    assert said["verdicts"] == "2 published numbers: 1 reproduced, 1 differs"
    said = scoreboard.describe_chapter("cifar10_95", rows, records)
    assert said["result"] == "Its full runs need a GPU and are still to be made."
    assert said["verdicts"] == "17 published numbers: 17 not run"


class TestRule:
    def test_an_accuracy_by_hand(self):
        # Student's half-width is 4.303 * 0.001 / sqrt 3; the article's standard error
        # on 10,000 images is 0.0913 points.
        found = scoreboard.find_tolerance(
            0.9916, mean_interval([0.990, 0.991, 0.992]), 10_000
        )
        assert found == pytest.approx(
            math.hypot(0.0024841, 1.96 * 0.00091267), rel=1e-3
        )

    def test_one_seed_has_its_own_binomial_error(self):
        found = scoreboard.find_tolerance(0.9916, mean_interval([0.99]), 10_000)
        assert found == pytest.approx(
            1.96 * math.hypot(0.00091267, 0.00099499), rel=1e-3
        )

    def test_a_loss_is_one_more_run(self):
        found = scoreboard.find_tolerance(0.3, mean_interval([0.20, 0.21, 0.22]))
        assert found == pytest.approx(4.3027 * 0.01 * math.sqrt(1 + 1 / 3), rel=1e-3)
        assert scoreboard.find_tolerance(0.3, mean_interval([0.2])) is None
        assert scoreboard.find_tolerance(0.3, mean_interval([0.2, 0.21])) is None

    def test_too_wide_for_a_verdict(self):
        """Two seeds a point apart would let six points pass."""
        assert (
            scoreboard.find_tolerance(0.99, mean_interval([0.98, 0.99]), 10_000) is None
        )
        row = find_row(make_group(0.90, 0.95))
        assert (row.verdict, row.tolerance) == ("not judged", None)

    @pytest.mark.parametrize(
        ("accuracy", "verdict"),
        # One seed beside 99.16: 0.259 points are allowed above it, 0.285 below.
        [
            (0.9916, "reproduced"),
            (0.9938, "reproduced"),
            (0.9943, "differs"),
            (0.9890, "reproduced"),
            (0.9886, "differs"),
        ],
    )
    def test_on_either_side(self, accuracy, verdict):
        assert find_row(make_group(accuracy)).verdict == verdict

    def test_train_accuracies_are_of_all_training_images(self):
        row = find_row(make_group(0.99), metric="train_accuracy")
        # 60,000 of MNIST: with 10,000 it would be 2.4 times as much.
        errors = (math.sqrt(p * (1 - p) / 60_000) for p in (0.999933, 0.9999))
        assert row.tolerance == pytest.approx(1.96 * math.hypot(*errors), rel=1e-3)

    def test_seconds_are_not_judged(self):
        records = {
            **NONE,
            "vat_mnist": [
                make_record(
                    "vat_mnist",
                    "swapped: none",
                    0,
                    test_accuracy=0.9877,
                    test_swapped_crossentropy=0.2,
                )
            ],
        }
        row = find_row(records, "swapped: none", "seconds_per_epoch")
        assert (row.verdict, row.tolerance) == ("not judged", None)
        assert row.values == [2.0]


def test_a_row_as_the_page_has_it():
    page = scoreboard.make_pages(make_group(0.990, 0.991, 0.992))["scoreboard.md"]
    line = next(x for x in page.splitlines() if ">99.16<" in x)
    cells = re.findall("<td>(.*?)</td>", line)
    assert cells[1:6] == ["none", "test accuracy, %", "99.16", "99.10", "0.25"]
    assert cells[6] == "reproduced"
    assert cells[7] == '<a href="full_runs.html#mixup-mnist-none">3</a>'
    assert cells[8:10] == ["-0.06", "0.31"]


def test_what_differs_leads_to_the_chapter():
    page = scoreboard.make_pages(make_group(0.9))["scoreboard.md"]
    assert '<a href="mixup_mnist.html#what-we-learned">differs</a>' in page
    assert "**1** differs" in page


def test_names_are_no_html():
    records = make_group(0.99)
    records["mixup_mnist"][0]["variant"] = "<b>none</b>"
    page = scoreboard.make_pages(records)["full_runs.md"]
    assert "&lt;b&gt;none" in page
    assert "<b>" not in page


def test_members_and_their_mean():
    members = [
        make_record("cifar10_95", "decay" if k < 5 else "strong", k, tta_accuracy=0.9)
        for k in range(10)
    ]
    (third,) = find_ours("cifar10_95", "member 3", TTA, members)
    assert (third["variant"], third["seed"]) == ("decay", 2)
    (eighth,) = find_ours("cifar10_95", "member 8", TTA, members)
    assert (eighth["variant"], eighth["seed"]) == ("strong", 7)
    assert len(find_ours("cifar10_95", "mean of the members", TTA, members)) == 10
    # A mean of nine is not what the article has.
    assert find_ours("cifar10_95", "mean of the members", TTA, members[1:]) == []
    assert find_ours("cifar10_95", "ensemble", TTA, members) == []
    # Without that score they are no runs of it.
    assert find_ours("cifar10_95", "decay", "test_accuracy", members) == []
    with pytest.raises(ValueError, match="two of 'decay', seed 2"):
        find_ours("cifar10_95", "decay", TTA, [*members, members[2]])


def test_another_schedule_is_not_judged():
    short = make_group(0.90, chapter="noisy_student", variant="teacher")
    assert find_row(short, "teacher").verdict == "not run"
    long = make_group(
        0.8839, chapter="noisy_student", variant="teacher, article's schedule"
    )
    long["noisy_student"] += short["noisy_student"]
    row = find_row(long, "teacher")
    assert (row.values, row.verdict) == ([0.8839], "reproduced")


def test_totals_count_runs_once_and_by_use():
    records = make_group(0.990, 0.991)
    records["mixup_mnist"] += make_group(0.99, variant="0.1-none")["mixup_mnist"]
    for record in records["mixup_mnist"]:
        record["timing"]["wall_seconds"] = 3600
    totals = scoreboard.say_totals(scoreboard.list_rows(records), records)
    assert "rest on **2** full runs, 2 hours" in totals
    assert "**1** more answer" in totals


def test_the_drawing_s_line_is_where_both_agree():
    published = ARTICLES["mixup_mnist"]["published"]["alpha 2"][1]
    plot = scoreboard.place_errors(
        scoreboard.list_rows(make_group(published, variant="alpha 2"))
    )
    x1, y1, x2, y2 = plot["lines"][0]
    x, y, *_ = next(point for point in plot["points"] if "test accuracy" in point[-1])
    # On the way from one end to the other, as far across as up.
    assert (x - x1) / (x2 - x1) == pytest.approx((y1 - y) / (y1 - y2), abs=1e-3)
    worse = scoreboard.place_errors(
        scoreboard.list_rows(make_group(published - 0.05, variant="alpha 2"))
    )
    higher = next(p for p in worse["points"] if "test accuracy" in p[-1])
    assert higher[0] == x
    assert higher[1] < y


def test_all_records_in_one_table():
    records = make_group(0.990, 0.991)
    text = scoreboard.make_pages(records)["_static/records.csv"]
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [float(line["test_accuracy"]) for line in lines] == [0.990, 0.991]
    assert [line["seed"] for line in lines] == ["0", "1"]
    assert json.loads(lines[0]["parameters"]) == RECORD["parameters"]


def test_written_only_where_something_changed(tmp_path, monkeypatch):
    for chapter in ARTICLES:
        shutil.copy(book_folder() / f"{chapter}.ipynb", tmp_path)
    monkeypatch.setattr(scoreboard, "book_folder", lambda: tmp_path)
    assert len(scoreboard.write_pages()) == 6
    assert scoreboard.write_pages() == []
    (tmp_path / "totals.txt").write_text("typed by hand")
    assert scoreboard.write_pages() == [tmp_path / "totals.txt"]


class TestStatus:
    def write_notebook(self, folder, text):
        cell = {
            "cell_type": "code",
            "outputs": [{"output_type": "stream", "text": [text]}],
        }
        notebook = {"cells": [{"cell_type": "code", "outputs": []}, cell]}
        for chapter in ARTICLES:
            (folder / f"{chapter}.ipynb").write_text(json.dumps(notebook))

    def make_page(self, tmp_path, monkeypatch, text, records=NONE):
        self.write_notebook(tmp_path, text)
        monkeypatch.setattr(scoreboard, "book_folder", lambda: tmp_path)
        return scoreboard.make_pages(records)["status.md"]

    def test_what_the_chapter_printed(self, tmp_path, monkeypatch):
        text = (
            "run       profile quick (not the article's protocol)\n"
            "device    Some CPU, 2 cores, backend jax\n"
            "versions  python 3.12.1, keras 3.15.1\n"
            "commit    0123456789abcdef, with changes\n"
            "date      2026-01-31\n"
            "time      7.3 minutes\n"
        )
        page = self.make_page(tmp_path, monkeypatch, text)
        assert page.count("<td>quick</td><td>2026-01-31</td><td>7.3 minutes</td>") == 5
        assert "<td>Some CPU, 2 cores, backend jax</td>" in page
        assert "<td>0123456789, with changes</td>" in page

    def test_a_chapter_that_printed_nothing(self, tmp_path, monkeypatch):
        page = self.make_page(tmp_path, monkeypatch, "")
        assert page.count("</a></td>" + "<td>-</td>" * 6) == 5

    def test_full_runs_summed_up(self, tmp_path, monkeypatch):
        records = make_group(0.990, 0.991)
        for seconds, record in zip((1800, 5400), records["mixup_mnist"], strict=True):
            record["timing"]["wall_seconds"] = seconds
        records["mixup_mnist"][1]["date"] = "2027-02-03T04:05:06+00:00"
        page = self.make_page(tmp_path, monkeypatch, "", records)
        assert "<td>2</td><td>0, 1</td><td>2027-02-03</td><td>2.0</td>" in page
        assert page.count("<td>0</td>" + "<td>-</td>" * 5) == 4
