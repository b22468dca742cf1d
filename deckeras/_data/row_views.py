"""Rows as training and prediction read them: a few at a time, computed while they are read, never copied as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy import sparse

from deckeras import _tensors, sources
from deckeras._data import frames
from deckeras._typing import Array, RowArray, Tensor

_BATCH_VALUES = 2**22
_ODD = np.uint64(0xBF58476D1CE4E5B9)
_ONE_LENGTH = 1.001  # ratio of the longest row to the shortest, above the rounding errors of float16
_ONE_DIRECTION = 0.99  # length of the mean row, relative to the rows: its features hardly vary
_MIN_HALF = 1e-3  # share of the smaller half of the features in the sum of squares; for tf-idf it is about 0.2


def as_rows(x: Any) -> Array | sources.Blocks:
    """Return x as an array of rows, or as `sources.Blocks` if the rows are not in memory.

    Raises:
        TypeError, ValueError: as `frames.as_array` and `sources.as_source`; x cannot be converted to an array, or has
            masked values, under which an array holds any number.
    """
    table = frames.as_array(x)
    if table is not None:
        return table
    source = sources.as_source(x)
    if source is not None:
        return source
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        row = int(np.argwhere(np.ma.getmaskarray(x))[0][0])
        raise ValueError(
            f"x should have no masked values. Received: a masked array, with the first masked value in row {row}. "
            "Drop rows with masked values, or fill them in, as by x.filled(x.mean())."
        )
    try:
        values = _tensors.as_array(x)
    except Exception as error:  # Tensors of other libraries may raise errors of any kind.
        raise ValueError(
            f"x should be an array, or turn into one by numpy.asarray. Received: a {type(x).__name__} that does not: "
            f"{str(error).strip():.200} Rows should all be of one shape."
        ) from error
    if values.shape == () and values.dtype.kind in "USO":
        raise TypeError(
            f"x should be an array, or turn into one by numpy.asarray. Received: a {type(x).__name__}, {x!r:.60}, that "
            "does not. Pass its rows as an array, or columns as a pandas.DataFrame. deckeras.files.read reads a file."
        )
    return frames.object_numbers(values)


def as_indexed(x: Any) -> RowArray:
    """Return x as rows that can be chosen by their numbers. These are columns of a DataFrame, and not of a list.

    Args:
        x: as for `as_rows`, or a SciPy sparse matrix or `View`.
    """
    if isinstance(x, View):
        return x
    return View(x) if sparse.issparse(x) else as_rows(x)


def as_batch(rows: Tensor) -> Tensor:
    """Return `rows` in the float type that Keras computes in: the only copy of the data that training makes."""
    return rows if keras.ops.is_tensor(rows) else np.asarray(rows, dtype=keras.config.floatx())


def as_floats(values: Any) -> Array:
    """Return a tensor or an array of floats unchanged, and lists, tables and whole numbers as a float64 array.

    Whole numbers would cut off the fractions of what is computed from them in their own type.
    """
    if keras.ops.is_tensor(values) or isinstance(values, keras.KerasTensor):
        return values
    values = np.asarray(values)
    return values.astype(np.float64) if values.dtype.kind in "biuO" else values


def predict_batch_size(n_values: int) -> int:
    """Return the number of rows of `n_values` that fill 16 MiB, from 32 to 4,096: a batch size without gradients."""
    return int(np.clip(_BATCH_VALUES // max(1, n_values), 32, 4096))


def blocks(x: RowArray) -> Iterator[tuple[int, Any]]:
    """Yield (number of the first row, rows) over x, as many rows at a time as fill 16 MiB."""
    size = predict_batch_size(math.prod(x.shape[1:]))
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def blocks_of_rows(x: RowArray, numbers: Array) -> Iterator[Any]:
    """Yield the rows of x with the given sorted numbers, a block at a time.

    Rows that are not in memory are read once, in order, because some sources cannot be read in another order.
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
    """Return the `sources.Blocks` that rows are read from, or None if they are in memory."""
    while isinstance(x, View):
        x = x.x
    return x if isinstance(x, sources.Blocks) else None


def of_one_length(x: RowArray) -> bool:
    """Return whether all rows of x except zeros have the same Euclidean length, like tf-idf and normalized features.

    Such rows are already scaled for comparison by angle. They have different directions and comparable features. In a
    table with a time stamp or a year, rows have almost the same length too, but only because they all point along this
    feature. With places on the globe, in kilometers, they have it because all other features are small.
    """
    if math.prod(x.shape[1:]) == 1:
        return False
    shortest, longest, total, squares, n = math.inf, 0.0, 0.0, np.zeros(1), 0
    for _, block in blocks(x):
        rows = np.asarray(block, np.float64).reshape(len(block), -1)
        lengths = np.linalg.norm(rows, axis=1)
        lengths = lengths[lengths > 0]  # A text without a known word is all zeros.
        if lengths.size:
            shortest, longest = min(shortest, lengths.min()), max(longest, lengths.max())
        if longest > _ONE_LENGTH * shortest:
            return False
        total, n = total + rows.sum(axis=0), n + lengths.size
        squares = squares + np.square(rows).sum(axis=0)
    return bool(np.linalg.norm(total) < _ONE_DIRECTION * n * longest) and comparable(squares)


def comparable(squares: Array) -> bool:
    """Return whether the smaller half of the features, by their sums of squares, counts beside the larger half.

    Features that are all zeros are left out. Terms, genes and activations have a long tail, but not one as thin as that
    of categories beside an income.
    """
    squares = np.sort(np.ravel(squares)[np.ravel(squares) > 0])
    return bool(squares[: len(squares) // 2].sum() >= _MIN_HALF * squares.sum()) if len(squares) > 1 else True


def reads_itself(x: object) -> bool:
    """Return whether x has its own batches: a PyDataset, `tf.data.Dataset` or torch DataLoader."""
    if hasattr(x, "__array__"):
        return False
    return isinstance(x, keras.utils.PyDataset) or type(x).__module__.partition(".")[0] in ("tensorflow", "torch")


def take(x: RowArray, rows: Array) -> RowArray:
    """Return some of the rows of an array or a `View`, by their numbers. Those of a view are not computed yet."""
    return x.take(rows) if isinstance(x, View) else x[rows]


def fingerprint(x: RowArray, first: int = 0) -> dict[str, Any]:
    """Compute a fingerprint of a data set: its shape and two checksums of its values in Keras's float type.

    Both checksums are sums over the rows, so those of several pieces add up to those of the whole. "checksum" does not
    depend on the order of the rows; "order" does.

    Args:
        x: (n, ...) rows.
        first: int, default 0. If x is a piece of a data set, the number of its first row in the data set.
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
    """Rows that are computed while they are read, a few at a time: those of a sparse matrix, scaled rows, or both.

    It supports the part of NumPy's array interface that training and prediction use: length, shape and dtype, and an
    index that is a slice or an array of row numbers, which returns a dense array.

    Args:
        x: (n, ...) array, SciPy sparse matrix or rows that are not in memory; none of them is copied.
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
        """Return a `View` of some of the rows, by their numbers. These are copied, but `change` is not applied yet."""
        return View(take(self.x, rows), self.change)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype=dtype)
