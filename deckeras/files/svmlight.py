"""Sparse rows in svmlight format, which does not say how many columns there are or whether they start at 0 or 1."""

import os

import numpy as np

from deckeras.files import promises


def read(path, n_columns=None, zero_based=None):
    """Read the rows of a file.

    Args:
        path: the file.
        n_columns: int, the number of columns; default None: up to the last one with a value.
        zero_based: bool, whether columns are counted from 0; default None: whether the file has a column 0.

    Returns:
        (`scipy.sparse.csr_matrix`, labels, bool, list of str): the rows, the first number of each line, whether columns
        are counted from 0, and sentences about what is no feature.

    Raises:
        ValueError: the file is of another format, or has columns beyond those.
    """
    from sklearn.datasets import load_svmlight_file

    promises.check_text(path, os.path.getsize(path))
    try:
        x, y, queries = load_svmlight_file(os.fspath(path), query_id=True, zero_based=True)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} should have lines of svmlight format, such as '1 3:0.5 7:1.2': {error}"
        ) from error
    first = int(x.indices.min(initial=1))
    zero_based = first == 0 if zero_based is None else zero_based
    start = 0 if zero_based else 1
    n_columns = max(0, x.shape[1] - start) if n_columns is None else n_columns
    last = x.shape[1] - 1
    if first < start or last >= start + n_columns:
        raise ValueError(
            f"{os.fspath(path)!r} should have columns from {start} to {start + n_columns - 1}, as the earlier file. "
            f"Received: {first if first < start else last}"
        )
    x.indices -= start
    x = type(x)((x.data, x.indices, x.indptr), shape=(x.shape[0], n_columns))
    notices = ["the first number of each line is its label, not a feature"]
    if queries.any():  # else all are 0, or there are none
        notices.append(f"the queries (qid) that the lines belong to, {len(np.unique(queries)):,} of them, are left out")
    return x, y, bool(zero_based), notices
