"""Read a table from a text file and detect its dialect."""

import contextlib
import dataclasses
import io
import os
import re
import warnings

import numpy as np

from deckeras.files import columns, dialects, numerals, quotation, text_files, typed_columns

COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
# The texts that pandas reads as missing values.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip


def extension(path):
    """Return the extension of a file without the one for its compression: ".csv" for "data.csv.gz"."""
    root, last = os.path.splitext(os.fspath(path).lower())
    if last in COMPRESSED:
        return os.path.splitext(root)[1] or last
    return last


def read(path, options, texts, names):
    """Read the table of a text file.

    Args:
        path, texts, names: as for `deckeras.files.tables.read`.
        options: `deckeras.files.tables.Options`.

    Returns:
        (pandas.DataFrame, options with what was detected, list of sentences about it). The attribute `padded` of the
        table lists the numeric columns that have leading zeros in the file.

    Raises:
        ValueError: the file is not a table, or can be read in several ways.
    """
    with _named(path):
        encoding, compression, head = text_files.look(path, options.encoding)
        prefer = options.prefer or ("\t" if extension(path) in (".tsv", ".tab") else None)
        given = {"sep": options.sep, "skip": options.skip, "comment": options.comment, "na": options.na}
        dialect = dialects.find(head, header=options.header, prefer=prefer, **given)
        if options.header is None and not dialect.header and _named_above(texts, head, dialect):
            dialect = dialects.find(head, header=True, prefer=prefer, **given)
        names = names or columns.unnamed(dialect.names)
        texts = [*texts, names]
        text_files.check_cells(path, compression, len(dialect.names))
        with text_files.explained(path, encoding):
            _check_quotes(lambda: text_files.opened(path, encoding, compression), dialect, head, options.na)
        with text_files.explained(path, encoding), text_files.opened(path, encoding, compression) as file:
            frame, like_rows = _parse(file, dialect, options, texts, names)
        if like_rows and options.comment is None:
            raise dialects.row_or_comment(dialect.comment, like_rows[0])
        as_texts = {*_thousands_or_decimals(frame, dialect, options, texts), *_rounded(frame)}
        if as_texts:
            with text_files.opened(path, encoding, compression) as file:
                frame, _ = _parse(file, dialect, options, [*texts, *as_texts], names)
        padded = _padded(frame, head, dialect)
        short = []
        if len(dialect.names) > 1 and frame.iloc[:, -1].isna().any():
            with text_files.opened(path, encoding, compression) as file:
                short = dialects.short_lines(_rows(file, dialect), dialect)
        if short and dialect.sep == " ":
            raise ValueError(
                f"is not a regular table: line {short[0]} has fewer cells than the others. With blanks as separators, "
                "write NA for missing values, or use another separator by --sep."
            )
    notices = [f"{dialects.described(dialect)}{'' if encoding == 'utf-8' else f', in {encoding}'}"]
    if compression and not os.fspath(path).lower().endswith(COMPRESSED):
        notices.append(f"the file is compressed by {compression}, although its name does not end so")
    if short:
        notices.append(f"cells are missing at the end of {len(short):,} lines (first in line {short[0]:,})")
    found = dataclasses.replace(options, header=dialect.header, prefer=dialect.sep or None)
    frame.attrs["padded"] = padded
    return frame, found, notices + list(dialect.notices)


def _check_quotes(opened, dialect, head, na):
    """Raise a ValueError if a quotation mark is not closed. Only a text with marks is read line by line."""
    with opened() as file:
        if not quotation.has_marks(file, dialect.quote):
            return
    with opened() as file:
        if not quotation.has_odd_lines(file, dialect.quote):
            return
    with opened() as file:
        quotation.check(_rows(file, dialect), dialect, dialects.cells(head, dialect), {*MISSING, *na})


def _padded(frame, head, dialect):
    """Return the columns of whole numbers with leading zeros at the beginning of the file, as in codes."""
    names = [name for name in frame.columns if frame[name].dtype.kind in "iu" or _are_whole_with_gaps(frame[name])]
    if not names or not re.search(r"(?<![\d.,])0\d", head):
        return []
    rows = dialects.cells(head, dialect)
    places = {name: place for place, name in enumerate(dialect.names) if name in names}
    return [name for name, at in places.items() if any(re.fullmatch(r"\s*0\d+\s*", row[at]) for row in rows)]


def _are_whole_with_gaps(column):
    """Return whether a column holds whole numbers, which pandas reads as float64 because some are missing."""
    return column.dtype == "float64" and column.isna().any() and typed_columns.are_whole(column)


def _rounded(frame):
    """Return the columns of whole numbers of which float64 has lost the last digits."""
    return [
        name for name in frame if _are_whole_with_gaps(frame[name]) and frame[name].abs().max() >= typed_columns.EXACT
    ]


def _thousands_or_decimals(frame, dialect, options, texts):
    """Return the columns of a semicolon-separated table whose points may separate thousands, as in 1.234."""
    if dialect.sep != ";" or options.decimal is not None:
        return []
    found = []
    for name in frame.columns:
        if name not in texts and frame[name].dtype == "float64":
            sizes = frame[name].dropna().abs()
            thousandths = sizes * 1000
            if ((sizes < 1000) & np.isclose(thousandths, thousandths.round(), rtol=1e-12)).all() and len(sizes):
                found.append(name)
    return found


def _parse(file, dialect, options, texts, names):
    import pandas

    file = _rows(file, dialect)
    # pandas does not accept one character as both separator and decimal point.
    own = options.decimal == "," == dialect.sep
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(
                file,
                sep={" ": r"\s+", "": "\x1f"}.get(dialect.sep, dialect.sep),
                header=None,
                names=dialect.names,
                index_col=False,
                quotechar=dialect.quote,
                skipinitialspace=dialect.blanks,
                **_missing(dialect.names, names, options.na),
                decimal="." if own else options.decimal or ".",
                dtype=str if own else dict.fromkeys([text for text in texts if text in dialect.names], str),
                low_memory=False,
            )
            return frame, getattr(file, "like_rows", [])
    except (pandas.errors.ParserError, pandas.errors.ParserWarning) as error:
        match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if match:
            number = int(match[2]) + dialect.start
            raise ValueError(
                f"is not a regular table: line {number} has {match[3]} cells, the others have {match[1]}. Correct it, "
                "or give the separator by --sep."
            ) from error
        more = (
            "a quotation mark has no end" if "EOF inside string" in str(error) else "lines have more cells than names"
        )
        raise ValueError(
            f"is not a regular table: {more} ({error}). Correct it, or give the separator by --sep."
        ) from error
    except pandas.errors.EmptyDataError as error:
        raise ValueError("has no rows below the line of names.") from error


def _rows(file, dialect):
    """Return the file without comments, starting at its first row."""
    for _ in range(dialect.start):
        file.readline()
    return _Uncommented(file, dialect) if dialect.comment else file


def _named_above(names, head, dialect):
    """Return whether the first line has a name, no number, that the user gives to a column: it names the columns."""
    first = {cell.strip() for cell in dialects.cells(head, dialect)[0]}
    return any(name in first and not numerals.is_number(name) for name in names)


def _missing(header, names, na):
    """Return the pandas arguments for missing values. A row may be named "null"."""
    if names not in header:
        return {"na_values": list(na)}
    texts = {name: ["", *na] if name == names else [*MISSING, *na] for name in header}
    return {"na_values": texts, "keep_default_na": False}


class _Uncommented(io.TextIOBase):
    """The text of a file without comments, which are lines that begin with the comment sign outside a quoted cell."""

    def __init__(self, file, dialect):
        self._file, self._dialect = file, dialect
        self._quoted, self._left = False, ""
        # Lines that are left out although they have one cell per column.
        self.like_rows = []

    def readable(self):
        return True

    def __iter__(self):
        while line := self._next():
            yield line

    def read(self, size=-1):
        while size < 0 or len(self._left) < size:
            line = self._next()
            if not line:
                break
            self._left += line
        size = len(self._left) if size < 0 else size
        text, self._left = self._left[:size], self._left[size:]
        return text

    def _next(self):
        """Return the next line that is not a comment, or "" at the end."""
        while line := self._file.readline():
            if self._quoted or not line.startswith(self._dialect.comment):
                self._quoted ^= line.count(self._dialect.quote) % 2 == 1
                return line
            if len(self._dialect.names) > 1 and not dialects.short_lines([line], self._dialect):
                self.like_rows.append(line.strip())
        return ""


@contextlib.contextmanager
def _named(path):
    """Prefix errors with the name of the file, unless they contain it."""
    try:
        yield
    except ValueError as error:
        name = repr(os.fspath(path))
        if name in str(error):
            raise
        space = " " if str(error)[:1].islower() else ": "
        raise ValueError(f"{name}{space}{error}") from error
