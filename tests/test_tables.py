"""What tables and figures show of records, against numbers worked by hand."""

import copy

import pytest
from stand_ins import RECORD

from tutorials_lib.runs import tables


def make_record(variant, seed, accuracy):
    record = copy.deepcopy(RECORD)
    record |= {"variant": variant, "seed": seed}
    record["metrics"] = {"test_accuracy": accuracy}
    return record


@pytest.fixture
def records():
    scores = {"none": (0.990, 0.991, 0.992), "alpha 0.1": (0.991, 0.993, 0.995)}
    # Out of order, so that pairing by place instead of by seed would show.
    return [
        make_record(variant, seed, values[seed])
        for variant, values in scores.items()
        for seed in (2, 0, 1)
    ]


@pytest.fixture
def shown(monkeypatch):
    """Collects what is displayed."""
    found = []
    monkeypatch.setattr(tables, "_display", found.append)
    return found


def test_the_article_beside_ours(records, shown):
    tables.compare_scores(
        records, "mixup_mnist", "test_accuracy", ["none", "alpha 0.1", "alpha 2"]
    )
    rows = shown[0].splitlines()[2:]
    # Student's interval of 99.0, 99.1, 99.2 is 4.303 * 0.1 / sqrt 3 = 0.25 wide.
    assert rows[0] == "| none | 99.16 | 99.10 ± 0.25 (n = 3) | -0.06 |"
    assert rows[1] == "| alpha 0.1 | 99.18 | 99.30 ± 0.50 (n = 3) | +0.12 |"
    assert rows[2] == "| alpha 2 | 99.00 | not run | - |"


def test_numbers_of_no_single_variant(shown):
    tables.compare_numbers(
        "test accuracy, %",
        [
            ("+ ensemble", 0.9507, [0.9512]),
            ("flips", None, [0.94, 0.95]),
            ("a", 0.9, []),
        ],
    )
    header, _, *rows = shown[0].splitlines()
    assert header.startswith("| test accuracy, % | article (one run) | ours")
    assert rows[0] == "| + ensemble | 95.07 | 95.12 (n = 1) | +0.05 |"
    # Student's interval of 94 and 95 is 12.706 * 0.7071 / sqrt 2 wide.
    assert rows[1] == "| flips | - | 94.50 ± 6.35 (n = 2) | - |"
    assert rows[2] == "| a | 90.00 | not run | - |"


def test_numbers_that_are_no_shares(records, shown):
    for record in records:
        record["metrics"] = {"test_swapped_crossentropy": 0.2 + 0.01 * record["seed"]}
        record["variant"] = {"none": "swapped: none"}.get(record["variant"], "else")
    tables.compare_scores(
        records,
        "vat_mnist",
        "test_swapped_crossentropy",
        ["swapped: none"],
        digits=4,
        scale=1,
        unit=None,
    )
    headers, _, row = shown[0].splitlines()
    assert headers.startswith("| test swapped crossentropy | article")
    # Student's interval of 0.20, 0.21, 0.22 is 4.303 * 0.01 / sqrt 3 = 0.0248 wide.
    assert row == "| swapped: none | 0.2119 | 0.2100 ± 0.0248 (n = 3) | -0.0019 |"


def test_seconds_are_those_of_the_shortest_epoch(records):
    for record in records:
        record["history"]["seconds"] = [90.0, 3.0, 50.0, 2.0]
    records[-1]["history"]["seconds"] = [7.0]
    found = tables.read_metric(records, "seconds_per_epoch")
    assert found == [2.0] * (len(records) - 1) + [7.0]


def test_short_runs_never_stand_beside_the_article(records, shown):
    tables.show_scores(records, "test_accuracy")
    assert "article" not in shown[0]
    assert "| none | 99.10 ± 0.25 (n = 3) |" in shown[0]


def test_differences_are_paired_by_seed(records, shown):
    tables.show_differences(records, "test_accuracy", "none", ["alpha 0.1", "alpha 1"])
    rows = shown[0].splitlines()[2:]
    # 0.1, 0.2 and 0.3 points: 0.2 ± 4.303 * 0.1 / sqrt 3.
    assert rows[0] == "| alpha 0.1 | 0.20 ± 0.25 (n = 3) | yes |"
    assert rows[1] == "| alpha 1 | not run | - |"
    for record in records:
        if record["variant"] == "alpha 0.1":
            record["metrics"]["test_accuracy"] += 0.01
    tables.show_differences(records, "test_accuracy", "none", ["alpha 0.1"])
    assert "| 1.20 ± 0.25 (n = 3) | no |" in shown[1]


def test_only_seeds_of_both_arms_pair_up(records):
    groups = tables.group_records([*records, make_record("none", 9, 0.5)])
    first, second = tables.pair_scores(groups, "test_accuracy", "none", "alpha 0.1")
    assert (first, second) == ([0.990, 0.991, 0.992], [0.991, 0.993, 0.995])


def print_gap(records, capsys):
    tables.print_gap(records, "mixup_mnist", "test_accuracy", "alpha 0.1", "none")
    return capsys.readouterr().out


def test_gap(records, capsys):
    said = print_gap(records, capsys)
    assert "the article's gap, alpha 0.1 minus none: +0.02 points" in said
    # sqrt(2 * 0.9917 * 0.0083 / 10000) = 0.00128.
    assert "standard error 0.13 if the two nets err independently" in said
    assert "our gap: +0.200 points, pairs of runs: 3" in said
    # Student's t of 0.1, 0.2, 0.3 is 0.2 / (0.1 / sqrt 3) = 3.46, p = 0.074.
    assert "95% interval of the mean: -0.048 to +0.448" in said
    assert "p = 0.074; the interval holds zero: True" in said
    # One more pair: 0.2 ± 4.303 * 0.1 * sqrt(1 + 1/3).
    assert "95% interval for one more pair: -0.297 to +0.697" in said
    assert "it holds the article's gap: True" in said
    # t(0.975) with 98 degrees of freedom is 1.9845: 1.9845 * 0.1 / sqrt 99 = 0.01995.
    assert "from zero: about 99" in said


def test_gap_that_is_sure(records, capsys):
    for record in records:
        if record["variant"] == "alpha 0.1":
            record["metrics"]["test_accuracy"] += 0.01
    said = print_gap(records, capsys)
    assert "it holds the article's gap: False" in said
    assert "the interval holds zero: False" in said


def test_two_records_of_one_run_are_an_error(records):
    with pytest.raises(ValueError, match="two of 'none', seed 1"):
        tables.group_records([*records, make_record("none", 1, 0.5)])


def test_gap_of_too_few_runs(records, capsys):
    few = [record for record in records if record["seed"] == 1]
    assert "one pair gives no interval" in print_gap(few, capsys)
    assert "no pair of full runs is here yet" in print_gap([], capsys)


def test_provenance_names_every_difference(records, shown):
    records[0]["environment"]["backend"] = "tensorflow"
    tables.show_provenance(records)
    for row in ("| runs | 6 |", "| seeds | 0, 1, 2 |", "| backend | jax, tensorflow |"):
        assert row in shown[0]
