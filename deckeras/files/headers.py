"""Decide whether the first line of a table names its columns, and make these names distinct."""

import collections
import itertools
import math

from deckeras.files import numerals

_MIN_NUMBERS = 0.8  # fraction of numbers in a column that counts as numeric
_MIN_ROWS = 5  # the fewest rows that show the range of a column


def has_names(first, rest, na=()):
    """Return whether the first line names the columns rather than being a row.

    Text above numbers is a name. Numbers above numbers are names if they count up from 0 or 1, or if they are ordered
    and far from the values in all rows, such as years or wavelengths.

    Args:
        first: list of str, the cells of the first line.
        rest: list of lists of str, the cells of some lines below it.
        na: texts that mean a missing value, besides the common ones.

    Returns:
        bool, or None if both are possible.

    Example:
        >>> from deckeras.files import headers
        >>> headers.has_names(["0", "1", "label"], [["0.5", "0.1", "3"], ["0.2", "0.7", "3"]])
        True
        >>> headers.has_names(["5.1", "3.5", "rose"], [["4.9", "3.0", "lily"]])
        False
    """
    rest = [row for row in rest if len(row) == len(first)]
    if not rest:
        return 2 * sum(numerals.is_number(cell) or numerals.is_missing(cell, na) for cell in first) <= len(first)
    columns = [_numbers(column, na) for column in zip(*rest, strict=True)]
    if any(
        numbers is not None and not numerals.is_number(cell) and not numerals.is_missing(cell, na)
        for cell, numbers in zip(first, columns, strict=True)
    ):
        return True
    above = [
        (cell, numbers)
        for cell, numbers in zip(first, columns, strict=True)
        if numbers is not None and numerals.is_number(cell)
    ]
    if all(numbers is None for numbers in columns):
        return not any(numerals.is_number(cell) for cell in first) or _counts_up(first, rest)
    if not above:
        return False
    if first.count("") > (first[0] == ""):
        # Rows can have gaps, but a line of names has none.
        return False
    return _numbers_name(above, first, rest)


def is_units(row, rest, na=()):
    """Return whether the line below the names holds units, with text wherever the rows have numbers.

    Args:
        row: list of str, the cells of the line.
        rest: list of lists of str, the cells of the lines below it.
        na: as for `has_names`.
    """
    rest = [cells for cells in rest if len(cells) == len(row)]
    if len(rest) < 2:
        return False
    columns = [_numbers(column, na) for column in zip(*rest, strict=True)]
    over = [cell for cell, numbers in zip(row, columns, strict=True) if numbers is not None]
    texts = [cell for cell in over if not numerals.is_number(cell) and not numerals.is_missing(cell, na)]
    return bool(texts) and all(cell in texts or cell == "" for cell in over)


def with_second_line(names, second):
    """Return (names, a sentence) for a table whose second line holds units or the second part of the names.

    Args:
        names: list of str, the cells of the first line. A merged cell leaves the cells after it empty.
        second: list of str, the cells of the line below it.

    Example:
        >>> from deckeras.files import headers
        >>> headers.with_second_line(["size", "", "mass"], ["low", "high", ""])[0]
        ['size low', 'size high', 'mass']
    """
    below = [name for name, part in zip(names, second, strict=True) if part.strip()]
    if len(set(below)) == len(below) and "" not in [name.strip() for name in below[1:]]:
        return names, f"the second line, {listed(second)}, is left out, since it holds units"
    joined, last = [], ""
    for name, part in zip(names, second, strict=True):
        last = name if name.strip() or not part.strip() else last
        joined.append(" ".join(filter(None, [last.strip(), part.strip()])))
    return joined, f"the names are those of two lines: {listed(joined)}"


def unique(names):
    """Return (distinct names, sentences about repeated ones). An empty name becomes "Unnamed: 0"."""
    names = [name if name.strip() else f"Unnamed: {number}" for number, name in enumerate(names)]
    seen, distinct, doubled = set(names), [], []
    counts = collections.Counter()
    for name in names:
        if counts[name]:
            doubled.append(name)
            number = counts[name]
            while f"{name}.{number}" in seen:
                number += 1
            seen.add(f"{name}.{number}")
            distinct.append(f"{name}.{number}")
        else:
            distinct.append(name)
        counts[name] += 1
    return distinct, [f"repeated names of columns are numbered: {listed(dict.fromkeys(doubled))}"] if doubled else []


def listed(cells, max_cells=5):
    """Join the first cells of a line for a sentence, quoted and followed by the number of the others."""
    cells = list(cells)
    more = f" and {len(cells) - max_cells} more" if len(cells) > max_cells else ""
    return ", ".join(f'"{short(cell)}"' for cell in cells[:max_cells]) + more


def short(text, max_length=60):
    """Return the text on one line, shortened if it has more than `max_length` characters."""
    text = " ".join(text.split())
    return text if len(text) <= max_length else f"{text[:max_length]}..."


def _numbers(column, na):
    """Return the numbers of a column as written in the file, or None for a column of text."""
    present = [cell for cell in column if not numerals.is_missing(cell, na)]
    numbers = [cell for cell in present if numerals.is_number(cell)]
    if not numbers or len(numbers) < _MIN_NUMBERS * len(present):
        return None
    return numbers


def _numbers_name(above, first, rest):
    cells = [cell for cell, _ in above]
    if len(set(cells)) < len(cells):
        return False
    if _counts_up(first, rest):
        return True
    if len(cells) < 2:
        return False
    whole = all(cell.strip().isdigit() for cell in cells)
    if whole and all(not number.strip().lstrip("+-").isdigit() for _, numbers in above for number in numbers):
        return True
    values, ranges = [_value(cell) for cell in cells], [_range(numbers) for _, numbers in above]
    if not all(
        value < low - (high - low) or value > high + (high - low)
        for value, (low, high) in zip(values, ranges, strict=True)
    ):
        return False
    steps = [after - before for before, after in itertools.pairwise(values)]
    in_order = all(step > 0 for step in steps) or all(step < 0 for step in steps)
    even = len({round(step, 9) for step in steps}) == 1 and (len(cells) > 2 or abs(steps[0]) == 1)
    many_rows = len(rest) >= _MIN_ROWS
    if in_order and (even if not many_rows or len(cells) == 2 else True) and (len(cells) > 2 or many_rows):
        return True
    return None if whole and many_rows else False


def _counts_up(first, rest):
    """Return whether the first line counts up from 0 or 1, as pandas and R name unnamed columns."""
    named = first[1:] if first[0] == "" else first
    numbers = [cell.strip() for cell in named if numerals.is_number(cell)]
    others = [cell for cell in named if not numerals.is_number(cell)]
    if any(cell in {row[position] for row in rest} for position, cell in enumerate(first) if cell in others):
        return False
    start = next((start for start in (0, 1) if numbers == [str(start + i) for i in range(len(numbers))]), None)
    if start is None or len(numbers) < 2 + start:
        return False
    # If the rows continue the count, such as 3, 4, 5 below 0, 1, 2, the numbers are values.
    return rest[0][-len(named)].strip() != str(start + len(numbers))


def _value(text):
    """Return the value of a number, or NaN if it is not plain, such as one with a currency sign."""
    try:
        return float(text.strip().replace(",", ".")) if text.count(",") + text.count(".") < 2 else math.nan
    except ValueError:
        return math.nan


def _range(numbers):
    values = [_value(number) for number in numbers]
    return (-math.inf, math.inf) if any(map(math.isnan, values)) else (min(values), max(values))
