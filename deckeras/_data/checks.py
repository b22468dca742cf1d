"""Checks of the inputs of a training, before the work starts: rows, labels, weights and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy import sparse

from deckeras import sources
from deckeras._data import frames, row_views
from deckeras._typing import RowArray

_LARGEST = 1e30  # It leaves layers some orders of magnitude to the end of float32.


def check_rows(x: Any, row_shape: Sequence[int | None] | None = None, n_min: int = 1) -> RowArray:
    """Check that `x` can be trained on, and return it as an array.

    Args:
        x: array of shape (n, ...) and any real dtype, or anything that `numpy.asarray` converts to one (a list of
            lists, a pandas DataFrame). An array is returned unchanged, not copied. A SciPy sparse matrix or array is
            returned as a `View` of it, and a `View` unchanged. Rows that are not in memory (see `deckeras.sources`) are
            returned as `sources.Blocks`.
        row_shape: tuple, default None (any). The shape that one row must have; None in it means any size.
        n_min: int, default 1. The smallest number of rows.

    Raises:
        TypeError: the values are not real numbers (objects, strings, complex numbers).
        ValueError: x has fewer than two dimensions, too few rows, rows of another shape, or NaN or infinity in a row
            (the message names the first such row); or as for `sources.as_source`.
    """
    x = x if isinstance(x, row_views.View) or sparse.issparse(x) else row_views.as_rows(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(
            f"x should hold real numbers. Received: dtype {x.dtype}{frames.first_not_number(x)}. "
            "Turn text and categories into numbers first, and missing values into numbers or drop their rows."
        )
    if x.ndim < 2:
        raise ValueError(
            f"x should be of shape (n_rows, ...), one row a sample. Received: shape {x.shape}. "
            "For a single feature pass x.reshape(-1, 1), for a single sample x.reshape(1, -1)."
        )
    if 0 in x.shape:
        raise ValueError(f"x should not be empty. Received: shape {x.shape}")
    x = row_views.View(x) if sparse.issparse(x) else x
    if row_shape is not None and not _fits(x.shape[1:], row_shape):
        raise ValueError(
            f"Each row of x should be of shape {tuple(row_shape)}, which is what the encoder takes. "
            f"Received: x of shape {x.shape}, so rows of shape {x.shape[1:]}"
        )
    if len(x) < n_min:
        raise ValueError(f"x should have at least {n_min} rows. Received: {len(x)}")
    _check_finite(x)
    return x


def as_numbers(x: Any) -> Any:
    """Return x with bool, nullable and Arrow columns as numbers, in a DataFrame. Raise the errors of `DEC.fit`."""
    table = frames.as_frame(x)
    if table is not None:
        values = frames.as_array(table)
        if not len(table.columns):  # as `select_dtypes` returns a table of texts
            check_rows(values)
        return type(table)(values, columns=table.columns, index=table.index)
    if sparse.issparse(x):
        check_rows(x)
        return x
    values: Any = row_views.as_rows(x)
    if values.dtype.kind in "USOV" or (values.ndim == 2 and values.dtype.kind == "f" and values.size):
        check_rows(values)
    # scikit-learn reads the names in tables of other libraries itself.
    return x if hasattr(x, "__dataframe__") else values


def _fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    return len(shape) == len(expected) and all(want in (None, size) for size, want in zip(shape, expected, strict=True))


def _check_finite(x: Any) -> None:
    if x.dtype.kind != "f" or getattr(x, "checked", False):
        return
    # float64 values beyond the range of the computation would silently become infinite. So would sums of float32 values
    # near the end of its range, and a ReLU turns the NaN of their differences into 0.
    largest = np.finfo(keras.config.floatx()).max
    # This is not a Python float, which NumPy would convert to infinity for float16.
    largest = np.float32(_LARGEST) if keras.config.floatx() == "float32" else largest
    for start, block in row_views.blocks(x):
        good = (np.abs(block) <= largest).all(axis=tuple(range(1, x.ndim)))
        if not good.all():
            row = int(np.argmin(good))
            value = block[row][~(np.abs(block[row]) <= largest)].flat[0]
            if np.isfinite(value):
                raise ValueError(
                    f"x should hold numbers up to {largest:g}, which {keras.config.floatx()} can compute with. "
                    f"Received: {value:g} in row {start + row}. Give them in another unit, or drop the row."
                )
            raise ValueError(
                f"x should hold finite numbers only. Received: {value} in row {start + row}. "
                "Drop rows with NaN or infinity, or fill them in, for example with sklearn.impute.SimpleImputer."
            )
    if isinstance(x, sources.Blocks | row_views.View):
        x.checked = True  # Reading the rows again would be slow.


def check_count(name: str, value: Any) -> int:
    """Return `value` as an int, or raise ValueError if it is not a whole number of at least 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"{name} should be a whole number of at least 1. Received: {name}={value!r}")
    return int(value)


def check_weights(sample_weight: npt.ArrayLike | None, n: int) -> npt.NDArray[np.float64] | None:
    """Check the weights of rows.

    Args:
        sample_weight: (n,) numbers of at least 0, or one number for all.
        n: int, the number of rows.

    Returns:
        (n,) float64 array, or None for None.

    Raises:
        TypeError: they are not numbers.
        ValueError: the number of weights is not n, or a weight is negative, NaN or infinite; the message names its row.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.dtype.kind not in "fiubO":
        raise TypeError(f"sample_weight should hold numbers. Received: dtype {weights.dtype}")
    try:
        weights = np.full(n, weights, np.float64) if weights.ndim == 0 else weights.astype(np.float64)
    except (TypeError, ValueError) as error:  # Objects such as None and pandas.NA.
        raise TypeError(f"sample_weight should hold numbers. Received: {error}") from error
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight should hold one number for each of the {n} rows of x. Received: shape {weights.shape}"
        )
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if bad.size:
        raise ValueError(
            f"sample_weight should hold finite numbers of at least 0. Received: {weights[bad[0]]} in row {bad[0]}"
        )
    return weights
