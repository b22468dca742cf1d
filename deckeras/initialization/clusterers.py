"""First clusterers of embedded rows: k-means, Ward's linkage and mixtures of Gaussians.

The paper starts from k-means. The others also find clusters that are not spheres. Their assignments may differ from
those by the nearest centroid; `cluster_means` computes centroids from them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from deckeras._data import row_views
from deckeras._typing import Array, Init

# The smallest variance of a Gaussian in any direction, as a fraction of the embedding's: no cluster is a single row.
_MIN_VARIANCE = 1e-3
# The standard deviation of the noise in perturbed copies of the embedding, as a fraction of the embedding's.
_NOISE = 0.1
# Perturbed copies. The clusters of each pair of them are compared.
_VIEWS = 4
_VIEW_ROWS = 10_000
# Fractions of the rows for a mixture and for its start, if there are few, so that each mixture sees different rows.
_FRACTION, _WARD_FRACTION = 0.8, 0.5
_WARD_ROWS = 3000
# More rows hardly improve the means.
_START_ROWS, _ROWS_PER_CLUSTER = 100_000, 50
_MAX_DISTANCES = 2e7
_MINI_BATCH = 4096


def kmeans_centroids(
    z: npt.ArrayLike, n_clusters: int, *, n_init: int = 20, seed: int | None = 0, sample_weight: Array | None = None
) -> Array:
    """Return the centroids of k-means on the embedded rows.

    Above 20 million distances in an iteration (100,000 rows to 200 clusters) this is `sklearn.cluster.MiniBatchKMeans`.
    It chooses from at most 3 starts, its own default, because there the starts take most of the time.

    Args:
        z: (n, n_features) float array, the embedding.
        n_clusters: int, at most n.
        n_init: int, default 20 as in the paper. Restarts; the one with the smallest inertia is returned.
        seed: int, default 0. None draws a new seed each time.
        sample_weight: (n,) array of the rows' weights, default None: 1 each.

    Returns:
        (n_clusters, n_features) array of z's dtype.

    Raises:
        ValueError: z holds NaN or infinity, or fewer rows than `n_clusters`.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization import kmeans_centroids
        >>> np.sort(kmeans_centroids(np.array([[0.0], [2.0], [10.0], [12.0]]), 2), axis=0)
        array([[ 1.],
               [11.]])

    Source: Xie, Girshick and Farhadi, ICML 2016, section 3.1.3.
    """
    # These are slow to import, and needed only when training starts.
    from sklearn.cluster import KMeans, MiniBatchKMeans

    z = as_embedding(z)
    _check_enough(z, n_clusters)
    if len(z) * n_clusters <= _MAX_DISTANCES:
        kmeans = KMeans(n_clusters, n_init=n_init, random_state=seed)
    else:
        batch_size = max(_MINI_BATCH, 4 * n_clusters)
        kmeans = MiniBatchKMeans(n_clusters, n_init=min(n_init, 3), batch_size=batch_size, random_state=seed)
    return kmeans.fit(z, sample_weight=sample_weight).cluster_centers_


def ward_centroids(z: npt.ArrayLike, n_clusters: int, *, sample_size: int = 8000, seed: int | None = 0) -> Array:
    """Return the means of the clusters that Ward's linkage finds in a sample of the embedded rows.

    Agglomerative clustering follows long and uneven clusters, which k-means cuts.

    Args:
        z, n_clusters: as for `kmeans_centroids`.
        sample_size: int, default 8,000, which takes 256 MB and two seconds. Memory and time grow with its square. If
            there are fewer rows, all are used.
        seed: int, default 0. Draws the sample. None draws a new one each time.

    Returns:
        (n_clusters, n_features) array of z's dtype.

    Raises:
        ValueError: as `kmeans_centroids`.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization import ward_centroids
        >>> np.sort(ward_centroids(np.array([[0.0], [2.0], [10.0], [12.0]]), 2), axis=0)
        array([[ 1.],
               [11.]])

    Source: Ward, "Hierarchical Grouping to Optimize an Objective Function", JASA 1963, by
    `sklearn.cluster.AgglomerativeClustering`.
    """
    z = as_embedding(z)
    _check_enough(z, n_clusters)
    sample = _sample(z, sample_size, np.random.default_rng(seed))
    return cluster_means(sample, np.eye(n_clusters)[_ward(sample, n_clusters)])


def mixture_assignments(
    z: npt.ArrayLike, n_clusters: int, *, n_init: int = 30, sample_size: int = 10_000, seed: int | None = 0
) -> npt.NDArray[np.float32]:
    """Return the assignments by the most stable of several mixtures of Gaussians.

    An autoencoder's embedding is defined up to an invertible linear map, which stretches its clusters. k-means cuts
    stretched clusters; a mixture, in which each component has its own covariance matrix, follows them. Each mixture
    starts from Ward's clusters of a different sample. The likelihood says little about the results: a digit cut in two
    beside two merged digits is as likely as ten separate ones. The mixture with the highest `consistency` is chosen:
    the one with which most rows keep their cluster under small perturbations of the embedding.

    Args:
        z, n_clusters: as for `kmeans_centroids`.
        n_init: int, default 30. The number of mixtures to choose from. Only a minority of them is good.
        sample_size: int, default 10,000. The number of rows that each mixture is fitted to. It limits the time.
        seed: int, default 0. Draws the samples and the perturbations. None draws new ones each time.

    Returns:
        (n, n_clusters) float32 array, the responsibilities of all rows. Each row sums to 1.

    Raises:
        ValueError: as `kmeans_centroids`.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization import mixture_assignments
        >>> mixture_assignments(np.array([[0.0], [2.0], [10.0], [12.0]]), 2).argmax(axis=1)
        array([0, 0, 1, 1])

    Source: Dempster, Laird and Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", 1977, by
    `sklearn.mixture.GaussianMixture`.
    """
    return responsibilities(steadiest_mixture(z, n_clusters, n_init=n_init, sample_size=sample_size, seed=seed), z)


def steadiest_mixture(z: npt.ArrayLike, n_clusters: int, **kwargs: Any) -> Any:
    """Return the `sklearn.mixture.GaussianMixture` with the highest consistency. Takes the arguments of `mixtures`."""
    return max(mixtures(z, n_clusters, **kwargs), key=lambda pair: pair[1])[0]


def responsibilities(mixture: Any, z: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the responsibilities of a mixture's Gaussians for embedded rows.

    Returns:
        (n, n_clusters) float32 array. Each row sums to 1.
    """
    blocks = (mixture.predict_proba(np.asarray(block, np.float64)) for _, block in row_views.blocks(np.asarray(z)))
    return np.concatenate([block.astype("float32") for block in blocks])


def mixtures(
    z: npt.ArrayLike, n_clusters: int, *, n_init: int = 30, sample_size: int = 10_000, seed: int | None = 0
) -> Iterator[tuple[Any, float]]:
    """Fit the mixtures that `mixture_assignments` chooses from, one after the other.

    Args:
        z, n_clusters, n_init, sample_size, seed: as for `mixture_assignments`.

    Yields:
        (`sklearn.mixture.GaussianMixture`, float): a fitted mixture, and the mean `consistency` of its clusters under
        perturbations.
    """
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    z = as_embedding(z)
    _check_enough(z, n_clusters)
    random = np.random.default_rng(seed)
    rows = np.asarray(_sample(z, _VIEW_ROWS, random), np.float64)
    deviation, variance = z.std(axis=0, dtype=np.float64), float(z.var(dtype=np.float64))
    views = [rows + random.normal(scale=_NOISE * deviation, size=rows.shape) for _ in range(_VIEWS)]
    # At least one row for each cluster, and at least two rows if there are as many.
    min_size = min(len(z), max(2, n_clusters))
    sample_size = max(min_size, min(sample_size, math.ceil(_FRACTION * len(z))))
    ward_size = max(min_size, min(_WARD_ROWS, max(10 * n_clusters, math.ceil(_WARD_FRACTION * sample_size))))
    min_variance = max(_MIN_VARIANCE * variance, float(np.finfo(np.float32).tiny))
    for _ in range(n_init):
        sample = np.asarray(_sample(z, sample_size, random), np.float64)
        if len(sample) == 1:
            # scikit-learn requires two rows.
            sample = np.repeat(sample, 2, axis=0)
        # In products this small, threads mostly wait for each other.
        with threadpool_limits(1):
            start = _gaussians(sample[:ward_size], n_clusters, min_variance)
            mixture = GaussianMixture(n_clusters, reg_covar=min_variance, random_state=0, **start).fit(sample)
            labels = [mixture.predict(view) for view in views]
        yield mixture, float(np.mean([consistency(*pair) for pair in itertools.combinations(labels, 2)]))


def _gaussians(z: Array, n_clusters: int, min_variance: float) -> dict[str, Array]:
    """Return weights, means and precisions of Ward's clusters, as arguments of `GaussianMixture`."""
    labels = _ward(z, n_clusters)
    groups = [z[labels == cluster] for cluster in range(n_clusters)]
    ridge = min_variance * np.eye(z.shape[1])
    covariances = [np.atleast_2d(np.cov(group.T, bias=True)) + ridge for group in groups]
    return {
        "weights_init": np.array([len(group) / len(z) for group in groups]),
        "means_init": np.stack([group.mean(axis=0) for group in groups]),
        "precisions_init": np.linalg.inv(covariances),
    }


def _ward(z: Array, n_clusters: int) -> Array:
    from sklearn.cluster import AgglomerativeClustering

    if len(z) == 1:  # scikit-learn asks for two rows.
        return np.zeros(1, int)
    return AgglomerativeClustering(n_clusters).fit_predict(z)


def start_rows(z: Array, n_clusters: int, n: int | None = None, seed: int | None = 0) -> Array:
    """Return the embedded rows for a first clusterer: all rows, or a random sample of many rows.

    Args:
        z: (n_own, n_features) array.
        n_clusters: int.
        n: int, default n_own. The number of rows in all processes; z holds those of this process.
        seed: int, default 0.

    Returns:
        (n_rows, n_features) array. It is z itself if n is at most 100,000, or at most 50 for each cluster. Otherwise it
        is a sample of z. The samples of all processes together have this size.
    """
    n = len(z) if n is None else n
    max_rows = max(_START_ROWS, _ROWS_PER_CLUSTER * n_clusters)
    return z if n <= max_rows else _sample(z, math.ceil(max_rows * len(z) / n), np.random.default_rng(seed))


def first_clusters(
    rows: Array,
    n_clusters: int,
    init: Init = "kmeans",
    *,
    n_init: int = 20,
    seed: int | None = 0,
    z: Array | None = None,
    sample_weight: Array | None = None,
) -> tuple[Array, Array | None]:
    """Return the centroids of a first clusterer and, if it computes them, the assignments of the rows.

    Args:
        rows: (n_rows, n_features) array of embedded rows for the clusterer.
        n_clusters: int.
        init: "kmeans" (default, as in the paper), "ward", "mixture", or a function of (z, n_clusters) that returns an
            (n_clusters, n_features) array of centroids or an (n, n_clusters) array of assignments.
        n_init: int, restarts of k-means or of the mixture.
        seed: int, default 0.
        z: (n, n_features) array of the embedded rows to assign, default None: `rows`.
        sample_weight: (n_rows,) array of weights, default None: 1 each. k-means uses them directly. The other
            clusterers get n_rows rows, drawn with replacement by their weights.

    Returns:
        (centroids, assignments): an (n_clusters, n_features) array, and an (n, n_clusters) array for z. The
        second is None if `init` returns centroids, or assignments of rows that are not those of z.

    Raises:
        ValueError: `init` is not the name of a clusterer, or a function that returns neither centroids nor assignments.
        TypeError: `init` is neither a name nor a function.
    """
    rows = row_views.as_floats(rows)
    z = rows if z is None else row_views.as_floats(z)
    if sample_weight is not None and init != "kmeans":
        probabilities = sample_weight / sample_weight.sum()
        rows = rows[np.random.default_rng(seed).choice(len(rows), len(rows), p=probabilities)]
    if callable(init):
        found = np.asarray(init(rows, n_clusters))
    # Ward's linkage and mixtures need two rows.
    elif init == "kmeans" or (len(rows) == 1 and init in ("ward", "mixture")):
        weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
        found = kmeans_centroids(rows, n_clusters, n_init=n_init, seed=seed, **weighted)
    elif init == "ward":
        found = ward_centroids(rows, n_clusters, seed=seed)
    elif init == "mixture":
        mixture = steadiest_mixture(rows, n_clusters, n_init=n_init, seed=seed)
        return cluster_means(rows, responsibilities(mixture, rows)), responsibilities(mixture, z)
    else:
        raise ValueError(f'init should be "kmeans", "ward", "mixture" or a function. Received: init={init!r}')
    if found.dtype.kind not in "fiub" or not np.isfinite(found).all():
        raise ValueError(
            "init should return finite numbers. Received: NaN, infinity or other objects from "
            f"init={getattr(init, '__name__', init)!r}. Return the means of the clusters, or assignments."
        )
    if found.shape == (n_clusters, rows.shape[1]):
        return found, None
    if found.shape == (len(rows), n_clusters):
        found = _as_assignments(found)
        return cluster_means(rows, found), found if sample_weight is None and np.array_equal(rows, z) else None
    raise ValueError(
        f"init should return centroids of shape {(n_clusters, rows.shape[1])} or assignments of shape "
        f"{(len(rows), n_clusters)}. Received: shape {found.shape}"
    )


def _as_assignments(found: Array) -> Array:
    """Return assignments as floats whose rows sum to 1. They may be votes, in whole numbers."""
    sums = found.sum(axis=1, dtype=np.float64, keepdims=True)
    if (found < 0).any() or not (sums > 0).all():
        row = int(np.argmax((found < 0).any(axis=1) | (sums[:, 0] <= 0)))
        raise ValueError(
            "init should return assignments of at least 0, with a positive one in each row. Received: "
            f"{found[row].tolist()!s:.100} in row {row}"
        )
    if found.dtype.kind == "f" and np.allclose(sums, 1, atol=1e-3):
        return found
    return (found / sums).astype(np.float32)


def cluster_means(z: npt.ArrayLike, q: npt.ArrayLike) -> Array:
    """Return the means of the embedded rows, weighted by their assignments.

    Args:
        z: (n, n_features) float array.
        q: (n, n_clusters) array of soft or hard (0 or 1) assignments.

    Returns:
        (n_clusters, n_features) array of z's dtype. A cluster without rows gets the mean of all rows.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization import cluster_means
        >>> cluster_means(np.array([[0.0], [2.0], [10.0]]), np.array([[1, 0], [1, 0], [0, 1]]))
        array([[ 1.],
               [10.]])
    """
    z, q = row_views.as_floats(z), np.asarray(q)
    sizes = q.sum(axis=0, dtype=np.float64)[:, None]
    means = np.where(sizes > 0, q.T @ z / np.maximum(sizes, np.finfo(np.float32).tiny), z.mean(axis=0))
    return means.astype(z.dtype)


def consistency(labels: npt.ArrayLike, others: npt.ArrayLike) -> float:
    """Return the mutual information of two labelings of the same rows, in nats, from 0 to log(n_clusters).

    For clusters of the same rows under two small perturbations, it distinguishes good clusterings from bad ones without
    classes. It is large if the perturbations leave rows in their clusters, and if there are many clusters of even size.
    A clustering that cuts through the dense part of a class has a lower value.

    Args:
        labels, others: (n,) int arrays.

    Returns:
        float.

    Example:
        >>> from deckeras.initialization import consistency
        >>> round(consistency([0, 0, 1, 1], [0, 0, 1, 1]), 3), round(consistency([0, 0, 1, 1], [0, 1, 0, 1]), 3)
        (0.693, 0.0)
    """
    from sklearn.metrics import mutual_info_score

    return float(mutual_info_score(labels, others))


def _sample(z: Array, size: int, random: np.random.Generator) -> Array:
    return z[random.permutation(len(z))[:size]]


def _check_enough(z: Array, n_clusters: int) -> None:
    if not 1 <= n_clusters <= len(z):
        raise ValueError(
            f"n_clusters should be from 1 to the number of rows, {len(z)}. Received: n_clusters={n_clusters}"
        )


def as_embedding(z: npt.ArrayLike) -> Array:
    """Return the embedding as an array of floats. Raise ValueError if it holds NaN or infinity."""
    z = row_views.as_floats(z)
    if not np.isfinite(z).all():
        raise ValueError(
            "The embedding should hold finite numbers only. Received: NaN or infinity in it. "
            "The encoder's weights have diverged: pretrain it again with a lower learning rate."
        )
    return z
