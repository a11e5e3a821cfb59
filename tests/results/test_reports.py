"""What tables, sentences and figures show, against numbers worked by hand."""

import numpy as np
import pytest
from scipy import stats
from stand_ins import SCORES, make_records

from tutorials_lib.results import figures, reports, verdicts
from tutorials_lib.results.estimates import (
    Scores,
    count_pairs,
    estimate,
    paired,
)
from tutorials_lib.support.page import NO_RUNS, say

ACCURACY = "test_accuracy"


@pytest.fixture
def rows(capsys):
    """Reads the table that was shown last, as lists of cells."""

    def read():
        lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("|")]
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
        return [cells[0], *cells[2:]]

    return read


def test_the_article_beside_ours(rows):
    reports.compare(make_records(), ACCURACY, ["none", "alpha 0.1", "alpha 2"])
    headers, *lines = rows()
    assert headers[0] == "test accuracy, %"
    # Student's interval of 99.0, 99.1, 99.2 is 4.303 * 0.1 / sqrt 3 = 0.25 wide.
    assert lines == [
        ["none", "99.16", "99.10 ± 0.25 (3)", "-0.06"],
        ["alpha 0.1", "99.18", "99.30 ± 0.50 (3)", "+0.12"],
    ]


def test_a_schedule_of_its_own_never_stands_beside_the_article(rows):
    records = make_records({"teacher": (0.9,)}, chapter="noisy_student")
    reports.compare(records, ACCURACY)
    assert rows() == [["test accuracy, %", reports.OURS], ["teacher", "90.00 (1)"]]


def test_differences_say_what_holds_zero(rows):
    scores = {"none": (0.9, 0.9, 0.9), "up": (0.911, 0.912, 0.913), "once": (0.8,)}
    # Its mean is a little below zero and rounds to it.
    scores["same"] = (0.9, 0.91, 0.889999)
    reports.show_differences(
        make_records(scores),
        ACCURACY,
        "none",
        ["up", "same", ("once", "up"), "absent", ("up", "same")],
    )
    assert rows()[1:] == [
        ["up", "+1.20 ± 0.25 (3)", "no"],
        ["same", "+0.00 ± 2.48 (3)", "yes"],
        ["once minus up", "-11.10 (1)", "one pair gives no interval"],
        ["up minus same", "+1.20 ± 2.62 (3)", "yes"],
    ]


def test_rows_are_counted_that_may_miss_zero_by_chance(capsys):
    """One pair gives no interval, so its row cannot."""
    records = make_records({**SCORES, "once": (0.95,)})
    reports.show_differences(records, ACCURACY, "none", ["alpha 0.1"] * 6 + ["once"])
    assert "none of these 6 truly differed" in capsys.readouterr().out


def test_a_gap_and_what_it_takes_to_see_it(rows):
    reports.show_gap(make_records(), ACCURACY, "alpha 0.1", "none")
    said = [value for _, value in rows()[1:]]
    # sqrt(2 * 0.9917 * 0.0083 / 10000) = 0.00128.
    assert said[:3] == ["+0.020", "0.128", "+0.200"]
    # Of 0.1, 0.2 and 0.3 points, t = 3.46; one more pair: 4.303 * 0.1 * sqrt(1 + 1/3).
    assert said[3:7] == ["-0.048 to +0.448", "0.074", "-0.297 to +0.697", "0.100"]
    # Normal quantiles: (1.96 + 0.84)^2 * (0.1 / 0.02)^2 = 196, and two for Student's.
    assert said[7] == "about 199"
    # Single precision aside, these differences are equal.
    equal = make_records({"none": (0.5, 0.6, 0.7), "up": (0.6, 0.7, 0.8)})
    assert paired(equal, ACCURACY, "up", "none").p_value is None
    # More than anybody makes; and two pairs give an interval at least.
    assert count_pairs(1e-6, 1.0) is None
    assert count_pairs(1.0, 0) == 2


def test_a_range_by_the_studentised_range(rows):
    names = ["none", *(f"alpha {a}" for a in ("0.1", "0.2", "0.3", "0.4", "0.5", 1, 2))]
    values = {name: (0.990, 0.991, 0.992) for name in names}
    reports.show_range(make_records(values), ACCURACY, names)
    _, theirs, ours = rows()
    # Each variant's seeds have a spread of 0.1 points, with 16 degrees of freedom, and
    # the table of d2 has 2.847 for eight normal values.
    limit = 0.1 * stats.studentized_range.ppf(0.95, 8, 16)
    assert theirs[1:] == ["0.23", "0.28", f"{limit:.2f}"]
    assert ours[1:] == ["0.00", "0.16", f"{limit / np.sqrt(3):.2f}"]


def test_costs_of_steps_have_a_price_where_they_gain(rows):
    records = make_records(
        {"one": (0.8,), "two": (0.9,), "worse": (0.85,)},
        data={**make_records()[0]["data"], "train_images": 1000, "test_images": 100},
    )
    for record in records:
        record["history"] = {"loss": [1, 1], "seconds": [len(record["variant"])] * 2}
    steps = {
        "one": reports.Step("one", 1e12),
        "two": reports.Step("two", 1e12, draws=10, members=2),
        "worse": reports.Step("worse", 1e12),
    }
    reports.show_costs(records, steps)
    # 3 * 2 * 1000 + 100 images once; 6000 + 10 * 100 twice.
    assert rows()[1:] == [
        ["one", "80.00", "6.1", "", "1.0"],
        ["two", "90.00", "14", "0.79", "2.0"],
        ["worse", "85.00", "6.1", "", "1.7"],
    ]
    records[0]["environment"]["device"] = "another"
    reports.show_costs(records, steps)
    assert len(rows()[0]) == 4


REPORTS = [
    lambda x: reports.compare(x, ACCURACY),
    lambda x: reports.show_differences(x, ACCURACY, "none", ["a"]),
    lambda x: reports.show_gap(x, ACCURACY, "alpha 0.1", "none"),
    lambda x: reports.show_range(x, ACCURACY, ["none"]),
    lambda x: reports.show_costs(x, {"a": reports.Step("a", 1)}),
    lambda x: reports.show_metrics(x, {"a": ACCURACY}),
    reports.show_provenance,
    verdicts.show_claims,
    lambda x: figures.show_spread(x, ACCURACY),
    lambda x: figures.show_epochs(x, "loss", ["none"], levels={"floor": 1}),
    lambda x: figures.show_growth(x, {"a": ("a", "loss")}, "members"),
    lambda x: figures.show_strengths(x, ["blur"], {"none": ("baseline", "-")}),
    lambda x: figures.show_reliability(x, ["none"]),
    lambda x: figures.show_counts(x, "none", {"kept": "loss"}, []),
]


@pytest.mark.parametrize("report", REPORTS)
def test_no_records_are_one_line(report, capsys):
    report([])
    assert capsys.readouterr().out == f"{NO_RUNS}\n"


def test_sentences_without_a_number_are_left_out(capsys):
    records = make_records({**SCORES, "one": (0.99,)})
    gain = paired(records, "test_accuracy", "alpha 0.1", "none")
    one = estimate(records, "test_accuracy", "one")
    say("{gain}: {gain:mean} up.", "The other {other}.", gain=gain, other=None)
    say("{one}", one=one)
    say("{other}", other=None)
    found = Scores(records)
    say("{x[alpha 0.1 minus none]:mean}, {x[one]}", "{x[alpha 9 minus one]}", x=found)
    say("Seed by seed: {x[none]:values}.", x=found)
    said = "+0.20 ± 0.25 points (3 seeds): +0.20 up.\n99.00% (1 seed)\n"
    said += "+0.20, 99.00% (1 seed)\nSeed by seed: 99.00, 99.10, 99.20.\n"
    assert capsys.readouterr().out == said
    with pytest.raises(KeyError, match="gian"):
        say("It gains {gian}.", gain=gain)


def find_lines(figure):
    (axis,) = figure[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axis.lines}
    return {label: points for label, points in lines.items() if label[0] != "_"}


def test_seeds_and_the_article_in_a_figure(figure):
    figures.show_spread(make_records(), ACCURACY, ["none", "alpha 7"])
    lines = find_lines(figure)
    assert [x for x, _ in lines["one seed"]] == pytest.approx([99.0, 99.1, 99.2])
    assert [x for x, _ in lines["article, one run"]] == pytest.approx([99.16])


def test_curves_by_epoch_are_means_over_seeds(figure):
    records = make_records({"none": (0.9, 0.9), "short": (0.9, 0.9)})
    for record in records:
        seed, short = record["seed"], record["variant"] == "short"
        record["history"] = {
            "val_accuracy": [0.5, 0.6 + 0.2 * seed][: 2 - seed if short else 2],
            "scored_epoch": [5, 10],
        }
    figures.show_epochs(
        records, "val_accuracy", ["none", "short"], error=True, levels={"floor": 9}
    )
    lines = find_lines(figure)
    np.testing.assert_allclose(lines["none"], [[5, 50], [10, 30]])
    # One seed stopped early: the first seed's curve.
    np.testing.assert_allclose(lines["short"], [[5, 50], [10, 40]])
    np.testing.assert_allclose(lines["floor"], [[1, 9], [2, 9]])


def test_curves_in_panels(figure):
    figures.show_epochs(make_records(), {"left": "loss", "right": "loss"}, ["none"])
    assert [axis.get_title() for axis in figure[0].axes] == ["left", "right"]


def test_curves_over_members(figure):
    records = make_records({"both": (0.9,)})
    records[0]["history"] = {"pairs": [0.5, 0.75]}
    figures.show_growth(
        records,
        {"as many of each": ("both", "pairs")},
        "members",
        levels={"one": ("both", ACCURACY), "absent": ("none", ACCURACY)},
        steps={"as many of each": 2},
    )
    assert find_lines(figure) == {
        "as many of each": [[2, 50], [4, 75]],
        "one": [[1, 90], [4, 90]],
    }


def test_strengths_confidence_and_counts(figure):
    records = make_records({"none": (0.9,)}, parameters={"strengths": [1, 3]})
    records[0]["history"] = {
        "blur_accuracies": [0.8, 0.6],
        "noise_accuracies": [0.6, 0.4],
        "bin_images": [10, 0],
        "bin_confidence": [8, 0],
        "bin_right": [7, 0],
        "kept": [3, 1],
    }
    figures.show_strengths(records, ["blur", "noise"], {"none": ("baseline", "-")})
    np.testing.assert_allclose(find_lines(figure)["none"], [[0, 90], [1, 70], [3, 50]])
    figures.show_reliability(records, ["none"])
    assert figure[1].axes[0].lines[0].get_xydata().tolist() == [[0.8, 0.7]]
    figures.show_counts(records, "none", {"kept": "kept"}, ["cat", "dog"])
    assert [bar.get_height() for bar in figure[2].axes[0].patches] == [3, 1]
