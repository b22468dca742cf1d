"""The start of the clustering: the first clusters of a model, from the embedded rows of all processes."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from deckeras import distribution
from deckeras._data import row_views, seeding
from deckeras._typing import Array, RowArray
from deckeras.autoencoders.embedding import embedding_spread, scale_embedding
from deckeras.initialization import clusterers, manifold

# It bounds the time of the layouts.
_SAMPLE_SIZE = 10_000
_PLACING_NEIGHBORS = 10
# With more clusters, the sample has too few rows for each, and mixtures take minutes.
_MAX_CLUSTERS = 300
_KMEANS_RESTARTS = 20
_MIN_SPREAD = 1e-12
# Rows with more features than the first number are projected to the second.
_WIDE, _NARROW = 10_000, 2048


def first_clusters(
    model: Any, x: RowArray, z: Array, recipe: Any, seed: int | None, sample_weight: Array | None = None
) -> tuple[Array, Array | None]:
    """Scale the embedding as the recipe says, and find its first clusters.

    Args:
        model: `deckeras.DEC`. The last layer of its encoder is scaled, unless it is frozen.
        x: the n rows of this process.
        z: (n, n_embedding) array, the embedding of these rows. Scaled in place.
        recipe: `deckeras.recipes.Recipe`.
        seed: as for `DEC.fit`.
        sample_weight: (n,) array, default None: 1 each.

    Returns:
        (centroids, assignments), as `deckeras.initialization.first_clusters` returns them for z.
    """
    rows, weights = _gathered(z, model.n_clusters, seed, sample_weight)
    if recipe.embedding_scale is not None:
        spread = embedding_spread(rows)
        factor = recipe.embedding_scale / spread
        # Rows that are all alike have no spread.
        if spread > _MIN_SPREAD and scale_embedding(factor, model.encoder, model.decoder):
            z *= factor
            rows *= factor
    start, n_init = recipe.init, recipe.n_init
    if start == "manifold" and model.n_clusters > _MAX_CLUSTERS:
        start, n_init = "kmeans", _KMEANS_RESTARTS
    if start == "manifold":
        start = ManifoldStart.from_recipe(recipe, z, x, seed=seed, sample_weight=sample_weight)
    if isinstance(start, ManifoldStart):
        assignments = start(z, model.n_clusters)
        return _means(z, assignments, sample_weight), assignments
    options = {"n_init": n_init, "seed": seed, "z": z, "sample_weight": weights}
    return clusterers.first_clusters(rows, model.n_clusters, start, **options)


def _gathered(z: Array, n_clusters: int, seed: int | None, sample_weight: Array | None) -> tuple[Array, Array | None]:
    """Return (rows, weights) for the first clusterer: rows of all processes or a sample, and their weights or None."""
    weighted = z if sample_weight is None else np.column_stack([z, sample_weight])
    own = clusterers.start_rows(weighted, n_clusters, distribution.total(len(z)), seed)
    rows = np.concatenate(distribution.gather(own))
    if sample_weight is None:
        return rows, None
    return rows[:, :-1].astype(z.dtype), rows[:, -1]


class ManifoldStart:
    """A first clusterer that follows neighbors, in the embedding and among the rows themselves.

    k-means and mixtures find spheres and ellipsoids in the embedding. `Neighborhoods` find classes of other shapes,
    too, but often divide long, thin ones such as the two moons of scikit-learn. The neighborhoods are computed for
    a sample of the rows, without copies of a row, which would be neighbors of each other alone. Each of the other
    rows gets the cluster of most of its neighbors in the sample. Everything that does not depend on the number of
    clusters is computed once.

    Args:
        z: (n, n_features) float array, the embedding.
        x: the n rows of the embedding, an array or any other source that `DEC.fit` takes, default None: neighbors in
            the embedding only.
        n_init: int, default 1. The number of layouts of each neighbor graph.
        n_neighbors: int, default 20. The number of neighbors of each row, as for `neighbor_graph`.
        sample_size: int, default 10,000. It limits the time that the layouts take.
        seed: int, default 0. Determines the sample and the layouts.
        sample_weight: (n,) array, default None: 1 each. The sample is drawn by these weights.

    Raises:
        ValueError: z holds NaN or infinity.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization import ManifoldStart
        >>> z = np.concatenate([5 + np.random.rand(30, 4), -5 - np.random.rand(30, 4)])
        >>> ManifoldStart(z)(z, 2).sum(axis=0)
        array([30., 30.], dtype=float32)

    Source: McConville, Santos-Rodriguez, Piechocki and Craddock, "N2D: (Not Too) Deep Clustering via Clustering the
    Local Manifold of an Autoencoded Embedding", ICPR 2020, which lays out the embedding with UMAP.
    """

    def __init__(
        self,
        z: npt.ArrayLike,
        x: RowArray | None = None,
        *,
        n_init: int = 1,
        n_neighbors: int = 20,
        sample_size: int = _SAMPLE_SIZE,
        seed: int | None = 0,
        sample_weight: Array | None = None,
    ) -> None:
        z = clusterers.as_embedding(z)
        self.seed = seeding.fixed_seed(seed)
        n = distribution.total(len(z))
        size = len(z) if n <= sample_size else math.ceil(sample_size * len(z) / n)
        self.drawn = _drawn(len(z), size, self.seed, sample_weight)
        own = z[self.drawn] if x is None else _narrow_rows(x, self.drawn)
        first = manifold.distinct(own)
        self.rows = self.drawn[first]
        sampled = np.concatenate(distribution.gather(z[self.rows]))
        self.n_distinct = len(sampled)
        others = None if x is None else np.concatenate(distribution.gather(own[first]))
        self.neighborhoods = None
        if not manifold.few_rows(self.n_distinct, 1):
            views = manifold.views(sampled, others)
            rows = None if others is None else views[-1][0]
            self.neighborhoods = manifold.Neighborhoods(
                views, n_init=n_init, n_neighbors=n_neighbors, rows=rows, seed=self.seed
            )

    @classmethod
    def from_recipe(cls, recipe: Any, z: Array, x: RowArray, **options: Any) -> Self:
        """Return the start of a recipe, which sets the views, their neighbors and the number of layouts."""
        n_neighbors = recipe.neighbors_of(distribution.total(len(z)))
        options = {"n_init": recipe.n_init, "n_neighbors": n_neighbors, **options}
        return cls(z, None if recipe.neighbors == "embedding" else x, **options)

    def __call__(self, z: npt.ArrayLike, n_clusters: int) -> npt.NDArray[np.float32]:
        """Assign rows to clusters.

        Args:
            z: (n, n_features) array, the embedding of the same rows. It may have been scaled since.
            n_clusters: int, at most n.

        Returns:
            (n, n_clusters) float32 array with a single 1 in each row. If fewer than 10 rows differ, or fewer than 3
            for each cluster, k-means assigns them, because their neighborhoods mean little.
        """
        from sklearn.cluster import KMeans
        from sklearn.neighbors import KNeighborsClassifier

        z = row_views.as_floats(z)
        neighborhoods = None if manifold.few_rows(self.n_distinct, n_clusters) else self.neighborhoods
        rows = self.drawn if neighborhoods is None else self.rows
        sample = np.concatenate(distribution.gather(z[rows]))
        if neighborhoods is None:
            labels = KMeans(n_clusters, n_init=_KMEANS_RESTARTS, random_state=self.seed).fit_predict(sample)
        else:
            labels = neighborhoods.clusters(n_clusters)
        # All processes use the labels of the first process, because different processors round differently.
        labels = np.asarray(distribution.agreed(labels))
        if len(sample) > len(rows) or len(rows) < len(z):
            placed = KNeighborsClassifier(min(_PLACING_NEIGHBORS, len(sample)), weights="distance").fit(sample, labels)
            labels = np.concatenate([placed.predict(block) for _, block in row_views.blocks(z)])
        return np.eye(n_clusters, dtype=np.float32)[labels]


def _drawn(n: int, size: int, seed: int, sample_weight: Array | None) -> Array:
    """Return the sorted numbers of `size` of n rows, drawn by their weights. Rows of weight 0 are never drawn."""
    random = np.random.default_rng(seed)
    if sample_weight is None:
        return np.sort(random.permutation(n)[:size])
    size = min(size, int(np.count_nonzero(sample_weight)))
    return np.sort(random.choice(n, size, replace=False, p=sample_weight / sample_weight.sum()))


def _means(z: Array, q: Array, sample_weight: Array | None) -> Array:
    """Return `initialization.cluster_means` of the rows of all processes."""
    q = q if sample_weight is None else q * sample_weight[:, None].astype(q.dtype)
    sizes, sums = (distribution.total(each) for each in (q.sum(axis=0, dtype=np.float64), q.T @ z))
    if not sizes.all():
        return clusterers.cluster_means(z, q)
    return (sums / sizes[:, None]).astype(z.dtype)


def _narrow_rows(x: RowArray, numbers: Array) -> npt.NDArray[np.float32]:
    """Return rows of x as an (n, n_features) float32 array. Very wide rows are randomly projected to 2,048 features."""
    from sklearn.preprocessing import normalize
    from sklearn.random_projection import SparseRandomProjection

    width = math.prod(x.shape[1:])
    rows = row_views.blocks_of_rows(x, numbers)
    if width <= _WIDE:
        return np.concatenate([np.asarray(block, np.float32).reshape(len(block), -1) for block in rows])
    projection = SparseRandomProjection(_NARROW, random_state=0, dense_output=True).fit(
        np.zeros((1, width), np.float32)
    )
    narrow = np.concatenate(
        [projection.transform(np.asarray(block, np.float32).reshape(len(block), -1)) for block in rows]
    )
    return normalize(narrow) if row_views.of_one_length(x) else narrow
