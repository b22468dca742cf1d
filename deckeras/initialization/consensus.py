"""The consensus of several clusterings of the same rows, without labels.

Clusterings differ by seed, by the space of the rows and by its metric. Their own scores do not show which one is good,
because silhouettes in different spaces cannot be compared. What they have in common is correct more often than any
single clustering.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from deckeras._typing import Array

_ROUNDS, _RESTARTS, _CONFIRMED = 20, 10, 3
_MOST_POINTS = 50_000  # of all rounds together, which bounds their time
_EQUAL = 1e-6  # difference of two optima that are the same: relative, or absolute if both are about zero


def consensus(labelings: Iterable[npt.ArrayLike], n_clusters: int, *, seed: int | None = 0) -> npt.NDArray[np.int64]:
    """Return the clustering that has most in common with all the given ones.

    Finds the partition with the highest quadratic mutual information with the given ones. This is k-means on their
    indicators; each column is centered and divided by the square root of its frequency, so that a small cluster counts
    as much as a large one. k-means has many local optima here, so it is restarted until three rounds of ten restarts
    have found the best one, or for 20 rounds. If the labelings have more than 2,500 different combinations of labels,
    there are fewer rounds, because each takes longer.

    Args:
        labelings: sequence of (n,) int arrays, cluster labels of the same rows. Their numbers of clusters may differ.
        n_clusters: int, at most the number of distinct combinations of labels.
        seed: int, default 0.

    Returns:
        (n,) int array.

    Raises:
        ValueError: there are no labelings, or they have different lengths.

    Example:
        >>> from deckeras.initialization.consensus import consensus
        >>> labels = consensus([[0, 0, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1]], 2)
        >>> (labels == labels[0]).tolist()
        [True, True, False, False, False]

    Source: Topchy, Jain and Punch, "Clustering Ensembles: Models of Consensus and Weak Partitions", TPAMI 2005, section
    5.
    """
    from threadpoolctl import threadpool_limits

    labelings = [np.asarray(labels) for labels in labelings]
    if not labelings or any(labels.shape != labelings[0].shape or labels.ndim != 1 for labels in labelings):
        shapes = [labels.shape for labels in labelings]
        raise ValueError(f"labelings should be 1-D arrays of one length, at least one. Received: shapes {shapes}")
    codes = np.stack([np.unique(labels, return_inverse=True)[1] for labels in labelings], axis=1)
    # Rows with the same label in each labeling are one point, weighted by their number.
    combinations, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    if len(combinations) < n_clusters:
        return codes[:, 0]
    points = np.concatenate([_indicators(column, counts) for column in combinations.T], axis=1)
    with threadpool_limits(1):  # Few points: on a busy machine, threads would only wait for one another.
        labels = _best_of_kmeans(points, counts, n_clusters, seed)
    return labels[inverse.reshape(-1)].astype(np.int64)


def _best_of_kmeans(points: Array, counts: Array, n_clusters: int, seed: int | None) -> Array:
    """Return the labels of the best of many k-means."""
    from sklearn.cluster import KMeans

    labels, smallest, confirmed = np.zeros(len(points), np.int32), math.inf, 0
    rounds = max(1, min(_ROUNDS, _MOST_POINTS // len(points)))
    for state in np.random.SeedSequence(seed).generate_state(rounds):
        kmeans = KMeans(n_clusters, n_init=_RESTARTS, random_state=int(state)).fit(points, sample_weight=counts)
        if math.isclose(kmeans.inertia_, smallest, rel_tol=_EQUAL, abs_tol=_EQUAL):
            confirmed += 1
        elif kmeans.inertia_ < smallest:
            labels, smallest, confirmed = kmeans.labels_, kmeans.inertia_, 1
        if confirmed == _CONFIRMED:
            break
    return labels


def agreement(labels: npt.ArrayLike, labelings: Iterable[npt.ArrayLike]) -> float:
    """Return the mean adjusted Rand index of a clustering with others: 1 if all are equal, about 0 by chance.

    Args:
        labels: (n,) int array.
        labelings: sequence of (n,) int arrays.

    Returns:
        float.

    Example:
        >>> from deckeras.initialization.consensus import agreement
        >>> agreement([0, 0, 1, 1], [[1, 1, 0, 0]])
        1.0
    """
    from sklearn.metrics import adjusted_rand_score

    return float(np.mean([adjusted_rand_score(labels, others) for others in labelings]))


def _indicators(codes: Array, counts: Array) -> Array:
    """Return (n, n_labels) float32 indicators of labels, centered and divided by the root of their frequency."""
    columns = np.eye(codes.max() + 1, dtype=np.float32)[codes]
    frequencies = np.average(columns, axis=0, weights=counts).astype(np.float32)
    return (columns - frequencies) / np.sqrt(frequencies)
