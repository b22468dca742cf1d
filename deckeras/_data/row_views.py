"""Rows as training and prediction read them: a few at a time, made while they are read, never copied as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy import sparse

from deckeras import sources
from deckeras._data import frames
from deckeras._typing import Array, RowArray, Tensor

_BATCH_VALUES = 2**22
_ODD = np.uint64(0xBF58476D1CE4E5B9)
_ONE_LENGTH = 1.001  # ratio of the longest row to the shortest, past the rounding of float16


def as_rows(x: Any) -> Array | sources.Blocks:
    """Return x as an array of rows, or as `sources.Blocks` where the rows do not lie in memory."""
    table = frames.as_array(x)
    if table is not None:
        return table
    source = sources.as_source(x)
    if source is not None:
        return source
    try:
        values = np.asarray(x)
    except Exception as error:  # Tensors of other libraries raise errors of their own.
        raise ValueError(
            f"x should be an array, or turn into one by numpy.asarray. Received: a {type(x).__name__} that does not: "
            f"{str(error).strip():.200} Rows should all be of one shape."
        ) from error
    return frames.object_numbers(values)


def as_batch(rows: Tensor) -> Tensor:
    """Return `rows` in the float type that Keras computes in: the only copy of the data that training makes."""
    return rows if keras.ops.is_tensor(rows) else np.asarray(rows, dtype=keras.config.floatx())


def predict_batch_size(n_values: int) -> int:
    """Return the rows of a batch without gradients: as many of `n_values` each as fill 16 MiB, from 32 to 4,096."""
    return int(np.clip(_BATCH_VALUES // max(1, n_values), 32, 4096))


def blocks(x: RowArray) -> Iterator[tuple[int, Any]]:
    """Yield (number of the first row, rows) over x, as many rows at a time as fill 16 MiB."""
    size = predict_batch_size(math.prod(x.shape[1:]))
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def blocks_of_rows(x: RowArray, numbers: Array) -> Iterator[Any]:
    """Yield some rows of x, by their sorted numbers, a block of them at a time.

    Rows that do not lie in memory are read once, in order, since their files cannot be read in any other.
    """
    size = predict_batch_size(math.prod(x.shape[1:]))
    if blocks_of(x) is None:
        for start in range(0, len(numbers), size):
            yield x[numbers[start : start + size]]
        return
    for start, block in blocks(x):
        inside = numbers[(numbers >= start) & (numbers < start + len(block))]
        if len(inside):
            yield block[inside - start]


def blocks_of(x: object) -> sources.Blocks | None:
    """Return the `sources.Blocks` that rows are read from, or None where they lie in memory."""
    while isinstance(x, View):
        x = x.x
    return x if isinstance(x, sources.Blocks) else None


def of_one_length(x: RowArray) -> bool:
    """Return whether all rows of x but zeros have the same Euclidean length, as tf-idf and normalized features have.

    Such rows are scaled already, to be compared by the angle between them.
    """
    if math.prod(x.shape[1:]) == 1:
        return False
    shortest, longest = math.inf, 0.0
    for _, block in blocks(x):
        rows = np.asarray(block, np.float64).reshape(len(block), -1)
        lengths = np.linalg.norm(rows, axis=1)
        lengths = lengths[lengths > 0]  # A text without a known word is all zeros.
        if lengths.size:
            shortest, longest = min(shortest, lengths.min()), max(longest, lengths.max())
        if longest > _ONE_LENGTH * shortest:
            return False
    return longest > 0


def reads_itself(x: object) -> bool:
    """Return whether x has batches of its own: a PyDataset, `tf.data.Dataset` or torch DataLoader."""
    if hasattr(x, "__array__"):
        return False
    return isinstance(x, keras.utils.PyDataset) or type(x).__module__.partition(".")[0] in ("tensorflow", "torch")


def take(x: RowArray, rows: Array) -> RowArray:
    """Return some of the rows of an array or a `View`, by their numbers; those of a view are not made yet."""
    return x.take(rows) if isinstance(x, View) else x[rows]


def fingerprint(x: RowArray, first: int = 0) -> dict[str, Any]:
    """Compute what tells one data set from another: its shape and two checksums of its values in Keras's floats.

    Both are sums over the rows, so that those of several pieces add up to those of the whole. "checksum" is the same in
    whichever order the rows come; "order" is not.

    Args:
        x: (n, ...) rows.
        first: int, default 0. The number of the first row in the data set that x is a piece of.
    """
    width = math.prod(x.shape[1:])
    factors = np.random.default_rng(0).integers(2**63, size=width, dtype=np.uint64) * 2 + 1
    checksum = order = 0
    for start, block in blocks(x):
        bits = np.ascontiguousarray(as_batch(block)).reshape(len(block), width)
        hashes = (bits.view(f"u{bits.itemsize}") * factors).sum(axis=1)
        hashes = (hashes ^ (hashes >> 29)) * _ODD  # else values could change places between rows
        numbers = np.arange(first + start, first + start + len(block), dtype=np.uint64)
        checksum += int(hashes.sum())
        order += int((hashes * (2 * numbers + 1)).sum())
    return {
        "n_samples": len(x),
        "row_shape": list(x.shape[1:]),
        "checksum": checksum % 2**64,
        "order": order % 2**64,
    }


class View:
    """Rows that are made while they are read, a few at a time: of a sparse matrix, scaled, or both.

    It is as much of an array as training and prediction use: its length, shape and dtype, and slices and arrays of row
    numbers as an index, which give a dense array.

    Args:
        x: (n, ...) array, SciPy sparse matrix or rows that do not lie in memory; none is copied.
        change: function of a dense batch of rows that returns a batch, default None (the rows unchanged). It must
            keep their shape.
    """

    def __init__(self, x: Any, change: Callable[[Array], Array] | None = None) -> None:
        if sparse.issparse(x):
            x = x.tocsr()
        self.x = x if isinstance(x, View | sparse.spmatrix | sparse.sparray) else as_rows(x)
        self.change = change
        self.checked = False
        self.shape, self.ndim, self.dtype = self.x.shape, self.x.ndim, np.dtype(keras.config.floatx())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Array:
        rows: Any = self.x[index]
        rows = rows.toarray() if sparse.issparse(rows) else rows
        return as_batch(rows if self.change is None else self.change(rows))

    def take(self, rows: Array) -> View:
        """Return a `View` of some of the rows, by their numbers; these are copied, but not changed yet."""
        return View(take(self.x, rows), self.change)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype=dtype)
