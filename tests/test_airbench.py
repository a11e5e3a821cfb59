"""The parts of airbench against NumPy, against loops, and what PyTorch would do."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from programs import published_airbench as published

from tutorials_lib import airbench
from tutorials_lib.airbench import (
    AirbenchBatches,
    AirbenchSGD,
    IdentityStart,
    Lookahead,
    ScaledBias,
    StopAfter,
    Triangle,
)
from tutorials_lib.networks import use_precision

SMALL = {"widths": (24, 24, 24)}


def make_net(**compiled):
    """A network with a bias, that trains in an instant."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.AveragePooling2D(8),
            ScaledBias(name="first_bias"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, **compiled)
    return model


@pytest.fixture
def pictures():
    return np.random.default_rng(0).random((12, 32, 32, 3)).astype("float32")


@pytest.fixture
def rows():
    return np.eye(10, dtype="float32")[np.arange(12) % 10]


def test_whitened_patches_have_the_identity_as_covariance(pictures):
    images = airbench.normalise_images(pictures)
    kernel = airbench.whiten_patches(images, epsilon=0.0)
    assert (kernel.shape, kernel.dtype) == ((2, 2, 3, 24), np.float32)
    patches = np.concatenate(
        [images[:, y : y + 31, x : x + 31] for y in (0, 1) for x in (0, 1)], axis=-1
    ).reshape(-1, 12)
    np.testing.assert_array_equal(kernel[..., :12], -kernel[..., 12:])
    found = (patches @ kernel.reshape(12, 24)[:, :12]).astype("float64")
    np.testing.assert_allclose(found.T @ found / len(found), np.eye(12), atol=1e-4)
    # With an epsilon each filter is shorter, and the brightest direction comes first.
    values = np.linalg.eigvalsh(patches.T.astype("float64") @ patches / len(patches))
    damped = airbench.whiten_patches(images, epsilon=0.1).reshape(12, 24)[:, :12]
    lengths = (damped**2).sum(axis=0)
    np.testing.assert_allclose(lengths, 1 / (values[::-1] + 0.1), rtol=1e-4)


@pytest.mark.parametrize("size", [2, 3])
def test_identity_start_passes_its_input_on(size):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype("float32")
    layer = keras.layers.Conv2D(400, size, kernel_initializer=IdentityStart())
    found = ops.convert_to_numpy(layer(images))
    np.testing.assert_array_equal(found[..., :3], images[:, 1 : 7 - size, 1 : 7 - size])
    rest, limit = ops.convert_to_numpy(layer.kernel)[..., 3:], (3 * size**2) ** -0.5
    assert 0.99 * limit < rest.max() <= limit
    assert -limit <= rest.min() < -0.99 * limit
    np.testing.assert_allclose(rest.std(), limit / 3**0.5, rtol=0.05)


def test_a_frozen_bias_keeps_its_value(pictures, rows):
    """Not even the momentum and the penalty move it, inside of jit."""
    optimizer = AirbenchSGD(0.1, l2=0.1, frozen_after={"first_bias": 2})
    model = make_net(optimizer=optimizer, jit_compile=True)
    bias = model.get_layer("first_bias").v
    seen = []
    for batch in np.split(np.arange(12), 4):
        model.fit(pictures[batch], rows[batch], verbose=0)
        seen.append(ops.convert_to_numpy(bias).copy())
    assert (seen[0] != seen[1]).all()
    np.testing.assert_array_equal(seen[1], seen[3])
    again = AirbenchSGD.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    wrong = AirbenchSGD(frozen_after={"first": 2})
    with pytest.raises(ValueError, match="frozen_after names no trainable variable"):
        wrong.build([bias])


def test_triangle():
    rate = Triangle(2.0, 476)
    found = [float(ops.convert_to_numpy(rate(s))) for s in (0, 54, 109, 475, 476)]
    expected = [0.4, 2 * (0.2 + 0.8 * 54 / 109), 2, 2 * (0.07 + 0.93 / 367), 0.14]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert Triangle.from_config(rate.get_config()).get_config() == rate.get_config()
    assert airbench.convert_rates(11.5, 0.0153) == pytest.approx((1.5, 0.00133), 1e-3)
    assert airbench.convert_rates(10, 0.0153) == pytest.approx((1.304, 0.00153), 1e-3)


def test_training_ends_within_an_epoch(pictures, rows):
    batches = AirbenchBatches(pictures, rows, 5, seed=0)
    model = make_net(optimizer="sgd")
    for first in (0, 2):
        fit = {"epochs": 9, "initial_epoch": first, "callbacks": [StopAfter(5)]}
        model.fit(batches, verbose=0, **fit)
    assert int(model.optimizer.iterations.numpy()) == 5 + 1


@pytest.mark.parametrize("flip", ["alternating", "random"])
def test_flips_over_epochs(pictures, flip):
    # Each image has a label of its own.
    rows = np.eye(12, dtype="float32")
    batches = AirbenchBatches(pictures, rows, 4, seed=0, flip=flip, shift=0)
    mirrored = np.zeros((8, 12), bool)
    for epoch in mirrored:
        images, found = map(np.concatenate, zip(*batches, strict=True))
        places = found.argmax(axis=1)
        assert sorted(places) == list(range(12))
        plain = (images == pictures[places]).all(axis=(1, 2, 3))
        turned = (images == pictures[places, :, ::-1]).all(axis=(1, 2, 3))
        np.testing.assert_array_equal(turned, ~plain)
        epoch[places] = turned
        batches.on_epoch_end()
    assert 0 < mirrored[0].sum() < 12
    alternates = (mirrored[0::2] != mirrored[1::2]).all()
    assert alternates == (flip == "alternating")


def test_shifts_have_a_reflected_border(pictures, rows):
    batches = AirbenchBatches(pictures, rows, 12, seed=0, flip="none", shift=2)
    padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    crops = {
        (y, x): padded[:, y : y + 32, x : x + 32] for y in range(5) for x in range(5)
    }
    seen = set()
    for _ in range(20):
        for image in batches[0][0]:
            (at,) = (at for at in crops if (crops[at] == image).all((1, 2, 3)).any())
            seen.add(at)
        batches.on_epoch_end()
    assert seen == set(crops)
    found = airbench.shift_images(pictures, 1, -2, True)
    np.testing.assert_array_equal(found, crops[1, 4][:, :, ::-1])


def test_recipe_against_the_published_program():
    """Network, rates, penalty, frozen bias and slow weights, all at once.

    The numbers are those of `tests/programs/published_airbench.py`.
    """
    losses = (
        *(2.315713, 2.292278, 2.342645, 2.314019, 2.332123),
        *(2.199156, 2.174083, 2.157522, 2.068994),
    )
    logits = (
        *(-0.052140, -0.053811, -0.013333, 0.028605, 0.022378),
        *(0.052621, 0.020881, 0.019267, 0.018255, -0.003628),
    )
    images, classes, weights = published.make_inputs()
    images, labels = images.astype("float32") / 255, np.eye(10)[classes]
    kernels = [value.astype("float32") for value in weights.values()]
    model = airbench.build_airbench_net(published.WIDTHS, whitening=kernels[0])
    kinds = keras.layers.Conv2D, keras.layers.Dense
    layers = [layer for layer in model.layers if isinstance(layer, kinds)]
    for layer, kernel in zip(layers, kernels, strict=True):
        layer.set_weights([kernel])
    rate, l2 = airbench.convert_rates(published.RATE, published.DECAY)
    batches = len(images) // published.BATCH
    steps = math.ceil(published.EPOCHS * batches)
    # Published rates are for 1,024 images.
    schedule = Triangle(rate * published.BATCH / 1024, steps)
    sgd = AirbenchSGD(schedule, l2, {"whitening_bias": batches})
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    model.compile(sgd, loss)
    lookahead, found = Lookahead(steps), []
    for step in range(steps):
        first = step % batches * published.BATCH
        batch = slice(first, first + published.BATCH)
        fit = model.fit(images[batch], labels[batch], callbacks=[lookahead], verbose=0)
        found += fit.history["loss"]
    # Rounding decides which of two nearly equal pixels a pooling takes.
    np.testing.assert_allclose(found, losses, atol=5e-4)
    views = airbench.predict_views(model, images[:1], "multi-crop")
    # Moving variances differ by n / (n - 1), and n is only 180 in the last block.
    np.testing.assert_allclose(views[0], logits, atol=0.006)


def test_cutout_blanks_a_square(pictures, rows):
    plain = AirbenchBatches(pictures, rows, 12, seed=0)
    blanked = AirbenchBatches(pictures, rows, 12, seed=0, cutout=12)
    corners = set()
    for _ in range(8):
        differs = (plain[0][0] != blanked[0][0]).any(axis=-1)
        for cut, image in zip(differs, blanked[0][0], strict=True):
            ys, xs = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
            assert (cut.sum(), np.ptp(ys), np.ptp(xs)) == (144, 11, 11)
            np.testing.assert_allclose(image[cut], [airbench.CIFAR_MEAN] * 144, 1e-6)
            corners |= {(int(ys[0]), int(xs[0]))}
        plain.on_epoch_end()
        blanked.on_epoch_end()
    assert len(corners) > 60


def test_views_against_a_loop(pictures):
    model = make_net()

    def predict_both(images):
        both = [model.predict(x, verbose=0) for x in (images, images[:, :, ::-1])]
        return (both[0] + both[1]) / 2

    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    still, up, down = (
        predict_both(padded[:, k : k + 32, k : k + 32]) for k in (1, 0, 2)
    )
    right = {"plain": model.predict(pictures, verbose=0), "mirror": still}
    right["multi-crop"] = still / 2 + up / 4 + down / 4
    for views, logits in right.items():
        found = airbench.predict_views(model, pictures, views)
        np.testing.assert_allclose(found, logits, atol=1e-6)
        assert found.dtype == np.float32


def test_parameters_as_published():
    kernel = np.random.default_rng(0).normal(size=(2, 2, 3, 24)).astype("float32")
    model = airbench.build_airbench_net(whitening=kernel)
    learned = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    assert learned == 1_971_640 - kernel.size
    (found,) = model.get_layer("whitening").get_weights()
    np.testing.assert_array_equal(found, kernel)
    # airbench96's blocks have three convolutions, the last two with a way around.
    free = airbench.build_airbench_net(**SMALL, convolutions=3)
    assert len(free.get_layer("whitening").trainable_weights) == 1
    kinds = [type(layer).__name__ for layer in free.layers]
    assert (kinds.count("Conv2D"), kinds.count("Add")) == (1 + 9, 3)


def test_network_in_mixed_precision(pictures):
    """The order of its parts, too: the augmentation sees raw images."""
    noise = {"residual": True, "dropout": 0.5, "last_survival": 0.4}
    noise |= {"dropped_per": "image"}
    with use_precision("mixed_bfloat16"):
        model = airbench.build_airbench_net(
            **SMALL, **noise, augmentation=keras.layers.RandomFlip()
        )
    assert keras.backend.standardize_dtype(model(pictures).dtype) == "float32"
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds[1:4] == ["RandomFlip", "Rescaling", "Conv2D"]
    assert kinds[-4:] == ["Flatten", "Dropout", "Dense", "Rescaling"]
    depths = [x for x in model.layers if hasattr(x, "survival")]
    np.testing.assert_allclose([x.survival for x in depths], [0.8, 0.6, 0.4])
    assert {x.dropped_per for x in depths} == {"image"}
    normalised = ops.convert_to_numpy(model.get_layer("normalise")(pictures))
    right = (pictures - airbench.CIFAR_MEAN) / airbench.CIFAR_STD
    np.testing.assert_allclose(normalised, right, atol=1e-5)
    np.testing.assert_allclose(airbench.normalise_images(pictures), right, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, y: airbench.whiten_patches(x.astype("uint8")), "must be floats"),
        (lambda x, y: airbench.whiten_patches(x[:1, :3, :3]), "at least 12 patches"),
        (lambda x, y: ScaledBias(0), "scale must be"),
        (lambda x, y: airbench.build_airbench_net(last_survival=0.5), "last_survival"),
        (lambda x, y: AirbenchSGD(0.1, l2=-1), "l2 must be"),
        (lambda x, y: AirbenchBatches(x, y, 13, 0), "batch_size must be"),
        (lambda x, y: AirbenchBatches(x, y, 4, 0, flip="up"), "flip must be"),
        (lambda x, y: AirbenchBatches(x, y, 4, 0, shift=32), "shift must be"),
    ],
)
def test_bad_input(pictures, rows, call, said):
    with pytest.raises(ValueError, match=said):
        call(pictures, rows)
