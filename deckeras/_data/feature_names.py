"""The names of features, which an estimator compares with those that it was fitted to, in every kind of table."""

from typing import Any

from sklearn.utils.validation import check_array, validate_data

from deckeras._data import frames


def validated(estimator: Any, x: Any, *, reset: bool, n_min: int) -> Any:
    """Return x as scikit-learn validates it, if its features have the names that the estimator was fitted to.

    Args:
        estimator: the estimator, which keeps the names.
        x: array, SciPy sparse matrix, `frames.NamedMatrix` or DataFrame.
        reset: bool. True keeps the names of x, and False compares them.
        n_min: int, the smallest number of rows.

    Returns:
        (n, n_features) array or CSR matrix.

    Raises:
        TypeError, ValueError: the names differ or are in another order, or as `sklearn.utils.validation.validate_data`.
    """
    labels = frames.labels_of(x)
    if reset:
        estimator._names = labels
    elif None not in (labels, getattr(estimator, "_names", None)) and labels != estimator._names:
        raise ValueError(
            f"X should have the columns that the estimator was fitted to, in their order: {estimator._names!r:.200}. "
            f"Received: {labels!r:.200}"
        )
    options: dict[str, Any] = {"accept_sparse": "csr", "ensure_min_samples": n_min}
    names = frames.names_of(x)
    if names is None or frames.is_frame(x):
        return validate_data(estimator, x, reset=reset, **options)
    import pandas

    # scikit-learn reads names from DataFrames only. One without rows costs no copy of x.
    validate_data(estimator, pandas.DataFrame(columns=names), reset=reset, skip_check_array=True)
    return check_array(x, estimator=estimator, input_name="X", **options)
