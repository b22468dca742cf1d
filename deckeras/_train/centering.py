"""Pretraining on rows minus their mean, of an encoder that takes the unchanged rows."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from deckeras import distribution
from deckeras._data import row_views
from deckeras._typing import Array, RowArray, Tensor

_LOOKED_AT = 10_000  # rows, for their mean
# These layers change only the shape of what they are given.
_OF_SHAPE = (
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
)


@contextlib.contextmanager
def centered(
    encoder: keras.Model, decoder: keras.Model, x: RowArray
) -> Iterator[tuple[keras.Model, list[keras.callbacks.Callback]]]:
    """Yield the encoder to train on the rows of x within this block, and the callbacks of its training.

    The given encoder has the trained weights afterwards, even if the training fails. If nothing was trained, because
    the training was refused, both models are unchanged. An encoder that does not begin with a plain `Dense` layer is
    yielded itself. Untrained models start at the mean of the rows: the first layer of the encoder returns zero for the
    mean, and the decoder returns the mean for zero.
    """
    mean = _mean_row(x)
    if not np.isfinite(mean).all():
        yield encoder, []
        return
    other = _OtherCoordinates(encoder, mean) if _can_center(encoder) else None
    untrained = decoder.get_weights()
    _start_from(mean, decoder)
    if other is None:
        yield encoder, []
        return
    try:
        yield other.encoder, [other]
    finally:
        if other.trained():
            other.fold()
        else:
            decoder.set_weights(untrained)


@keras.saving.register_keras_serializable(package="deckeras", name="CenteredDense")
class Dense(keras.layers.Dense):
    """A dense layer on rows minus a mean, which is a weight.

    In .weights.h5 and .keras files, its weights are those of a dense layer on the unchanged rows. It has the class name
    of the layer that it replaces, since Keras names weights by the class of their layer. So the given encoder can load
    what a callback writes, as precisely as the type of the weights allows.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        # A checkpoint saves it, since a mean computed again may differ in its last digit.
        self.mean = self.add_weight(
            shape=input_shape[1:], initializer="zeros", trainable=False, autocast=False, name="mean"
        )

    def call(self, rows: Tensor, training: bool | None = None) -> Tensor:
        # Under mixed precision, a difference of two rounded values would have few digits.
        rows = keras.ops.cast(keras.ops.cast(rows, self.variable_dtype) - self.mean, self.compute_dtype)
        return super().call(rows, training=training)

    def for_rows(self) -> tuple[Array, Array]:
        """Return (kernel, bias) of a layer that computes the same from the unchanged rows, in float64."""
        kernel, bias, shift = self._exact()
        return kernel, bias - shift

    def set_for_rows(self, kernel: Array, bias: Array) -> None:
        """Set the weights to those of a layer on the unchanged rows, as `for_rows` returns them."""
        self.kernel.assign(kernel)
        self.bias.assign(bias + self._exact()[2])

    def save_own_variables(self, store: Any) -> None:
        for number, (weight, value) in enumerate(zip((self.kernel, self.bias), self.for_rows(), strict=True)):
            store[str(number)] = value.astype(weight.dtype)

    def load_own_variables(self, store: Any) -> None:
        self.set_for_rows(*(np.asarray(store[str(number)], np.float64) for number in range(2)))

    def _exact(self) -> tuple[Array, Array, Array]:
        weights = (self.kernel, self.bias, self.mean)
        kernel, bias, mean = (keras.ops.convert_to_numpy(weight).astype(np.float64) for weight in weights)
        return kernel, bias, mean @ kernel


class _OtherCoordinates(keras.callbacks.Callback):
    """The same encoder with another first layer, which takes rows minus their mean. They share all other layers.

    The gradient of a kernel is a sum of its inputs. Where all rows are near their mean, as images are, each step moves
    all units along the mean, and turns many of them off for good. Rows minus their mean have no such direction.

    As a callback, it writes the first layer of the given encoder at the end of each epoch, for other callbacks.
    """

    def __init__(self, encoder: keras.Sequential, mean: Array) -> None:
        super().__init__()
        self.first, *others = encoder.layers
        self.copy = Dense.from_config(self.first.get_config())
        self.copy.build((None, len(mean)))
        self.copy.mean.assign(mean)
        kernel, bias = (np.asarray(weight, np.float64) for weight in self.first.get_weights())
        self.copy.set_for_rows(kernel, bias)
        if not bias.any():
            # It was not trained. The bias for the mean would turn off the units whose kernel points away from the mean.
            self.copy.bias.assign(bias)
        self.untrained = keras.ops.convert_to_numpy(self.copy.kernel)
        layers = [keras.Input((len(mean),)), self.copy, *others]
        self.encoder = keras.Sequential(layers, name=encoder.name)

    def trained(self) -> bool:
        """Return whether the first layer has changed since the beginning."""
        return not np.array_equal(keras.ops.convert_to_numpy(self.copy.kernel), self.untrained)

    def fold(self) -> None:
        """Write the first layer of the given encoder, for unchanged rows."""
        self.first.set_weights(self.copy.for_rows())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.fold()


def _can_center(encoder: keras.Model) -> bool:
    """Return whether an encoder begins with a trainable `Dense` layer whose bias can take up the mean of its input."""
    first: Any = encoder.layers[0] if isinstance(encoder, keras.Sequential) else None
    if type(first) is not keras.layers.Dense or not first.trainable or not first.use_bias or len(encoder.layers) < 2:
        return False
    if len(encoder.input_shape) != 2:  # The layer would be applied along the last axis.
        return False
    return len(first.weights) == 2 and not (first.bias_constraint or first.bias_regularizer)


def _mean_row(x: RowArray) -> Array:
    """Return the mean of the rows of all processes, or of 10,000 of each, as a flat float32 array."""
    rows = np.arange(0, len(x), max(1, math.ceil(len(x) / _LOOKED_AT)))
    total = np.zeros(math.prod(x.shape[1:]))
    for block in row_views.blocks_of_rows(x, rows):
        total += np.asarray(block, np.float32).reshape(len(block), -1).sum(axis=0, dtype=np.float64)
    return (distribution.total(total) / distribution.total(len(rows))).astype(np.float32)


def _start_from(mean: Array, decoder: keras.Model) -> bool:
    """Set the bias of the last layer of a decoder to the mean row, if the decoder was not trained.

    Args:
        mean: (n_features,) array.
        decoder: Keras model. It should end in a linear layer, such as `Dense` or `Conv2DTranspose`.

    Returns:
        bool, True if the bias was set: to the mean of each feature, or of each channel after a convolution. A bias that
        is not zero was trained, and remains, as does that of a frozen layer.
    """
    layers = [layer for layer in decoder.layers if not isinstance(layer, keras.layers.InputLayer)]
    while layers and isinstance(layers[-1], _OF_SHAPE):
        layers.pop()
    last = layers[-1] if layers else None
    bias = getattr(last, "bias", None)
    if last is None or bias is None or not last.trainable or last.activation is not keras.activations.linear:
        return False
    size = math.prod(bias.shape)
    if getattr(last, "data_format", "channels_last") != "channels_last" or len(mean) % size:
        return False
    if np.any(keras.ops.convert_to_numpy(bias)):
        return False
    bias.assign(mean.reshape(-1, size).mean(axis=0))
    return True
