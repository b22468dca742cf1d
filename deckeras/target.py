"""The target distribution p: the sharpened soft assignments q, toward which the model is trained.

The target p of a row depends only on its own q and on the soft cluster frequencies f of the *whole* data set. If q does
not fit in one array, sum f over the pieces first, and then compute p piece by piece:

    >>> pieces = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 100))
    >>> frequencies = sum(cluster_frequencies(q) for q in pieces)
    >>> targets = [target_distribution(q, frequencies) for q in pieces]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops
from scipy.spatial.distance import cdist
from scipy.special import softmax

from deckeras._data import row_views, values
from deckeras._typing import Array, Tensor


def cluster_frequencies(q: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    r"""Return the soft cluster frequencies $f_j = \sum_i w_i q_{ij}$ of the rows in `q`.

    Args:
        q: (n, n_clusters) array-like or backend tensor of soft assignments.
        sample_weight: (n,) array of the same kind as q, the weights w of the rows, default None: 1 each, as in the
            paper.

    Returns:
        (n_clusters,) array of the same kind as q. A NumPy array is float64, so that a sum over millions of rows is
        accurate. The frequencies of pieces add up to those of the whole.
    """
    q = row_views.as_floats(q)
    if sample_weight is not None:
        weights = np.asarray(sample_weight, np.float64) if isinstance(q, np.ndarray) else sample_weight
        return weights @ q if isinstance(q, np.ndarray) else ops.matmul(ops.cast(weights, q.dtype), q)
    return q.sum(axis=0, dtype=np.float64) if isinstance(q, np.ndarray) else ops.sum(q, axis=0)


def target_distribution(
    q: Tensor, frequencies: Tensor | None = None, *, sample_weight: Tensor | None = None, balance: float = 1.0
) -> Tensor:
    r"""Return the target distribution p of the soft assignments q.

    $$p_{ij} = \frac{q_{ij}^2 / f_j}{\sum_{j'} q_{ij'}^2 / f_{j'}}, \qquad f_j = \sum_i q_{ij}$$

    The square raises confident assignments over doubtful ones. The division by f keeps large clusters from absorbing
    small ones. A cluster with f = 0 gets p = 0 rather than NaN. With `balance`, $f_j$ is raised to this power.

    Args:
        q: (n, n_clusters) array-like or backend tensor of soft assignments.
        frequencies: (n_clusters,) soft cluster frequencies of the whole data set, default None: those of `q` itself,
            which is correct only if `q` holds every row.
        sample_weight: (n,) array, default None. The weights of the rows in the frequencies, if these are not given.
        balance: float from 0 to 1, default 1.0 as in the paper: how strongly clusters are pulled toward equal sizes.
            With smaller values, uneven clusters stay uneven; with 0, only the square remains.

    Returns:
        (n, n_clusters) array of q's kind and dtype. Each row sums to 1.

    Raises:
        ValueError: `q` is not 2-D, `frequencies` is not of length n_clusters, or `balance` is not from 0 to 1.

    Example:
        >>> import numpy as np
        >>> from deckeras import target_distribution
        >>> target_distribution(np.array([[0.75, 0.25], [0.25, 0.75]]))
        array([[0.9, 0.1],
               [0.1, 0.9]])

    Source: Xie, Girshick and Farhadi, ICML 2016, equation 3.
    """
    q = row_views.as_floats(q)
    if len(q.shape) != 2:
        raise ValueError(f"q should be of shape (n, n_clusters). Received: q of shape {tuple(q.shape)}")
    if frequencies is None:
        frequencies = cluster_frequencies(q, sample_weight)
    frequencies = row_views.as_floats(frequencies)
    if tuple(frequencies.shape) != (q.shape[1],):
        raise ValueError(
            f"frequencies should hold one number for each of the {q.shape[1]} clusters of q. "
            f"Received: frequencies of shape {tuple(frequencies.shape)}"
        )
    balance = values.fraction("balance", balance)
    xp: Any = np if isinstance(q, np.ndarray) else ops
    tiny = np.finfo(np.float32).tiny
    # q / f is computed before the square, because q ** 2 alone underflows for small assignments.
    weights = q * (q / xp.maximum(frequencies, tiny) ** balance)
    p = weights / xp.maximum(xp.sum(weights, axis=1, keepdims=True), tiny)
    return p.astype(q.dtype, copy=False) if xp is np else p


def embedding_gradient(
    z: npt.ArrayLike, centroids: npt.ArrayLike, p: Array | None = None, *, alpha: float = 1.0
) -> npt.NDArray[np.float64]:
    r"""Return the gradient of the loss with respect to each embedded row.

    $$\frac{\partial L}{\partial z_i} = \frac{\alpha + 1}{\alpha} \sum_j
    \left(1 + \frac{\|z_i - \mu_j\|^2}{\alpha}\right)^{-1} (p_{ij} - q_{ij}) (z_i - \mu_j)$$

    for $L = \sum_i \mathrm{KL}(p_i \| q_i)$ with constant p. It is for inspection; in training, Keras computes the
    gradient.

    Args:
        z: (n, n_embedding) NumPy array, the embedding.
        centroids: (n_clusters, n_embedding) NumPy array.
        p: (n, n_clusters) NumPy array, default None: the target distribution of the rows' own soft assignments.
        alpha: float > 0, default 1.0: degrees of freedom of the Student-t kernel.

    Returns:
        (n, n_embedding) float64 array. Training moves a row in the opposite direction.

    Raises:
        ValueError: z or the centroids are not 2-D, or they differ in width.

    Example:
        >>> import numpy as np
        >>> from deckeras.target import embedding_gradient
        >>> embedding_gradient(np.array([[0.2], [0.8]]), np.array([[0.0], [1.0]])).round(3)
        array([[ 0.138],
               [-0.138]])

    Source: Xie, Girshick and Farhadi, ICML 2016, equation 4.
    """
    z, centroids = np.asarray(z, np.float64), np.asarray(centroids, np.float64)
    if z.ndim != 2 or centroids.ndim != 2 or z.shape[1] != centroids.shape[1]:
        raise ValueError(
            "z and centroids should be of shapes (n, n_embedding) and (n_clusters, n_embedding). "
            f"Received: shapes {z.shape} and {centroids.shape}"
        )
    distances = cdist(z, centroids, "sqeuclidean") / alpha
    q = softmax(-(alpha + 1) / 2 * np.log1p(distances), axis=1)
    pulls = ((target_distribution(q) if p is None else p) - q) / (1 + distances)
    return (alpha + 1) / alpha * (pulls.sum(axis=1, keepdims=True) * z - pulls @ centroids)
