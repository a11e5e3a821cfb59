"""What TensorFlow and JAX do differently: gradients and fusing."""

import platform
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

# A tensor of the backend that Keras runs on, a symbolic one, or an array: TensorFlow's,
# JAX's, Keras' and NumPy's share no class, so a type checker can be told no more.
Tensor = Any


def compute_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Computes the gradient of a scalar function at x, on TensorFlow and JAX.

    It is 0 where the function does not depend on x.
    """
    x = ops.convert_to_tensor(x)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x, unconnected_gradients="zero")
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(function)(x)
    raise NotImplementedError(
        f"the backend must be tensorflow or jax; got {keras.backend.backend()}."
    )


def fuse(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Has XLA fuse a function's many small steps over a batch, on TensorFlow too.

    Keras leaves XLA off on a CPU under TensorFlow, for the sake of convolutions. What
    goes pixel by pixel is four times as fast with it. JAX fuses whatever it compiles.

    The function is of tensors, arrays and dicts of them, to tensors.
    """
    # TensorFlow's builds for a Mac have no XLA to rely on.
    if keras.backend.backend() != "tensorflow" or platform.system() == "Darwin":
        return function
    import tensorflow as tf

    # What is fused has no branches by value, which are all that AutoGraph is for.
    return tf.function(function, jit_compile=True, autograph=False)
