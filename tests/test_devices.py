"""A batch spread over two devices of JAX: the same training, and clear errors."""

import json
import textwrap

import pytest

from tutorials_lib.runs.devices import spread_batches

pytest.importorskip("jax")

TWO = {
    "KERAS_BACKEND": "jax",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
}
SCRIPT = """
    import json
    import os
    import keras
    import numpy as np
    from tutorials_lib.support.data import Dataset
    from tutorials_lib.runs.grid import plan_run, run_grid
    from tutorials_lib.runs.settings import choose_settings

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, ({images}, 8, 8, 1)).astype("uint8")
    labels = np.arange({images}) % 10
    names = tuple("0123456789")
    data = Dataset("mnist", "sample", "x", names, images, labels, images, labels)

    def train(seed, callbacks):
        keras.utils.set_random_seed(seed)
        layers = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
        layers += [keras.layers.Dropout(0.3), keras.layers.Dense(10, "softmax")]
        model = keras.Sequential(layers)
        model.compile("adam", "sparse_categorical_crossentropy")
        fit = {{"batch_size": 20, "epochs": 2, "verbose": 0, "callbacks": callbacks}}
        history = model.fit(images / 255, labels, **fit).history
        kernel = model.layers[-1].kernel.value
        print("devices", len(kernel.sharding.device_set))
        scores = {{"test_loss": history["loss"][-1]}}
        return {{"metrics": scores, "history": history, "images": 2 * len(images)}}

    settings = choose_settings("mixup_mnist", "smoke")
    (record,) = run_grid(settings, data, [plan_run("none", 0)], train)
    print(json.dumps([record["metrics"], record["environment"]["device"]]))
"""


def run(run_python, images=60, **environment):
    code = textwrap.dedent(SCRIPT).format(images=images)
    return run_python("-c", code, **{**TWO, **environment})


def test_two_devices_train_like_one(run_python):
    one, two = run(run_python), run(run_python, TUTORIALS_DEVICES="2")
    assert "devices 1" in one.stdout, one.stderr[-2000:]
    assert "devices 2" in two.stdout, two.stderr[-2000:]
    (first, device), (second, devices) = (
        json.loads(done.stdout.splitlines()[-1]) for done in (one, two)
    )
    assert devices == f"2 x {device}"
    # The same draws, dropout included; only sums come in another order.
    assert second["test_loss"] == pytest.approx(first["test_loss"], rel=1e-4)


@pytest.mark.parametrize("said", ["two", "0", "-1", "1.5"])
def test_a_number_that_is_none(monkeypatch, said):
    monkeypatch.setenv("TUTORIALS_DEVICES", said)
    with (
        pytest.raises(ValueError, match="TUTORIALS_DEVICES must be a whole number"),
        spread_batches(),
    ):
        pass


def test_a_batch_that_does_not_divide(run_python):
    done = run(run_python, images=65, TUTORIALS_DEVICES="2")
    assert done.returncode != 0
    assert "devices: every batch must divide by 2" in done.stderr


@pytest.mark.parametrize(
    ("environment", "number", "said"),
    [
        (TWO, "3", "devices must be from 1 to 2; got 3"),
        (TWO, "0", "devices must be from 1 to 2; got 0"),
        ({"KERAS_BACKEND": "tensorflow"}, "2", "the backend is tensorflow"),
    ],
)
def test_refused_before_anything_starts(tutorials, environment, number, said):
    if environment["KERAS_BACKEND"] == "tensorflow":
        pytest.importorskip("tensorflow")
    done = tutorials(
        "run", "mixup_mnist", "--script", "--devices", number, **environment
    )
    assert done.returncode == 2
    assert said in done.stderr
