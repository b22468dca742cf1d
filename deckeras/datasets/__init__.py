"""Load data sets: those of the DEC papers, small ones from scikit-learn, and generated ones."""

from deckeras.datasets.loading import IMAGE_SHAPES, NAMES, imbalanced, load

__all__ = ["IMAGE_SHAPES", "NAMES", "imbalanced", "load"]
