"""Stochastic depth: residual branches that are dropped at random.

Huang, Sun, Liu, Sedra and Weinberger, "Deep Networks with Stochastic Depth",
arXiv:1603.09382, equations 2, 4 and 5.
"""

from typing import Any

import keras
from keras import ops

from tutorials_lib.support.backend import Tensor
from tutorials_lib.support.checks import check_choice, check_range


def list_survivals(blocks: int, last: float = 0.8) -> list[float]:
    """Lists survival probabilities 1 - l / L * (1 - last) of blocks l = 1 to L."""
    check_range("last", last, 0, 1)
    return [1 - number / blocks * (1 - last) for number in range(1, blocks + 1)]


@keras.saving.register_keras_serializable("tutorials_lib")
class StochasticDepth(keras.layers.Layer):
    """Drops a residual branch at random in training, scales it at test time.

    Put it at the end of the branch, before the shortcut is added.

    Args:
        survival: Probability of keeping the branch, from 0 to 1; its scale in testing.
        dropped_per: `"batch"` draws once per batch, as "Noisy Student on CIFAR-10"
            does, `"image"` once per image.
        seed: Integer, or None to follow `keras.utils.set_random_seed`.
        **kwargs: Passed to `keras.layers.Layer`.
    """

    def __init__(
        self,
        survival: float,
        dropped_per: str = "batch",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.survival = check_range("survival", survival, 0, 1)
        self.dropped_per = check_choice("dropped_per", dropped_per, ("batch", "image"))
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, branch: Tensor, training: bool = False) -> Tensor:
        """Returns the branch (n, ...): unchanged, zero or scaled."""
        if not training:
            return branch * ops.cast(self.survival, branch.dtype)
        n = ops.shape(branch)[0] if self.dropped_per == "image" else 1
        shape = (n,) + (1,) * (len(branch.shape) - 1)
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return branch * ops.cast(drawn < self.survival, branch.dtype)
