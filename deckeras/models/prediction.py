"""Prediction in large batches, with rows from any source and checks of the rows and of the outputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from deckeras import distribution, sources
from deckeras._data import batching, checks, row_views
from deckeras._train import device
from deckeras._typing import Array, RowArray, Tensor


def outputs(
    compute: Any, x: Any, row_shape: Sequence[int | None], n_outputs: int, batch_size: int | None = None, **kwargs: Any
) -> Array:
    """Return the outputs of a model for the rows of x.

    Args:
        compute: the method `predict` of a `keras.Model`.
        x: n rows, from any source that `DEC.fit` takes.
        row_shape: tuple, the shape of a row.
        n_outputs: int, the number of values that the model returns for a row.
        batch_size: int, default None: as many rows as memory allows.
        **kwargs: `verbose`, `steps` and `callbacks` of `keras.Model.predict`.

    Returns:
        (n, n_outputs) float array.

    Raises:
        TypeError, ValueError: the rows do not fit, as in `DEC.fit`, or their outputs are NaN or infinite.
    """
    if isinstance(x, batching.OrderedBatches):  # from a training, which looks for NaN itself
        return _computed(compute, x, **kwargs)
    if distribution.active():
        x = checks.check_rows(x, row_shape)
    rows = batches(x, row_shape, n_outputs, batch_size, kwargs.get("steps"))
    found = _computed(compute, rows, **kwargs)
    _check_finite(compute.__self__, found, getattr(rows, "x", None))
    # Other libraries do not compute with bfloat16.
    return found.astype(np.float32) if found.dtype.name == "bfloat16" else found


def batches(
    x: Any, row_shape: Sequence[int | None], n_outputs: int, batch_size: int | None = None, steps: int | None = None
) -> Any:
    """Return the rows of x in large batches, or in x's own batches if it has them."""
    if not row_views.reads_itself(x):
        return batching.large_batches(x, row_shape, n_outputs, batch_size)
    if isinstance(x, batching.OrderedBatches):
        return x
    if steps is None:
        sources.check_end(x)
    return _CheckedDataset(x, row_shape) if isinstance(x, keras.utils.PyDataset) else _CheckedStream(x, row_shape)


class _Checked:
    """Rows in their own batches. It remembers an error, which TensorFlow would replace by one of its own."""

    source: Any
    row_shape: Sequence[int | None]
    error: Exception | None = None

    def _check(self, read: Callable[[], Any]) -> tuple[Tensor]:
        try:
            rows = sources.rows_of_batch(read(), type(self.source).__name__)
            return (row_views.as_batch(checks.check_rows(rows, self.row_shape)),)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise


class _CheckedDataset(keras.utils.PyDataset, _Checked):
    def __init__(self, source: keras.utils.PyDataset, row_shape: Sequence[int | None]) -> None:
        super().__init__(source.workers, source.use_multiprocessing, source.max_queue_size)
        self.source, self.row_shape = source, row_shape

    @property
    def num_batches(self) -> int | None:
        return self.source.num_batches

    def __getitem__(self, number: int) -> tuple[Tensor]:
        return self._check(lambda: self.source[number])


class _CheckedStream(_Checked):
    def __init__(self, source: Any, row_shape: Sequence[int | None]) -> None:
        self.source, self.row_shape = source, row_shape

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        batches = iter(self.source)
        while True:
            try:
                yield self._check(lambda: next(batches))
            except StopIteration:
                return


def _computed(compute: Any, rows: Any, **kwargs: Any) -> Array:
    if distribution.active():
        return distribution.outputs(compute.__self__, (rows[number][0] for number in range(len(rows))))
    try:
        if not isinstance(rows, _CheckedStream):
            return device.predict(compute, rows, **kwargs)
        with warnings.catch_warnings():  # Keras warns if an iterator ends.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            return device.predict(compute, iter(rows), **kwargs)
    except Exception as error:
        known = getattr(rows, "error", None)
        if known is None or known is error:
            raise
        raise known from None


def _check_finite(model: keras.Model, found: Array, x: RowArray | None) -> None:
    good = np.isfinite(found).all(axis=1)
    if good.all():
        return
    row = int(np.argmin(good))
    weights = all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in model.weights)
    if not weights:
        raise ValueError(
            "The weights of the model should be finite numbers. Received: NaN or infinity in them. They have diverged: "
            "train the model again with a lower learning rate."
        )
    largest = "" if x is None else f", whose largest absolute value is {np.abs(np.asarray(x[row : row + 1])).max():g}"
    raise ValueError(
        "x should hold rows that the model can compute with, on the scale of those that it was trained on. Received: "
        f"row {row}{largest}, for which the model gives NaN or infinity. Scale it, or leave it out."
    )
