"""Data sets: those of the DEC papers, small ones that come with scikit-learn, and computed ones."""

from deckeras.datasets.loading import IMAGE_SHAPES, NAMES, imbalanced, load

__all__ = ["IMAGE_SHAPES", "NAMES", "imbalanced", "load"]
