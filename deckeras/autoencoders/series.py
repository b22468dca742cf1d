"""Series: rows of several channels over time, of shape (time, channels), such as those of sensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import keras

from deckeras._typing import Initializer, Shape, Tensor
from deckeras.autoencoders.builders import check_row_shape, check_sizes, full_layer, layer_seeds


def series_autoencoder(
    series_shape: Shape,
    n_embedding: int = 10,
    *,
    row_shape: Shape | None = None,
    filters: Sequence[int] = (32, 64, 128),
    kernel_sizes: Sequence[int] = (7, 5, 3),
    activation: str | Callable[[Tensor], Tensor] | None = "relu",
    kernel_initializer: Initializer = "glorot_uniform",
    seed: int | None = 0,
) -> tuple[keras.Sequential, keras.Sequential]:
    """Build a convolutional encoder of series and the decoder that mirrors it.

    Each convolution runs over time, through all channels, and halves the time by its stride. A dense layer maps the
    result to the embedding. This is `convolutional_autoencoder` in one dimension.

    Args:
        series_shape: (time, channels) of one series.
        n_embedding: int, default 10 as in the paper.
        row_shape: tuple, the shape of a row of x, default None: flat, (time * channels,), time step by time step.
        filters: sequence of ints, the channels after each convolution, default (32, 64, 128), as for images.
        kernel_sizes: sequence of as many ints, the length of each kernel, default (7, 5, 3). Kernels are a little
            longer than for images, because they have only one dimension.
        activation, kernel_initializer, seed: as in `dense_autoencoder`.

    Returns:
        (encoder, decoder), two built `keras.Sequential`: (n, *row_shape) -> (n, n_embedding) -> (n, *row_shape).
        Embedding and reconstruction are linear, and float32 under a half-precision policy.

    Raises:
        ValueError: a size is not a positive whole number, `filters` and `kernel_sizes` differ in length, or a row does
            not hold one series.

    Example:
        >>> from deckeras import series_autoencoder
        >>> encoder, decoder = series_autoencoder((50, 3))
        >>> encoder.output_shape, decoder.output_shape
        ((None, 10), (None, 150))
    """
    check_sizes(series_shape=series_shape, n_embedding=n_embedding, filters=filters, kernel_sizes=kernel_sizes)
    if len(series_shape) != 2 or len(filters) != len(kernel_sizes):
        raise ValueError(
            "series_shape should be (time, channels), and there should be a kernel size for each number of filters. "
            f"Received: series_shape={series_shape!r}, filters={filters!r}, kernel_sizes={kernel_sizes!r}"
        )
    row_shape = check_row_shape(series_shape, row_shape)
    lengths = [int(series_shape[0])]
    for _ in filters:
        lengths.append(math.ceil(lengths[-1] / 2))
    channels, depth = [int(series_shape[1]), *map(int, filters)], len(filters)
    seeds = layer_seeds(seed, 2 * depth + 2)

    def layer(kind, size, name, last=False, **settings):
        of_layer = None if last else activation
        return full_layer(kind, size, name, next(seeds), kernel_initializer, of_layer, full_precision=last, **settings)

    def convolution(kind, size, name, i, last=False):
        return layer(kind, size, name, last, kernel_size=int(kernel_sizes[i]), strides=2, padding="same")

    encoder = keras.Sequential(
        [keras.Input(row_shape), keras.layers.Reshape(tuple(map(int, series_shape)))]
        + [convolution("Conv1D", channels[i + 1], f"encoder_{i}", i) for i in range(depth)]
        + [keras.layers.Flatten(data_format="channels_last"), layer("Dense", n_embedding, "embedding", last=True)],
        name="encoder",
    )
    inside = (lengths[-1], channels[-1])
    decoder = keras.Sequential(
        [
            keras.Input((n_embedding,)),
            layer("Dense", math.prod(inside), f"decoder_{depth}"),
            keras.layers.Reshape(inside),
        ],
        name="decoder",
    )
    for i in reversed(range(depth)):
        decoder.add(convolution("Conv1DTranspose", channels[i], f"decoder_{i}", i, last=i == 0))
        if 2 * lengths[i + 1] > lengths[i]:
            decoder.add(keras.layers.Cropping1D((0, 2 * lengths[i + 1] - lengths[i])))
    decoder.add(keras.layers.Reshape(row_shape))
    return encoder, decoder
