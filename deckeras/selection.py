"""Choose the number of clusters by training with each candidate and scoring the results without labels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from deckeras import metrics, recipes
from deckeras._data import checks, row_views
from deckeras._data.labels import check_labels
from deckeras._train import keras_callbacks
from deckeras._typing import Array, Callbacks, Rows, Verbose
from deckeras.autoencoders.embedding import check_encoder
from deckeras.initialization import ManifoldStart
from deckeras.models.dec import DEC
from deckeras.pretraining import pretrain
from deckeras.recipes import Recipe
from deckeras.target import cluster_frequencies, target_distribution

# Below this silhouette, Kaufman and Rousseeuw ("Finding Groups in Data", 1990) see no structure.
_NO_STRUCTURE = 0.25


@dataclasses.dataclass(frozen=True)
class Choice:
    """The result of `choose_n_clusters`.

    Attributes:
        n_clusters: int, the suggestion.
        reason: str, the reason for it.
        candidates: list of dicts, as `evaluate` returns them, one for each candidate, by number of clusters.
    """

    n_clusters: int
    reason: str
    candidates: list[dict[str, Any]]


def choose_n_clusters(
    x: Rows,
    candidates: Iterable[int] = range(2, 16),
    *,
    y: npt.ArrayLike | None = None,
    encoder: keras.Model | None = None,
    recipe: str | Recipe = "table",
    held_out: float = 0.2,
    seed: int = 0,
    callbacks: Callbacks = None,
    verbose: Verbose = 0,
) -> Choice:
    r"""Suggest a number of clusters by training with each candidate on most of the rows and testing on the others.

    An autoencoder is pretrained once. DEC is trained from it with each candidate, and `evaluate` scores the result.
    `suggest` describes the rule, which needs no labels. It counts groups that look different: a class with two distinct
    kinds counts as two, and two classes that look alike count as one.

    Args:
        x: (n, ...) array of any real dtype.
        candidates: ints of at least 2, default 2 to 15. Each takes the time of one clustering.
        y: (n,) labels, default None. For reporting only: with labels, each candidate has an NMI, as in the paper's
            figure. Labels never change the suggestion.
        encoder: Keras model, default None. An encoder that is already pretrained, on any rows. Its weights are
            restored afterwards.
        recipe: str or `deckeras.recipes.Recipe`, default `"table"`.
        held_out: float, default 0.2. The fraction of the rows that is excluded from all training. They affect only
            the number by which the recipe `paper` scales all rows.
        seed: int, default 0. Determines which rows are held out, and seeds all trainings.
        callbacks, verbose: passed to each training, as for `DEC.fit`; default None and 0.

    Returns:
        `Choice`.

    Raises:
        TypeError, ValueError: bad x, y, recipe or encoder; no candidates, or candidates that are not whole numbers from
            2 to the number of training rows; or a fraction that leaves no rows on one side.

    Example:
        >>> import numpy as np
        >>> from deckeras import recipes, selection
        >>> x = np.random.default_rng(0).normal(size=(300, 8)) + 9 * np.repeat(np.eye(3, 8), 100, axis=0)
        >>> recipe = recipes.get("table", units=(32, 4), min_pretraining_iterations=500, max_iterations=200)
        >>> selection.choose_n_clusters(x, range(2, 6), recipe=recipe).n_clusters
        3

    Source: Xie, Girshick and Farhadi, ICML 2016, section 5.5, for the generalizability.
    """
    keras_callbacks.check_stages("choose_n_clusters", callbacks)
    recipe = recipes.get(recipe)
    x = recipe.prepare(checks.check_rows(x))
    y = check_labels(y, len(x))
    inside, outside = split(len(x), held_out, seed)
    candidates = check_candidates(candidates, len(inside))
    x, others, y = row_views.take(x, inside), row_views.take(x, outside), None if y is None else y[inside]
    if encoder is None:
        encoder, decoder = recipe.autoencoder(x.shape[1:], seed)
        pretrain(encoder, decoder, x, recipe, seed=seed, callbacks=callbacks, verbose=verbose)
    if recipe.init == "manifold":  # all candidates use the same layouts
        z = DEC(encoder, candidates[0]).embed(x, verbose=0)
        recipe = recipes.get(recipe, init=ManifoldStart.from_recipe(recipe, z, x, seed=seed))
    common = {"y": y, "recipe": recipe, "seed": seed, "callbacks": callbacks, "verbose": verbose}
    rows = [evaluate(encoder, n_clusters, x, others, **common) for n_clusters in candidates]
    return Choice(*suggest(rows), rows)


def evaluate(
    encoder: keras.Model,
    n_clusters: int,
    x: Rows,
    held_out: Rows,
    *,
    y: npt.ArrayLike | None = None,
    recipe: str | Recipe = "table",
    seed: int = 0,
    callbacks: Callbacks = None,
    verbose: Verbose = 0,
) -> dict[str, Any]:
    """Train DEC from a pretrained encoder with one number of clusters, and score the result without labels.

    Args:
        encoder: pretrained Keras model. Its weights are restored afterwards.
        n_clusters: int.
        x: (n, ...) array, the training rows, prepared as the recipe requires.
        held_out: (m, ...) array, other rows of the same kind.
        y, recipe, seed, callbacks, verbose: as for `choose_n_clusters`; y holds the labels of x.

    Returns:
        dict with the keys

        - "n_clusters";
        - "loss" and "validation_loss", the mean KL(p || q) of x and of the held-out rows. For both, p uses the cluster
          frequencies of x;
        - "generalizability", the ratio of the two, and "generalizability_error", its standard error;
        - "silhouette", the mean silhouette of the clusters of x, and "silhouette_error", its standard error. It uses
          the embedding before the clustering, so that all candidates can be compared;
        - "nmi", if y is given.
    """
    check_encoder(encoder)
    before = encoder.get_weights()
    try:
        model = DEC(encoder, n_clusters)
        z = model.embed(x, verbose=0)
        model.fit(x, recipe=recipe, seed=seed, callbacks=callbacks, verbose=verbose)
        q, q_held_out = model.predict(x, verbose=0), model.predict(held_out, verbose=0)
    finally:
        encoder.set_weights(before)
    labels, frequencies = q.argmax(axis=1), cluster_frequencies(q)
    losses = metrics.divergences(target_distribution(q), q)
    validation_losses = metrics.divergences(target_distribution(q_held_out, frequencies), q_held_out)
    loss, validation_loss = float(losses.mean()), float(validation_losses.mean())
    generalizability = metrics.generalizability(loss, validation_loss)
    relative_error = _standard_error(validation_losses) / max(validation_loss, np.finfo(np.float64).tiny)
    _, silhouettes = metrics.silhouettes(z, labels, seed=seed)
    found = {
        "n_clusters": n_clusters,
        "loss": loss,
        "validation_loss": validation_loss,
        "generalizability": generalizability,
        "generalizability_error": generalizability * relative_error,
        "silhouette": float(silhouettes.mean()),
        "silhouette_error": _standard_error(silhouettes),
    }
    return found if y is None else {**found, "nmi": metrics.nmi(y, labels)}


def suggest(rows: list[dict[str, Any]]) -> tuple[int, str]:
    """Return the suggested number of clusters and the reason for it.

    Candidates whose generalizability is more than two standard errors below 1 are excluded, because their held-out
    rows are not clustered like the training rows. Among the others, the highest silhouette decides. If several are
    within one standard error of it, the smallest number is chosen.

    Args:
        rows: list of dicts, as `evaluate` returns them.

    Returns:
        (int, str): the number of clusters and the reason.

    Example:
        >>> from deckeras import selection
        >>> rows = [
        ...     {"n_clusters": k, "generalizability": g, "generalizability_error": 0.02, "silhouette": s,
        ...      "silhouette_error": 0.01}
        ...     for k, g, s in [(2, 1.0, 0.4), (3, 0.99, 0.5), (4, 0.98, 0.505), (5, 0.8, 0.6)]
        ... ]
        >>> selection.suggest(rows)[0]
        3
    """
    holding = [row for row in rows if row["generalizability"] >= 1 - 2 * row["generalizability_error"]]
    sound = holding or rows
    best = max(sound, key=lambda row: row["silhouette"])
    near = [row for row in sound if row["silhouette"] >= best["silhouette"] - best["silhouette_error"]]
    chosen = min(near, key=lambda row: row["n_clusters"])
    k = chosen["n_clusters"]
    reason = f"Its silhouette of {chosen['silhouette']:.3f} is the highest"
    if chosen is not best:
        reason = (
            f"The silhouette is highest with {best['n_clusters']} clusters, {best['silhouette']:.3f}, but {k} are "
            f"within its standard error of {best['silhouette_error']:.3f}, {chosen['silhouette']:.3f}"
        )
    gone = sorted(row["n_clusters"] for row in rows if row not in holding)
    if holding and gone:
        reason += f" among those that generalize, which {', '.join(map(str, gone))} do not"
    reason += "."
    if not holding:
        reason += " No candidate generalizes: held-out rows have a higher loss with each. Train on more rows."
    if best["silhouette"] < _NO_STRUCTURE:
        reason += f" But below {_NO_STRUCTURE} there may be no clusters at all."
    return k, reason


def split(n: int, held_out: float = 0.2, seed: int = 0) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split rows at random.

    Args:
        n: int, the number of rows.
        held_out: float, default 0.2. The fraction of rows to hold out.
        seed: int, default 0.

    Returns:
        (training rows, held-out rows), two sorted int arrays.

    Raises:
        ValueError: `held_out` leaves no rows on one side.

    Example:
        >>> from deckeras import selection
        >>> inside, outside = selection.split(10)
        >>> len(inside), len(outside)
        (8, 2)
    """
    size = round(held_out * n)
    if not 0 < size < n:
        raise ValueError(f"held_out should leave rows on both sides. Received: held_out={held_out!r} of {n} rows")
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[size:]), np.sort(order[:size])


def _standard_error(values: Array) -> float:
    return float(np.std(values) / math.sqrt(len(values)))


def check_candidates(candidates: Iterable[int], n: int) -> list[int]:
    """Return the numbers of clusters to try, sorted and without duplicates.

    Args:
        candidates: ints.
        n: int, the number of training rows.

    Raises:
        TypeError, ValueError: there are none, or some that are not whole numbers from 2 to n.
    """
    if not isinstance(candidates, Iterable):
        raise TypeError(f"candidates should be several numbers of clusters. Received: {candidates!r}")
    candidates = sorted({checks.check_count("candidates", candidate) for candidate in candidates})
    if not candidates or candidates[0] < 2 or candidates[-1] > n:
        raise ValueError(
            f"candidates should be numbers of clusters from 2 to the {n} rows trained on. Received: {candidates}"
        )
    return candidates
