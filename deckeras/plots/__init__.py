"""Figures for papers and notebooks, and the projections that they draw."""

from deckeras.plots.figures import (
    COLOURS,
    animation,
    confusion_matrix,
    embedding,
    gradients,
    moments,
    number_of_clusters,
    sensitivity,
    top_images,
    training_curves,
)

__all__ = [
    "COLOURS",
    "animation",
    "confusion_matrix",
    "embedding",
    "gradients",
    "moments",
    "number_of_clusters",
    "sensitivity",
    "top_images",
    "training_curves",
]
