"""Deep Embedded Clustering (Xie, Girshick and Farhadi, ICML 2016) for Keras 3."""

import importlib
import importlib.metadata

from deckeras.augmentation import image_augmentation
from deckeras.autoencoder import dense_autoencoder
from deckeras.clustering import ClusteringLayer
from deckeras.dec_keras import load_dec_keras_weights
from deckeras.initialization import kmeans_centroids
from deckeras.model import DEC, default_update_interval
from deckeras.pretrain import pretrain_autoencoder, pretrain_layerwise
from deckeras.target import cluster_frequencies, target_distribution

__all__ = [
    "DEC",
    "ClusteringLayer",
    "cluster_frequencies",
    "datasets",
    "default_update_interval",
    "dense_autoencoder",
    "image_augmentation",
    "kmeans_centroids",
    "load_dec_keras_weights",
    "metrics",
    "plots",
    "pretrain_autoencoder",
    "pretrain_layerwise",
    "target_distribution",
]

_LAZY = ("datasets", "metrics", "plots")  # they import scikit-learn and matplotlib, which loading a model needs not


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"deckeras.{name}")
    if name == "__version__":
        return importlib.metadata.version("deckeras")
    raise AttributeError(f"module 'deckeras' has no attribute {name!r}")
