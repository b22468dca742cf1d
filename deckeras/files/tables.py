"""Read a table of any format into a DataFrame. Columns become numbers if all their values can be read as numbers."""

import contextlib
import dataclasses
import json
import os

import numpy as np

from deckeras import _extras
from deckeras.files import numerals, promises, text_files, text_tables, workbooks
from deckeras.files.text_tables import COMPRESSED, extension

TEXT = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
OTHER = (".parquet", ".feather", ".xlsx", ".xls", ".arff", ".jsonl", ".ndjson")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Description of a table in a text file. What is None is detected.

    Attributes:
        sep, skip, comment, header: as for `dialects.find`.
        decimal, thousands: str, as `numerals.Form` has them.
        encoding: str, as for `text_files.look`.
        na: tuple of further texts that mean a missing value.
        sheet: str, the sheet of a workbook.
        prefer: str, the separator to prefer if several fit.
    """

    sep: str | None = None
    skip: int | None = None
    comment: str | None = None
    header: bool | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    na: tuple = ()
    sheet: str | None = None
    prefer: str | None = None

    def __post_init__(self):
        if self.sep is not None:
            object.__setattr__(self, "sep", {"tab": "\t", "\\t": "\t", "blank": " "}.get(self.sep, self.sep))
        if self.comment is not None and (not isinstance(self.comment, str) or not self.comment.strip()):
            raise ValueError(f"comment should be text that begins lines. Received: comment={self.comment!r}")
        for name in "sep", "decimal", "thousands":
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or len(value) != 1 or value in '\r\n"0123456789+-'):
                raise ValueError(
                    f"{name} should be a character, not a digit, sign or quote. Received: {name}={value!r}"
                )
        # On the command line, -inf would be read as an option.
        if "inf" in self.na:
            object.__setattr__(self, "na", tuple(dict.fromkeys([*self.na, "-inf"])))
        if self.skip is not None and (isinstance(self.skip, bool) or self.skip < 0):
            raise ValueError(f"skip should be a number of lines, at least 0. Received: skip={self.skip!r}")
        if (self.decimal or ".") == self.thousands:
            raise ValueError(
                f"decimal and thousands should differ. Received: {self.thousands!r} for both. Give both, for "
                'example --decimal "," --thousands ".".'
            )


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        frame: pandas.DataFrame; columns of text hold str.
        options: `Options`, with what was detected.
        found: `numerals.Found` of the columns that were text.
        notices: list of str, a sentence for each thing that was detected or left out.
    """

    frame: object
    options: Options
    found: numerals.Found
    notices: list


def read(path, options, texts=(), names=None):
    """Read a table.

    Args:
        path: the file.
        options: `Options`.
        texts: columns that remain text.
        names: str, the column of them with the names of the rows, which may be any text; default None.

    Returns:
        `Table`.

    Raises:
        ValueError: the file is not a table, or can be read in several ways.
        ImportError: a library is not installed.
    """
    kind = extension(path)
    if kind in TEXT or kind in COMPRESSED:
        frame, options, notices = text_tables.read(path, options, texts, names)
    elif kind in (".xlsx", ".xls"):
        frame, header, notices = workbooks.read(path, options.sheet, options.skip, options.header, options.na)
        options = dataclasses.replace(options, header=header)
    else:
        frame, notices = _other(path, kind), []
        options = dataclasses.replace(options, header=True)
    frame.columns = [str(column) for column in frame.columns]
    if not frame.columns.is_unique:
        doubled = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"{os.fspath(path)!r} should have columns of different names. Received: {doubled!r} twice")
    if kind not in TEXT and options.na:
        frame = frame.replace([*options.na, *_plain_numbers(options.na)], np.nan)
    empty = frame.isna().all(axis=1)
    if empty.any() and len(frame.columns) > 1:
        frame = frame[~empty]
        notices = [*notices, f"{int(empty.sum()):,} rows without any value are left out"]
    frame, found = _numbers(frame, texts, options)
    decimals = {form.decimal for form in found.forms.values() if "," in (form.decimal, form.thousands)}
    if decimals == {","} and options.decimal is None and kind in TEXT + COMPRESSED:
        # The points of other columns may be between thousands rather than before decimals.
        again = read(path, dataclasses.replace(options, decimal=","), texts, names)
        for name, form in found.forms.items():
            again.found.forms.setdefault(name, form)
        return again
    return Table(frame, options, found, notices)


def _plain_numbers(texts):
    """Return the numbers among the texts."""
    numbers = []
    for text in texts:
        with contextlib.suppress(ValueError):
            numbers.append(float(text))
    return numbers


def _other(path, kind):
    """Read a table whose format has types."""
    import pandas

    try:
        if kind == ".parquet":
            _check_parquet(path)
            return pandas.read_parquet(path)
        if kind == ".feather":
            return pandas.read_feather(path)
        if kind == ".arff":
            return _arff(path)
        return _json(path)
    except ImportError as error:
        raise _extras.needed(f"Reading {kind}", "pyarrow", "parquet") from error
    except (OSError, ValueError, NotImplementedError, UnicodeError, RecursionError) as error:
        if repr(os.fspath(path)) in str(error) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise ValueError(
            f"{os.fspath(path)!r} is damaged or not a {kind} file: {error}. Copy or export it again."
        ) from error


def _check_parquet(path):
    """Raise a ValueError if a table does not fit in memory: a few bytes may hold any number of equal values."""
    import pyarrow.parquet

    found = pyarrow.parquet.read_metadata(path)
    promises.check_dense(path, (found.num_rows, max(1, found.num_columns)), "a table")


def _json(path):
    """Read one object per line, or a list of objects."""
    import pandas

    encoding, compression, head = text_files.look(path)
    with text_files.opened(path, encoding, compression) as file:
        if head.lstrip().startswith("["):
            records = json.load(file)
        else:
            records = [json.loads(line) for line in file if line.strip()]
    if not all(isinstance(record, dict) for record in records):
        raise ValueError("each line should be an object of names and values")
    promises.check_dense(path, (len(records), len(set().union(*records))), "a table")
    return pandas.DataFrame(records)


def _arff(path):
    import pandas
    from scipy.io import arff

    promises.check_text(path, os.path.getsize(path))
    try:
        with open(path, encoding="utf-8") as file:
            values, _ = arff.loadarff(file)
    except StopIteration as error:
        raise ValueError("it has no @data line") from error
    except NotImplementedError as error:
        raise ValueError("attributes of type string or relational cannot be read; write the table as CSV") from error
    frame = pandas.DataFrame(values)
    for column in frame.columns:
        if frame[column].dtype == object:
            texts = frame[column].map(lambda value: value.decode() if isinstance(value, bytes) else value)
            frame[column] = texts.where(texts != "?")
    return frame


def _numbers(frame, texts, options):
    """Return (the table with numbers instead of texts that can be read as numbers, `numerals.Found`)."""
    import pandas

    open_columns, replaced, dotted = {}, {}, False
    for column in frame.columns:
        values = frame[column]
        if column in texts:
            continue
        if isinstance(values.dtype, pandas.CategoricalDtype):
            values = values.astype(object)
        if pandas.api.types.is_float_dtype(values):
            dotted = dotted or (options.decimal != "," and bool((values.dropna() % 1 != 0).any()))
        if pandas.api.types.is_numeric_dtype(values) or pandas.api.types.is_datetime64_any_dtype(values):
            if values.dtype == bool or not isinstance(values.dtype, np.dtype):
                replaced[column] = _plain(values)
            continue
        if values.dtype == object:
            values = values.map(_simple).astype(object)
            replaced[column] = values
        present = values.dropna()
        strings = present[present.map(lambda value: isinstance(value, str))]
        others = (
            pandas.to_numeric(present.drop(strings.index), errors="coerce") if len(strings) < len(present) else None
        )
        if others is not None and others.isna().any():
            continue
        if len(strings):
            open_columns[column] = strings.astype(str)
        elif others is not None:
            replaced[column] = pandas.to_numeric(values).astype("float64")
        else:
            # All values are missing.
            replaced[column] = values.astype("float64")
    found = numerals.recognize(open_columns, decimal=options.decimal, thousands=options.thousands, dotted=dotted)
    for column, form in found.forms.items():
        values = replaced.get(column, frame[column])
        numbers = pandas.to_numeric(values.drop(open_columns[column].index), errors="coerce").astype("float64")
        converted = numerals.convert(open_columns[column], form)
        replaced[column] = pandas.concat([numbers, converted]).reindex(frame.index)
    return frame.assign(**replaced) if replaced else frame, found


def _plain(values):
    """Return a nullable or Arrow column of numbers as float64, and a column of dates unchanged."""
    import pandas

    if pandas.api.types.is_datetime64_any_dtype(values):
        return values
    return values.astype("float64") if not values.isna().any() else values.astype("Float64").astype("float64")


def _simple(value):
    """Return a value as text or number: bytes decoded, and numbers such as decimals as floats."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bool | np.bool_):
        return float(value)
    return float(value) if type(value).__name__ in ("Decimal", "Fraction") else value
