"""Deep Embedded Clustering (Xie, Girshick and Farhadi, ICML 2016) for Keras 3."""

import importlib
import importlib.metadata
import sys

from deckeras import distribution, initialization, recipes, sources
from deckeras.augmentation import image_augmentation
from deckeras.autoencoders import convolutional_autoencoder, dense_autoencoder, series_autoencoder
from deckeras.initialization import kmeans_centroids, mixture_assignments, ward_centroids
from deckeras.layers import ClusteringLayer
from deckeras.models.dec import DEC
from deckeras.models.dec_keras_weights import load_dec_keras_weights
from deckeras.models.idec import IDEC
from deckeras.pretraining import pretrain, pretrain_autoencoder, pretrain_layerwise, refit_decoder
from deckeras.recipes import default_update_interval
from deckeras.target import cluster_frequencies, target_distribution

__all__ = [
    "DEC",
    "IDEC",
    "ClusteringLayer",
    "DeepEmbeddedClustering",
    "baseline",
    "cluster_frequencies",
    "containers",
    "convolutional_autoencoder",
    "datasets",
    "default_update_interval",
    "dense_autoencoder",
    "descriptions",
    "distribution",
    "files",
    "image_augmentation",
    "initialization",
    "kmeans_centroids",
    "load_dec_keras_weights",
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
    "target_distribution",
    "verdict",
    "ward_centroids",
]

# What loading a model does not need is imported when it is asked for.
_LAZY = {
    "DeepEmbeddedClustering": "deckeras.estimator",
    "baseline": "deckeras.baseline",
    "containers": "deckeras.files.containers",
    "datasets": "deckeras.datasets",
    "descriptions": "deckeras.report.descriptions",
    "files": "deckeras.files",
    "metrics": "deckeras.metrics",
    "plots": "deckeras.plots",
    "projection": "deckeras.plots.projection",
    "report": "deckeras.report",
    "runs": "deckeras.runs",
    "scaling": "deckeras.scaling",
    "selection": "deckeras.selection",
    "verdict": "deckeras.verdict",
}

# Pickles name the modules of their classes, and those of earlier versions had other names.
for _old, _new in {"model": "models.dec", "idec": "models.idec", "clustering": "layers"}.items():
    sys.modules[f"deckeras.{_old}"] = sys.modules[f"deckeras.{_new}"]


def __dir__():
    return sorted({*globals(), *__all__, "__version__"})


def __getattr__(name):
    if name in _LAZY:
        module = importlib.import_module(_LAZY[name])
        return getattr(module, name, module) if name[0].isupper() else module
    if name == "__version__":
        return importlib.metadata.version("deckeras")
    raise AttributeError(f"module 'deckeras' has no attribute {name!r}")
