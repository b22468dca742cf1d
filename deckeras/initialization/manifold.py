"""Clusters by neighbors: the neighbor graph of rows, a layout that places neighbors together, and its clusters.

The construction is that of UMAP (McInnes, Healy and Melville, 2018): a fuzzy graph of nearest neighbors, and points
whose similarities match the graph under the cross-entropy of edges. The similarity is 1 / (1 + distance^2), the
Student-t kernel of DEC's soft assignments. In each step, one sample of points repels all others, so a step is a few
matrix products. This needs no compiled extension, and one seed gives one result on any number of cores.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from deckeras._data import row_views
from deckeras._typing import Array
from deckeras.initialization.consensus import consensus
from deckeras.initialization.neighbor_graphs import Metric, apart_from_zeros, cut, joint_graph, neighbor_graph

_REPULSION = 5.0  # negative samples for each positive one, as in UMAP
_NEGATIVES = 200  # points that repel all others in a step
_RATE = 0.5  # Adam's learning rate, which falls to zero
_SPREAD = 10.0  # largest coordinate of the first layout, as in UMAP
_SOFTENING = 1 / 64  # of the repulsion at short range, so that no push exceeds 4, where UMAP cuts it off
_BLOCK = 1024
_FEW_ROWS, _EPOCHS, _MANY_EPOCHS = 1000, 200, 500
_PRINCIPAL = 50  # components of the rows: distances over many noisy features mean little
_MIN_VARIANCE = 1e-3  # of a Gaussian in any direction, as a fraction of the layout's
_MIXTURES = 3
_KMEANS_RESTARTS = 10
_MIN_ROWS = 10  # Fewer rows than these, or than 3 per cluster, have no meaningful neighborhoods.


class Neighborhoods:
    """Layouts of the neighbor graphs of rows in several views, computed once for any number of clusters.

    The neighbor graph of each view is laid out, and with more than two views also their `joint_graph`. A mixture of
    Gaussians is fitted to each layout, and the clusters are the `consensus` of all the mixtures. Neighborhoods reveal
    classes that neither k-means nor a mixture finds in the same space.

    Args:
        views: list of (array, metric), the arguments of `neighbor_graph` for the same n rows, as `views` returns it.
        n_init: int, default 1. Layouts of each graph, from different seeds.
        n_neighbors: int, default 20, as for `neighbor_graph`.
        n_epochs: int, as for `layout`.
        rows: (n, n_features) array, default None. k-means on these rows has one vote in the consensus, because
            neighborhoods mean little in large clusters that overlap, and each layout cuts such clusters differently. If
            k-means cuts fewer neighbors in every view and has larger silhouettes, as for one large and one small
            cluster, its clusters are used.
        seed: int, default 0. The same seed gives the same result on any number of cores.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization.manifold import Neighborhoods
        >>> x = np.concatenate([np.random.rand(30, 4), 9 + np.random.rand(30, 4)])
        >>> labels = Neighborhoods([(x, "euclidean")]).clusters(2)
        >>> np.bincount(labels).tolist()
        [30, 30]
    """

    def __init__(
        self,
        views: Sequence[tuple[Array, Metric]],
        *,
        n_init: int = 1,
        n_neighbors: int = 20,
        n_epochs: int | None = None,
        rows: Array | None = None,
        seed: int = 0,
    ) -> None:
        self.views, self.rows, self.seed = views, rows, seed
        self.seeds = np.random.SeedSequence(seed).generate_state(n_init)
        self.graphs = _in_threads(lambda view: neighbor_graph(view[0], n_neighbors, metric=view[1]), views)
        # Two views of one space have most neighbors in common anyway.
        joint = [joint_graph(self.graphs, n_neighbors)] if len(views) > 2 else []
        tasks = list(itertools.product([*self.graphs, *joint], self.seeds))
        self.layouts = _in_threads(lambda task: layout(task[0], n_epochs=n_epochs, seed=task[1]), tasks)

    def labelings(self, n_clusters: int) -> list[Array]:
        """Return the clusters of each layout, and those of k-means, as a list of (n,) int arrays."""
        seeds = itertools.cycle(self.seeds)
        found = _in_threads(lambda task: _mixture(task[0], n_clusters, task[1]), zip(self.layouts, seeds, strict=False))
        if self.rows is not None:
            from sklearn.cluster import KMeans

            found.append(KMeans(n_clusters, n_init=_KMEANS_RESTARTS, random_state=self.seed).fit_predict(self.rows))
        return found

    def clusters(self, n_clusters: int) -> Array:
        """Return the clusters that the layouts agree on, or those of k-means if these are better: (n,) int array."""
        labelings = self.labelings(n_clusters)
        agreed = consensus(labelings, n_clusters, seed=self.seed)
        return labelings[-1] if self.rows is not None and self._better(labelings[-1], agreed) else agreed

    def _better(self, labels: Array, others: Array) -> bool:
        """Return whether `labels` cut fewer neighbors than `others` in each view and have larger silhouettes."""
        if any(cut(graph, labels) >= cut(graph, others) for graph in self.graphs):
            return False
        # By distance, as k-means sees the rows.
        points = [rows for rows, metric in self.views if metric == "euclidean"]
        return all(_silhouette(rows, labels) > _silhouette(rows, others) for rows in points)


def views(z: Array | None, x: Array | None = None) -> list[tuple[Array, Metric]]:
    """Return the views of embedded rows in which `Neighborhoods` finds neighbors.

    The best view depends on the data. Rows with many features are reduced to their first 50 principal components,
    unless all rows have one length, such as tf-idf: those are already scaled for comparison by angle.

    Args:
        z: (n, n_embedding) array, or None: only the rows.
        x: (n, ...) array, the rows themselves, default None: only the embedding.

    Returns:
        list of (array, metric): the embedding by distance and by angle, and then the rows by distance and by angle.
    """
    found: list[tuple[Array, Metric]] = [] if z is None else [(z, "euclidean"), (z, "cosine")]
    if x is None:
        return found
    rows: Array = np.asarray(x, np.float32).reshape(len(x), -1)
    if row_views.of_one_length(rows):
        rows = apart_from_zeros(rows / np.linalg.norm(rows, axis=1).max())
    elif min(rows.shape) > _PRINCIPAL:
        from sklearn.decomposition import PCA

        rows = PCA(_PRINCIPAL, random_state=0).fit_transform(rows)
    return [*found, (rows, "euclidean"), (rows, "cosine")]


def distinct(rows: Array) -> Array:
    """Return the numbers of the rows that are no copies of an earlier row: an increasing (n_distinct,) int array.

    A row with more copies than it has neighbors is connected only to them. In tables of a few categories, the graph
    would say nothing about the rows.
    """
    values = np.ascontiguousarray(np.reshape(rows, (len(rows), -1))) + 0.0  # since -0.0 has other bytes
    # With axis=0, `np.unique` would compare column by column, which is slow for wide rows.
    whole = values.view(np.dtype((np.void, values.itemsize * values.shape[1]))).ravel()
    return np.sort(np.unique(whole, return_index=True)[1])


def _silhouette(points: Array, labels: Array) -> float:
    from deckeras import metrics

    return float(metrics.silhouettes(points, labels)[1].mean())


def few_rows(n: int, n_clusters: int) -> bool:
    """Return whether n rows are too few for neighborhoods of so many clusters."""
    return n < max(_MIN_ROWS, 3 * n_clusters)


def _in_threads(function: Callable[[Any], Any], tasks: Iterable[Any]) -> list[Any]:
    """Map a function over tasks in threads. Each computes on one core, so results do not depend on their number."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, tasks))


def _mixture(points: Array, n_clusters: int, seed: int) -> Array:
    from sklearn.mixture import GaussianMixture

    points = np.asarray(points, np.float64)
    min_variance = max(_MIN_VARIANCE * float(points.var()), np.finfo(np.float32).tiny)
    mixture = GaussianMixture(n_clusters, n_init=_MIXTURES, reg_covar=min_variance, random_state=int(seed))
    return mixture.fit_predict(points)


def layout(
    graph: sparse.sparray, n_components: int = 10, *, n_epochs: int | None = None, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Place the nodes of a neighbor graph so that neighbors are close together, and others far apart.

    Minimizes UMAP's cross-entropy by Adam, from the first eigenvectors of the graph's Laplacian.

    Args:
        graph: (n, n) sparse array of weights, as `neighbor_graph` returns it. It may be the sum of several graphs. The
            weight between two nodes is the mean of both directions.
        n_components: int, default 10. The number of dimensions of the layout, at most n - 2.
        n_epochs: int, the number of steps of the optimization, default 500 up to 1,000 rows, and 200 for more rows.
        seed: int, default 0.

    Returns:
        (n, n_components) float32 array.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization.manifold import layout
        >>> from deckeras.initialization.neighbor_graphs import neighbor_graph
        >>> x = np.concatenate([np.random.rand(30, 4), 9 + np.random.rand(30, 4)])
        >>> layout(neighbor_graph(x, 5), 2, n_epochs=20).shape
        (60, 2)

    Source: McInnes, Healy and Melville, "UMAP: Uniform Manifold Approximation and Projection", 2018, section 3.2.
    """
    random = np.random.default_rng(seed)
    n = graph.shape[0]
    n_epochs = n_epochs or (_MANY_EPOCHS if n <= _FEW_ROWS else _EPOCHS)
    # The same graph if it is symmetric, and in any case a copy, because its weights change below.
    graph = sparse.csr_array((graph + graph.T) / 2, dtype=np.float32)
    points = _first_layout(graph, max(1, min(n_components, n - 2)), random)
    # UMAP would sample an edge this weak less than once.
    graph.data[graph.data < graph.data.max() / n_epochs] = 0
    graph.eliminate_zeros()
    degrees = graph.sum(axis=1)[:, None]
    pairs = sparse.triu(graph, format="csr")  # Two connected nodes are two edges of the graph, but one pair.
    reverse = pairs.T  # a view, with the weights that each step writes to `pairs.data`
    weights, ends = pairs.data.copy(), pairs.indices.astype(np.intp)
    starts = np.repeat(np.arange(n), np.diff(pairs.indptr))
    means, squares = np.zeros_like(points), np.zeros_like(points)
    apart, others = (np.empty((len(starts), points.shape[1]), points.dtype) for _ in range(2))
    for epoch in range(n_epochs):
        np.take(points, starts, axis=0, out=apart, mode="clip")
        apart -= np.take(points, ends, axis=0, out=others, mode="clip")
        np.divide(weights, 1 + _squares(apart, out=apart), out=pairs.data)
        extended = _with_ones(points)
        gradient = _difference(points, pairs @ extended + reverse @ extended)
        gradient -= degrees * _repulsion(points, points[random.integers(n, size=min(_NEGATIVES, n))])
        means = 0.9 * means + 0.1 * gradient
        squares = 0.99 * squares + 0.01 * np.square(gradient)
        unbiased = np.sqrt(squares / (1 - 0.99 ** (epoch + 1))) + 1e-8
        points -= _RATE * (1 - epoch / n_epochs) * means / (1 - 0.9 ** (epoch + 1)) / unbiased
    return points


def _repulsion(points: Array, others: Array) -> Array:
    """Return the mean push of the others on each point, times the number of negative samples."""
    # The weight is 1 / ((softening + distance^2) * (1 + distance^2)). With half the sum of the two constants, its
    # denominator is (distance^2 + half)^2 - rest, so that one product and four passes compute the weights.
    half = (1 + _SOFTENING) / 2
    rest = half**2 - _SOFTENING
    left = _with_ones(np.column_stack([points, _squares(points)]))
    right = np.column_stack([-2 * others, np.ones_like(others[:, 0]), _squares(others) + half]).T
    others = _with_ones(others)
    sums, block = np.empty((len(points), others.shape[1]), points.dtype), np.empty((_BLOCK, len(others)), points.dtype)
    smallest = np.full_like(block, half)  # an array, because `np.maximum` is slower with a number
    # Blocks of this size fit in the processor's cache.
    for start in range(0, len(points), _BLOCK):
        rows = slice(start, start + _BLOCK)
        weights = np.matmul(left[rows], right, out=block[: len(left[rows])])
        np.maximum(weights, smallest[: len(weights)], out=weights)  # Rounding may leave a negative squared distance.
        np.square(weights, out=weights)
        weights -= rest
        np.divide(1, weights, out=weights)
        np.matmul(weights, others, out=sums[rows])
    return _difference(points, sums) * (_REPULSION / len(others))


def _difference(points: Array, sums: Array) -> Array:
    """Return the weighted sum of the differences of each point to others, from the weighted sums of (others, 1)."""
    return sums[:, -1:] * points - sums[:, :-1]


def _with_ones(points: Array) -> Array:
    return np.column_stack([points, np.ones_like(points[:, 0])])


def _squares(points: Array, out: Array | None = None) -> Array:
    """Return the squared length of each row, by a product, because NumPy sums few columns slowly."""
    return np.square(points, out=out) @ np.ones_like(points[0])


def _first_layout(graph: sparse.sparray, n_components: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    from scipy.sparse.linalg import eigsh

    n = graph.shape[0]
    scale = sparse.diags_array(1 / np.sqrt(np.maximum(graph.sum(axis=1), np.finfo(np.float32).tiny)))
    laplacian = (scale @ graph @ scale).astype(np.float64)
    # The Lanczos iteration needs larger graphs than these.
    if n <= 10 * (n_components + 2):
        vectors = np.linalg.eigh(laplacian.toarray())[1][:, ::-1][:, 1 : n_components + 1]
    else:
        size = min(n - 1, max(2 * n_components + 1, 30))
        start = random.random(n)
        vectors = eigsh(laplacian, n_components + 1, which="LA", v0=start, tol=1e-4, ncv=size)[1][:, ::-1][:, 1:]
    vectors = vectors * (_SPREAD / np.abs(vectors).max())
    return (vectors + random.normal(scale=1e-4, size=vectors.shape)).astype(np.float32)
