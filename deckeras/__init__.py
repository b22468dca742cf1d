"""Deep Embedded Clustering (Xie, Girshick and Farhadi, ICML 2016) for Keras 3."""

import importlib
import importlib.metadata

from deckeras import distribution, recipes, sources
from deckeras.augmentation import image_augmentation
from deckeras.autoencoder import convolutional_autoencoder, dense_autoencoder
from deckeras.clustering import ClusteringLayer
from deckeras.dec_keras import load_dec_keras_weights
from deckeras.idec import IDEC
from deckeras.initialization import kmeans_centroids, mixture_assignments, ward_centroids
from deckeras.model import DEC
from deckeras.pretrain import pretrain, pretrain_autoencoder, pretrain_layerwise, refit_decoder
from deckeras.recipes import default_update_interval
from deckeras.series import series_autoencoder
from deckeras.target import cluster_frequencies, target_distribution

__all__ = [
    "DEC",
    "IDEC",
    "ClusteringLayer",
    "DeepEmbeddedClustering",
    "baseline",
    "cells",
    "cluster_frequencies",
    "consensus",
    "containers",
    "convolutional_autoencoder",
    "datasets",
    "default_update_interval",
    "dense_autoencoder",
    "descriptions",
    "distribution",
    "experiments",
    "files",
    "image_augmentation",
    "kmeans_centroids",
    "load_dec_keras_weights",
    "manifold",
    "metrics",
    "mixture_assignments",
    "plots",
    "pretrain",
    "pretrain_autoencoder",
    "pretrain_layerwise",
    "projection",
    "recipes",
    "refit_decoder",
    "report",
    "runs",
    "scaling",
    "selection",
    "series_autoencoder",
    "sources",
    "spectral",
    "target_distribution",
    "verdict",
    "ward_centroids",
]

_LAZY = (
    "baseline",
    "cells",
    "containers",
    "datasets",
    "descriptions",
    "experiments",
    "files",
    "metrics",
    "plots",
    "projection",
    "report",
    "runs",
    "scaling",
    "selection",
    "spectral",
)  # loading needs none of them


# The function has the name of its module, and takes its place as `deckeras.pretrain`.
pretrain.refit_decoder = refit_decoder


def __dir__():
    return sorted({*globals(), *__all__, "__version__"})


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"deckeras.{name}")
    if name == "DeepEmbeddedClustering":
        return importlib.import_module("deckeras.estimator").DeepEmbeddedClustering
    if name == "__version__":
        return importlib.metadata.version("deckeras")
    raise AttributeError(f"module 'deckeras' has no attribute {name!r}")
