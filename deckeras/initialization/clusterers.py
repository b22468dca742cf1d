"""The start of the clustering: first centroids and first assignments, from embedded rows.

The paper's start is k-means. The others find clusters of other shapes than spheres, and give assignments of the rows
that k-means, and so the nearest centroid, cannot express: `cluster_means` turns them into centroids.
"""

import itertools
import math

import numpy as np

from deckeras._data import row_views

_LEAST_VARIANCE = 1e-3  # of a Gaussian in any direction, as a share of the embedding's: no cluster of one row
_JOLT = 0.1  # the standard deviation of the noise that clusters are to stand, as a share of the embedding's
_VIEWS = 4  # jolted copies, of which each pair is compared
_VIEW_ROWS = 10_000
_SHARE, _WARD_SHARE = 0.8, 0.5  # of few rows, so that each mixture is fitted to and starts from other ones
_WARD_ROWS = 3000
_START_ROWS, _ROWS_A_CLUSTER = 100_000, 50  # the means of so many rows hardly gain from others
_MOST_DISTANCES = 2e7
_MINI_BATCH = 4096


def kmeans_centroids(z, n_clusters, *, n_init=20, seed=0, sample_weight=None):
    """Centroids of k-means on the embedded rows.

    Args:
        z: (n, n_features) float array, the embedding.
        n_clusters: int, at most n.
        n_init: int, default 20 as in the paper. Restarts, of which the one with the least inertia is kept.
        seed: int, default 0; None draws a fresh start each time.
        sample_weight: (n,) array of the rows' weights, default None: 1 each.

    Past 20 million distances an iteration (100,000 rows to 200 clusters) this is `sklearn.cluster.MiniBatchKMeans`,
    which chooses from `n_init` starts, but from 3 at most, its own default: they cost more than all else there.

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
    from sklearn.cluster import KMeans, MiniBatchKMeans  # slow to import, and needed only where training starts

    check_finite(z)
    _check_enough(z, n_clusters)
    if len(z) * n_clusters <= _MOST_DISTANCES:
        kmeans = KMeans(n_clusters, n_init=n_init, random_state=seed)
    else:
        batch_size = max(_MINI_BATCH, 4 * n_clusters)
        kmeans = MiniBatchKMeans(n_clusters, n_init=min(n_init, 3), batch_size=batch_size, random_state=seed)
    return kmeans.fit(z, sample_weight=sample_weight).cluster_centers_


def ward_centroids(z, n_clusters, *, sample_size=8000, seed=0):
    """Means of the clusters that Ward's linkage finds in a sample of the embedded rows.

    Merging from below follows long and uneven clusters where k-means cuts them.

    Args:
        z, n_clusters: as for `kmeans_centroids`.
        sample_size: int, default 8,000: memory and time grow with its square, to 256 MB and two seconds here. All
            rows are taken where there are not more.
        seed: int, default 0. Draws the sample; None draws a fresh one.

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
    check_finite(z)
    _check_enough(z, n_clusters)
    sample = _sample(z, sample_size, np.random.default_rng(seed))
    return cluster_means(sample, np.eye(n_clusters)[_ward(sample, n_clusters)])


def mixture_assignments(z, n_clusters, *, n_init=30, sample_size=10_000, seed=0):
    """Assignments by a mixture of Gaussians with a covariance matrix each, the steadiest of several.

    An autoencoder's embedding is defined up to any invertible linear map, and its clusters are stretched accordingly:
    a mixture follows them where k-means cuts them. Each one starts from Ward's clusters of another sample. Of the
    results, the likelihood tells little (a digit cut in two beside two merged ones is as likely as all ten apart), but
    `consistency` does: that is kept under which most rows stay where they are when the embedding is jolted a little.

    Args:
        z, n_clusters: as for `kmeans_centroids`.
        n_init: int, default 30. Mixtures to choose from; the good ones are a minority.
        sample_size: int, default 10,000. The rows that a mixture is fitted to, so that many can be.
        seed: int, default 0. Draws the samples and the jolts; None draws fresh ones.

    Returns:
        (n, n_clusters) float32 array of all rows' responsibilities; each row sums to 1.

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


def steadiest_mixture(z, n_clusters, **kwargs):
    """The `sklearn.mixture.GaussianMixture` of `mixtures`, whose arguments it takes, with the highest consistency."""
    return max(mixtures(z, n_clusters, **kwargs), key=lambda pair: pair[1])[0]


def responsibilities(mixture, z):
    """The shares of a mixture's Gaussians in embedded rows: (n, n_clusters) float32 array, each row sums to 1."""
    blocks = (mixture.predict_proba(np.asarray(block, np.float64)) for _, block in row_views.blocks(z))
    return np.concatenate([block.astype("float32") for block in blocks])


def mixtures(z, n_clusters, *, n_init=30, sample_size=10_000, seed=0):
    """The mixtures that `mixture_assignments` chooses from.

    Args:
        z, n_clusters, n_init, sample_size, seed: as for `mixture_assignments`.

    Yields:
        (`sklearn.mixture.GaussianMixture`, float): a fitted mixture, and the mean `consistency` of its clusters under
        noise.
    """
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    check_finite(z)
    _check_enough(z, n_clusters)
    random = np.random.default_rng(seed)
    rows = np.asarray(_sample(z, _VIEW_ROWS, random), np.float64)
    deviation, variance = z.std(axis=0, dtype=np.float64), float(z.var(dtype=np.float64))
    views = [rows + random.normal(scale=_JOLT * deviation, size=rows.shape) for _ in range(_VIEWS)]
    # At least a row for each cluster, and two where there are so many.
    least_size = min(len(z), max(2, n_clusters))
    sample_size = max(least_size, min(sample_size, math.ceil(_SHARE * len(z))))
    ward_size = max(least_size, min(_WARD_ROWS, max(10 * n_clusters, math.ceil(_WARD_SHARE * sample_size))))
    least_variance = max(_LEAST_VARIANCE * variance, np.finfo(np.float32).tiny)
    for _ in range(n_init):
        sample = np.asarray(_sample(z, sample_size, random), np.float64)
        if len(sample) == 1:  # scikit-learn asks for two rows.
            sample = np.repeat(sample, 2, axis=0)
        with threadpool_limits(1):  # on products this small, threads spend their time waiting for each other
            start = _gaussians(sample[:ward_size], n_clusters, least_variance)
            mixture = GaussianMixture(n_clusters, reg_covar=least_variance, random_state=0, **start).fit(sample)
            labels = [mixture.predict(view) for view in views]
        yield mixture, float(np.mean([consistency(*pair) for pair in itertools.combinations(labels, 2)]))


def _gaussians(z, n_clusters, least_variance):
    """Weights, means and precisions of Ward's clusters, by the names of `GaussianMixture`."""
    labels = _ward(z, n_clusters)
    groups = [z[labels == cluster] for cluster in range(n_clusters)]
    least = least_variance * np.eye(z.shape[1])
    covariances = [np.atleast_2d(np.cov(group.T, bias=True)) + least for group in groups]
    return {
        "weights_init": np.array([len(group) / len(z) for group in groups]),
        "means_init": np.stack([group.mean(axis=0) for group in groups]),
        "precisions_init": np.linalg.inv(covariances),
    }


def _ward(z, n_clusters):
    from sklearn.cluster import AgglomerativeClustering

    if len(z) == 1:  # scikit-learn asks for two rows.
        return np.zeros(1, int)
    return AgglomerativeClustering(n_clusters).fit_predict(z)


def start_rows(z, n_clusters, n=None, seed=0):
    """The embedded rows that a first clusterer sees: all, or so many of them at random as suffice.

    Args:
        z: (n_own, n_features) array.
        n_clusters: int.
        n: int, default n_own. The number of all rows, of which z may be a part.
        seed: int, default 0.

    Returns:
        (n_rows, n_features) array: z itself up to 100,000 rows or 50 a cluster, if that is more, else a share of z that
        makes so many of all n.
    """
    n = len(z) if n is None else n
    most = max(_START_ROWS, _ROWS_A_CLUSTER * n_clusters)
    return z if n <= most else _sample(z, math.ceil(most * len(z) / n), np.random.default_rng(seed))


def first_clusters(rows, n_clusters, init="kmeans", *, n_init=20, seed=0, z=None, sample_weight=None):
    """Centroids and, where the clusterer gives more than these say, the assignments of the rows.

    Args:
        rows: (n_rows, n_features) array of embedded rows, which the clusterer sees.
        n_clusters: int.
        init: "kmeans" (default, as in the paper), "ward", "mixture", or a function of (z, n_clusters) that returns an
            (n_clusters, n_features) array of centroids or an (n, n_clusters) one of assignments.
        n_init: int, restarts of k-means or of the mixture.
        seed: int, default 0.
        z: (n, n_features) array of the embedded rows to assign, default None: `rows`.
        sample_weight: (n_rows,) array of weights, default None: 1 each. K-means takes them. The others get as many rows
            drawn by their weights, with repetition.

    Returns:
        (centroids, assignments): (n_clusters, n_features), and (n, n_clusters) or None: of z.

    Raises:
        ValueError: no such clusterer, or a function that returns neither.
        TypeError: `init` is neither a name nor a function.
    """
    z = rows if z is None else z
    if sample_weight is not None and init != "kmeans":
        shares = sample_weight / sample_weight.sum()
        rows = rows[np.random.default_rng(seed).choice(len(rows), len(rows), p=shares)]
    if callable(init):
        found = np.asarray(init(rows, n_clusters))
    elif init == "kmeans" or (len(rows) == 1 and init in ("ward", "mixture")):  # The others need two rows.
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
            "init should return finite numbers. Received: NaN or infinity, or no numbers, from "
            f"init={getattr(init, '__name__', init)!r}. Let it return the means of its clusters, or assignments."
        )
    if found.shape == (n_clusters, rows.shape[1]):
        return found, None
    if found.shape == (len(rows), n_clusters):
        return cluster_means(rows, found), found if len(rows) == len(z) and sample_weight is None else None
    raise ValueError(
        f"init should return centroids of shape {(n_clusters, rows.shape[1])} or assignments of shape "
        f"{(len(rows), n_clusters)}. Received: shape {found.shape}"
    )


def cluster_means(z, q):
    """Means of the embedded rows, weighted by their assignments.

    Args:
        z: (n, n_features) float array.
        q: (n, n_clusters) array of soft or hard (0 or 1) assignments.

    Returns:
        (n_clusters, n_features) array of z's dtype. A cluster that has no share in any row gets the mean of all.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization import cluster_means
        >>> cluster_means(np.array([[0.0], [2.0], [10.0]]), np.array([[1, 0], [1, 0], [0, 1]]))
        array([[ 1.],
               [10.]])
    """
    sizes = q.sum(axis=0, dtype=np.float64)[:, None]
    means = np.where(sizes > 0, q.T @ z / np.maximum(sizes, np.finfo(np.float32).tiny), z.mean(axis=0))
    return means.astype(z.dtype)


def consistency(labels, others):
    """How well two labellings of the same rows agree: their mutual information in nats, from 0 to log(n_clusters).

    Given the clusters of rows that were changed a little in two ways, it tells a good clustering from a bad one
    without a class: it is large where a change leaves a row in its cluster, and the more so the more clusters there
    are and the more even. A clustering that cuts a class in two, through the thick of it, scores less.

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


def _sample(z, size, random):
    return z[random.permutation(len(z))[:size]]


def _check_enough(z, n_clusters):
    if not 1 <= n_clusters <= len(z):
        raise ValueError(
            f"n_clusters should be from 1 to the number of rows, {len(z)}. Received: n_clusters={n_clusters}"
        )


def check_finite(z):
    """Raise ValueError if the embedding holds NaN or infinity."""
    if not np.isfinite(z).all():
        raise ValueError(
            "The embedding should hold finite numbers only. Received: NaN or infinity in it. "
            "The encoder's weights have diverged: pretrain it again with a lower learning rate."
        )
