"""What TensorFlow and JAX do differently: gradients and fusing."""

import platform
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

# A backend's tensor, a symbolic one, or an array: TensorFlow's, JAX's, Keras' and
# NumPy's share no class, so a type checker cannot be told more.
Tensor = Any


def compute_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Computes the gradient of a scalar function at x, on TensorFlow and JAX.

    The gradient is 0 where the function does not depend on x.
    """
    x, backend = ops.convert_to_tensor(x), keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x, unconnected_gradients="zero")
    if backend == "jax":
        import jax

        return jax.grad(function)(x)
    raise NotImplementedError(f"the backend must be tensorflow or jax; got {backend}.")


def fuse(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Has XLA fuse a function's many small steps over a batch, on TensorFlow too.

    With TensorFlow on a CPU, Keras leaves XLA off, for the sake of convolutions, but
    pixelwise work is four times as fast with it. JAX fuses whatever it compiles.

    The function maps tensors, arrays and dicts of them to tensors.
    """
    # TensorFlow's builds for Macs have no reliable XLA.
    if keras.backend.backend() != "tensorflow" or platform.system() == "Darwin":
        return function
    import tensorflow as tf

    # Fused functions do not branch on values, which is all that AutoGraph is for.
    return tf.function(function, jit_compile=True, autograph=False)
