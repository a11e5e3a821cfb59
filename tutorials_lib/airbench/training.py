"""airbench's training: learning rate, SGD, Lookahead, and when to stop."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tutorials_lib.support.backend import Tensor
from tutorials_lib.support.checks import check_range

MOMENTUM = 0.85


@keras.saving.register_keras_serializable("tutorials_lib")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly to its peak, then falls linearly.

    Args:
        peak: Highest learning rate.
        steps: Training steps T.
        start: Rate of the first step, as a share of the peak.
        end: Rate after the last step, as a share of the peak.
        peak_at: Step of the peak, as a share of T.
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        start: float = 0.2,
        end: float = 0.07,
        peak_at: float = 0.23,
    ) -> None:
        self.peak, self.steps = peak, steps
        self.start, self.end, self.peak_at = start, end, peak_at

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate of a step, counted from 0; a float32 scalar."""
        step, top = ops.cast(step, "float32"), int(self.steps * self.peak_at)
        rising = self.start + (1 - self.start) * step / max(top, 1)
        falling = 1 - (1 - self.end) * (step - top) / max(self.steps - top, 1)
        return self.peak * ops.where(step < top, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        names = ("peak", "steps", "start", "end", "peak_at")
        return {name: getattr(self, name) for name in names}


def convert_rates(rate: float, decay: float) -> tuple[float, float]:
    """Converts the published learning rate and weight decay to `AirbenchSGD`'s.

    The published code sums the loss over a batch and divides its rate by 1,024, the
    images of a batch, and by 1 + 1 / (1 - MOMENTUM), which it takes to be the length
    of a whole step under a constant gradient, in plain ones. airbench94 has
    (11.5, 0.0153), which becomes (1.5, 0.00133), airbench95 (10, 0.0153), airbench96
    (9, 0.012).

    Returns:
        Learning rate and L2 coefficient, for the mean of the loss.
    """
    return rate / (1 + 1 / (1 - MOMENTUM)), decay / rate


@keras.saving.register_keras_serializable("tutorials_lib")
class AirbenchSGD(keras.optimizers.SGD):
    """SGD with Nesterov momentum and an L2 penalty, as PyTorch computes it.

    With g the gradient plus `l2` times the variable: m <- 0.85 * m + g, variable
    <- variable - rate * (g + 0.85 * m). Keras' own SGD has the rate inside m, which
    differs while the rate changes, and keeps weight decay out of m. The reported loss
    excludes the penalty.

    Args:
        learning_rate: Number or schedule.
        l2: Coefficient of the penalty's gradient, at least 0.
        frozen_after: Dict from the name of a layer or variable to the steps after which
            it stops learning, momentum and penalty included.
        **kwargs: Passed to `keras.optimizers.SGD`.

    Raises:
        ValueError: A value is out of range or, when training starts, a name belongs to
            no trainable variable.
    """

    def __init__(
        self,
        learning_rate: Any = 1.5,
        l2: float = 0.0,
        frozen_after: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, MOMENTUM, nesterov=True, **kwargs)
        self.l2 = check_range("l2", l2, 0, math.inf)
        self.frozen_after = dict(frozen_after or {})

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the momenta and finds the variables that stop learning."""
        super().build(variables)
        self._last_steps: dict[int, int] = {}
        for name, step in self.frozen_after.items():
            found = [i for i, v in enumerate(variables) if name in v.path.split("/")]
            if not found:
                raise ValueError(f"frozen_after names no trainable variable: {name!r}.")
            self._last_steps.update(dict.fromkeys(found, step))

    def update_step(
        self, gradient: Tensor, variable: Tensor, learning_rate: Tensor
    ) -> None:
        """Updates one variable."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype) + self.l2 * variable
        last = self._last_steps.get(index)
        if last is not None:
            # A rate of 0 freezes the variable; its momentum no longer matters.
            rate = ops.where(self.iterations < last, rate, 0)
        velocity = self.momentum * self.momentums[index] + gradient
        self.assign(self.momentums[index], velocity)
        self.assign_sub(variable, rate * (gradient + self.momentum * velocity))

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        config = super().get_config()
        del config["nesterov"], config["momentum"]
        return {**config, "l2": self.l2, "frozen_after": self.frozen_after}


class Lookahead(keras.callbacks.Callback):
    """Pulls the weights back to slow weights every five steps, and after the last.

    Every five steps: slow <- slow + (1 - decay) * (fast - slow), fast <- slow, with
    decay = 0.95^5 * (step / steps)^3; after the last step fast <- slow. As published,
    this covers the batch norms' moving statistics too.

    Args:
        steps: Training steps T.

    Attributes:
        slow: Slow weights, in the order of `model.weights`; empty before training.
        step: Training steps done. To resume from a checkpoint, set both.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.step = 0
        self.slow: list[np.ndarray] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Copies the weights as slow weights, unless there are some already."""
        if self.model.steps_per_execution != 1:
            raise ValueError("steps_per_execution must be 1: Lookahead sees each step.")
        self.slow = self.slow or self._copy_weights()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the step and pulls the weights back when due."""
        self.step += 1
        if self.step % 5 == 0 and self.step <= self.steps:
            self._pull(0.95**5 * (self.step / self.steps) ** 3)
        if self.step == self.steps:
            self._pull(1.0)

    def _copy_weights(self):
        # On JAX the training loop holds the current weights until asked to sync them.
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        return [np.array(weight) for weight in self.model.get_weights()]

    def _pull(self, decay):
        pairs = zip(self.slow, self._copy_weights(), strict=True)
        self.slow = [slow + (1 - decay) * (fast - slow) for slow, fast in pairs]
        # Copies here too: a backend may keep the memory that it is given.
        self.model.set_weights([slow.copy() for slow in self.slow])


class StopAfter(keras.callbacks.Callback):
    """Stops training after a number of steps, even mid-epoch, as after 9.9 epochs.

    Args:
        steps: Training steps since epoch 0, even if `initial_epoch` is later.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Counts the steps of the previous epochs."""
        self._before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops training when the steps are done."""
        if self._before + batch + 1 >= self.steps:
            self.model.stop_training = True
