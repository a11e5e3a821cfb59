"""Training that survives a kill: a checkpoint after every epoch.

`keras.callbacks.BackupAndRestore` brings back weights and optimiser. A run that is to
end with the same numbers as one that was never killed also needs the seed generators,
the order of the batches, the other callbacks' state and the history; all are here.
"""

import contextlib
import datetime
import io
import json
import pathlib
import random
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tutorials_lib.runs.records import name_run, unpack_arrays
from tutorials_lib.runs.schema import RecordError, list_differences
from tutorials_lib.runs.storage import WriteError, write_bytes

# What Keras sets on every callback; not part of a callback's own state.
KERAS_ATTRIBUTES = ("model", "_model", "params", "validation_data")
AGAIN = "Delete it to train this run from its first epoch."


class ResumableFit:
    """`model.fit`, which goes on where a killed process left off.

    Called in place of `model.fit`, on batches that depend on nothing but seed, epoch
    and place (`SeededBatches`). A training function may call it several times, always
    in the same order.

    Args:
        path: The checkpoint's file, written atomically after every epoch; None for
            training without one.
        identity: What the run is: a checkpoint of another run is refused. JSON.
        callbacks: Callbacks of every fit, before those it is called with.

    Attributes:
        seconds: Wall-clock seconds that went into the run before this process.
        images: How many images went through training so far, as far as that is known.
        sessions: How many processes worked on the run, this one included.
    """

    def __init__(
        self,
        path: pathlib.Path | None,
        identity: Mapping[str, Any],
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        self.path = path
        self.identity = json.loads(json.dumps(identity))
        self.name = name_run(identity.get("variant", "run"), identity.get("seed", 0))
        self.callbacks = list(callbacks)
        self.start = time.perf_counter()
        self.images = 0
        self.histories: list[dict[str, list[float]]] = []
        self.saved = _read(path, self.identity) if path and path.exists() else None
        self.seconds = self.saved[0]["seconds"] if self.saved else 0.0
        self.sessions = self.saved[0]["sessions"] + 1 if self.saved else 1

    def __call__(
        self,
        model: keras.Model,
        x: Any,
        y: Any = None,
        epochs: int = 1,
        initial_epoch: int = 0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **options: Any,
    ) -> dict[str, list[float]]:
        """Trains as `model.fit` does, printing nothing, and returns the history.

        `x` is of `SeededBatches`: what is not seeded, as arrays that Keras shuffles, is
        trained on without a checkpoint. Of callbacks those attributes are saved that
        are numbers, or lists of numbers or arrays.
        """
        part = len(self.histories)
        saved = None
        if self.saved and part < self.saved[0]["part"]:
            # This fit had ended, and a later one was under way.
            self.histories.append(self.saved[0]["histories"][part])
            return self._finish(x)
        if self.saved and part == self.saved[0]["part"]:
            saved, self.saved = self.saved, None
            initial_epoch = max(initial_epoch, saved[0]["epoch"])
            if saved[0]["stop"]:
                initial_epoch = epochs
            print(
                f"{self.name}: continues after epoch {saved[0]['epoch']} of {epochs}",
                file=sys.stderr,
            )
        self.histories.append({})
        several = [*self.callbacks, *callbacks]
        keeper = _Keeper(self, x, several, saved)
        _make_variables(model, *(x[0][:2] if y is None else (x, y)))
        options |= {"epochs": epochs, "initial_epoch": initial_epoch, "verbose": 0}
        model.fit(x, y, callbacks=[*several, keeper], **options)
        return self._finish(x)

    def _finish(self, x):
        """Counts the images of all epochs of a fit; returns its history."""
        history = self.histories[-1]
        self.images += len(getattr(x, "images", x)) * len(history.get("loss", ()))
        return history

    def remove(self) -> None:
        """Removes the checkpoint of a run whose record is written."""
        if self.path:
            self.path.unlink(missing_ok=True)


class WatchEpochs(keras.callbacks.Callback):
    """Times the epochs of a run and writes a titled line for each to a log."""

    def __init__(self, log: pathlib.Path, title: str) -> None:
        super().__init__()
        self.log = log
        self.title = title
        self.seconds: list[float] = []

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, float] | None = None
    ) -> None:
        """Starts the epoch's clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Stops the clock and writes a line to the log."""
        self.seconds.append(time.perf_counter() - self.start)
        scores = " ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        line = (
            f"{datetime.datetime.now():%H:%M:%S} {self.title}: epoch {epoch + 1} "
            f"of {self.params['epochs']}, {self.seconds[-1]:.1f} s, {scores}\n"
        )
        # A line that finds no room is not worth the run.
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8") as log:
            log.write(line)


class _Keeper(keras.callbacks.Callback):
    """Keeps the history, saves after every epoch, restores before the first.

    It is the last callback, so the others have done what they do before it saves, and
    have reset themselves before it restores.
    """

    def __init__(self, fit, batches, callbacks, saved):
        super().__init__()
        self.fit, self.batches, self.others = fit, batches, callbacks
        self.saved = saved
        self.history = fit.histories[-1]

    def on_train_begin(self, logs=None):
        if self.saved is None:
            return
        state, arrays = self.saved
        self.history.update(state["histories"][-1])
        variables = _list_variables(self.model)
        kept = sum(name.startswith("variable ") for name in arrays)
        if kept != len(variables):
            raise RecordError(
                f"the checkpoint {self.fit.path} holds {kept} variables, but this "
                f"network and its optimiser have {len(variables)}. {AGAIN}"
            )
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"variable {number}"])
        for number, callback in enumerate(self.others):
            _restore(callback, state["callbacks"][number], arrays, number)
        version, internal, gauss = state["random"]
        random.setstate((version, tuple(internal), gauss))
        self.batches.epoch = state["batches"]

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        if self.fit.path is None or not hasattr(self.batches, "epoch"):
            return
        elapsed = time.perf_counter() - self.fit.start
        arrays = {
            f"variable {number}": keras.ops.convert_to_numpy(variable)
            for number, variable in enumerate(_list_variables(self.model))
        }
        states = [_collect(x, arrays, number) for number, x in enumerate(self.others)]
        state = {
            "identity": self.fit.identity,
            "part": len(self.fit.histories) - 1,
            "epoch": epoch + 1,
            "batches": self.batches.epoch,
            "stop": bool(self.model.stop_training),
            "histories": self.fit.histories,
            "callbacks": states,
            "random": random.getstate(),
            "seconds": self.fit.seconds + elapsed,
            "sessions": self.fit.sessions,
        }
        try:
            packed = io.BytesIO()
            text = np.frombuffer(json.dumps(state).encode(), "uint8")
            np.savez(packed, state=text, **arrays)
            write_bytes(self.fit.path, packed.getvalue())
        except WriteError as error:
            print(
                f"{self.fit.name}: epoch {epoch + 1} has no checkpoint: {error} "
                f"Training continues.",
                file=sys.stderr,
            )


def _make_variables(model, images, labels):
    """Those of metrics and optimiser, which Keras makes in the first step.

    TensorFlow traces a step that makes variables twice, and moments that are not there
    cannot be restored.
    """
    answers = model(images[:1])
    model.optimizer.build(model.trainable_variables)
    model.compute_metrics(images[:1], labels[:1], answers)
    model.reset_metrics()


def _list_variables(model):
    """Weights, seed generators and the optimiser's variables, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _collect(callback, arrays, number):
    """A callback's numbers as JSON; its arrays join `arrays`."""
    state = {}
    for name, value in vars(callback).items():
        if name in KERAS_ATTRIBUTES:
            continue
        if isinstance(value, np.generic):
            value = value.item()
        kinds = (bool, int, float, str)
        values = value if isinstance(value, list) else [value]
        if value is None or all(isinstance(each, kinds) for each in values):
            state[name] = value
        elif value is values and all(hasattr(each, "shape") for each in values):
            for place, each in enumerate(value):
                array = keras.ops.convert_to_numpy(each)
                arrays[f"callback {number} {name} {place}"] = array
            state[name] = {"arrays": len(value)}
    return state


def _restore(callback, state, arrays, number):
    for name, value in state.items():
        if isinstance(value, dict):
            value = [
                arrays[f"callback {number} {name} {place}"]
                for place in range(value["arrays"])
            ]
        setattr(callback, name, value)


def _read(path, identity):
    """The state and the arrays of a checkpoint; raises where it is another run's."""
    try:
        arrays = unpack_arrays(path.read_bytes())
        state = json.loads(arrays.pop("state").tobytes())
        found_identity = state["identity"]
    # A damaged archive makes NumPy raise nearly anything.
    except Exception as error:
        raise RecordError(
            f"the checkpoint {path} is damaged ({type(error).__name__}). {AGAIN}"
        ) from error
    if found_identity != identity:
        differs = "; ".join(list_differences(identity, found_identity))
        raise RecordError(
            f"the checkpoint {path} belongs to another run: {differs}. {AGAIN}"
        )
    return state, arrays
