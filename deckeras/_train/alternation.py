"""The alternation: compute the target from all assignments, train on batches toward it, and assign all rows again."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.spatial.distance import pdist

from deckeras import distribution
from deckeras._data import batching, row_views
from deckeras._train import device
from deckeras._train.checkpoint import Checkpoint
from deckeras._train.loop import train_batches
from deckeras._typing import Array, RowArray
from deckeras._warnings import warn
from deckeras.target import cluster_frequencies, target_distribution

_AGREEMENT = 0.99  # fraction of the rows; the others are on the borders between clusters


class Alternation:
    """The intervals of a clustering: target from all assignments, training toward it, and new assignments.

    Args:
        model: compiled `DEC`.
        x, y, batch_size: as for `DEC.fit`.
        augmenter: `Augmenter`.
        begin: function of the seed that places the centroids, if they are not placed, and returns the first
            assignments if the centroids do not determine them, else None. It is called when a training begins, not
            when one is resumed.
        lead: int, default 1. The largest number of intervals for which the first assignments remain the target. They
            are replaced as soon as the network agrees with them on 99 % of the rows. A network that has learned only
            half of a start would fall back from it.
        balance: float, default 1.0, as for `target_distribution`.
        checkpoint: `Checkpoint` that saves the first assignments while they are the target, default None.
        sample_weight: (n,) float64 array of mean 1, default None: 1 each.
    """

    def __init__(
        self,
        model: Any,
        x: RowArray,
        y: Array | None,
        batch_size: int,
        augmenter: Any,
        begin: Callable[[int], Array | None],
        *,
        lead: int = 1,
        balance: float = 1.0,
        checkpoint: Checkpoint | None = None,
        sample_weight: Array | None = None,
    ) -> None:
        self.model, self.x, self.y, self.batch_size, self.augmenter = model, x, y, batch_size, augmenter
        self.begin, self.lead, self.balance = begin, lead, balance
        self.checkpoint, self.sample_weight = checkpoint, sample_weight
        self.first = None
        self.on_device = x if augmenter.changes else device.to_device(x)
        self.rows = model._rows(x)
        self.q: Any = None
        self.weights: list[int] | None = None

    def assign(self) -> Array:
        """Return q of every row, computed once for each state of the weights."""
        weights = [zlib.crc32(ops.convert_to_numpy(weight)) for weight in self.model.weights]
        if weights != self.weights:
            self.q, self.weights = self.model.predict(self.rows, verbose=0), weights
        return self.q

    def epoch(self, start: int, steps: int, seed: int, callbacks: keras.callbacks.CallbackList) -> dict[str, float]:
        if start == 0 and not self.model.placed:
            self.first = self.begin(seed)
        elif self.first is None and self.checkpoint and "first" in self.checkpoint.arrays:
            self.first = distribution.own_part(self.checkpoint.arrays["first"], len(self.x))
        labels, logs = self._train(self.first, start, steps, seed, callbacks)
        new_labels = self.assign().argmax(axis=1)
        each = np.ones(len(labels)) if self.sample_weight is None else self.sample_weight
        changed, n = distribution.total(np.array([each[new_labels != labels].sum(), each.sum()]))
        logs["changed"] = float(changed / n)
        if logs["changed"] <= 1 - _AGREEMENT or start + steps >= self.lead * steps:
            self.first = None
        if self.checkpoint:
            first = None if self.first is None else np.concatenate(distribution.gather(self.first))
            self.checkpoint.arrays = {} if first is None else {"first": first}
        if self.y is not None:
            from deckeras.metrics import scores  # slow to import, and needed only if there are labels

            logs.update(scores(*(np.concatenate(distribution.gather(each)) for each in (self.y, new_labels))))
        return logs

    def _train(
        self, first: Array | None, start: int, steps: int, seed: int, callbacks: keras.callbacks.CallbackList
    ) -> tuple[Array, dict[str, float]]:
        """Train toward the target of all assignments, or of the first ones. Return their labels and the logs."""
        p = self.assign() if first is None else np.array(first)
        self.q = self.weights = None  # since the target takes its place: with many clusters it is the largest of all
        labels, frequencies = p.argmax(axis=1), distribution.total(cluster_frequencies(p, self.sample_weight))
        for first_row, q in row_views.blocks(p):  # since it computes in float64
            p[first_row : first_row + len(q)] = target_distribution(q, frequencies, balance=self.balance)
        numbered = batching.training_batches(self.on_device, self.batch_size, distribution.own_seed(seed), start, steps)
        with contextlib.closing(numbered):
            rows = ((self.augmenter(batch), p[numbers], self._weights_of(numbers)) for numbers, batch in numbered)
            batches = ((row, self.model._targets(row, target), *weights) for row, target, weights in rows)
            return labels, train_batches(self.model, batches, callbacks)

    def _weights_of(self, numbers: Array) -> tuple[Array, ...]:
        """Return the weights of some rows as the third element of a batch, or nothing if all rows count equally."""
        return () if self.sample_weight is None else (row_views.as_batch(self.sample_weight[numbers]),)


def warn_of_lost_clusters(sizes: Array, centroids: Array, scale: float) -> None:
    """Warn of clusters without rows, and of centroids nearer to each other than a thousandth of `scale`."""
    empty = np.flatnonzero(sizes == 0).tolist()
    if empty:
        warn(
            f"No row was assigned to the clusters {empty}: {len(centroids) - len(empty)} of {len(centroids)} "
            "clusters came out. Ask for fewer clusters, or pretrain longer.",
        )
    pairs = np.stack(np.triu_indices(len(centroids), k=1), axis=1)
    close = pairs[pdist(centroids) <= 1e-3 * scale].tolist()
    if close:
        warn(
            f"The centroids of these pairs of clusters coincide: {close}. Each pair is one cluster under two names. "
            "Ask for fewer clusters, or start from other centroids.",
        )
