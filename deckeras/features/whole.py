"""A network and a clustering of its features as one model, and the training of both together."""

import warnings
from collections.abc import Callable
from typing import Any

import keras

from deckeras import recipes
from deckeras._data import checks
from deckeras._train.loop import History
from deckeras._typing import Callbacks, Verbose
from deckeras.features.computing import as_inputs
from deckeras.features.networks import NAME, copied
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
    """Return the pictures or tokens that a network is to be trained on; None where it is not to be trained.

    Args:
        x: pictures, tokens, or their features.
        network: as `features` of the estimator, or None.
        train_features: bool.

    Raises:
        ValueError: another value, or there is no network, or x holds features, which leave nothing to train.
    """
    if train_features not in (False, True):
        raise ValueError(f"train_features should be True or False. Received: {train_features!r}")
    if not train_features:
        return None
    inputs = None if network is None else as_inputs(x, network)
    if inputs is None:
        what = "no network: pass features= to the estimator" if network is None else "features: pass its inputs"
        raise ValueError(f"train_features needs a network, and pictures or tokens. Received: {what}")
    return inputs


def thaw(
    model: DEC,
    x: Any,
    *,
    recipe: str | recipes.Recipe = "features",
    lora_rank: int | None = None,
    seed: int | None = 0,
    callbacks: Callbacks = None,
    verbose: Verbose = "auto",
    **options: Any,
) -> History:
    """Train a whole model together with its network, from the clusters that it has.

    Batch normalization remains frozen, with the mean and variance of its pretraining.

    Args:
        model: `deckeras.DEC`, as `whole` returns it.
        x: n pictures, or tokens, from any source that `DEC.fit` takes.
        lora_rank: int, default None: all weights of the network are trained. Else only low-rank changes of the kernels
            of its dense layers, of this rank (LoRA, Hu et al., 2022), as transformers have them. They are added to
            the kernels in the end, and the network remains frozen.
        recipe: str or `deckeras.recipes.Recipe`. A name, default "features", stands for that recipe with batches of 32
            rows, at most four updates of the target, and SGD at a rate of 1e-4, a hundredth of the usual.
        seed, callbacks, verbose, **options: as for `DEC.fit`.

    Returns:
        `keras.callbacks.History`, as `DEC.fit` returns it. A decoder of the features remains unchanged.

    Raises:
        ValueError: the model has no network, or with `lora_rank`, the network has no dense layers.
    """
    trained, take_over = (model, None) if lora_rank is None else _with_low_rank(model, lora_rank)
    if lora_rank is None:
        _unfreeze(_network(model))
    if isinstance(recipe, str):
        recipe = recipes.get(recipe, learning_rate=_RATE, updates=_UPDATES, batch_size=_BATCH)
    with warnings.catch_warnings():
        # A network may have layers that its features do not use, such as the pooling of BERT.
        warnings.filterwarnings("ignore", "Gradients do not exist for variables")
        history = trained.fit(x, recipe=recipe, seed=seed, callbacks=callbacks, verbose=verbose, **options)
    if take_over is not None:
        take_over()
    return history


def _network(model: DEC) -> keras.Model:
    network = next((layer for layer in model.encoder.layers if layer.name == NAME), None)
    if network is None:
        raise ValueError("model should hold a network of features, as features.whole returns it. Received: none")
    return network


def _layers(network: keras.Model) -> list[Any]:
    """Return a network and all its layers, those of layers included."""
    return list(network._flatten_layers())


def _unfreeze(network: keras.Model) -> None:
    # Each by itself: a Sequential that was read from a file does not pass it on to its layers.
    for layer in _layers(network):
        # Batch normalization would take the mean and variance of each batch, instead of those of the pretraining.
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)


def _with_low_rank(model: DEC, rank: int) -> tuple[DEC, Callable[[], None]]:
    """Return a copy of a whole model, of whose network only low-rank changes of dense layers can be trained.

    It is a copy because Keras has no way back, and cannot load the optimizer of a file where layers that are made of
    layers have such changes.

    Returns:
        (copy, function that sets the weights of the model to those of the copy, the changes added to the kernels).
    """
    checks.check_count("lora_rank", rank)
    found = copied(model)
    found.centroids = model.centroids
    pairs = list(zip(model.weights, found.weights, strict=True))
    network = _network(found)
    kinds = (keras.layers.Dense, keras.layers.EinsumDense)
    dense = {id(layer.kernel): layer for layer in _layers(network) if isinstance(layer, kinds)}
    if not dense:
        raise ValueError(f"lora_rank needs a network with dense layers. Received: lora_rank={rank} and one without")
    _unfreeze(network)
    for weight in network.weights:
        weight.trainable = False
    for layer in dense.values():
        layer.enable_lora(rank)

    def take_over():
        for own, weight in pairs:
            own.assign(dense[id(weight)].kernel if id(weight) in dense else weight)

    return found, take_over
