"""Trains small nets as long runs do, and kills itself with SIGKILL where it is told.

Reads from standard input, a line of JSON each: which run ("two parts" or "recipe"), a
folder for all it leaves, how to fail and a number:

- ["batch", n]: killed after n batches;
- ["half", n]: killed when half of its nth checkpoint is written;
- ["full", n]: the disk is full when the nth is written, and one batch of the second
  epoch after that kills it;
- ["none", 0].

Each is done in a process forked from this one, before which no backend has computed, so
that imports are made once. Answers with the child's exit status.
"""

import errno
import itertools
import json
import math
import multiprocessing
import os
import random
import signal
import sys

import keras
import numpy as np

from tutorials_lib.airbench import (
    AirbenchBatches,
    AirbenchSGD,
    Lookahead,
    StopAfter,
    Triangle,
    build_airbench_net,
    normalise_images,
    whiten_patches,
)
from tutorials_lib.evaluate import score_model
from tutorials_lib.mixup import MixupBatches
from tutorials_lib.runs import checkpoints
from tutorials_lib.runs.grid import Grid, Run
from tutorials_lib.runs.settings import choose_settings
from tutorials_lib.support.data import Dataset
from tutorials_lib.warp import RandomWarp

rng = np.random.default_rng(0)
pixels = rng.integers(0, 256, (40, 32, 32, 3), "uint8")
classes = np.arange(40) % 10
names = tuple("0123456789")
data = Dataset("cifar10", "folder", names, *[pixels, classes] * 2)
x = pixels.astype("float32") / 255
y = np.eye(10, dtype="float32")[classes]


def count_down(batch, logs):
    """Kills the process when the last of its batches is done."""
    life["batches"] -= 1
    if life["batches"] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


# Not an attribute of a callback, which a checkpoint would bring back.
life = {"batches": math.inf}
kill = keras.callbacks.LambdaCallback(on_train_batch_end=count_down)


class KeepBest(keras.callbacks.Callback):
    """Remembers the weights of the best epoch."""

    best = None

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the weights where the loss on the watched images is the lowest."""
        if self.best is None or logs["val_loss"] < self.best:
            self.best, self.best_weights = logs["val_loss"], self.model.get_weights()


def train_in_two_parts(run, fit):
    """A steady part, then one whose rate falls on a plateau until it stops early."""
    keras.utils.set_random_seed(run.seed)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            RandomWarp(rotation=20, shift=0.2, seed=1),
            keras.layers.Conv2D(4, 3, strides=4),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    adam = keras.optimizers.Adam(0.01)
    model.compile(adam, "categorical_crossentropy", metrics=["accuracy"])
    batches = MixupBatches(x, y, 0.4, 10, run.seed, "batch")
    best = KeepBest()
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 / (1 + epoch))
    watched = {"validation_data": (x[:20], y[:20])}
    first = fit(model, batches, epochs=3, callbacks=[rate, best, kill], **watched)
    callbacks = [
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=1),
        keras.callbacks.EarlyStopping(
            "val_loss", patience=2, start_from_epoch=5, restore_best_weights=True
        ),
        best,
        kill,
    ]
    more = fit(
        model, batches, initial_epoch=3, epochs=9, callbacks=callbacks, **watched
    )
    metrics = score_model(model, test=(x, y))
    model.set_weights(best.best_weights)
    metrics |= score_model(model, best=(x, y))
    history = {**first, **{f"{name}, later": each for name, each in more.items()}}
    return finish(model, metrics, history)


def train_by_recipe(run, fit):
    """The fast recipe: a triangle of rates, lookahead, an end amid an epoch."""
    keras.utils.set_random_seed(run.seed)
    model = build_airbench_net(
        (24, 24, 24),
        residual=True,
        last_survival=0.8,
        dropout=0.2,
        augmentation=RandomWarp(rotation=20, seed=1),
        whitening=whiten_patches(normalise_images(x)),
    )
    rule = AirbenchSGD(Triangle(0.1, 18), l2=0.001, frozen_after={"whitening_bias": 6})
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(rule, loss, metrics=["accuracy"])
    batches = AirbenchBatches(x, y, 10, run.seed)
    history = fit(
        model, batches, epochs=5, callbacks=[Lookahead(18), StopAfter(18), kill]
    )
    return finish(model, score_model(model, test=(x, y)), history)


def finish(model, metrics, history):
    """The result of a run; its arrays are all weights, and Python's next number."""
    arrays = {f"weight {n}": each for n, each in enumerate(model.get_weights())}
    arrays["next"] = np.array(random.random())
    return {"metrics": metrics, "history": history, "images": 1, "arrays": arrays}


def spoil_writing(how, number):
    """Has the nth checkpoint stay half, or find no room."""
    write, replace, counted = checkpoints.write_bytes, os.replace, itertools.count(1)

    def fail(*_):
        os.replace = replace
        if how != "full":
            os.kill(os.getpid(), signal.SIGKILL)
        life["batches"] = 5
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write_spoilt(path, content):
        if next(counted) == number:
            os.replace = fail
            content = content[: len(content) // 2]
        write(path, content)

    checkpoints.write_bytes = write_spoilt


def run_once(name, home, how, number):
    """Makes one run, or what is left of it."""
    # What the run says belongs to nobody here.
    os.dup2(2, 1)
    os.environ["TUTORIALS_RECORDS"] = f"{home}/records"
    os.environ["TUTORIALS_RUNS"] = f"{home}/runs"
    if how == "batch":
        life["batches"] = number
    elif how != "none":
        spoil_writing(how, number)
    train = {"two parts": train_in_two_parts, "recipe": train_by_recipe}[name]
    grid = Grid(choose_settings("cifar10_95", "full"), data)
    grid.run([Run(name, 3, {})], train)


fork = multiprocessing.get_context("fork")
for line in sys.stdin:
    attempt = fork.Process(target=run_once, args=json.loads(line))
    attempt.start()
    attempt.join()
    print(attempt.exitcode, flush=True)
