"""The start of the clustering: first centroids and first assignments, from embedded rows.

The paper's start is k-means. The others find clusters of other shapes than spheres, and give assignments of the rows
that k-means, and so the nearest centroid, cannot express: `cluster_means` turns them into centroids.
"""

import itertools
import math

import numpy as np

from deckeras import data, distribution, manifold

INITS = ("kmeans", "ward", "mixture", "manifold")
_LEAST_VARIANCE = 1e-3  # of a Gaussian in any direction, as a share of the embedding's: no cluster of one row
_JOLT = 0.1  # the standard deviation of the noise that clusters are to stand, as a share of the embedding's
_VIEWS = 4  # jolted copies, of which each pair is compared
_VIEW_ROWS = 10_000
_SHARE, _WARD_SHARE = 0.8, 0.5  # of few rows, so that each mixture is fitted to and starts from other ones
_WARD_ROWS = 3000
_START_ROWS, _ROWS_A_CLUSTER = 100_000, 50  # the means of so many rows hardly gain from others
_MOST_DISTANCES = 2e7
_MINI_BATCH = 4096
_MANIFOLD_ROWS = 10_000  # layouts of more cost more time than they gain
_PLACING_NEIGHBORS = 10
_WIDE, _NARROW = 10_000, 2048  # features of a row beyond which it is projected, and to how many


def kmeans_centroids(z, n_clusters, *, n_init=20, seed=0):
    """Centroids of k-means on the embedded rows.

    Args:
        z: (n, n_features) float array, the embedding.
        n_clusters: int, at most n.
        n_init: int, default 20 as in the paper. Restarts, of which the one with the least inertia is kept.
        seed: int, default 0; None draws a fresh start each time.

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

    _check_finite(z)
    if len(z) * n_clusters <= _MOST_DISTANCES:
        kmeans = KMeans(n_clusters, n_init=n_init, random_state=seed)
    else:
        batch_size = max(_MINI_BATCH, 4 * n_clusters)
        kmeans = MiniBatchKMeans(n_clusters, n_init=min(n_init, 3), batch_size=batch_size, random_state=seed)
    return kmeans.fit(z).cluster_centers_


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
    _check_finite(z)
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
    blocks = (mixture.predict_proba(np.asarray(block, np.float64)) for _, block in data.blocks(z))
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

    _check_finite(z)
    random = np.random.default_rng(seed)
    rows = np.asarray(_sample(z, _VIEW_ROWS, random), np.float64)
    deviation, variance = z.std(axis=0, dtype=np.float64), float(z.var(dtype=np.float64))
    views = [rows + random.normal(scale=_JOLT * deviation, size=rows.shape) for _ in range(_VIEWS)]
    sample_size = min(sample_size, math.ceil(_SHARE * len(z)))
    ward_size = min(_WARD_ROWS, max(10 * n_clusters, math.ceil(_WARD_SHARE * sample_size)))
    least_variance = max(_LEAST_VARIANCE * variance, np.finfo(np.float32).tiny)
    for _ in range(n_init):
        sample = np.asarray(_sample(z, sample_size, random), np.float64)
        with threadpool_limits(1):  # on products this small, threads spend their time waiting for each other
            start = _gaussians(sample[:ward_size], n_clusters, least_variance)
            mixture = GaussianMixture(n_clusters, reg_covar=least_variance, random_state=0, **start).fit(sample)
            labels = [mixture.predict(view) for view in views]
        yield mixture, float(np.mean([consistency(*pair) for pair in itertools.combinations(labels, 2)]))


class ManifoldStart:
    """A first clusterer that sees neighbors, in the embedding and among the rows themselves.

    k-means and mixtures in the embedding see spheres and ellipsoids there. Neighborhoods follow classes of any shape: see
    `deckeras.manifold.Neighborhoods`, which this applies to a sample of the rows. The others get the cluster of most of
    their neighbors in the sample. What does not depend on the number of clusters is computed once.

    Args:
        z: (n, n_features) float array, the embedding.
        x: n rows from which it came, an array or any other source that `DEC.fit` takes, default None: only the embedding
            is looked at.
        n_init: int, default 1. Layouts of each view.
        sample_size: int, default 10,000: the time of layouts grows with it, and they gain little from more.
        seed: int, default 0. Draws the sample and the layouts.

    Raises:
        ValueError: z holds NaN or infinity.

    Example:
        >>> import numpy as np
        >>> from deckeras.initialization import ManifoldStart
        >>> z = np.concatenate([np.random.rand(30, 4), 9 + np.random.rand(30, 4)])
        >>> ManifoldStart(z)(z, 2).sum(axis=0)
        array([30., 30.], dtype=float32)

    Source: McConville, Santos-Rodriguez, Piechocki and Craddock, "N2D: (Not Too) Deep Clustering via Clustering the Local
    Manifold of an Autoencoded Embedding", ICPR 2020, which lays out the embedding by UMAP.
    """

    def __init__(self, z, x=None, *, n_init=1, sample_size=_MANIFOLD_ROWS, seed=0):
        _check_finite(z)
        self.seed = data.fixed_seed(seed)
        n = distribution.total(len(z))
        size = len(z) if n <= sample_size else math.ceil(sample_size * len(z) / n)
        self.rows = np.sort(np.random.default_rng(self.seed).permutation(len(z))[:size])
        sampled = np.concatenate(distribution.gather(z[self.rows]))
        others = None if x is None else np.concatenate(distribution.gather(_narrow_rows(x, self.rows)))
        self.neighborhoods = None
        if not manifold.few_rows(len(sampled), 1):
            views = manifold.views(sampled, others)
            self.neighborhoods = manifold.Neighborhoods(views, n_init=n_init, seed=self.seed)

    def __call__(self, z, n_clusters):
        """Assign rows to clusters.

        Args:
            z: (n, n_features) array, the embedding of the same rows, which may have been scaled since.
            n_clusters: int, at most n.

        Returns:
            (n, n_clusters) float32 array with a 1 in each row. Fewer than 10 rows, or 3 for each cluster, have no
            neighborhoods to speak of; they are assigned by k-means.
        """
        from sklearn.cluster import KMeans
        from sklearn.neighbors import KNeighborsClassifier

        sample = np.concatenate(distribution.gather(z[self.rows]))
        if self.neighborhoods is None or manifold.few_rows(len(sample), n_clusters):
            labels = KMeans(n_clusters, n_init=20, random_state=self.seed).fit_predict(sample)
        else:
            labels = self.neighborhoods.clusters(n_clusters)
        if len(sample) > len(self.rows) or len(self.rows) < len(z):
            placed = KNeighborsClassifier(_PLACING_NEIGHBORS, weights="distance").fit(sample, labels)
            labels = np.concatenate([placed.predict(block) for _, block in data.blocks(z)])
        return np.eye(n_clusters, dtype=np.float32)[labels]


def _narrow_rows(x, numbers):
    """(n, n_features) float32 array of some rows of x, projected at random to 2,048 features where there are more."""
    from sklearn.preprocessing import normalize
    from sklearn.random_projection import SparseRandomProjection

    width = math.prod(x.shape[1:])
    rows = data.take(x, numbers)
    if width <= _WIDE:
        return np.concatenate([np.asarray(block, np.float32).reshape(len(block), -1) for block in rows])
    projection = SparseRandomProjection(_NARROW, random_state=0, dense_output=True).fit(
        np.zeros((1, width), np.float32)
    )
    narrow = []
    for block in rows:
        block = np.asarray(block, np.float32).reshape(len(block), -1)
        projected = projection.transform(block)
        narrow.append(normalize(projected) if manifold.of_one_length(block) else projected)
    return np.concatenate(narrow)


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


def first_clusters(rows, n_clusters, init="kmeans", *, n_init=20, seed=0, z=None, x=None):
    """Centroids and, where the clusterer gives more than these say, the assignments of the rows.

    Args:
        rows: (n_rows, n_features) array of embedded rows, which the clusterer sees.
        n_clusters: int.
        init: "kmeans" (default, as in the paper), "ward", "mixture", "manifold" (`ManifoldStart`), or a function of
            (z, n_clusters) that returns an (n_clusters, n_features) array of centroids or an (n, n_clusters) one of
            assignments.
        n_init: int, restarts of k-means or of the mixture, or layouts of each view of "manifold".
        seed: int, default 0.
        z: (n, n_features) array of the embedded rows to assign, default None: `rows`.
        x: the n rows from which z came, default None. "manifold" looks at their neighbors, too.

    Returns:
        (centroids, assignments): (n_clusters, n_features), and (n, n_clusters) or None: of z.

    Raises:
        ValueError: no such clusterer, or a function that returns neither.
        TypeError: `init` is neither a name nor a function.
    """
    z = rows if z is None else z
    if init == "manifold":
        init = ManifoldStart(z, x, n_init=n_init, seed=seed)
    if isinstance(init, ManifoldStart):
        assignments = init(z, n_clusters)
        return _all_means(z, assignments), assignments
    if callable(init):
        found = np.asarray(init(rows, n_clusters))
    elif init == "kmeans":
        found = kmeans_centroids(rows, n_clusters, n_init=n_init, seed=seed)
    elif init == "ward":
        found = ward_centroids(rows, n_clusters, seed=seed)
    elif init == "mixture":
        mixture = steadiest_mixture(rows, n_clusters, n_init=n_init, seed=seed)
        return cluster_means(rows, responsibilities(mixture, rows)), responsibilities(mixture, z)
    else:
        raise ValueError(f"init should be one of {', '.join(INITS)} or a function. Received: init={init!r}")
    if found.shape == (n_clusters, rows.shape[1]):
        return found, None
    if found.shape == (len(rows), n_clusters):
        return cluster_means(rows, found), found if len(rows) == len(z) else None
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


def _all_means(z, q):
    """`cluster_means` over the rows of all processes."""
    own = [q.sum(axis=0, dtype=np.float64), q.T @ z]
    sizes, sums = (distribution.total(each) for each in own)
    if not sizes.all():
        return cluster_means(z, q)
    return (sums / sizes[:, None]).astype(z.dtype)


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


def _check_finite(z):
    if not np.isfinite(z).all():
        raise ValueError(
            "The embedding should hold finite numbers only. Received: NaN or infinity in it. "
            "The encoder's weights have diverged: pretrain it again with a lower learning rate."
        )
