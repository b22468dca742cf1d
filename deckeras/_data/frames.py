"""Tables with names of columns: DataFrames, as arrays even where NumPy reads objects, and sparse matrices."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from scipy import sparse

from deckeras._typing import Array

_WAY_OUT = "Turn text, categories and dates into numbers first, or leave the column out."


class NamedMatrix(sparse.csr_matrix):
    """A sparse matrix with the names of its columns, which a sparse DataFrame would hold as one object per column.

    Attributes:
        feature_names: list of the names, or None. A matrix computed from it has none.
    """

    feature_names: list[Any] | None = None


def is_frame(x: object) -> bool:
    """Return whether x is a pandas DataFrame."""
    return type(x).__module__.partition(".")[0] == "pandas" and hasattr(x, "columns") and hasattr(x, "iloc")


def as_frame(x: Any) -> Any:
    """Return a table as a pandas DataFrame, which keeps the names of its columns.

    Args:
        x: pandas DataFrame, or a table with a method `to_pandas` (Arrow, Polars).

    Returns:
        `pandas.DataFrame`, or None if x is not such a table.

    Raises:
        ValueError: x is a single column.
    """
    if type(x).__name__ == "Series" and hasattr(x, "to_frame"):
        raise ValueError(
            f"x should be a table of rows and columns. Received: a Series, {x.name!r}. For a single feature pass "
            "x.to_frame(), for several df[[...]] in place of df[...]."
        )
    if not is_frame(x):
        convert = getattr(x, "to_pandas", None)
        x = convert() if convert is not None and not hasattr(x, "name") else x
    return x if is_frame(x) else None


def as_array(x: Any) -> Array | None:
    """Return the numbers of a table as an array.

    Args:
        x: as for `as_frame`.

    Returns:
        (n, n_columns) array, or None if x is not such a table.

    Raises:
        TypeError: a column does not hold numbers. The message names it.
        ValueError: a value is missing or infinite (the message names its column and row), two columns have the same
            name, or x is a single column.
    """
    x = as_frame(x)
    if x is None:
        return None
    if not x.columns.is_unique:
        name = x.columns[x.columns.duplicated()][0]
        raise ValueError(
            f"x should have one column of each name. Received: several columns {name!r}. Rename them, or leave out all "
            "but one, as by x.loc[:, ~x.columns.duplicated()]."
        )
    simple = {dtype for dtype in x.dtypes if isinstance(dtype, np.dtype) and dtype.kind in "fiu"}
    if len(simple) == len(set(x.dtypes)):
        values = x.to_numpy()
    else:
        columns = [_numbers(name, x.iloc[:, place]) for place, name in enumerate(x.columns)]
        values = np.stack(columns, axis=1) if columns else np.empty((len(x), 0))
    if values.dtype.kind == "f":
        _check_finite(values, list(x.columns))
    return values


def object_numbers(values: Array) -> Array:
    """Return objects that are all real numbers, or `pandas.NA`, as float64 with NaN for NA; others unchanged."""
    if values.dtype != object:
        return values
    missing = [type(value).__name__ == "NAType" for value in values.flat]
    if not all(gap or _is_number(value) for value, gap in zip(values.flat, missing, strict=True)):
        return values
    if any(missing):
        values = np.where(np.reshape(missing, values.shape), np.nan, values)
    try:
        return values.astype(np.float64)
    except OverflowError:  # Python integers have no upper limit.
        return values


def names_of(x: Any) -> list[Any] | None:
    """Return the names of the columns of a DataFrame or `NamedMatrix`, or None if x has none."""
    return list(x.columns) if is_frame(x) else getattr(x, "feature_names", None)


def labels_of(x: Any) -> list[Any] | None:
    """Return the names of the columns of a table if scikit-learn does not compare them, else None.

    These are names that are not text, such as numbers or the tuples of several levels.

    Raises:
        TypeError: some of the names are text, and others are not.
    """
    names = names_of(x)
    if names is None:
        return None
    text = [isinstance(name, str) for name in names]
    if all(text):
        return None
    if any(text):
        other = names[text.index(False)]
        raise TypeError(
            f"X should have columns whose names are all text, or all not. Received: {names[text.index(True)]!r} and "
            f"{other!r}. Rename them, as by X.rename(columns=str)."
        )
    return names


def first_not_number(values: Array) -> str:
    """Return the part of an error message that shows the first object that is not a real number, or "" if none."""
    for index, value in np.ndenumerate(values):
        try:
            float(value)
        except Exception as error:  # Objects may raise errors of any kind.
            row = f" in row {index[0]}" if index else ""
            return f", with {value!r:.60}{row} ({error!s:.100})"
    return ""


def _numbers(name: object, column: Any) -> Array:
    dtype = column.dtype
    kind = str(getattr(dtype, "kind", "O"))
    if str(dtype) == "category" or kind in "mMc" or "period" in str(dtype) or "interval" in str(dtype):
        raise TypeError(f"Column {name!r} of x should hold numbers. Received: dtype {dtype}. {_WAY_OUT}")
    missing = column.isna().to_numpy(dtype=bool)
    if kind not in "fiub":
        for value in column[~missing]:
            if not _is_number(value):
                found = f"{value!r:.60}, a {type(value).__name__}"
                raise TypeError(f"Column {name!r} of x should hold numbers. Received: {found}. {_WAY_OUT}")
    return column.to_numpy(dtype="float64", na_value=np.nan)


def _is_number(value: object) -> bool:
    # Decimal is a number, but not a numbers.Real.
    real = isinstance(value, numbers.Real | np.bool_) or type(value).__name__ == "Decimal"
    return real and not isinstance(value, str)


def _check_finite(values: Array, names: list[Any]) -> None:
    good = np.isfinite(values)
    if not good.all():
        row, place = (int(number) for number in np.argwhere(~good)[0])
        raise ValueError(
            f"x should hold finite numbers only. Received: {values[row, place]} in row {row}, column {names[place]!r}. "
            "Drop rows with NaN or infinity, or fill them in, for example with sklearn.impute.SimpleImputer."
        )
