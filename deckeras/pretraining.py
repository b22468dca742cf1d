"""Pretraining of an autoencoder: end to end, or greedily layer by layer as in the paper."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Never

import keras
import numpy as np

from deckeras import distribution, recipes
from deckeras._data import checks, seeding
from deckeras._train import keras_callbacks, reconstruction, refusals
from deckeras._train.centering import centered
from deckeras._train.directories import holding_directory, prepare_directory
from deckeras._train.layer_pairs import check_loss, mirrored_layers, pair_autoencoder
from deckeras._train.loop import History
from deckeras._typing import Augment, Callbacks, Loss, Optimizer, Path, Rows, Verbose
from deckeras.augmentation import Augmenter
from deckeras.autoencoders.embedding import check_decoder, check_encoder
from deckeras.recipes import Recipe


def pretrain(
    encoder: keras.Model,
    decoder: keras.Model,
    x: Rows,
    recipe: str | Recipe = "table",
    *,
    dropout: float | None = None,
    seed: int | None = 0,
    checkpoint_dir: Path | None = None,
    callbacks: Callbacks = None,
    verbose: Verbose = "auto",
    **refused: Never,
) -> list[History]:
    """Pretrain an autoencoder as the recipe specifies: layer by layer, or all layers together.

    Args:
        encoder, decoder: models built by `recipe.autoencoder`, or others that `pretrain_autoencoder` accepts. Trained
            in place.
        x: n rows, from any source that `DEC.fit` takes, scaled so that their values are about 1 (see
            `deckeras.scaling`).
        recipe: `"table"` (default), which suits any numbers, `"images"`, `"series"`, `"features"`, `"paper"`,
            `"dec-keras"`, or another `deckeras.recipes.Recipe`.
        dropout: float in [0, 1), default None: the recipe's. The fraction of input values set to zero. A layer-wise
            recipe applies it only to the pairs of layers.
        seed, checkpoint_dir, callbacks, verbose: as in `pretrain_autoencoder`.

    Returns:
        list of `keras.callbacks.History`, one for each stage. The last stage trains all layers together. The attribute
        `seconds` of each history is the time of its stage.

    Raises:
        TypeError, ValueError, OSError, FloatingPointError: as `pretrain_layerwise` and `pretrain_autoencoder`.

    Example:
        >>> import numpy as np
        >>> from deckeras import dense_autoencoder, pretrain, recipes
        >>> x = np.random.rand(100, 64)
        >>> recipe = recipes.get("images", image_shape=(8, 8), units=(16, 2), min_pretraining_iterations=20, epochs=1)
        >>> encoder, decoder = recipe.autoencoder(x.shape[1:])
        >>> len(pretrain(encoder, decoder, x, recipe, verbose=0))
        1
    """
    refusals.check("pretrain", refused)
    recipe = recipes.get(recipe)
    common = {
        "recipe": recipe,
        "dropout": dropout,
        "seed": seed,
        "checkpoint_dir": checkpoint_dir,
        "callbacks": callbacks,
    }
    if recipe.layerwise:
        return pretrain_layerwise(encoder, decoder, x, verbose=verbose, **common)
    return [pretrain_autoencoder(encoder, decoder, x, verbose=verbose, **common)]


def pretrain_autoencoder(
    encoder: keras.Model,
    decoder: keras.Model,
    x: Rows,
    *,
    recipe: str | Recipe = "table",
    epochs: int | None = None,
    iterations: int | None = None,
    batch_size: int | None = None,
    optimizer: Optimizer | None = None,
    loss: Loss | None = None,
    augment: Augment | None = None,
    dropout: float | None = None,
    seed: int | None = 0,
    checkpoint_dir: Path | None = None,
    callbacks: Callbacks = None,
    verbose: Verbose = "auto",
    **refused: Never,
) -> History:
    """Train encoder and decoder together to reconstruct the rows of x.

    An argument with the default None takes its value from the recipe.

    Args:
        encoder: `keras.Sequential` or other model, (n, ...) -> (n, n_embedding). Trained in place.
        decoder: model that maps the embedding back to the shape of x. Trained in place.
        x: n rows, from any source that `DEC.fit` takes, scaled so that their values are about 1 (see
            `deckeras.scaling`).
        recipe: as for `pretrain`.
        epochs: int. With `"table"`, 20, or more for few rows.
        iterations: int, the number of batches; an alternative to `epochs`.
        batch_size: int. With `"table"`, 256 as in the paper, smaller for few rows. It is at most n.
        optimizer: Keras optimizer or its name; its learning rate may be a schedule. With `"table"`, `adam_with_cosine`.
        loss: Keras loss. With `"table"`, `"mse"`.
        augment: Keras layer or function that changes a batch of rows at random and keeps its shape, such as
            `image_augmentation`. The reconstruction is compared with the augmented row.
        dropout: float in [0, 1). With `"table"`, 0. The fraction of input values set to zero in training (a denoising
            autoencoder). The reconstruction is compared with the complete row.
        seed: int, default 0. Determines the order of the rows and the dropout. None draws a new seed each time.
        checkpoint_dir: directory, default None. The training is saved there in `pretraining.h5`: at the start, at the
            end, and in between as often as possible without spending more than a tenth of the time on saving. An
            interrupted run resumes; a finished run is loaded and not repeated.
        callbacks: Keras callback or list of them. One that sets `stop_training` ends the training after the epoch.
        verbose: 0 silent, 1 progress bars, 2 one line per epoch; default `"auto"`, which is 1.

    Returns:
        `keras.callbacks.History` with the loss of each epoch. Its attribute `seconds` is the time of all epochs.

    Raises:
        TypeError, ValueError: x or an argument is invalid, or the checkpoint belongs to another training.
        OSError: the checkpoint cannot be written or read.
        FloatingPointError: the training diverged.

    Example:
        >>> import numpy as np
        >>> from deckeras import dense_autoencoder, pretrain_autoencoder
        >>> encoder, decoder = dense_autoencoder(8, units=(16, 2))
        >>> history = pretrain_autoencoder(encoder, decoder, np.random.rand(100, 8), epochs=2, verbose=0)
        >>> len(history.history["loss"])
        2
    """
    refusals.check("pretrain_autoencoder", refused)
    check_encoder(encoder)
    check_decoder(encoder, decoder)
    x = checks.check_rows(x, encoder.input_shape[1:])
    recipe = recipes.get(recipe, dropout=dropout, pretraining_loss=loss)
    batch_size, iterations = _batches(recipe, distribution.total(len(x)), batch_size, epochs, iterations)
    # A layer-wise recipe applies its dropout in the pairs.
    if dropout is None:
        dropout = 0.0 if recipe.layerwise else recipe.dropout
    inputs = keras.Input(encoder.input_shape[1:])
    noisy = (
        keras.layers.Dropout(dropout, seed=seeding.layer_seed(distribution.agreed_seed(seed)))(inputs)
        if dropout
        else inputs
    )
    optimizer = recipe.pretraining_optimizer(iterations) if optimizer is None else optimizer
    augment = recipe.augmentation(x.shape[1:], seed, x=x) if augment is None else augment
    with contextlib.ExitStack() as stack:
        own_callbacks = []
        if recipe.centered and not recipe.layerwise:
            encoder, own_callbacks = stack.enter_context(centered(encoder, decoder, x))
        autoencoder = keras.Model(inputs, decoder(encoder(noisy)), name="autoencoder")
        autoencoder.compile(optimizer, recipe.pretraining_loss)
        return reconstruction.fit(
            autoencoder,
            x,
            lambda rows: rows,
            Augmenter(augment, x.shape[1:]),
            iterations=iterations,
            batch_size=batch_size,
            dropout=dropout,
            seed=seed,
            path=_checkpoint_path(checkpoint_dir, "pretraining.h5"),
            callbacks=[own_callbacks, callbacks or []],
            verbose=verbose,
        )


@holding_directory  # The directory is also held between two stages.
def pretrain_layerwise(
    encoder: keras.Model,
    decoder: keras.Model,
    x: Rows,
    *,
    recipe: str | Recipe = "paper",
    iterations: int | None = None,
    finetune_iterations: int | None = None,
    batch_size: int | None = None,
    optimizer: Optimizer | None = None,
    augment: Augment | None = None,
    dropout: float | None = None,
    seed: int | None = 0,
    checkpoint_dir: Path | None = None,
    callbacks: Callbacks = None,
    verbose: Verbose = "auto",
) -> list[History]:
    """Pretrain as in the paper: each pair of layers as a denoising autoencoder, then all layers together.

    Pair i reconstructs the output h of the layers below it by two layers, `decoder_i(encoder_i(h))`, with dropout
    before each of the two, and minimizes the squared error or another loss of the recipe. After all pairs, the whole
    autoencoder is fine-tuned without dropout. An argument with the default None takes its value from the recipe.

    Args:
        encoder: built `keras.Sequential` of `Dense` layers, as from `dense_autoencoder`. Trained in place.
        decoder: mirror image of the encoder, with as many layers in reverse order. Trained in place.
        x: (n, n_features) array. The paper scales it so that the mean of ||x_i||^2 / n_features is about 1.
        recipe: as for `pretrain`, but `"paper"` by default.
        iterations: int, the number of batches for each pair. With `"paper"`, 50,000.
        finetune_iterations: int, the number of batches for the whole autoencoder. With `"paper"`, 100,000.
        batch_size: int. With `"paper"`, 256.
        optimizer: Keras optimizer, used as a template: each stage gets a new copy. With `"paper"`, `sgd_in_steps`.
        dropout: float in [0, 1). With `"paper"`, 0.2.
        augment, seed, callbacks, verbose: as in `pretrain_autoencoder`.
        checkpoint_dir: directory, default None. Each stage is saved there in its own file, from `pretraining-pair0.h5`
            to `pretraining.h5`. Finished stages are loaded; an interrupted stage resumes.

    Returns:
        list of `keras.callbacks.History`, one for each stage; the last is that of the fine-tuning. Their loss is
        `least_squares`.

    Raises:
        TypeError, ValueError: x or an argument is invalid, encoder and decoder do not mirror each other, or the loss of
            the recipe is not one of a difference, as `"mse"` is.
        OSError, FloatingPointError: as `pretrain_autoencoder`.

    Example:
        >>> import numpy as np
        >>> from deckeras import dense_autoencoder, pretrain_layerwise
        >>> encoder, decoder = dense_autoencoder(8, units=(16, 2))
        >>> x = np.random.rand(100, 8)
        >>> stages = pretrain_layerwise(encoder, decoder, x, iterations=5, finetune_iterations=10, verbose=0)
        >>> len(stages)
        3

    Source: Xie, Girshick and Farhadi, ICML 2016, sections 3.3 and 4.3.
    """
    keras_callbacks.check_stages("pretrain_layerwise", callbacks)
    check_encoder(encoder)
    x = checks.check_rows(x, encoder.input_shape[1:])
    finetune_iterations = _count("finetune_iterations", finetune_iterations)
    recipe = recipes.get(recipe, layer_iterations=_count("iterations", iterations), dropout=dropout, layerwise=True)
    check_loss(recipe.pretraining_loss)
    n = distribution.total(len(x))
    batch_size, finetune_iterations = _batches(recipe, n, batch_size, None, finetune_iterations)
    augment = recipe.augmentation(x.shape[1:], seed, x=x) if augment is None else augment
    pairs = mirrored_layers(encoder, decoder)
    pattern = None if optimizer is None else keras.saving.serialize_keras_object(keras.optimizers.get(optimizer))

    def fresh_optimizer(iterations):
        if pattern is None:
            return recipe.pretraining_optimizer(iterations)
        return keras.saving.deserialize_keras_object(pattern)

    seeds = _stage_seeds(seed, len(pairs) + 1)
    histories = []
    for position in range(len(pairs)):
        with reconstruction.frozen(encoder.layers[:position]):
            model = pair_autoencoder(encoder, pairs, position, recipe.dropout, seeds[position])
            model.compile(fresh_optimizer(recipe.layer_iterations), recipe.pretraining_loss)
            history = reconstruction.fit(
                model,
                x,
                lambda rows, width=model.output_shape[-1]: np.zeros((len(rows), width), keras.config.floatx()),
                Augmenter(augment, x.shape[1:]),
                iterations=recipe.layer_iterations,
                batch_size=batch_size,
                dropout=recipe.dropout,
                seed=seeds[position],
                path=_checkpoint_path(checkpoint_dir, f"pretraining-pair{position}.h5"),
                callbacks=callbacks,
                verbose=verbose,
            )
        histories.append(history)
    last = pretrain_autoencoder(
        encoder,
        decoder,
        x,
        recipe=recipe,
        iterations=finetune_iterations,
        batch_size=batch_size,
        optimizer=fresh_optimizer(finetune_iterations),
        augment=augment,
        seed=seeds[-1],
        checkpoint_dir=checkpoint_dir,
        callbacks=callbacks,
        verbose=verbose,
    )
    return [*histories, last]


def refit_decoder(
    encoder: keras.Model,
    decoder: keras.Model,
    x: Rows,
    recipe: str | Recipe = "table",
    *,
    iterations: int | None = None,
    seed: int | None = 0,
    callbacks: Callbacks = None,
    verbose: Verbose = "auto",
) -> History:
    """Train only the decoder, so that it fits an encoder that has changed since they were trained together.

    Args:
        encoder, decoder, x, recipe, seed, callbacks, verbose: as in `pretrain`. The encoder remains unchanged.
        iterations: int, the number of batches, default None: a tenth of the recipe's pretraining, which is enough
            because the decoder already fits approximately.

    Returns:
        `keras.callbacks.History` with the loss of each epoch.

    Raises:
        TypeError, ValueError, FloatingPointError: as `pretrain_autoencoder`.

    Example:
        >>> import numpy as np
        >>> from deckeras import dense_autoencoder, refit_decoder
        >>> encoder, decoder = dense_autoencoder(8, units=(16, 2))
        >>> history = refit_decoder(encoder, decoder, np.random.rand(100, 8), iterations=10, verbose=0)
        >>> encoder.trainable
        True
    """
    recipe = recipes.get(recipe)
    check_encoder(encoder)
    x = checks.check_rows(x, encoder.input_shape[1:])
    if iterations is None:
        iterations = max(1, recipe.batches(distribution.total(len(x)))[1] // 10)
    with reconstruction.frozen(encoder.layers):
        common = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
        return pretrain_autoencoder(encoder, decoder, x, recipe=recipe, iterations=iterations, dropout=0.0, **common)


def _stage_seeds(seed: int | None, stages: int) -> Sequence[int | None]:
    """Return a seed for each stage, or None for each if `seed` is None."""
    if seed is None:
        return [None] * stages
    return np.random.SeedSequence(distribution.agreed_seed(seed)).generate_state(stages).tolist()


def _count(name: str, value: int | None) -> int | None:
    return None if value is None else checks.check_count(name, value)


def _batches(
    recipe: Recipe, n: int, batch_size: int | None, epochs: int | None, iterations: int | None
) -> tuple[int, int]:
    """Return (batch_size, iterations): the arguments if they are given, else the recipe's."""
    if epochs is not None and iterations is not None:
        raise ValueError(f"Give epochs or iterations, not both. Received: epochs={epochs}, iterations={iterations}")
    if batch_size is not None:
        batch_size = checks.check_count("batch_size", batch_size)
        recipe = recipes.get(recipe, pretraining_batch_size=batch_size, min_batch_size=batch_size)
    if epochs is not None:
        recipe = recipes.get(recipe, epochs=checks.check_count("epochs", epochs), min_pretraining_iterations=0)
    batch_size, default = recipe.batches(n)
    return batch_size, default if iterations is None else checks.check_count("iterations", iterations)


def _checkpoint_path(directory: Path | None, name: str) -> str | None:
    if directory is None:
        return None
    prepare_directory(directory)
    return os.path.join(directory, name)
