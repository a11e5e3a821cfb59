"""What holds for whatever sound input, against NumPy, SciPy and closed forms."""

import fractions
import functools
import re

import keras
import numpy as np
import pytest
from cases import JUNK, draw_floats, draw_rows, make_network, refuses, try_many
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from keras import ops
from scipy import stats

from tutorials_lib.evaluate import (
    CORRUPTIONS,
    average_members,
    corrupt_images,
    count_confidence,
    measure_accuracy,
    measure_calibration,
    predict_draws,
)
from tutorials_lib.noise import StochasticDepth, list_survivals
from tutorials_lib.rand_augment import OPERATIONS, RandAugment
from tutorials_lib.support import checks
from tutorials_lib.support.plots import spread_apart
from tutorials_lib.support.statistics import (
    binomial_error,
    mean_interval,
    paired_difference,
)
from tutorials_lib.vat import (
    compute_gradient,
    find_perturbation,
    iterate_power,
    kl_divergence,
    normalise,
)
from tutorials_lib.warp import RandomWarp, make_matrices, shift_channels, warp_images

SEEDS = st.integers(0, 2**31 - 1)
SIZES = st.integers(1, 7)
# As few as one image and one class.
CLASSES = npst.arrays("int64", st.integers(1, 30), elements=st.integers(0, 4))


def to_numpy(tensor):
    return ops.convert_to_numpy(tensor)


class TestChecks:
    """Each check returns the value as it promises, or says the argument's name."""

    @pytest.mark.parametrize(
        ("check", "is_right"),
        [
            (checks.check_positive, lambda x: isinstance(x, float) and 0 < x < np.inf),
            (
                lambda name, x: checks.check_range(name, x, -1, 2),
                lambda x: -1 <= x <= 2,
            ),
            (
                lambda name, x: checks.check_whole(name, x, 0, 5),
                lambda x: type(x) is int and 0 <= x <= 5,
            ),
            (checks.check_count, lambda x: type(x) is int and 0 < x <= checks.MOST),
            (checks.check_flag, lambda x: x is True or x is False),
            (checks.check_array, lambda x: x.dtype.kind in "buif"),
            (
                lambda name, x: checks.check_choice(name, x, ("beta", 1)),
                {"beta", 1}.__contains__,
            ),
            (
                lambda name, x: checks.check_label_rows(name, x, np.zeros(3)),
                lambda x: len(x) == 3 and np.allclose(x.sum(axis=1), 1, atol=1e-3),
            ),
        ],
    )
    @try_many(share=4, value=JUNK)
    def test_works_or_names(self, check, is_right, value):
        refused, found = refuses(
            lambda argument: check("argument", argument),
            {"argument": value},
            "argument",
        )
        assert refused or is_right(found)

    @try_many(share=4, value=JUNK)
    def test_seed(self, value):
        refused, found = refuses(checks.check_seed, {"seed": value}, "seed")
        assert refused or found is None or 0 <= found < 2**31

    @try_many(
        share=4,
        values=npst.arrays(
            st.sampled_from(("float16", "float32", "float64")),
            npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
    )
    def test_finite(self, values):
        with np.errstate(over="ignore"):
            finite = np.isfinite(values.astype("float32")).all()
        refused, found = refuses(
            lambda values: checks.check_finite("values", values),
            {"values": values},
            "values",
        )
        assert refused != finite
        assert refused or found is values


class TestCorruptions:
    @pytest.mark.parametrize("kind", sorted(CORRUPTIONS))
    @try_many(
        images=npst.arrays(
            "uint8",
            st.tuples(st.integers(1, 3), SIZES, SIZES, st.just(3)),
        ),
        strength=st.integers(1, 5),
        seed=SEEDS,
    )
    def test_corruptions(self, kind, images, strength, seed):
        changed = corrupt_images(images, kind, strength, seed)
        assert (changed.dtype, changed.shape) == (np.uint8, images.shape)
        again = corrupt_images(images, kind, strength, seed)
        np.testing.assert_array_equal(changed, again)
        # Bytes would wrap around.
        changed, images = changed.astype(int), images.astype(int)
        difference = changed - images
        if kind == "brightness":
            # But for cutting off what is behind the point.
            assert difference.min() >= -1
        if kind == "contrast":
            assert (
                np.ptp(changed, axis=(1, 2)) <= np.ptp(images, axis=(1, 2)) + 1
            ).all()
        if kind in ("blur", "pixelate"):
            axes = (1, 2)
            assert (changed.max(axis=axes) <= images.max(axis=axes) + 1).all()
            assert (changed.min(axis=axes) >= images.min(axis=axes) - 1.0).all()


class TestScores:
    @try_many(share=4, data=st.data(), n=SIZES, k=SIZES, bins=st.integers(1, 15))
    def test_counts_and_calibration(self, data, n, k, bins):
        rows = data.draw(draw_rows(n, k))
        truth = data.draw(npst.arrays("int64", n, elements=st.integers(0, k - 1)))
        labels = np.eye(k)[truth]
        right = [
            int(np.argmax(row)) == each for row, each in zip(rows, truth, strict=True)
        ]
        accuracy = measure_accuracy(rows, labels)
        assert accuracy == pytest.approx(sum(right) / n)
        counts = count_confidence(rows, labels, bins)
        assert all(len(each) == bins for each in counts.values())
        assert counts["images"].sum() == n and counts["right"].sum() == sum(right)
        assert counts["confidence"].sum() == pytest.approx(
            rows.max(axis=1).sum(), rel=1e-5
        )
        error = measure_calibration(counts)
        # In one bin it is the gap of the means; more bins can only show more.
        gap = abs(accuracy - rows.max(axis=1).mean())
        assert gap - 1e-6 <= error <= 1
        assert bins > 1 or error == pytest.approx(gap, abs=1e-6)

    @try_many(bad=st.sampled_from((np.nan, np.inf, -np.inf)), place=st.integers(0, 5))
    def test_answers_that_are_none(self, bad, place):
        rows = np.full((2, 3), 0.25)
        rows.flat[place] = bad
        assert refuses(
            measure_accuracy, {"rows": rows, "labels": np.eye(3)[:2]}, "rows"
        )[0]

    @try_many(bins=SIZES)
    def test_counts_of_no_images(self, bins):
        counts = dict.fromkeys(("images", "confidence", "right"), np.zeros(bins))
        assert refuses(measure_calibration, {"counts": counts}, "counts")[0]

    @try_many(share=4, data=st.data(), members=st.integers(1, 5), n=SIZES, k=SIZES)
    def test_mean_of_members(self, data, members, n, k):
        rows = np.stack([data.draw(draw_rows(n, k)) for _ in range(members)])
        mean = average_members(list(rows))
        assert mean.dtype == np.float64
        np.testing.assert_allclose(mean, np.float64(rows).sum(axis=0) / members)
        np.testing.assert_allclose(mean.sum(axis=1), 1, atol=1e-5)

    @try_many(
        share=0.5, n=SIZES, draws=st.integers(0, 3), identity=st.booleans(), size=SIZES
    )
    def test_predictions_keep_their_order(self, n, draws, identity, size):
        assume(draws or identity)
        images = np.random.default_rng(n).random((n, 4, 3, 3)).astype("float32")
        model = find_network()
        plain = model.predict(images, verbose=0)
        same = keras.layers.Identity()
        answers = predict_draws(model, images, same, draws, size, identity)
        assert answers.shape == (draws + identity, n, 3)
        for answer in answers:
            np.testing.assert_allclose(answer, plain, atol=1e-5)


NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8)


class TestIntervals:
    @try_many(share=4, values=NUMBERS)
    def test_contains_its_mean_as_scipy_s(self, values):
        found = mean_interval(values)
        assert found.n == len(values)
        slack = 1e-9 * max(np.abs(values))
        assert min(values) - slack <= found.mean <= max(values) + slack
        assert found.half_width >= 0
        error = stats.sem(values)
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), error or 1)
        if error:
            assert found.half_width == pytest.approx(
                (high - low) / 2, rel=1e-6, abs=slack
            )

    @try_many(values=NUMBERS, shift=st.floats(-1e6, 1e6), factor=st.floats(1e-3, 1e3))
    def test_moves_and_grows_with_its_values(self, values, shift, factor):
        one, other = (
            mean_interval(values),
            mean_interval(factor * np.add(values, shift)),
        )
        slack = 1e-9 * factor * (max(np.abs(values)) + abs(shift)) + 1e-300
        assert other.mean == pytest.approx(factor * (one.mean + shift), abs=slack)
        assert other.half_width == pytest.approx(
            factor * one.half_width, rel=1e-6, abs=1e2 * slack + 1e-100
        )

    @try_many(
        share=4, pairs=st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2), min_size=2)
    )
    def test_paired_is_the_t_test(self, pairs):
        first, second = np.array(pairs).T
        interval, p_value = paired_difference(first, second)
        back, other = paired_difference(second, first)
        assert back.mean == -interval.mean and back.half_width == interval.half_width
        assert other == pytest.approx(p_value)
        if p_value is None:
            return
        assert 0 <= p_value <= 1
        # The interval holds zero just where the test does not reach 5%.
        assume(abs(p_value - 0.05) > 1e-6)
        assert interval.holds(0) == (p_value > 0.05)

    @try_many(accuracy=st.floats(0, 1), n=st.integers(1, 10**9))
    def test_binomial_error(self, accuracy, n):
        # In fractions, as SciPy's 1 - p is rounded.
        exact = fractions.Fraction(accuracy)
        variance = float(exact * (1 - exact) / n)
        assert binomial_error(accuracy, n) ** 2 == pytest.approx(
            variance, rel=1e-9, abs=1e-300
        )

    @try_many(values=NUMBERS, digits=st.integers(0, 6), scale=st.floats(1e-3, 1e3))
    def test_written_as_computed(self, values, digits, scale):
        found = mean_interval(values)
        said = re.fullmatch(
            r"(-?[\d.]+) ± ([\d.]+) \(n = (\d+)\)", found.format(scale, digits)
        )
        numbers = [float(each) for each in said.groups()]
        assert numbers[0] == pytest.approx(scale * found.mean, abs=0.51 * 10**-digits)
        assert numbers[1] == pytest.approx(
            scale * found.half_width, abs=0.51 * 10**-digits
        )
        assert numbers[2] == len(values)


class TestStochasticDepth:
    @try_many(blocks=st.integers(1, 60), last=st.floats(0, 1))
    def test_survivals_fall_in_a_line(self, blocks, last):
        found = list_survivals(blocks, last)
        np.testing.assert_allclose(
            found, np.linspace(1, last, blocks + 1)[1:], atol=1e-12
        )

    @try_many(
        branch=npst.arrays(
            "float32",
            npst.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4),
            elements=st.floats(0.5, 8, width=32),
        ),
        survival=st.floats(0, 1),
        per=st.sampled_from(("batch", "image")),
        seed=SEEDS,
    )
    def test_whole_or_nothing_in_training(self, branch, survival, per, seed):
        layer = StochasticDepth(survival, per, seed)
        tested = to_numpy(layer(branch))
        # Below the least normal number a backend may give 0.
        least = np.finfo("float32").tiny
        expected = np.float32(survival) * branch
        np.testing.assert_allclose(tested, expected, rtol=1e-6, atol=least)
        trained = to_numpy(layer(branch, training=True))
        kept = np.array([(image != 0).any() for image in trained], bool)
        for image, same, stays in zip(branch, trained, kept, strict=True):
            np.testing.assert_array_equal(same, image if stays else 0 * image)
        if per == "batch" and branch.size:
            assert len(set(kept)) == 1
        if survival in (0, 1) and branch.size:
            assert set(kept) == {bool(survival)}


class TestWarps:
    @try_many(share=2, data=st.data(), height=SIZES, width=SIZES, flip=st.booleans())
    def test_whole_shifts_are_numpy_s(self, data, height, width, flip):
        n, channels = 2, data.draw(st.integers(1, 3))
        images = data.draw(draw_floats((n, height, width, channels)))
        down, right = (
            data.draw(npst.arrays("int64", n, elements=st.integers(-8, 8)))
            for _ in range(2)
        )
        matrices = make_matrices(
            (height, width),
            shift_rows=down.astype("float32"),
            shift_columns=right.astype("float32"),
            flip=np.full(n, flip),
        )
        warped = to_numpy(warp_images(images, matrices))
        for image, found, row, column in zip(images, warped, down, right, strict=True):
            rows = np.clip(np.arange(height) + row, 0, height - 1)
            columns = np.clip(np.arange(width) + column, 0, width - 1)
            expected = image[rows][:, columns]
            expected = expected[:, ::-1] if flip else expected
            np.testing.assert_allclose(found, expected, atol=0.02)

    @try_many(share=2, data=st.data(), height=SIZES, width=SIZES)
    def test_no_value_is_new_and_images_are_apart(self, data, height, width):
        images = data.draw(draw_floats((3, height, width, 2)))

        def draw_parts(low, high):
            return data.draw(draw_floats(3, low, high))

        matrices = make_matrices(
            (height, width),
            draw_parts(-7, 7),
            draw_parts(-9, 9),
            draw_parts(-9, 9),
            draw_parts(0.1, 4),
            draw_parts(0.1, 4),
            data.draw(npst.arrays("bool", 3)),
            data.draw(st.booleans()),
        )
        warped = to_numpy(warp_images(images, matrices))
        assert warped.shape == images.shape
        axes, slack = (1, 2), 1e-3
        assert (warped.max(axis=axes) <= images.max(axis=axes) + slack).all()
        assert (warped.min(axis=axes) >= images.min(axis=axes) - slack).all()
        alone = to_numpy(warp_images(images[1:2], to_numpy(matrices)[1:2]))
        np.testing.assert_array_equal(alone[0], warped[1])

    @try_many(share=2, data=st.data(), n=SIZES, channels=SIZES)
    def test_shifted_channels(self, data, n, channels):
        images = data.draw(draw_floats((n, 2, 3, channels)))
        amounts = data.draw(draw_floats(n))
        found = to_numpy(shift_channels(images, amounts))
        for image, amount, shifted in zip(images, amounts, found, strict=True):
            expected = np.clip(image + amount, image.min(), image.max())
            # Numbers too small for a float's full digits may become 0.
            np.testing.assert_allclose(shifted, expected, rtol=1e-6, atol=1e-30)

    @try_many(share=2, images=draw_floats((3, 5, 4, 2)))
    def test_layer_stays_within_each_image(self, images):
        layer = make_warp()
        np.testing.assert_array_equal(to_numpy(layer(images)), images)
        warped = to_numpy(layer(images, training=True))
        axes = (1, 2, 3)
        assert (warped.max(axis=axes) <= images.max(axis=axes) + 1e-3).all()
        assert (warped.min(axis=axes) >= images.min(axis=axes) - 1e-3).all()


class TestRandAugment:
    @pytest.mark.parametrize("policy", ["article", "paper"])
    @try_many(share=2, data=st.data())
    def test_grey_values_and_images_apart(self, policy, data):
        n, layer = 4, make_augment(policy)
        images = data.draw(npst.arrays("uint8", (n, 5, 4, 3))).astype("float32") / 255
        drawn = {
            name: data.draw(npst.arrays("int32", n, elements=st.integers(0, high)))
            for name, high in (
                ("operation", len(OPERATIONS) - 1),
                ("level", 9),
                ("sign", 1),
            )
        }
        found = to_numpy(layer.apply(images, drawn))
        assert (found.dtype, found.shape) == (np.float32, images.shape)
        values = 255 * found.astype("float64")
        np.testing.assert_allclose(values, values.round(), atol=1e-3)
        assert values.min() >= 0 and values.max() <= 255.001
        order = np.array(data.draw(st.permutations(range(n))))
        moved = {name: each[order] for name, each in drawn.items()}
        np.testing.assert_array_equal(
            to_numpy(layer.apply(images[order], moved)), found[order]
        )

    @try_many(value=st.floats(), place=st.integers(0, 239))
    def test_images_out_of_range(self, value, place):
        images = np.full((4, 5, 4, 3), 0.5, "float32")
        with np.errstate(over="ignore"):
            images.flat[place] = value
        drawn = dict.fromkeys(("operation", "level", "sign"), np.zeros(4, "int32"))
        arguments = {"images": images, "drawn": drawn}
        refused, _ = refuses(make_augment("article").apply, arguments, "images")
        assert refused != (-0.5 <= 255 * value <= 255.5)


class TestVat:
    @try_many(share=2, data=st.data(), n=SIZES, k=st.integers(2, 6))
    def test_divergence_is_scipy_s(self, data, n, k):
        p, q = data.draw(draw_rows(n, k)), data.draw(draw_rows(n, k))
        found = to_numpy(kl_divergence(p, q))
        expected = stats.entropy(np.float64(p), np.float64(q), axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        logits = np.log(p) + data.draw(draw_floats((n, 1), -50, 50))
        found = to_numpy(kl_divergence(logits, np.log(q), from_logits=True))
        np.testing.assert_allclose(found, expected, atol=1e-3)
        assert np.abs(to_numpy(kl_divergence(p, p))).max() == 0

    @try_many(share=2, data=st.data(), n=SIZES, exponent=st.integers(-30, 30))
    def test_length_one_at_any_scale(self, data, n, exponent):
        shape = (n, *data.draw(npst.array_shapes(max_dims=3, max_side=4)))
        d = data.draw(draw_floats(shape, -1, 1))
        d[np.abs(d) < 1e-3] = 0
        scaled = (d * 10.0**exponent).astype("float32")
        lengths = np.sqrt(
            np.square(to_numpy(normalise(scaled)).reshape(n, -1)).sum(axis=1)
        )
        expected = d.reshape(n, -1).any(axis=1)
        np.testing.assert_allclose(lengths, expected, atol=1e-5)

    @try_many(x=draw_floats((3, 2)))
    def test_gradient_of_a_polynomial(self, x):
        found = to_numpy(compute_gradient(lambda x: ops.sum(x**3 - 2 * x), x))
        np.testing.assert_allclose(
            found, 3 * np.float64(x) ** 2 - 2, rtol=1e-5, atol=1e-4
        )
        nothing = to_numpy(compute_gradient(lambda _: ops.sum(ops.ones(2)), x))
        np.testing.assert_array_equal(nothing, 0 * x)

    @try_many(diagonal=draw_floats((1, 4), 0.1, 9), d=draw_floats((3, 4), 0.1, 1))
    def test_a_step_is_that_of_power_iteration(self, diagonal, d):
        def diverge(r):
            return ops.sum(diagonal * ops.square(r), axis=1) / 2

        step = to_numpy(iterate_power(diverge, d, 0.5, through_normalisation=False))
        unit = d / np.linalg.norm(d, axis=1, keepdims=True)
        # Of half the quadratic form at 0.5 d.
        np.testing.assert_allclose(step, 0.25 * diagonal * unit, rtol=1e-4)

    @try_many(
        share=0.5,
        n=SIZES,
        exponents=st.tuples(*[st.floats(-3, 3)] * 2),
        iterations=st.integers(1, 3),
        through=st.booleans(),
        seed=SEEDS,
    )
    def test_perturbations_have_length_eps(
        self, n, exponents, iterations, through, seed
    ):
        images = np.random.default_rng(seed).random((n, 4, 3, 3)).astype("float32")
        eps, xi = (10**each for each in exponents)
        r = find_perturbation(
            find_network(), images, eps, xi, iterations, through, seed=seed
        )
        lengths = np.linalg.norm(r.reshape(n, -1), axis=1)
        np.testing.assert_allclose(lengths, eps, rtol=1e-4)


@try_many(
    share=4,
    places=st.lists(st.floats(-100, 100), max_size=8),
    step=st.floats(0, 10),
)
def test_spread_apart(places, step):
    moved = spread_apart(places, step)
    order = np.argsort(places, kind="stable")
    gaps = np.diff(moved[order])
    assert (gaps >= step - 1e-9).all()
    assert not places or np.mean(moved) == pytest.approx(np.mean(places), abs=1e-9)
    if (np.diff(np.sort(places)) >= step).all():
        np.testing.assert_allclose(moved, places, atol=1e-9)


# Compiled once for each shape: one shape is tried at many values.
@functools.cache
def find_network():
    return make_network()


@functools.cache
def make_warp():
    return RandomWarp(seed=0)


@functools.cache
def make_augment(policy):
    return RandAugment(policy, seed=0)
