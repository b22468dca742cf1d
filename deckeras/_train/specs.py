"""JSON-able descriptions of functions and layers, so that a file can record the settings of a training."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from deckeras._train.checkpoint import architecture

# Keys of configs that may differ between layers that work in the same way.
_NOT_ASKED = ("name", "trainable", "seed", "dtype", "build_config", "compile_config", "shared_object_id")
_DEEPEST = 4  # objects within objects that are described
_PLAIN = (str, int, float, bool, type(None))


def function(value: Any, depth: int = 0, within: tuple[Any, ...] = ()) -> Any:
    """Describe a function so that two that work differently differ, whatever their names.

    Args:
        value: function, lambda, `functools.partial`, method, callable object, or a value that one of these holds.
        depth: int, default 0. The number of objects around this value.
        within: tuple, default (). The objects around this value. An object that holds itself is described once.

    Returns:
        JSON-able description. It contains the bytecode of functions, so it is specific to one version of Python.
    """

    def inside(item, deeper=0):
        return function(item, depth + deeper, (*within, value))

    if isinstance(value, _PLAIN):
        return value
    if any(value is holder for holder in within):
        return {"object": type(value).__qualname__}
    if isinstance(value, logging.Logger | types.ModuleType):
        # These belong to the process, and lead to everything that it has loaded.
        return getattr(value, "__name__", None) or value.name
    if isinstance(value, functools.partial):
        return {"partial": inside(value.func), "args": inside(value.args), "keywords": inside(value.keywords)}
    if isinstance(value, types.MethodType):
        return {"method": value.__qualname__, "of": inside(value.__self__)}
    if isinstance(value, types.FunctionType):
        known = value.__module__ and value.__module__.partition(".")[0] in ("keras", "deckeras")
        return value.__qualname__ if known else {"function": value.__qualname__, "code": _digest(_code(value))}
    if isinstance(value, list | tuple | set | frozenset):
        items = [inside(item) for item in value]
        return items if isinstance(value, list | tuple) else sorted(items, key=json.dumps)
    if isinstance(value, dict):
        return {str(key): inside(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return _digest([str(value.dtype), list(value.shape), content])
    if hasattr(value, "get_config"):
        return [
            getattr(value, "__qualname__", type(value).__qualname__),
            {} if isinstance(value, type) else layer(value),
        ]
    kind = getattr(value, "__qualname__", None)
    if kind is not None:
        return kind
    held = getattr(value, "__dict__", {}) if depth < _DEEPEST else {}
    state = {name: inside(item, deeper=1) for name, item in held.items() if not callable(item)}
    return {"object": type(value).__qualname__, "state": state}


def clustering(model: Any) -> dict[str, Any]:
    """Describe a `deckeras.DEC` for its checkpoint."""
    return {
        "kind": "clustering",
        "encoder": architecture(model.encoder),
        "encoder_layers": layers(model.encoder),
        "encoder_graph": graph(model.encoder),
        "n_clusters": model.n_clusters,
        "alpha": model.alpha,
    }


def precision(model: keras.Model) -> list[str]:
    """Return the names of the dtype policies of all layers."""
    return [layer.dtype_policy.name for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]


def trainability(layers: Iterable[keras.Layer]) -> Callable[[], None]:
    """Return a function that restores which layers are frozen, of these and of all layers within them."""
    # Those within follow those around them, which pass their own setting on to them.
    known = [(inner, inner.trainable) for layer in layers for inner in layer._flatten_layers()]

    def restore():
        for layer, trainable in known:
            layer.trainable = trainable

    return restore


def graph(model: keras.Model) -> Any:
    """Describe the operations of a functional model and what each takes, which may be more than its layers.

    Returns:
        JSON-able list, in which the place of an operation stands for its name; of a Sequential, that of its models.
        None if the model cannot be described.
    """
    if isinstance(model, keras.Sequential):
        return [graph(layer) for layer in model.layers if isinstance(layer, keras.Model)]
    try:
        operations = model.get_config()["layers"]
    except (NotImplementedError, KeyError, TypeError):  # A model of the user's own class need not have them.
        return None
    places = {operation["name"]: f"#{place}" for place, operation in enumerate(operations)}

    def described(value):
        if isinstance(value, str):
            return places.get(value, value)
        if isinstance(value, list | tuple):
            return [described(item) for item in value]
        if isinstance(value, dict):
            return {key: described(item) for key, item in value.items() if _is_asked(key)}
        return value if isinstance(value, _PLAIN) else type(value).__qualname__

    inside = {layer.name: layer for layer in model.layers}

    def settings(operation):
        layer = inside.get(operation["name"])
        if isinstance(layer, keras.Model):
            return graph(layer)
        return described(operation["config"]) if layer is None else None  # Those of layers are in `layers`.

    return [
        [operation["class_name"], described(operation["inbound_nodes"]), settings(operation)]
        for operation in operations
    ]


def layers(model: keras.Model) -> dict[str, Any]:
    """Describe the settings of a model's layers, as a dict from the number and class of each layer to its settings."""
    found = {}
    for number, one in enumerate(model.layers):
        inside = isinstance(one, keras.Model) and getattr(one, "layers", None)
        found[f"{number} {type(one).__name__}"] = layers(one) if inside else layer(one)
    return found


def layer(one: keras.Layer) -> dict[str, Any]:
    """Describe the settings of a layer, without those that do not change how it works once it has its weights."""
    try:
        config = one.get_config()
    except NotImplementedError:  # A user's own layer may not have a config.
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of every lambda in a config.
        config = json.loads(json.dumps(config, default=_as_json))
    return {name: _asked(value, getattr(one, name, None)) for name, value in config.items() if _is_asked(name)}


def _is_asked(name: str) -> bool:
    return name not in _NOT_ASKED and not name.endswith("initializer")


def _asked(config: Any, held: Any = None) -> Any:
    """Return a part of a config without settings that nobody chose, and with descriptions in place of lambdas."""
    if isinstance(config, list):
        return [_asked(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "__lambda__":
        return function(held)
    return {name: _asked(value) for name, value in config.items() if _is_asked(name)}


def loss(value: Any) -> Any:
    """Return the config of a loss, with its function by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of each lambda.
        return keras.saving.serialize_keras_object(keras.losses.get(value))


def _as_json(value: Any) -> Any:
    return function(value) if callable(value) else keras.saving.serialize_keras_object(value)


def _code(value: types.FunctionType) -> list[Any]:
    """Return the code of a function, and the values that it takes from elsewhere."""
    cells = [cell.cell_contents for cell in value.__closure__ or () if _filled(cell)]
    held = value.__globals__
    used = [name for name in value.__code__.co_names if name in held]
    outside = {name: held[name] for name in used if isinstance(held[name], (*_PLAIN, tuple))}
    rest = [cells, value.__defaults__, value.__kwdefaults__, outside]
    return [_instructions(value.__code__), [_shallow(part) for part in rest]]


def _shallow(value: Any) -> Any:
    """Describe a value that a function holds. Of functions, which may hold each other, describe only instructions."""
    if isinstance(value, types.FunctionType):
        return _instructions(value.__code__)
    if isinstance(value, list | tuple):
        return [_shallow(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _shallow(item) for key, item in value.items()}
    if isinstance(value, (*_PLAIN, np.ndarray, np.generic)):
        return function(value)
    return type(value).__qualname__


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # The function is still being defined.
        return False


def _instructions(code: types.CodeType) -> list[Any]:
    constants = [
        _instructions(constant) if isinstance(constant, types.CodeType) else repr(constant)
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), list(code.co_names), constants]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()[:16]
