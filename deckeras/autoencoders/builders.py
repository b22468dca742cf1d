"""Builders of (encoder, decoder) pairs of `keras.Sequential` models."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from deckeras import distribution
from deckeras._typing import Initializer, Shape, Tensor
from deckeras.layers import HALF_PRECISION

_SEQUENCES = {
    "units": "500, 10",
    "image_shape": "28, 28",
    "filters": "32, 64",
    "series_shape": "50, 3",
    "kernel_sizes": "5, 3",
}


def dense_autoencoder(
    n_features: int,
    units: Sequence[int] = (500, 500, 2000, 10),
    *,
    activation: str | Callable[[Tensor], Tensor] | None = "relu",
    kernel_initializer: Initializer = "glorot_uniform",
    seed: int | None = 0,
) -> tuple[keras.Sequential, keras.Sequential]:
    """Build a dense encoder and the decoder that mirrors it.

    With the default units the encoder is n_features-500-500-2000-10 and the decoder 10-2000-500-500-n_features. The
    embedding and the reconstruction are linear, so that they can take any value. The layers have the names of
    DEC-keras, `encoder_0` to `encoder_3` and `decoder_3` to `decoder_0`: `decoder_i` inverts `encoder_i`.

    Args:
        n_features: int, the width of a row.
        units: sequence of ints, the widths of the encoder's layers. The last is that of the embedding. Default
            (500, 500, 2000, 10), as in the paper.
        activation: activation of the hidden layers, default `"relu"` as in the paper.
        kernel_initializer: Keras initializer or its name, default `"glorot_uniform"`. Each layer gets its own copy,
            with its own seed. The paper draws from `keras.initializers.RandomNormal(stddev=0.01)`, which needs the
            layer-wise pretraining.
        seed: int, default 0. The same seed gives the same weights. None draws new weights each time.

    Returns:
        (encoder, decoder), two built `keras.Sequential`: (n, n_features) -> (n, units[-1]) -> (n, n_features). Under a
        half-precision policy their last layers remain in float32, because an embedding in half precision could not
        distinguish near rows.

    Raises:
        ValueError: `n_features` or one of `units` is not a positive whole number, or `units` is empty.

    Example:
        >>> from deckeras import dense_autoencoder
        >>> encoder, decoder = dense_autoencoder(784)
        >>> encoder.output_shape, decoder.output_shape
        ((None, 10), (None, 784))

    Source: Xie, Girshick and Farhadi, ICML 2016, sections 3.3 and 4.3.
    """
    check_sizes(n_features=n_features, units=units)
    # Keras does not accept NumPy integers.
    n_features, units = int(n_features), list(map(int, units))
    widths, depth = [n_features, *units], len(units)
    seeds = layer_seeds(seed, 2 * depth)

    def dense(name, width, last):
        activation_of = None if last else activation
        return full_layer("Dense", width, name, next(seeds), kernel_initializer, activation_of, full_precision=last)

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


def convolutional_autoencoder(
    image_shape: Shape,
    n_embedding: int = 10,
    *,
    row_shape: Shape | None = None,
    filters: Sequence[int] = (32, 64, 128),
    kernel_sizes: Sequence[int] = (5, 5, 3),
    activation: str | Callable[[Tensor], Tensor] | None = "relu",
    kernel_initializer: Initializer = "glorot_uniform",
    seed: int | None = 0,
) -> tuple[keras.Sequential, keras.Sequential]:
    """Build a convolutional encoder of images and the decoder that mirrors it.

    Each convolution halves height and width by its stride, without pooling, and a dense layer maps the result to the
    embedding. The decoder has one transposed convolution for each convolution. If a side was odd, the decoder crops the
    extra pixels, so that the reconstruction has the size of the image.

    Args:
        image_shape: (height, width) or (height, width, channels) of one image.
        n_embedding: int, default 10 as in the paper.
        row_shape: tuple, the shape of a row of x, default None: flat, (height * width * channels,), as in
            `deckeras.datasets` and `image_augmentation`.
        filters: sequence of ints, the channels after each convolution, default (32, 64, 128) as in the source.
        kernel_sizes: sequence of as many ints, the side of each kernel in pixels, default (5, 5, 3) as in the source.
        activation, kernel_initializer, seed: as in `dense_autoencoder`.

    Returns:
        (encoder, decoder), two built `keras.Sequential`: (n, *row_shape) -> (n, n_embedding) -> (n, *row_shape).
        Embedding and reconstruction are linear, and float32 under a half-precision policy.

    Raises:
        ValueError: a size is not a positive whole number, `filters` and `kernel_sizes` differ in length, or a row does
            not hold one image.

    Example:
        >>> from deckeras import convolutional_autoencoder
        >>> encoder, decoder = convolutional_autoencoder((28, 28))
        >>> encoder.output_shape, decoder.output_shape
        ((None, 10), (None, 784))

    Source: Guo, Liu, Zhu and Yin, "Deep Clustering with Convolutional Autoencoders", ICONIP 2017, figure 1. The source
    uses "valid" padding if 8 does not divide the side. Here the last map of a 28 by 28 image is 4 by 4, not 3 by 3.
    """
    check_sizes(image_shape=image_shape, n_embedding=n_embedding, filters=filters, kernel_sizes=kernel_sizes)
    if len(filters) != len(kernel_sizes):
        raise ValueError(
            f"There should be a kernel size for each number of filters. Received: filters={filters!r}, "
            f"kernel_sizes={kernel_sizes!r}"
        )
    row_shape = check_row_shape(image_shape, row_shape)
    # Keras does not accept NumPy integers.
    height, width, *channels = map(int, image_shape)
    filters, kernel_sizes = list(map(int, filters)), list(map(int, kernel_sizes))
    # The shape of the image, then that of the output of each convolution.
    shapes = [(height, width, *(channels or [1]))]
    for count in filters:
        shapes.append((math.ceil(shapes[-1][0] / 2), math.ceil(shapes[-1][1] / 2), count))
    depth, seeds = len(filters), layer_seeds(seed, 2 * len(filters) + 2)

    def layer(kind, size, name, last=False, **settings):
        activation_of = None if last else activation
        return full_layer(
            kind, size, name, next(seeds), kernel_initializer, activation_of, full_precision=last, **settings
        )

    def convolution(kind, size, i, last=False):
        name = f"{'encoder' if kind == 'Conv2D' else 'decoder'}_{i}"
        return layer(kind, size, name, last, kernel_size=kernel_sizes[i], strides=2, padding="same")

    encoder = keras.Sequential(
        [keras.Input(row_shape), keras.layers.Reshape(shapes[0])]
        + [convolution("Conv2D", count, i) for i, count in enumerate(filters)]
        + [keras.layers.Flatten(data_format="channels_last"), layer("Dense", n_embedding, "embedding", last=True)],
        name="encoder",
    )
    decoder = keras.Sequential(
        [keras.Input((n_embedding,)), layer("Dense", math.prod(shapes[-1]), f"decoder_{depth}")], name="decoder"
    )
    decoder.add(keras.layers.Reshape(shapes[-1]))
    for i in reversed(range(depth)):
        decoder.add(convolution("Conv2DTranspose", shapes[i][2], i, last=i == 0))
        over = [2 * small - large for small, large in zip(shapes[i + 1][:2], shapes[i][:2], strict=True)]
        if any(over):
            decoder.add(keras.layers.Cropping2D([(0, pixels) for pixels in over]))
    decoder.add(keras.layers.Reshape(row_shape))
    return encoder, decoder


def check_row_shape(image_shape: Shape, row_shape: Shape | None = None) -> tuple[int, ...]:
    """Return the shape of a row that holds one image, by default flat. Raise ValueError if the row cannot hold it."""
    if len(image_shape) not in (2, 3):
        raise ValueError(
            f"image_shape should be (height, width) or (height, width, channels). Received: {tuple(image_shape)}"
        )
    row_shape = (math.prod(image_shape),) if row_shape is None else tuple(row_shape)
    if math.prod(row_shape) != math.prod(image_shape):
        raise ValueError(
            f"A row should hold one image of shape {tuple(image_shape)}. Received: row_shape={row_shape}, "
            f"which holds {math.prod(row_shape)} values instead of {math.prod(image_shape)}"
        )
    return tuple(map(int, row_shape))


def check_sizes(**sizes: Any) -> None:
    """Raise ValueError if a size, or an element of a sequence of sizes, is not a positive whole number."""
    for name, values in sizes.items():
        if name in _SEQUENCES:
            if not isinstance(values, list | tuple | range | np.ndarray):
                raise ValueError(
                    f"{name} should be a sequence of positive whole numbers, such as ({_SEQUENCES[name]}). "
                    f"Received: {name}={values!r}"
                )
            values = list(values)
        else:
            values = [values]
        if not values or any(not _is_count(value) for value in values):
            raise ValueError(f"{name} should hold positive whole numbers, at least one. Received: {values!r}")


def _is_count(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and np.ndim(value) == 0 and value >= 1


def layer_seeds(seed: int | None, count: int) -> Iterator[int]:
    """Return an iterator over `count` seeds for layers, the same in all processes, even if `seed` is None."""
    seed = distribution.agreed_seed(None) if seed is None else seed
    return iter(np.random.SeedSequence(seed).generate_state(count).tolist())


def full_layer(
    kind: str,
    size: int,
    name: str,
    seed: int | None,
    kernel_initializer: Initializer,
    activation: str | Callable[[Tensor], Tensor] | None,
    full_precision: bool,
    **settings: Any,
) -> keras.Layer:
    """Build a Keras layer with its own initializer. Under a half-precision policy, the last layer is in float32."""
    half = keras.config.dtype_policy().compute_dtype in HALF_PRECISION
    if kind.startswith("Conv"):
        settings["data_format"] = "channels_last"  # as the shapes of rows, whatever Keras's own setting
    return getattr(keras.layers, kind)(
        int(size),
        activation=activation,
        kernel_initializer=_seeded(kernel_initializer, seed),
        dtype="float32" if full_precision and half else None,
        name=name,
        **settings,
    )


def _seeded(initializer: Initializer, seed: int | None) -> keras.initializers.Initializer:
    """Return a copy of the initializer with this seed. One instance for several layers would repeat its values."""
    # Keras draws from Python's global generator for every initializer that is built by name.
    state = random.getstate()
    try:
        found = keras.initializers.get(initializer)
    finally:
        random.setstate(state)
    config = found.get_config()
    if "seed" in config:
        config["seed"] = seed
    return type(found).from_config(config)
