"""Rows that were read, and the description of how a file is converted to them."""

import dataclasses
import hashlib
import itertools
import json
import math
import os
from typing import Any

import numpy as np
from scipy import sparse

from deckeras.files import headers

_VALUES = 2**22  # that are read at once


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
        spare_medians: dict from column to its median, which new rows may ask for; None if they are in `medians`.
        drop_missing: bool, whether rows with missing values are left out.
        names: str or None, the column with the names of the rows.
        na, sep, skip, comment, decimal, thousands, encoding: description of a text file, as for `read`; `sep` and
            `decimal` may have been detected.
        header: bool, whether the file names the columns.
        affixes: dict from column to the sign next to its numbers, such as "%".
        image_shape: list (height, width) or (height, width, channels), or None.
        white: int or None, the value of white in images.
        row_shape: list of ints, the shape of a row of an array; None for other kinds.
        features: list of str, the names of the features of an array, such as genes; None if it has none.
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
    spare_medians: dict | None = None
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
    row_shape: list | None = None
    features: list | None = None
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

    def content(self):
        """Return what identifies the rows: their number, and a checksum of names, texts and values in their order.

        Returns:
            JSON-able dict with "n_rows" and "checksum".
        """
        digest = hashlib.blake2b(digest_size=16)
        for text in itertools.chain(map(str, self.names), self.texts or ()):
            digest.update(json.dumps(text).encode())
        for part in _parts(self.x):
            digest.update(np.asarray(part).tobytes())
        return {"n_rows": len(self.names), "checksum": digest.hexdigest()}


def _parts(x):
    """Yield arrays that together hold the shape and the values of x, a few rows at a time."""
    yield np.array(x.shape)
    if hasattr(x, "content"):
        yield np.frombuffer(json.dumps(x.content()).encode(), np.uint8)
    elif sparse.issparse(x):
        x = x.tocsr()
        yield from (x.indptr, x.indices, x.data)
    else:
        step = max(1, _VALUES // max(1, math.prod(x.shape[1:])))
        yield from (x[first : first + step] for first in range(0, len(x), step))


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


def changed(layout, options):
    """Return the layout of new rows, which differ from the earlier ones in some options.

    Args:
        layout: `Layout` of the earlier rows.
        options: dict of the options of `deckeras.files.read` that are given for the new rows.

    Raises:
        ValueError: missing values should be filled, and no medians are known.
    """
    entries = {name: options[name] for name in _CHANGEABLE & set(options)}
    if "na" in options:
        entries["na"] = [*layout.na, *options["na"]]
    if {"decimal", "thousands"} & set(options):
        # A mark of the earlier file may have the other meaning here.
        entries |= {name: options.get(name) for name in ("decimal", "thousands")}
    if "missing" in options:
        medians = layout.medians or layout.spare_medians
        if options["missing"] == "median" and medians is None:
            raise ValueError(
                "--missing median needs the medians of the fit. Received: the layout of an earlier version, which "
                "lacks them. Add --missing drop, or fit again."
            )
        drop = options["missing"] == "drop"
        entries |= {"drop_missing": drop, "medians": None if drop else medians}
    return dataclasses.replace(layout, **entries)


_CHANGEABLE = {"key", "names", "skip", "comment", "encoding", "header"}


def like_array(path, found, layout, notices):
    """Return an array with the features that a model was fitted to, in their order.

    Args:
        path: the file.
        found: `deckeras.files.arrays.Found`.
        layout: `Layout` of the array that the model was fitted to.
        notices: list of str, to which sentences about features that are left out or have no names are added.

    Raises:
        ValueError: features are missing, or the rows have another shape.
    """
    x, wanted = found.x, layout.features
    given = None if found.features is None else [str(name) for name in found.features]
    if wanted is not None and given is not None and given != wanted:
        places = {name: place for place, name in enumerate(given)}
        missing = [name for name in wanted if name not in places]
        if missing or len(places) < len(given) or len(set(wanted)) < len(wanted):
            what = f"lacks {headers.listed(missing)}" if missing else "has them in another order, and some names twice"
            raise ValueError(f"{os.fspath(path)!r} should have the features that the model was fitted to. It {what}.")
        x = x[:, [places[name] for name in wanted]]
        if len(given) > len(wanted):
            known = set(wanted)
            others = [name for name in given if name not in known]
            notices.append(f"left out, because the model does not have them: {headers.listed(others)}")
        found = dataclasses.replace(found, x=x, features=wanted)
    if wanted is not None and given is None:
        notices.append(
            f"the features have no names, and are read in the order of those of the fit: {headers.listed(wanted)}"
        )
    if layout.row_shape is not None:
        shapes = {tuple(layout.row_shape)}
        if layout.image_shape is not None:  # Images may be flat rows, too.
            shapes |= {tuple(layout.image_shape), (math.prod(layout.image_shape),)}
        if x.shape[1:] not in shapes:
            raise ValueError(
                f"{os.fspath(path)!r} should hold rows of shape {tuple(layout.row_shape)}, as the model was fitted to. "
                f"Received: {x.shape[1:]}"
            )
    return found


def row_names(frame, table, layout):
    """Return the names of rows: (n,) array.

    Args:
        frame: pandas.DataFrame, the remaining rows of the table.
        table: `deckeras.files.tables.Table`.
        layout: `Layout`.
    """
    names = frame[layout.names] if layout.names else frame.index
    return names.to_numpy() if layout.names or table.names is None else table.names[names]
