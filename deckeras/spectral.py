"""The spectral clusterings that the paper compares with: SEC and LDMGI, on all rows, with sparse matrices.

Both find, for n rows, the n_clusters smallest eigenvectors of a Laplacian and run k-means on the rows of these, scaled
to length 1 (Ng, Jordan and Weiss, 2001). They differ in the Laplacian, which is all that each function builds.
"""

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from deckeras import data

_BLOCK = 2000  # rows whose neighbourhoods are looked at together, so that no copy of all of them is made
_LEAST_WEIGHT = 1e-12


def spectral_embedded_clustering(x, n_clusters, *, mu=1.0, gamma=1.0, n_neighbors=5, n_init=20, seed=0):
    r"""SEC: spectral clustering whose embedding is kept near to a linear function of the rows.

    $$\min_{F^\top F = I} \; \mathrm{tr}(F^\top \tilde L F) + \mu \left( \min_{W, b} \|X W + 1 b^\top - F\|^2
    + \gamma' \|W\|^2 \right), \qquad \gamma' = \gamma \frac{n}{d} \sum_j \mathrm{var}(x_{\cdot j})$$

    with $\tilde L$ the normalised Laplacian of the graph of nearest neighbours, weighted by a Gaussian as wide as the
    median distance to the last of them.

    Args:
        x: (n, n_features) array of any real dtype.
        n_clusters: int, below n.
        mu: float, at least 0, default 1.0. The weight of the linear function; 0 is spectral clustering.
        gamma: float above 0, default 1.0. The regularisation of its slope, in units of the rows' variance.
        n_neighbors: int, default 5 as in its authors' experiments.
        n_init: int, default 20 as for the other methods. Restarts of k-means on the eigenvectors.
        seed: int, default 0. Decides the start of the eigenvectors' iteration and of k-means.

    Returns:
        (n,) int array of labels.

    Raises:
        TypeError, ValueError: bad x, more clusters or neighbours than rows allow, a weight out of range.

    Example:
        >>> import numpy as np
        >>> from deckeras.spectral import spectral_embedded_clustering
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
    n, n_features = x.shape
    graph = _gaussian_graph(x, n_neighbors)
    scale = scipy.sparse.diags(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
    similarity = scale @ graph @ scale
    centred = x - x.mean(axis=0)
    ridge = gamma * max(float(np.square(centred).sum()) / n_features, np.finfo(np.float32).tiny)
    inner = np.linalg.inv(centred.T @ centred + ridge * np.eye(n_features))

    def similar(f):
        """I minus the matrix whose smallest eigenvectors are wanted, so that they are its largest."""
        fitted = centred @ (inner @ (centred.T @ f))
        return similarity @ f + mu * (fitted - (f - f.mean(axis=0)))

    return _cluster(LinearOperator((n, n), matvec=similar, matmat=similar, dtype=x.dtype), n_clusters, n_init, seed)


def ldmgi(x, n_clusters, *, lam=1.0, n_neighbors=5, n_init=20, seed=0):
    r"""LDMGI: spectral clustering by local discriminant models, integrated over all neighbourhoods.

    For each row and its nearest neighbours $X_i$, itself among them, $L_i = H - H \tilde X_i (\tilde X_i^\top \tilde
    X_i + \lambda_i I)^{-1} \tilde X_i^\top H$ measures how badly a regularised linear model of these rows explains
    their cluster indicators; $L = \sum_i S_i L_i S_i^\top$ adds all of them up. $\lambda_i = \lambda$ times the mean
    squared norm of a centred row of a neighbourhood.

    Args:
        x, n_clusters, n_init, seed: as for `spectral_embedded_clustering`.
        lam: float above 0, default 1.0. The regularisation, in units of the neighbourhoods' variance.
        n_neighbors: int, default 5 as in its authors' experiments. Rows in a neighbourhood, the row itself among them.

    Returns:
        (n,) int array of labels.

    Raises:
        TypeError, ValueError: as `spectral_embedded_clustering`.

    Example:
        >>> import numpy as np
        >>> from deckeras.spectral import ldmgi
        >>> x = np.random.default_rng(0).normal(size=(100, 2)) + 9 * np.eye(2)[np.arange(100) % 2]
        >>> labels = ldmgi(x, 2)
        >>> bool((labels[::2] == labels[0]).all()), bool((labels[1::2] == labels[1]).all())
        (True, True)

    Source: Yang, Xu, Nie, Yan and Zhuang, "Image Clustering Using Local Discriminant Models and Global Integration",
    IEEE Transactions on Image Processing, 2010.
    """
    x = _check(x, n_clusters, n_neighbors)
    _check_weight("lam", lam, 0 < lam < np.inf, "above 0")
    _, neighbours = _neighbours(x, n_neighbors - 1)
    neighbours = np.hstack([np.arange(len(x))[:, None], neighbours])
    laplacian = _local_discriminants(x, neighbours, lam)
    largest = eigsh(laplacian, 1, return_eigenvectors=False, v0=_start(len(x), seed))[0]
    flipped = largest * scipy.sparse.identity(len(x), format="csr") - laplacian  # Lanczos finds large ones sooner
    return _cluster(flipped, n_clusters, n_init, seed)


def _local_discriminants(x, neighbours, lam):
    """Sum over the neighbourhoods of lam_i times H (G + lam_i I)^-1 H, which is L_i; G holds their inner products."""
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


def _gaussian_graph(x, n_neighbors):
    distances, neighbours = _neighbours(x, n_neighbors)
    width = max(float(np.median(distances[:, -1])), np.finfo(np.float32).tiny)
    # A row far from all others keeps some weight, since its degree is divided by.
    weights = np.maximum(np.exp(-np.square(distances / width) / 2), _LEAST_WEIGHT)
    rows = np.repeat(np.arange(len(x)), n_neighbors)
    graph = scipy.sparse.csr_matrix((weights.ravel(), (rows, neighbours.ravel())), shape=(len(x), len(x)))
    return graph.maximum(graph.T)


def _neighbours(x, n_neighbors):
    """(distances, indices) of each row's nearest others."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=n_neighbors, n_jobs=-1).fit(x).kneighbors()


def _cluster(operator, n_clusters, n_init, seed):
    from sklearn.cluster import KMeans

    n = operator.shape[0]
    size = min(n, max(4 * n_clusters, 40))
    # To machine precision: an eigenvalue of several vectors, as of a graph in pieces, is found once at a lower one.
    _, vectors = eigsh(operator, n_clusters, which="LA", tol=0, v0=_start(n, seed), ncv=size, maxiter=20 * n)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return KMeans(n_clusters, n_init=n_init, random_state=seed).fit_predict(vectors)


def _start(n, seed):
    return np.random.default_rng(seed).normal(size=n)


def _check(x, n_clusters, n_neighbors):
    n_clusters, n_neighbors = data.check_count("n_clusters", n_clusters), data.check_count("n_neighbors", n_neighbors)
    x = data.check_rows(x, n_min=max(n_clusters, n_neighbors) + 1)
    if x.ndim != 2:
        raise ValueError(f"x should be of shape (n, n_features). Received: x of shape {x.shape}")
    if n_neighbors < 2:
        raise ValueError(f"n_neighbors should be at least 2. Received: n_neighbors={n_neighbors}")
    return np.asarray(x, np.float64)


def _check_weight(name, value, valid, rule):
    if not valid:
        raise ValueError(f"{name} should be {rule}, and finite. Received: {name}={value!r}")
