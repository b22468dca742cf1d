"""The preparation of `DEC.fit`: data, checked in all processes, and the checkpoint."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy.typing as npt

from deckeras import distribution
from deckeras._data import checks
from deckeras._data.labels import check_labels
from deckeras._train import specs
from deckeras._train.checkpoint import Checkpoint
from deckeras._train.directories import prepare_directory
from deckeras._typing import Array, Path, RowArray, Rows
from deckeras.augmentation import Augmenter
from deckeras.recipes import Recipe
from deckeras.recipes.groups import Start


def check_data(
    model: Any, x: Rows, y: npt.ArrayLike | None, sample_weight: npt.ArrayLike | None
) -> tuple[RowArray, Array | None, Array | None]:
    """Check the data of a training.

    Args:
        model: `deckeras.DEC`.
        x, y, sample_weight: as for `DEC.fit`.

    Returns:
        (rows, labels, weights): the weights have a mean of 1 over all processes, or are None if all rows count equally.

    Raises:
        TypeError, ValueError: the data do not fit the model, there are fewer rows than clusters, or only some of the
            processes have labels.
    """
    rows = checks.check_rows(x, model.encoder.input_shape[1:])
    labels = check_labels(y, len(rows))
    if distribution.total(int(labels is None)) not in (0, distribution.process_count()):
        raise ValueError("y should be given in all processes or in none. Received: y in some of them")
    n = distribution.total(len(rows))
    if n < model.n_clusters:
        raise ValueError(f"x should have at least {model.n_clusters} rows, one a cluster. Received: {n}")
    return rows, labels, distribution.relative_weights(sample_weight, len(rows), model.n_clusters)


def checkpoint(
    model: Any,
    directory: Path | None,
    x: RowArray,
    recipe: Recipe,
    centroids: Array | None,
    seed: int | None,
    augmenter: Augmenter,
    weights: Array | None,
) -> Checkpoint | None:
    """Return the checkpoint of a training in a directory, which is created, or None if there is no directory.

    Args:
        model: compiled `deckeras.DEC`.
        directory: as `checkpoint_dir` of `DEC.fit`.
        x, recipe, centroids, seed, augmenter, weights: the data and the settings that a resumed training must share.
    """
    if directory is None:
        return None
    identity = {
        **model._identity(),
        "loss": specs.function(model.loss),
        "loss_weights": model._loss_weights,
        "precision": specs.precision(model),
        "data": distribution.fingerprint(x),
        "start": _start(recipe, centroids),
        "augment": augmenter.settings,
        "augment_asked": augmenter.asked,
        "sample_weight": None if weights is None else distribution.fingerprint(weights[:, None]),
        "seed": seed,
    }
    path = os.path.join(prepare_directory(directory), "checkpoint.h5")
    return Checkpoint(path, model, identity, model._optimizer_settings, augmenter.variables)


def _start(recipe: Recipe, centroids: Array | None) -> dict[str, Any]:
    """Describe how a training begins: the first centroids or their clusterer, and the targets that follow from them."""
    settings = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(Start)}
    if centroids is not None:
        settings = {"centroids": centroids, "lead": recipe.lead}
    return {name: specs.function(value) for name, value in {**settings, "balance": recipe.balance}.items()}
