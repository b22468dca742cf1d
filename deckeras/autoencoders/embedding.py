"""The embedding of an autoencoder: checks of encoder and decoder, its spread, and changes of its scale."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from deckeras._typing import Array, Tensor


def scale_embedding(factor: float, encoder: keras.Model, decoder: keras.Model | None = None) -> bool:
    """Multiply the embedding by a factor, in the weights of the encoder's last layer.

    The first layer of the decoder is divided by the same factor, so that the reconstruction is unchanged.

    Returns:
        bool, True if the embedding was scaled. This needs an encoder that ends in a linear `Dense` layer, and a decoder
        that begins with a `Dense` layer. Other models, frozen and quantized layers and those with low-rank changes are
        unchanged, as are models that call such a layer twice, or whose decoder also takes the embedding elsewhere.
    """
    last = _operations(encoder)[-1]
    if not _is_plain(last) or last.activation is not keras.activations.linear or _calls(encoder, last) > 1:
        return False
    if decoder:
        first = _operations(decoder)[0]
        if not _is_plain(first) or _calls(decoder, first) > 1 or _consumers(decoder) > 1:
            return False
    last.set_weights([weight * factor for weight in last.get_weights()])
    if decoder:
        scale_decoder(factor, decoder)
    return True


def _operations(model: keras.Model) -> list[Any]:
    """Return what a model computes, in order. In a functional model, not all of it need be layers."""
    found = model.layers if isinstance(model, keras.Sequential) else getattr(model, "operations", model.layers)
    return [operation for operation in found if not isinstance(operation, keras.layers.InputLayer)]


def _calls(model: keras.Model, layer: Any) -> int:
    """Return how often a functional model calls a layer. A Sequential, for which this is 0, calls each once."""
    return [node.operation for node in _nodes(model)].count(layer)


def _consumers(model: keras.Model) -> int:
    """Return how many operations of a functional model take its input."""
    return sum(any(tensor is model.inputs[0] for tensor in node.input_tensors) for node in _nodes(model))


def _nodes(model: keras.Model) -> list[Any]:
    by_depth = getattr(model, "_nodes_by_depth", {})  # not part of Keras's public API
    return [node for nodes in by_depth.values() for node in nodes]


def _is_plain(layer: Any) -> bool:
    """Return whether a layer is a trainable `Dense` layer whose kernel alone multiplies its input."""
    if not isinstance(layer, keras.layers.Dense) or not layer.trainable:
        return False
    return not getattr(layer, "lora_enabled", False) and getattr(layer, "quantization_mode", None) is None


def scale_decoder(factor: float, decoder: keras.Model) -> None:
    """Adapt a decoder that begins with a `Dense` layer to an embedding that was multiplied by a factor."""
    first = next(layer for layer in decoder.layers if layer.weights)
    kernel, *bias = first.get_weights()
    first.set_weights([kernel / factor, *bias])


def embedding_spread(z: Array) -> float:
    """Return the mean standard deviation of the features of an embedding, (n, n_embedding), as a float above 0."""
    return max(float(z.std(axis=0, dtype=np.float64).mean()), float(np.finfo(np.float32).tiny))


@keras.saving.register_keras_serializable(package="deckeras")
def least_squares(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return half the squared distance of two rows, divided by their number of features.

    This is the loss of the paper's pretraining. The paper's text says only "least squares". Its code also divides by
    the number of features; otherwise the units of a layer die at the paper's learning rate of 0.1.

    Args:
        y_true, y_pred: (batch, n_features) tensors.

    Returns:
        (batch,) tensor.
    """
    return keras.ops.mean(keras.ops.square(y_pred - y_true), axis=-1) / 2


def check_encoder(encoder: keras.Model, reserved: str | None = None) -> None:
    """Check that `encoder` is a model with known inputs and one output of shape (batch, n_embedding).

    Args:
        reserved: the name of a layer that will be added to those of the encoder.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: it has no symbolic inputs, an output of another shape, its output in a dict, or a layer of the
            reserved name.
    """
    if not isinstance(encoder, keras.Model):
        raise TypeError(
            f"encoder should be a keras.Model. Received: {type(encoder).__name__}. "
            "deckeras.dense_autoencoder(n_features, units) builds one, and its decoder."
        )
    if not getattr(encoder, "inputs", None):
        raise ValueError(
            f"encoder {encoder.name!r} should know its inputs. Start the Sequential with keras.Input(shape), or wrap a "
            "model of your own class: inputs = keras.Input(shape); keras.Model(inputs, encoder(inputs))."
        )
    if reserved in [part.name for part in (*encoder.inputs, *_operations(encoder))]:
        raise ValueError(
            f"encoder should have no layer named {reserved!r}, which is the name of the layer that DEC adds. Received: "
            f"{encoder.name!r}, which has one. Give that layer another name, or wrap the encoder: "
            "inputs = keras.Input(shape); keras.Model(inputs, encoder(inputs))."
        )
    shapes = [output.shape for output in encoder.outputs]
    if len(encoder.inputs) != 1 or len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] is None:
        raise ValueError(
            "encoder should have one input and one output of shape (batch, n_embedding). Received: outputs of shape "
            f"{shapes}. End it with keras.layers.Flatten, a pooling or a Dense layer."
        )
    output = encoder.compute_output_spec(encoder.inputs[0])
    _check_tensor("encoder", output[0] if isinstance(output, list | tuple) else output)


def _check_tensor(name: str, output: Any) -> None:
    """Raise ValueError if the output of a model is not a tensor, but for example a dict of one tensor."""
    if keras.tree.is_nested(output):
        raise ValueError(
            f"{name} should return one tensor. Received: a model that returns a {type(output).__name__}, "
            f"{output!r:.100}. Make a keras.Model whose outputs are the tensor itself."
        )


def check_decoder(encoder: keras.Model, decoder: keras.Model) -> None:
    """Check that `decoder` is a model that maps the encoder's embedding back to its rows.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: it takes or returns another shape, or a dict or list of tensors.
    """
    if not isinstance(decoder, keras.Model):
        raise TypeError(f"decoder should be a keras.Model. Received: {type(decoder).__name__}")
    if getattr(decoder, "inputs", None):
        _check_tensor("decoder", decoder.compute_output_spec(decoder.inputs[0]))
    row = decoder.compute_output_shape(encoder.output_shape)
    if tuple(row[1:]) != tuple(encoder.input_shape[1:]):
        raise ValueError(
            f"The decoder should give rows of shape {tuple(encoder.input_shape[1:])}, which is what the encoder takes. "
            f"Received: {tuple(row[1:])}"
        )
