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

from tutorials_lib.runs.records import (
    RecordError,
    list_differences,
    name_run,
    unpack_arrays,
)
from tutorials_lib.runs.storage import WriteError, write_bytes

# What Keras sets on every callback; not part of a callback's own state.
KERAS_ATTRIBUTES = ("model", "_model", "params", "validation_data")
AGAIN = "Delete it to train this run from its first epoch."


class ResumableFit(keras.callbacks.Callback):
    """`model.fit`, which goes on where a killed process left off.

    Called in place of `model.fit`, on batches that depend on nothing but seed, epoch
    and place (`SeededBatches`). A training function may call it several times, always
    in the same order. It is also the last callback of each of these fits: the others
    have done what they do before it saves, and have reset themselves before it
    restores.

    Args:
        path: The checkpoint's file, written atomically after every epoch; None for
            training without one.
        identity: What the run is: a checkpoint of another run is refused. JSON.
        log: File that gets a line for each epoch.

    Attributes:
        seconds: How long each epoch took.
        images: How many images went through training so far, as far as that is known.
        sessions: How many processes worked on the run, this one included.
    """

    def __init__(
        self, path: pathlib.Path | None, identity: Mapping[str, Any], log: pathlib.Path
    ) -> None:
        super().__init__()
        self.path, self.identity, self.log = path, identity, log
        self.name = name_run(identity["variant"], identity["seed"])
        self.images = 0
        self.histories: list[dict[str, list[float]]] = []
        self.saved: dict[str, Any] = {"histories": [], "wall_seconds": 0, "sessions": 0}
        if path and path.exists():
            self.saved = _read(path, identity)
        self.seconds: list[float] = self.saved.get("seconds", [])
        self.sessions = self.saved["sessions"] + 1
        self.start = time.perf_counter()

    @property
    def wall_seconds(self) -> float:
        """How long the run has taken, in all processes."""
        return self.saved["wall_seconds"] + time.perf_counter() - self.start

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
        are numbers, text or arrays, or lists of these.
        """
        # Fits that had begun when the checkpoint was written; all but the last had
        # ended.
        begun = self.saved["histories"]
        part = len(self.histories)
        self.resumes = part == len(begun) - 1
        self.histories.append(begun[part] if part < len(begun) else {})
        if self.resumes:
            done = self.saved["epoch"]
            initial_epoch = epochs if self.saved["stop"] else max(initial_epoch, done)
            said = f"{self.name}: continues after epoch {done} of {epochs}"
            print(said, file=sys.stderr)
        if part >= len(begun) - 1:
            self.batches, self.others = x, callbacks
            _make_variables(model, *(x[0][:2] if y is None else (x, y)))
            options |= {"epochs": epochs, "initial_epoch": initial_epoch, "verbose": 0}
            model.fit(x, y, callbacks=[*callbacks, self], **options)
        history = self.histories[-1]
        self.images += len(getattr(x, "images", x)) * len(history.get("loss", ()))
        return history

    def on_train_begin(self, logs: Any = None) -> None:
        """Brings back what the checkpoint holds, if it is of this fit."""
        if not self.resumes:
            return
        variables, saved = _list_variables(self.model), self.saved["variables"]
        for variable, value in zip(variables, saved, strict=True):
            variable.assign(value)
        for callback, state in zip(self.others, self.saved["callbacks"], strict=True):
            vars(callback).update(state)
        version, internal, gauss = self.saved["random"]
        random.setstate((version, tuple(internal), gauss))
        self.batches.epoch = self.saved["batches"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the epoch's clock."""
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stops the clock, notes how the epoch went, and writes the checkpoint."""
        self.seconds.append(time.perf_counter() - self.begin)
        for name, value in logs.items():
            self.histories[-1].setdefault(name, []).append(float(value))
        scores = " ".join(f"{name} {value:.4f}" for name, value in logs.items())
        line = (
            f"{datetime.datetime.now():%H:%M:%S} {self.name}: epoch {epoch + 1} "
            f"of {self.params['epochs']}, {self.seconds[-1]:.1f} s, {scores}\n"
        )
        # A line that finds no room is not worth the run.
        with contextlib.suppress(OSError):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as log:
                log.write(line)
        if self.path and hasattr(self.batches, "epoch"):
            self._save(self.path, epoch + 1)

    def _save(self, path, epoch):
        state = {
            "run": self.identity,
            "epoch": epoch,
            "batches": self.batches.epoch,
            "stop": bool(self.model.stop_training),
            "histories": self.histories,
            "variables": _list_variables(self.model),
            "callbacks": [_collect(callback) for callback in self.others],
            "random": random.getstate(),
            "seconds": self.seconds,
            "wall_seconds": self.wall_seconds,
            "sessions": self.sessions,
        }
        try:
            write_bytes(path, _pack(state))
        except WriteError as error:
            said = f"{self.name}: epoch {epoch} has no checkpoint: {error}"
            print(f"{said} Training continues.", file=sys.stderr)


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


def _is_plain(value):
    kinds = (bool, int, float, str, type(None))
    return isinstance(value, kinds) or hasattr(value, "shape")


def _collect(callback):
    """What a callback counts and remembers."""
    return {
        name: value
        for name, value in vars(callback).items()
        if name not in KERAS_ATTRIBUTES
        and all(map(_is_plain, value if isinstance(value, list) else [value]))
    }


def _pack(state):
    """An .npz file of all arrays in a state, and of the rest as JSON."""
    arrays = []

    def store(value):
        if isinstance(value, np.generic):
            return value.item()
        arrays.append(keras.ops.convert_to_numpy(value))
        return {"arr_": len(arrays) - 1}

    text = json.dumps(state, default=store)
    packed = io.BytesIO()
    np.savez(packed, *arrays, state=np.frombuffer(text.encode(), "uint8"))
    return packed.getvalue()


def _unpack(content):
    arrays = unpack_arrays(content)

    def fetch(found):
        stored = found.keys() == {"arr_"}
        return arrays[f"arr_{found['arr_']}"] if stored else found

    return json.loads(arrays["state"].tobytes(), object_hook=fetch)


def _read(path, identity):
    """The state in a checkpoint; raises where it is another run's."""
    try:
        saved = _unpack(path.read_bytes())
        found = saved["run"]
    # A damaged archive makes NumPy raise nearly anything.
    except Exception as error:
        raise RecordError(
            f"the checkpoint {path} is damaged ({type(error).__name__}). {AGAIN}"
        ) from error
    if differs := "; ".join(list_differences(identity, found)):
        raise RecordError(
            f"the checkpoint {path} belongs to another run: {differs}. {AGAIN}"
        )
    return saved
