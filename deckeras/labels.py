"""What comes with rows, one for each: labels, which never train, and weights."""

import numpy as np


def check_labels(y, n):
    """Check labels, before anything is trained.

    Args:
        y: n labels, all numbers or all text: an array, list or pandas Series. Bytes, as HDF5 and .npz files hold text,
            are decoded.
        n: int, the number of rows.

    Returns:
        (n,) array; None for None.

    Raises:
        ValueError: another number of labels, a missing one (its row is named), or labels that cannot be sorted.
    """
    if y is None:
        return None
    if np.ma.isMaskedArray(y) and np.ma.getmaskarray(y).any():
        mask, y = np.ma.getmaskarray(y), np.array(y.data, object)
        y[mask] = None
    y = np.asarray(y)
    if y.shape != (n,):
        raise ValueError(f"y should hold one label for each of the {n} rows of x. Received: y of shape {y.shape}")
    if y.dtype.kind in "OfcmM":
        missing = next((row for row, label in enumerate(y) if _is_missing(label)), None)
        if missing is not None:
            raise ValueError(f"y should have a label for every row. Received: {y[missing]} in row {missing}")
    if y.dtype.kind in "SO":
        y = _decoded(y)
    try:
        np.unique(y)
    except TypeError as error:
        raise ValueError(f"y should hold labels that can be compared with each other. Received: {error}") from error
    return y


def _is_missing(label):
    try:
        return label is None or bool(label != label)  # NaN alone differs from itself.
    except TypeError:  # pandas.NA is neither equal nor unequal to anything.
        return True
    except ValueError:  # of arrays, which are no labels, but not missing
        return False


def _decoded(y):
    """Labels with text in place of bytes, and of one type where they are of one."""
    labels = list(y)
    for row, label in enumerate(labels):
        if isinstance(label, bytes):
            try:
                labels[row] = label.decode()
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"y should hold text in UTF-8. Received: {bytes(label)!r} in row {row}. Decode it first: "
                    "[label.decode('latin-1') for label in y]"
                ) from error
    if labels and all(isinstance(label, str) for label in labels):
        return np.array(labels)
    found = np.empty(len(labels), object)
    found[:] = labels
    return found


def check_weights(sample_weight, n):
    """Check the weights of rows.

    Args:
        sample_weight: (n,) numbers of at least 0, not all 0, or one number for all.
        n: int, the number of rows.

    Returns:
        (n,) float64 array, or None for None.

    Raises:
        ValueError: another number of weights, or one that is negative, NaN or infinite; its row is named.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.dtype.kind not in "fiubO":
        raise TypeError(f"sample_weight should hold numbers. Received: dtype {weights.dtype}")
    weights = np.full(n, weights, np.float64) if weights.ndim == 0 else weights.astype(np.float64)
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight should hold one number for each of the {n} rows of x. Received: shape {weights.shape}"
        )
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if bad.size:
        raise ValueError(
            f"sample_weight should hold finite numbers of at least 0. Received: {weights[bad[0]]} in row {bad[0]}"
        )
    return weights
