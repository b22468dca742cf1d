"""Join a network and a clustering of its features in one model, and train both together."""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from deckeras import recipes
from deckeras._data import checks
from deckeras._train import specs
from deckeras._train.interrupts import DeferredInterrupt
from deckeras._train.loop import History
from deckeras._typing import Callbacks, Verbose
from deckeras.features.computing import as_inputs
from deckeras.features.networks import NAME, copied
from deckeras.models.dec import DEC

_RATE = 1e-4  # for SGD, a hundredth of the usual rate: the weights were learned from far more pictures
_UPDATES = 4
_BATCH = 32


def whole(network: keras.Model, model: DEC) -> DEC:
    """Return a network and a clustering of its features as one model that shares their layers.

    Args:
        network: `keras.Model`, as `deckeras.features.network` or `deckeras.features.texts.encoder` returns it.
        model: `deckeras.DEC` or `deckeras.IDEC` for its features; the decoder of an IDEC is left out.

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
    if model.placed:
        found.centroids = model.centroids
    return found


def check_thaw(x: Any, network: Any, train_features: bool, lora_rank: int | None) -> Any:
    """Return the pictures or tokens to train a network on, or None if it is not trained.

    Args:
        x: pictures, tokens, or their features.
        network: as `features` of the estimator, or None.
        train_features, lora_rank: as for `fit` of the estimator.

    Raises:
        ValueError: an invalid value; or there is no network; or x holds features, so there is nothing to train.
    """
    if train_features not in (False, True):
        raise ValueError(f"train_features should be True or False. Received: {train_features!r}")
    if lora_rank is not None:
        checks.check_count("lora_rank", lora_rank)
    if not train_features:
        if lora_rank is not None:
            raise ValueError(
                f"lora_rank needs train_features=True. Received: lora_rank={lora_rank}, train_features=False"
            )
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
    """Train a whole model including its network, starting from its current clusters.

    Batch normalization remains frozen, with the mean and variance of its pretraining.

    Args:
        model: `deckeras.DEC`, as `whole` returns it.
        x: n pictures or rows of tokens, from any source that `DEC.fit` takes.
        recipe: str or `deckeras.recipes.Recipe`. A name, default "features", stands for that recipe with batches of 32
            rows, at most four updates of the target, and SGD with a learning rate of 1e-4, a hundredth of the usual.
        lora_rank: int, default None: all weights of the network are trained. With an int, only low-rank changes, of
            this rank, to the kernels of its dense layers are trained (LoRA, Hu et al., 2022); transformers have such
            layers. A copy of the model is trained, and callbacks see the copy. At the end, or after an interrupt, the
            changes are added to the kernels of the model, whose network remains frozen.
        seed, callbacks, verbose, **options: as for `DEC.fit`, but `checkpoint_every` is 1 by default, because there are
            few updates and each takes long.

    Returns:
        `keras.callbacks.History`, as `DEC.fit` returns it. A decoder of the features remains unchanged.

    Raises:
        ValueError: the model has no network; or, with `lora_rank`, the network has no dense layers, or has one that
            does not allow such changes, for example because of a constraint.
    """
    if isinstance(recipe, str):
        recipe = recipes.get(recipe, learning_rate=_RATE, updates=_UPDATES, batch_size=_BATCH)
    network = _network(model)
    if lora_rank is not None:
        checks.check_count("lora_rank", lora_rank)
        trained, take_over = _with_low_rank(model, lora_rank, seed)
    else:
        trained, take_over = model, None
    restore = specs.trainability([network])
    if take_over is None:
        _unfreeze(network)
    with warnings.catch_warnings():
        # A network may have layers that its features do not use, such as the pooling of BERT.
        warnings.filterwarnings("ignore", "Gradients do not exist for variables")
        try:
            common = {"recipe": recipe, "seed": seed, "callbacks": callbacks, "verbose": verbose}
            return trained.fit(x, **common, **{"checkpoint_every": 1, **options})
        except BaseException:
            restore()  # A later training would train the network unasked.
            raise
        finally:
            if take_over is not None:  # also after an interrupt, so that the training is not lost
                with DeferredInterrupt():
                    take_over()


def _network(model: DEC) -> keras.Model:
    network = next((layer for layer in model.encoder.layers if layer.name == NAME), None)
    if network is None:
        raise ValueError("model should hold a network of features, as features.whole returns it. Received: none")
    return network


def _unfreeze(network: keras.Model) -> None:
    # Set each layer by itself: a Sequential that was read from a file does not pass the setting to its layers.
    for layer in network._flatten_layers():
        # Batch normalization would use the mean and variance of each batch instead of those of its pretraining.
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)


def _with_low_rank(model: DEC, rank: int, seed: int | None) -> tuple[DEC, Callable[[], None]]:
    """Return a copy of a whole model in which only low-rank changes to dense layers of the network are trained.

    It is a copy because Keras cannot undo such changes, and cannot load a saved optimizer if layers that consist of
    other layers have them.

    Returns:
        (copy, function that sets the weights of the model to those of the copy, with the changes added to the kernels).
    """
    found = copied(model)
    pairs = list(zip(model.weights, found.weights, strict=True))
    network = _network(found)
    kinds = (keras.layers.Dense, keras.layers.EinsumDense)
    dense = {id(layer.kernel): layer for layer in network._flatten_layers() if isinstance(layer, kinds)}
    if not dense:
        raise ValueError(f"lora_rank needs a network with dense layers. Received: lora_rank={rank} and one without")
    _unfreeze(network)
    for weight in network.weights:
        weight.trainable = False
    seeds = np.random.SeedSequence(seed).generate_state(len(dense)).tolist()
    for layer, number in zip(dense.values(), seeds, strict=True):
        try:
            layer.enable_lora(rank, a_initializer=keras.initializers.HeUniform(number))
        except ValueError as error:
            raise ValueError(f"The layer {layer.name!r} of the network takes no low-rank changes: {error}") from error

    def take_over():
        for own, weight in pairs:
            own.assign(weight.value + _change(dense[id(weight)]) if id(weight) in dense else weight.value)

    return found, take_over


def _change(layer: Any) -> Any:
    """Return the low-rank change of a kernel, in its own precision and not in that of the dtype policy."""
    scale = getattr(layer, "lora_alpha", layer.lora_rank) / layer.lora_rank
    return scale * keras.ops.matmul(layer.lora_kernel_a.value, layer.lora_kernel_b.value)
