"""Replace pictures or texts by their features, for an estimator that has a network."""

from typing import Any

from deckeras.features.computing import as_inputs, check_width, compute, progress_bar
from deckeras.features.networks import network, reads_tokens


def extracted(estimator: Any, X: Any, *, fitting: bool = False, own_network: bool = False) -> Any:
    """Return the features of pictures or tokens; X itself if there is no network, or if X already holds features.

    Args:
        estimator: `deckeras.DeepEmbeddedClustering`.
        X: pictures, tokens or rows.
        fitting: Whether to build `network_` of the estimator, and to save the features in its directory.
        own_network: Whether to copy the network, because it is going to be trained.
    """
    # A fitted estimator uses the network that it was fitted with, even if its parameters were changed later.
    if fitting:
        estimator.network_ = None
    source = estimator.features if fitting else estimator.network_
    if source is None:
        return X
    inputs = as_inputs(X, source)
    if fitting:
        shape = None if inputs is None else inputs.shape[1:]
        estimator.network_ = network(source, image_shape=shape, copy=own_network)
    if inputs is None:
        check_width(X, estimator.network_)
        return X
    folder = estimator.checkpoint_dir if fitting else None
    rows = "texts" if reads_tokens(estimator.network_) else "pictures"
    report = progress_bar(rows=rows) if fitting and estimator.verbose else None
    return compute(estimator.network_, inputs, folder=folder, report=report)
