"""What tables and figures show of records, against numbers worked by hand."""

import copy

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import optimize
from stand_ins import RECORD

from tutorials_lib.runs import tables
from tutorials_lib.support.plots import (
    COLOURS,
    draw_flow,
    show_bars,
    show_curves,
    show_images,
    show_intervals,
    show_panels,
    spread_apart,
)
from tutorials_lib.support.statistics import mean_interval


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


@pytest.fixture
def figure(monkeypatch):
    """Keeps the figure that a plot shows."""
    found = []
    monkeypatch.setattr(plt, "show", lambda: found.append(plt.gcf()))
    yield found
    plt.close("all")


def test_images_keep_their_order_and_titles(figure, images):
    show_images(images[:5], titles=list("abcde"), columns=3)
    axes = figure[0].axes
    assert [axis.get_title() for axis in axes] == [*"abcde", ""]
    low, high = images[:5].min(), images[:5].max()
    for axis, image in zip(axes, images[:5], strict=False):
        drawn = axis.images[0].get_array()
        np.testing.assert_allclose(
            drawn, (image[..., 0] - low) / (high - low), atol=1e-6
        )


def test_curves_are_drawn_as_given(figure):
    show_curves({"one": {"y": [3, 1, 2]}}, "epoch", "error, %")
    (axis,) = figure[0].axes
    np.testing.assert_array_equal(axis.lines[0].get_xydata(), [[1, 3], [2, 1], [3, 2]])
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", "error, %")


def test_curves_are_named_at_their_ends(figure):
    curves = {"low": {"y": [3, 1]}, "high": {"y": [1, 3]}, "near": {"y": [2, 2.99]}}
    show_curves(curves, "epoch", "error, %", limits=(0, 4))
    (axis,) = figure[0].axes
    assert axis.get_legend() is None
    places = {text.get_text(): text.get_position()[1] for text in axis.texts}
    assert places["low"] == pytest.approx(1 / 4)
    assert places["low"] < places["near"] < places["high"]
    # Two names a line's height apart; the axes are not stretched by them.
    assert places["high"] - places["near"] > 0.04
    assert axis.get_ylim() == (0, 4)
    assert axis.get_xlim()[1] < 2.2


def test_names_follow_limits_of_the_axis_own(figure):
    """Far from 0 to 1, where an axis stands that has not yet looked at its lines."""
    ends = {"low": 85.6, "middle": 87.0, "high": 88.0}
    curves = {name: {"y": [70, end]} for name, end in ends.items()}
    show_curves(curves, "epoch", "accuracy, %")
    (axis,) = figure[0].axes
    low, high = axis.get_ylim()
    for text in axis.texts:
        place = (ends[text.get_text()] - low) / (high - low)
        assert text.get_position()[1] == pytest.approx(place, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_names_are_moved_apart_no_more_than_needed(seed):
    rng = np.random.default_rng(seed)
    places = rng.uniform(size=8).round(1)
    moved = spread_apart(places, 0.1)
    order = np.argsort(places, kind="stable")
    assert (np.diff(moved[order]) > 0.1 - 1e-9).all()
    # The least squares problem that it solves, by SciPy.
    free = optimize.minimize(
        lambda x: np.square(x - places[order]).sum(),
        np.arange(8.0),
        constraints={"type": "ineq", "fun": lambda x: np.diff(x) - 0.1},
    )
    np.testing.assert_allclose(moved[order], free.x, atol=1e-3)
    assert spread_apart([], 0.1).shape == (0,)


def test_curves_on_a_logarithmic_axis(figure):
    curves = {"one": {"x": [1, 10, 100], "y": [3, 1, 2]}}
    show_curves(curves, "n", "%", xticks=[1, 5, 50], logx=True)
    (axis,) = figure[0].axes
    assert axis.get_xscale() == "log"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "5", "50"]
    assert not len(axis.get_xticks(minor=True))


def test_panels_in_their_order(figure):
    panels = {
        title: {"before": {"y": [k, k + 1], "colour": "red"}, "after": {"y": [5, 6]}}
        for k, title in enumerate(["loss, training", "loss, test", "accuracy"])
    }
    show_panels(panels, "epoch")
    axes = figure[0].axes
    assert [axis.get_title() for axis in axes] == [*panels, ""]
    for k, axis in enumerate(axes[:3]):
        assert axis.get_xlabel() == "epoch"
        np.testing.assert_array_equal(axis.lines[0].get_ydata(), [k, k + 1])
        assert axis.lines[0].get_color() == "red"
    legends = [axis.get_legend() for axis in axes]
    assert [text.get_text() for text in legends[0].get_texts()] == ["before", "after"]
    assert legends[1:] == [None] * 3
    assert not axes[3].axison


def test_bars_side_by_side(figure):
    show_bars({"kept": [3, 1], "balanced": [3, 2]}, ["cat", "dog"], "images")
    (axis,) = figure[0].axes
    assert [bar.get_height() for bar in axis.patches] == [3, 1, 3, 2]
    edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axis.patches]
    # The first of a group ends where the second begins; the groups do not touch.
    assert edges[0][1] == pytest.approx(edges[2][0])
    assert edges[2][1] < edges[1][0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["cat", "dog"]
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["kept", "balanced"]
    # The legend stands above all bars.
    box = axis.get_legend().get_window_extent()
    assert box.y0 >= axis.get_window_extent().y1


def test_flow_has_its_boxes_and_arrows(figure):
    draw_flow({"a": (0, 0), "b": (1, 0)}, [("a", "b", "train"), ("b", "a", "")])
    (axis,) = figure[0].axes
    texts = [text.get_text() for text in axis.texts if text.get_text()]
    assert sorted(texts) == ["a", "b", "train"]
    arrows = [text for text in axis.texts if getattr(text, "arrow_patch", None)]
    assert [(arrow.xyann, arrow.xy) for arrow in arrows] == [
        ((0, 0), (1, 0)),
        ((1, 0), (0, 0)),
    ]


def test_intervals_are_drawn_as_given(figure):
    values = [98.0, 99.0, 100.0]
    show_intervals({"none": (values, mean_interval(values))}, "%", {"none": 97.5})
    (axis,) = figure[0].axes
    labels = {line.get_label(): line.get_xdata() for line in axis.lines}
    np.testing.assert_array_equal(labels["one seed"], values)
    np.testing.assert_array_equal(labels["article, one run"], [97.5])
    (bar,) = axis.containers[0].lines[2]
    ends = bar.get_segments()[0][:, 0]
    np.testing.assert_allclose(ends, [99 - 2.484, 99 + 2.484], atol=1e-3)
    assert len(set(COLOURS.values())) == len(COLOURS)
