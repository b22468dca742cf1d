"""Find columns of a table that cannot be read as numbers, and suggest the options that resolve this."""

import dataclasses
import re

import numpy as np

from deckeras.files import numerals

_MAX_CATEGORIES = 20  # the most distinct texts for which --one-hot is suggested
_MIN_WORDS = 4  # the fewest words per text, on average, for which --text is suggested
_SAMPLE = 1000  # the number of values of a column that are examined
_MAX_NAMED = 5  # the most columns that a sentence names
_OTHER_USES = ("--drop", "--names", "--labels", "--text", "--one-hot")
_FILLER = "\u200b\u200c\u200d\ufeff\u00ad"  # invisible characters


@dataclasses.dataclass(frozen=True)
class Roles:
    """Uses of the columns of a table. The attributes are arguments of `deckeras.files.read`."""

    names: str | None = None
    labels: str | None = None
    text: str | None = None
    drop: tuple = ()
    one_hot: tuple = ()
    missing: str | None = None
    need_terms: bool = True

    def __post_init__(self):
        others = {"names": [self.names], "labels": [self.labels], "drop": self.drop}
        for use, features in {"text": [self.text], "one-hot": self.one_hot}.items():
            for other, columns in others.items():
                if both := sorted(set(filter(None, features)) & set(filter(None, columns))):
                    raise ValueError(
                        f"--{use} makes features of a column, and --{other} makes none. Received: {both[0]!r} for both"
                    )

    @property
    def of_text(self):
        """list of str, the columns whose values are read as text."""
        return [*filter(None, (self.names, self.labels, self.text)), *self.one_hot]

    def named(self, table):
        """Return the column with the names of the rows, or None. If `table.names` is None, a nameless one counts."""
        return self.names or (index_column(table.frame) if table.names is None else None)


def check_names(frame, wanted, error=ValueError):
    """Raise an error of this class if the table lacks one of the wanted columns."""
    unknown = [column for column in wanted if column not in frame.columns]
    if unknown:
        near = [column for column in frame.columns if column.strip().lower() == unknown[0].strip().lower()]
        hint = f" Do you mean {near[0]!r}?" if near else ""
        shown = ", ".join(map(repr, list(frame.columns)[:100]))
        raise error(f"There is no column {unknown[0]!r}.{hint} The columns are {shown}.")


def index_column(frame):
    """Return the first column if it has values but no name, as pandas and R write row names, otherwise None."""
    first = unnamed(list(frame.columns))
    return first if first is not None and frame[first].notna().any() else None


def unnamed(names):
    """Return the name that stands for that of the first column if it has none, else None."""
    return names[0] if names[:1] == ["Unnamed: 0"] else None


def text_problems(frame, columns, found, *, fitted=False):
    """Return one line per column that does not hold numbers, with the command-line options that resolve it.

    Args:
        frame: pandas.DataFrame.
        columns: list of the columns that should hold numbers.
        found: `numerals.Found` of these columns.
        fitted: bool, default False. Whether a model needs these columns, so that they cannot be used otherwise.
    """
    import pandas

    problems = []
    types = frame.dtypes.to_dict()
    texts = [name for name in columns if not pandas.api.types.is_numeric_dtype(types[name])]
    lines, texts = _odd_lines(frame, texts)
    problems += lines
    for column in texts:
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
        elif _are_durations(present):
            ways = [f'--drop "{column}"', "replace them by numbers, such as seconds"]
            problems.append(
                f'- column "{column}" holds durations, such as "{present.iloc[0]}": {_advice(ways, fitted)}'
            )
        elif pandas.api.types.is_datetime64_any_dtype(values) or _are_dates(present):
            ways = [
                f'--drop "{column}"', f'--names "{column}" if each row has its own',
                "replace them by numbers, such as years or days",
            ]  # fmt: skip
            problems.append(f'- column "{column}" holds dates, such as "{present.iloc[0]}": {_advice(ways, fitted)}')
        elif present.map(lambda value: isinstance(value, list | tuple | dict | set | np.ndarray)).any():
            ways = [f'--drop "{column}"', "write each of its values to a column"]
            problems.append(f'- column "{column}" holds a {_kind(present)} in a row: {_advice(ways, fitted)}')
        elif len(frame.columns) == 1 and (advice := _one_column(present.head(_SAMPLE).astype(str))):
            problems.append(f'- the lines are not split into cells, such as "{_short(present.iloc[0])}": {advice}')
        else:
            start, ways = _text_problem(column, values, present, found)
            problems.append(f'- column "{column}" holds {start}: {_advice(ways, fitted)}')
    return problems


def _advice(ways, fitted):
    """Join the ways out of a problem. For a fitted model, only those that leave the column a feature apply."""
    ways = [way for way in ways if not (fitted and way.startswith(_OTHER_USES))] or ["correct it"]
    return ", ".join([*ways[:-1], f"or {ways[-1]}" if len(ways) > 1 else ways[0]])


def _odd_lines(frame, columns):
    """Return (one problem per row that has text in two or more columns of numbers, the other columns)."""
    rows, left = {}, []
    for column in columns:
        present = frame[column].dropna()
        texts = present[~present.map(lambda value: not isinstance(value, str) or numerals.is_number(value))]
        if len(texts) == 1 < len(present) - 1 and not numerals.is_missing(texts.iloc[0]):
            rows.setdefault(texts.index[0], []).append((column, texts.iloc[0]))
        else:
            left.append(column)
    problems = []
    for row, cells in rows.items():
        if len(cells) == 1:
            left.append(cells[0][0])
            continue
        number = _position(frame, row)
        shown = listed(f'"{_short(text)}" in "{column}"' for column, text in cells)
        repeated = all(str(column).partition(".")[0] == text.strip() for column, text in cells)
        what = "The names are repeated" if repeated else "It may be a line of names, units or notes"
        problems.append(f"- row {number} has text where {len(cells)} columns have numbers, {shown}: {what}. Delete it")
    return problems, [column for column in columns if column in left]


def _position(frame, label):
    """Return the number of the first row with a label, counted from 1."""
    return int(frame.index.get_indexer_for([label])[0]) + 1


def _text_problem(column, values, present, found):
    """Return (what a column of text holds, a list of the ways out)."""
    texts = present[~present.map(lambda value: not isinstance(value, str) or numerals.is_number(value))]
    odd = texts if len(texts) else present
    example, number = odd.iloc[0], len(odd)
    count = f"text in {number} of {len(present)} rows" if number < len(present) else "text"
    start, drop = f'{count}, such as "{_short(example)}"', f'--drop "{column}"'
    named = f'--names "{column}" if these are the names of the rows'
    if not len(texts):
        form = numerals.recognize({column: present.astype(str)}).forms.get(column)
        # The other columns may be in another form than this one.
        if form is not None and not (found.commas if form.decimal == "." else found.dotted):
            thousands = f' --thousands "{form.thousands}"' if form.thousands else ""
            return start, [f'--decimal "{form.decimal}"{thousands}', drop]
        return f"{start}: its numbers are written in different forms", ["write all in one form", drop]
    distinct = texts.drop_duplicates()
    if 2 * number < len(present) or all(map(numerals.is_missing, distinct)):
        row = _position(values, odd.index[0])
        start = f"{start} (row {row})"
        if row == len(values) and not numerals.is_missing(example):
            return start, ["delete the last line of the file if it is not a row, else correct it"]
        if len(distinct) <= 3:
            na = " ".join(f'"{value}"' for value in distinct)
            return start, [f"--na {na} if that means a missing value, else correct it"]
        return start, ["correct them", drop]
    if around := _around(distinct):
        return start, [f"write the numbers without {around}", drop]
    if texts.head(_SAMPLE).str.split().str.len().mean() >= _MIN_WORDS:
        to_cluster = f'--text "{column}" to cluster the rows by its words'
        return start, [to_cluster, *([named] if present.nunique() == len(values) else []), drop]
    if present.nunique() == len(values):
        return start, [named, drop]
    if (n := present.nunique()) <= _MAX_CATEGORIES:
        features = f'--one-hot "{column}" to make its {f"{n} values features" if n > 1 else "value a feature"}'
        labels = f'--labels "{column}" if these are classes to compare the clusters with'
        return start, [features, labels, drop]
    return start, [drop]


def value_problems(frame, columns, texts=(), *, missing):
    """Return one line for all missing values, and one per column with infinite values.

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


def listed(names, max_named=_MAX_NAMED):
    """Join the first names for a sentence, followed by the number of the others."""
    names = list(names)
    if len(names) <= max_named + 1:
        return ", ".join(names)
    return f"{', '.join(names[:max_named])} and {len(names) - max_named} more"


def _are_durations(present):
    import datetime

    return len(present) > 0 and isinstance(present.iloc[0], datetime.timedelta | np.timedelta64)


def _are_dates(present):
    texts = present[present.map(lambda value: isinstance(value, str))]
    if not len(texts):
        import datetime

        import pandas

        return len(present) > 0 and isinstance(present.iloc[0], datetime.date | datetime.time | pandas.Period)
    distinct = texts.drop_duplicates()
    return len(texts) == len(present) and sum(map(numerals.is_date, distinct)) > 0.9 * len(distinct)


def _kind(present):
    value = next(value for value in present if isinstance(value, list | tuple | dict | set | np.ndarray))
    return "list" if isinstance(value, np.ndarray) else type(value).__name__


def _around(distinct):
    """Return the texts around all numbers, such as "kg" or "<", quoted, or "" if they differ or there are none."""
    pattern = r"([^\w\s.,+\-\"'\[{(]{0,2}|')\s*([-+]?[\d.,]*\d)\s*([^\d\s.,+\-\"\]})][^\d\"]{0,11}[23]?)?"
    matches = [re.fullmatch(pattern, text.strip()) for text in distinct]
    found = {(match[1], (match[3] or "").strip()) if match else None for match in matches}
    parts = found.pop() if len(found) == 1 else None
    if parts is None:
        return ""
    return " and ".join(f'"{_short(part)}"' for part in parts if part)


def _one_column(texts):
    """Return the advice for lines that were not split into cells, or ""."""
    for mark in ",;\t|^~:!/_":
        counts = texts.str.count(re.escape(mark))
        numbers = texts.str.split(mark, regex=False).explode().map(numerals.is_number)
        if counts.iloc[0] and (counts == counts.iloc[0]).all() and numbers.mean() > 0.5:
            # These separators would have been detected, unless whole lines are quoted as one cell.
            return "remove the quotation marks around whole lines" if mark in ",;\t|" else f'--sep "{mark}" splits them'
    return ""


def _short(value, max_length=60):
    """Return a value as a short text in which invisible characters are replaced by their codes."""
    text = " ".join(str(value).split(" "))
    text = "".join(char if char.isprintable() and char not in _FILLER else ascii(char)[1:-1] for char in text)
    return text if len(text) <= max_length else f"{text[:max_length]}..."
