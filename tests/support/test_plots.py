"""What figures show, read back from Matplotlib."""

import numpy as np
import pytest
from scipy import optimize

from tutorials_lib.support.plots import (
    COLOURS,
    show_bars,
    show_curves,
    show_images,
    show_intervals,
    show_panels,
    spread_apart,
)
from tutorials_lib.support.statistics import mean_interval


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


def test_curves_are_named_at_their_ends(figure):
    """Far from 0 to 1, where an axis stands that has not yet looked at its lines."""
    ends = {"low": 86.0, "near": 87.95, "high": 88.0}
    curves = {name: {"y": [70, end]} for name, end in ends.items()}
    # A training that diverged is named where it ended.
    curves["low"]["y"].append(np.nan)
    show_curves(curves, "epoch", "error, %")
    (axis,) = figure[0].axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", "error, %")
    assert [line.get_color() for line in axis.lines[:3]] == [*COLOURS.values()][:3]
    np.testing.assert_array_equal(axis.lines[1].get_xydata(), [[1, 70], [2, 87.95]])
    low, high = axis.get_ylim()
    places = {text.get_text(): text.get_position()[1] for text in axis.texts}
    wished = {name: (end - low) / (high - low) for name, end in ends.items()}
    assert places == pytest.approx(wished, abs=0.05)
    assert places["low"] == pytest.approx(wished["low"])
    # Two names a line's height apart; the axes are not stretched by them.
    assert places["high"] - places["near"] > 0.04
    assert high < 89
    assert axis.get_xlim()[1] < 3.3


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


def test_curves_on_a_logarithmic_axis(figure):
    curves = {"one": {"x": [1, 10, 100], "y": [3, 1, 2]}}
    show_curves(curves, "n", "%", limits=(0, 4), xticks=[1, 5, 50], logx=True)
    (axis,) = figure[0].axes
    assert axis.get_ylim() == (0, 4)
    assert axis.get_xscale() == "log"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "5", "50"]
    assert not len(axis.get_xticks(minor=True))


def test_panels_in_their_order(figure):
    panels = {
        title: {"before": {"y": [k, k + 1], "colour": "red"}, "after": {"y": [5, 6]}}
        for k, title in enumerate("abc")
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


def test_bars_side_by_side(figure):
    show_bars({"kept": [3, 1], "balanced": [3, 2]}, ["cat", "dog"], "images")
    (axis,) = figure[0].axes
    edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axis.patches]
    # The first of a group ends where the second begins; the groups do not touch.
    assert edges[0][1] == pytest.approx(edges[2][0])
    assert edges[2][1] < edges[1][0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["cat", "dog"]


def test_intervals_are_drawn_as_given(figure):
    values = [98.0, 99.0, 100.0]
    row = (values, mean_interval(values))
    show_intervals({"none": row, "again": row}, "%", {"none": 97.5})
    (axis,) = figure[0].axes
    # Each kind of mark once.
    assert len(axis.get_legend().get_texts()) == 3
    (bar,) = axis.containers[0].lines[2]
    ends = bar.get_segments()[0][:, 0]
    np.testing.assert_allclose(ends, [99 - 2.484, 99 + 2.484], atol=1e-3)
