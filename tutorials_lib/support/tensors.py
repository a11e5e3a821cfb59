"""The one name in signatures for what Keras computes with."""

from typing import Any

# A tensor of the backend that Keras runs on, a symbolic one, or an array: TensorFlow's,
# JAX's, Keras' and NumPy's share no class, so a type checker can be told no more.
Tensor = Any
