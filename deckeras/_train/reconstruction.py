"""The training of one stage of a pretraining: batches of rows toward a target computed from them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from deckeras import distribution
from deckeras._data import batching
from deckeras._train import device, specs
from deckeras._train.checkpoint import Checkpoint, architecture, settings
from deckeras._train.loop import History, train, train_batches
from deckeras._typing import Callbacks, RowArray, Tensor, Verbose


def fit(
    model: keras.Model,
    x: RowArray,
    target: Callable[[Tensor], Tensor],
    augmenter: Any,
    *,
    iterations: int,
    batch_size: int,
    dropout: float,
    seed: int | None,
    path: str | None,
    callbacks: Callbacks,
    verbose: Verbose,
) -> History:
    """Train a model to return `target(rows)` for the rows of x.

    Args:
        model: compiled; its weights are trained in place.
        x: the rows of this process.
        target: function of a batch of rows, as returned by the augmenter.
        augmenter: `deckeras.augmentation.Augmenter`.
        iterations, batch_size: the number of batches, and of rows in a batch, of all processes together.
        dropout: the fraction that the model drops, which the checkpoint compares.
        seed: as for `deckeras.pretrain`.
        path: path of the checkpoint, or None for a training that is not saved.
        callbacks, verbose: as for `deckeras.pretrain`.

    Returns:
        The history, with the loss of each epoch.
    """
    on_device = x if augmenter.changes else device.to_device(x)
    own_batch_size = distribution.local_batch_size(batch_size)
    checkpoint = (
        None
        if path is None
        else Checkpoint(
            path,
            model,
            {
                "kind": "pretraining",
                "data": distribution.fingerprint(x),
                "layers": architecture(model),
                "iterations": iterations,
                "batch_size": batch_size,
                "augment": augmenter.settings,
                "augment_asked": augmenter.asked,
                "settings": specs.layers(model),
                "graph": specs.graph(model),
                "precision": specs.precision(model),
                "loss_asked": specs.function(model.loss),
                "dropout": dropout,
                "seed": seed,
                "loss": specs.loss(model.loss),
                "optimizer": settings(model.optimizer),
            },
            others=augmenter.variables,
        )
    )

    def epoch(start, steps, seed, callbacks):
        batches = batching.training_batches(on_device, own_batch_size, distribution.own_seed(seed), start, steps)
        with contextlib.closing(batches):
            rows = (augmenter(batch) for _, batch in batches)
            return train_batches(model, ((row, target(row)) for row in rows), callbacks)

    return train(
        model,
        epoch,
        iterations=iterations,
        steps_per_epoch=math.ceil(distribution.total(len(x)) / batch_size),
        seed=distribution.agreed_seed(seed),
        checkpoint=checkpoint,
        callbacks=callbacks,
        verbose=verbose,
        rows=x,
    )


@contextlib.contextmanager
def frozen(layers: Sequence[keras.Layer]) -> Iterator[None]:
    """Keep layers from being trained within this block."""
    restore = specs.trainability(layers)
    try:
        for layer in layers:
            layer.trainable = False
        yield
    finally:
        restore()
