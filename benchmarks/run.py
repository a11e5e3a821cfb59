"""Speed as ratios, each measured in one run: `make bench`.

Every pair is timed in turns, a few rounds, and the median of the rounds' ratios is
printed with the lowest and the highest. Where an article's own code is divided by ours,
a ratio above 1 means that ours is faster. Absolute times depend on the machine and what
else it does.
"""

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
)
from tutorials_lib.rand_augment import OPERATIONS, RandAugment, list_magnitudes
from tutorials_lib.runs.environment import count_cores, describe_device
from tutorials_lib.support.data import load_dataset, scale_images
from tutorials_lib.vat import VatModel
from tutorials_lib.warp import RandomWarp

ROUNDS = 5
TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"
RNG = np.random.default_rng(0)


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
        gammas = tf.random.gamma([2, tf.shape(one[0])[0]], alpha)
        weight = (gammas[0] / (gammas[0] + gammas[1]))[:, None]
        image_weight = weight[:, :, None, None]
        images = one[0] * image_weight + two[0] * (1 - image_weight)
        return images, one[1] * weight + two[1] * (1 - weight)

    zipped = tf.data.Dataset.zip((shuffle(), shuffle()))
    return zipped.map(blend, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def bench_batches(x, y):
    """Mixed batches of 32 against the articles' ways."""
    ours = MixupBatches(x, y, 0.2, 32, seed=0)
    n = min(200, len(ours))
    loop, data = make_loop(x, y, 32, 0.2), make_tf_data(x, y, 32, 0.2).take(n)

    def take():
        return [ours[k] for k in range(n)]

    title = "mixup batches: the article's loop / ours"
    compare(title, lambda: [next(loop) for _ in range(n)], take)
    compare("mixup batches: tf.data / ours", lambda: list(data), take)


def make_fit(model, *data, **options):
    """Compiles a network; returns a function that trains it for an epoch."""
    if not model.compiled:
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return lambda: model.fit(*data, verbose=0, **options)


def bench_fit(x, y):
    """What mixing adds to an epoch, and the term of VAT to a step: by count 8/3."""
    for name, build, batch_size, pairing in (
        ("mixup_mnist", build_mixup_mnist_net, 32, "replacement"),
        ("mixup_fashion_mnist", build_mixup_fashion_net, 64, "shuffles"),
    ):
        mixed = make_fit(build(), MixupBatches(x, y, 0.2, batch_size, 0, pairing))
        plain = make_fit(build(), x, y, batch_size)
        compare(f"an epoch of {name}: mixed / plain (goal < 1.05)", mixed, plain)
    few = x[:2560], y[:2560], 128
    adversarial = make_fit(VatModel(build_vat_mnist_net(False)), *few)
    plain = make_fit(build_vat_mnist_net(False), *few)
    title = "a step of vat_mnist: VAT / plain (goal: no more than 2.67)"
    compare(title, adversarial, plain)


def make_pass(layer, images, batch_size):
    """Returns a function that augments all images once, in a compiled step a batch.

    There is no input pipeline, whose start takes longer than the augmentation itself:
    in training, the layer is a part of the training step.
    """
    same = keras.Sequential([keras.Input(images.shape[1:]), keras.layers.Identity()])
    model = AugmentedModel(same, layer)
    batches = np.split(images, len(images) // batch_size)
    return lambda: [model.predict_on_batch(batch) for batch in batches]


def bench_warp(n=2000):
    """`RandomWarp` against the old generator."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    images = RNG.random((n, 32, 32, 3)).astype("float32")
    generator = ImageDataGenerator(
        rotation_range=20,
        horizontal_flip=True,
        height_shift_range=0.2,
        width_shift_range=0.2,
        zoom_range=0.2,
        channel_shift_range=0.2,
    )
    flow = generator.flow(images, batch_size=500, shuffle=False)
    ours = make_pass(RandomWarp(seed=0), images, 500)
    title = "augmentation: the old ImageDataGenerator / ours (goal > 5)"
    compare(title, lambda: [next(flow) for _ in range(len(flow))], ours)


def bench_rand_augment(n=1000):
    """RandAugment against Pillow, one image after the other."""
    run_pillow = runpy.run_path(str(TESTS / "test_rand_augment.py"))["run_pillow"]
    pixels = RNG.integers(0, 256, (n, 32, 32, 3)).astype("uint8")
    magnitudes = list_magnitudes("article")

    def take_pillow():
        for image in map(Image.fromarray, pixels):
            for name in RNG.choice(OPERATIONS, 2):
                magnitude, sign = RNG.choice(magnitudes[name]), RNG.integers(2)
                image = run_pillow("article", name, magnitude, sign, image)
            np.asarray(image)

    ours = make_pass(RandAugment(seed=0), scale_images(pixels), 250)
    compare("RandAugment: Pillow one by one / ours (goal >= 1)", take_pillow, ours)


def bench_airbench(steps=3, batch_size=1024):
    """Training of airbench94 against the preparation of its batches."""
    images = RNG.random((steps * batch_size, 32, 32, 3)).astype("float32")
    labels = np.eye(10, dtype="float32")[RNG.integers(10, size=len(images))]
    batches = AirbenchBatches(images, labels, batch_size, seed=0)
    model = build_airbench_net(whitening=RNG.normal(size=(2, 2, 3, 24)))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    model.compile(AirbenchSGD(0.01), loss)
    title = "airbench94: training / preparing the batches (goal > 20)"
    compare(title, make_fit(model, batches, shuffle=False), lambda: list(batches))


def main():
    keras.utils.set_random_seed(0)
    sample = load_dataset("mnist", "sample")
    places = np.arange(12_800) % len(sample.x_train)
    x = scale_images(sample.x_train)[places]
    y = keras.utils.to_categorical(sample.y_train, 10)[places].astype("float32")
    print(
        f"{describe_device()}, {count_cores()} cores, {keras.backend.backend()}, "
        f"Keras {keras.__version__}, median of {ROUNDS} rounds"
    )
    bench_batches(x, y)
    bench_fit(x, y)
    bench_warp()
    bench_rand_augment()
    bench_airbench()


if __name__ == "__main__":
    main()
