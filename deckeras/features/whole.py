"""A network and a clustering of its features as one model, and the training of both together."""

from typing import Any

import keras

from deckeras import recipes
from deckeras._train.loop import History
from deckeras._typing import Callbacks, Verbose
from deckeras.features.computing import as_pictures
from deckeras.models.dec import DEC

_RATE = 1e-4  # of SGD, a hundredth of the usual: the weights were learned from far more pictures
_UPDATES = 4
_BATCH = 32


def whole(network: keras.Model, model: DEC) -> DEC:
    """Return a network and a clustering of its features as one model, which shares the layers of both.

    Args:
        network: `keras.Model`, as `deckeras.features.network` or `deckeras.features.texts.encoder` returns it.
        model: `deckeras.DEC` or `deckeras.IDEC` of its features; a decoder is left out.

    Returns:
        `deckeras.DEC` from pictures, or tokens, to soft assignments, not compiled.

    Example:
        >>> import deckeras, keras
        >>> from deckeras import features
        >>> core = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
        >>> network = features.network(core)
        >>> encoder, _ = deckeras.dense_autoencoder(192, (16, 4))
        >>> model = features.whole(network, deckeras.DEC(encoder, 5))
        >>> model.input_shape, model.output_shape
        ((None, 8, 8, 3), (None, 5))
    """
    inputs = keras.Input(network.input_shape[1:], name=network.inputs[0].name)
    encoder = keras.Model(inputs, model.encoder(network(inputs)), name="encoder")
    found = DEC(encoder, model.n_clusters, model.alpha, dtype=model.clustering.dtype_policy)
    found.centroids = model.centroids
    return found


def check_thaw(x: Any, network: Any, train_features: bool) -> Any:
    """Return the pictures that a network is to be trained on; None where it is not to be trained.

    Args:
        x: pictures, or their features.
        network: as `features` of the estimator, or None.
        train_features: bool.

    Raises:
        ValueError: another value, or there is no network, or x holds features, which leave nothing to train.
    """
    if train_features not in (False, True):
        raise ValueError(f"train_features should be True or False. Received: {train_features!r}")
    if not train_features:
        return None
    pictures = None if network is None else as_pictures(x)
    if pictures is None:
        what = "no network: pass features= to the estimator" if network is None else "features: pass the pictures"
        raise ValueError(f"train_features needs a network and its pictures. Received: {what}")
    return pictures


def thaw(
    model: DEC,
    x: Any,
    *,
    recipe: str | recipes.Recipe = "features",
    seed: int | None = 0,
    callbacks: Callbacks = None,
    verbose: Verbose = "auto",
    **options: Any,
) -> History:
    """Train a whole model together with its network, from the clusters that it has.

    Batch normalization remains frozen, with the mean and variance of its pretraining.

    Args:
        model: `deckeras.DEC`, as `whole` returns it.
        x: n pictures, from any source that `DEC.fit` takes.
        recipe, seed, callbacks, verbose, **options: as for `DEC.fit`. Four updates of the target at most, and a
            learning rate of a hundredth of the recipe's, unless `options` say otherwise.

    Returns:
        `keras.callbacks.History`, as `DEC.fit` returns it. A decoder of the features remains unchanged.

    Raises:
        ValueError: the model has no network.
    """
    network = next((layer for layer in model.encoder.layers if layer.name == "features"), None)
    if network is None:
        raise ValueError("model should hold a network of features, as features.whole returns it. Received: none")
    network.trainable = True
    for layer in network._flatten_layers():
        # Else it would take the mean and variance of each batch, instead of those of the pretraining.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    recipe = recipes.get(recipe, learning_rate=_RATE, updates=_UPDATES, batch_size=_BATCH)
    return model.fit(x, recipe=recipe, seed=seed, callbacks=callbacks, verbose=verbose, **options)
