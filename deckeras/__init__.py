"""Deep Embedded Clustering (Xie, Girshick and Farhadi, ICML 2016) for Keras 3."""

import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deckeras import (
        baseline,
        datasets,
        distribution,
        features,
        files,
        initialization,
        metrics,
        plots,
        recipes,
        report,
        runs,
        scaling,
        selection,
        sources,
        verdict,
    )
    from deckeras.augmentation import image_augmentation
    from deckeras.autoencoders import convolutional_autoencoder, dense_autoencoder, series_autoencoder
    from deckeras.estimator import DeepEmbeddedClustering
    from deckeras.files import containers
    from deckeras.initialization import (
        consensus,
        kmeans_centroids,
        manifold,
        mixture_assignments,
        ward_centroids,
    )
    from deckeras.layers import ClusteringLayer
    from deckeras.models.dec import DEC
    from deckeras.models.dec_keras_weights import load_dec_keras_weights
    from deckeras.models.idec import IDEC
    from deckeras.plots import projection
    from deckeras.pretraining import pretrain, pretrain_autoencoder, pretrain_layerwise, refit_decoder
    from deckeras.recipes import default_update_interval
    from deckeras.report import descriptions
    from deckeras.target import cluster_frequencies, target_distribution

__all__ = [
    "DEC",
    "IDEC",
    "ClusteringLayer",
    "DeepEmbeddedClustering",
    "baseline",
    "cluster_frequencies",
    "consensus",
    "containers",
    "convolutional_autoencoder",
    "datasets",
    "default_update_interval",
    "dense_autoencoder",
    "descriptions",
    "distribution",
    "features",
    "files",
    "image_augmentation",
    "initialization",
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
    "target_distribution",
    "verdict",
    "ward_centroids",
]

# The modules of the names that are not modules themselves. Each module is imported when one of its names is first used.
_MODULES = {
    "DEC": "models.dec",
    "IDEC": "models.idec",
    "ClusteringLayer": "layers",
    "DeepEmbeddedClustering": "estimator",
    "cluster_frequencies": "target",
    "consensus": "initialization",
    "containers": "files",
    "convolutional_autoencoder": "autoencoders",
    "default_update_interval": "recipes",
    "dense_autoencoder": "autoencoders",
    "descriptions": "report",
    "image_augmentation": "augmentation",
    "kmeans_centroids": "initialization",
    "load_dec_keras_weights": "models.dec_keras_weights",
    "manifold": "initialization",
    "mixture_assignments": "initialization",
    "pretrain": "pretraining",
    "pretrain_autoencoder": "pretraining",
    "pretrain_layerwise": "pretraining",
    "projection": "plots",
    "refit_decoder": "pretraining",
    "series_autoencoder": "autoencoders",
    "target_distribution": "target",
    "ward_centroids": "initialization",
}


def __dir__():
    return sorted({*globals(), *__all__, "__version__"})


def __getattr__(name):
    if name == "__version__":
        from importlib import metadata

        return metadata.version("deckeras")
    if name not in __all__:
        raise AttributeError(f"module 'deckeras' has no attribute {name!r}")
    if name not in _MODULES:
        return importlib.import_module(f"deckeras.{name}")
    module = importlib.import_module(f"deckeras.{_MODULES[name]}")
    # The name may be that of a submodule that nothing has imported yet.
    value = getattr(module, name, None) or importlib.import_module(f"{module.__name__}.{name}")
    globals()[name] = value
    return value


def _is_command():
    """Return whether this process runs the command `deckeras`, as a script or by `python -m deckeras`."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":
        # Python is still looking for the module. The program's own arguments come last among the interpreter's.
        return sys.orig_argv[-len(sys.argv)] in ("deckeras", "-mdeckeras")
    return os.path.splitext(os.path.basename(program))[0] == "deckeras"


def _register_classes():
    """Import the classes of saved models, so that Keras can load them, and register the module names of old pickles."""
    for module in ("models.dec", "models.idec", "models.dec_keras_weights", "pretraining", "features.applications"):
        importlib.import_module(f"deckeras.{module}")
    # Pickles contain the module names of their classes. Earlier versions used other names.
    for old, new in {"model": "models.dec", "idec": "models.idec", "clustering": "layers"}.items():
        sys.modules[f"deckeras.{old}"] = sys.modules[f"deckeras.{new}"]


# After `import deckeras`, `keras.models.load_model` loads a saved model. Importing Keras takes seconds, so the command
# responds before it does so, and imports the classes itself when it loads a model.
if not _is_command():
    _register_classes()
