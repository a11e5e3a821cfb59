"""The pages made of records: all that is on record, and nothing typed."""

import csv
import io
import json
import re
import shutil

import pytest
from stand_ins import NONE, RECORD, make_group, make_record

from tutorials_lib.runs import scoreboard, times
from tutorials_lib.runs.articles import ARTICLES
from tutorials_lib.runs.chapters import ChapterError, book_folder
from tutorials_lib.runs.error_plot import place_errors
from tutorials_lib.runs.records import find_path, published_records, read_records
from tutorials_lib.runs.verdicts import list_rows


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
    rows = list_rows(NONE)
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
    rows = list_rows(records)
    said = scoreboard.describe_chapter("mixup_fashion_mnist", rows, records)
    assert said["result"] == (
        "alpha 0.2 against none: **+0.20 ± 0.25** points (n = 3); "
        "the article has -1.10."
    )
    assert said["verdicts"] == "2 published numbers: 1 reproduced, 1 differs"
    said = scoreboard.describe_chapter("cifar10_95", rows, records)
    assert said["result"] == "Its full runs need a GPU and are still to be made."
    assert said["verdicts"] == "17 published numbers: 17 not run"


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


@pytest.mark.parametrize(
    ("clean", "said"),
    [(True, "c0ffee1234"), (False, "c0ffee1234, with changes"), (None, "unknown")],
)
def test_a_run_s_commit(clean, said):
    """Where it is not known, neither is whether something was changed."""
    records = make_group(0.99)
    commit = None if clean is None else "c0ffee1234567890"
    records["mixup_mnist"][0]["git"] = {"commit": commit, "clean": clean}
    assert f"<td>{said}</td></tr>" in scoreboard.make_pages(records)["full_runs.md"]


def test_totals_count_runs_once_and_by_use():
    records = make_group(0.990, 0.991)
    records["mixup_mnist"] += make_group(0.99, variant="0.1-none")["mixup_mnist"]
    for record in records["mixup_mnist"]:
        record["timing"]["wall_seconds"] = 3600
    totals = scoreboard.say_totals(list_rows(records), records)
    assert "rest on **2** full runs, 2 hours" in totals
    assert "**1** more answer" in totals


def test_the_drawing_s_line_is_where_both_agree():
    published = ARTICLES["mixup_mnist"]["published"]["alpha 2"][1]
    plot = place_errors(list_rows(make_group(published, variant="alpha 2")))
    x1, y1, x2, y2 = plot["lines"][0]
    x, y, *_ = next(point for point in plot["points"] if "test accuracy" in point[-1])
    # On the way from one end to the other, as far across as up.
    assert (x - x1) / (x2 - x1) == pytest.approx((y1 - y) / (y1 - y2), abs=1e-3)
    worse = place_errors(list_rows(make_group(published - 0.05, variant="alpha 2")))
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
        monkeypatch.setattr(times, "book_folder", lambda: tmp_path)
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

    def test_how_long_smoke_takes(self, tmp_path, monkeypatch):
        """All chapters or none, as they were run at smoke with nothing changed."""
        executed = tmp_path / "smoke"
        executed.mkdir()
        monkeypatch.setenv("TUTORIALS_RUNS", str(tmp_path))
        monkeypatch.setattr(times, "book_folder", lambda: tmp_path)
        self.write_notebook(
            executed, "run       profile smoke (no finding)\ntime 0.9 m"
        )
        last = executed / "noisy_student.ipynb"
        for text in (
            "profile quick (no finding)",
            "profile smoke, changed: epochs = 1",
        ):
            kept = last.read_text()
            last.write_text(kept.replace("profile smoke (no finding)", text))
            with pytest.raises(ChapterError, match=r"noisy_student.* as it is"):
                times.keep_smoke_runs()
            last.write_text(kept)
        assert times.read_smoke_runs() == []
        times.keep_smoke_runs()
        page = self.make_page(tmp_path, monkeypatch, "")
        assert page.count("<td>smoke</td><td>-</td><td>0.9 m</td>") == 5
        last.unlink()
        with pytest.raises(ChapterError, match="tutorials run --all"):
            times.keep_smoke_runs()

    def test_full_runs_summed_up(self, tmp_path, monkeypatch):
        records = make_group(0.990, 0.991)
        for seconds, record in zip((1800, 5400), records["mixup_mnist"], strict=True):
            record["timing"]["wall_seconds"] = seconds
        records["mixup_mnist"][1]["date"] = "2027-02-03T04:05:06+00:00"
        page = self.make_page(tmp_path, monkeypatch, "", records)
        assert "<td>2</td><td>0, 1</td><td>2027-02-03</td><td>2.0</td>" in page
        assert page.count("<td>0</td>" + "<td>-</td>" * 5) == 4
