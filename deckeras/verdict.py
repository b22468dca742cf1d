"""The verdict: a judgment of a clustering without labels.

A clustering algorithm finds clusters in any data. Three measures distinguish real clusters from artifacts: the
agreement with other, independent methods; how often neighbors share a cluster, compared with rows that form one even
cloud; and the confidence of the model.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from deckeras import baseline, metrics
from deckeras._data import row_views
from deckeras._typing import Array, Rows
from deckeras.initialization import manifold, neighbor_graphs
from deckeras.initialization.consensus import agreement

_ROWS, _EPOCHS = 1000, 100  # the size of the sample and the steps of its layouts; they limit the time
_UNSURE = 0.5  # below this largest soft assignment, a row belongs to other clusters more than to its own
_STRUCTURE = 0.65  # a fraction of the cut in rows without clusters; real clusters have a smaller cut
_STEADY, _LOOSE = 0.6, 0.3  # agreement with other methods


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """The measures for and against a clustering.

    Attributes:
        agreement: float, the mean adjusted Rand index with other methods and seeds on the same rows: k-means, and
            neighborhoods by distance and by angle. It is 1 if all find the same clusters, and about 0 for random ones.
        cut: float, the fraction of neighbors in different clusters.
        kmeans_cut: float, the same for k-means.
        null_cut: float, the same for clusters found in random rows that have the same covariance but no clusters.
        differs_from_kmeans: float, the fraction of rows that k-means puts into other clusters.
        differing_clusters: list of int, the clusters with more than half of their rows in other clusters by k-means.
        differs_from_start: float or None, the fraction of rows that changed cluster in training, if the start is known.
        unsure: float, the fraction of rows whose largest soft assignment is below one half.
        structure: bool, True if the rows seem to have clusters: either the given ones, or two.
        fewer: bool, True if the rows seem to have two clusters, but the given clusters separate as many neighbors as
            clusters in one even cloud.
        level: "none", "loose", "fair" or "steady".
    """

    agreement: float
    cut: float
    kmeans_cut: float
    null_cut: float
    differs_from_kmeans: float
    differing_clusters: list[int]
    differs_from_start: float | None
    unsure: float
    structure: bool
    fewer: bool
    level: Literal["none", "loose", "fair", "steady"]

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes and the sentences as a dict for JSON, with None for NaN."""
        values = dataclasses.asdict(self)
        numbers = {name: None for name, value in values.items() if isinstance(value, float) and math.isnan(value)}
        return {**values, **numbers, "sentences": self.sentences()}

    def sentences(self) -> list[str]:
        """Return the verdict in words: list of str, the most important sentence first."""
        if math.isnan(self.agreement):
            return ["There is nothing to compare: there is one cluster, or too few different rows for each."]
        return [_LEVELS[self.level].format(agreement=self.agreement), *self._details()]

    def _details(self) -> Iterator[str]:
        if self.fewer:
            yield (
                "The rows seem to have fewer clusters: two groups are far apart, but these clusters separate neighbors "
                "as often as clusters of one even cloud would."
            )
        if self.structure:
            yield (
                f"{self.cut:.0%} of the neighbors lie in different clusters; in rows without clusters it would be "
                f"{self.null_cut:.0%}, with k-means on the rows it is {self.kmeans_cut:.0%}."
            )
        which = ", ".join(map(str, self.differing_clusters))
        each = "each of clusters" if len(self.differing_clusters) > 1 else "cluster"
        yield f"k-means on the rows puts {self.differs_from_kmeans:.0%} of the rows into other clusters" + (
            f", among them more than half of {each} {which}." if which else "."
        )
        if self.differs_from_start is not None:
            yield f"Training has moved {self.differs_from_start:.1%} of the rows from the clusters it started from."
        yield f"{self.unsure:.0%} of the rows are unsure: their largest soft assignment is below one half."

    def __str__(self) -> str:
        return " ".join(self.sentences())


_LEVELS = {
    "none": "The rows look as if they had no clusters: neighbors are separated as often as in one even cloud. Do "
    "not rely on these clusters.",
    "loose": "The clusters depend on the method: others find different ones (agreement {agreement:.2f} of 1).",
    "fair": "Other methods find similar clusters, with differences (agreement {agreement:.2f} of 1).",
    "steady": "Other methods and seeds find much the same clusters (agreement {agreement:.2f} of 1).",
}


def judge(x: Rows, q: npt.ArrayLike, *, start: npt.ArrayLike | None = None, seed: int = 0) -> Verdict:
    """Judge a clustering without labels.

    Args:
        x: (n, ...) array, DataFrame, SciPy sparse matrix or `deckeras._data.row_views.View` of the rows, scaled as for
            the training.
        q: (n, n_clusters) soft assignments.
        start: (n,) int array, the clusters that training started from, default None.
        seed: int, default 0. Draws the sample of 1,000 rows, and seeds the other methods.

    Returns:
        `Verdict`. If all rows are in one cluster, or there are fewer than 10 different rows, or 3 for each cluster,
        there is nothing to compare. The level is then "loose", and all rows count as unsure.

    Raises:
        ValueError: x and q are of different lengths.

    Example:
        >>> import numpy as np
        >>> from deckeras.verdict import judge
        >>> x = np.concatenate([np.random.rand(60, 4), 9 + np.random.rand(60, 4)])
        >>> judge(x, np.repeat(np.eye(2), 60, axis=0)).level
        'steady'
    """
    x, q = row_views.as_indexed(x), np.asarray(q)
    if len(x) != len(q):
        raise ValueError(f"x and q should have the same rows. Received: {len(x)} and {len(q)} rows")
    n_clusters = q.shape[1]
    rows = np.sort(np.random.default_rng(seed).permutation(len(q))[:_ROWS])
    sample = np.concatenate([np.reshape(block, (len(block), -1)) for block in row_views.blocks_of_rows(x, rows)])
    first = manifold.distinct(sample)
    labels, sample = q[rows[first]].argmax(axis=1), sample[first]
    differs = None if start is None else 1 - metrics.accuracy(start, q.argmax(axis=1))
    unsure = float(np.mean(q.max(axis=1) < _UNSURE))
    if len(np.unique(labels)) == 1 or manifold.few_rows(len(sample), n_clusters):
        return _nothing_to_compare(differs)
    views = manifold.views(None, sample)
    kmeans = [baseline.kmeans(sample, n_clusters, seed=number) for number in (seed, seed + 1)]
    neighborhoods = manifold.Neighborhoods(views, n_epochs=_EPOCHS, seed=seed)
    agreed = agreement(labels, [*kmeans, *neighborhoods.labelings(n_clusters)])
    graph = neighborhoods.graphs[0]
    cut, null_cuts = neighbor_graphs.cut(graph, labels), _null_cuts(views[0][0], (n_clusters, 2), seed)
    these = min(cut, neighbor_graphs.cut(graph, neighborhoods.clusters(n_clusters))) < _STRUCTURE * null_cuts[0]
    # In some data, such as iris, two clusters are far apart, and the requested number divides one of them.
    two = min(neighbor_graphs.cut(graph, found) for found in neighborhoods.labelings(2))
    structure = these or two < _STRUCTURE * null_cuts[1]
    these = these or (structure and n_clusters == 2)
    level = "none" if not structure else "steady" if agreed >= _STEADY else "fair" if agreed >= _LOOSE else "loose"
    if structure and not these and level == "steady":
        level = "fair"
    return Verdict(
        agreement=agreed,
        cut=cut,
        kmeans_cut=neighbor_graphs.cut(graph, kmeans[0]),
        null_cut=null_cuts[0],
        differs_from_kmeans=1 - metrics.accuracy(labels, kmeans[0]),
        differing_clusters=_differing(labels, kmeans[0]),
        differs_from_start=differs,
        unsure=unsure,
        structure=bool(structure),
        fewer=bool(structure and not these),
        level=level,
    )


def _nothing_to_compare(differs: float | None) -> Verdict:
    nan = float("nan")
    return Verdict(
        agreement=nan, cut=nan, kmeans_cut=nan, null_cut=nan, differs_from_kmeans=nan, differing_clusters=[],
        differs_from_start=differs, unsure=1.0, structure=True, fewer=False, level="loose",
    )  # fmt: skip


def _null_cuts(x: Array, numbers: Sequence[int], seed: int) -> list[float]:
    """Return, for each number of clusters, the smallest cut in rows without clusters: a Gaussian and a box.

    Both have the covariance of x. A box has sharp edges, so its clusters have a smaller cut than those of a Gaussian.
    """
    random = np.random.default_rng(seed)
    _, lengths, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    axes = axes * (lengths[:, None] / np.sqrt(len(x)))
    size = (len(x), len(lengths))
    cuts = []
    for drawn in random.normal(size=size), random.uniform(-np.sqrt(3), np.sqrt(3), size=size):
        found = manifold.Neighborhoods([((drawn @ axes).astype(np.float32), "euclidean")], n_epochs=_EPOCHS, seed=seed)
        cuts.append([neighbor_graphs.cut(found.graphs[0], found.clusters(number)) for number in numbers])
    return np.min(cuts, axis=0).tolist()


def _differing(labels: Array, others: Array) -> list[int]:
    """Return the clusters with more than half of their rows outside the matching cluster of the other labels."""
    matched = metrics.match_clusters(labels, others)
    same = np.array([matched.get(other) for other in others.tolist()]) == labels
    return [int(cluster) for cluster in np.unique(labels) if same[labels == cluster].mean() < 0.5]
