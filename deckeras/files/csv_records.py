"""Parse the cells of text files by the csv module, without its limit on their length."""

import contextlib
import csv
import dataclasses

_MAX_CELL = 2**31 - 1  # characters of a cell; more do not fit in a C long everywhere


@dataclasses.dataclass
class Record:
    """The cells of a record, and its lines."""

    cells: list
    start: int  # the number of its first line
    end: int  # the number of the line after it


def parse(lines, sep, quote):
    """Yield (cells, number of their last line, counted from 1) of the records of a text, however long a cell is.

    Args:
        lines: iterable of str.
        sep, quote: as `dialects.Dialect` has them.

    Raises:
        ValueError: the csv module cannot parse a line.
    """
    if sep == " ":
        lines = map(_with_blanks, lines)
    reader = csv.reader(lines, delimiter=sep or "\x1f", quotechar=quote, skipinitialspace=sep == " ")
    while True:
        # The limit is that of the whole process, in which others read, too.
        limit = csv.field_size_limit(_MAX_CELL)
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"is not a regular table: {error}, in line {reader.line_num} of its rows. Correct the line, or give "
                "the separator by --sep."
            ) from error
        finally:
            csv.field_size_limit(limit)
        yield cells, reader.line_num


def of(body, sep, quote):
    """Return the records of numbered lines that are not blank.

    Args:
        body: list of (number, line).
        sep, quote: as for `parse`.
    """
    records, before = [], 0
    numbers = [number for number, _ in body] + [body[-1][0] + 1]
    # A line that the csv module cannot parse with this separator ends the records.
    with contextlib.suppress(ValueError):
        for cells, number in parse((line for _, line in body), sep, quote):
            if cells and not (len(cells) == 1 and cells[0].isspace()):
                records.append(Record(cells, numbers[before], numbers[number]))
            before = number
    return records


def _with_blanks(line):
    """Replace the tabs between cells by blanks, and remove blanks at the end of the line."""
    bare = line.rstrip(" \t\r\n")
    # Every other part is quoted.
    parts = bare.split('"')
    parts[::2] = [part.replace("\t", " ") for part in parts[::2]]
    return '"'.join(parts) + line[len(line.rstrip("\r\n")) :]
