"""The formula of mixup and the law of its weights, against closed forms and SciPy."""

import numpy as np
import pytest
from scipy import stats

from tutorials_lib.mixup import mix, sample_lambda, sample_weights


@pytest.mark.parametrize("method", ["beta", "gamma"])
@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0, 2.0])
def test_lambda_follows_beta(method, alpha):
    drawn = sample_lambda(np.random.default_rng(3), 20_000, alpha, method)
    assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    # A Beta of another strength is told apart, so the test can fail.
    assert stats.kstest(drawn, stats.beta(2 * alpha, 2 * alpha).cdf).pvalue < 1e-6


@pytest.mark.parametrize("number", [2, 3, 5])
@pytest.mark.parametrize("method", ["beta", "gamma"])
def test_weights_follow_dirichlet(number, method):
    alpha = 0.4
    rows = sample_weights(np.random.default_rng(1), 20_000, alpha, number, method)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
    for column in rows.T:
        # Each weight of a Dirichlet follows Beta(alpha, (k - 1) alpha).
        law = stats.beta(alpha, (number - 1) * alpha)
        assert stats.kstest(column, law.cdf).pvalue > 1e-3
    # Of a share 1 / k each, over the parameters' sum and one.
    shares = np.full(number, 1 / number)
    closed_form = np.diag(shares) - np.outer(shares, shares)
    closed_form /= number * alpha + 1
    np.testing.assert_allclose(np.cov(rows.T), closed_form, atol=0.004)


def test_each_method_draws_in_its_own_way():
    """Of one law, they are told apart by what they draw from one seed."""
    drawn = [
        sample_weights(np.random.default_rng(1), 9, 0.4, 3, method)
        for method in ("beta", "gamma")
    ]
    expected = np.random.default_rng(1).dirichlet([0.4] * 3, size=9)
    np.testing.assert_array_equal(drawn[0], expected)
    gammas = np.random.default_rng(1).gamma(0.4, size=(9, 3))
    np.testing.assert_allclose(drawn[1], gammas / gammas.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("method", ["beta", "gamma"])
def test_tiny_alpha_gives_zeros_and_ones(method):
    drawn = sample_lambda(np.random.default_rng(0), 1000, 1e-2, method)
    assert np.isfinite(drawn).all()
    assert ((drawn < 0.01) | (drawn > 0.99)).mean() > 0.85
    assert 0.4 < drawn.mean() < 0.6


def test_underflow_and_overflow_are_errors_not_nan():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"alpha must be from 0\.001 to 1e6 where"):
        sample_lambda(rng, 1000, 1e-8, "gamma")
    with pytest.raises(ValueError, match=r"alpha must be from 0 to 1e6 where"):
        sample_lambda(rng, 1000, 1e308)
    assert np.isfinite(sample_lambda(rng, 1000, 1e-3, "gamma")).all()
    assert np.isfinite(sample_lambda(rng, 1000, 1e-8)).all()
    np.testing.assert_allclose(sample_lambda(rng, 1000, 1e6), 0.5, atol=0.01)


def test_mix_by_hand():
    first = np.array([[10.0, 20.0], [0.0, 4.0]])
    second = np.array([[30.0, 0.0], [8.0, 8.0]])
    mixed = mix([first, second], np.array([0.75, 0.5]))
    np.testing.assert_array_equal(mixed, [[15.0, 15.0], [4.0, 6.0]])


def test_mix_of_three_is_an_inner_product(images):
    rng = np.random.default_rng(2)
    parts = [images[rng.permutation(40)] for _ in range(3)]
    weights = rng.dirichlet([1, 1, 1], size=40)
    expected = np.einsum("knhwc,nk->nhwc", np.stack(parts), weights)
    np.testing.assert_allclose(mix(parts, weights), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "weights", "said"),
    [
        ([np.zeros((2, 3)), np.zeros((2, 4))], np.ones(2), "one shape"),
        ([np.zeros((2, 3)), np.zeros((2, 3))], np.ones(3), r"\(2, 2\).*\(3, 2\)"),
        ([np.zeros((2, 3))] * 3, np.ones(2), r"\(2, 3\).*\(2, 2\)"),
        ([np.zeros((2, 3))] * 2, np.full((2, 2), 0.6), "must sum to 1"),
        ([np.zeros((2, 3))] * 2, np.array([0.5, np.nan]), "weights must hold finite"),
    ],
)
def test_mix_refuses_shapes_that_disagree(arrays, weights, said):
    with pytest.raises(ValueError, match=said):
        mix(arrays, weights)


@pytest.mark.parametrize(
    "alpha", [0, -1, float("nan"), float("inf"), "0.1", None, True]
)
def test_bad_alpha(alpha):
    with pytest.raises(ValueError, match=r"alpha must be a finite number above 0; got"):
        sample_lambda(np.random.default_rng(0), 4, alpha)


def test_bad_number_and_method():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="n must be a whole number of at least 1"):
        sample_lambda(rng, 0, 1.0)
    with pytest.raises(
        ValueError, match=r"images_per_mix must be .* at least 2; got 1"
    ):
        sample_weights(rng, 4, 1.0, 1)
    with pytest.raises(ValueError, match="'beta', 'gamma'; got 'uniform'"):
        sample_lambda(rng, 4, 1.0, "uniform")
