"""The loop that every training here runs through: epochs of batches, with callbacks, checkpoints and resumption."""

import math
import time

import keras
import numpy as np


def train(
    model,
    epoch,
    *,
    iterations,
    steps_per_epoch,
    converged=None,
    checkpoint=None,
    checkpoint_every=1,
    callbacks=None,
    verbose="auto",
    started=None,
):
    """Run epochs until the iterations are used up, the training has converged, or a callback stops it.

    Args:
        model: compiled and built `keras.Model`.
        epoch: function of (start, steps, callbacks) that trains the iterations from `start` to `start + steps` and
            returns the logs, a dict from name to float with at least "loss".
        iterations: int, the number of batches in all.
        steps_per_epoch: int, the batches between two calls of the callbacks' `on_epoch_end`. The last epoch is shorter
            where `iterations` is no multiple of it.
        converged: function of the logs that says whether to stop, default None (never).
        checkpoint: `Checkpoint`, default None. What it holds is restored first.
        checkpoint_every: int, default 1. Epochs between two writes. The end is always written.
        callbacks: list of Keras callbacks.
        verbose: 0 silent, 1 a progress bar for each epoch, 2 a line; default `"auto"`, which is 1.
        started: float, default now. The `time.perf_counter()` from which on the time counts.

    Returns:
        `keras.callbacks.History` of the whole training, what was restored included, with the attribute `seconds`: how
        long it took, over all the runs that it was resumed in.

    Raises:
        FloatingPointError: the loss or a weight is NaN or infinite. The last checkpoint is kept and restored.
    """
    started = time.perf_counter() if started is None else started
    history = keras.callbacks.History()
    verbose = 1 if verbose == "auto" else verbose
    callbacks = keras.callbacks.CallbackList(
        [*(callbacks or []), history],  # last, since callbacks may add to the logs
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=math.ceil(iterations / steps_per_epoch),
        steps=steps_per_epoch,
    )
    state = checkpoint and checkpoint.restore()
    state = state or {"iteration": 0, "history": {}, "seconds": 0.0}
    iteration, logs = state["iteration"], state["history"]
    seconds = state["seconds"]
    started -= seconds
    count = len(next(iter(logs.values()), []))
    done = bool(converged and count and converged({name: values[-1] for name, values in logs.items()}))

    model.stop_training = False
    callbacks.on_train_begin()
    history.history, history.epoch = logs, list(range(count))
    while iteration < iterations and not done and not model.stop_training:
        steps = min(steps_per_epoch, iterations - iteration)
        callbacks.on_epoch_begin(count)
        logs = epoch(iteration, steps, callbacks)
        if _diverged(model, logs):
            raise FloatingPointError(_divergence_message(model, iteration, steps, checkpoint))
        callbacks.on_epoch_end(count, logs)
        iteration, count = iteration + steps, count + 1
        done = bool(converged and converged(logs))
        seconds = time.perf_counter() - started
        last = done or iteration >= iterations or model.stop_training
        if checkpoint and (last or count % checkpoint_every == 0):
            checkpoint.save({"iteration": iteration, "history": history.history, "seconds": seconds})
    callbacks.on_train_end()
    history.seconds = seconds
    return history


def train_batches(model, batches, callbacks):
    """Train a compiled model on a few batches, telling the callbacks about each.

    Args:
        model: compiled `keras.Model`.
        batches: iterable of (x, y) pairs of arrays.
        callbacks: `keras.callbacks.CallbackList`.

    Returns:
        dict from name to float: the mean over the batches of the loss and of each compiled metric.
    """
    history = []
    for step, (x, y) in enumerate(batches):
        callbacks.on_train_batch_begin(step)
        history.append(model.train_on_batch(x, y, return_dict=True))
        callbacks.on_train_batch_end(step, history[-1])
    return {name: float(np.mean([logs[name] for logs in history])) for name in history[0]}


def _diverged(model, logs):
    weights = (keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables)
    return not math.isfinite(logs["loss"]) or not all(np.isfinite(weight).all() for weight in weights)


def _divergence_message(model, iteration, steps, checkpoint):
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    message = (
        f"The loss or a weight became NaN or infinite between iterations {iteration} and {iteration + steps}, at a "
        f"learning rate of {rate:g}. Compile with a lower learning rate or with clipnorm=1.0, and check the scale of x."
    )
    if checkpoint is None or checkpoint.restore() is None:
        return message
    return f"{message} The weights are back at the last checkpoint, {checkpoint.path!r}; training again goes on there."
