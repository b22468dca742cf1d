"""Find quotation marks that are not closed, so that the rows below them would become part of a text."""

from deckeras.files import csv_records, numerals

_BLOCK = 2**20  # characters that are examined at a time
_SAMPLE = 100  # rows that show which columns are numeric
_NONE = "\x1e"  # a quotation mark that no text has


def has_marks(file, quote):
    """Return whether a text has a quotation mark."""
    return any(quote in block for block in iter(lambda: file.read(_BLOCK), ""))


def has_odd_lines(lines, quote):
    """Return whether a line has an odd number of quotation marks, as the first line of a longer record has."""
    return any(line.count(quote) % 2 for line in lines)


def check(lines, dialect, rows, missing):
    """Raise a ValueError if a record consists of several lines that are rows themselves.

    A text may have line breaks, and lines with as many separators as a row. The lines are rows if each one has a number
    in each numeric column and a blank after a separator only where rows have one. In addition, there is a whole line
    inside the text, or the mark that closes it precedes other text, as a mark that opens one does.

    Args:
        lines: iterable of str, the lines, beginning with the first row.
        dialect: `dialects.Dialect`.
        rows: list of lists of str, the cells of some rows.
        missing: collection of str, the texts that mean a missing value.
    """
    n = len(dialect.names)
    numeric = [place for place in range(n) if _are_numbers([row[place] for row in rows[:_SAMPLE]], missing)]
    begun, end = [], 0
    for _, number in csv_records.parse(_recorded(lines, begun), dialect.sep, dialect.quote):
        start, end, inner = end + 1, number, begun[:]
        begun.clear()
        if (
            len(inner) > 1
            and n > 1
            and (len(inner) > 2 or _precedes_text(inner[-1], dialect))
            and all(_is_row(line, dialect, numeric, missing) for line in inner)
        ):
            first, last = dialect.start + start, dialect.start + end
            raise ValueError(
                f"has a quotation mark in line {first} that is closed in line {last}, but each of these lines has the "
                f"{n} cells of a row. Close the mark in line {first}, or double it and put the text in marks if it "
                "stands for itself. If the text does have these lines, write the table with another separator."
            )


def _recorded(lines, begun):
    """Yield lines, and append each to a list."""
    for line in lines:
        begun.append(line)
        yield line


def _precedes_text(line, dialect):
    """Return whether the mark that ends a text, in its last line, precedes other text instead of a separator."""
    after = line.replace(dialect.quote * 2, "").partition(dialect.quote)[2][:1]
    return after != dialect.sep and bool(after.strip())


def _is_row(line, dialect, numeric, missing):
    """Return whether a line has the cells of a row, where quotation marks may be part of them."""
    for quote in (dialect.quote, _NONE):
        cells = next(csv_records.parse([line], dialect.sep, quote), ([], 0))[0]
        blanks = any(cell[:1] == " " for cell in cells[1:])
        if (
            len(cells) == len(dialect.names)
            and (dialect.blanks or not blanks)
            and all(_are_numbers([cells[place]], missing) for place in numeric)
        ):
            return True
    return False


def _are_numbers(cells, missing):
    return all(numerals.is_number(cell) or cell.strip() in missing for cell in cells)
