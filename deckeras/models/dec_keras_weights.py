"""Reads the weight files of DEC-keras, the Keras 2 implementation."""

import h5py


def load_dec_keras_weights(path, *models):
    """Load a weight file of DEC-keras into models of the same shapes, layer by layer name.

    Args:
        path: str or path of an .h5 file that Keras 2 wrote: `ae_weights.h5`, with the layers `encoder_0` to
            `encoder_3` and `decoder_3` to `decoder_0`, or `DEC_model_final.h5`, with the encoder's and `clustering`.
        *models: models whose layers bear those names: an encoder and a decoder of `dense_autoencoder`, or a `DEC`.

    Raises:
        OSError: the file is missing, truncated or no HDF5 file.
        ValueError: the file has no layers, lacks one of a model's, or holds it in other shapes. No model is changed.

    Example:
        >>> from deckeras import DEC, dense_autoencoder, load_dec_keras_weights
        >>> encoder, decoder = dense_autoencoder(784)
        >>> load_dec_keras_weights("ae_weights.h5", encoder, decoder)
        >>> model = DEC(encoder, n_clusters=10)
        >>> load_dec_keras_weights("DEC_model_final.h5", model)
    """
    layers = [layer for model in models for layer in model.layers if layer.weights]
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise OSError(f"{str(path)!r} is missing, truncated or no HDF5 file: {error}") from error
    with file:
        group = file.get("model_weights", file)
        names = [_text(name) for name in group.attrs.get("layer_names", [])]
        missing = [layer.name for layer in layers if layer.name not in names]
        if missing:
            raise ValueError(
                f"{str(path)!r} should hold weights of the layers {missing}. Received: a file with layers {names}"
            )
        values = [_read_layer(path, group[layer.name], layer) for layer in layers]
    for layer, value in zip(layers, values, strict=True):
        layer.set_weights(value)


def _read_layer(path, group, layer):
    values = [group[_text(name)][()] for name in group.attrs["weight_names"]]
    found, expected = [value.shape for value in values], [tuple(weight.shape) for weight in layer.weights]
    if found != expected:
        raise ValueError(
            f"{str(path)!r} should hold weights of the shapes {expected} for layer {layer.name!r}. Received: {found}"
        )
    return values


def _text(name):
    return name.decode() if isinstance(name, bytes) else str(name)
