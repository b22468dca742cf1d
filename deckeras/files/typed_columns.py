"""The values of typed columns: their exact texts, their numbers, and those that are missing."""

import contextlib
import datetime
import math

import numpy as np

EXACT = 2**53  # float64 holds all whole numbers up to it


def text(value):
    """Return a value as a text file has it.

    Example:
        >>> from deckeras.files import typed_columns
        >>> typed_columns.text(9007199254740993), typed_columns.text(b"a"), typed_columns.text(0.5)
        ('9007199254740993', 'a', '0.5')
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, datetime.datetime):
        return str(value).removesuffix(" 00:00:00")
    return str(value)


def as_texts(column):
    """Return a column, a pandas Series, with the exact texts of its values, and NaN where they are missing."""
    # Single numbers of float32 would become those of float64, which have more digits.
    texts = column.astype(str) if column.dtype in ("float16", "float32") else _mapped(column, text)
    return texts.astype(object).where(column.notna(), np.nan)


def simple(column):
    """Return a column with bytes decoded, and decimals and fractions as floats.

    True and false beside other values are texts, as in a text file, since 1 and 0 beside numbers would look like them.
    """
    import pandas

    if isinstance(column.dtype, pandas.CategoricalDtype):
        column = column.astype(object)
    if column.dtype != object:
        return column
    present = column.dropna()
    truths = sum(map(_is_truth, present))
    mixed = 0 < truths < len(present)
    return _mapped(column, lambda value: text(value) if mixed and _is_truth(value) else _simple(value))


def missing_texts(na):
    """Return the texts that mean a missing value: those of `na`, and the other ones of the numbers among them."""
    whole = [number for number in missing_numbers(na) if math.isfinite(number) and number == int(number)]
    return {*na, *map(str, missing_numbers(na)), *(str(int(number)) for number in whole)}


def missing_numbers(na):
    """Return the numbers among the texts that mean a missing value."""
    numbers = []
    for each in na:
        with contextlib.suppress(ValueError):
            numbers.append(float(each))
    return numbers


def without_texts(column, missing):
    """Return a column with NaN in place of texts.

    Args:
        column: pandas Series.
        missing: set of str, the texts that mean a missing value.
    """
    if column.dtype.kind in "biufcmM":
        return column
    lacking = np.fromiter((isinstance(value, str) and value in missing for value in column), bool, len(column))
    return column.mask(lacking, np.nan) if lacking.any() else column


def opened(column):
    """Return (the column with plain numbers or None if it does not change, its texts or None if it has none).

    Args:
        column: pandas Series, as `simple` returns it.
    """
    import pandas

    kind = column.dtype
    if pandas.api.types.is_numeric_dtype(kind):
        return (_plain(column) if kind == np.dtype(bool) or not isinstance(kind, np.dtype) else None), None
    if kind.kind in "mM" or isinstance(kind, pandas.PeriodDtype):
        return None, None
    present = column.dropna()
    strings = present[[isinstance(value, str) for value in present]]
    if len(strings) < len(present):
        others = present.drop(strings.index)
        if any(isinstance(value, datetime.timedelta | np.timedelta64) for value in others):
            return None, None
        if pandas.to_numeric(others, errors="coerce").isna().any():
            return None, None
        if not len(strings):
            return pandas.to_numeric(column, errors="coerce").astype("float64"), None
    if not len(strings):
        # All values are missing.
        return column.astype("float64"), None
    return None, strings.astype(str)


def are_truths(column):
    """Return whether all values of a column are true or false."""
    import pandas

    if column.dtype != object:
        return bool(pandas.api.types.is_bool_dtype(column.dtype))
    present = column.dropna()
    return len(present) > 0 and all(map(_is_truth, present))


def are_whole(column, limit=math.inf):
    """Return whether a column holds floats, at least one, that are all whole numbers smaller than a limit."""
    if column.dtype.kind != "f":
        return False
    present = np.abs(column.dropna().to_numpy())
    return present.size > 0 and bool(((present < limit) & (present == np.floor(present))).all())


def is_long(column):
    """Return whether a column holds whole numbers that float64 cannot hold exactly."""
    import pandas

    if pandas.api.types.is_integer_dtype(column.dtype):
        return bool(column.max() > EXACT or column.min() < -EXACT)
    if pandas.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind in "mM":
        return False
    return any(map(_is_beyond, column))


def _is_truth(value):
    return isinstance(value, bool | np.bool_)


def _is_beyond(value):
    """Return whether a value is a whole number, perhaps of more digits than Python converts, beyond the exact ones."""
    if isinstance(value, int | np.integer):
        return abs(int(value)) > EXACT
    digits = value.strip().lstrip("+-") if isinstance(value, str) else ""
    if not digits.isdecimal():
        return False
    digits = digits.lstrip("0")
    return len(digits) > len(str(EXACT)) or int(digits or 0) > EXACT


def _plain(column):
    """Return a nullable or Arrow column of numbers as float64."""
    return column.astype("float64") if not column.isna().any() else column.astype("Float64").astype("float64")


def _simple(value):
    if isinstance(value, bytes):
        return text(value)
    return float(value) if type(value).__name__ in ("Decimal", "Fraction") else value


def _mapped(column, function):
    """Return a column of objects. pandas would make whole numbers beside missing ones float64."""
    import pandas

    found = np.empty(len(column), object)
    found[:] = [function(value) for value in column]
    return pandas.Series(found, column.index, name=column.name)


def trimmed(frame):
    """Return (the columns of text that have blanks around a value, without them, sentences about similar values).

    Args:
        frame: pandas.DataFrame of columns of text.

    Returns:
        (dict of Series, list of str). A text of blanks alone becomes NaN.
    """
    changed, notices = {}, []
    for name, column in frame.items():
        values = column.dropna()
        found = values.map(lambda value: value.strip() or np.nan if isinstance(value, str) else value)
        if found.nunique() < values.nunique():
            merged = f"{values.nunique():,} values become {found.nunique():,}"
            notices.append(f'blanks around values of "{name}" are removed: {merged}')
        if not found.equals(values):
            changed[name] = found.reindex(frame.index)
        if similar := in_other_case(found):
            quoted = " and ".join(f'"{value}"' for value in similar)
            notices.append(f'{quoted} are different values of "{name}", but differ only in case')
    return changed, notices


def in_other_case(values):
    """Return the first two distinct texts of a column that differ only in case, or () if there are none.

    Args:
        values: Series. If most of its values are distinct, they are no categories.
    """
    found = [value for value in values.unique() if isinstance(value, str)]
    if 2 * len(found) > len(values):
        return ()
    seen = {}
    for value in sorted(found):
        if (folded := value.casefold()) in seen:
            return seen[folded], value
        seen[folded] = value
    return ()
