"""Tables: reading them, and saying what in them numbers cannot be made of."""

import math
import os

_FEW = 20  # values of a column of text up to which they are taken for categories in what is advised


def read(path, na, decimal, encoding, header, texts):
    """Read the table of a .csv, .tsv or .parquet file.

    Args:
        path: the file.
        na, decimal, encoding, header: as for `deckeras.files.read`.
        texts: list of the columns that are kept as they are written.

    Returns:
        (pandas.DataFrame, bool): the table, and whether its first line names the columns.

    Raises:
        ValueError: it is no table, or not in this encoding.
        ImportError: pyarrow is not installed, for .parquet.
    """
    import pandas

    extension = os.path.splitext(path)[1].lower()
    if extension == ".parquet":
        try:
            return pandas.read_parquet(path), True
        except ImportError as error:
            raise ImportError("Reading .parquet needs pyarrow: pip install deckeras[parquet]") from error
    codec = "utf-8-sig" if encoding == "utf-8" else encoding  # such a file may begin with a byte order mark
    try:
        with open(path, encoding=codec) as file:
            first = file.readline().rstrip("\r\n")
        separator = "\t" if extension == ".tsv" else max("\t;,".replace(decimal, ""), key=first.count)
        if header is None:
            header = not _are_values(first.split(separator), na, decimal)
        columns = {} if header else {"header": None, "names": [str(n) for n in range(first.count(separator) + 1)]}
        frame = pandas.read_csv(
            path,
            sep=separator,
            na_values=list(na),
            decimal=decimal,
            encoding=codec,
            dtype=dict.fromkeys(texts, str),
            **columns,
        )
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path!r} is not written in {encoding}. Say its encoding, such as latin-1. {error}"
        ) from error
    except LookupError as error:
        raise ValueError(
            f"encoding should be one that Python knows, such as latin-1. Received: {encoding!r}"
        ) from error
    except pandas.errors.ParserError as error:
        raise ValueError(f"{path!r} is no regular table: {error}") from error
    except pandas.errors.EmptyDataError as error:
        raise ValueError(f"{path!r} is empty.") from error
    frame.columns = [str(column) for column in frame.columns]
    return frame, header


def index_column(frame):
    """The name of the nameless first column that pandas writes for its index, or None."""
    first = frame.columns[0] if len(frame.columns) else ""
    return first if first == "Unnamed: 0" else None


def check_columns(frame, wanted):
    """Raise a ValueError for the first of the wanted columns that the table lacks."""
    unknown = [column for column in wanted if column not in frame.columns]
    if unknown:
        raise ValueError(f"There is no column {unknown[0]!r}. The columns are {', '.join(map(repr, frame.columns))}.")


def text_problems(frame, columns):
    """A line for each of the columns that holds text, with the options of the command that settle it."""
    import pandas

    problems = []
    for column in columns:
        values = frame[column]
        if pandas.api.types.is_numeric_dtype(values):
            continue
        present = values.dropna()
        text = present[pandas.to_numeric(present, errors="coerce").isna()]
        if not len(text):
            text = present
        example = text.iloc[0] if len(text) else ""
        if 2 * len(text) < len(present):
            advice = f'--na "{example}" if that means a missing value'
        elif present.nunique() == len(frame):
            advice = f'--names "{column}" if these are the names of the rows, or --drop "{column}"'
        elif present.nunique() <= _FEW:
            advice = (
                f'--one-hot "{column}" to make its {present.nunique()} values features, --labels "{column}" if these '
                f'are classes to compare the clusters with, or --drop "{column}"'
            )
        else:
            advice = f'--drop "{column}"'
        count = f"text in {len(text)} of {len(present)} rows" if len(text) < len(present) else "text"
        problems.append(f'- column "{column}" holds {count}, such as "{example}": {advice}')
    return problems


def missing_problems(frame, columns):
    """A line, or none, for the columns that lack values."""
    counts = {column: int(frame[column].isna().sum()) for column in columns}
    lacking = ", ".join(f'"{column}" ({count})' for column, count in counts.items() if count)
    if not lacking:
        return []
    return [
        f"- values are missing in {lacking}: --missing median to fill them, or --missing drop to leave out the rows"
    ]


def _are_values(cells, na, decimal):
    """Whether the cells of a first line are those of a row rather than the names of columns."""
    cells = [cell.strip().strip('"') for cell in cells]
    named = cells if cells[0] else cells[1:]
    if named == [str(number) for number in range(len(named))]:
        return False  # as pandas writes for an array, with or without its index
    return 2 * sum(_is_value(cell, na, decimal) for cell in cells) > len(cells)


def _is_value(cell, na, decimal):
    try:
        return cell in ("", *na) or math.isfinite(float(cell.replace(decimal, ".")))
    except ValueError:
        return False
