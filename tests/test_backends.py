"""TensorFlow and JAX: each alone suffices, and they agree on the same numbers."""

import importlib.util
import json

import numpy as np
import pytest

TRAIN = """
import json, sys
# As if they were not installed: the import of None fails.
sys.modules.update(dict.fromkeys(sys.argv[1:]))
import keras, numpy as np
from tutorials_lib.mixup import MixupBatches
from tutorials_lib.support.data import load_dataset, scale_images
from tutorials_lib.networks import build_mixup_fashion_net
from tutorials_lib.vat import VatModel, find_perturbation

# `fit` shuffles the order of the batches by Python's own generator.
keras.utils.set_random_seed(0)
data = load_dataset("fashion_mnist", "sample").take(256, 64)
x, y = scale_images(data.x_train), keras.utils.to_categorical(data.y_train, 10)
network = build_mixup_fashion_net()
rng = np.random.default_rng(0)
network.set_weights([rng.normal(0, 0.1, w.shape) for w in network.get_weights()])
network.get_layer(index=4).rate = 0.0
start = rng.normal(size=(64, 28, 28, 1)).astype("float32")
r = find_perturbation(network, x[:64], start=start)
keras.random.normal = lambda shape, seed: keras.ops.array(start)
model = VatModel(network)
model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
history = model.fit(MixupBatches(x, y, 0.2, 64, 0, "shuffles", method="gamma"),
                    epochs=2, verbose=0)
predicted = model.predict(scale_images(data.x_test), verbose=0)
print(json.dumps({"backend": keras.backend.backend(), "r": r.tolist(),
                  "loss": history.history["loss"],
                  "predicted": predicted.tolist()}))
"""


def train_alone(run_python, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    other = {"tensorflow": ("jax", "jaxlib"), "jax": ("tensorflow",)}[backend]
    done = run_python("-c", TRAIN, *other, KERAS_BACKEND=backend)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["backend"] == backend
    return result


def test_each_backend_alone_and_both_agree(run_python):
    tensorflow = train_alone(run_python, "tensorflow")
    jax = train_alone(run_python, "jax")
    np.testing.assert_allclose(tensorflow["r"], jax["r"], atol=1e-4)
    np.testing.assert_allclose(tensorflow["loss"], jax["loss"], rtol=1e-4)
    np.testing.assert_allclose(tensorflow["predicted"], jax["predicted"], atol=1e-3)


def test_import_is_light(run_python):
    """The package and all that the command line starts with load no backend."""
    heavy = ("keras", "tensorflow", "jax", "papermill", "matplotlib", "scipy")
    code = (
        "import sys, tutorials_lib, tutorials_lib.support.data, "
        "tutorials_lib.book.cli, tutorials_lib.runs.profiles\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert run_python("-c", code).stdout.strip() == "[]"
