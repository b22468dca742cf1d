"""First centroids, from embedded rows."""

import numpy as np


def kmeans_centroids(z, n_clusters, *, n_init=20, seed=0):
    """Centroids of k-means on the embedded rows.

    Args:
        z: (n, n_features) float array, the embedding.
        n_clusters: int, at most n.
        n_init: int, default 20 as in the paper. Restarts, of which the one with the least inertia is kept.
        seed: int, default 0; None draws a fresh start each time.

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
    from sklearn.cluster import KMeans  # slow to import, and needed only where training starts

    if not np.isfinite(z).all():
        raise ValueError(
            "The embedding should hold finite numbers only. Received: NaN or infinity in it. "
            "The encoder's weights have diverged: pretrain it again with a lower learning rate."
        )
    return KMeans(n_clusters, n_init=n_init, random_state=seed).fit(z).cluster_centers_
