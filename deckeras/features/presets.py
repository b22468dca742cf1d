"""The networks of KerasHub: presets such as DINOv2, CLIP and SigLIP, by name or from a local folder."""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import keras

from deckeras import _extras
from deckeras._typing import Tensor


def build(name: str) -> tuple[Callable[[Tensor], Tensor], int, list[keras.Layer]]:
    """Build the part for pictures of a KerasHub preset.

    Args:
        name: str, a preset such as "dinov2_small", or a folder that `save_to_preset` has written.

    Returns:
        (function, side, layers): function from a tensor of pictures to one of their features, the side of its pictures
        in pixels, and the layers of its preprocessing.

    Raises:
        ImportError: KerasHub is not installed.
        OSError: the preset is not on this machine, and cannot be downloaded.
        ValueError: there is no such preset, or it is none for pictures.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise _extras.needed(f"The network {name!r}", "keras-hub", "hub")
    keras_hub: Any = importlib.import_module("keras_hub")  # which type checkers need not find

    try:
        with contextlib.redirect_stdout(sys.stderr):  # a bar of the download
            backbone = keras_hub.models.Backbone.from_preset(name)
    except Exception as error:  # Kaggle, Hugging Face and KerasHub raise errors of many classes.
        raise _not_loaded(name, error) from error
    converter = _converter(keras_hub, name)
    if getattr(backbone, "image_shape", None) is None and not hasattr(backbone, "vision_encoder"):
        raise ValueError(
            f"A network should take pictures. Received: the preset {name!r}, a {type(backbone).__name__}. A text "
            "encoder needs the column of texts, by --text, or deckeras.features.texts.encoder."
        )
    return vision(backbone), _side(backbone, converter), _preprocessing(converter)


def vision(backbone: Any) -> Callable[[Tensor], Tensor]:
    """Return the function from pictures to features of a backbone.

    It is CLIP's projection where texts and pictures share one space, the pooled vision encoder of SigLIP, and else the
    first token or the mean over the picture, by `deckeras.features.networks.pooled`.
    """
    if hasattr(backbone, "get_vision_embeddings"):
        return backbone.get_vision_embeddings
    tower = getattr(backbone, "vision_encoder", backbone)

    def features(pictures):
        inputs = {"images": pictures} if isinstance(tower.input, dict) else pictures
        return tower(inputs, training=False)

    return features


def _side(backbone: Any, converter: Any) -> int:
    shape = getattr(backbone, "image_shape", None) or backbone.vision_encoder.image_shape
    size = shape[0] or (converter is not None and converter.image_size and converter.image_size[0]) or 224
    return int(size)


def _converter(keras_hub: Any, name: str) -> Any:
    with contextlib.suppress(Exception):  # A preset need not have one.
        return keras_hub.layers.ImageConverter.from_preset(name)
    return None


def _preprocessing(converter: Any) -> list[keras.Layer]:
    if converter is None or (converter.scale is None and converter.offset is None):
        return []
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return [keras.layers.Rescaling(scale, offset, name="preprocessing")]


def _not_loaded(name: str, error: Exception) -> Exception:
    words = " ".join(str(error).split())
    kind = ValueError if isinstance(error, ValueError) else OSError
    return kind(
        f"The preset {name!r} of KerasHub cannot be loaded: {words:.300}. Without a network, bring the folder that "
        "keras_hub.models.Backbone.from_preset(...).save_to_preset(FOLDER) writes on another machine, and pass its "
        "path as the network."
    )
