"""Rows that were read, and the description of how a file is converted to them."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """Description of how a file is converted to rows of numbers.

    Attributes:
        kind: "table", "array" or "images".
        key: str or None, the name of the array or the sheet in its file.
        columns: list of str, the numeric columns of a table, in the order of the features.
        categories: dict from a text column to its values. Each value is a feature; these follow those of `columns`.
        text: str or None, the column of documents. Their terms are the only features.
        terms: dict from term to its inverse document frequency, in the order of the features; None without `text`.
        medians: dict from column to the median that fills missing values; None if they are not filled.
        drop_missing: bool, whether rows with missing values are left out.
        names: str or None, the column with the names of the rows.
        na, sep, skip, comment, decimal, thousands, encoding: description of a text file, as for `read`; `sep` and
            `decimal` may have been detected.
        header: bool, whether the file names the columns.
        affixes: dict from column to the sign next to its numbers, such as "%".
        image_shape: list (height, width) or (height, width, channels), or None.
        white: int or None, the value of white in images.
        n_columns: int or None, the number of columns of an svmlight file.
        zero_based: bool or None, whether an svmlight file counts its columns from 0.
    """

    kind: str
    key: str | None = None
    columns: list = dataclasses.field(default_factory=list)
    categories: dict = dataclasses.field(default_factory=dict)
    text: str | None = None
    terms: dict | None = None
    medians: dict | None = None
    drop_missing: bool = False
    names: str | None = None
    na: list = dataclasses.field(default_factory=list)
    sep: str | None = None
    skip: int | None = None
    comment: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool = True
    affixes: dict = dataclasses.field(default_factory=dict)
    image_shape: list | None = None
    white: int | None = None
    n_columns: int | None = None
    zero_based: bool | None = None


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows that were read.

    Attributes:
        x: (n, n_features) array or SciPy sparse matrix; (n, height, width) or (n, height, width, channels) images.
        names: (n,) array: the names of the rows, file names or row numbers.
        features: list of the features' names, or None.
        labels: (n,) array, or None. If labels are missing, the dtype is object and missing labels are None.
        layout: `Layout`.
        notices: list of str, one sentence per detail that was detected, changed or left out.
        texts: list of str, the documents whose terms are the features, or None.
    """

    x: Any
    names: np.ndarray
    features: list | None
    labels: np.ndarray | None
    layout: Layout
    notices: list = dataclasses.field(default_factory=list)
    texts: list | None = None


def of_file(table, names, key, skip):
    """Return the `Layout` of a table before its features are known.

    Args:
        table: `deckeras.files.tables.Table`.
        names, key, skip: as for `deckeras.files.read`.
    """
    options = table.options
    return Layout(
        kind="table",
        key=key,
        names=names,
        na=list(options.na),
        sep=options.prefer,
        skip=skip,
        comment=options.comment,
        decimal=options.decimal,
        thousands=options.thousands,
        encoding=options.encoding,
        header=options.header,
    )


def row_names(frame, table, layout):
    """Return the names of rows: (n,) array.

    Args:
        frame: pandas.DataFrame, the remaining rows of the table.
        table: `deckeras.files.tables.Table`.
        layout: `Layout`.
    """
    names = frame[layout.names] if layout.names else frame.index
    return names.to_numpy() if layout.names or table.names is None else table.names[names]
