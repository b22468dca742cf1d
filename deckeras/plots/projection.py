"""Layouts of embedded rows in the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from deckeras._typing import Array

_MAX_SINGLE_THREAD = 5000  # with this many rows or fewer, several threads gain little


def plane(z: npt.ArrayLike, method: str = "tsne", *, seed: int | None = 0, max_iter: int = 1000) -> Array:
    """Lay out embedded rows in the plane.

    Args:
        z: (n, n_embedding) array.
        method: `"tsne"` (default), which keeps neighbors together, or `"pca"`, which is linear and fast. An embedding
            of at most two features is returned unchanged, and rows that are all alike are at the origin.
        seed: int, default 0.
        max_iter: int, default 1,000 as in `sklearn.manifold.TSNE`. The maximum number of iterations of
            t-SNE; small data sets need fewer.

    Returns:
        (n, 2) float array.

    Raises:
        ValueError: an unknown method.

    Example:
        >>> import numpy as np
        >>> from deckeras.plots import projection
        >>> projection.plane(np.random.default_rng(0).normal(size=(50, 10)), "pca").shape
        (50, 2)
    """
    if method not in ("tsne", "pca"):
        raise ValueError(f"method should be 'tsne' or 'pca'. Received: method={method!r}")
    z = np.asarray(z)
    if z.shape[1] <= 2:
        return np.pad(z, ((0, 0), (0, 2 - z.shape[1])))
    if _alike(z):
        return np.zeros((len(z), 2))
    if method == "tsne":
        return _tsne(z, seed, max_iter=max_iter)
    from sklearn.decomposition import PCA

    return PCA(2, random_state=seed).fit_transform(z)


def common_layout(embeddings: npt.ArrayLike, *, seed: int | None = 0) -> Array:
    """Lay out the same rows at several moments of a training in the plane, in similar places at all moments.

    The last moment is laid out by t-SNE. Each earlier one starts from the layout of the next, so that a row moves only
    as far as its neighbors have changed.

    Args:
        embeddings: (n_moments, n, n_embedding) array.
        seed: int, default 0. Seeds t-SNE.

    Returns:
        (n_moments, n, 2) float array. Each layout has mean 0 and standard deviation 1, or is 0 if all rows are alike.

    Example:
        >>> import numpy as np
        >>> from deckeras.plots import projection
        >>> projection.common_layout(np.random.default_rng(0).normal(size=(3, 50, 10))).shape
        (3, 50, 2)

    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008, by `sklearn.manifold.TSNE`.
    """
    layouts, init = [], "pca"
    for z in np.asarray(embeddings)[::-1]:
        points = np.zeros((len(z), 2)) if _alike(z) else _tsne(z, seed, init)
        points -= points.mean(axis=0)
        points /= points.std() or 1
        layouts.append(points)
        # t-SNE unfolds best from a small layout, and the rows still keep their places.
        init = (1e-2 * points).astype("float32") if points.any() else "pca"
    return np.stack(layouts[::-1])


def _alike(z: Array) -> bool:
    """Return whether all rows are equal, as after a collapse. scikit-learn's t-SNE ends the process upon such rows."""
    return bool((z == z[:1]).all())


def _tsne(z: Array, seed: int | None, init: Any = "pca", max_iter: int = 1000) -> Array:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30, (len(z) - 1) / 3)
    # The threads of an iteration wait for each other. On a busy machine this takes ten times as long.
    with threadpool_limits(1 if len(z) <= _MAX_SINGLE_THREAD else None):
        return TSNE(perplexity=perplexity, random_state=seed, init=init, max_iter=max_iter).fit_transform(z)
