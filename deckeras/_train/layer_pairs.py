"""The pairs of layers that the paper pretrains one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from deckeras import distribution
from deckeras._data import seeding


def pair_autoencoder(
    encoder: keras.Model,
    pairs: Sequence[tuple[keras.Layer, keras.Layer]],
    position: int,
    dropout: float,
    seed: int | None,
) -> keras.Model:
    """Return a model from rows to the error of the pair's reconstruction of h. The target of the error is zero."""
    encoding, decoding = pairs[position]
    inputs = hidden = keras.Input(encoder.input_shape[1:])
    for layer in encoder.layers[:position]:
        hidden = layer(hidden)
    agreed = distribution.agreed_seed(seed)
    noisy = keras.layers.Dropout(dropout, seed=seeding.layer_seed(agreed))(hidden)
    code = keras.layers.Dropout(dropout, seed=seeding.layer_seed(agreed ^ 1))(encoding(noisy))
    return keras.Model(inputs, keras.layers.Subtract()([decoding(code), hidden]))


def check_loss(loss: Any) -> None:
    """Raise ValueError if a loss compares more of two values than their difference, which is all that a pair returns.

    Args:
        loss: Keras loss, function or name.
    """
    rows = np.random.default_rng(0).uniform(0.1, 0.9, (2, 4, 8)).astype(keras.config.floatx())
    compare = keras.losses.get(loss)
    pairs = (rows[0], rows[1]), (np.zeros_like(rows[0]), rows[1] - rows[0])
    asked, found = (keras.ops.convert_to_numpy(compare(*map(keras.ops.convert_to_tensor, pair))) for pair in pairs)
    if not np.allclose(asked, found, rtol=1e-2):
        name = getattr(compare, "__name__", type(compare).__name__)
        raise ValueError(
            "Layer-wise pretraining should minimize a loss of the difference of two values, such as "
            f'deckeras.recipes.get(recipe, pretraining_loss="mse"). Received: {name}. Use pretrain_autoencoder for '
            "other losses."
        )


def mirrored_layers(encoder: keras.Model, decoder: keras.Model) -> list[tuple[keras.Layer, keras.Layer]]:
    """Return pairs (encoder layer, decoder layer that inverts it). Raise ValueError if the layers do not pair up."""
    encoding, decoding = encoder.layers, decoder.layers[::-1]
    mirrored = len(encoding) == len(decoding) and all(
        isinstance(up, keras.layers.Dense)
        and isinstance(down, keras.layers.Dense)
        and down.kernel.shape == up.kernel.shape[::-1]
        for up, down in zip(encoding, decoding, strict=True)
    )
    if not mirrored:
        raise ValueError(
            "Layer-wise pretraining needs an encoder and a decoder of Dense layers that mirror each other, as "
            f"dense_autoencoder makes them. Received: layers {[layer.name for layer in encoder.layers]} and "
            f"{[layer.name for layer in decoder.layers]}. Use pretrain_autoencoder for others."
        )
    return list(zip(encoding, decoding, strict=True))
