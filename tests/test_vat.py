"""Virtual adversarial training against NumPy's algebra and SciPy's entropy."""

import importlib.util
import json

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import stats

from tutorials_lib.support.backend import compute_gradient
from tutorials_lib.vat import (
    VatModel,
    check_network,
    find_perturbation,
    iterate_power,
    kl_divergence,
    normalise,
)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def make_linear(weights, bias=None, activation="softmax"):
    """A net without a hidden layer: softmax(x @ weights + bias)."""
    weights = np.asarray(weights, dtype="float32")
    inputs, classes = weights.shape
    network = keras.Sequential(
        [keras.Input((inputs,)), layers.Dense(classes, activation=activation)]
    )
    bias = np.zeros(classes, "float32") if bias is None else bias
    network.set_weights([weights, bias])
    return network


def make_small(*extra):
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(8, activation="relu")
    last = layers.Dense(3, activation="softmax")
    return keras.Sequential([keras.Input((20,)), hidden, *extra, last])


def compile_model(model, optimizer="sgd"):
    model.compile(
        optimizer,
        "categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def step_without_labels(network, x, monkeypatch=None, start=None, **options):
    """One step of SGD at rate 1 on the term alone; returns the term."""
    if start is not None:
        monkeypatch.setattr(keras.random, "normal", lambda *_, **__: ops.array(start))
    model = compile_model(VatModel(network, **options), keras.optimizers.SGD(1.0))
    y = np.eye(network.output_shape[-1], dtype="float32")[np.zeros(len(x), int)]
    return float(
        np.ravel(model.train_on_batch(x, y, sample_weight=np.zeros(len(x))))[0]
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def linear(rng):
    """Weights, bias, images and predictions of a linear net of three classes."""
    weights = rng.normal(size=(20, 3)).astype("float32")
    bias = rng.normal(size=3).astype("float32")
    x = (0.3 * rng.normal(size=(6, 20))).astype("float32")
    return weights, bias, x, softmax(x.astype("float64") @ weights + bias)


class TestDivergence:
    def test_is_that_of_scipy_and_not_its_reverse(self, rng):
        p, q = rng.dirichlet(np.ones(5), size=(2, 50))
        expected = stats.entropy(p, q, axis=1)
        assert np.abs(expected - stats.entropy(q, p, axis=1)).min() > 1e-4
        tolerance = {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(kl_divergence(p, q), expected, **tolerance)
        logits = kl_divergence(np.log(p), np.log(q) + 40, from_logits=True)
        np.testing.assert_allclose(logits, expected, **tolerance)
        assert not ops.any(kl_divergence(p, p))

    def test_is_finite_with_its_gradient_at_0_and_1(self):
        p = ops.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        q = ops.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
        # In closed form with 1e-7 in both logarithms.
        expected = [0, np.log(1 + 1e-7) - np.log(1e-7), np.log(2)]
        np.testing.assert_allclose(kl_divergence(p, q), expected, atol=1e-5)
        for function, x in (
            (lambda q: ops.sum(kl_divergence(p, q)), q),
            (lambda p: ops.sum(kl_divergence(p, q)), p),
        ):
            gradient = ops.convert_to_numpy(compute_gradient(function, x))
            assert np.isfinite(gradient).all()
            assert np.abs(gradient).max() > 1


class TestNormalise:
    @pytest.mark.parametrize("scale", [1e-25, 1.0, 1e15])
    def test_every_sample_has_length_1(self, rng, scale):
        d = (scale * rng.normal(size=(7, 4, 3, 2))).astype("float32")
        found = ops.convert_to_numpy(normalise(ops.array(d)))
        lengths = np.sqrt(np.square(found).sum(axis=(1, 2, 3)))
        np.testing.assert_allclose(lengths, 1, rtol=1e-5)
        cosines = (found * (d / scale)).sum(axis=(1, 2, 3))
        expected = np.linalg.norm((d / scale).reshape(7, -1), axis=1)
        np.testing.assert_allclose(cosines, expected, rtol=1e-4)

    def test_zeros_stay_and_spoil_no_gradient(self):
        d = ops.zeros((2, 3))
        assert not ops.any(normalise(d))
        slope = compute_gradient(lambda d: ops.sum(normalise(d)), d)
        assert ops.all(ops.isfinite(slope))

    def test_gradient_is_the_closed_form(self, rng):
        """d/|d| has the Jacobian (I - uu') / |d|."""
        d, along = rng.normal(size=(2, 1, 5)).astype("float32")
        slope = compute_gradient(lambda d: ops.sum(along * normalise(d)), ops.array(d))
        unit = d / np.linalg.norm(d)
        expected = (along - (along @ unit.T) * unit) / np.linalg.norm(d)
        np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)


class TestPerturbation:
    def test_has_length_eps_even_where_the_net_is_certain(self, linear):
        weights, bias, x, _ = linear
        for factor, eps in ((1, 0.1), (1, 7.0), (1e4, 1.0)):
            network = make_linear(factor * weights, bias)
            r = find_perturbation(network, x, eps=eps, xi=0.1)
            np.testing.assert_allclose(np.linalg.norm(r, axis=1), eps, rtol=1e-5)
        assert set(np.unique(network.predict(x, verbose=0))) == {0.0, 1.0}

    @pytest.mark.parametrize(
        ("xi", "low", "high"),
        [(1e-6, 0, 0.95), (1e-3, 0.999, 1), (1e-2, 0.999, 1), (1e-1, 0.9, 0.98)],
    )
    def test_converges_to_the_top_eigenvector_of_the_hessian(self, xi, low, high):
        """For softmax(Wx + b) the KL has the Hessian W (diag(p) - pp') W'."""
        rng = np.random.default_rng(1)
        weights, bias = rng.normal(size=(20, 3)), rng.normal(size=3)
        x = (0.3 * rng.normal(size=(40, 20))).astype("float32")
        options = {"iterations": 60, "through_normalisation": False}
        found = find_perturbation(make_linear(weights, bias), x, xi=xi, **options)
        cosines = []
        for row, direction in zip(softmax(x @ weights + bias), found, strict=True):
            hessian = weights @ (np.diag(row) - np.outer(row, row)) @ weights.T
            cosines.append(abs(np.linalg.eigh(hessian)[1][:, -1] @ direction))
        assert low < min(cosines) <= high + 1e-5

    def test_iterations_through_the_normalisation_miss_it(self, linear):
        """Why the paper's gradient is an option: the article's loses what it seeks."""
        weights, bias, x, p = linear
        network = make_linear(weights, bias)
        found = find_perturbation(network, x, xi=1e-2, iterations=4)
        cosines = []
        for row, direction in zip(p, found, strict=True):
            hessian = weights @ (np.diag(row) - np.outer(row, row)) @ weights.T
            cosines.append(abs(np.linalg.eigh(hessian)[1][:, -1] @ direction))
        assert np.median(cosines) < 0.95

    def test_one_step_takes_out_the_part_along_the_start(self, linear, rng):
        weights, bias, x, p = linear
        d = rng.normal(size=x.shape).astype("float32")
        unit = d / np.linalg.norm(d, axis=1, keepdims=True)
        q = softmax((x + 0.5 * unit) @ weights + bias)
        # By the logits the KL's gradient is q - p; by the unit direction 0.5 times W'.
        plain = 0.5 * (q - p) @ weights.T
        part = (plain * unit).sum(axis=1, keepdims=True) * unit
        network = make_linear(weights, bias)
        clean = network(x)

        def divergence(r):
            return kl_divergence(clean, network(x + r))

        start = ops.array(d)
        found = iterate_power(divergence, start, 0.5, through_normalisation=False)
        np.testing.assert_allclose(found, plain, rtol=1e-3, atol=1e-5)
        found = iterate_power(divergence, start, 0.5)
        expected = (plain - part) / np.linalg.norm(d, axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)

    @pytest.mark.parametrize(
        ("xi", "from_logits", "found"),
        [(0.1, True, True), (0.1, False, False), (10, False, True)],
    )
    def test_where_the_net_is_very_sure_it_needs_logits(
        self, rng, xi, from_logits, found
    ):
        """A small xi is lost in the 1e-7 that keeps the article's KL finite."""
        weights = rng.normal(0, 0.05, size=(784, 10)).astype("float32")
        bias = np.r_[np.log(9 * (1 / 1e-4 - 1)), np.zeros(9)]
        p = softmax(bias)
        assert p[0] == pytest.approx(1 - 1e-4)
        activation = None if from_logits else "softmax"
        network = make_linear(weights, bias, activation)
        start = rng.normal(size=(20, 784)).astype("float32")
        r = find_perturbation(
            network,
            np.zeros((20, 784), "float32"),
            xi=xi,
            through_normalisation=False,
            from_logits=from_logits,
            start=start,
        )
        expected = start @ weights @ (np.diag(p) - np.outer(p, p)) @ weights.T
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        cosine = (r * expected).sum(axis=1).mean()
        assert (cosine > 0.5) == found, cosine

    def test_for_two_classes_it_is_the_difference_of_the_weights(self, rng):
        weights = rng.normal(size=(30, 2)).astype("float32")
        x = (0.2 * rng.normal(size=(5, 30))).astype("float32")
        r = find_perturbation(
            make_linear(weights), x, xi=0.1, through_normalisation=False
        )
        along = weights[:, 0] - weights[:, 1]
        along /= np.linalg.norm(along)
        np.testing.assert_allclose(np.abs(r @ along), 1, rtol=1e-5)

    def test_of_logits_is_that_of_their_probabilities(self, linear):
        weights, bias, x, _ = linear
        options = {"xi": 0.1, "iterations": 2}
        one = find_perturbation(make_linear(weights, bias), x, **options)
        logits = make_linear(weights, bias, activation=None)
        two = find_perturbation(logits, x, from_logits=True, **options)
        np.testing.assert_allclose(one, two, atol=2e-3)


class TestTerm:
    """The term as `fit` sees it: its value, and what it does to the weights."""

    @pytest.mark.parametrize("constant_clean", [False, True])
    def test_gradient_is_the_closed_form(self, linear, monkeypatch, constant_clean):
        weights, bias, x, p = linear
        start = np.random.default_rng(1).normal(size=x.shape).astype("float32")
        network = make_linear(weights, bias)
        r = find_perturbation(network, x, eps=0.7, xi=0.5, start=start)
        q = softmax((x + r).astype("float64") @ weights + bias)
        divergence = stats.entropy(p, q, axis=1)
        expected = (x + r).T @ (q - p)
        if not constant_clean:
            expected += x.T @ (p * (np.log(p / q) - divergence[:, None]))
        term = step_without_labels(
            network,
            x,
            monkeypatch,
            start,
            eps=0.7,
            xi=0.5,
            weight=2.0,
            constant_clean=constant_clean,
        )
        assert term == pytest.approx(2 * divergence.mean(), rel=1e-3)
        moved = weights - network.get_weights()[0]
        np.testing.assert_allclose(moved, 2 * expected / len(x), rtol=1e-2, atol=1e-4)

    def test_of_logits(self, linear, monkeypatch):
        weights, bias, x, _ = linear
        terms = [
            step_without_labels(
                make_linear(weights, bias, activation),
                x,
                monkeypatch,
                np.ones_like(x),
                from_logits=activation is None,
            )
            for activation in ("softmax", None)
        ]
        assert terms[0] > 0.01
        assert terms[0] == pytest.approx(terms[1], rel=1e-3)

    def test_leaves_the_statistics_of_batch_normalisation_alone(self, rng):
        x = rng.normal(2, 3, size=(64, 20)).astype("float32")
        network = make_small(layers.BatchNormalization())
        hidden = ops.convert_to_numpy(network.layers[0](x))
        step_without_labels(network, x, iterations=3)
        found = network.layers[1].moving_mean
        np.testing.assert_allclose(
            found, 0.01 * hidden.mean(axis=0), rtol=1e-3, atol=1e-5
        )

    def test_all_passes_take_the_statistics_of_their_batch(self, rng):
        x = rng.normal(2, 3, size=(64, 20)).astype("float32")
        network = make_small(layers.BatchNormalization())
        # Hardly moved images have hardly another answer, unless one of the passes
        # takes the moving statistics, which are far from the batch's.
        assert 0 <= step_without_labels(network, x, eps=1e-3) < 1e-4

    def test_dropout_masks_are_their_own_or_shared(self, rng):
        x = rng.normal(size=(64, 20)).astype("float32")
        weights = rng.normal(size=(20, 3)).astype("float32")
        terms = {}
        for same in (False, True):
            network = keras.Sequential(
                [
                    keras.Input((20,)),
                    layers.Dropout(0.5, seed=3),
                    *make_linear(weights).layers,
                ]
            )
            terms[same] = step_without_labels(
                network, x, eps=1e-3, same_dropout=same, seed=0
            )
        # With one mask the answers differ by 1e-3 of a step, so the KL by its square.
        assert 0 <= terms[True] < 1e-4
        assert terms[False] > 0.1

    def test_dropout_masks_differ_from_step_to_step(self, rng):
        x = rng.normal(size=(8, 20)).astype("float32")
        for same in (False, True):
            model = VatModel(make_small(layers.Dropout(0.5)), same_dropout=same, seed=0)
            compile_model(model, keras.optimizers.SGD(1e-9))
            y = np.eye(3, dtype="float32")[np.zeros(8, int)]
            losses = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(4)]
            assert len(np.unique(np.round(losses, 5))) == 4

    def test_a_seed_repeats_a_run(self, rng):
        x = rng.normal(size=(64, 20)).astype("float32")
        y = np.eye(3, dtype="float32")[np.arange(64) % 3]
        found = []
        for seed in (5, 5, 6):
            model = VatModel(make_small(layers.Dropout(0.5, seed=1)), seed=seed)
            compile_model(model)
            found.append(model.fit(x, y, shuffle=False, verbose=0).history["loss"])
        assert found[0] == found[1] != found[2]

    def test_is_finite_where_the_net_is_certain(self):
        network = make_linear(1e4 * np.array([[1.0, -1.0], [1.0, -1.0]]))
        x = np.array([[3.0, 3.0], [-3.0, -3.0]], dtype="float32")
        assert np.isfinite(step_without_labels(network, x))
        assert np.isfinite(network.get_weights()[0]).all()

    def test_evaluation_is_without_it(self, rng):
        x = rng.normal(size=(64, 20)).astype("float32")
        y = np.eye(3, dtype="float32")[np.arange(64) % 3]
        network = make_small(layers.Dropout(0.5))
        model = VatModel(network)
        for each in (model, network):
            compile_model(each)
        assert model.evaluate(x, y, verbose=0) == network.evaluate(x, y, verbose=0)
        history = model.fit(x, y, validation_data=(x, y), verbose=0).history
        assert history["val_loss"][0] == pytest.approx(
            network.evaluate(x, y, verbose=0)[0]
        )
        assert history["loss"][0] > 1.05 * history["val_loss"][0]

    def test_saved_and_loaded_it_trains_on_as_before(self, rng, tmp_path, monkeypatch):
        x = rng.normal(size=(64, 20)).astype("float32")
        y = np.eye(3, dtype="float32")[np.arange(64) % 3]
        # The states of random generators are not part of a saved model.
        start = rng.normal(size=(32, 20)).astype("float32")
        monkeypatch.setattr(keras.random, "normal", lambda *_, **__: ops.array(start))
        model = VatModel(make_small(), eps=2.5, xi=0.3, iterations=2, weight=0.4)
        compile_model(model, "adam")
        model.fit(x, y, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        options = [each.get_config() for each in (model, loaded)]
        assert all(each.pop("network") for each in options)
        assert options[0] == options[1]
        assert loaded.count_params() == loaded.network.count_params()
        np.testing.assert_array_equal(
            loaded.predict(x, verbose=0), model.predict(x, verbose=0)
        )
        losses = [
            each.fit(x, y, verbose=0, shuffle=False).history for each in (model, loaded)
        ]
        assert losses[0] == losses[1]


BOTH = """
import json, keras, numpy as np
from tutorials_lib.vat import VatModel, find_perturbation
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
network = keras.Sequential([
    keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
    keras.layers.BatchNormalization(), keras.layers.Flatten(),
    keras.layers.Dense(3, activation="softmax")])
network.set_weights([rng.uniform(0.02, 0.1, w.shape) * rng.choice([-1, 1], w.shape)
                     if w.ndim > 1 else w for w in network.get_weights()])
x = rng.random((64, 8, 8, 1), dtype="float32")
y = np.eye(3, dtype="float32")[np.arange(64) % 3]
start = rng.normal(size=x.shape).astype("float32")
r = find_perturbation(network, x[:8], start=start[:8])
keras.random.normal = lambda shape, seed: keras.ops.array(start)
model = VatModel(network)
model.compile("sgd", "categorical_crossentropy")
losses = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(3)]
print(json.dumps({"r": r.tolist(), "losses": losses,
                  "predicted": model.predict(x, verbose=0).tolist()}))
"""


def test_both_backends_agree(run_python):
    found = {}
    for backend in ("tensorflow", "jax"):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        done = run_python("-c", BOTH, KERAS_BACKEND=backend)
        assert done.returncode == 0, done.stderr[-2000:]
        found[backend] = json.loads(done.stdout.splitlines()[-1])
    one, two = found["tensorflow"], found["jax"]
    np.testing.assert_allclose(one["r"], two["r"], atol=1e-5)
    np.testing.assert_allclose(one["losses"], two["losses"], rtol=1e-4)
    np.testing.assert_allclose(one["predicted"], two["predicted"], atol=1e-3)


@pytest.mark.parametrize("name", ["eps", "xi", "iterations", "weight"])
def test_lengths_and_factors_of_nothing_are_refused(name):
    with pytest.raises(ValueError, match=name):
        VatModel(make_small(), **{name: 0})


def test_images_that_are_not_scaled_are_refused():
    network, whole = make_small(), np.zeros((4, 20), "uint8")
    with pytest.raises(ValueError, match="images"):
        find_perturbation(network, whole)
    model = compile_model(VatModel(network))
    with pytest.raises(ValueError, match="images"):
        model.fit(whole, np.eye(3)[[0, 1, 2, 0]], verbose=0)
    # On JAX an error inside of `fit` could leave the net without its weights.
    assert np.isfinite(model.predict(whole / 255, verbose=0)).all()


@pytest.mark.parametrize("activation", [None, "sigmoid", "softmax"])
def test_what_the_network_returns_must_be_said(linear, activation):
    weights, bias, _, _ = linear
    network = make_linear(weights, bias, activation)
    check_network(network, from_logits=activation != "softmax")
    with pytest.raises(ValueError, match="from_logits"):
        check_network(network, from_logits=activation == "softmax")
