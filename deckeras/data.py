"""Rows of data: checked before the work starts, then handed out in batches without copying the whole."""

import contextlib
import itertools
import math
import queue
import threading

import keras
import numpy as np
from scipy import sparse

from deckeras import frames, sources
from deckeras.labels import check_labels, check_weights  # noqa: F401 - checked with the rows they belong to

_BATCH_VALUES = 2**22
_ODD = np.uint64(0xBF58476D1CE4E5B9)

_ONE_LENGTH = 1.001  # ratio of the longest row to the shortest, past the rounding of float16


def check_rows(x, row_shape=None, n_min=1):
    """Check that `x` can be trained on, and return it as an array.

    Args:
        x: array of shape (n, ...) and any real dtype, or what `numpy.asarray` makes one of (a list of lists, a
            pandas DataFrame). An array is returned as it is, not copied. A SciPy sparse matrix or array is returned as
            a `View` of it, and a `View` as it is. Rows that do not lie in memory (see `deckeras.sources`) are returned
            as `sources.Blocks`.
        row_shape: tuple, default None (any). The shape that one row must have; None in it means any size.
        n_min: int, default 1. The least number of rows.

    Raises:
        TypeError: the values are not real numbers (objects, strings, complex numbers).
        ValueError: fewer than two dimensions, too few rows, rows of another shape, or NaN or infinity in a row (the
            first such row is named); or as `sources.of`.
    """
    x = x if isinstance(x, View) or sparse.issparse(x) else _array(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(
            f"x should hold real numbers. Received: dtype {x.dtype}. "
            "Turn text and categories into numbers first, and missing values into numbers or drop their rows."
        )
    if x.ndim < 2:
        raise ValueError(
            f"x should be of shape (n_rows, ...), one row a sample. Received: shape {x.shape}. "
            "For a single feature pass x.reshape(-1, 1), for a single sample x.reshape(1, -1)."
        )
    if 0 in x.shape:
        raise ValueError(f"x should not be empty. Received: shape {x.shape}")
    x = View(x) if sparse.issparse(x) else x
    if row_shape is not None and not _fits(x.shape[1:], row_shape):
        raise ValueError(
            f"Each row of x should be of shape {tuple(row_shape)}, which is what the encoder takes. "
            f"Received: x of shape {x.shape}, so rows of shape {x.shape[1:]}"
        )
    if len(x) < n_min:
        raise ValueError(f"x should have at least {n_min} rows. Received: {len(x)}")
    _check_finite(x)
    return x


def _array(x):
    table = frames.as_array(x)
    if table is not None:
        return table
    source = sources.of(x)
    return frames.object_numbers(np.asarray(x)) if source is None else source


def _fits(shape, expected):
    return len(shape) == len(expected) and all(want in (None, size) for size, want in zip(shape, expected, strict=True))


def _check_finite(x):
    if x.dtype.kind != "f" or getattr(x, "checked", False):
        return
    # float64 beyond the range of the computation would turn into infinity there, unseen.
    largest = np.finfo(keras.config.floatx()).max
    for start, block in blocks(x):
        good = (np.abs(block) <= largest).all(axis=tuple(range(1, x.ndim)))
        if not good.all():
            row = int(np.argmin(good))
            value = block[row][~(np.abs(block[row]) <= largest)].flat[0]
            raise ValueError(
                f"x should hold finite numbers only. Received: {value} in row {start + row}. "
                "Drop rows with NaN or infinity, or fill them in, for example with sklearn.impute.SimpleImputer."
            )
    if isinstance(x, sources.Blocks | View):
        x.checked = True  # another reading would be dear


def reads_itself(x):
    """Whether Keras predicts from x in batches of x's own: a PyDataset, `tf.data.Dataset` or torch DataLoader."""
    if hasattr(x, "__array__"):
        return False
    return isinstance(x, keras.utils.PyDataset) or type(x).__module__.partition(".")[0] in ("tensorflow", "torch")


def take(x, rows):
    """Some of the rows of an array or a `View`, by their numbers; those of a view are not made yet."""
    return x.take(rows) if isinstance(x, View) else x[rows]


def check_count(name, value):
    """Return `value` as an int, or raise ValueError if it is not a whole number of at least 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"{name} should be a whole number of at least 1. Received: {name}={value!r}")
    return int(value)


def fixed_seed(seed):
    """The seed as an int, or where it is None one drawn afresh; ValueError if scikit-learn could not take it."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed < 2**32:
        raise ValueError(f"seed should be a whole number from 0 to 2**32 - 1, or None. Received: seed={seed!r}")
    return int(seed)


def layer_seed(seed):
    """A seed below 2**32 as Keras's layers take it.

    On PyTorch, which has no uint32, they keep it in an int32 and read the bits as Keras's uint32, but refuse what lies
    beyond the int32 that is positive.
    """
    return seed - 2**32 if seed >= 2**31 and keras.config.backend() == "torch" else seed


def as_batch(rows):
    """`rows` in the float type that Keras computes in: the only copy of the data that training makes."""
    return rows if keras.ops.is_tensor(rows) else np.asarray(rows, dtype=keras.config.floatx())


def fingerprint(x):
    """A few numbers that tell one data set from another: its shape and a checksum of its values in Keras's floats.

    The checksum is a sum over the rows, so that it is the same in whichever order and pieces they come.
    """
    width = math.prod(x.shape[1:])
    factors = np.random.default_rng(0).integers(2**63, size=width, dtype=np.uint64) * 2 + 1
    checksum = 0
    for _, block in blocks(x):
        bits = np.ascontiguousarray(as_batch(block)).reshape(len(block), width)
        hashes = (bits.view(f"u{bits.itemsize}") * factors).sum(axis=1)
        hashes = (hashes ^ (hashes >> 29)) * _ODD  # else values could change places between rows
        checksum += int(hashes.sum())
    return {"n_samples": len(x), "row_shape": list(x.shape[1:]), "checksum": checksum % 2**64}


def predict_batch_size(n_values):
    """Rows a batch for a pass without gradients: as many of `n_values` each as fill 16 MiB, from 32 to 4,096."""
    return int(np.clip(_BATCH_VALUES // max(1, n_values), 32, 4096))


def blocks(x):
    """Yield (number of the first row, rows) over x, as many rows at a time as fill 16 MiB."""
    size = predict_batch_size(math.prod(x.shape[1:]))
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def of_one_length(x):
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


def blocks_of_rows(x, numbers):
    """Yield some rows of x, by their sorted numbers, a block of them at a time.

    Rows that do not lie in memory are read once, in order, since their files cannot be read in any other.
    """
    size = predict_batch_size(math.prod(x.shape[1:]))
    if _blocks_of(x) is None:
        for start in range(0, len(numbers), size):
            yield x[numbers[start : start + size]]
        return
    for start, block in blocks(x):
        inside = numbers[(numbers >= start) & (numbers < start + len(block))]
        if len(inside):
            yield block[inside - start]


class View:
    """Rows that are made as they are read, a few at a time: of a sparse matrix, scaled, or both.

    It is as much of an array as training and prediction use: its length, shape and dtype, and slices and arrays of row
    numbers as an index, which give a dense array.

    Args:
        x: (n, ...) array, SciPy sparse matrix or rows that do not lie in memory; none is copied.
        change: function of a dense batch of rows that returns a batch, default None (the rows as they are). It must
            keep their shape.
    """

    def __init__(self, x, change=None):
        self.x = x.tocsr() if sparse.issparse(x) else _array(x)
        self.change = change
        self.checked = False
        self.shape, self.ndim, self.dtype = self.x.shape, self.x.ndim, np.dtype(keras.config.floatx())

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        rows = self.x[index]
        rows = rows.toarray() if sparse.issparse(rows) else rows
        return as_batch(rows if self.change is None else self.change(rows))

    def take(self, rows):
        """A `View` of some of the rows, by their numbers; these are copied, but not changed yet."""
        return View(self.x[rows], self.change)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype=dtype)


class Rows(keras.utils.PyDataset):
    """The rows of an array in order, a batch at a time: what `keras.Model.predict` reads.

    Args:
        x: array (n, ...).
        batch_size: int, default None: what `predict_batch_size` gives for such rows.
    """

    def __init__(self, x, batch_size=None):
        super().__init__()
        self.x = x
        self.batch_size = batch_size or predict_batch_size(math.prod(x.shape[1:]))

    def __len__(self):
        return math.ceil(len(self.x) / self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        return (as_batch(self.x[start : start + self.batch_size]),)


def large_batches(x, row_shape, n_outputs, batch_size=None):
    """The rows of x in batches as large as memory allows, for a model that gives `n_outputs` numbers for each."""
    x = check_rows(x, row_shape)
    return Rows(x, batch_size or predict_batch_size(max(math.prod(x.shape[1:]), n_outputs)))


def training_batches(x, batch_size, seed, start, steps):
    """Yield (row numbers, rows) of the batches from number `start` to `start + steps` of `shuffled_batches`.

    Rows that do not lie in memory are read in a thread of its own, ahead of the computation.
    """
    numbers = itertools.islice(shuffled_batches(x, batch_size, seed, start), steps)
    batches = ((batch, as_batch(x[batch])) for batch in numbers)
    return batches if _blocks_of(x) is None else _ahead(batches)


def shuffled_batches(x, batch_size, seed, start=0):
    """Yield index arrays of `batch_size` rows for ever, each pass over the rows in a new random order.

    Batch t is a function of the number of rows, `batch_size`, `seed` and t alone, so a resumed run needs to remember
    only t. Batches run on across the end of a pass: every one is full, whatever n is. Rows that are read in blocks are
    shuffled by these, see `deckeras.sources`.

    Args:
        x: the n rows, or anything of their length.
        batch_size: int, at most n.
        seed: int, or sequence of ints.
        start: int, default 0. The first t.

    Yields:
        (batch_size,) int array of row numbers.
    """
    source = _blocks_of(x)

    def order(epoch):
        random = np.random.default_rng([*np.atleast_1d(seed), epoch])
        return random.permutation(len(x)) if source is None else source.order(random)

    epoch, offset = divmod(start * batch_size, len(x))
    rows = order(epoch)[offset:]
    while True:
        while len(rows) < batch_size:
            epoch += 1
            rows = np.concatenate([rows, order(epoch)])
        yield rows[:batch_size]
        rows = rows[batch_size:]


def _blocks_of(x):
    """The `sources.Blocks` that rows are read from, or None where they lie in memory."""
    while isinstance(x, View):
        x = x.x
    return x if isinstance(x, sources.Blocks) else None


def _ahead(batches, size=4):
    """Yield what `batches` yields, which a thread computes up to `size` elements ahead."""
    ready, ended = queue.Queue(size), threading.Event()

    def put(*item):
        while not ended.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                break

    def read():
        try:
            for batch in itertools.takewhile(lambda _: not ended.is_set(), batches):
                put(batch, None)
            put(None, None)
        except BaseException as error:  # to be raised where the batch is asked for
            put(None, error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while True:
            batch, error = ready.get()
            if error is not None:
                raise error
            if batch is None:
                return
            yield batch
    finally:
        ended.set()
        thread.join()
