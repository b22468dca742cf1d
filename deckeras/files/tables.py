"""Read a table in any format into a DataFrame. Columns become numeric if all their values can be read as numbers."""

import contextlib
import dataclasses
import io
import json
import os
from typing import Any

import numpy as np

from deckeras import _extras
from deckeras.files import columns, headers, numerals, promises, text_files, text_tables, typed_columns, workbooks
from deckeras.files.text_tables import COMPRESSED, extension

TEXT = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
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

    frame: Any
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
    is_text = kind in TEXT or kind in COMPRESSED
    if is_text:
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
    names = names or (columns.index_column(frame) if row_names is None else None)
    if not is_text:
        frame = _without_types(
            frame, [*texts, names], names, options.na, text_tables.MISSING if kind in WORKBOOKS else ()
        )
    frame, found = _numbers(frame, [*texts, names], options, typed=not is_text)
    frame, told = _without_empty_rows(frame)
    trimmed, similar = typed_columns.trimmed(frame[[name for name in texts if name != names and name in frame]])
    frame, notices = _with_columns(frame, trimmed), [*notices, *told, *similar]
    decimals = {form.decimal for form in found.forms.values() if "," in (form.decimal, form.thousands)}
    if decimals == {","} and options.decimal is None and is_text:
        # The points in other columns may separate thousands rather than decimals.
        again = read(path, dataclasses.replace(options, decimal=","), texts, names)
        for name, form in found.forms.items():
            again.found.forms.setdefault(name, form)
        again.found.commas = list(dict.fromkeys([*found.commas, *again.found.commas]))
        return again
    return Table(frame, options, found, notices, row_names)


def _without_types(frame, texts, names, na, common):
    """Return a table with the exact texts in the columns of text, and without those that mean a missing value.

    Args:
        frame: pandas.DataFrame.
        texts, names: as for `read`.
        na: texts that mean a missing value.
        common: others, which may be the names of rows.
    """
    missing = typed_columns.missing_texts(na)
    changed = {}
    for name, given in frame.items():
        column = typed_columns.as_texts(given) if name in texts else typed_columns.simple(given)
        column = typed_columns.without_texts(column, missing if name == names else missing.union(common))
        if column is not given:
            changed[name] = column
    return _with_columns(frame, changed)


def _with_columns(frame, changed):
    """Return a table with some columns replaced, a dict of Series. Their names may be any, even self."""
    import pandas

    if not changed:
        return frame
    return pandas.DataFrame(dict(frame.items()) | changed, frame.index, copy=False)


def _without_empty_rows(frame):
    """Return (the table without rows that have no value, sentences about them)."""
    empty = frame.isna().all(axis=1)
    if not empty.any() or len(frame.columns) == 1:
        return frame, []
    n = int(empty.sum())
    told = f"{n:,} rows without any value are left out" if n > 1 else "1 row without any value is left out"
    return frame[~empty], [told]


def _other(path, kind, encoding):
    """Read a table in a format that stores types."""
    try:
        if kind in (".parquet", ".feather", ".arrow"):
            return _arrow(path, kind)
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
    if index.nlevels > 1:
        index = index.map(lambda key: " ".join(map(typed_columns.text, key)))
    names = typed_columns.as_texts(index.to_series()).to_numpy()
    sentence = " ".join(["the index", *([", ".join(parts)] if parts else []), "is read as the names of the rows"])
    return frame.reset_index(drop=True), names, [sentence]


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
    listed = text.lstrip().startswith("[") or extension(path) != ".json"
    records = records[0] if whole else records
    records = [records] if isinstance(records, dict) else records
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("it should hold objects of names and values, a list of them or one per line")
    promises.check_dense(path, (len(records), len(set().union(*records))), "a table")
    if len(records) == 1:
        _check_row(records[0], listed=listed)
    # Whole numbers beside missing ones would become float64.
    return pandas.DataFrame(records, dtype=object)


def _check_row(record, *, listed):
    """Raise a ValueError if the only object of a JSON file holds the rows, instead of being one.

    Args:
        record: dict.
        listed: bool, whether the object stands in a list or on a line of its own, as only rows do.
    """
    rows = {} if listed else dict(_lists_of_objects(record))
    if rows:
        places = ", ".join(f'"{key}" ({len(objects):,})' for key, objects in list(rows.items())[:3])
        raise ValueError(
            f"it should hold an object for each row. Received: one object with a list of objects in {places}. Write "
            "such a list alone to the file if it holds the rows, or put the object in a list, [{...}], if it is a row"
        )
    if record and all(isinstance(value, list | dict) for value in record.values()):
        raise ValueError(
            "it should hold an object for each row. Received: one object of lists or objects, "
            f"{headers.listed(list(record))}. pandas writes rows by orient='records'"
        )


def _lists_of_objects(record):
    """Yield (the key, list) of each list of objects in an object. Keys of objects in it are joined by points."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", objects) for inner, objects in _lists_of_objects(value))
        elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            yield key, value


def _arrow(path, kind):
    """Read a Parquet or Feather file, in which whole numbers beside missing ones remain such."""
    import pandas
    import pyarrow

    if kind == ".parquet":
        import pyarrow.parquet

        # A few bytes may hold any number of equal values.
        promised = pyarrow.parquet.read_metadata(path)
        promises.check_dense(path, (promised.num_rows, max(1, promised.num_columns)), "a table")
        # Folders such as year=2020 are no columns.
        table = pyarrow.parquet.read_table(path, partitioning=None)
    else:
        import pyarrow.feather

        table = pyarrow.feather.read_table(path)
    frame = table.to_pandas(integer_object_nulls=True)
    # The option is not applied to the index.
    stored = [name for name in (table.schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
    if len(stored) == 1 and pyarrow.types.is_integer(table.schema.field(stored[0]).type):
        keys = table.column(stored[0]).to_pandas(integer_object_nulls=True)
        frame.index = pandas.Index(keys.to_numpy(object), dtype=object, name=frame.index.name)
    return frame


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
            rows, _ = arff.loadarff(io.StringIO(file.read().replace("\r\n", "\n")))
    except StopIteration as error:
        raise ValueError("it has no @data line") from error
    except NotImplementedError as error:
        raise ValueError("attributes of type string or relational cannot be read; write the table as CSV") from error
    except ValueError as error:
        if "{" not in str(error):
            raise
        raise ValueError("its rows are sparse, in braces; write it in the dense form, or as .svmlight") from error
    frame = pandas.DataFrame(rows)
    for column in frame.columns:
        if frame[column].dtype == object:
            texts = frame[column].map(lambda value: value.decode() if isinstance(value, bytes) else value)
            frame[column] = texts.where(texts != "?")
        elif typed_columns.are_whole(frame[column], 2**63):
            # SciPy reads all numbers as float64, whose texts would be 1.0 and 2.0.
            frame[column] = frame[column].astype("Int64")
    return frame


def _numbers(frame, texts, options, *, typed):
    """Return (the table with numbers instead of texts that can be read as numbers, `numerals.Found`).

    Args:
        frame: pandas.DataFrame.
        texts: columns that remain text.
        options: `Options`.
        typed: bool, whether the format has numbers, whose form says nothing of that of numbers in texts.
    """
    import pandas

    strings, replaced, others = {}, {}, {}
    dotted, truths, padded, long = False, [], [], []
    for name in [name for name in frame.columns if name not in texts]:
        column = frame[name]
        if not typed and pandas.api.types.is_float_dtype(column):
            dotted = dotted or (options.decimal != "," and bool((column.dropna() % 1 != 0).any()))
        truths += [name] if typed_columns.are_truths(column) else []
        long += [name] if typed_columns.is_long(column) else []
        changed, found = typed_columns.opened(column)
        if changed is not None:
            replaced[name] = changed
        if found is not None:
            strings[name], others[name] = found, column.drop(found.index).dropna()
            padded += [name] if found.str.fullmatch(r"\s*0[0-9]+\s*").any() else []
    found = numerals.recognize(
        strings, decimal=options.decimal, thousands=options.thousands, dotted=dotted,
        unsigned=[name for name, numbers in others.items() if len(numbers)],
    )  # fmt: skip
    for name, form in found.forms.items():
        numbers = pandas.to_numeric(others[name]).astype("float64")
        replaced[name] = pandas.concat([numbers, numerals.convert(strings[name], form)]).reindex(frame.index)
    found.truths, found.long = truths, long
    padded = [name for name in padded if found.forms.get(name) == numerals.Form()]
    found.padded = [*frame.attrs.pop("padded", []), *padded]
    frame = _with_columns(frame, replaced)
    return _without_numbers(frame, typed_columns.missing_numbers(options.na), {*texts, *truths}), found


def _without_numbers(frame, missing, others):
    """Return the table with NaN in place of the numbers that mean a missing value, in whatever form they are written.

    Args:
        frame: pandas.DataFrame.
        missing: list of float.
        others: columns that remain unchanged.
    """
    import pandas

    lacking = {}
    for name in frame.columns if missing else ():
        if name not in others and pandas.api.types.is_numeric_dtype(frame[name]):
            lacking[name] = frame[name].isin(missing)
    changed = {name: frame[name].mask(where, np.nan) for name, where in lacking.items() if where.any()}
    return _with_columns(frame, changed)
