"""Reading of the weight files of DEC-keras, the Keras 2 implementation."""

from __future__ import annotations

import os

import h5py
import keras

from deckeras._train import hdf5_contents
from deckeras._typing import Array, Path


def load_dec_keras_weights(path: Path, *models: keras.Model) -> None:
    """Load a weight file of DEC-keras into models of the same shapes, layer by layer name.

    Args:
        path: str or path of an .h5 file that Keras 2 wrote: `ae_weights.h5`, with the layers `encoder_0` to
            `encoder_3` and `decoder_3` to `decoder_0`, or `DEC_model_final.h5`, with the encoder's and `clustering`.
        *models: models whose layers have those names: an encoder and a decoder of `dense_autoencoder`, or a `DEC`.

    Raises:
        OSError: the file is missing, truncated or not an HDF5 file.
        ValueError: the file has no layers or lacks a layer of a model, or a layer has other shapes or is stored in
            another file. No model is changed, and no code in the file is run.

    Example:
        >>> from deckeras import DEC, dense_autoencoder, load_dec_keras_weights
        >>> encoder, decoder = dense_autoencoder(784)
        >>> load_dec_keras_weights("ae_weights.h5", encoder, decoder)
        >>> model = DEC(encoder, n_clusters=10)
        >>> load_dec_keras_weights("DEC_model_final.h5", model)
    """
    layers = [layer for model in models for layer in model.layers if layer.weights]
    try:
        with hdf5_contents.opened(path) as (file, _):
            values = _values(path, file, layers)
    except (OSError, RuntimeError, KeyError) as error:  # h5py raises these for damaged files.
        raise OSError(f"{str(path)!r} is missing, truncated or not an HDF5 file: {error}") from error
    for layer, value in zip(layers, values, strict=True):
        layer.set_weights(value)


def _values(path: Path, file: h5py.File, layers: list[keras.Layer]) -> list[list[Array]]:
    try:
        hdf5_contents.check(file, os.path.getsize(path))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} should hold its weights itself. Received: {error}") from error
    group = file.get("model_weights", file)
    names = [_text(name) for name in group.attrs.get("layer_names", [])]
    missing = [layer.name for layer in layers if layer.name not in names]
    if missing:
        raise ValueError(
            f"{str(path)!r} should hold weights of the layers {missing}. Received: a file with layers {names}"
        )
    return [_read_layer(path, group[layer.name], layer) for layer in layers]


def _read_layer(path: Path, group: h5py.Group, layer: keras.Layer) -> list[Array]:
    weights = [group[_text(name)] for name in group.attrs["weight_names"]]
    # Shapes are compared before the values are read, which may be larger than memory.
    found, expected = [weight.shape for weight in weights], [tuple(weight.shape) for weight in layer.weights]
    if found != expected:
        raise ValueError(
            f"{str(path)!r} should hold weights of the shapes {expected} for layer {layer.name!r}. Received: {found}"
        )
    return [weight[()] for weight in weights]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
