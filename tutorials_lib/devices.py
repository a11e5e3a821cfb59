"""What the device at hand asks of a training run."""

import keras


def has_accelerator():
    """Tells whether Keras' backend sees a GPU or TPU."""
    devices = keras.distribution.list_devices()
    return any(not str(device).lower().startswith("cpu") for device in devices)


def choose_jit_compile():
    """Chooses `jit_compile` for `model.compile`.

    Keras' own choice, "auto", turns XLA on for TensorFlow on a CPU too, where it
    makes convolutional nets two to six times slower. JAX always compiles.

    Returns:
        True on JAX and where there is an accelerator, else False.
    """
    return keras.backend.backend() == "jax" or has_accelerator()
