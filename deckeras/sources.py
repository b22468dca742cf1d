"""Rows that are not in memory: mapped files, HDF5 data sets, and batches such as those of a PyDataset.

Reading single rows in random order would be slow, so rows are read in contiguous blocks, each once per epoch. An epoch
in random order reads the blocks in random order, a window of about 32 MiB at a time, and shuffles the rows of each
window. The most recently read rows, up to two windows, remain in memory, because a batch can extend from one window
into the next.
"""

from __future__ import annotations

import collections
import itertools
import math
import mmap
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt
from scipy import sparse

from deckeras import _tensors
from deckeras._typing import Array

_BLOCK_BYTES = 2**22
_WINDOW_BYTES = 2**25


def as_source(x: Any) -> Blocks | None:
    """Return rows that are not in memory as `Blocks`, and None for anything else.

    Args:
        x: anything.

    Returns:
        `Blocks`, if x is one, an `np.memmap` of a file, an `h5py.Dataset`, a `keras.utils.PyDataset`, or anything that
        yields batches of rows each time it is iterated over, such as a `tf.data.Dataset` or a
        `torch.utils.data.DataLoader`. If the batches of a PyDataset or of an iterable are tuples, such as (x, y), their
        first element is used.

    Raises:
        ValueError: the batches have no end, differ in the shape of their rows, or change each time they are read.
        TypeError: the batches are not arrays of rows.
    """
    if isinstance(x, Blocks):
        return x
    if isinstance(x, np.memmap):
        position = _position(x)
        return None if position is None else _File(x, position)
    if isinstance(x, h5py.Dataset):
        return _Dataset(x) if x.ndim > 1 and x.size else None
    if isinstance(x, keras.utils.PyDataset):
        return _PyDataset(x)
    if hasattr(x, "__iter__") and not hasattr(x, "__array__") and not isinstance(x, list | tuple | str | bytes | dict):
        return None if sparse.issparse(x) else _Stream(x)
    return None


def row_numbers(index: Any, n: int) -> npt.NDArray[np.int64]:
    """Return the numbers of the rows that NumPy would select from n rows by an index.

    Args:
        index: int, slice, array of ints (negative ones count from the end) or boolean mask of n.
        n: int.

    Returns:
        int array. It has the shape of an index that is an int or an array of ints, and is 1-D otherwise.

    Raises:
        IndexError: a row is out of range, a mask has another length, or the index is of another kind.
    """
    if isinstance(index, slice):
        return np.arange(*index.indices(n))
    rows = np.asarray(index)
    if rows.dtype == bool:
        if rows.shape != (n,):
            raise IndexError(f"A mask should be of shape ({n},), one value a row. Received: shape {rows.shape}")
        return np.flatnonzero(rows)
    if not rows.size and isinstance(index, list | tuple):
        rows = rows.astype(np.int64)
    if rows.dtype.kind not in "iu" or isinstance(index, tuple):
        raise IndexError(
            f"Rows should be chosen by a number, a slice, an array of numbers or a mask. Received: {index!r:.100}"
        )
    rows = rows.astype(np.int64)
    if rows.size and not (-n <= rows.min() and rows.max() < n):
        raise IndexError(f"Row numbers should be from {-n} to {n - 1}. Received: {rows.min()} to {rows.max()}")
    return np.where(rows < 0, rows + n, rows)


def rows_of_batch(batch: Any, source: str) -> Array:
    """Return the rows in a batch: the batch itself, or the first element of a tuple, such as (x, y).

    Args:
        batch: one element of a source of batches.
        source: str, the class of the source.

    Raises:
        TypeError: it is not an array of real numbers, for example a dict of arrays.
        ValueError: its dimension is less than 2.
    """
    rows: Any = batch[0] if isinstance(batch, list | tuple) and len(batch) else batch
    rows = rows.toarray() if sparse.issparse(rows) else rows
    if isinstance(rows, dict):
        raise TypeError(
            f"x should give arrays of rows, or tuples of them. Received: dict from a "
            f"{source}, of {', '.join(map(str, rows))}. Choose one of them, or stack them as the columns of one array."
        )
    if not hasattr(rows, "__array__"):
        raise TypeError(
            f"x should give arrays of rows, or tuples of them. Received: {type(rows).__name__} from a {source}"
        )
    rows = _tensors.as_array(rows)
    if rows.dtype.kind not in "fiub":
        raise TypeError(f"x should hold real numbers. Received: dtype {rows.dtype} from a {source}")
    if rows.ndim < 2:
        raise ValueError(
            f"x should give batches of rows, of shape (n_rows, ...). Received: shape {rows.shape} from a {source}. "
            "Batch it first."
        )
    return rows


def check_end(x: Any) -> None:
    """Raise ValueError if a source of batches declares that it has no end."""
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches is None:
            raise ValueError("x should have an end. Received: a PyDataset whose num_batches is None")
    elif getattr(x, "cardinality", lambda: 0)() == -1:
        raise ValueError(f"x should have an end. Received: an infinite {type(x).__name__}. Leave out its repeat().")


class Blocks:
    """Rows that are read in blocks, with only a few blocks in memory at a time.

    Supports the part of NumPy's array interface that training and prediction use. Subclasses implement `_read`. Several
    threads may read at the same time.

    Args:
        sizes: sequence of ints, the number of rows in each block.
        row_shape: tuple, the shape of a row.
        dtype: NumPy dtype.

    Attributes:
        shape, ndim, dtype: as of an array.
        checked: bool, True if `check_rows` has found all values finite.
    """

    in_order = False  # True if blocks can only be read one after the other, from the beginning

    def __init__(self, sizes: Sequence[int] | Array, row_shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.shape = (int(self._starts[-1]), *row_shape)
        self.dtype = np.dtype(dtype)
        self.checked = False
        self._kept, self._kept_bytes = collections.OrderedDict(), 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> Array:
        rows = row_numbers(index, len(self))
        if rows.ndim != 1:
            return self[rows.ravel()].reshape(*rows.shape, *self.shape[1:])
        where = np.searchsorted(self._starts, rows, side="right") - 1
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        with self._lock:
            for block in np.unique(where):
                here = where == block
                found[here] = self._block(block)[rows[here] - self._starts[block]]
        return found

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype=dtype)

    def flat(self) -> Blocks:
        """Return the same rows, each as a vector."""
        return _Arranged(self, (math.prod(self.shape[1:]),), lambda rows: rows.reshape(len(rows), -1))

    def channels_last(self) -> Blocks:
        """Return the same images of (channels, height, width) with the channels at the end."""
        return _Arranged(self, (*self.shape[2:], self.shape[1]), lambda rows: np.moveaxis(rows, 1, 3))

    def order(self, random: np.random.Generator) -> Array:
        """Return the numbers of all rows in a random order in which each block need be read only once.

        Args:
            random: `numpy.random.Generator`.
        """
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if len(self) * row_bytes <= _WINDOW_BYTES:
            return random.permutation(len(self))
        blocks = np.arange(len(self._starts) - 1)
        blocks = blocks if self.in_order else random.permutation(blocks)
        sizes = np.diff(self._starts)[blocks]
        window = (np.cumsum(sizes) - sizes) * row_bytes // _WINDOW_BYTES
        rows = [np.arange(self._starts[block], self._starts[block + 1]) for block in blocks]
        return np.concatenate(
            [
                random.permutation(np.concatenate(rows[first:last]))
                for first, last in itertools.pairwise([*np.unique(window, return_index=True)[1], len(blocks)])
            ]
        )

    def _block(self, number: int) -> Array:
        if number not in self._kept:
            for found, rows in self._read(number):
                self._forget(found)
                self._kept[found] = rows
                self._kept_bytes += rows.nbytes
                while self._kept_bytes > 2 * _WINDOW_BYTES and len(self._kept) > 1:
                    self._forget(next(iter(self._kept)))
        self._kept.move_to_end(number)
        return self._kept[number]

    def _forget(self, number: int) -> None:
        if number in self._kept:
            self._kept_bytes -= self._kept.pop(number).nbytes

    def _read(self, number: int) -> Iterator[tuple[int, Array]]:
        """Yield (number, rows) of blocks. The last one is the requested block."""
        raise NotImplementedError


class Items(Blocks):
    """Rows that are read one at a time, such as files, and never kept in memory.

    Subclasses implement `_each`. Several threads may read at the same time.

    Args:
        n: int, the number of rows.
        row_shape, dtype: as of `Blocks`. Values should be finite.
    """

    def __init__(self, n: int, row_shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        super().__init__(np.ones(n, np.int64), row_shape, dtype)
        self.checked = True

    def __getitem__(self, index: Any) -> Array:
        rows = row_numbers(index, len(self))
        found = np.empty((rows.size, *self.shape[1:]), self.dtype)
        for place, row in enumerate(self._each(rows.ravel().tolist())):
            found[place] = row
        return found.reshape(*rows.shape, *self.shape[1:])

    def order(self, random: np.random.Generator) -> Array:
        """Return the numbers of all rows in a random order."""
        return random.permutation(len(self))

    def _each(self, rows: list[int]) -> Iterable[Array]:
        """Return the rows of these numbers."""
        raise NotImplementedError


class _Arranged(Blocks):
    """Rows with their values in another order or shape, which `arrange` returns for a block of them."""

    def __init__(self, x: Blocks, row_shape: tuple[int, ...], arrange: Callable[[Array], Array]) -> None:
        self._x, self.in_order, self._arrange = x, x.in_order, arrange
        super().__init__(np.diff(x._starts), row_shape, x.dtype)

    def _block(self, number: int) -> Array:
        return self._arrange(self._x._block(number))


class _File(Blocks):
    """The rows of a mapped file, read instead of mapped, because mapped pages count as memory of the process."""

    def __init__(self, x: np.memmap, position: int) -> None:
        self._path, self._position = os.fspath(x.filename or ""), position
        self._row_bytes = x[:1].nbytes
        super().__init__(_even_sizes(len(x), _BLOCK_BYTES // self._row_bytes), x.shape[1:], x.dtype)

    def _read(self, number: int) -> Iterator[tuple[int, Array]]:
        first, last = self._starts[number], self._starts[number + 1]
        shape = (int(last - first), *self.shape[1:])
        rows = np.fromfile(
            self._path, self.dtype, math.prod(shape), offset=int(self._position + first * self._row_bytes)
        )
        yield number, rows.reshape(shape)


class _Dataset(Blocks):
    """The rows of an HDF5 data set, in blocks of whole chunks."""

    def __init__(self, x: h5py.Dataset) -> None:
        self._x = x
        row_bytes = math.prod(x.shape[1:]) * x.dtype.itemsize
        chunk = x.chunks[0] if x.chunks else 1
        super().__init__(_even_sizes(len(x), _BLOCK_BYTES // row_bytes // chunk * chunk or chunk), x.shape[1:], x.dtype)

    def _read(self, number: int) -> Iterator[tuple[int, Array]]:
        yield number, self._x[self._starts[number] : self._starts[number + 1]]


class _Batches(Blocks):
    """The rows of a source of batches. Each batch is a block."""

    def __init__(self, x: Any) -> None:
        self._x = x
        sizes, first, dtypes, self._checksums = [], None, set(), []
        for batch in self._iterate(0):
            first = batch if first is None else first
            if batch.shape[1:] != first.shape[1:]:
                raise ValueError(
                    f"All rows of x should be of one shape. Received: rows of shape {batch.shape[1:]} in batch "
                    f"{len(sizes)} and {first.shape[1:]} in batch 0"
                )
            sizes.append(len(batch))
            dtypes.add(batch.dtype)
            self._checksums.append(zlib.crc32(batch.tobytes()))
        if first is None or not sum(sizes):
            raise ValueError(f"x should not be empty. Received: a {type(x).__name__} without rows")
        # Pieces of a file may be whole numbers in one batch and fractions in another.
        super().__init__(sizes, first.shape[1:], np.result_type(*dtypes))
        self[:1]  # If the batches change, this fails now rather than in the middle of training.

    def _same(self, number: int, batch: Array | None) -> Array:
        """Return the batch if it is the same as in the first reading. None stands for a batch that is missing now."""
        if batch is None or zlib.crc32(batch.tobytes()) != self._checksums[number]:
            raise ValueError(
                f"x should give the same rows in the same order each time. Received: a {type(self._x).__name__} whose "
                f"batch {number} changed from one reading to the next. Leave out its shuffling (deckeras shuffles) and "
                "its augmentation (pass augment=)."
            )
        return batch

    def _iterate(self, first: int) -> Iterator[Array]:
        """Yield the batches, beginning with number `first`."""
        raise NotImplementedError

    def _rows(self, batch: Any) -> Array:
        return rows_of_batch(batch, type(self._x).__name__)


class _PyDataset(_Batches):
    def _iterate(self, first: int) -> Iterator[Array]:
        check_end(self._x)
        return (self._rows(self._x[number]) for number in range(first, self._x.num_batches))

    def _read(self, number: int) -> Iterator[tuple[int, Array]]:
        yield number, self._same(number, self._rows(self._x[number]))


class _Stream(_Batches):
    """The rows of a source of batches that can only be read from its beginning."""

    in_order = True

    def __init__(self, x: Any) -> None:
        check_end(x)
        if iter(x) is x:
            raise TypeError(
                f"x should be readable more than once. Received: {type(x).__name__}, which ends after one reading. "
                "Make a keras.utils.PyDataset or a tf.data.Dataset of it."
            )
        self._next: int = 0
        self._batches: Iterator[Array] = iter(())
        super().__init__(x)

    def _iterate(self, first: int) -> Iterator[Array]:
        return map(self._rows, itertools.islice(iter(self._x), first, None))

    def _read(self, number: int) -> Iterator[tuple[int, Array]]:
        if not 0 < self._next <= number:
            self._next, self._batches = 0, self._iterate(0)
        # The blocks in between remain in memory, too, because the rows of a window are requested in any order.
        while self._next <= number:
            found, self._next = self._next, 0  # After an error, reading starts over.
            batch = self._same(found, next(self._batches, None))
            self._next = found + 1
            yield found, batch


def _even_sizes(n: int, size: int) -> list[int]:
    size = max(1, size)
    return [min(size, n - start) for start in range(0, n, size)]


def _position(x: np.memmap) -> int | None:
    """Return the position of a mapped array in its file, or None if it has no file or is not stored there in order."""
    root: Any = x
    while isinstance(root.base, np.ndarray):
        root = root.base
    # A copy-on-write map may differ from its file.
    mapped = isinstance(root.base, mmap.mmap) and x.mode != "c" and os.path.exists(x.filename or "")
    if not mapped or not x.flags.c_contiguous or x.ndim < 2 or not x.size:
        return None
    mapped_from = root.offset - root.offset % mmap.ALLOCATIONGRANULARITY
    return mapped_from + x.ctypes.data - np.frombuffer(root.base, np.uint8).ctypes.data
