"""Read tables from the sheets of Excel workbooks."""

import contextlib
import os
import re
import zipfile

import numpy as np

from deckeras import _extras
from deckeras.files import dialects, headers, promises

_CELL = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,3})([0-9]{1,7})["']""")
_BLOCK = 2**20


def read(path, sheet=None, skip=None, header=None, na=()):
    """Read the table of a sheet.

    Args:
        path: .xlsx or .xls file.
        sheet: str, default None: the only one that is not empty.
        skip: int, the number of lines above the table; default None: lines with fewer cells than the others.
        header: bool, default None: as `headers.has_names` decides.
        na: texts that mean a missing value.

    Returns:
        (pandas.DataFrame, bool, list of str): the table, whether it has names, and sentences about what was detected.

    Raises:
        ValueError: the file is not a workbook, or the sheet cannot be chosen.
        ImportError: openpyxl, or xlrd for .xls, is not installed.
    """
    import pandas

    with open(path, "rb") as file:
        if file.read(4) not in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
            raise ValueError(
                f"{os.fspath(path)!r} is damaged or not a workbook. If it is text, rename it to .csv, else save it as "
                ".xlsx again."
            )
    _check_size(path)
    library = "openpyxl" if os.fspath(path).lower().endswith("x") else "xlrd"
    try:
        sheets = pandas.read_excel(path, sheet_name=None, header=None, dtype=object, engine=library)
    except ImportError as error:
        raise _extras.needed(f"Reading {os.path.splitext(path)[1]}", library, "excel") from error
    except FileNotFoundError:
        raise
    except Exception as error:
        # The parsers raise errors of any class for damaged bytes.
        raise ValueError(
            f"{os.fspath(path)!r} is damaged, protected or not a workbook: {error}. Save it as .xlsx again."
        ) from error
    cells, chosen, notices = *_choose(path, sheets, sheet), []
    if len(sheets) > 1:
        notices.append(f'sheet "{chosen}" of {len(sheets)}')
    filled = cells.notna().to_numpy()
    start, titles = _start(cells, filled, skip)
    notices += dialects.told_titles(titles)
    cells = cells[filled.any(axis=1) & (np.arange(len(cells)) >= start)].reset_index(drop=True)
    if not len(cells):
        raise ValueError(f"{os.fspath(path)!r} has no rows below the skipped lines.")
    sample = [[_text(cell) for cell in row] for row in cells.head(200).to_numpy()]
    if header is None:
        header = headers.has_names(sample[0], sample[1:], na)
        if header is None:
            raise ValueError(
                f"{os.fspath(path)!r}: the first line differs from the rows and may name the columns. Use --header if "
                "it does, or --no-header if it is a row."
            )
    if header:
        names, doubled = dialects.unique(sample[0])
        units = headers.is_units(sample[1], sample[2:], na) if len(sample) > 3 else False
        notices += ["the second line is left out, since it holds units"] if units else []
        notices += ["repeated names of columns are numbered"] if doubled else []
        cells = cells.iloc[2 if units else 1 :].reset_index(drop=True)
    else:
        names = [str(number) for number in range(cells.shape[1])]
    cells.columns = names
    what = "first line taken as names" if header else "no line of names (--header if the first one is)"
    return cells.infer_objects(), header, [f"{len(names):,} columns, {what}", *notices]


def _check_size(path):
    """Raise a ValueError if the cells of a workbook do not fit in memory: two of them may lie a billion apart."""
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        promises.check(path, sum(member.file_size for member in archive.infolist()), "its XML")
        for member in archive.infolist():
            if member.filename.lower().endswith(".xml"):
                with archive.open(member) as file:
                    promises.check_dense(path, _extent(file), f"{member.filename!r}, with cells")


def _extent(file):
    """Return (the last row, the last column) of the cells in the XML of a sheet."""
    n_rows, n_columns, rest = 0, 0, b""
    while block := file.read(_BLOCK):
        for column, row in _CELL.findall(rest + block):
            n_rows, n_columns = max(n_rows, int(row)), max(n_columns, _column_number(column))
        rest = block[-32:]
    return n_rows, n_columns


def _column_number(letters):
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - 64
    return number


def _choose(path, sheets, wanted):
    """Return (the cells of the sheet, its name)."""
    if wanted is not None:
        if wanted not in sheets:
            raise ValueError(f"{os.fspath(path)!r} has no sheet {wanted!r}. It has {', '.join(map(repr, sheets))}.")
        return sheets[wanted], wanted
    full = {name: cells for name, cells in sheets.items() if cells.notna().to_numpy().any()}
    if len(full) != 1:
        what = f"{', '.join(map(repr, full))}. Choose one by --key" if full else "none with cells"
        raise ValueError(f"{os.fspath(path)!r} should have one sheet with a table. Received: {what}.")
    ((name, cells),) = full.items()
    return cells, name


def _start(cells, filled, skip):
    """Return (the number of the first line of the table, the texts of the lines above it)."""
    if skip is not None:
        return skip, []
    counts = filled.sum(axis=1)
    wide = int(np.median(counts[counts > 0]))
    min_cells = max(1, wide - 1 if wide > 2 else wide)
    start = int(np.argmax(counts >= min_cells))
    return start, [
        " ".join(_text(cell) for cell in cells.iloc[row] if _text(cell)) for row in range(start) if counts[row]
    ]


def _text(cell):
    """Return the text that a cell shows."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    return str(cell)
