"""Builders of (encoder, decoder) pairs of `keras.Sequential` models."""

import random

import keras
import numpy as np

from deckeras.clustering import HALF_PRECISION


def dense_autoencoder(
    n_features,
    units=(500, 500, 2000, 10),
    *,
    activation="relu",
    kernel_initializer="glorot_uniform",
    seed=0,
):
    """Build a dense encoder and the decoder that mirrors it.

    With the default units the encoder is n_features-500-500-2000-10 and the decoder 10-2000-500-500-n_features. The
    embedding and the reconstruction are linear, so that they can take any value. The layers are named as in DEC-keras,
    `encoder_0` to `encoder_3` and `decoder_3` to `decoder_0`: `decoder_i` inverts `encoder_i`.

    Args:
        n_features: int, the width of a row.
        units: sequence of ints, the widths of the encoder's layers; the last is the embedding. Default
            (500, 500, 2000, 10), as in the paper.
        activation: activation of the hidden layers, default `"relu"` as in the paper.
        kernel_initializer: Keras initializer or its name, default `"glorot_uniform"`. Each layer gets one of its own,
            with its own seed. The paper draws from `keras.initializers.RandomNormal(stddev=0.01)`, which needs the
            layer-wise pretraining.
        seed: int, default 0. The same seed gives the same weights; None draws fresh ones each time.

    Returns:
        (encoder, decoder), two built `keras.Sequential`: (n, n_features) -> (n, units[-1]) -> (n, n_features). Under a
        half-precision policy their last layers stay float32: an embedding in half precision could not tell near rows
        apart.

    Raises:
        ValueError: `n_features` or one of `units` is not a positive whole number, or `units` is empty.

    Example:
        >>> from deckeras import dense_autoencoder
        >>> encoder, decoder = dense_autoencoder(784)
        >>> encoder.output_shape, decoder.output_shape
        ((None, 10), (None, 784))

    Source: Xie, Girshick and Farhadi, ICML 2016, sections 3.3 and 4.3.
    """
    widths = [n_features, *units]
    if len(widths) < 2 or any(not hasattr(width, "__index__") or width < 1 for width in widths):
        raise ValueError(
            "n_features and units should be positive whole numbers, with at least one unit. "
            f"Received: n_features={n_features!r}, units={units!r}"
        )
    seeds = iter(np.random.SeedSequence(seed).generate_state(2 * len(units)).tolist())
    full_precision = "float32" if keras.config.dtype_policy().compute_dtype in HALF_PRECISION else None

    def dense(name, width, last):
        return keras.layers.Dense(
            width,
            activation=None if last else activation,
            kernel_initializer=_seeded(kernel_initializer, next(seeds)),
            dtype=full_precision if last else None,
            name=name,
        )

    depth = len(units)
    encoder = keras.Sequential(
        [keras.Input((n_features,))]
        + [dense(f"encoder_{i}", width, last=i == depth - 1) for i, width in enumerate(units)],
        name="encoder",
    )
    decoder = keras.Sequential(
        [keras.Input((units[-1],))] + [dense(f"decoder_{i}", widths[i], last=i == 0) for i in reversed(range(depth))],
        name="decoder",
    )
    return encoder, decoder


def check_encoder(encoder):
    """Check that `encoder` is a model with known inputs and one output of shape (batch, n_embedding).

    Raises:
        TypeError: it is not a Keras model.
        ValueError: it has no symbolic inputs, or an output of another shape.
    """
    if not isinstance(encoder, keras.Model):
        raise TypeError(f"encoder should be a keras.Model. Received: {type(encoder).__name__}")
    if not getattr(encoder, "inputs", None):
        raise ValueError(
            f"encoder {encoder.name!r} should know its inputs. Start the Sequential with keras.Input(shape), or wrap a "
            "model of your own class: inputs = keras.Input(shape); keras.Model(inputs, encoder(inputs))."
        )
    shapes = [output.shape for output in encoder.outputs]
    if len(encoder.inputs) != 1 or len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] is None:
        raise ValueError(
            "encoder should have one input and one output of shape (batch, n_embedding). Received: outputs of shape "
            f"{shapes}. End it with keras.layers.Flatten, a pooling or a Dense layer."
        )


def _seeded(initializer, seed):
    """A copy of the initializer with this seed: one instance shared between layers would repeat its values."""
    state = random.getstate()  # Keras draws from the caller's generator for every initializer made by name
    try:
        initializer = keras.initializers.get(initializer)
    finally:
        random.setstate(state)
    config = initializer.get_config()
    if "seed" in config:
        config["seed"] = seed
    return type(initializer).from_config(config)
