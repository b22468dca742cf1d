"""Scores of a clustering: plain functions of label arrays, never of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.stats import entropy
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_samples
from sklearn.metrics.cluster import contingency_matrix

from deckeras._data import row_views
from deckeras._data.labels import as_labels, present_labels
from deckeras._typing import Array

_SILHOUETTE_ROWS = 2000


def _check_labels(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> tuple[Array, Array]:
    y_true, y_pred = (as_labels(y) for y in (y_true, y_pred))
    if y_true.ndim != 1 or y_true.shape != y_pred.shape or y_true.size == 0:
        raise ValueError(
            "y_true and y_pred should be 1-D, of one length, and not empty. "
            f"Received: shapes {y_true.shape} and {y_pred.shape}"
        )
    # Scores would count missing labels as one more class.
    return present_labels("y_true", y_true), present_labels("y_pred", y_pred)


def _codes(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> tuple[Array, Array]:
    """Return both labelings as whole numbers."""
    true, predicted = (np.unique(labels, return_inverse=True)[1] for labels in _check_labels(y_true, y_pred))
    return true, predicted


def match_clusters(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> dict[Any, Any]:
    """Match clusters to classes, one to one, so that as many rows as possible agree.

    Args:
        y_true: (n,) class labels: integers, strings, or any values that can be sorted.
        y_pred: (n,) cluster labels of the same kinds. Their number may differ from that of the classes.

    Returns:
        dict from cluster label to class label. If there are more clusters than classes, unmatched clusters are absent.

    Raises:
        ValueError: the labels are empty, not 1-D, not of one length, missing for a row, or cannot be sorted.

    Example:
        >>> from deckeras.metrics import match_clusters
        >>> {int(cluster): str(name) for cluster, name in match_clusters(["a", "b", "b"], [7, 5, 5]).items()}
        {5: 'b', 7: 'a'}

    Source: Kuhn's Hungarian method, by `scipy.optimize.linear_sum_assignment`.
    """
    y_true, y_pred = _check_labels(y_true, y_pred)
    counts = contingency_matrix(*_codes(y_true, y_pred))
    classes, clusters = np.unique(y_true), np.unique(y_pred)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    matched = sorted(zip(columns, rows, strict=True))
    return {clusters[column]: classes[row] for column, row in matched}


def confusion(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Count the rows of each class in each cluster.

    Args:
        y_true, y_pred: as for `match_clusters`.

    Returns:
        (classes, clusters, counts): the sorted class labels; the cluster labels in the order of the classes that they
        match, and then those that match none; and an (n_classes, n_clusters) array of numbers of rows.

    Raises:
        ValueError: as for `match_clusters`.

    Example:
        >>> from deckeras.metrics import confusion
        >>> classes, clusters, counts = confusion(["cat", "cat", "dog"], [1, 1, 0])
        >>> clusters.tolist(), counts.tolist()
        ([1, 0], [[2, 0], [0, 1]])
    """
    y_true, y_pred = _check_labels(y_true, y_pred)
    clusters_of = {name: cluster for cluster, name in match_clusters(y_true, y_pred).items()}
    classes, clusters = np.unique(y_true), np.unique(y_pred)
    matched = [clusters_of[name] for name in classes if name in clusters_of]
    order = np.concatenate([np.searchsorted(clusters, matched), np.flatnonzero(~np.isin(clusters, matched))])
    order = order.astype(np.int64)
    return classes, clusters[order], contingency_matrix(y_true, y_pred)[:, order]


def accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    r"""Return the unsupervised clustering accuracy: the fraction of rows that agree under the best one-to-one matching.

    $$\mathrm{ACC} = \max_m \frac{1}{n} \sum_i \mathbf{1}\{y_i = m(c_i)\}$$

    Args:
        y_true: (n,) class labels of any values that can be sorted.
        y_pred: (n,) cluster labels. There may be more or fewer clusters than classes.

    Returns:
        float from 0 to 1.

    Raises:
        ValueError: as for `match_clusters`.

    Example:
        >>> from deckeras.metrics import accuracy
        >>> accuracy([0, 0, 1, 1], [1, 1, 0, 0])
        1.0

    Source: Xie, Girshick and Farhadi, ICML 2016, equation 10.
    """
    y_true, y_pred = _codes(y_true, y_pred)
    counts = contingency_matrix(y_true, y_pred)
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / y_true.size)


def nmi(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Return the mutual information, normalized by the arithmetic mean of the entropies.

    Args:
        y_true, y_pred: as for `accuracy`.

    Returns:
        float from 0 to 1.

    Raises:
        ValueError: as for `accuracy`.

    Example:
        >>> from deckeras.metrics import nmi
        >>> nmi([0, 0, 1, 1], [1, 1, 0, 0])
        1.0
    """
    return float(normalized_mutual_info_score(*_codes(y_true, y_pred)))


def ari(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Return the adjusted Rand index.

    Args:
        y_true, y_pred: as for `accuracy`.

    Returns:
        float: 1.0 for equal partitions, about 0 for random ones. It can be negative.

    Raises:
        ValueError: as for `accuracy`.

    Example:
        >>> from deckeras.metrics import ari
        >>> ari([0, 0, 1, 1], [1, 1, 0, 0])
        1.0
    """
    return float(adjusted_rand_score(*_codes(y_true, y_pred)))


def scores(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> dict[str, float]:
    """Return ACC, NMI and ARI together.

    Returns:
        dict with the keys "acc", "nmi" and "ari", each a float.

    Example:
        >>> from deckeras.metrics import scores
        >>> scores([0, 0, 1, 1], [1, 1, 0, 0])
        {'acc': 1.0, 'nmi': 1.0, 'ari': 1.0}
    """
    return {"acc": accuracy(y_true, y_pred), "nmi": nmi(y_true, y_pred), "ari": ari(y_true, y_pred)}


def cluster_sizes(labels: npt.ArrayLike, n_clusters: int | None = None) -> npt.NDArray[np.int64]:
    """Return the number of rows in each cluster.

    Args:
        labels: (n,) non-negative integer cluster labels.
        n_clusters: int, default None: one more than the largest label. Pass it to count empty clusters at the end.

    Returns:
        (n_clusters,) int array.

    Raises:
        ValueError: a label is negative, not an integer, or not below `n_clusters`.

    Example:
        >>> from deckeras.metrics import cluster_sizes
        >>> cluster_sizes([0, 2, 2], n_clusters=4)
        array([1, 0, 2, 0])
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or (labels < 0).any():
        raise ValueError(
            f"labels should be a 1-D array of non-negative integers. Received: {labels.dtype} of shape {labels.shape}"
        )
    sizes = np.bincount(labels, minlength=n_clusters or 0)
    if n_clusters is not None and sizes.size > n_clusters:
        raise ValueError(f"labels should be below n_clusters={n_clusters}. Received: {sizes.size - 1}")
    return sizes


def most_confident(q: npt.ArrayLike, n_rows: int = 10) -> list[Array]:
    """Return the most confident rows of each cluster.

    Args:
        q: (n, n_clusters) soft assignments.
        n_rows: int, default 10.

    Returns:
        list of int arrays, one for each cluster: at most `n_rows` rows assigned to it, from the largest q down.

    Example:
        >>> import numpy as np
        >>> from deckeras.metrics import most_confident
        >>> [rows.tolist() for rows in most_confident(np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]))]
        [[1, 0], [2]]
    """
    q = np.asarray(q)
    labels = q.argmax(axis=1)
    order = np.lexsort((-q[np.arange(len(q)), labels], labels))
    ends = np.cumsum(np.bincount(labels, minlength=q.shape[1]))
    return [rows[:n_rows] for rows in np.split(order, ends[:-1])]


def divergences(p: npt.ArrayLike, q: npt.ArrayLike) -> npt.NDArray[np.float64]:
    r"""Return the loss of DEC for each row: $\mathrm{KL}(p_i \| q_i)$, in nats.

    Args:
        p, q: (n, n_clusters) arrays whose rows are distributions: targets and soft assignments.

    Returns:
        (n,) float64 array of values of at least 0.

    Raises:
        ValueError: p and q are not 2-D, or they differ in shape.

    Example:
        >>> from deckeras.metrics import divergences
        >>> divergences([[0.5, 0.5]], [[0.75, 0.25]]).round(4)
        array([0.1438])

    Source: Xie, Girshick and Farhadi, ICML 2016, equation 2.
    """
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if p.ndim != 2 or p.shape != q.shape or p.size == 0:
        raise ValueError(f"p and q should be of one shape (n, n_clusters). Received: shapes {p.shape} and {q.shape}")
    return entropy(p, np.maximum(q, np.finfo(np.float32).tiny), axis=1)


def generalizability(loss: float, validation_loss: float) -> float:
    r"""Return the generalizability of a clustering to held-out rows: $G = L_{train} / L_{validation}$.

    Args:
        loss, validation_loss: floats of at least 0: the mean of `divergences` of the training rows, and of held-out
            rows.

    Returns:
        float. It is about 1 if the model treats new rows like the training rows, and small if it overfits, for example
        because the data have fewer clusters than the model. It is 1 if both losses are 0.

    Raises:
        ValueError: a loss is negative or not finite.

    Example:
        >>> from deckeras.metrics import generalizability
        >>> generalizability(0.1, 0.125)
        0.8

    Source: Xie, Girshick and Farhadi, ICML 2016, equation 11.
    """
    for name, value in {"loss": loss, "validation_loss": validation_loss}.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} should be finite and at least 0. Received: {name}={value!r}")
    tiny = np.finfo(np.float64).tiny
    return float((loss + tiny) / (validation_loss + tiny))


def silhouettes(
    points: Any, labels: npt.ArrayLike, *, seed: int = 0, among: Array | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the silhouettes of the clusters of at most 2,000 rows, since the cost grows with their square.

    Args:
        points: (n, n_features) array, DataFrame, SciPy sparse matrix or `View`.
        labels: (n,) cluster labels.
        seed: int, default 0. Determines which rows are drawn.
        among: int array, the numbers of the rows to draw from, default None: all rows.

    Returns:
        (rows, values): two arrays, the sorted numbers of the rows, and their silhouettes from -1 to 1. All are -1 if
        the rows are in one cluster, or each in its own.

    Raises:
        ValueError: points and labels are of different lengths.

    Example:
        >>> from deckeras import metrics
        >>> rows, values = metrics.silhouettes([[0.0], [0.1], [9.0], [9.1]], [0, 0, 1, 1])
        >>> values.round(2).tolist()
        [0.99, 0.99, 0.99, 0.99]

    Source: Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", 1987.
    """
    points, labels = row_views.as_indexed(points), np.asarray(labels)
    if len(points) != len(labels):
        raise ValueError(f"labels should be as many as the rows of points, {len(points)}. Received: {len(labels)}")
    numbers = np.arange(len(labels)) if among is None else among
    rows = np.sort(np.random.default_rng(seed).permutation(numbers)[:_SILHOUETTE_ROWS])
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return rows, np.full(len(rows), -1.0)
    return rows, silhouette_samples(np.asarray(points[rows]), labels[rows])
