"""Calls of the backend: several training steps at a time, rows on the device, predictions that can be interrupted.

The steps in one call are equivalent to as many calls of `train_on_batch`. The host intervenes only between two calls,
so small steps do not wait for Python, and a GPU does not wait for the host. Keras calls this `steps_per_execution`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from deckeras import distribution
from deckeras._data import batching, row_views
from deckeras._train import fused_updates, watch
from deckeras._train.interrupts import DeferredInterrupt
from deckeras._typing import Array, Callbacks, RowArray, Tensor

_RESIDENT_BYTES = 2**31
_STEPS = 20  # of 256 rows of 784 features: 16 MiB
_BYTES = 2**26
_programs = weakref.WeakKeyDictionary()


def steps_together(model: keras.Model, batch: Any, callbacks: Sequence[keras.callbacks.Callback]) -> int:
    """Return the number of steps to take in one call.

    This is the `steps_per_execution` of the model if it is above 1, or else as many steps as fit in 64 MiB, up to 20.
    It is 1 on PyTorch, if a callback sees each batch, if the steps should run eagerly, or if several devices share the
    work.

    Args:
        model: compiled `keras.Model`.
        batch: structure of arrays, the first batch.
        callbacks: list of Keras callbacks.
    """
    if distribution.active() or _runs_eagerly(model) or keras.config.backend() not in _PROGRAMS:
        return 1
    if any(map(_sees_batches, callbacks)):
        return 1
    if model.steps_per_execution > 1:
        return model.steps_per_execution
    batch_bytes = sum(np.prod(array.shape) * 4 for array in keras.tree.flatten(batch))
    return int(np.clip(_BYTES // batch_bytes, 1, _STEPS))


def train_singly(model: keras.Model, batches: list[tuple[Any, ...]]) -> list[dict[str, float]]:
    """Train a compiled model by `train_on_batch`, batch by batch. It takes and returns the same as `train_together`."""
    logs = []
    with fused_updates.fused(model.optimizer), tracing_models():
        for batch in batches:
            # Before Keras 3.15, the metrics accumulate from batch to batch.
            model.reset_metrics()
            logs.append(model.train_on_batch(*batch, return_dict=True))
    return logs


def train_together(model: keras.Model, batches: list[tuple[Any, ...]]) -> list[dict[str, float]]:
    """Train a compiled model on several batches in one call of the backend.

    Args:
        model: compiled `keras.Model`.
        batches: list of (x, y) or (x, y, sample_weight), structures of arrays of one shape.

    Returns:
        list of dicts from name to float, as `train_on_batch` returns for each batch.
    """
    logs = [] if _build(model, batches[0]) else train_singly(model, batches[:1])
    others = batches[len(logs) :]
    if others:
        with fused_updates.fused(model.optimizer), tracing_models():
            logs += _program(model)(others)
    return logs


def _program(model: keras.Model) -> Callable[[list[Any]], list[dict[str, float]]]:
    """Return the compiled steps of a model, which are built once for each time that the model is compiled."""
    known = _programs.get(model)
    if known is None or known[0]() is not model.train_function:  # Keras renews it with each compilation.
        # The references are weak: a strong one in the value would keep the model, its own key, alive.
        program = _PROGRAMS[keras.config.backend()](weakref.ref(model))
        known = _programs[model] = weakref.ref(model.train_function), program
    return known[1]


def _build(model: keras.Model, batch: tuple[Any, ...]) -> bool:
    """Build what Keras builds before its first step. Return False if this version of Keras needs that step itself.

    The variables of loss, metrics and optimizer cannot be created within a program. A first step by `train_on_batch`
    would create them, but also compile another program.
    """
    # This method is not part of Keras's public API.
    build = getattr(model, "_symbolic_build", None)
    if model.train_function is None and build is not None:
        build(data_batch=batch)
        model.make_train_function()
    return model.train_function is not None


def predict(compute: Any, rows: Any, callbacks: Callbacks | keras.callbacks.CallbackList = None, **kwargs: Any) -> Any:
    """Predict in batches. An interrupt takes effect after a batch, and the model keeps its weights after any error.

    If no progress bar and no callback needs Keras's loop, the outputs are written to one array, batch by batch. Keras
    instead keeps all batches and concatenates them at the end, which takes twice the memory, and its overhead takes
    longer than a batch of few rows.

    Args:
        compute: the method `predict` of a `keras.Model`.
        rows, callbacks, **kwargs: its arguments.
    """
    model, kept = compute.__self__, []
    plain = not callbacks and not any(kwargs.values()) and len(model.outputs) == 1
    if plain and isinstance(rows, batching.OrderedBatches):
        with DeferredInterrupt() as hold, tracing_models():
            return _in_batches(model, rows, hold)
    if keras.config.backend() == "jax":  # JAX: Keras takes the weights out of the model while it predicts.
        # These are copies, because Keras donates the arrays themselves, which are then overwritten.
        kept = [(variable, np.array(keras.ops.convert_to_numpy(variable))) for variable in model.variables]
    try:
        with DeferredInterrupt() as hold, tracing_models():

            def end_batch(batch, logs=None):
                watch.beat()
                hold.pass_on()

            stop = keras.callbacks.Callback()
            stop.on_predict_batch_end = end_batch
            if not isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks = [*keras.tree.flatten(callbacks or []), stop]
            return compute(rows, callbacks=callbacks, **kwargs)
    except BaseException:
        for variable, value in kept:
            variable.assign(value)
        if kept:
            model._jax_state = None  # Keras would restore it whenever a callback asks for the model.
        raise


def _in_batches(model: keras.Model, rows: batching.OrderedBatches, hold: DeferredInterrupt) -> Array:
    """Return the outputs of a model."""
    numbered = ((number * rows.batch_size, rows[number][0]) for number in range(len(rows)))
    found: Any = None
    in_memory = row_views.blocks_of(rows.x) is None
    with contextlib.closing(numbered if in_memory else batching.read_ahead(numbered)) as batches:
        for start, batch in batches:
            # For a tensor, Keras does not warn that the model has a list of one input.
            outputs = model.predict_on_batch(keras.ops.convert_to_tensor(batch))
            watch.beat()
            if found is None:
                found = np.empty((len(rows.x), *outputs.shape[1:]), outputs.dtype)
            found[start : start + len(outputs)] = outputs
            hold.pass_on()
    return found


@contextlib.contextmanager
def tracing_models() -> Iterator[None]:
    """Drop TensorFlow's warnings of retracing: it mistakes the Keras functions of several models for one function."""
    logger = logging.getLogger("tensorflow")
    if _is_not_of_keras in logger.filters:  # by a caller
        yield
        return
    logger.addFilter(_is_not_of_keras)
    try:
        yield
    finally:
        logger.removeFilter(_is_not_of_keras)


def _is_not_of_keras(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not ("tf.function retracing" in message and "TensorFlowTrainer" in message)


def _runs_eagerly(model: keras.Model) -> bool:
    """Return whether a model is compiled to run eagerly, or TensorFlow is set to run all functions eagerly."""
    if keras.config.backend() != "tensorflow":
        return model.run_eagerly
    import tensorflow as tf

    return model.run_eagerly or tf.config.functions_run_eagerly()


def _sees_batches(callback: keras.callbacks.Callback) -> bool:
    """Return whether a user's callback, or one of Keras's by its settings, does anything at each batch."""
    base = keras.callbacks.Callback
    hooks = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    frequencies = (getattr(callback, name, "epoch") for name in ("update_freq", "save_freq"))
    # TensorBoard can profile some batches.
    if any(frequency != "epoch" for frequency in frequencies) or getattr(callback, "_stop_batch", 0) > 0:
        return True
    kind = type(callback)
    own = not kind.__module__.startswith("keras.")
    # Keras's own LambdaCallback stores the user's functions in the instance.
    return any(hook in vars(callback) or (own and getattr(kind, hook) is not getattr(base, hook)) for hook in hooks)


def accelerated() -> bool:
    """Return whether the backend computes on a GPU or TPU."""
    match keras.config.backend():
        case "tensorflow":
            import tensorflow as tf

            return bool(tf.config.list_logical_devices("GPU") + tf.config.list_logical_devices("TPU"))
        case "jax":
            import jax

            return jax.default_backend() != "cpu"
        case "torch":
            import torch

            return torch.cuda.is_available()
    return False


def to_device(x: RowArray) -> RowArray | OnDevice:
    """Move the rows to where training reads them fastest: arrays of up to 2 GiB to an accelerator, if there is one."""
    if not isinstance(x, np.ndarray) or not accelerated() or distribution.active():
        return x
    # Backends require native byte order, and some lack types of 64 bits.
    held = x.nbytes <= _RESIDENT_BYTES and x.dtype.isnative and x.dtype.itemsize <= 4
    return OnDevice(x) if held else x


class OnDevice:
    """The rows of an array on the device that computes. Batches are selected on that device.

    Args:
        x: (n, ...) array.
    """

    def __init__(self, x: Array) -> None:
        self.shape = x.shape
        self.rows = keras.ops.convert_to_tensor(x, dtype=x.dtype.name)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, numbers: Array) -> Tensor:
        return keras.ops.cast(keras.ops.take(self.rows, numbers, axis=0), keras.config.floatx())


def _stacked(batches: list[Any]) -> Any:
    """Stack a list of structures of arrays into one structure of tensors, whose first axis is that of the list."""
    stacks = {}

    def stack(*arrays):
        key = tuple(map(id, arrays))  # an autoencoder's rows are its targets, too
        if key not in stacks:
            on_device = keras.ops.is_tensor(arrays[0])
            stacks[key] = keras.ops.stack(arrays) if on_device else keras.ops.convert_to_tensor(np.stack(arrays))
        return stacks[key]

    return keras.tree.map_structure(stack, *batches)


def _tensorflow_program(model: Callable[[], Any]) -> Callable[[list[Any]], list[dict[str, float]]]:
    import tensorflow as tf

    names = []

    def steps(batches):
        n_steps = tf.shape(tf.nest.flatten(batches)[0])[0]
        values = tf.TensorArray(tf.float64, n_steps)
        for step in tf.range(n_steps):
            model().reset_metrics()
            batch = tf.nest.map_structure(operator.itemgetter(step), batches)
            logs = model().train_step((*batch, None)[:3])  # as `train_on_batch` calls it, with sample weights
            names[:] = logs
            values = values.write(step, tf.stack([tf.cast(value, tf.float64) for value in logs.values()]))
        return values.stack()

    programs = {}

    def run(batches):
        stacked = _stacked(batches)
        specs = [tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in tf.nest.flatten(stacked)]
        key = tuple((tuple(spec.shape[1:]), spec.dtype) for spec in specs)
        if key not in programs:
            # Without the partial, TensorFlow would mistake the functions of several models for one that is retraced.
            program = tf.function(functools.partial(steps), jit_compile=model().jit_compile)
            # It takes any number of steps, because the last call of an epoch has fewer.
            programs[key] = program.get_concrete_function(tf.nest.pack_sequence_as(stacked, specs))
        return [dict(zip(names, values.tolist(), strict=True)) for values in programs[key](stacked).numpy()]

    return run


def _jax_program(model: Callable[[], Any]) -> Callable[[list[Any]], list[dict[str, float]]]:
    import jax

    def step(state, batch):
        *others, metrics = state
        variables = model().metrics_variables
        with keras.StatelessScope(list(zip(variables, metrics, strict=True))) as scope:
            model().reset_metrics()
        fresh = [scope.get_current_value(variable).astype(variable.dtype) for variable in variables]
        logs, state = model().train_step((*others, fresh), (*batch, None)[:3])
        return state, logs

    def one_by_one(state, batches):
        logs = []
        for batch in batches:
            state, log = single(state, batch)  # It returns at once, and computes while the next batch is prepared.
            logs.append(log)
        return state, keras.tree.map_structure(lambda *values: np.stack(values), *logs)

    # On a CPU, XLA uses fewer threads within a loop.
    single = jax.jit(step, donate_argnums=0)
    scan = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches))
    steps = (lambda state, batches: scan(state, _stacked(batches))) if accelerated() else one_by_one

    def run(batches):
        variables = (
            model().trainable_variables,
            model().non_trainable_variables,
            model().optimizer.variables,
            model().metrics_variables,
        )
        state, logs = steps(tuple([variable.value for variable in group] for group in variables), batches)
        for group, values in zip(variables, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        columns = {name: np.asarray(values).tolist() for name, values in logs.items()}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    return run


_PROGRAMS = {"tensorflow": _tensorflow_program, "jax": _jax_program}
