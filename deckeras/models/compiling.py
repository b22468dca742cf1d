"""Losses, metrics and optimizers of compiled models, which can be saved to any file and renewed for frozen layers."""

from __future__ import annotations

import collections
import warnings
from collections.abc import Callable
from typing import Any

import keras

from deckeras._train.checkpoint import settings

_OF_A_RECIPE = "recipe"  # the name of an optimizer, which files of models keep
_DEPEND_ON_THE_MODEL = ("accuracy", "acc", "crossentropy", "ce")


def in_any_file(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of `keras.Model.compile`, with losses and metrics in place of their names."""
    for name in {"metrics", "weighted_metrics"} & set(arguments):
        arguments[name] = as_metrics(arguments[name])
    return {**arguments, "loss": as_objects(arguments["loss"])}


def as_objects(losses: Any) -> Any:
    """Replace the names of losses by the losses themselves, in a name, a dict or a list of them.

    Keras writes a name such as "kld" into an .h5 file unchanged, and reads it as the name of a metric, which it is not.
    """
    if isinstance(losses, dict):
        return {name: as_objects(loss) for name, loss in losses.items()}
    if isinstance(losses, list | tuple):
        return [as_objects(loss) for loss in losses]
    return keras.losses.get(losses) if isinstance(losses, str) else losses


def as_metrics(metrics: Any) -> Any:
    """Replace the names of metrics by metrics of these names, in a name, a dict or a list of them.

    Keras would log a metric of an .h5 file under another name. What "accuracy" and the like stand for depends on the
    model, so these names remain unchanged.
    """
    if isinstance(metrics, dict):
        return {name: as_metrics(metric) for name, metric in metrics.items()}
    if isinstance(metrics, list | tuple):
        return [as_metrics(metric) for metric in metrics]
    if not isinstance(metrics, str) or metrics in _DEPEND_ON_THE_MODEL:
        return metrics
    metric = keras.metrics.get(metrics)
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config({**metric.get_config(), "name": metrics})
    return keras.metrics.MeanMetricWrapper(metric, name=metrics)


def by_recipe(model: Any, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile a `deckeras.DEC` with the optimizer of a recipe, unless it is compiled already.

    A model that was compiled for an earlier recipe with other settings is compiled again: a learning rate that has
    fallen to its end would serve no other training.
    """
    if model.compiled:
        # Under float16, the optimizer is within another that scales the loss.
        own = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        begun = model._optimizer_settings
        if own.name != _OF_A_RECIPE or settings(optimizer) == begun["config"].get("inner_optimizer", begun):
            return
    optimizer.name = _OF_A_RECIPE
    model.compile(optimizer)


def trained(model: keras.Model) -> tuple[int, ...]:
    """Return a value that distinguishes one set of trained variables from another."""
    return tuple(map(id, model.trainable_variables))


def recorded(model: Any) -> tuple[Any, tuple[int, ...]]:
    """Return the settings of the optimizer and the `trained` value of a `deckeras.DEC` that was just compiled.

    If other variables are trained than after the last compilation, the functions of its models are compiled anew.
    """
    now = trained(model)
    if now != getattr(model, "_trained", now):
        retrace(model)
    return settings(model.optimizer), now


def keep_up(model: keras.Model, before: tuple[int, ...]) -> tuple[int, ...]:
    """Renew the optimizer of a compiled model if its `trained` value is no longer `before`. Return the new value."""
    now = trained(model)
    if now != before:
        renew_optimizer(model)
    return now


def renew_optimizer(model: keras.Model) -> None:
    """Give a compiled model an optimizer of the same settings for the variables that are trainable now.

    Keras fixes the trained variables when it compiles. After layers are frozen or unfrozen, it would still train the
    frozen layers, or skip the others. Iterations, learning rate and the state of the variables that are trained both
    before and after are carried over.

    Args:
        model: compiled `keras.Model`.
    """
    before = model.optimizer
    optimizer = type(before).from_config(before.get_config())
    _exclude_the_same(before, optimizer)
    optimizer.build(model.trainable_variables)
    old, new = _by_name(before), _by_name(optimizer)
    for name in set(old) & set(new):
        if old[name].shape == new[name].shape:
            new[name].assign(old[name])
    model.optimizer = optimizer
    retrace(model)


def check_trainable(model: keras.Model) -> None:
    """Raise ValueError if a model has nothing to train."""
    if not model.trainable_variables:
        raise ValueError(
            f"{model.name!r} should have weights to train. Received: a model whose layers are all frozen. Set "
            "trainable = True on its encoder or its clustering layer, or call initialize_centroids, which needs none."
        )


def quantize(model: Any, compute: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """Quantize a `deckeras.DEC` by Keras's method, and update the models in it that predict."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Layer InputLayer")  # Keras warns of it for every model.
        compute(*args, **kwargs)
    retrace(model)


def retrace(model: Any) -> None:
    """Drop the compiled functions of a model, and of the models in it that predict, since their layers have changed."""
    for part in (model, *(getattr(model, name, None) for name in ("encoder", "decoder", "assignment"))):
        if part is not None:
            part.train_function = part.test_function = part.predict_function = None


def _exclude_the_same(before: Any, after: Any) -> None:
    """Exclude from weight decay what the optimizer `before` excludes. Its settings do not contain this."""
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):  # not part of its public API
        if hasattr(before, name):
            setattr(after, name, getattr(before, name))
    if hasattr(before, "inner_optimizer"):
        _exclude_the_same(before.inner_optimizer, after.inner_optimizer)


def _by_name(optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    """Return the variables of an optimizer by their names without its own. Names that occur twice are left out."""
    names = [variable.path.partition("/")[2] for variable in optimizer.variables]
    count = collections.Counter(names)
    return {name: variable for name, variable in zip(names, optimizer.variables, strict=True) if count[name] == 1}
