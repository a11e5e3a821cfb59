"""Stochastic depth: residual branches that are left out at random.

Huang, Sun, Liu, Sedra and Weinberger, "Deep Networks with Stochastic Depth",
arXiv:1603.09382: in training a branch survives with probability p, else its block
passes its input on alone; in testing the branch is scaled by p (equations 2 and 5).
p falls linearly with depth (equation 4).
"""

from typing import Any

import keras
from keras import ops

from tutorials_lib.support.backend import Tensor
from tutorials_lib.support.checks import check_choice, check_range

DROPPED_PER = ("batch", "image")


def list_survivals(blocks: int, last: float = 0.8) -> list[float]:
    """Lists p_l = 1 - l / L * (1 - p_L) of each block l from 1 to L; `last` is p_L."""
    check_range("last", last, 0, 1)
    return [1 - number / blocks * (1 - last) for number in range(1, blocks + 1)]


@keras.saving.register_keras_serializable("tutorials_lib")
class StochasticDepth(keras.layers.Layer):
    """Leaves a residual branch out at random in training, scales it in testing.

    It goes at the end of the branch, before the shortcut is added. A branch that
    survives is not scaled up, as it is in `keras.layers.Dropout`.

    Args:
        survival: Probability p that the branch is kept, from 0 to 1.
        dropped_per: `"batch"` draws once for a batch, as "Noisy Student on CIFAR-10"
            does, `"image"` for each of its images.
        seed: Whole number, or None for what `keras.utils.set_random_seed` set.
        **kwargs: Of `keras.layers.Layer`.
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
        self.dropped_per = check_choice("dropped_per", dropped_per, DROPPED_PER)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, branch: Tensor, training: bool = False) -> Tensor:
        """Returns the branch (n, ...), whole, zero or scaled."""
        if not training:
            return branch * ops.cast(self.survival, branch.dtype)
        n = ops.shape(branch)[0] if self.dropped_per == "image" else 1
        shape = (n,) + (1,) * (len(branch.shape) - 1)
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return branch * ops.cast(drawn < self.survival, branch.dtype)
