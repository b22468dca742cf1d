"""Graphs of nearest neighbors: of one view of the rows, of several views together, and what a clustering cuts of them.

The weights are those of UMAP (McInnes, Healy and Melville, 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from scipy import sparse

from deckeras._typing import Array

Metric: TypeAlias = Literal["euclidean", "cosine"]

_SMOOTHING_STEPS = 64  # bisections for each row's bandwidth, past the precision of float64
_MIN_BANDWIDTH = 1e-3  # as a fraction of the mean distance to the neighbors, as in UMAP


def neighbor_graph(x: Array, n_neighbors: int = 20, *, metric: Metric = "euclidean") -> sparse.csr_array:
    """Return the fuzzy graph of nearest neighbors.

    Each row is connected to its neighbors. The weight of the nearest neighbor is 1, and the weights of the others fall
    with their additional distance. The bandwidth of a row is set so that its weights sum to log2(n_neighbors). Two rows
    are connected if either is a neighbor of the other.

    Args:
        x: (n, n_features) float array.
        n_neighbors: int, default 20 as in N2D. At most n - 1 are used.
        metric: "euclidean" (default), or "cosine" for rows whose length is irrelevant, such as word counts.

    Returns:
        (n, n) `scipy.sparse.csr_array` of float32, symmetric, with weights from 0 to 1.

    Raises:
        ValueError: x has fewer than two rows, or the metric is not one of these.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization.neighbor_graphs import neighbor_graph
        >>> neighbor_graph(np.array([[0.0], [1.0], [9.0]]), 1).toarray()
        array([[0., 1., 0.],
               [1., 0., 1.],
               [0., 1., 0.]], dtype=float32)

    Source: McInnes, Healy and Melville, "UMAP: Uniform Manifold Approximation and Projection", 2018, section 3.1.
    """
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import normalize

    if metric not in ("euclidean", "cosine"):
        raise ValueError(f'metric should be "euclidean" or "cosine". Received: metric={metric!r}')
    if len(x) < 2:
        raise ValueError(f"x should have at least 2 rows. Received: {len(x)}")
    if metric == "cosine":
        x = normalize(apart_from_zeros(x))
    distances, neighbors = NearestNeighbors(n_neighbors=min(n_neighbors, len(x) - 1)).fit(x).kneighbors()
    distances = np.asarray(distances, np.float64)
    if metric == "cosine":
        distances = np.square(distances) / 2  # 1 - cosine of the angle
    weights = _weights(distances)
    rows = np.repeat(np.arange(len(x)), distances.shape[1])
    directed = sparse.csr_array((weights.ravel(), (rows, neighbors.ravel())), shape=(len(x), len(x)))
    graph = directed + directed.T - directed * directed.T
    return sparse.csr_array(graph, dtype=np.float32)


def joint_graph(graphs: Sequence[sparse.csr_array], n_neighbors: int = 20) -> sparse.csr_array:
    """Return the graph of the strongest connections in several graphs of the same rows.

    The weights of all graphs are added, and each row keeps its strongest connections. Two rows may be neighbors in one
    view by chance, but rarely in several. Without the limit, rows of a small table would be connected to most of their
    class and beyond.

    Args:
        graphs: list of (n, n) sparse arrays, as `neighbor_graph` returns them.
        n_neighbors: int, default 20. The number of connections of each row, or more if some of them are equal. Two rows
            are connected if either keeps the connection.

    Returns:
        (n, n) `scipy.sparse.csr_array` of float32, symmetric, with weights from 0 to the number of graphs.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization.neighbor_graphs import joint_graph, neighbor_graph
        >>> near = [neighbor_graph(np.array([[0.0], [1.0], [9.0]]) ** power, 1) for power in (1, 2)]
        >>> joint_graph(near, 1).toarray()
        array([[0., 2., 0.],
               [2., 0., 2.],
               [0., 2., 0.]], dtype=float32)
    """
    total = sparse.csr_array(sum(graphs))
    degrees = np.diff(total.indptr)
    rows = np.repeat(np.arange(len(degrees)), degrees)
    order = np.lexsort((-total.data, rows))
    weakest = total.data[order[total.indptr[:-1] + np.minimum(degrees, n_neighbors) - 1]]
    total.data[total.data < weakest[rows]] = 0
    total.eliminate_zeros()
    return sparse.csr_array(total.maximum(total.T), dtype=np.float32)


def apart_from_zeros(x: Array) -> Array:
    """Add a feature that puts rows of zeros at a right angle to all other rows.

    At the origin, a row of zeros would be nearer to each row of unit length than any row at a right angle to that row.
    It would be a neighbor of all rows. In practice, a few texts without a known word hid the classes of 12,000 others.
    """
    zeros = ~np.any(x, axis=1)
    return np.column_stack([x, zeros.astype(x.dtype)]) if zeros.any() else x


def _weights(distances: Array) -> Array:
    """Return the weights of the neighbors of each row: exp(-(distance - nearest) / bandwidth)."""
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1)
    beyond = np.maximum(distances - np.where(np.isfinite(nearest), nearest, 0)[:, None], 0)
    total = math.log2(max(distances.shape[1], 2))
    low, high, bandwidth = np.zeros(len(distances)), np.full(len(distances), np.inf), np.ones(len(distances))
    for _ in range(_SMOOTHING_STEPS):
        with np.errstate(over="ignore", under="ignore"):
            wide = np.exp(-beyond / bandwidth[:, None]).sum(axis=1) > total
        low, high = np.where(wide, low, bandwidth), np.where(wide, bandwidth, high)
        bandwidth = np.where(np.isfinite(high), (low + high) / 2, np.minimum(2 * bandwidth, np.finfo(np.float32).max))
    smallest = _MIN_BANDWIDTH * np.where(np.isfinite(nearest), distances.mean(axis=1), distances.mean())
    return np.exp(-beyond / np.maximum(bandwidth, np.maximum(smallest, np.finfo(np.float32).tiny))[:, None])


def cut(graph: sparse.csr_array, labels: Array) -> float:
    """Return the fraction of a neighbor graph's weight that connects different clusters, as a float from 0 to 1.

    Args:
        graph: (n, n) sparse array, as `neighbor_graph` returns it.
        labels: (n,) int array.
    """
    edges = graph.tocoo()
    across = labels[edges.coords[0]] != labels[edges.coords[1]]
    return float(edges.data[across].sum() / edges.data.sum())
