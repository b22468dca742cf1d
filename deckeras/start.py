"""The first clusters of a model, from the embedded rows of all processes."""

import numpy as np

from deckeras import distribution, initialization
from deckeras.autoencoder import embedding_spread, scale_embedding


def first_clusters(model, z, recipe, seed, sample_weight=None):
    """Scale the embedding as the recipe says, and find its first clusters.

    Args:
        model: `deckeras.DEC`, whose last layer of the encoder is scaled unless it is frozen.
        z: (n, n_embedding) array, the embedding of this process's rows; scaled in place.
        recipe: `deckeras.recipes.Recipe`.
        seed: as for `DEC.fit`.
        sample_weight: (n,) array, default None: 1 each.

    Returns:
        (centroids, assignments), as `deckeras.initialization.first_clusters` gives them for z.
    """
    rows, weights = _gathered(z, model.n_clusters, seed, sample_weight)
    if recipe.embedding_scale is not None:
        factor = recipe.embedding_scale / embedding_spread(rows)
        if scale_embedding(factor, model.encoder, model.decoder):
            z *= factor
            rows *= factor
    options = {"n_init": recipe.n_init, "seed": seed, "z": z, "sample_weight": weights}
    return initialization.first_clusters(rows, model.n_clusters, recipe.init, **options)


def _gathered(z, n_clusters, seed, sample_weight):
    """(rows, weights): what the first clusterer sees of the rows of all processes, and their weights or None."""
    weighted = z if sample_weight is None else np.column_stack([z, sample_weight])
    own = initialization.start_rows(weighted, n_clusters, distribution.total(len(z)), seed)
    rows = np.concatenate(distribution.gather(own))
    if sample_weight is None:
        return rows, None
    return rows[:, :-1].astype(z.dtype), rows[:, -1]
