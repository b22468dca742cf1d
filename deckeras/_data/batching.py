"""Batches of rows for training, in an order determined by a seed and a batch number, and for prediction."""

from __future__ import annotations

import contextlib
import itertools
import math
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from deckeras._data import checks, row_views
from deckeras._typing import Array, RowArray, Tensor


class OrderedBatches(keras.utils.PyDataset):
    """Rows of an array in order, a batch at a time, for `keras.Model.predict`.

    Args:
        x: array (n, ...).
        batch_size: int, default None: the `predict_batch_size` of these rows.
    """

    def __init__(self, x: RowArray, batch_size: int | None = None) -> None:
        super().__init__()
        self.x = x
        self.batch_size = batch_size or row_views.predict_batch_size(math.prod(x.shape[1:]))

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[Tensor]:
        start = index * self.batch_size
        return (row_views.as_batch(self.x[start : start + self.batch_size]),)


def large_batches(
    x: Any, row_shape: Sequence[int | None], n_outputs: int, batch_size: int | None = None
) -> OrderedBatches:
    """Return the rows of x in batches as large as memory allows, for a model of `n_outputs` outputs."""
    x = checks.check_rows(x, row_shape)
    return OrderedBatches(x, batch_size or row_views.predict_batch_size(max(math.prod(x.shape[1:]), n_outputs)))


def training_batches(
    x: Any, batch_size: int, seed: int | Sequence[int], start: int, steps: int
) -> Generator[tuple[Array, Tensor]]:
    """Yield (row numbers, rows) of the batches from number `start` to `start + steps` of `shuffled_batches`.

    Rows that are not in memory are read in a separate thread, ahead of the computation.
    """
    numbers = itertools.islice(shuffled_batches(x, batch_size, seed, start), steps)
    batches = ((batch, row_views.as_batch(x[batch])) for batch in numbers)
    return batches if row_views.blocks_of(x) is None else read_ahead(batches)


def shuffled_batches(x: Any, batch_size: int, seed: int | Sequence[int], start: int = 0) -> Iterator[Array]:
    """Yield index arrays of `batch_size` rows without end, each epoch in a new random order.

    Batch t depends only on the number of rows, `batch_size`, `seed` and t, so a resumed run needs to remember only t.
    Batches continue across the end of an epoch, so every batch is full for any n. Rows that are read in blocks are
    shuffled block by block; see `deckeras.sources`.

    Args:
        x: the n rows, or anything of length n.
        batch_size: int, at most n.
        seed: int, or sequence of ints.
        start: int, default 0. The first t.

    Yields:
        (batch_size,) int array of row numbers.
    """
    source = row_views.blocks_of(x)

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


def read_ahead(batches: Iterator[Any], size: int = 4) -> Generator[Any]:
    """Yield the elements of `batches`, which a thread computes up to `size` elements ahead."""
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
        except BaseException as error:  # It is raised where the batch is requested.
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
