"""Checks of labels: one for each row, none missing, and all of kinds that can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from deckeras._typing import Array


def as_labels(y: Any) -> Array:
    """Return labels as an array, in which numbers and missing labels of a list remain what they are.

    `numpy.asarray` writes all items of a list with text as text, so that NaN would be a class called "nan".

    Args:
        y: array, list or pandas Series. An array is returned unchanged.
    """
    if isinstance(y, np.ndarray):
        return y
    found = np.asarray(y)
    if found.dtype.kind not in "US":
        return found
    items = np.asarray(y, object)
    return found if all(isinstance(item, str | bytes) for item in items.flat) else items


def check_labels(y: npt.ArrayLike | None, n: int) -> Array | None:
    """Check labels, before anything is trained.

    Args:
        y: n labels, all numbers or all text: an array, list or pandas Series. Bytes, as HDF5 and .npz files hold text,
            are decoded.
        n: int, the number of rows.

    Returns:
        (n,) array; None for None.

    Raises:
        ValueError: the number of labels is not n, a label is missing (the message names its row), or the labels cannot
            be sorted.
    """
    if y is None:
        return None
    y = as_labels(y)
    if y.shape != (n,):
        raise ValueError(f"y should hold one label for each of the {n} rows of x. Received: y of shape {y.shape}")
    return present_labels("y", y)


def present_labels(name: str, y: Array) -> Array:
    """Check that no label is missing, and return the labels with bytes as text. The errors are those of `check_labels`.

    Args:
        name: str, the name of the labels in errors.
        y: (n,) array. Labels under the mask of a masked array are missing.
    """
    if isinstance(y, np.ma.MaskedArray):
        mask, y = np.ma.getmaskarray(y), np.asarray(y)
        if mask.any():
            y = y.astype(object)
            y[mask] = None
    if y.dtype.kind in "OfcmM":
        missing = next((row for row, label in enumerate(y) if _is_missing(label)), None)
        if missing is not None:
            raise ValueError(
                f"{name} should have a label for every row. Received: {y[missing]} in row {missing}. "
                "Leave out the rows without one."
            )
    if y.dtype.kind in "SO":
        y = _decoded(name, y)
    try:
        np.unique(y)
    except TypeError as error:
        raise ValueError(
            f"{name} should hold labels that can be compared with each other. Received: {error}"
        ) from error
    return y


def _is_missing(label: object) -> bool:
    try:
        return label is None or bool(label != label)  # NaN alone differs from itself.
    except TypeError:  # pandas.NA is neither equal nor unequal to anything.
        return True
    except ValueError:  # Arrays cannot be compared like this. They are neither missing nor labels.
        return False


def _decoded(name: str, y: Array) -> Array:
    """Return labels with text in place of bytes, as a text array if all of them are text."""
    labels = list(y)
    for row, label in enumerate(labels):
        if isinstance(label, bytes):
            try:
                labels[row] = label.decode()
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{name} should hold text in UTF-8. Received: {bytes(label)!r} in row {row}. Decode it first: "
                    f"[label.decode('latin-1') for label in {name}]"
                ) from error
    if labels and all(isinstance(label, str) for label in labels):
        return np.array(labels)
    found = np.empty(len(labels), object)
    found[:] = labels
    return found
