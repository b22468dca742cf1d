"""Features in place of pictures, for an estimator that has a network."""

from typing import Any

from deckeras.features.computing import as_pictures, check_width, compute, progress_bar
from deckeras.features.networks import network


def extracted(estimator: Any, X: Any, *, fitting: bool = False, own_network: bool = False) -> Any:
    """Return the features of pictures; X itself where there is no network, or where it holds features already.

    Args:
        estimator: `deckeras.DeepEmbeddedClustering`.
        X: pictures or rows.
        fitting: Whether to build `network_` of the estimator, and to keep the features in its directory.
        own_network: Whether to copy the network, which is to be trained.
    """
    # A fitted estimator uses the network that it was fitted with, whatever its parameters have become.
    if fitting:
        estimator.network_ = None
    if (estimator.features if fitting else estimator.network_) is None:
        return X
    pictures = as_pictures(X)
    if fitting:
        shape = None if pictures is None else pictures.shape[1:]
        estimator.network_ = network(estimator.features, image_shape=shape, copy=own_network)
    if pictures is None:
        check_width(X, estimator.network_)
        return X
    folder = estimator.checkpoint_dir if fitting else None
    report = progress_bar() if fitting and estimator.verbose else None
    return compute(estimator.network_, pictures, folder=folder, report=report)
