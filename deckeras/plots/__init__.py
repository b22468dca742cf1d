"""Figures for papers and notebooks, and the projections that they draw."""

from deckeras.plots.drawing import COLORS
from deckeras.plots.evaluations import gradients, number_of_clusters, sensitivity
from deckeras.plots.figures import animation, confusion_matrix, embedding, moments, top_images, training_curves

COLOURS = COLORS  # the name in earlier versions

__all__ = [
    "COLORS",
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
