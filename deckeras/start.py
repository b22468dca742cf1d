"""The embedded rows that a first clusterer sees, and their weights, gathered from all processes."""

import numpy as np

from deckeras import distribution
from deckeras.initialization import start_rows


def gathered(z, n_clusters, seed, sample_weight=None):
    """Return the rows that the first clusterer sees, with their weights.

    Args:
        z: (n, n_embedding) array, this process's rows.
        n_clusters, seed: as for `deckeras.initialization.start_rows`.
        sample_weight: (n,) array, default None: 1 each.

    Returns:
        (rows, weights): (n_rows, n_embedding) array of z's dtype, and (n_rows,) float64 array or None.
    """
    weighted = z if sample_weight is None else np.column_stack([z, sample_weight])
    own = start_rows(weighted, n_clusters, distribution.total(len(z)), seed)
    rows = np.concatenate(distribution.gather(own))
    if sample_weight is None:
        return rows, None
    return rows[:, :-1].astype(z.dtype), rows[:, -1]
