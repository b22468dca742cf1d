"""Detect how a text file stores a table: its separator, its names, and the lines above them.

Many lines from the beginning of the file decide, not only the first one: the separator is the one that splits them into
equal numbers of cells, most of which are numbers.
"""

import collections
import dataclasses
import io
import itertools
import re

from deckeras.files import csv_records, headers, numerals

_SEPARATORS = "\t;|, "
_CELLS = 20_000  # the number of cells that decide whether the first line has names
_SCORED = 40  # records that decide the separator: the last of the sample, because the first may be above the table
_LINES, _CHARACTERS = 500, 2**22
_MAX_DIGITS = 18  # the most digits of a number that counts rows
_SVMLIGHT = re.compile(r"\S+(?:\s+\d+:[-+.\deE]+)+(?:\s*#.*)?")
WORDS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma", " ": "blank", "": "nothing"}


@dataclasses.dataclass(frozen=True)
class Dialect:
    """Description of a table in a text file.

    Attributes:
        sep: str, a character; " " means any number of blanks, "" a single column.
        names: list of str, one name per cell of a line.
        header: bool, whether the names come from the file.
        start: int, the number of the first row's line in the file, counted from 0.
        comment: str or None; lines that begin with it are left out.
        quote: str, the quotation mark around cells.
        blanks: bool, whether blanks after a separator are left out.
        notices: tuple of str, one sentence per detail that was detected or left out.
    """

    sep: str
    names: list
    header: bool
    start: int
    comment: str | None = None
    quote: str = '"'
    blanks: bool = False
    notices: tuple = ()


def find(text, *, sep=None, skip=None, comment=None, header=None, na=(), prefer=None):
    """Detect the dialect of a table.

    Args:
        text: str, the first lines of the file, complete.
        sep: str, the separator; default None: detected.
        skip: int, the number of lines above the table; default None: lines with fewer cells, blank lines and comments.
        comment: str; default None: "#" if the file begins with it.
        header: bool, default None: `headers.has_names` decides.
        na: texts that mean a missing value.
        prefer: str, the separator to prefer if several fit; default None.

    Returns:
        `Dialect`.

    Raises:
        ValueError: the table can be read in several ways.

    Example:
        >>> from deckeras.files import dialects
        >>> found = dialects.find("flowers\\n\\nlength;width\\n1,5;2\\n3,5;1\\n")
        >>> found.sep, found.names, found.start
        (';', ['length', 'width'], 3)
    """
    lines = list(io.StringIO(text, newline=""))
    start, sep, notices = _above(lines, sep, skip)
    body, sign, above = _uncommented(lines, start, comment)
    if not body:
        raise ValueError("There are no rows below the comments and the skipped lines.")
    if all(_SVMLIGHT.fullmatch(line.strip()) for _, line in body[:5]):
        raise ValueError("The lines are of svmlight format, such as 1 3:0.5 7:1.2. Rename the file to .svmlight.")
    quote = _quote(body)
    found = sep or _separator(body, quote, prefer)
    records = csv_records.of(body, found, quote)
    blanks = found not in (" ", "") and _blanks_follow(records)
    if blanks:
        records = [dataclasses.replace(record, cells=[cell.lstrip() for cell in record.cells]) for record in records]
    records, titles = _without_titles(records, skip, found, sep)
    notices += told_titles(titles)
    first, *rest = records
    remark = _cells(above[-1], found, quote) if above and header is not False else []
    if (
        len(remark) == len(first.cells) > 1
        and headers.has_names(remark, [r.cells for r in _sample(records)], na)
        and not headers.has_names(first.cells, [r.cells for r in _sample(rest)], na)
    ):
        first, rest = csv_records.Record([cell.strip() for cell in remark], 0, first.start), records
        notices.append("the last line of comments taken as names")
        above = above[:-1]
    for line in above if comment is None else []:
        cells = _cells(line, found, quote)
        if len(cells) == len(records[0].cells) > 1 and all(map(numerals.is_number, cells[1:])):
            raise row_or_comment(sign, sign + line)
    dialect = _named(first, rest, header, na, found)
    notices += dialect.notices
    if sign:
        notices.append(f'lines that begin with "{sign}" are left out')
    return dataclasses.replace(dialect, comment=sign, quote=quote, blanks=blanks, notices=tuple(notices))


def described(dialect):
    """Describe the dialect in a few words, such as "comma-separated, 13 columns, first line taken as names"."""
    n = len(dialect.names)
    columns = f"{n:,} column{'s' if n > 1 else ''}"
    names = "first line taken as names" if dialect.header else "no line of names (--header if the first one is)"
    return (
        f"{WORDS.get(dialect.sep, repr(dialect.sep))}-separated, {columns}, {names}"
        if dialect.sep
        else f"{columns}, {names}"
    )


def told_titles(titles):
    """Return sentences about the lines above a table."""
    if len(titles) > 3:
        first, last = headers.short(titles[0]), headers.short(titles[-1])
        return [f'the {len(titles)} lines from "{first}" to "{last}" above the table are left out']
    return [f'the line "{headers.short(title)}" above the table is left out' for title in titles]


def row_or_comment(sign, line):
    """Return the ValueError for a line that begins like a comment but has the cells of a row."""
    return ValueError(
        f'has a line that begins with "{sign}", as comments do, and has the cells of a row: "{line.strip()[:60]}". Use '
        f'--comment "{sign}" to leave out such lines, or put quotation marks around the first cell.'
    )


def cells(text, dialect):
    """Return the cells of the rows at the beginning of a file, skipping rows without a cell for each name."""
    lines = io.StringIO(text, newline="")
    body = [(number, line) for number, line in enumerate(lines) if number >= dialect.start]
    body = [(number, line) for number, line in body if not dialect.comment or not line.startswith(dialect.comment)]
    records = csv_records.of(body, dialect.sep, dialect.quote) if body else []
    return [record.cells for record in records if len(record.cells) == len(dialect.names)]


def short_lines(lines, dialect):
    """Return the numbers of the lines, counted from 1, that have fewer cells than there are names.

    Args:
        lines: iterable of str, the lines, beginning with the first row.
        dialect: `Dialect`.
    """
    parsed = csv_records.parse(lines, dialect.sep, dialect.quote)
    return [dialect.start + number for cells, number in parsed if cells and len(cells) < len(dialect.names)]


def _above(lines, sep, skip):
    """Return (the number of the first line that is not blank, the separator, notices)."""
    notices = []
    if skip is not None:
        if skip >= len(lines):
            raise ValueError(f"skip should be less than the number of lines, {len(lines)}. Received: skip={skip}")
        return skip, sep, notices
    start = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    if start < len(lines) and (match := re.fullmatch(r'"?sep=(.)"?', lines[start].strip("\r\n"))):
        return start + 1, sep or match[1], notices
    return start, sep, notices


def _uncommented(lines, start, comment):
    """Return (numbered lines without comments, the comment sign, the comments above the table without the sign)."""
    while start < len(lines) and not lines[start].strip():
        start += 1
    sign = comment or ("#" if start < len(lines) and lines[start].startswith("#") else None)
    if sign is None:
        return list(enumerate(lines))[start:], None, []
    top = itertools.takewhile(lambda line: line.startswith(sign) or not line.strip(), lines[start:])
    above = [line[len(sign) :].strip("\r\n") for line in top if line.strip()]
    body = [(number, line) for number, line in list(enumerate(lines))[start:] if not line.startswith(sign)]
    return body, sign, above


def _quote(body):
    """Return the character that quotes cells: an apostrophe if cells use it and none has a double quotation mark."""
    text = "".join(line for _, line in body[:_SCORED])
    if '"' in text:
        return '"'
    return "'" if len(re.findall(r"(?:^|[\t;|,])\s*'[^'\r\n]*'\s*(?=[\t;|,\r\n])", text, re.MULTILINE)) > 1 else '"'


def _separator(body, quote, prefer):
    """Return the separator that fits best; raise a ValueError if another fits equally well and splits differently."""
    lengths = itertools.accumulate(len(line) for _, line in body[:_LINES])
    part = body[: max(_SCORED, sum(length < _CHARACTERS for length in lengths))]
    # An earlier file of the same kind may have been split by a character that is never detected.
    candidates = dict.fromkeys([*_SEPARATORS, *filter(None, [prefer])])
    parsed = {sep: csv_records.of(part, sep, quote) for sep in candidates}
    # Blanks stand in names and texts, too, and a tab counts as a blank.
    if any(_explains(sep, " ", parsed) for sep in parsed if sep != " "):
        del parsed[" "]
    scores = {sep: _score(records[-_SCORED:]) for sep, records in parsed.items()}
    cuts = {sep: [record.cells for record in records[-_SCORED:]] for sep, records in parsed.items()}
    best = max(scores, key=lambda sep: (round(scores[sep], 9), sep == prefer))
    if prefer in parsed and _explains(prefer, best, parsed):
        best = prefer
    if not scores[best] or (best == "," and _is_one_column([line for _, line in body[:_SCORED]])):
        return ""
    others = [sep for sep in scores if abs(scores[sep] - scores[best]) < 1e-9 and cuts[sep] != cuts[best]]
    if others and best != prefer:
        words = " or ".join(f"{WORDS.get(sep, repr(sep))}s" for sep in (best, *others))
        raise ValueError(f"The cells may be separated by {words}. Choose by --sep.")
    return best


def _explains(sep, other, parsed):
    """Return whether a separator splits all lines equally, and stands in the cells of another one not as decimal sign.

    Args:
        sep, other: str.
        parsed: dict of the records by separator.
    """
    records, rest = parsed[sep], parsed[sep][1:]
    # A line that cannot be parsed ends the records.
    if not _is_regular(records) or records[-1].end != parsed[other][-1].end:
        return False
    # Runs of blanks align columns.
    if rest and all(any(re.search(r"\S {2,}\S", cell) for cell in record.cells) for record in rest):
        return False
    inner = [cell for record in parsed[other][1:] for cell in record.cells if sep in cell]
    return not (inner and _is_regular(parsed[other]) and all(map(numerals.is_number, inner)))


def _is_regular(records):
    """Return whether all records have the same number of cells, at least two."""
    widths = {len(record.cells) for record in records}
    return len(widths) == 1 and min(widths) > 1


def _is_one_column(lines):
    """Return whether the lines are numbers, only some of which have decimal commas."""
    lines = [line.strip() for line in lines if line.strip()][1:]
    numbers = [line for line in lines if line not in ('""', "''")]
    return all(map(numerals.is_number, numbers)) and any("," not in line for line in lines)


def _score(records):
    """Score a separator by the fraction of lines with equal numbers of cells and the fraction of numeric cells."""
    records = [record.cells for record in records]
    counts = collections.Counter(len(cells) for cells in records)
    if not counts:
        return 0.0
    width = max(counts, key=lambda n: (counts[n], n))
    if width < 2:
        return 0.0
    cells = [cell for cells in records if len(cells) == width for cell in cells][:_CELLS]
    values = sum(numerals.is_number(cell) or cell.strip() == "" for cell in cells)
    return counts[width] / len(records) * (0.5 + values / len(cells))


def _cells(line, sep, quote):
    records = csv_records.of([(0, line)], sep, quote)
    return records[0].cells if records else []


def _blanks_follow(records):
    wide = [record.cells for record in records[:_SCORED] if len(record.cells) > 1]
    return (
        bool(wide)
        and all(cell[:1] in (" ", "") for cells in wide for cell in cells[1:])
        and any(cell[:1] == " " for cells in wide for cell in cells[1:])
    )


def _width(records, prefer=None):
    counts = collections.Counter(len(record.cells) for record in records)
    return max(counts, key=lambda n: (counts[n], n == prefer, n))


def _without_titles(records, skip, sep, given):
    """Return (records, beginning with the line of names; the lines with fewer cells above it)."""
    if not records:
        raise ValueError("There are no rows.")
    width = _width(records)
    if skip is not None or width < 2:
        return records, []
    min_width = width if width == 2 else width - 1
    first = next(number for number, record in enumerate(records) if len(record.cells) >= min_width)
    if any(all(map(numerals.is_number, record.cells)) for record in records[:first]):
        raise ValueError(
            f"The lines have different numbers of cells, {len(records[0].cells)} in the first and {width} in most. "
            "Give the separator by --sep, or the number of lines above the table by --skip."
        )
    if (
        width == 2
        and first == 1
        and sep == ","
        and not given
        and all(numerals.is_number(",".join(record.cells)) for record in records[1:])
    ):
        raise ValueError(
            f'The line "{headers.short(records[0].cells[0])}" may be the name of one column with decimal commas, or a '
            'line above two columns. Use --sep ";" for one column, or --skip 1 for two.'
        )
    if width == 2 and first == 1 and _row_names(records[0].cells, [record.cells for record in records[1:]], sep):
        return records, []
    if first:
        _check_halves(records[first - 1].cells, [record.cells for record in records[first:]], sep)
    return records[first:], [" ".join(filter(None, record.cells)) for record in records[:first]]


def _check_halves(above, rows, sep):
    """Raise a ValueError if each pair of cells below the line of names may be one number with a decimal comma."""
    if sep != "," or len(above) < 2 or len(above) * 2 != max(map(len, rows)):
        return
    if all(cell.strip().lstrip("+-").isdigit() for cells in rows for cell in cells):
        raise ValueError(
            f"The line {headers.listed(above)} has half as many cells as the rows, which may hold numbers with decimal "
            "commas that are separated by commas, too. Export the table with semicolons, or use --skip if this line "
            "is above the table."
        )


def _row_names(first, rest, sep):
    """Return whether each line begins with a row name but the line of names does not, as in tables written by R."""
    cells = [cells[0] for cells in rest if len(cells) == len(first) + 1]
    return len(cells) > 1 and sep in (" ", "\t") and not numerals.is_number(first[0]) and _are_row_names(cells)


def _named(first, rest, header, na, sep):
    """Return the dialect with the names of the columns and the first line of the rows."""
    sample = [record.cells for record in _sample(rest)]
    width = _width(rest, len(first.cells)) if rest else len(first.cells)
    if header is None:
        cells = first.cells
        shown = [row[-len(cells) :] if len(row) == len(cells) + 1 else row for row in sample]
        header = headers.has_names(cells, shown, na)
        if header is None:
            raise ValueError(
                f"The first line, {headers.listed(cells)}, differs from the rows and may name the columns. Use "
                "--header if it does, or --no-header if it is a row."
            )
    if not header:
        width = max(width, len(first.cells))
        return Dialect(sep, [str(number) for number in range(width)], False, first.start)
    names, notices = _fitted(first.cells, sample, width)
    start = first.end
    if rest and headers.is_units(rest[0].cells, sample[1:], na):
        names, told = headers.with_second_line(names, rest[0].cells)
        notices.append(told)
        start = rest[0].end
    names, told = headers.unique(names)
    notices += told
    return Dialect(sep, names, True, start, notices=tuple(notices))


def _sample(records):
    return records[: max(10, _CELLS // max(len(records[0].cells), 1))] if records else []


def _fitted(names, sample, width):
    """Return (a name for each cell of a line, notices)."""
    if len(names) == width or not sample:
        return list(names), []
    if len(names) > width and not any(name.strip() for name in names[width:]):
        return names[:width], []
    wide = [row for row in sample if len(row) == width]
    if len(names) == width - 1:
        if all(row[-1].strip() == "" for row in wide):
            return [*names, ""], []
        if _are_row_names([row[0] for row in wide]):
            return ["", *names], ["the first column has no name, and is read as the names of the rows"]
    raise ValueError(
        f"The line of names has {len(names)} cells, {headers.listed(names)}, but most lines have {width}. Use --sep, "
        "--skip or --no-header, or correct it."
    )


def _are_row_names(cells):
    """Return whether the cells are distinct texts, or consecutive whole numbers."""
    if len(set(cells)) < len(cells):
        return False
    if not all(cell.strip().isdecimal() and len(cell) <= _MAX_DIGITS for cell in cells):
        return not all(numerals.is_number(cell) for cell in cells)
    return all(int(after) == int(before) + 1 for before, after in itertools.pairwise(cells))
