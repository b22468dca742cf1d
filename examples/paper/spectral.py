"""The spectral clusterings that the paper compares with: SEC and LDMGI, on all rows, with sparse matrices.

Both compute, for n rows, the n_clusters smallest eigenvectors of a Laplacian, and differ only in this Laplacian. Their
papers then rotate the eigenvectors to the nearest indicators of clusters. Here k-means finds the clusters, on the
eigenvectors' rows scaled to length 1 (Ng, Jordan and Weiss, 2001).
"""

import functools

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from deckeras._data import checks

# Neighborhoods of so many rows are processed together, so that they are never all in memory.
_BLOCK = 2000
_MIN_WEIGHT = 1e-12
# The tolerance of eigenvalues, relative to the largest. The required eigenvalues may be near 0.
_TOL = 1e-8
_RESTARTS = 5000


def spectral_embedded_clustering(
    x, n_clusters, *, mu=1.0, gamma=1.0, n_neighbors=5, neighbours=None, n_init=20, seed=0
):
    r"""Cluster by SEC: spectral clustering with an embedding near to a linear function of the rows.

    $$\min_{F^\top F = I} \; \mathrm{tr}(F^\top \tilde L F) + \mu \left( \min_{W, b} \|X W + 1 b^\top - F\|^2
    + \gamma' \|W\|^2 \right), \qquad \gamma' = \gamma \frac{n}{d} \sum_j \mathrm{var}(x_{\cdot j})$$

    with $\tilde L$ the normalized Laplacian of the graph of nearest neighbors, weighted by a Gaussian as wide as the
    median distance to the last neighbor.

    Args:
        x: (n, n_features) array of any real dtype.
        n_clusters: int, below n.
        mu: float, at least 0, default 1.0. The weight of the linear function. With 0 this is spectral clustering.
        gamma: float above 0, default 1.0. The regularization of its slope, in units of the rows' variance.
        n_neighbors: int, default 5 as in its authors' experiments.
        neighbours: the result of `nearest_neighbours` for x, default None: it is computed. On many rows this takes most
            of the time, and it is the same for all settings.
        n_init: int, default 20 as for the other methods. Restarts of k-means on the eigenvectors.
        seed: int, default 0. Determines the start of the eigenvectors' iteration and of k-means.

    Returns:
        (n,) int array of labels.

    Raises:
        TypeError, ValueError: bad x, more clusters or neighbors than rows allow, or a weight out of range.
        RuntimeError: the eigenvectors were not found.

    Example:
        >>> import numpy as np
        >>> from spectral import spectral_embedded_clustering
        >>> x = np.random.default_rng(0).normal(size=(100, 2)) + 9 * np.eye(2)[np.arange(100) % 2]
        >>> labels = spectral_embedded_clustering(x, 2)
        >>> bool((labels[::2] == labels[0]).all()), bool((labels[1::2] == labels[1]).all())
        (True, True)

    Source: Nie, Zeng, Tsang, Xu and Zhang, "Spectral Embedded Clustering: A Framework for In-Sample and Out-of-Sample
    Spectral Clustering", IEEE Transactions on Neural Networks, 2011.
    """
    x = _check(x, n_clusters, n_neighbors)
    _check_weight("mu", mu, 0 <= mu < np.inf, "at least 0")
    _check_weight("gamma", gamma, 0 < gamma < np.inf, "above 0")
    n, mean, scatter = len(x), x.mean(axis=0), len(x) * np.atleast_2d(np.cov(x.T, bias=True))
    similarity = _normalised(_gaussian_graph(*(neighbours or nearest_neighbours(x, n_neighbors)), n_neighbors))
    ridge = gamma * max(float(np.trace(scatter)) / len(scatter), np.finfo(np.float32).tiny)
    inner = np.linalg.inv(scatter + ridge * np.eye(len(scatter)))

    def similar(f):
        """Apply I minus the matrix whose smallest eigenvectors are required. Its largest eigenvectors are the same."""
        centred = f - f.mean(axis=0)
        slope = inner @ (x.T @ centred)
        return similarity @ f + mu * (x @ slope - mean @ slope - centred)

    return _cluster(LinearOperator((n, n), matvec=similar, matmat=similar, dtype=x.dtype), n_clusters, n_init, seed)


def ldmgi(x, n_clusters, *, lam=1.0, n_neighbors=5, neighbours=None, n_init=20, seed=0):
    r"""Cluster by LDMGI: spectral clustering by local discriminant models, integrated over all neighborhoods.

    For each row and its nearest neighbors $X_i$, itself among them, $L_i = H - H \tilde X_i (\tilde X_i^\top \tilde
    X_i + \lambda' I)^{-1} \tilde X_i^\top H$ measures the error of a regularized linear model of the cluster
    indicators of these rows. $L = \sum_i S_i L_i S_i^\top$ is their sum. $\lambda'$ is $\lambda$ times the mean squared
    norm of a centered row over all neighborhoods.

    Args:
        x, n_clusters, neighbours, n_init, seed: as for `spectral_embedded_clustering`.
        lam: float above 0, default 1.0. The regularization, in units of the neighborhoods' variance.
        n_neighbors: int, default 5 as in its authors' experiments. Rows in a neighborhood, the row itself among them.

    Returns:
        (n,) int array of labels.

    Raises:
        TypeError, ValueError, RuntimeError: as `spectral_embedded_clustering`.

    Example:
        >>> import numpy as np
        >>> from spectral import ldmgi
        >>> x = np.random.default_rng(0).normal(size=(100, 2)) + 9 * np.eye(2)[np.arange(100) % 2]
        >>> labels = ldmgi(x, 2)
        >>> bool((labels[::2] == labels[0]).all()), bool((labels[1::2] == labels[1]).all())
        (True, True)

    Source: Yang, Xu, Nie, Yan and Zhuang, "Image Clustering Using Local Discriminant Models and Global Integration",
    IEEE Transactions on Image Processing, 2010.
    """
    x = _check(x, n_clusters, n_neighbors)
    _check_weight("lam", lam, 0 < lam < np.inf, "above 0")
    _, others = neighbours or nearest_neighbours(x, n_neighbors - 1)
    laplacian = _local_discriminants(x, np.hstack([np.arange(len(x))[:, None], others[:, : n_neighbors - 1]]), lam)
    largest = _lanczos(laplacian, 1, seed)[0][0]
    # Lanczos's iteration finds large eigenvalues faster.
    flipped = largest * scipy.sparse.identity(len(x), format="csr") - laplacian
    return _cluster(flipped, n_clusters, n_init, seed)


def _local_discriminants(x, neighbours, lam):
    """Return the sum over neighborhoods of L_i = lam_i H (G + lam_i I)^-1 H, where G holds the inner products."""
    n, size = neighbours.shape
    centring = np.eye(size) - 1 / size
    grams = []
    for start in range(0, n, _BLOCK):
        rows = x[neighbours[start : start + _BLOCK]]
        rows = rows - rows.mean(axis=1, keepdims=True)
        grams.append(rows @ rows.transpose(0, 2, 1))
    grams = np.concatenate(grams)
    ridge = lam * max(np.trace(grams, axis1=1, axis2=2).mean() / size, np.finfo(np.float32).tiny)
    models = ridge * (centring @ np.linalg.inv(grams + ridge * np.eye(size)) @ centring)
    rows, columns = np.repeat(neighbours, size, axis=1), np.tile(neighbours, (1, size))
    return scipy.sparse.csr_matrix((models.ravel(), (rows.ravel(), columns.ravel())), shape=(n, n))


def nearest_neighbours(x, n_neighbors=5):
    """Return the nearest neighbors of each row, with which both methods begin.

    Args:
        x: (n, n_features) array.
        n_neighbors: int, default 5, below n.

    Returns:
        (distances, indices): (n, n_neighbors) arrays, the nearest first.
    """
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=n_neighbors, n_jobs=-1).fit(x).kneighbors()


def _gaussian_graph(distances, neighbours, n_neighbors):
    distances, neighbours = distances[:, :n_neighbors], neighbours[:, :n_neighbors]
    n, width = len(distances), max(float(np.median(distances[:, -1])), np.finfo(np.float32).tiny)
    # A row far from all others needs a positive weight, because its degree is a divisor.
    weights = np.maximum(np.exp(-np.square(distances / width) / 2), _MIN_WEIGHT)
    rows = np.repeat(np.arange(n), n_neighbors)
    graph = scipy.sparse.csr_matrix((weights.ravel(), (rows, neighbours.ravel())), shape=(n, n))
    return graph.maximum(graph.T)


def _normalised(graph):
    scale = scipy.sparse.diags(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
    return scale @ graph @ scale


def _cluster(operator, n_clusters, n_init, seed):
    from sklearn.cluster import KMeans

    vectors = _largest_eigenvectors(operator, n_clusters, seed)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return KMeans(n_clusters, n_init=n_init, random_state=seed).fit_predict(vectors)


def _largest_eigenvectors(operator, count, seed):
    """Return the largest eigenvectors: (n, count) array.

    A graph with several components has a multiple eigenvalue, and Lanczos's iteration misses some of its eigenvectors.
    It is therefore repeated without those already found, until the next eigenvalue is not larger than these.
    """
    n = operator.shape[0]
    values, vectors = _lanczos(operator, count, seed)
    # Eigenvalues that were found are moved below all others.
    below = 1 + 2 * np.abs(values).max()
    for attempt in range(1, count + 1):
        moved = vectors * (values + below)
        rest = functools.partial(_without, operator, vectors, moved)
        rest = LinearOperator((n, n), matvec=rest, matmat=rest, dtype=vectors.dtype)
        value, vector = _lanczos(rest, 1, seed + attempt)
        if value[0] <= np.sort(values)[-count] + _TOL * below:
            break
        values, vectors = np.append(values, value), np.hstack([vectors, vector])
    return vectors[:, np.argsort(values)[-count:]]


def _without(operator, vectors, moved, f):
    return operator @ f - moved @ (vectors.T @ f)


def _lanczos(operator, count, seed):
    n = operator.shape[0]
    start, size = np.random.default_rng(seed).normal(size=n), min(n, max(4 * count, 40))
    try:
        return eigsh(operator, count, which="LA", tol=_TOL, v0=start, ncv=size, maxiter=_RESTARTS)
    except ArpackNoConvergence as error:
        raise RuntimeError(
            f"The eigenvectors of {n} rows were not found in {_RESTARTS} restarts. "
            "Use fewer rows, more neighbors or a larger regularization."
        ) from error


def _check(x, n_clusters, n_neighbors):
    n_clusters, n_neighbors = (
        checks.check_count("n_clusters", n_clusters),
        checks.check_count("n_neighbors", n_neighbors),
    )
    x = checks.check_rows(x, n_min=max(n_clusters, n_neighbors) + 1)
    if x.ndim != 2:
        raise ValueError(f"x should be of shape (n, n_features). Received: x of shape {x.shape}")
    if n_neighbors < 2:
        raise ValueError(f"n_neighbors should be at least 2. Received: n_neighbors={n_neighbors}")
    return np.asarray(x, np.float64)


def _check_weight(name, value, valid, rule):
    if not valid:
        raise ValueError(f"{name} should be {rule}, and finite. Received: {name}={value!r}")
