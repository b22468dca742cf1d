"""Columns of a table: those that cannot be read as numbers, and those that are probably not features."""

import math
import re

import numpy as np

from deckeras.files import numerals

_MAX_CATEGORIES = 20  # distinct texts of a column for which --one-hot is suggested
_MAX_NAMED = 5  # columns that a sentence names
_SAMPLE = 10_000  # values of a column that are examined
_MIN_COUNTING = 5  # rows; fewer numbers may count up by chance
_EPOCHS = (6e8, 2.2e9)  # seconds since 1970: the years 1989 to 2039
_ID = re.compile(
    r"(?:^|[\W_])(?:id|ids|uuid|guid|index|idx|nr|rownum|row_?number|pk|key)$|[a-z](?:Id|ID|Nr|No)$", re.IGNORECASE
)


def check_names(frame, wanted):
    """Raise a ValueError if the table lacks one of the wanted columns."""
    unknown = [column for column in wanted if column not in frame.columns]
    if unknown:
        near = [column for column in frame.columns if column.strip().lower() == unknown[0].strip().lower()]
        hint = f" Do you mean {near[0]!r}?" if near else ""
        shown = ", ".join(map(repr, list(frame.columns)[:100]))
        raise ValueError(f"There is no column {unknown[0]!r}.{hint} The columns are {shown}.")


def index_column(frame):
    """Return the first column if it has no name, as pandas and R write row names, else None."""
    first = frame.columns[0] if len(frame.columns) else ""
    return first if first == "Unnamed: 0" else None


def text_problems(frame, columns, found):
    """Return a line for each column that does not hold numbers, with the options of the command that resolve it.

    Args:
        frame: pandas.DataFrame.
        columns: list of the columns that should hold numbers.
        found: `numerals.Found` of these columns.
    """
    import pandas

    problems = []
    types = frame.dtypes.to_dict()
    for column in [name for name in columns if not pandas.api.types.is_numeric_dtype(types[name])]:
        values = frame[column]
        present = values.dropna()
        if column in found.ambiguous:
            example = found.ambiguous[column]
            digits = example.strip().lstrip("+-")
            mark = "," if "," in digits else "."
            thousands = f'--thousands "{mark}"' if mark == "," else '--thousands "." --decimal ","'
            decimals = '--decimal ","' if mark == "," else '--decimal "."'
            problems.append(
                f'- column "{column}" holds numbers such as "{example}", with decimals or with thousands: {decimals} '
                f"or {thousands}"
            )
        elif pandas.api.types.is_datetime64_any_dtype(values) or _are_dates(present):
            problems.append(
                f'- column "{column}" holds dates, such as "{present.iloc[0]}": --drop "{column}", --names "{column}" '
                "if each row has its own, or replace them by numbers, such as years or days"
            )
        elif present.map(lambda value: isinstance(value, list | tuple | dict | set | np.ndarray)).any():
            problems.append(
                f'- column "{column}" holds a {_kind(present)} in a row: --drop "{column}", or write each of its '
                "values to a column"
            )
        else:
            problems.append(_text_problem(column, values, present))
    return problems


def _text_problem(column, values, present):
    texts = present[~present.map(lambda value: not isinstance(value, str) or numerals.is_number(value))]
    odd = texts if len(texts) else present
    example, number = odd.iloc[0], len(odd)
    count = f"text in {number} of {len(present)} rows" if number < len(present) else "text"
    start = f'- column "{column}" holds {count}, such as "{_short(example)}"'
    if not len(texts):
        return f'{start}: its numbers are written in different forms. Write all in one form, or --drop "{column}"'
    distinct = texts.drop_duplicates()
    if 2 * number < len(present) or all(map(numerals.is_missing, distinct)):
        row = values.index.get_loc(odd.index[0]) + 1
        where = f" (row {row})"
        if row == len(values) and not numerals.is_missing(example):
            return f"{start}{where}: delete the last line of the file if it is not a row, else correct it"
        if len(distinct) <= 3:
            na = " ".join(f'"{value}"' for value in distinct)
            return f"{start}{where}: --na {na} if that means a missing value, else correct it"
        return f'{start}{where}: correct them, or --drop "{column}"'
    if (unit := _unit(distinct)) is not None:
        return f'{start}: write the numbers without "{unit}", or --drop "{column}"'
    if present.nunique() == len(values):
        return f'{start}: --names "{column}" if these are the names of the rows, or --drop "{column}"'
    if present.nunique() <= _MAX_CATEGORIES:
        return (
            f'{start}: --one-hot "{column}" to make its {present.nunique()} values features, --labels "{column}" if '
            f'these are classes to compare the clusters with, or --drop "{column}"'
        )
    return f'{start}: --drop "{column}"'


def value_problems(frame, columns, texts=(), *, missing):
    """Return a line for missing values, and one for each column with infinite values.

    Args:
        frame: pandas.DataFrame.
        columns: list of the columns to check; those that hold text are skipped.
        texts: the columns that may hold text.
        missing: bool, whether missing values are allowed.
    """
    import pandas

    problems = []
    types = frame.dtypes.to_dict()
    numbers = [name for name in columns if pandas.api.types.is_numeric_dtype(types[name]) or name in texts]
    lacking = {} if missing else frame[numbers].isna().sum()
    lacking = {name: int(count) for name, count in dict(lacking).items() if count}
    if lacking:
        shown = listed([f'"{name}" ({count})' for name, count in lacking.items()], 20)
        problems.append(
            f"- values are missing in {shown}: --missing median to fill them, or --missing drop to leave out the rows"
        )
    floats = [name for name in columns if pandas.api.types.is_float_dtype(types[name])]
    infinite = np.isinf(frame[floats].to_numpy("float64", na_value=np.nan))
    for place in np.flatnonzero(infinite.any(axis=0)).tolist():
        rows = np.flatnonzero(infinite[:, place])
        problems.append(
            f'- column "{floats[place]}" holds infinity in {rows.size} of {len(frame)} rows (row {rows[0] + 1}): '
            "--na inf if that means a missing value, else correct it"
        )
    return problems


def remarks(frame, columns, found):
    """Return a sentence for each kind of suspicious column, such as one of row numbers.

    Args:
        frame: pandas.DataFrame.
        columns: list of the columns of numbers that become features.
        found: `numerals.Found` of the columns that were text.
    """
    constant, counting, named, epochs, copies, standing = [], [], [], [], [], []
    seen = {}
    for column in columns:
        values = frame[column].to_numpy("float64", na_value=np.nan)
        present = values[np.isfinite(values)]
        if not present.size:
            continue
        if (present == present[0]).all():
            constant.append(f'"{column}"')
            continue
        other = seen.setdefault(hash(values.tobytes()), column)
        if other != column and np.array_equal(
            values, frame[other].to_numpy("float64", na_value=np.nan), equal_nan=True
        ):
            copies.append(f'"{column}" of "{other}"')
        if _counts_up(present):
            counting.append(f'"{column}"')
        elif _is_epoch(present):
            epochs.append(f'"{column}"')
        elif _ID.search(column) and len(np.unique(present)) == len(present) and (present == present.round()).all():
            named.append(f'"{column}"')
        elif (sentinel := _sentinel(present)) is not None:
            standing.append(f'{sentinel:g} in "{column}" ({int((present == sentinel).sum())} rows)')
    return _sentences(constant, counting, named, epochs, copies, standing) + _forms(found, columns)


def _sentences(constant, counting, named, epochs, copies, standing):
    kinds = [
        (constant, "the same value in all rows, without information: {}"),
        (counting, "numbers that count up, such as row numbers or times: {}. --drop them if they are not features"),
        (named, "identifiers, by their names and their distinct whole numbers: {}. --drop them, or --names one"),
        (
            epochs,
            "times in (fractions of) seconds since 1970, or dates such as 20240131: {}. --drop them if they are not "
            "features",
        ),
        (copies, "copies of another column, which then counts twice: {}. --drop them"),
        (standing, "a frequent value far from all others: {}. Name it by --na if it means a missing value"),
    ]
    return [sentence.format(listed(columns)) for columns, sentence in kinds if columns]


def _forms(found, columns):
    """Return sentences on the way in which the numbers of these columns are written."""
    sentences = []
    used = set(columns)
    forms = {name: form for name, form in found.forms.items() if name in used}
    commas = [f'"{name}"' for name, form in forms.items() if form.decimal == ","]
    if commas:
        sentences.append(f"decimal commas in {listed(commas)}")
    for mark in sorted({form.thousands for form in forms.values()} - {None}):
        quoted = [f'"{name}"' for name, form in forms.items() if form.thousands == mark]
        sentences.append(f'"{mark}" between thousands in {listed(quoted)}')
    if set(found.bracketed) & set(forms):
        quoted = listed(f'"{name}"' for name in found.bracketed if name in forms)
        sentences.append(f"numbers in parentheses are read as negative in {quoted}")
    signs = {name: sign for name, sign in found.affixes.items() if name in forms}
    for sign in sorted(set(signs.values())):
        quoted = [f'"{name}"' for name, affix in signs.items() if affix == sign]
        sentences.append(f"{sign} is left out of the numbers in {listed(quoted)}")
    return sentences


def listed(names, max_named=_MAX_NAMED):
    """Join the first names in a sentence, with the number of the others."""
    names = list(names)
    if len(names) <= max_named + 1:
        return ", ".join(names)
    return f"{', '.join(names[:max_named])} and {len(names) - max_named} more"


def _counts_up(values):
    steps = np.diff(values[:_SAMPLE])
    return len(values) >= _MIN_COUNTING and steps[0] != 0 and bool(np.allclose(steps, steps[0], rtol=1e-6, atol=0))


def _is_epoch(values):
    if (values != values.round()).any() or len(np.unique(values[:1000])) < min(len(values), 1000) / 2:
        return False
    days, months, years = values % 100, values // 100 % 100, values // 10_000
    ranges = (days, 1, 31), (months, 1, 12), (years, 1900, 2100)
    if all(low <= part.min() and part.max() <= high for part, low, high in ranges):
        return True
    return any(_EPOCHS[0] * unit <= values.min() and values.max() <= _EPOCHS[1] * unit for unit in (1, 1e3, 1e6, 1e9))


def _sentinel(values):
    """Return a frequent value that is far from the others or commonly means "missing", else None."""
    distinct, counts = np.unique(values[:_SAMPLE], return_counts=True)
    if len(distinct) < 4:
        return None
    for at, near, rest in (0, 1, distinct[1:]), (-1, -2, distinct[:-1]):
        value, gap, width = distinct[at], abs(distinct[near] - distinct[at]), rest[-1] - rest[0]
        often = counts[at] > max(1, 0.002 * min(len(values), _SAMPLE))
        if not often or value == 0 or value != math.floor(value):
            continue
        nines = set(str(int(abs(value)))) == {"9"}
        lone = value < 0 <= rest[0] and (nines or value % 100 == 0 or value == -1)
        if gap > width or lone or (nines and value > 99 and gap > width / 4):
            return value
    return None


def _are_dates(present):
    texts = present[present.map(lambda value: isinstance(value, str))]
    if not len(texts):
        import datetime

        return len(present) > 0 and isinstance(present.iloc[0], datetime.date | datetime.time)
    distinct = texts.drop_duplicates()
    return len(texts) == len(present) and sum(map(numerals.is_date, distinct)) > 0.9 * len(distinct)


def _kind(present):
    value = next(value for value in present if isinstance(value, list | tuple | dict | set | np.ndarray))
    return "list" if isinstance(value, np.ndarray) else type(value).__name__


def _unit(distinct):
    """Return the unit that follows all numbers, such as "kg", or None."""
    units = {
        match[1] if (match := re.fullmatch(r"-?[\d.,]*\d\s*([^\d\s.,]\S*)", text.strip())) else None
        for text in distinct
    }
    return units.pop() if len(units) == 1 else None


def _short(value, max_length=60):
    text = " ".join(str(value).split())
    return text if len(text) <= max_length else f"{text[:max_length]}..."
