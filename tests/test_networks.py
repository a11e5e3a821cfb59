"""The networks against what the articles print of them."""

import keras
import numpy as np
import pytest
from keras.initializers import HeNormal

from tutorials_lib.networks import (
    build_cifar10_benchmark_net,
    build_cifar10_deep_net,
    build_mixup_fashion_net,
    build_mixup_mnist_net,
    build_noisy_student_net,
    build_vat_mnist_net,
    count_flops,
    use_precision,
)
from tutorials_lib.noise import StochasticDepth
from tutorials_lib.runs.environment import describe_versions
from tutorials_lib.warp import RandomWarp

# On a CPU XLA hands sums to YNNPACK, and in JAX 0.12.0 some of bfloat16 come out as
# NaN; not so with XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type=-reduce.
NAN_ON_CPU = pytest.mark.xfail(
    keras.backend.backend() == "jax"
    and describe_versions()["jax"].startswith("0.12.0")
    and all("cpu" in name for name in keras.distribution.list_devices()),
    reason="JAX 0.12.0 makes NaN of sums of bfloat16 on a CPU",
    strict=True,
)


LETTERS = {
    "BatchNormalization": "n",
    "MaxPooling2D": "p",
    "GlobalAveragePooling2D": "g",
    "LeakyReLU": "l",
    "Flatten": "f",
}
ENDINGS = {"relu": "", "softmax": "s", "linear": "-"}


def write_layers(model):
    """A net in one line: widths ending with their activation, letters for others."""
    words = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "Dense"):
            width = layer.filters if kind == "Conv2D" else layer.units
            words.append(f"{width}{ENDINGS[layer.activation.__name__]}")
        else:
            words.append(f"d{layer.rate}" if kind == "Dropout" else LETTERS[kind])
    return " ".join(words)


@pytest.mark.parametrize(
    ("build", "parameters", "written"),
    [
        (build_mixup_mnist_net, 1_028_618, "64- l 128- l f 256- l d0.5 10s"),
        (build_mixup_fashion_net, 18_762, "16 p 32 p d0.2 g 128 10s"),
        (lambda: build_vat_mnist_net(True), 600_810, "32 32 p d0.25 f 128 d0.5 10s"),
        (lambda: build_vat_mnist_net(False, True), 600_810, "32 32 p f 128 10-"),
        (
            build_cifar10_benchmark_net,
            1_418_826,
            "64 64 d0.25 p 128 128 d0.25 p 256 256 g 1024 d0.25 10s",
        ),
        (
            build_cifar10_deep_net,
            8_228_106,
            "64 64 n 64 p d0.25 128 128 n 128 p d0.25 256 256 n 256 256 256 n 512 512 "
            "g 1024 d0.5 1024 d0.5 10s",
        ),
    ],
)
def test_published_shape(build, parameters, written):
    model = build()
    assert model.count_params() == parameters
    assert write_layers(model) == written


@pytest.mark.parametrize(
    "build",
    [
        build_cifar10_benchmark_net,
        pytest.param(build_cifar10_deep_net, marks=NAN_ON_CPU),
    ],
)
def test_cifar10_nets_answer_in_single_precision_under_mixed(build):
    with use_precision("mixed_bfloat16"):
        model = build(width=4, augmentation=RandomWarp(seed=0))
    assert model.count_params() < 40_000
    conv = next(x for x in model.layers if isinstance(x, keras.layers.Conv2D))
    assert conv.compute_dtype == "bfloat16"
    warp = next(x for x in model.layers if isinstance(x, RandomWarp))
    assert warp.compute_dtype == "float32"
    # Images reach the warp in full: a step of bfloat16 near 1 is 1 / 128.
    seen = keras.Model(model.inputs, warp.output)
    images = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(seen(images, training=False), images)
    answers = model.predict(images, verbose=0)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)


def test_precision_is_put_back_after_an_error():
    with pytest.raises(ArithmeticError), use_precision("mixed_float16"):
        raise ArithmeticError
    assert keras.config.dtype_policy().name == "float32"


def list_heights(model):
    """The heights that 3x3 convolutions return, which tell where the strides are."""
    threes = [x for x in model.layers if getattr(x, "kernel_size", 0) == (3, 3)]
    return sorted((x.output.shape[1] for x in threes), reverse=True)


class TestNoisyStudentNet:
    def test_published_shape(self):
        model = build_noisy_student_net()
        assert model.count_params() == 23_590_794
        convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
        # A stem, three in each of 16 blocks, a shortcut at the start of four stages.
        assert len(convolutions) == 1 + 3 * 16 + 4
        assert (convolutions[0].filters, convolutions[0].kernel_size) == (32, (5, 5))
        # TensorFlow's strided 1x1 convolutions kill Python at odd sizes of batches.
        assert {x.strides for x in convolutions} == {(1, 1)}
        # The last of a bottleneck has the stride, in the second and the fourth stage.
        assert list_heights(model) == [32] * 4 + [16] * 10 + [8] * 2
        assert model.layers[-3].output.shape == (None, 8, 8, 2048)
        held = [x for x in convolutions if x.kernel_regularizer]
        assert [x.filters for x in held] == [256, 512, 1024, 2048]
        assert all(isinstance(x.kernel_initializer, HeNormal) for x in held)
        assert float(held[0].kernel_regularizer.l2) == pytest.approx(1e-4)

    def test_noise_of_a_student(self):
        noise = {"dropout": 0.5, "last_survival": 0.8}
        student = build_noisy_student_net(4, (1, 2, 1, 1), **noise)
        adds, depths = (
            [x for x in student.layers if isinstance(x, kind)]
            for kind in (keras.layers.Add, StochasticDepth)
        )
        survivals = [x.survival for x in depths]
        np.testing.assert_allclose(survivals, [0.96, 0.92, 0.88, 0.84, 0.8])
        for add, depth in zip(adds, depths, strict=True):
            assert add.input[1] is depth.output
        (dropout,) = [x for x in student.layers if isinstance(x, keras.layers.Dropout)]
        assert dropout.rate == 0.5
        assert dropout.input.shape == (None, 128)

    def test_place_of_the_stride(self):
        model = build_noisy_student_net(2, (1, 1, 1, 1), stride_on="middle")
        assert list_heights(model) == [32, 16, 16, 8]
        with pytest.raises(ValueError, match="stride_on"):
            build_noisy_student_net(2, (1, 1), stride_on="first")


def test_flops_by_hand():
    model = keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            keras.layers.Conv2D(5, 3),  # 6 x 4 places, 27 products for each of 5
            keras.layers.Flatten(),
            keras.layers.Dense(7),  # 120 products for each of 7
        ]
    )
    assert count_flops(model) == 2 * (6 * 4 * 27 * 5 + 120 * 7)
    # 150 epochs of 50,000 images, three times a prediction: 6.9 and 25.6 PFLOP.
    epochs = 3 * 50_000 * 150
    published = {build_cifar10_benchmark_net: 6.9, build_cifar10_deep_net: 25.6}
    for build, petaflop in published.items():
        found = epochs * count_flops(build()) / 1e15
        assert found == pytest.approx(petaflop, rel=0.01)


def test_leak_is_a_fifth():
    layer = next(x for x in build_mixup_mnist_net().layers if "leaky" in x.name)
    np.testing.assert_allclose(layer(np.array([[-10.0, 10.0]])), [[-2.0, 10.0]])
