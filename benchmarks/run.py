"""Speed as ratios, each measured in one run: `make bench`.

Every pair is timed in turns, a few rounds, and the median of the rounds' ratios is
printed with the lowest and the highest. Where theirs is divided by ours, a ratio above
1 means that ours is faster. Absolute times depend on the machine and what else it does.
"""

import functools
import os
import pathlib
import runpy
import statistics
import timeit

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from PIL import Image

from tutorials_lib.airbench import AirbenchBatches, AirbenchSGD, build_airbench_net
from tutorials_lib.evaluate import AugmentedModel
from tutorials_lib.mixup import MixupBatches
from tutorials_lib.networks import (
    build_mixup_fashion_net,
    build_mixup_mnist_net,
    build_vat_mnist_net,
    count_flops,
)
from tutorials_lib.rand_augment import OPERATIONS, RandAugment, list_magnitudes
from tutorials_lib.runs.environment import count_cores, describe_device
from tutorials_lib.support.data import load_dataset, scale_images
from tutorials_lib.vat import VatModel
from tutorials_lib.warp import RandomWarp

ROUNDS = 5
TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"


def compare(title, first, second):
    """Times two functions in turns and prints first / second."""
    first(), second()
    times = [
        [timeit.timeit(function, number=1) for function in (first, second)]
        for _ in range(ROUNDS)
    ]
    ratios = [one / other for one, other in times]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"{title:<62} {middle:6.2f}  ({low:.2f} to {high:.2f})", flush=True)


def make_loop(x, y, batch_size, alpha):
    """The way of "mixup on MNIST": a Python loop over the samples of a batch."""
    while True:
        images, labels = [], []
        for _ in range(batch_size):
            i, j = np.random.randint(0, len(x)), np.random.randint(0, len(x))
            weight = np.random.beta(alpha, alpha)
            images.append(weight * x[i] + (1 - weight) * x[j])
            labels.append(weight * y[i] + (1 - weight) * y[j])
        yield np.array(images), np.array(labels)


def make_tf_data(x, y, batch_size, alpha):
    """The Keras example's way: two shuffled tf.data sets, zipped and mapped."""
    import tensorflow as tf

    def shuffle():
        data = tf.data.Dataset.from_tensor_slices((x, y))
        return data.shuffle(100 * batch_size).batch(batch_size)

    def blend(one, two):
        n = tf.shape(one[0])[0]
        gammas = tf.random.gamma([2, n], alpha)
        weight = gammas[0] / (gammas[0] + gammas[1])
        image_weight = tf.reshape(weight, (-1, 1, 1, 1))
        label_weight = tf.reshape(weight, (-1, 1))
        return (
            one[0] * image_weight + two[0] * (1 - image_weight),
            one[1] * label_weight + two[1] * (1 - label_weight),
        )

    zipped = tf.data.Dataset.zip((shuffle(), shuffle()))
    return zipped.map(blend, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def bench_batches(x, y):
    """Mixed batches of 32 against the article's loop and two peers."""
    ours = MixupBatches(x, y, 0.2, 32, seed=0)
    number = min(200, len(ours))
    loop, layer = make_loop(x, y, 32, 0.2), keras.layers.MixUp(alpha=0.2, seed=0)
    batches = make_tf_data(x, y, 32, 0.2).take(number)

    def apply_layer(k):
        places = slice(32 * k, 32 * (k + 1))
        layer({"images": x[places], "labels": y[places]}, training=True)

    for name, take in {
        "the article's loop": lambda: [next(loop) for _ in range(number)],
        "tf.data": lambda: list(batches),
        "keras.layers.MixUp": lambda: [apply_layer(k) for k in range(number)],
    }.items():
        title = f"mixup batches: {name} / ours"
        compare(title, take, lambda: [ours[k] for k in range(number)])


def compile_net(build):
    """Builds and compiles a net."""
    keras.utils.set_random_seed(0)
    model = build()
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def bench_fit(x, y):
    """What mixing adds to an epoch of the chapters' nets; the goal is below 1.05."""
    for name, build, batch_size, pairing, times in (
        ("mixup_mnist", build_mixup_mnist_net, 32, "replacement", 1),
        # A small net: more images, so that the start of an epoch counts for less.
        ("mixup_fashion_mnist", build_mixup_fashion_net, 64, "shuffles", 4),
    ):
        images, labels = np.concatenate([x] * times), np.concatenate([y] * times)
        fit = functools.partial(compile_net(build).fit, verbose=0)
        mixed = MixupBatches(images, labels, 0.2, batch_size, 0, pairing)
        fit_plain = functools.partial(fit, images, labels, batch_size)
        title = f"an epoch of {name}: mixed / plain arrays (goal < 1.05)"
        compare(title, functools.partial(fit, mixed), fit_plain)


def bench_vat(x, y):
    """What the term of VAT adds to a step: by count 8/3 of a plain one."""
    plain = compile_net(lambda: build_vat_mnist_net(False))
    adversarial = compile_net(lambda: VatModel(build_vat_mnist_net(False)))
    fits = (
        functools.partial(model.fit, x[:2560], y[:2560], batch_size=128, verbose=0)
        for model in (adversarial, plain)
    )
    compare("a step of vat_mnist: VAT / plain (goal: no more than 2.67)", *fits)


def make_pass(layer, images, batch_size):
    """Returns a function that augments all images once, in a compiled step a batch.

    There is no input pipeline, whose start takes longer than the augmentation itself:
    in training, the layer is a part of the training step.
    """
    same = keras.Sequential([keras.Input(images.shape[1:]), keras.layers.Identity()])
    model = AugmentedModel(same, layer)
    batches = np.split(images, len(images) // batch_size)
    return lambda: [model.predict_on_batch(batch) for batch in batches]


def bench_augmentation(n=2000):
    """`RandomWarp` against the old generator and a chain of layers."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    images = np.random.default_rng(0).random((n, 32, 32, 3)).astype("float32")
    generator = ImageDataGenerator(
        rotation_range=20,
        horizontal_flip=True,
        height_shift_range=0.2,
        width_shift_range=0.2,
        zoom_range=0.2,
        channel_shift_range=0.2,
    )
    flow = generator.flow(images, batch_size=500, shuffle=False)
    near = {"fill_mode": "nearest"}
    chain = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(20 / 360, **near),
            keras.layers.RandomTranslation(0.2, 0.2, **near),
            keras.layers.RandomZoom(0.2, 0.2, **near),
            keras.layers.RandomBrightness(0.2, value_range=(0, 1)),
        ]
    )
    ours = make_pass(RandomWarp(seed=0), images, 500)
    theirs = make_pass(chain, images, 500)
    title = "augmentation: the old ImageDataGenerator / ours (goal > 5)"
    compare(title, lambda: [next(flow) for _ in range(len(flow))], ours)
    compare("augmentation: a chain of keras.layers / ours", theirs, ours)


def bench_rand_augment(n=1000):
    """RandAugment against Pillow, one image after the other, and against Keras'."""
    run_pillow = runpy.run_path(str(TESTS / "test_rand_augment.py"))["run_pillow"]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 32, 32, 3)).astype("uint8")
    images = scale_images(pixels)
    magnitudes = list_magnitudes("article")
    ours = make_pass(RandAugment(seed=0), images, 250)
    theirs = make_pass(keras.layers.RandAugment(value_range=(0, 1)), images, 250)

    def take_pillow():
        for image in map(Image.fromarray, pixels):
            for name in rng.choice(OPERATIONS, 2):
                magnitude, sign = rng.choice(magnitudes[name]), rng.integers(2)
                image = run_pillow("article", name, magnitude, sign, image)
            np.asarray(image)

    compare("RandAugment: Pillow one by one / ours (goal >= 1)", take_pillow, ours)
    compare("RandAugment: keras.layers.RandAugment / ours", theirs, ours)


def bench_airbench(steps=3, batch_size=1024, size=2048):
    """A training step of airbench94's net, beside a product of two matrices."""
    rng = np.random.default_rng(0)
    images = rng.random((steps * batch_size, 32, 32, 3)).astype("float32")
    labels = np.eye(10, dtype="float32")[rng.integers(10, size=len(images))]
    batches = AirbenchBatches(images, labels, batch_size, seed=0)
    kernel = rng.normal(size=(2, 2, 3, 24))
    keras.utils.set_random_seed(0)
    model = build_airbench_net(whitening=kernel)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    model.compile(AirbenchSGD(0.01), loss)
    square = keras.ops.convert_to_tensor(rng.random((size, size)).astype("float32"))

    def multiply():
        for _ in range(5):
            keras.ops.convert_to_numpy(keras.ops.matmul(square, square))

    fit = functools.partial(model.fit, batches, verbose=0, shuffle=False)
    fit(), multiply()
    # Whatever else the machine does only slows: the fastest rounds count.
    epoch, product, preparation = (
        min(timeit.repeat(function, number=1, repeat=ROUNDS))
        for function in (fit, multiply, lambda: list(batches))
    )
    rate = 3 * count_flops(model) * len(images) / epoch
    peak = 5 * 2 * size**3 / product
    shown = {
        "airbench94: images a second, batches of 1,024": len(images) / epoch,
        "airbench94: GFLOPS of a step": rate / 1e9,
        "airbench94: of a matrix product's, %": 100 * rate / peak,
        "airbench94: preparing a batch, % of a step (goal < 5)": (
            100 * preparation / epoch
        ),
    }
    for title, value in shown.items():
        print(f"{title:<62} {value:6.1f}", flush=True)


def main():
    sample = load_dataset("mnist", "sample")
    places = np.arange(6400) % len(sample.x_train)
    x = scale_images(sample.x_train)[places]
    y = keras.utils.to_categorical(sample.y_train, 10)[places].astype("float32")
    print(
        f"{describe_device()}, {count_cores()} cores, {keras.backend.backend()}, "
        f"Keras {keras.__version__}, median of {ROUNDS} rounds"
    )
    bench_batches(x, y)
    bench_fit(x, y)
    bench_vat(x, y)
    bench_augmentation()
    bench_rand_augment()
    bench_airbench()


if __name__ == "__main__":
    main()
