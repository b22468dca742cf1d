"""Read a table in any format into a DataFrame. Columns become numeric if all their values can be read as numbers."""

import contextlib
import dataclasses
import datetime
import io
import json
import os

import numpy as np

from deckeras import _extras
from deckeras.files import numerals, promises, text_files, text_tables, workbooks
from deckeras.files.text_tables import COMPRESSED, extension

TEXT = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
_EXACT = 2**53  # float64 represents all whole numbers up to this one exactly
LINES = (".arff", ".jsonl", ".ndjson", ".json")
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
OTHER = (".parquet", ".feather", ".arrow", *WORKBOOKS, *LINES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Description of a table in a text file. Values of None are detected.

    Attributes:
        sep, skip, comment, header: as for `dialects.find`.
        decimal, thousands: str, as in `numerals.Form`.
        encoding: str, as for `text_files.look`.
        na: tuple of additional texts that mean a missing value.
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
        if self.comment is not None and not self.comment.strip():
            raise ValueError(f"comment should be text that begins lines. Received: comment={self.comment!r}")
        for name in "sep", "decimal", "thousands":
            value = getattr(self, name)
            if value is not None and (len(value) != 1 or value in '\r\n"0123456789+-'):
                raise ValueError(
                    f"{name} should be a character, not a digit, sign or quote. Received: {name}={value!r}"
                )
        # On the command line, -inf would be read as an option.
        if "inf" in self.na:
            object.__setattr__(self, "na", tuple(dict.fromkeys([*self.na, "-inf"])))
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
        notices: list of str, one sentence per detail that was detected or left out.
        names: array of the row names of the file, indexed by the index of `frame`, or None.
    """

    frame: object
    options: Options
    found: numerals.Found
    notices: list
    names: np.ndarray | None = None


def read(path, options, texts=(), names=None):
    """Read a table.

    Args:
        path: the file.
        options: `Options`.
        texts: columns that remain text.
        names: str, the one of `texts` with the names of the rows, which may be any text; default None.

    Returns:
        `Table`.

    Raises:
        ValueError: the file is not a table, or can be read in several ways.
        ImportError: a library is not installed.
    """
    kind, row_names = extension(path), None
    if kind in TEXT or kind in COMPRESSED:
        frame, options, notices = text_tables.read(path, options, texts, names)
    elif kind in WORKBOOKS:
        frame, header, notices = workbooks.read(path, options.sheet, options.skip, options.header, options.na)
        options = dataclasses.replace(options, header=header)
    else:
        frame, row_names, notices = _indexed(_other(path, kind, options.encoding))
        options = dataclasses.replace(options, header=True)
    frame.columns = frame.columns.map(str)
    if not frame.columns.is_unique:
        doubled = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"{os.fspath(path)!r} should have columns of different names. Received: {doubled!r} twice")
    if kind not in TEXT and options.na:
        frame = frame.replace([*options.na, *_plain_numbers(options.na)], np.nan)
    empty = frame.isna().all(axis=1)
    if empty.any() and len(frame.columns) > 1:
        frame = frame[~empty]
        n = int(empty.sum())
        notices = [
            *notices,
            f"{n:,} rows without any value are left out" if n > 1 else "1 row without any value is left out",
        ]
    frame, found = _numbers(frame, texts, options)
    decimals = {form.decimal for form in found.forms.values() if "," in (form.decimal, form.thousands)}
    if decimals == {","} and options.decimal is None and kind in TEXT + COMPRESSED:
        # The points in other columns may separate thousands rather than decimals.
        again = read(path, dataclasses.replace(options, decimal=","), texts, names)
        for name, form in found.forms.items():
            again.found.forms.setdefault(name, form)
        again.found.commas = list(dict.fromkeys([*found.commas, *again.found.commas]))
        return again
    return Table(frame, options, found, notices, row_names)


def _plain_numbers(texts):
    """Return the numbers among the texts."""
    numbers = []
    for text in texts:
        with contextlib.suppress(ValueError):
            numbers.append(float(text))
    return numbers


def _other(path, kind, encoding):
    """Read a table in a format that stores types."""
    import pandas

    try:
        if kind == ".parquet":
            _check_parquet(path)
            return pandas.read_parquet(path)
        if kind in (".feather", ".arrow"):
            return pandas.read_feather(path)
        return _arff(path, encoding) if kind == ".arff" else _json(path, encoding)
    except ImportError as error:
        raise _extras.needed(f"Reading {kind}", "pyarrow", "parquet") from error
    except (OSError, ValueError, NotImplementedError, UnicodeError, RecursionError) as error:
        if repr(os.fspath(path)) in str(error) or getattr(error, "errno", None) is not None:
            raise
        raise ValueError(
            f"{os.fspath(path)!r} is damaged or not a {kind} file: {str(error).rstrip('.')}. Copy or export it again."
        ) from error


def _indexed(frame):
    """Return (the table with rows counted from 0, the row names from its index or None, sentences about the index)."""
    import pandas

    if isinstance(frame.columns, pandas.MultiIndex):
        frame.columns = [" ".join(map(str, name)) for name in frame.columns]
    if isinstance(frame.index, pandas.RangeIndex):
        return frame.reset_index(drop=True), None, []
    index = frame.index
    parts = [f'"{name}"' for name in index.names if name is not None]
    values = index.map(lambda key: " ".join(map(str, key))) if index.nlevels > 1 else index
    sentence = " ".join(["the index", *([", ".join(parts)] if parts else []), "is read as the names of the rows"])
    return frame.reset_index(drop=True), np.array(values.astype(str), object), [sentence]


def _json(path, encoding):
    """Read one object per line, or a list of objects."""
    import pandas

    with _text(path, encoding) as file:
        text = file.read()
    whole = text.lstrip().startswith("[") or (text.count("\n") > 1 and text.lstrip()[:2].strip() == "{")
    records = []
    # str.splitlines splits at U+2028 and others, too, which may stand in the texts of JSON.
    for number, part in enumerate([text] if whole else io.StringIO(text, newline=None)):
        try:
            records += [json.loads(part, object_pairs_hook=_distinct)] if part.strip() else []
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON in line {number + error.lineno}: {error.msg}") from error
    records = records[0] if whole else records
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("it should hold objects of names and values, a list of them or one per line")
    promises.check_dense(path, (len(records), len(set().union(*records))), "a table")
    frame = pandas.DataFrame(records)
    if len(frame) == 1 and len(frame.columns) and frame.iloc[0].map(lambda value: isinstance(value, list | dict)).all():
        raise ValueError(
            "it should hold an object for each row. It has one of columns; pandas writes rows by orient='records'"
        )
    return frame


def _check_parquet(path):
    """Raise a ValueError if a table does not fit in memory. A few bytes can encode any number of equal values."""
    import pyarrow.parquet

    found = pyarrow.parquet.read_metadata(path)
    promises.check_dense(path, (found.num_rows, max(1, found.num_columns)), "a table")


def _distinct(pairs):
    """Return a JSON object as a dict."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"an object has the name {next(name for name in names if names.count(name) > 1)!r} twice")
    return found


@contextlib.contextmanager
def _text(path, encoding):
    """Open a text file that may be compressed."""
    encoding, compression, _ = text_files.look(path, encoding)
    with text_files.explained(path, encoding), text_files.opened(path, encoding, compression) as file:
        yield file


def _arff(path, encoding):
    import pandas
    from scipy.io import arff

    promises.check_text(path, os.path.getsize(path))
    try:
        with _text(path, encoding) as file:
            values, _ = arff.loadarff(io.StringIO(file.read().replace("\r\n", "\n")))
    except StopIteration as error:
        raise ValueError("it has no @data line") from error
    except NotImplementedError as error:
        raise ValueError("attributes of type string or relational cannot be read; write the table as CSV") from error
    except ValueError as error:
        if "{" not in str(error):
            raise
        raise ValueError("its rows are sparse, in braces; write it in the dense form, or as .svmlight") from error
    frame = pandas.DataFrame(values)
    for column in frame.columns:
        if frame[column].dtype == object:
            texts = frame[column].map(lambda value: value.decode() if isinstance(value, bytes) else value)
            frame[column] = texts.where(texts != "?")
    return frame


def _numbers(frame, texts, options):
    """Return (the table with texts replaced by numbers if they can be read as such, `numerals.Found`)."""
    import pandas

    strings, replaced, dotted = {}, {}, False
    truths, padded, long = [], [], []
    for column in [name for name in frame.columns if name not in texts]:
        values = frame[column]
        if isinstance(values.dtype, pandas.CategoricalDtype):
            values = values.astype(object)
        if pandas.api.types.is_float_dtype(values):
            dotted = dotted or (options.decimal != "," and bool((values.dropna() % 1 != 0).any()))
        truths += [column] if _are_truths(values) else []
        long += [column] if _is_long(values) else []
        changed, found = _opened(values)
        if changed is not None:
            replaced[column] = changed
        if found is not None:
            strings[column] = found
            padded += [column] if found.str.fullmatch(r"\s*0[0-9]+\s*").any() else []
    found = numerals.recognize(strings, decimal=options.decimal, thousands=options.thousands, dotted=dotted)
    for column, form in found.forms.items():
        converted = numerals.convert(strings[column], form)
        values = replaced.get(column, frame[column])
        others = pandas.to_numeric(values.drop(strings[column].index), errors="coerce").astype("float64")
        replaced[column] = pandas.concat([others, converted]).reindex(frame.index)
    found.truths, found.long = truths, long
    padded = [column for column in padded if found.forms.get(column) == numerals.Form()]
    found.padded = [*frame.attrs.pop("padded", []), *padded]
    return frame.assign(**replaced) if replaced else frame, found


def _opened(values):
    """Return (the column with plain values, or None if unchanged; its texts, or None if it has none)."""
    import pandas

    kind = values.dtype
    if pandas.api.types.is_numeric_dtype(kind):
        return (_plain(values) if kind == np.dtype(bool) or not isinstance(kind, np.dtype) else None), None
    if kind.kind in "mM" or isinstance(kind, pandas.PeriodDtype):
        return None, None
    changed = None
    if kind == np.dtype(object):
        changed = values = values.map(_simple).astype(object)
    present = values.dropna()
    strings = present[present.map(lambda value: isinstance(value, str))]
    if len(strings) < len(present):
        others = present.drop(strings.index)
        if others.map(lambda value: isinstance(value, datetime.timedelta | np.timedelta64)).any():
            return changed, None
        if pandas.to_numeric(others, errors="coerce").isna().any():
            return changed, None
        if not len(strings):
            return pandas.to_numeric(values).astype("float64"), None
    if not len(strings):
        # All values are missing.
        return values.astype("float64"), None
    return changed, strings.astype(str)


def _are_truths(values):
    import pandas

    if values.dtype != object:
        return bool(pandas.api.types.is_bool_dtype(values.dtype))
    present = values.dropna()
    return len(present) > 0 and bool(present.map(lambda value: isinstance(value, bool | np.bool_)).all())


def _is_long(values):
    """Return whether a column holds whole numbers that float64 cannot represent exactly."""
    import pandas

    if pandas.api.types.is_integer_dtype(values.dtype):
        return bool(values.max() > _EXACT or values.min() < -_EXACT)
    if pandas.api.types.is_numeric_dtype(values.dtype) or values.dtype.kind in "mM":
        return False
    return bool(
        values.map(
            lambda value: (
                (isinstance(value, int) and abs(value) > _EXACT)
                or (isinstance(value, str) and value.isdecimal() and _is_beyond(value))
            )
        ).any()
    )


def _is_beyond(digits):
    """Return whether a whole number exceeds `_EXACT`. It may have more digits than Python converts."""
    digits = digits.lstrip("0")
    return len(digits) > len(str(_EXACT)) or int(digits or 0) > _EXACT


def _plain(values):
    """Return a nullable or Arrow column of numbers as float64."""
    return values.astype("float64") if not values.isna().any() else values.astype("Float64").astype("float64")


def _simple(value):
    """Return a value as text or number: bytes decoded, and numbers such as decimals as floats."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bool | np.bool_):
        return float(value)
    return float(value) if type(value).__name__ in ("Decimal", "Fraction") else value
