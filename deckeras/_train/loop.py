"""The loop of every training in this package: epochs of batches, with callbacks, checkpoints and resumption.

On TensorFlow, Keras's `Model.fit` takes three times as long for a step of a small network (`benchmarks/loop.py`). The
steps themselves are Keras's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from deckeras import distribution
from deckeras._train import device, directories, interrupts, keras_callbacks, watch
from deckeras._train.checkpoint import Checkpoint
from deckeras._typing import Callbacks, RowArray, Verbose

_LOOKED_AT = 1000  # rows whose scale is examined
MAX_SAVING = 0.1  # the fraction of the time that checkpoints may take, if the epochs between them are not given
_LARGE = 10.0  # a root mean square of rows at which the learning rates of the recipes are too high


class History(keras.callbacks.History):
    """The `keras.callbacks.History` of a training, with its times.

    Attributes:
        times: list of float, the seconds from the start of the training to the end of each epoch, including all
            earlier runs of a resumed training.
        seconds: float, the last of them.
    """

    times: list[float]
    seconds: float


def train(
    model: keras.Model,
    epoch: Callable[[int, int, int, keras.callbacks.CallbackList], dict[str, float]],
    *,
    iterations: int,
    steps_per_epoch: int,
    seed: int,
    converged: Callable[[dict[str, float]], bool] | None = None,
    checkpoint: Checkpoint | None = None,
    checkpoint_every: int | None = None,
    callbacks: Callbacks = None,
    verbose: Verbose = "auto",
    started: float | None = None,
    rows: RowArray | None = None,
) -> History:
    """Run epochs until the iterations are used up, the training has converged, or a callback stops it.

    Args:
        model: compiled and built `keras.Model`.
        epoch: function of (start, steps, seed, callbacks) that trains the iterations from `start` to `start + steps`
            and returns the logs, a dict from name to float with at least "loss".
        iterations: int, the total number of batches.
        steps_per_epoch: int, the batches between two calls of the callbacks' `on_epoch_end`. The last epoch is shorter
            if `iterations` is not a multiple of it.
        seed: int, determines the order of the rows. A resumed training retains its original seed.
        converged: function of the logs that returns whether to stop, default None (never). Without this function, a
            training that a callback stopped has ended; with it, calling again resumes the training.
        checkpoint: `Checkpoint`, default None. Its contents are restored first.
        checkpoint_every: int. Epochs between two checkpoints. Default None: as few as possible with at most a tenth of
            the time spent on saving, because an epoch of few rows takes less time than a checkpoint. Start and end are
            always saved.
        callbacks: Keras callback or list of them. One that sets `stop_training` ends the training after the epoch.
        verbose: 0 silent, 1 one progress bar per epoch, 2 one line per epoch; default `"auto"`, which is 1.
        started: float, default now. The `time.perf_counter()` from which the time is measured.
        rows: the rows that are trained on, default None. If the training diverges, the message says whether their
            scale is the cause.

    Returns:
        `History` of the whole training, including the restored part.

    Raises:
        ValueError: a callback of Keras would give wrong weights.
        FloatingPointError: the loss or a weight is NaN or infinite. The last checkpoint is restored.
        BlockingIOError: another process trains in the directory of the checkpoint.
        SystemExit: the process received SIGTERM and has no handler for it.
    """
    distribution.check(model)
    started = time.perf_counter() if started is None else started
    history = History()
    verbose = 1 if verbose == "auto" else verbose
    given = keras.tree.flatten(callbacks or [])
    keras_callbacks.check(given, saved=checkpoint is not None)
    callbacks = keras.callbacks.CallbackList(
        [*given, history],  # last, since callbacks may add to the logs
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=math.ceil(iterations / steps_per_epoch),
        steps=min(steps_per_epoch, iterations),
    )
    run = _Run(
        model, epoch, callbacks, history, iterations, steps_per_epoch, converged, checkpoint, checkpoint_every, rows
    )
    directory, resumption = None, "This training was not saved: pass checkpoint_dir to make it resumable."
    if checkpoint:
        directory, resumption = checkpoint.directory, f"The same call resumes from the checkpoint {checkpoint.path!r}."
    ended = f"SIGTERM ended the training. {resumption}"
    with directories.hold_directory(directory), interrupts.terminable(ended), watch.watched(resumption):
        return run(seed, started)


@dataclasses.dataclass
class _Run:
    """One call of `train`. The attributes are its arguments, plus the history, which is a callback."""

    model: keras.Model
    epoch: Callable
    callbacks: keras.callbacks.CallbackList
    history: History
    iterations: int
    steps_per_epoch: int
    converged: Callable | None
    checkpoint: Checkpoint | None
    checkpoint_every: int | None
    rows: RowArray | None
    saved_at: float = 0.0  # the time of the last checkpoint
    saving_seconds: float = 0.0  # the time that saving it took

    def __call__(self, seed: int, started: float) -> History:
        state, restored = self._begin(seed)
        model, callbacks, history, checkpoint = self.model, self.callbacks, self.history, self.checkpoint
        logs = {name: values[-1] for name, values in state["history"].items()}
        count = len(next(iter(state["history"].values()), []))
        done = self._converged(logs) if self.converged else state["stopped"]
        started -= _last(state["times"])
        model.stop_training, model._initial_epoch = False, None
        callbacks.on_train_begin()
        # A callback that stopped the training starts anew: the user asks for more than it allowed.
        if count and checkpoint and not state["stopped"]:
            keras_callbacks.restore(callbacks.callbacks, state.get("callbacks", []), checkpoint.arrays)
        history.history, history.epoch = state["history"], list(range(count))
        # Keras's BackupAndRestore sets this attribute, and restores the weights of that epoch.
        reached: int = model._initial_epoch or 0
        if reached > count:
            count, model._initial_epoch = reached, None
            state = {**state, "iteration": min(count * self.steps_per_epoch, self.iterations)}
        while not self._ended(state, done):
            logs, iteration = self._train_epoch(count, state)
            count += 1
            done = self._converged(logs)
            times = [*state["times"], time.perf_counter() - started]
            state = {**state, "iteration": iteration, "history": history.history, "times": times}
            state["stopped"] = model.stop_training
            if self._ended(state, done):
                _finalize(model)
            elif checkpoint and self._is_due(count):
                self._save(checkpoint, state)
        callbacks.on_train_end()  # before the last write, because callbacks may restore the best weights
        if checkpoint and not (restored and state is restored):
            self._save(checkpoint, state)
        history.times, history.seconds = state["times"], _last(state["times"])
        return history

    def _begin(self, seed: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the state to begin with, and the one that was restored or None."""
        restored = self.checkpoint and self.checkpoint.restore()
        if restored:
            return restored, restored
        state = {"iteration": 0, "seed": seed, "history": {}, "times": [], "stopped": False}
        if self.checkpoint:
            # A run that is interrupted before its next write then begins in the same way as this one.
            self._save(self.checkpoint, state)
        return state, None

    def _save(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        started = time.perf_counter()
        found, arrays = keras_callbacks.state(self.callbacks.callbacks)
        checkpoint.save({**state, "callbacks": found}, arrays)
        self.saved_at = time.perf_counter()
        self.saving_seconds = self.saved_at - started

    def _is_due(self, count: int) -> bool:
        """Return whether to save a checkpoint after so many epochs. All processes agree."""
        if self.checkpoint_every is not None:
            return count % self.checkpoint_every == 0
        return bool(distribution.agreed(self.saving_seconds <= MAX_SAVING * (time.perf_counter() - self.saved_at)))

    def _train_epoch(self, count: int, state: dict[str, Any]) -> tuple[dict[str, float], int]:
        """Train one epoch, and return its logs and the iteration that it ends with."""
        model, start = self.model, state["iteration"]
        steps = min(self.steps_per_epoch, self.iterations - start)
        if steps != self.callbacks.params["steps"]:
            self.callbacks.set_params({**self.callbacks.params, "steps": steps})  # so that the bar counts to its end
        self.callbacks.on_epoch_begin(count)
        with distribution.failing_together():
            logs = self.epoch(start, steps, state["seed"], self.callbacks)
        if _diverged(model, logs):
            raise FloatingPointError(_divergence_message(model, start, steps, self.checkpoint, self.rows))
        known = set(self.history.history)
        self.callbacks.on_epoch_end(count, logs)
        model.stop_training = bool(distribution.total(int(model.stop_training)))  # all processes, or none
        _fill_gaps(self.history.history, known, count + 1)
        return logs, start + steps

    def _converged(self, logs: dict[str, float]) -> bool:
        return bool(logs and self.converged and self.converged(logs))

    def _ended(self, state: dict[str, Any], done: bool) -> bool:
        return done or state["iteration"] >= self.iterations or self.model.stop_training


def train_batches(
    model: keras.Model, batches: Iterable[tuple[Any, ...]], callbacks: keras.callbacks.CallbackList
) -> dict[str, float]:
    """Train a compiled model on a few batches, and call the callbacks for each batch or each group of batches.

    Args:
        model: compiled `keras.Model`.
        batches: iterable of (x, y) or (x, y, sample_weight), arrays.
        callbacks: `keras.callbacks.CallbackList`.

    Returns:
        dict from name to float: the mean over the batches of the loss and of each compiled metric.
    """
    batches = iter(batches)
    history, first = [], next(batches)
    together = device.steps_together(model, first, callbacks.callbacks)
    steps = device.train_singly if together == 1 else device.train_together
    batches = itertools.chain([first], batches)
    while group := list(itertools.islice(batches, together)):
        callbacks.on_train_batch_begin(len(history))
        with interrupts.DeferredInterrupt():
            history += steps(model, group)
        watch.beat()
        callbacks.on_train_batch_end(len(history) - 1, history[-1])
    return {name: float(np.mean([logs[name] for logs in history])) for name in history[0]}


def _last(times: list[float]) -> float:
    return times[-1] if times else 0.0


def _finalize(model: keras.Model) -> None:
    """Replace the weights by their averages, for an optimizer that computes averages."""
    model.optimizer.finalize_variable_values(model.trainable_variables)
    if getattr(model.optimizer, "use_ema", False):
        for variable in model.trainable_variables:
            # JAX would keep weight and average in one buffer, and delete it with the next step.
            variable.assign(keras.ops.copy(variable))


def _fill_gaps(history: dict[str, list[float]], known: set[str], count: int) -> None:
    """Fill up with NaN what was not logged in every epoch, such as scores if only some of the runs had labels."""
    for name, values in history.items():
        gap = [math.nan] * (count - len(values))
        history[name] = values + gap if name in known else gap + values


def _diverged(model: keras.Model, logs: dict[str, float]) -> bool:
    weights = (keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables)
    return not math.isfinite(logs["loss"]) or not all(np.isfinite(weight).all() for weight in weights)


def _divergence_message(
    model: keras.Model, iteration: int, steps: int, checkpoint: Checkpoint | None, rows: RowArray | None
) -> str:
    message = f"The loss or a weight became NaN or infinite between iterations {iteration} and {iteration + steps}"
    with contextlib.suppress(AttributeError):  # Several optimizers in one have no rate.
        message += f", at a learning rate of {float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)):g}"
    message += f". {_cure(rows)}"
    if checkpoint is None or checkpoint.restore() is None:
        return message
    return f"{message} The weights are back at those of the last checkpoint, {checkpoint.path!r}."


def _cure(rows: RowArray | None) -> str:
    if rows is not None:
        some = np.asarray(rows[:: math.ceil(len(rows) / _LOOKED_AT)], np.float64)
        spread = float(np.sqrt(np.mean(np.square(some))))
        if spread > _LARGE:
            return (
                f"The scale of x is the cause: the root mean square of its values is {spread:.3g}, and should be about "
                "1. Scale x first, as deckeras.scaling and the estimator do, and train again from fresh weights."
            )
    return "Give the optimizer a lower rate or clipnorm=1.0, and check the scale of x."
