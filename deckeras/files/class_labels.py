"""Clean labels from files: one per row, or None if it is missing. Scores ignore rows without a label."""

import posixpath

import numpy as np

from deckeras._data.labels import as_labels
from deckeras.files import headers


class MissingLabels(ValueError):  # noqa: N818 - reads well in `except`
    """An error for rows of which none has a label: there is no such column, array or subfolder, or it has no values."""


def clean(y, n, name="labels"):
    """Return labels in the form that the scores expect.

    Args:
        y: (n,), (n, 1) or (1, n) array or pandas Series of numbers, str or bytes; None, NaN and pandas.NA are missing.
        n: int, the number of rows.
        name: str, default "labels", the name of the labels in errors.

    Returns:
        (n,) array with bytes decoded. If labels are missing, the dtype is object and missing labels are None.

    Raises:
        ValueError: another shape, or values that cannot be compared.
        MissingLabels: there is no label at all.

    Example:
        >>> import numpy as np
        >>> from deckeras.files import class_labels
        >>> class_labels.clean(np.array([[b"cat"], [b"dog"]]), 2)
        array(['cat', 'dog'], dtype=object)
        >>> class_labels.present(class_labels.clean([1.0, np.nan], 2))
        array([ True, False])
    """
    y = as_labels(y)
    if y.ndim == 2 and 1 in y.shape:
        y = y.ravel()
    if y.shape != (n,):
        way_out = " Write the number of the 1 in each row." if y.ndim == 2 and len(y) == n else ""
        raise ValueError(f"{name} should hold one label for each of the {n} rows. Received: shape {y.shape}.{way_out}")
    if y.dtype.kind in "biuU":
        return y
    if y.dtype.kind == "f" and not np.isnan(y).any():
        return y
    found = np.empty(n, object)
    found[:] = [_plain(value) for value in y.tolist()]
    mask = present(found)
    if not mask.any():
        raise MissingLabels(f"{name} should hold labels. Received: none for any row")
    try:
        np.unique(found[mask])
    except TypeError as error:
        raise ValueError(
            f"{name} should hold labels that can be compared with each other. Received: {error}"
        ) from error
    return found


def of_rows(y, n, name, notices):
    """Return labels as `clean` does, and append a notice to the list if rows have none."""
    y = clean(y, n, name)
    lacking = int(n - present(y).sum())
    if lacking:
        notices.append(f"{lacking:,} of {n:,} rows have no label; the scores are those of the others")
    return y


def of_folders(names, notices):
    """Return the subfolders of files as clean labels, and append notices of unexpected results to a list.

    Args:
        names: sequence of str, the paths of the files in their folder, with slashes.
        notices: list of str.

    Raises:
        MissingLabels: no file is in a subfolder.
    """
    folders = [posixpath.dirname(name) or None for name in names]
    y = of_rows(np.array(folders, object), len(folders), "the names of the subfolders", notices)
    nested = sorted({folder for folder in folders if folder and "/" in folder})
    if nested:
        notices.append(f"subfolders of subfolders are classes of their own: {headers.listed(nested)}")
    return y


def present(y):
    """Return an (n,) bool mask of the rows that have a label.

    Args:
        y: (n,) array that `clean` has returned.
    """
    if y.dtype != object:
        return np.ones(len(y), bool)
    return np.array([value is not None for value in y])


def _plain(value):
    # A cell array of MATLAB holds an array in each cell.
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return None
    return value
