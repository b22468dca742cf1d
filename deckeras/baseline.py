"""Cluster the rows themselves by k-means, as a baseline for clustering by a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from deckeras import metrics
from deckeras._data import row_views
from deckeras._typing import Array, Rows
from deckeras.files import class_labels

_MAX_ROWS = 10_000  # the number of rows that k-means is fitted to
_MAX_VALUES = 2**26  # values of these rows: 256 MiB
_BLOCK = 2**22  # values that are assigned together


def kmeans(x: Rows, n_clusters: int, *, seed: int | None = 0) -> npt.NDArray[np.int64]:
    """Cluster rows by k-means with ten restarts, fitted to a random sample of at most 10,000 rows.

    Args:
        x: (n, n_features) scaled rows: an array, DataFrame, SciPy sparse matrix or `View`.
        n_clusters: int.
        seed: int, default 0.

    Returns:
        (n,) int array, the cluster of each row.

    Example:
        >>> import numpy as np
        >>> from deckeras import baseline
        >>> baseline.kmeans(np.array([[0.0], [0.1], [5.0], [5.1]]), 2).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
        True
    """
    from sklearn.cluster import KMeans

    x = row_views.as_indexed(x)
    n, width = len(x), max(1, int(np.prod(x.shape[1:])))
    size = min(n, max(n_clusters, min(_MAX_ROWS, _MAX_VALUES // width)))
    chosen = np.sort(np.random.default_rng(seed).permutation(n)[:size])
    sample = np.asarray(x[:] if size == n else x[chosen], "float32").reshape(size, width)
    fitted = KMeans(n_clusters, n_init=10, random_state=seed).fit(sample)
    step = max(1, _BLOCK // width)
    parts = [
        fitted.predict(np.asarray(x[start : start + step], "float32").reshape(-1, width)) for start in range(0, n, step)
    ]
    return np.concatenate(parts).astype("int64")


def compare(clusters: npt.ArrayLike, others: npt.ArrayLike, y: npt.ArrayLike | None = None) -> dict[str, Any]:
    """Compare two clusterings of the same rows.

    Args:
        clusters, others: (n,) int arrays.
        y: (n,) labels as `deckeras.files.class_labels.clean` returns, default None.

    Returns:
        dict with "rows", "differ" (the number of rows in another cluster under the best matching), and the "sizes" and
        "scores" of the other clustering; "scores" is None without labels.

    Example:
        >>> from deckeras import baseline
        >>> baseline.compare([0, 0, 1, 1], [1, 1, 0, 1])["differ"]
        1
    """
    clusters, others = np.asarray(clusters), np.asarray(others)
    return {
        "rows": len(clusters),
        "differ": round(len(clusters) * (1 - metrics.accuracy(clusters, others))),
        "sizes": metrics.cluster_sizes(others).tolist(),
        "scores": scores(y, others),
    }


def scores(y: npt.ArrayLike | None, clusters: Array) -> dict[str, float] | None:
    """Return ACC, NMI and ARI of the rows that have a label, or None if no row has one.

    Args:
        y: (n,) labels as `deckeras.files.class_labels.clean` returns, or None.
        clusters: (n,) int array.
    """
    if y is None:
        return None
    y = np.asarray(y)
    known = class_labels.present(y)
    if not known.any():
        return None
    return metrics.scores(y[known].tolist() if y.dtype == object else y[known], clusters[known])
