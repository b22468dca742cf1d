"""Describe columns and rows that are read but may not be what they seem."""

import math
import re

import numpy as np

from deckeras.files.columns import listed

_SAMPLE = 10_000  # the number of values of a column that are examined
_MIN_COUNTING = 5  # the fewest rows; fewer numbers may count up by chance
_EPOCHS = (6e8, 2.2e9)  # seconds since 1970: the years 1989 to 2039
_MAX_TOTALS = 0.05  # fraction of the rows; a word that occurs in more of them is a category
_ID = re.compile(
    r"(?:^|[\W_])(?:id|ids|uuid|guid|index|idx|nr|rownum|row_?number|pk|key)$|[a-z](?:Id|ID|Nr|No)$", re.IGNORECASE
)
_MAX_CLASSES = 100  # the most distinct values of a column of classes
_CLASS = re.compile(
    r"(?:(?i:(?:^|.*[\W_])(?:labels?|class(?:es)?|targets?|category|categories|clusters?|species|outcome|diagnosis|"
    r"ground[\W_]?truth))|.*[a-z](?:Labels?|Class|Target|Category|Cluster|Species))"
    r"(?i:[\W_]*(?:ids?|idx|index|nr|no|codes?))?|(?i:y(?:[\W_]?true)?)"
)
_MAY_BE_CLASSES = (
    "what may be classes, by their names and their few whole numbers: {}. --labels one, which scores by it and keeps "
    "it out of the features, or --drop them"
)
_COUNTED_ROWS = 1000  # the number of rows that are examined for counts
_MIN_COUNTED = 50  # the fewest features of counts; fewer may be a table of small numbers
_MIN_ZEROS = 0.5  # fraction of the values of counts
_MIN_RATIO = 2  # of the sums of rows, 90th to 10th percentile; simulated types of cells are lost from about here on
_TOTAL = re.compile(
    r"(?:(?:sub|grand|sous|zwischen)[- ]?)?(?:totals?|totale|totaux|sums?|summe|gesamt|somme|suma|soma|average|mean|"
    r"mittelwert|durchschnitt|moyenne|promedio|media)\b.{0,20}",
    re.IGNORECASE,
)


def of_table(frame, columns, found):
    """Return one sentence per kind of suspicious column or row, such as row numbers or totals.

    Args:
        frame: pandas.DataFrame, including the columns that are not features.
        columns: list of the numeric columns that become features.
        found: `numerals.Found` of the table.
    """
    return _of_columns(frame, columns, found) + _totals(frame, columns) + of_forms(found, columns)


def _of_columns(frame, columns, found):
    constant, counting, named, classes, epochs, copies, standing = [], [], [], [], [], [], []
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
        elif _may_be_classes(column, present, columns):
            classes.append(f'"{column}"')
        elif (sentinel := _sentinel(present)) is not None:
            standing.append(f'{sentinel:g} in "{column}" ({int((present == sentinel).sum())} rows)')
    used = set(columns)
    long, padded = ([f'"{name}"' for name in names if name in used] for names in (found.long, found.padded))
    kinds = [
        (long, "whole numbers of more digits than float64 has, 16, of which the last are lost: {}. --drop identifiers"),
        (
            padded,
            "whole numbers with zeros in front, as codes have: {}. --drop them, or --names one, if they are codes",
        ),
        (constant, "the same value in all rows, without information: {}"),
        (counting, "numbers that count up, such as row numbers or times: {}. --drop them if they are not features"),
        (named, "identifiers, by their names and their distinct whole numbers: {}. --drop them, or --names one"),
        (classes, _MAY_BE_CLASSES),
        (
            epochs,
            "times in (fractions of) seconds since 1970, or dates such as 20240131: {}. --drop them if they are not "
            "features",
        ),
        (copies, "copies of another column, which then counts twice: {}. --drop them"),
        (standing, "a frequent value far from all others: {}. Name it by --na if it means a missing value"),
    ]
    return [sentence.format(listed(columns)) for columns, sentence in kinds if columns]


def of_counts(x):
    """Return a sentence, in a list, if the rows hold raw counts of cells, whose sums differ widely.

    Args:
        x: (n, ...) array or `scipy.sparse.csr_matrix`. Evenly spaced rows of it are examined.
    """
    from scipy import sparse

    if x.ndim != 2 or x.shape[1] < _MIN_COUNTED:
        return []
    rows = x[:: math.ceil(x.shape[0] / _COUNTED_ROWS)]
    zeros = 1 - (rows.count_nonzero() if sparse.issparse(rows) else np.count_nonzero(rows)) / math.prod(rows.shape)
    if zeros <= _MIN_ZEROS:
        return []
    rows = sparse.csr_matrix(rows)
    if (rows.data < 0).any() or (rows.data % 1 != 0).any():
        return []
    sums = np.asarray(rows.sum(axis=1)).ravel()
    sums = sums[sums > 0]  # An empty droplet has no counts.
    low, high = np.percentile(sums, [10, 90]) if sums.size else (0, 0)
    if high <= _MIN_RATIO * low:
        return []
    return [
        f"raw counts, by whole numbers of which {zeros:.0%} are 0, with sums of rows from {low:,.0f} (10th percentile) "
        f"to {high:,.0f} (90th): clusters may follow these sums, such as the depth of sequencing. Normalize them by "
        "scanpy.pp.normalize_total and scanpy.pp.log1p, or choose a normalized matrix by --key"
    ]


def _totals(frame, columns):
    """Return sentences about rows that hold totals of other rows."""
    sentences = []
    used = set(columns)
    for column in [name for name in frame.columns if name not in used]:
        texts = frame[column].dropna()
        texts = texts[texts.map(lambda value: isinstance(value, str) and _TOTAL.fullmatch(value.strip()) is not None)]
        if 0 < len(texts) <= max(1, _MAX_TOTALS * len(frame)):
            number = frame.index.get_indexer_for([texts.index[0]])[0] + 1
            rows = f'"{texts.iloc[0].strip()}" (row {number})'
            sentences.append(f"rows that may be totals of others are read, too: {listed([rows, *texts.iloc[1:]])}")
    values = frame[columns].to_numpy("float64", na_value=np.nan)
    if sentences or len(values) < _MIN_COUNTING:
        return sentences
    rest, last = values[:-1], values[-1]
    present = np.isfinite(last) & (last != 0) & np.isfinite(rest).any(axis=0)
    spread = present & (np.nanmin(np.where(present, rest, 0), axis=0) < np.nanmax(np.where(present, rest, 0), axis=0))
    for name, totals in ("sum", np.nansum(rest, axis=0)), ("mean", np.nanmean(np.where(present, rest, 0), axis=0)):
        fitting = spread & np.isclose(totals, last, rtol=1e-4, atol=0)
        if fitting.sum() >= max(2, 0.5 * present.sum()):
            quoted = listed(f'"{columns[place]}"' for place in np.flatnonzero(fitting))
            return [f"the last row holds the {name} of the others in {quoted}. Delete it if it is not a row"]
    return []


def of_forms(found, columns):
    """Return sentences about how the numbers of these columns are written.

    Args:
        found: `numerals.Found` of the table.
        columns: list of the columns that become features.
    """
    sentences = []
    used = set(columns)
    forms = {name: form for name, form in found.forms.items() if name in used}
    commas = [f'"{name}"' for name in found.commas if name in used]
    if commas:
        sentences.append(f"decimal commas in {listed(commas)}")
    for mark in sorted({form.thousands for form in forms.values()} - {None}):
        quoted = [f'"{name}"' for name, form in forms.items() if form.thousands == mark]
        sentences.append(f'"{mark}" between thousands in {listed(quoted)}')
    if set(found.bracketed) & set(forms):
        quoted = listed(f'"{name}"' for name in found.bracketed if name in forms)
        sentences.append(f"numbers in parentheses, or with a minus sign after them, are read as negative in {quoted}")
    truths = [f'"{name}"' for name in found.truths if name in used]
    if truths:
        sentences.append(f"true and false are read as 1 and 0 in {listed(truths)}")
    signs = {name: sign for name, sign in found.affixes.items() if name in forms}
    for sign in sorted(set(signs.values())):
        quoted = [f'"{name}"' for name, affix in signs.items() if affix == sign]
        sentences.append(f"{sign} is left out of the numbers in {listed(quoted)}")
    return sentences


def _counts_up(values):
    steps = np.diff(values[:_SAMPLE])
    return len(values) >= _MIN_COUNTING and steps[0] != 0 and bool(np.allclose(steps, steps[0], rtol=1e-6, atol=0))


def _may_be_classes(column, values, columns):
    if len(columns) == 1 or not _CLASS.fullmatch(column.strip()) or (values != values.round()).any():
        return False
    # Next to x, y is a coordinate.
    if column.strip().lower() == "y" and any(other.strip().lower() == "x" for other in columns):
        return False
    return len(np.unique(values)) <= min(_MAX_CLASSES, len(values) / 2)


def _is_epoch(values):
    if (values != values.round()).any() or len(np.unique(values[:1000])) < min(len(values), 1000) / 2:
        return False
    days, months, years = values % 100, values // 100 % 100, values // 10_000
    ranges = (days, 1, 31), (months, 1, 12), (years, 1900, 2100)
    if all(low <= part.min() and part.max() <= high for part, low, high in ranges):
        return True
    return any(_EPOCHS[0] * unit <= values.min() and values.max() <= _EPOCHS[1] * unit for unit in (1, 1e3, 1e6, 1e9))


def _sentinel(values):
    """Return a frequent value that is far from the others or commonly means "missing"; otherwise None."""
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
