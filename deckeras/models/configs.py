"""Configs of models, so that other versions of Keras can load them."""

from __future__ import annotations

import json
from typing import Any

import h5py
import keras

from deckeras._typing import Path


def for_older_keras(config: Any) -> Any:
    """Return a config without those arguments of initializers that are None, their default.

    Newer versions of Keras write arguments that older versions do not know, which prevents older versions from loading
    the model. For example, a `Dense` layer of Keras 3.15 has `input_axes` in the config of its initializer, which Keras
    3.13 refuses.

    Args:
        config: dict, list or value, as `get_config` returns it.

    Example:
        >>> import keras
        >>> from deckeras.models.configs import for_older_keras
        >>> config = keras.saving.serialize_keras_object(keras.initializers.GlorotUniform(seed=1))
        >>> for_older_keras(config)["config"]
        {'seed': 1}
    """
    if isinstance(config, list | tuple):
        return type(config)(map(for_older_keras, config))
    if not isinstance(config, dict):
        return config
    found = {name: for_older_keras(value) for name, value in config.items()}
    if _is_initializer(found):
        found["config"] = {name: value for name, value in found["config"].items() if value is not None}
    return found


def rewrite_h5(path: Path) -> None:
    """Rewrite the config of a model in an .h5 file by `for_older_keras`. Its weights are not changed.

    Args:
        path: file written by the `save` method of any Keras model, such as a plain `Sequential` encoder.
    """
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(for_older_keras(json.loads(file.attrs["model_config"])))


def _is_initializer(config: dict[str, Any]) -> bool:
    """Return whether a config belongs to a Keras initializer."""
    kind = getattr(keras.initializers, str(config.get("class_name")), None)
    return (
        isinstance(config.get("config"), dict)
        and isinstance(kind, type)
        and issubclass(kind, keras.initializers.Initializer)
    )
