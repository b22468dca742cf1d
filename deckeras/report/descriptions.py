"""Describe clusters in words, by the features that distinguish each cluster from the other rows."""

import numpy as np
from scipy import sparse

# Differences between the mean of a cluster and that of all rows, in standard deviations.
_MIN_DIFFERENCE = 0.5
_VERY = 1.5  # from this difference on, a mean is called very high or very low
_MAX_WORDS = 3  # the most features that are named
_MAX_TERMS = 6


def cluster_means(x, labels, n_clusters):
    """Return the mean of each feature in each cluster.

    Args:
        x: (n, n_features) array or SciPy sparse matrix.
        labels: (n,) int array.
        n_clusters: int.

    Returns:
        (n_clusters, n_features) float64 array, NaN for clusters without rows.
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    members = sparse.csr_matrix(
        (np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(n_clusters, len(labels))
    )
    sums = members @ x
    sums = sums.toarray() if sparse.issparse(sums) else np.asarray(sums)
    return np.divide(sums, sizes[:, None], out=np.full(sums.shape, np.nan), where=sizes[:, None] > 0)


def moments(x):
    """Return the mean and the standard deviation of each feature, in float64 whatever the dtype of the rows.

    NumPy's mean of a million rows of float32 is wrong by a percent, and the difference of the squares of large numbers,
    such as times, is lost to rounding.

    Args:
        x: (n, n_features) array or SciPy sparse matrix.

    Returns:
        (mean, deviation): two (n_features,) float64 arrays.
    """
    from sklearn.preprocessing import StandardScaler  # slow to import

    if not x.shape[1]:  # texts without common words
        return np.zeros(0), np.zeros(0)
    scaler = StandardScaler(with_mean=not sparse.issparse(x)).fit(x)
    return np.asarray(scaler.mean_, "float64"), np.sqrt(scaler.var_, dtype="float64")


def words(x, labels, n_clusters, features, n_words=_MAX_WORDS):
    """Describe each cluster by the features whose mean differs most from that of all rows.

    Args:
        x: (n, n_features) array or SciPy sparse matrix.
        labels: (n,) int array.
        n_clusters: int.
        features: list of n_features names. A feature of 0 and 1 may be named after a value, such as "fuel=petrol".
        n_words: int, default 3. The maximum number of features that are named.

    Returns:
        list of str, one per cluster; empty if no feature differs by half a standard deviation.

    Example:
        >>> import numpy as np
        >>> from deckeras.report import descriptions
        >>> x = np.array([[900.0, 1], [950, 1], [1500, 0], [1550, 0]])
        >>> descriptions.words(x, np.array([0, 0, 1, 1]), 2, ["weight", "fuel=petrol"])
        ['petrol, weight low', 'not petrol, weight high']
    """
    means = cluster_means(x, labels, n_clusters)
    mean, spread = moments(x)
    spread[spread < 1e-9 * np.maximum(np.abs(mean), 1e-300)] = np.inf
    differences = (means - mean) / spread
    return [_described(row, features, n_words) for row in differences]


def terms(x, labels, n_clusters, features, n_terms=_MAX_TERMS):
    """Describe each cluster of documents by the terms that are more frequent in it than in the others.

    Args:
        x: (n, n_features) SciPy sparse matrix of term weights.
        labels, n_clusters: as for `words`.
        features: list of n_features terms.
        n_terms: int, default 6. The maximum number of terms that are named.

    Returns:
        list of str, one per cluster; empty for a cluster without rows.

    Example:
        >>> import numpy as np
        >>> from scipy import sparse
        >>> from deckeras.report import descriptions
        >>> x = sparse.csr_matrix([[1.0, 0, 0.2], [0, 1.0, 0.2]])
        >>> descriptions.terms(x, np.array([0, 1]), 2, ["goal", "bank", "the"])
        ['goal', 'bank']
    """
    excess = np.nan_to_num(cluster_means(x, labels, n_clusters)) - moments(x)[0]
    order = np.argsort(-excess, axis=1)[:, :n_terms]
    return [
        ", ".join(features[place] for place in places if row[place] > 0)
        for row, places in zip(excess, order.tolist(), strict=True)
    ]


def _described(differences, features, n_words):
    if np.isnan(differences).any():
        return ""
    # If two differences are equal, the value that the cluster has comes before one that it lacks.
    order = np.lexsort((-differences, -np.abs(differences).round(6)))
    found = {}
    for place in order.tolist():
        if abs(differences[place]) < _MIN_DIFFERENCE or len(found) == n_words:
            break
        column, word = _word(features[place], differences[place])
        found.setdefault(column, word)
    return ", ".join(found.values())


def _word(feature, difference):
    """Return (the column of a feature, its description)."""
    column, sign, value = feature.partition("=")
    if sign and column and value:
        return column, value if difference > 0 else f"not {value}"
    very = "very " if abs(difference) >= _VERY else ""
    return feature, f"{feature} {very}{'high' if difference > 0 else 'low'}"
