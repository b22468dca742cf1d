"""Build a network that computes features: one Keras model, including preprocessing, for pictures of one size."""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras

from deckeras._typing import Path, Tensor
from deckeras.features import applications, presets
from deckeras.models import saved

_SIDE = 224  # the side of pictures for a network that takes any size
NAME = "features"
Core: TypeAlias = Callable[[Tensor], Tensor]
Source: TypeAlias = "Path | keras.Model"


def network(
    source: Any = "auto",
    *,
    weights: Path | None = None,
    image_shape: Sequence[int] | None = None,
    copy: bool = True,
) -> keras.Model:
    """Return a frozen network from pictures to features.

    Its inputs are pixels from 0 to 255; resizing, preprocessing and pooling are layers of the network.

    Args:
        source: one of
            "auto" (default), which is EfficientNetV2B0;
            the name of a network of `keras.applications`, such as "ConvNeXtTiny";
            a preset of KerasHub, such as "dinov2_small", or the folder of one (the extra `hub`);
            the path of a .keras file, or a `keras.Model`, that takes pixels from 0 to 255; `image_shape` may differ
            from its own. The model is copied, unless `copy` is False.
        weights: path of a file of weights for a network of `keras.applications`, default None: the ImageNet weights,
            which Keras downloads once. "random" leaves the network untrained, for tests.
        image_shape: (height, width) or (height, width, channels) of the pictures, default None: the size that the
            network was made for, in color. Pictures of other shapes are cropped around their center and resized, and
            gray ones are repeated for each color.
        copy: bool, default True. False returns `source` itself if it is such a network for pictures of this shape.

    Returns:
        `keras.Model` of the name "features", from (n, *image_shape) pictures to (n, n_features) float32 features.
        Outputs with more than one vector per picture are pooled: maps to their mean, tokens to the first one.

    Raises:
        TypeError: `source` is neither a name nor a model.
        ValueError: there is no such network, or it does not take pictures of this shape.
        OSError: the weights cannot be downloaded or read; the message says which file to provide.
        ImportError: KerasHub is needed, but not installed.

    Example:
        >>> from deckeras import features
        >>> model = features.network("MobileNetV3Small", weights="random")
        >>> model.input_shape, model.output_shape
        ((None, 224, 224, 3), (None, 576))
    """
    image_shape = None if image_shape is None else tuple(image_shape)
    if is_network(source) and weights is None and image_shape in (None, source.input_shape[1:]):
        return _frozen(copied(source)) if copy else source
    if reads_tokens(source):
        raise ValueError(
            f"A text encoder should take rows of {source.input_shape[1]} whole numbers, as its tokenizer makes them, "
            f"and no file of weights. Received: rows of shape {image_shape}, weights={weights!r}"
        )
    core, size, layers = _found(source, weights)
    shape = tuple(image_shape or (*size, 3))
    _check_shape(shape)
    inputs = keras.Input(shape, name="pictures")
    x = _in_colors(inputs, shape)
    if shape[:2] != size:
        x = keras.layers.Resizing(*size, crop_to_aspect_ratio=True, name="resizing")(x)
    for layer in layers:
        x = layer(x)
    x = keras.layers.Activation("linear", dtype="float32", name="vectors")(pooled(core(x)))
    return _frozen(keras.Model(inputs, x, name=NAME))


def is_network(model: Any) -> bool:
    """Return whether a model was made by `network` or `deckeras.features.texts.encoder`."""
    return isinstance(model, keras.Model) and model.name == NAME and len(model.output_shape) == 2


def reads_tokens(source: Any) -> bool:
    """Return whether a source of features is a text encoder, as `deckeras.features.texts.encoder` returns it."""
    return is_network(source) and len(source.input_shape) == 2


def _frozen(model: keras.Model) -> keras.Model:
    model.trainable = False
    return model


def pooled(x: Any) -> Tensor:
    """Return one vector per picture from maps (n, height, width, d), tokens (n, n_tokens, d) or vectors (n, d)."""
    if isinstance(x, dict):
        x = x.get("pooled_output", x.get("sequence_output"))
    if isinstance(x, list | tuple) and len(x) == 1:  # a model may return a list with one output
        x = x[0]
    if isinstance(x, list | tuple) or x is None or len(x.shape) not in (2, 3, 4):
        raise ValueError(f"A network should have one output, of 2 to 4 dimensions. Received: {x}")
    if len(x.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="pooling")(x)
    return x[:, 0] if len(x.shape) == 3 else x


def _found(source: Source, weights: Path | None) -> tuple[Core, tuple[int, ...], list[keras.Layer]]:
    """Return (function of a tensor of color pixels, the size of its pictures, layers of preprocessing)."""
    if isinstance(source, keras.Model):
        return _own(copied(source), weights)
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"features should be a name, a path or a keras.Model. Received: {type(source).__name__}")
    source = os.fspath(source)
    name = applications.find(source)
    if name is not None:
        model, layer = applications.build(name, weights)
        return model, model.input_shape[1:3], [layer]
    if source.endswith(".keras"):
        return _own(saved.load(source), weights, source)
    if weights is not None:
        raise ValueError(
            f"--weights is for networks of keras.applications: {', '.join(applications.names())}. Received: {source!r}"
        )
    if _names_preset(source):
        core, side, layers = presets.build(source)
        return core, (side, side), layers
    near = applications.similar(source)
    raise ValueError(
        "features should be a network of keras.applications (such as EfficientNetV2B0, ConvNeXtTiny), a preset of "
        f"KerasHub (such as dinov2_small), or a .keras file. Received: {source!r}."
        + (f" Did you mean {' or '.join(near)}?" if near else "")
    )


def _names_preset(source: str) -> bool:
    """Return whether a text can be a preset: a KerasHub name with underscores, a handle with slashes, or a folder."""
    return "_" in source or "/" in source or os.path.isdir(source)


def _own(
    model: keras.Model, weights: Path | None, name: str | None = None
) -> tuple[Core, tuple[int, ...], list[keras.Layer]]:
    """Return the same as `_found`, for the user's own model."""
    if weights is not None:
        raise ValueError("weights should be None for a model that has its own. Received: weights and a model")
    shape: Any = tuple(getattr(model, "input_shape", None) or ())
    called = name or f"the model {model.name!r}"
    if len(shape) != 4 or shape[-1] != 3:
        raise ValueError(
            f"A network should take colored pictures, of shape (n, height, width, 3). Received: {called}, which takes "
            f"{shape}"
        )
    return model, tuple(side or _SIDE for side in shape[1:3]), []


def copied(model: keras.Model) -> keras.Model:
    """Return a copy of a model with the same weights, so that the user's model is neither frozen nor trained."""
    try:
        copy = type(model).from_config(model.get_config())
        copy.set_weights(model.get_weights())
    except Exception as error:  # Custom classes may have no config, or build their layers later.
        raise ValueError(
            "A network should be a functional or a Sequential model, or one with a config. Received: the model "
            f"{model.name!r}, which cannot be copied: {' '.join(str(error).split()):.200}"
        ) from error
    return copy


def _check_shape(shape: Sequence[int]) -> None:
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
        raise ValueError(
            "Pictures should be of shape (height, width), (height, width, 1) or (height, width, 3). Received: "
            f"{tuple(shape)}"
        )


def _in_colors(x: Tensor, shape: Sequence[int]) -> Tensor:
    if len(shape) == 3 and shape[2] == 3:
        return x
    x = keras.layers.Reshape((*shape[:2], 1), name="gray")(x)
    return keras.layers.Concatenate(name="colors")([x, x, x])
