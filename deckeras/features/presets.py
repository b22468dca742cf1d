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
    """Build the vision part of a KerasHub preset.

    Args:
        name: str, a preset such as "dinov2_small", or a folder that `save_to_preset` has written.

    Returns:
        (function, side, layers): function from a tensor of pictures to a tensor of their features, the side of its
        pictures in pixels, and its preprocessing layers.

    Raises:
        ImportError: KerasHub is not installed.
        OSError: the preset is not on this machine, and cannot be downloaded.
        ValueError: there is no such preset, or it is not for pictures.
    """
    backbone = load(name, "Backbone")
    converter = _converter(name)
    if getattr(backbone, "image_shape", None) is None and not hasattr(backbone, "vision_encoder"):
        raise ValueError(
            f"A network should take pictures. Received: the preset {name!r}, a {type(backbone).__name__}. A text "
            "encoder needs the column of texts, by --text, or deckeras.features.texts.encoder."
        )
    return vision(backbone), _side(backbone, converter), _preprocessing(converter)


def load(name: str, task: str) -> Any:
    """Load a preset with a class of `keras_hub.models`.

    Args:
        name: str, as for `build`.
        task: str, the name of the class, such as "Backbone" or "TextEmbedder".

    Raises:
        ImportError: KerasHub is not installed, or does not have the class yet.
        OSError, ValueError: as for `build`.
    """
    kind = getattr(library(name).models, task, None)
    if kind is None:
        raise ImportError(f"The network {name!r} needs keras_hub.models.{task}. Install a newer KerasHub.")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # for the progress bar of the download
            return kind.from_preset(name)
    except Exception as error:  # Kaggle, Hugging Face and KerasHub raise errors of many classes.
        words = " ".join(str(error).split())
        raise (ValueError if isinstance(error, ValueError) else OSError)(
            f"The preset {name!r} of KerasHub cannot be loaded as keras_hub.models.{task}: {words:.300}. Without a "
            f"network, bring the folder that keras_hub.models.{task}.from_preset(...).save_to_preset(FOLDER) writes on "
            "another machine, and pass its path as the network."
        ) from error


def library(name: str) -> Any:
    """Return the module `keras_hub`, or raise an ImportError that names the network and the extra."""
    if importlib.util.find_spec("keras_hub") is None:
        raise _extras.needed(f"The network {name!r}", "keras-hub", "hub")
    return importlib.import_module("keras_hub")  # so that type checkers need not find it


def vision(backbone: Any) -> Callable[[Tensor], Tensor]:
    """Return the function of a backbone that maps pictures to features.

    For CLIP, it is the projection into the space that texts and pictures share; for SigLIP, the pooled vision encoder;
    otherwise the first token or the mean over the picture, as `deckeras.features.networks.pooled` computes them.
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


def _converter(name: str) -> Any:
    with contextlib.suppress(Exception):  # A preset need not have one.
        return library(name).layers.ImageConverter.from_preset(name)
    return None


def _preprocessing(converter: Any) -> list[keras.Layer]:
    if converter is None or (converter.scale is None and converter.offset is None):
        return []
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return [keras.layers.Rescaling(scale, offset, name="preprocessing")]
