"""Affine maps of images by bilinear interpolation, with the fastest method of each backend."""

from __future__ import annotations

from collections.abc import Iterator

import keras
from keras import ops

from deckeras._typing import Tensor


def warp(images: Tensor, maps: Tensor, edge: bool = False) -> Tensor:
    """Sample images at the places that affine maps determine.

    Args:
        images: (n, height, width, channels) float tensor.
        maps: (n, 2, 3) float tensor. It maps (column, row, 1) of a pixel to the column and row of the image that the
            pixel shows.
        edge: bool, default False. True if pixels beyond the image have the value at its edge; otherwise they are 0.

    Returns:
        Tensor of the shape of `images`.
    """
    # On PyTorch and JAX, Keras's own transform takes several times as long, because it computes each pixel from several
    # arrays of indices.
    match keras.config.backend():
        case "torch":
            return _by_grid_sample(images, maps, edge)
        case "jax":
            return _by_gathering(images, maps, edge)
    flat = ops.pad(ops.reshape(maps, (-1, 6)), [[0, 0], [0, 2]])
    fill = "nearest" if edge else "constant"
    return ops.image.affine_transform(images, flat, fill_mode=fill, data_format="channels_last")


def _places(maps: Tensor, height: int, width: int) -> Iterator[Tensor]:
    """Return the columns and the rows, (n, height, width) each, that the pixels show."""
    columns, rows = ops.arange(width, dtype="float32"), ops.arange(height, dtype="float32")[:, None]
    maps = maps[:, :, :, None, None]
    return (maps[:, axis, 0] * columns + maps[:, axis, 1] * rows + maps[:, axis, 2] for axis in (0, 1))


def _by_grid_sample(images: Tensor, maps: Tensor, edge: bool) -> Tensor:
    import torch

    height, width = images.shape[1:3]
    sizes = zip(_places(maps, height, width), (width, height), strict=True)
    # From -1 to 1 between the centers of the first and the last pixel. An image of one pixel has no such distance.
    grid = torch.stack([2 * place / max(size - 1, 1) - float(size > 1) for place, size in sizes], dim=-1)
    options = {"padding_mode": "border" if edge else "zeros", "align_corners": True}
    return torch.nn.functional.grid_sample(images.permute(0, 3, 1, 2), grid, **options).permute(0, 2, 3, 1)


def _by_gathering(images: Tensor, maps: Tensor, edge: bool) -> Tensor:
    n, height, width, channels = images.shape
    # Add one pixel around the image. Everything beyond the image shows this pixel.
    padded = ops.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="edge" if edge else "constant")
    pixels = ops.reshape(padded, (n, (height + 2) * (width + 2), channels))

    def neighbors(places, size):
        places = ops.clip(places, 0, size - 1) if edge else places
        low = ops.floor(places)
        pair = (ops.cast(ops.clip(near, -1, size) + 1, "int32") for near in (low, low + 1))
        return *pair, (places - low)[..., None]

    columns, rows = _places(maps, height, width)
    left, right, along = neighbors(columns, width)
    upper, lower, down = neighbors(rows, height)

    def at(row, column):
        numbers = ops.reshape(row * (width + 2) + column, (n, height * width, 1))
        return ops.reshape(ops.take_along_axis(pixels, numbers, axis=1), images.shape)

    above = at(upper, left) * (1 - along) + at(upper, right) * along
    below = at(lower, left) * (1 - along) + at(lower, right) * along
    return above * (1 - down) + below * down
