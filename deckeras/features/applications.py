"""The networks of `keras.applications`: their names, the sides of their pictures, and their preprocessing."""

import contextlib
import difflib
import importlib
import os
import re
import sys
from typing import Any

import h5py
import keras

from deckeras._typing import Path, Tensor

AUTO = "EfficientNetV2B0"  # 24 MB, and among the fastest on a CPU for its accuracy
_SIDE = 224
_SIDES = {
    "EfficientNetB1": 240, "EfficientNetB2": 260, "EfficientNetB3": 300, "EfficientNetB4": 380, "EfficientNetB5": 456,
    "EfficientNetB6": 528, "EfficientNetB7": 600, "EfficientNetV2B1": 240, "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300, "EfficientNetV2S": 384, "EfficientNetV2M": 480, "EfficientNetV2L": 480,
    "InceptionResNetV2": 299, "InceptionV3": 299, "NASNetLarge": 331, "Xception": 299,
}  # fmt: skip
_MODULES = {
    "ConvNeXt": "convnext", "DenseNet": "densenet", "EfficientNetV2": "efficientnet_v2", "EfficientNet": "efficientnet",
    "InceptionResNetV2": "inception_resnet_v2", "InceptionV3": "inception_v3", "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3", "MobileNet": "mobilenet", "NASNet": "nasnet", "ResNetV2": "resnet_v2",
    "ResNet": "resnet", "VGG16": "vgg16", "VGG19": "vgg19", "Xception": "xception",
}  # fmt: skip


@keras.saving.register_keras_serializable(package="deckeras")
class Preprocessing(keras.layers.Layer):
    """Preprocess pixels from 0 to 255 as a family of `keras.applications` does.

    Args:
        family: str, the module of `keras.applications`, such as "resnet".
        **kwargs: `name`, `dtype`, as for every Keras layer.

    Raises:
        ValueError: there is no such family.

    Example:
        >>> import numpy as np
        >>> from deckeras.features.applications import Preprocessing
        >>> float(Preprocessing("mobilenet")(np.full((1, 2, 2, 3), 255.0))[0, 0, 0, 0])
        1.0
    """

    def __init__(self, family: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if family not in _MODULES.values():
            raise ValueError(f"family should be one of {', '.join(sorted(_MODULES.values()))}. Received: {family!r}")
        self.family = family

    def call(self, pixels: Tensor) -> Tensor:
        module = importlib.import_module(f"keras.applications.{self.family}")
        return module.preprocess_input(pixels, data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "family": self.family}


def find(name: str) -> str | None:
    """Return the name of a network as Keras spells it, or None if there is none. Case and punctuation are ignored.

    Args:
        name: str, such as "convnext-tiny", or "auto".

    Example:
        >>> from deckeras.features import applications
        >>> applications.find("efficientnet_v2_b0"), applications.find("dinov2_small")
        ('EfficientNetV2B0', None)
    """
    known = {_plain(found): found for found in names()}
    return AUTO if name == "auto" else known.get(_plain(name))


def names() -> list[str]:
    """Return the names of all networks, sorted."""
    return sorted(name for name in dir(keras.applications) if name[0].isupper())


def similar(name: str) -> list[str]:
    """Return the names of the networks that are spelled most similarly to this one."""
    known = {_plain(found): found for found in names()}
    return [known[found] for found in difflib.get_close_matches(_plain(name), known, n=3, cutoff=0.4)]


def build(name: str, weights: Path | None = None) -> tuple[keras.Model, Preprocessing]:
    """Build a network with its weights, but without its last layer.

    Args:
        name: str, as `find` returns it.
        weights: path of a file with its weights without the last layer ("notop"), default None: the ImageNet weights,
            which Keras downloads once; "random" for untrained weights, for tests.

    Returns:
        (model, layer): model of (n, side, side, 3) to (n, n_features), and the `Preprocessing` before it.

    Raises:
        OSError: the weights cannot be downloaded or read; the message says which file to provide.
        ValueError: the file holds the weights of another network.
    """
    side = _SIDES.get(name, _SIDE)
    options = {"include_top": False, "input_shape": (side, side, 3), "pooling": "avg"}
    if weights is None:
        try:
            # Keras prints the progress of its download to stdout, which is only for results.
            with contextlib.redirect_stdout(sys.stderr):
                model = getattr(keras.applications, name)(weights="imagenet", **options)
        except Exception as error:  # Keras raises a bare Exception if it cannot download.
            raise _not_downloaded(name, error) from error
    else:
        model = getattr(keras.applications, name)(weights=None, **options)
        if weights != "random":
            read_weights(model, name, weights)
    return model, Preprocessing(family(name), name="preprocessing")


def family(name: str) -> str:
    """Return the module of `keras.applications` that defines a network."""
    found = "ResNetV2" if name.startswith("ResNet") and name.endswith("V2") else name
    return next(module for start, module in _MODULES.items() if found.startswith(start))


def read_weights(model: keras.Model, name: str, path: Path) -> None:
    """Load the weights of a model from a Keras file, .h5 or .weights.h5.

    Raises:
        OSError: there is no such file, or it is damaged.
        ValueError: it holds the weights of another network.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file of weights {path!r}.")
    try:
        with h5py.File(path, "r"):
            pass
    except OSError as error:
        raise OSError(f"{path!r} is truncated, damaged or not an .h5 file ({error}). Restore a copy.") from error
    try:
        model.load_weights(path)
    except Exception as error:  # Keras raises errors of many classes for weights of other shapes.
        raise ValueError(
            f"{path!r} should hold the weights of {name} without its last layer, in a file that Keras names "
            f"..._notop.h5. Received: {' '.join(str(error).split()):.300}"
        ) from error


def _plain(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())


def _not_downloaded(name: str, error: Exception) -> OSError:
    words = " ".join(str(error).split())
    address = re.search(r"https?://[^\s]+[^\s:.,]", words)
    file = f"Download {address[0]}" if address else f"Bring Keras's file of the weights of {name}, ..._notop.h5,"
    return OSError(
        f"The weights of {name} are not on this machine, and cannot be downloaded: {words:.300}. "
        f"{file} on another machine, and pass it by --weights FILE, or in Python by "
        f'deckeras.features.network("{name}", weights=FILE).'
    )
