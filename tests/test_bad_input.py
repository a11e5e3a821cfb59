"""Every public function works on whatever it is given, or names the argument.

One argument at a time is replaced by something drawn: no number, NaN, an array of
another shape or dtype, an empty one. What comes back must be sound.
"""

import functools
import inspect

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from cases import draw_junk, is_finite, make_network, refuses, try_many
from hypothesis import strategies as st
from keras import layers, ops
from PIL import Image

from tutorials_lib import (
    augmentation,
    averaging,
    batches,
    corruptions,
    datasets,
    intervals,
    labels,
    line_names,
    mixup,
    plots,
    pseudo_labels,
    rand_augment,
    samples,
    scores,
    stochastic_depth,
    unlabelled,
    vat,
    warps,
)

FIVE = np.random.default_rng(0).random((5, 4, 3, 3)).astype("float32")
WHOLE = (255 * FIVE).astype("uint8")
ROWS = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1]]
CLASSES = np.array([0, 1, 2, 0, 1, 2])
BOUNDS = intervals.Interval(0.5, 0.1, 3)
DRAWN = {name: np.ones(5, "int32") for name in ("operation", "level", "sign")}
DATA = datasets.Dataset(
    "mnist", "sample", "t", ("a",), WHOLE, CLASSES[:5], WHOLE, CLASSES[:5]
)
NETWORK = make_network()
NETWORK.compile("sgd", "categorical_crossentropy", run_eagerly=True)


@functools.cache
def make_layer(build):
    return build(seed=0)


@functools.cache
def make_folder():
    import tempfile

    folder = tempfile.mkdtemp()
    Image.fromarray(WHOLE[0]).save(f"{folder}/a.png")
    return folder


def first_batch(kind):
    def build(**arguments):
        return kind(**arguments)[0]

    return build


def draw_warps():
    return {
        name: ops.convert_to_numpy(values)
        for name, values in make_layer(augmentation.RandomWarp).draw(5, (4, 3)).items()
    }


def show(function):
    """Draws without a screen, and leaves nothing behind."""

    def draw(**arguments):
        try:
            function(**arguments)
        finally:
            plt.close("all")

    return draw


def squared(x):
    return ops.sum(ops.square(x))


def grow(r):
    return ops.sum(ops.square(r), axis=tuple(range(1, len(r.shape))))


LAST = {"rng": np.random.default_rng(0)}
MIXED = {
    "images": FIVE,
    "labels": ROWS,
    "alpha": 0.5,
    "batch_size": 2,
    "seed": 0,
    "pairing": "shuffles",
    "lambda_per": "batch",
    "images_per_mix": 3,
    "method": "gamma",
}
PARTLY = {
    "images": FIVE,
    "labels": ROWS,
    "unlabelled": FIVE,
    "batch_size": 3,
    "labelled_per_batch": 1,
    "seed": 0,
    "labelled_only": False,
}
WARP = {
    "rotation": 10.0,
    "shift": 0.1,
    "zoom": 0.1,
    "channel_shift": 0.1,
    "flip": True,
    "whole_pixels": False,
    "off_centre": False,
    "seed": 0,
}
MATRIX = {
    "size": (4, 3),
    "rotation": 0.1,
    "shift_rows": np.ones(5, "float32"),
    "shift_columns": 0.5,
    "zoom_rows": 1.1,
    "zoom_columns": 0.9,
    "flip": True,
    "off_centre": False,
}
MATRICES = np.repeat(np.eye(2, 3, dtype="float32")[None], 5, axis=0)
CURVE = {"y": [1.0, 2.0], "x": [1, 2], "colour": "gray", "style": "-", "width": 1}
COUNTS = {"images": [2, 3], "confidence": [0.5, 2.5], "right": [1, 3]}


def list_cases():
    """Name, function, sound arguments, and what an argument is called if not so."""
    return {
        "check_alpha": (mixup.check_alpha, {"alpha": 0.5, "method": "gamma"}),
        "sample_lambda": (
            mixup.sample_lambda,
            {**LAST, "n": 3, "alpha": 0.5, "method": "beta"},
        ),
        "sample_weights": (
            mixup.sample_weights,
            {**LAST, "n": 3, "alpha": 0.5, "images_per_mix": 3, "method": "beta"},
        ),
        "mix": (mixup.mix, {"arrays": [FIVE, FIVE], "weights": np.full(5, 0.5)}),
        "mix, one array": (
            lambda arrays: mixup.mix([FIVE, arrays], np.full(5, 0.5)),
            {"arrays": FIVE},
        ),
        "MixupBatches": (first_batch(batches.MixupBatches), MIXED),
        "PartlyLabelledBatches": (first_batch(batches.PartlyLabelledBatches), PARTLY),
        "choose_labelled": (
            labels.choose_labelled,
            {"labels": CLASSES, "n": 3, "seed": 0},
        ),
        "hide_labels": (unlabelled.hide_labels, {"labels": CLASSES, "n": 3, "seed": 0}),
        "read_folder": (
            unlabelled.read_folder,
            {"folder": make_folder(), "size": (3, 2), "leave_out": ("b*",)},
        ),
        "hash_images": (unlabelled.hash_images, {"images": FIVE}),
        "keep_confident": (
            pseudo_labels.keep_confident,
            {"probabilities": ROWS, "threshold": 0.5},
        ),
        "balance_classes": (
            pseudo_labels.balance_classes,
            {"labels": CLASSES, "classes": 3, "empty": "stop"},
        ),
        "write_labels": (
            pseudo_labels.write_labels,
            {"probabilities": ROWS, "soft": False},
        ),
        "list_survivals": (
            stochastic_depth.list_survivals,
            {"blocks": 3, "last": 0.5},
        ),
        "StochasticDepth": (
            stochastic_depth.StochasticDepth,
            {"survival": 0.5, "dropped_per": "batch", "seed": 0},
        ),
        "RandomWarp": (augmentation.RandomWarp, WARP),
        "RandomWarp.draw": (
            make_layer(augmentation.RandomWarp).draw,
            {"n": 2, "size": (4, 3)},
        ),
        "RandomWarp.apply": (
            make_layer(augmentation.RandomWarp).apply,
            {"images": FIVE, "parameters": draw_warps()},
        ),
        "shift_channels": (
            augmentation.shift_channels,
            {"images": FIVE, "amounts": np.full(5, 0.1)},
        ),
        "make_matrices": (warps.make_matrices, MATRIX),
        "warp_images": (warps.warp_images, {"images": FIVE, "matrices": MATRICES}),
        "fuse": (warps.fuse, {"function": squared}),
        "RandAugment": (
            rand_augment.RandAugment,
            {"policy": "paper", "operations": 1, "level": 3, "seed": 0},
        ),
        "RandAugment.draw": (make_layer(rand_augment.RandAugment).draw, {"n": 2}),
        "RandAugment.apply": (
            make_layer(rand_augment.RandAugment).apply,
            {"images": FIVE, "drawn": DRAWN},
        ),
        "list_magnitudes": (rand_augment.list_magnitudes, {"policy": "paper"}),
        "average_members": (averaging.average_members, {"predictions": [ROWS, ROWS]}),
        "average_members, one": (
            lambda predictions: averaging.average_members([ROWS, predictions]),
            {"predictions": ROWS},
        ),
        "scale_images": (
            datasets.scale_images,
            {"images": WHOLE, "low": -1.0, "high": 1.0},
        ),
        "fingerprint_images": (
            datasets.fingerprint_images,
            {"images": WHOLE, "labels": CLASSES[:5]},
        ),
        "take": (
            lambda **kwargs: DATA.take(**kwargs).x_test,
            {"train_images": 3, "test_images": 2},
        ),
        "load_dataset": (
            lambda **kwargs: datasets.load_dataset(**kwargs).x_test,
            {"name": "mnist", "source": "sample"},
        ),
        "draw_samples": (
            samples.draw_samples,
            {"n": 3, "image_shape": (5, 4, 1), "seed": 0},
        ),
        "corrupt_images": (
            corruptions.corrupt_images,
            {"images": WHOLE, "corruption": "noise", "strength": 3, "seed": 0},
        ),
        "measure_accuracy": (scores.measure_accuracy, {"rows": ROWS, "labels": ROWS}),
        "count_confidence": (
            scores.count_confidence,
            {"rows": ROWS, "labels": ROWS, "bins": 4},
        ),
        "measure_calibration": (scores.measure_calibration, {"counts": COUNTS}),
        "ScoreEpochs": (
            lambda **kwargs: scores.ScoreEpochs(**kwargs) and None,
            {"batch_size": 3, "test": (FIVE, ROWS)},
        ),
        "mean_interval": (
            lambda values: vars(intervals.mean_interval(values)),
            {"values": [1.0, 2.0]},
        ),
        "paired_difference": (
            lambda **kwargs: intervals.paired_difference(**kwargs)[1],
            {"first": [1.0, 2.0], "second": [2.0, 2.5]},
        ),
        "binomial_error": (intervals.binomial_error, {"accuracy": 0.5, "n": 10}),
        "Interval.format": (BOUNDS.format, {"scale": 100, "digits": 2}),
        "Interval.holds": (BOUNDS.holds, {"value": 0.5}),
        "Interval.count_to_tell": (BOUNDS.count_to_tell, {"gap": 0.5}),
        "kl_divergence": (
            vat.kl_divergence,
            {"p": ROWS, "q": ROWS, "from_logits": False},
        ),
        "kl_divergence, logits": (
            lambda p, q: vat.kl_divergence(p, q, from_logits=True),
            {"p": ROWS, "q": ROWS},
        ),
        "normalise": (vat.normalise, {"d": FIVE}),
        "compute_gradient": (
            vat.compute_gradient,
            {"function": squared, "x": FIVE},
        ),
        "iterate_power": (
            vat.iterate_power,
            {"divergence": grow, "d": FIVE, "xi": 1.0, "through_normalisation": False},
        ),
        "iterate_power, through": (
            vat.iterate_power,
            {"divergence": grow, "d": FIVE, "xi": 1.0, "through_normalisation": True},
        ),
        "spread_apart": (line_names.spread_apart, {"places": [0.1, 0.2], "step": 0.3}),
    }


SLOW_CASES = {
    "find_perturbation": (
        vat.find_perturbation,
        {
            "network": NETWORK,
            "images": FIVE,
            "eps": 1.0,
            "xi": 1.0,
            "iterations": 1,
            "through_normalisation": True,
            "from_logits": False,
            "start": FIVE,
            "seed": 0,
        },
    ),
    "check_network": (
        vat.check_network,
        {"network": NETWORK, "from_logits": False},
    ),
    "VatModel": (
        lambda **kwargs: vat.VatModel(**kwargs) and None,
        {
            "network": NETWORK,
            "eps": 1.0,
            "xi": 1.0,
            "iterations": 1,
            "weight": 1.0,
            "constant_clean": True,
            "through_normalisation": True,
            "same_dropout": True,
            "from_logits": False,
            "seed": 0,
        },
    ),
    "predict_draws": (
        averaging.predict_draws,
        {
            "model": NETWORK,
            "images": FIVE,
            "augmentation": layers.Identity(),
            "draws": 1,
            "batch_size": 5,
            "identity": True,
        },
    ),
    "score_model": (
        scores.score_model,
        {"model": NETWORK, "batch_size": 3, "test": (FIVE, ROWS)},
    ),
    "show_images": (
        show(plots.show_images),
        {"images": FIVE[:2], "titles": ["a", "b"], "columns": 2, "size": 1.0},
    ),
    "show_curves": (
        show(functools.partial(plots.show_curves, xlabel="x", ylabel="y")),
        {
            "curves": {"a": CURVE},
            "size": (3, 2),
            "limits": (0, 1),
            "xticks": [1, 2],
            "logx": True,
        },
    ),
    "show_panels": (
        show(functools.partial(plots.show_panels, xlabel="x")),
        {"panels": {"a": {"b": CURVE}}},
    ),
    "show_bars": (
        show(functools.partial(plots.show_bars, ylabel="y")),
        {"bars": {"a": [1, 2]}, "labels": ["b", "c"]},
    ),
    "draw_flow": (
        show(plots.draw_flow),
        {
            "boxes": {"a": (0, 0), "b": (1, 0)},
            "arrows": [("a", "b", "")],
        },
    ),
    "show_intervals": (
        show(functools.partial(plots.show_intervals, xlabel="x")),
        {
            "rows": {"a": ([1, 2], BOUNDS)},
            "published": {"a": 1.0},
        },
    ),
}
CASES = list_cases()
# Entries of an argument that is a dict: the argument, the dict, where it goes.
ENTRIES = {
    **{
        f"RandomWarp.apply, {key}": (
            make_layer(augmentation.RandomWarp).apply,
            {"images": FIVE},
            "parameters",
            draw_warps(),
            key,
        )
        for key in ("rotation", "zoom_rows", "channel_shift", "flip")
    },
    **{
        f"RandAugment.apply, {key}": (
            make_layer(rand_augment.RandAugment).apply,
            {"images": FIVE},
            "drawn",
            DRAWN,
            key,
        )
        for key in DRAWN
    },
    **{
        f"measure_calibration, {key}": (
            scores.measure_calibration,
            {},
            "counts",
            COUNTS,
            key,
        )
        for key in COUNTS
    },
    **{
        f"show_curves, {key}": (
            show(lambda curves: plots.show_curves({"a": curves}, "x", "y", logx=True)),
            {},
            "curves",
            CURVE,
            key,
        )
        for key in CURVE
    },
    "show_panels, curves": (
        show(functools.partial(plots.show_panels, xlabel="x")),
        {},
        "panels",
        {"a": {"b": CURVE}},
        "a",
    ),
    "show_bars, heights": (
        show(functools.partial(plots.show_bars, labels=["a", "b"], ylabel="y")),
        {},
        "bars",
        {"c": [1, 2]},
        "c",
    ),
    "draw_flow, place": (
        show(functools.partial(plots.draw_flow, arrows=[("a", "b", "c")])),
        {},
        "boxes",
        {"a": (0, 0), "b": (1, 0)},
        "a",
    ),
    "show_intervals, row": (
        show(functools.partial(plots.show_intervals, xlabel="x")),
        {},
        "rows",
        {"a": ([1, 2], BOUNDS)},
        "a",
    ),
    "show_intervals, published": (
        show(
            functools.partial(plots.show_intervals, {"a": ([1, 2], BOUNDS)}, xlabel="x")
        ),
        {},
        "published",
        {"a": 1.0},
        "a",
    ),
}


def is_sound(result):
    if isinstance(result, (keras.layers.Layer,)) or callable(result):
        return True
    return is_finite(result)


def try_junk(function, arguments, data):
    broken = data.draw(st.sampled_from(sorted(arguments)), label="argument")
    junk = data.draw(draw_junk(arguments[broken]), label="value")
    refused, result = refuses(function, {**arguments, broken: junk}, broken)
    assert refused or is_sound(result), result


@pytest.mark.parametrize("case", CASES)
@try_many(share=4, data=st.data())
def test_one_bad_argument(case, data):
    try_junk(*CASES[case], data)


@pytest.mark.parametrize("case", SLOW_CASES)
@try_many(data=st.data())
def test_one_bad_argument_of_what_is_slow(case, data):
    try_junk(*SLOW_CASES[case], data)


@pytest.mark.parametrize("case", ENTRIES)
@try_many(share=2, data=st.data())
def test_one_bad_entry(case, data):
    function, others, argument, entries, key = ENTRIES[case]
    junk = data.draw(draw_junk(entries[key]), label="value")
    arguments = {**others, argument: {**entries, key: junk}}
    refused, result = refuses(function, arguments, argument)
    assert refused or is_sound(result), result


def list_floats():
    """Every argument that is a float array, by case."""
    for case, (_, arguments) in {**CASES, **SLOW_CASES}.items():
        for name, value in arguments.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                yield case, name


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("case", "name"), list(list_floats()))
def test_one_number_that_is_none(case, name, bad):
    function, arguments = {**CASES, **SLOW_CASES}[case]
    spoilt = arguments[name].copy()
    spoilt.flat[-1] = bad
    assert refuses(function, {**arguments, name: spoilt}, name)[0]


@pytest.mark.parametrize("case", [*CASES, *SLOW_CASES])
def test_rows_of_different_lengths(case):
    """NumPy's own error, from inside of `np.shape` and the like, names no argument."""
    function, arguments = {**CASES, **SLOW_CASES}[case]
    for name in arguments:
        refused, result = refuses(function, {**arguments, name: [[1], [1, 2]]}, name)
        assert refused or is_sound(result), name


@pytest.mark.parametrize("case", [*CASES, *SLOW_CASES])
def test_sound_arguments_are_not_refused(case):
    """Else the tests above would pass on functions that refuse whatever comes."""
    function, arguments = {**CASES, **SLOW_CASES}[case]
    assert is_sound(function(**arguments))


def test_every_public_function_is_here():
    # Not those of pillow_values and pillow_warps: RandAugment checks what they take.
    modules = (augmentation, averaging, batches, corruptions, datasets, intervals)
    modules += (labels, line_names, mixup, plots, pseudo_labels, rand_augment)
    modules += (samples, scores, stochastic_depth, unlabelled, vat, warps)
    public = {
        name
        for module in modules
        for name, each in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(each) or inspect.isclass(each))
        and each.__module__ == module.__name__
    }
    # Plain values and an error; what they hold is tried through their methods.
    public -= {"Dataset", "Specification", "DataError", "Interval"}
    # Draws on Matplotlib's own axes, which `show_curves` makes.
    public -= {"name_ends"}
    # A check itself.
    public -= {"check_part"}
    assert public <= {*CASES, *SLOW_CASES}
