"""Read tables from the sheets of Excel workbooks."""

import contextlib
import dataclasses
import os
import re
import zipfile
from typing import Any

import numpy as np

from deckeras import _extras
from deckeras.files import columns, dialects, headers, promises

# A hidden row or column, or a formula without a value after it.
_MORE = re.compile(rb"<(?:row|col) [^>]*hidden=\"(?:1|true)\"|(?:</f>|<f[^>]*/>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_CELL = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,3})([0-9]{1,7})["']""")
_BLOCK = 2**20


def read(path, sheet=None, skip=None, header=None, na=()):
    """Read the table of a sheet.

    Args:
        path: .xlsx, .xlsm, .xlsb, .ods or .xls file; the content rather than the name decides the format.
        sheet: str, default None: the only visible sheet that is not empty.
        skip: int, the number of lines above the table; default None: lines with fewer cells than the others.
        header: bool, default None: `headers.has_names` decides.
        na: texts that mean a missing value.

    Returns:
        (pandas.DataFrame, bool, list of str): the table, whether it has names, and sentences about what was detected.

    Raises:
        ValueError: the file is not a workbook, or the sheet cannot be chosen.
        ImportError: openpyxl or python-calamine is not installed.
    """
    sheets, seen = _sheets(path)
    name = _choose(path, sheets, seen, sheet)
    cells, notices = sheets[name], list(seen[name].notices)
    if len(sheets) > 1:
        notices.append(f'sheet "{name}" of {len(sheets)}')
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
    names = [str(number) for number in range(cells.shape[1])]
    if header:
        names, told = sample[0], []
        if len(sample) > 3 and headers.is_units(sample[1], sample[2:], na):
            names, sentence = headers.with_second_line(names, sample[1])
            told.append(sentence)
        cells = cells.iloc[1 + len(told) :].reset_index(drop=True)
        names, more = headers.unique(names)
        notices += told + more
    cells.columns = names
    what = "first line taken as names" if header else "no line of names (--header if the first one is)"
    return cells, header, [f"{len(names):,} columns, {what}", *notices]


@dataclasses.dataclass
class _Seen:
    """The visibility of a sheet, and sentences about what its cells do not show."""

    visible: bool = True
    notices: list = dataclasses.field(default_factory=list)


def _sheets(path):
    """Return (a dict from name to the cells of a sheet, a dict from name to its `_Seen`)."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start not in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise ValueError(
            f"{os.fspath(path)!r} is damaged or not a workbook. If it is text, rename it to .csv, else save it as "
            ".xlsx again."
        )
    _check_size(path)
    import pandas

    try:
        import openpyxl  # noqa: F401 - needed for what `_look` reports
        import python_calamine

        with open(path, "rb") as file:
            found = python_calamine.CalamineWorkbook.from_filelike(file).sheets_metadata
        sheet, visible = python_calamine.SheetTypeEnum.WorkSheet, python_calamine.SheetVisibleEnum.Visible
        names = [each.name for each in found if each.typ == sheet]
        with open(path, "rb") as file:
            # A text such as NA may be the name of a row.
            sheets = pandas.read_excel(
                file, sheet_name=names, header=None, dtype=object, engine="calamine", keep_default_na=False,
                na_values=[""],
            )  # fmt: skip
    except ImportError as error:
        raise _extras.needed("Reading workbooks", "openpyxl and python-calamine", "excel") from error
    except Exception as error:
        # The parsers raise errors of any class for damaged bytes.
        raise ValueError(
            f"{os.fspath(path)!r} is damaged, protected or not a workbook: {error}. Save it as .xlsx again."
        ) from error
    seen = {each.name: _Seen(each.visible == visible) for each in found if each.typ == sheet}
    if start == b"PK\x03\x04" and _has_more(path):
        _look(path, sheets, seen)
    return sheets, seen


def _has_more(path):
    """Return whether an .xlsx file has hidden rows or columns, or formulas without values."""
    with zipfile.ZipFile(path) as archive:
        parts = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        return any(_MORE.search(archive.read(name)) for name in parts)


def _look(path, sheets, seen):
    """Report hidden rows and columns, and formulas without values, in the notices of each sheet in `seen`."""
    import openpyxl
    from openpyxl.utils import get_column_letter

    try:
        book = openpyxl.load_workbook(path)
    except Exception as error:
        # openpyxl is stricter than the reader of the cells.
        for sheet in seen.values():
            sheet.notices.append(f"hidden rows, hidden columns and formulas without values are not reported: {error}")
        return
    for name, cells in sheets.items():
        sheet: Any = book[name]
        rows = [number for number, row in sheet.row_dimensions.items() if row.hidden and number <= sheet.max_row]
        # Neighboring columns of equal width share an entry.
        letters = [
            get_column_letter(number)
            for column in sheet.column_dimensions.values()
            if column.hidden
            for number in range(column.min, min(column.max, sheet.max_column) + 1)
        ]
        empty = [
            cell.coordinate
            for row in sheet.iter_rows()
            for cell in row
            if cell.data_type == "f" and _is_empty(cells, cell.row - 1, cell.column - 1)
        ]
        seen[name].notices += _told(len(rows), letters, empty)


def _is_empty(cells, row, column):
    return row >= cells.shape[0] or column >= cells.shape[1] or _text(cells.iat[row, column]) == ""


def _told(n_rows, letters, empty):
    """Return sentences about hidden rows and columns, and formulas without values."""
    notices = []
    if n_rows:
        notices.append(f"hidden rows are read, too: {n_rows:,}, such as those of a filter")
    if letters:
        notices.append(f"hidden columns are read, too: {columns.listed(letters)}")
    if empty:
        notices.append(
            f"formulas without a stored value are read as missing: {columns.listed(empty)}. Open the file in a "
            "spreadsheet program and save it, which computes them"
        )
    return notices


def _check_size(path):
    """Raise a ValueError if the cells of a workbook do not fit in memory: two of them can be very far apart."""
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


def _choose(path, sheets, seen, wanted):
    """Return the name of the sheet to read."""
    full = [name for name, cells in sheets.items() if cells.notna().to_numpy().any()]
    if wanted is not None:
        if wanted not in sheets:
            raise ValueError(f"{os.fspath(path)!r} has no sheet {wanted!r}. It has {', '.join(map(repr, sheets))}.")
        if wanted not in full:
            what = f"The sheets with cells are {', '.join(map(repr, full))}" if full else "No sheet has cells"
            raise ValueError(f"{os.fspath(path)!r} has no cells in the sheet {wanted!r}. {what}.")
        return wanted
    shown = [name for name in full if seen[name].visible]
    if len(shown) == 1:
        return shown[0]
    what = f"{', '.join(map(repr, full))}. Choose one by --key" if full else "none with cells"
    raise ValueError(f"{os.fspath(path)!r} should have one sheet with a table. Received: {what}.")


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
    """Return the text that a cell displays."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    return str(cell)
