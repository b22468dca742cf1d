"""The names of the package's models in .h5 files.

Keras writes the bare class name of a model into an .h5 file, and looks it up in a table of names that override the
user's `custom_objects`. A user's own class `DEC` would then load as ours. Therefore a model of this package is written
as `deckeras>DEC`, its registered name, and the bare name remains available to others.
"""

from __future__ import annotations

import importlib

import keras

PACKAGE = "deckeras"


def writing_h5() -> bool:
    """Return whether Keras is saving to or loading from an .h5 file in this thread."""
    try:
        state = importlib.import_module("keras.src.backend.common.global_state")
        return bool(state.get_global_attribute("use_legacy_config", False))
    except (ImportError, AttributeError):
        return False


class RegisteredInH5(type(keras.Model)):
    """Metaclass of models that use their registered name, such as `deckeras>DEC`, while Keras saves an .h5 file."""

    def _get_name(cls) -> str:  # pyright: ignore[reportSelfClsParameterName] - of a metaclass
        name = type.__dict__["__name__"].__get__(cls)
        registered = f"{PACKAGE}>{name}"
        ours = writing_h5() and keras.saving.get_custom_objects().get(registered) is cls
        return registered if ours else name

    __name__ = property(_get_name, lambda cls, name: type.__dict__["__name__"].__set__(cls, name))


def check_writable(model: keras.Model) -> None:
    """Raise ValueError if a model has weights of a type that HDF5 does not support."""
    weights = [weight.path for weight in model.weights if weight.dtype == "bfloat16"]
    if weights:
        raise ValueError(
            f"The weights of a model in an .h5 file should be float16, float32 or float64. Received: bfloat16 in "
            f"{weights[0]}. Save it as .keras, or build it under the policy mixed_bfloat16, whose weights are float32."
        )


def read_bare_name(cls: type[keras.Model], keys: set[str]) -> None:
    """Make .h5 files of earlier versions, which contain the bare class name, load without `custom_objects`.

    Keras searches its own layers last, after `custom_objects` and all registered names, so an entry there hides no
    other class. The entry accepts only configs of `cls`. For other configs, the name is an unknown layer, as before.

    Args:
        cls: subclass of `keras.Model`.
        keys: set of str, keys that identify its configs.
    """
    name = cls.__name__

    def from_config(config, custom_objects=None):
        if not isinstance(config, dict) or not keys <= set(config):
            raise ValueError(
                f"Unknown layer: {name!r}. Please ensure you are using a `keras.utils.custom_object_scope` and that "
                "this object is included in the scope."
            )
        return cls.from_config(config, custom_objects)

    bare = type(f"_Bare{name}", (), {"from_config": staticmethod(from_config)})
    try:
        layers = importlib.import_module("keras.src.layers")
    except ImportError:  # This Keras has another layout: such files need custom_objects={"DEC": deckeras.DEC}.
        return
    vars(layers).setdefault(name, bare)
