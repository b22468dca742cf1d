"""The sections of a report.

A section is a function of `Shown` that returns HTML, or "" if it is empty. `SECTIONS` lists them in order.
"""

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from deckeras import metrics
from deckeras.files import class_labels
from deckeras.plots import figures
from deckeras.report import descriptions, html_page, row_lists
from deckeras.report.html_page import name, number, table, text

_MAX_FEATURES = 24  # in the table of centroids
_MAX_CLASSES = 40  # the most classes or clusters in a readable table
_UNSURE = 0.5  # a row whose largest q is below this belongs mostly to other clusters
_OVERLAP = 0.25  # two clusters overlap if the mean q for the other one is at least this


@dataclasses.dataclass(frozen=True)
class Shown:
    """The data that the sections show: the arguments of `make`, and values computed from them."""

    run: dict
    rows: Any
    q: np.ndarray
    z: np.ndarray
    centroids: np.ndarray | None
    history: dict | None
    series_shape: tuple | None = None

    @functools.cached_property
    def labels(self):
        """(n,) array, the cluster of each row."""
        return self.q.argmax(axis=1)

    @functools.cached_property
    def confidence(self):
        """(n,) array, the largest q of each row."""
        return self.q.max(axis=1)

    @functools.cached_property
    def second(self):
        """(n,) array, the cluster of the second largest q; None if there is one cluster."""
        if self.q.shape[1] < 2:
            return None
        return np.argpartition(self.q, -2, axis=1)[:, -2]

    @functools.cached_property
    def sizes(self):
        """(n_clusters,) array, the number of rows of each cluster."""
        return metrics.cluster_sizes(self.labels, self.q.shape[1])

    @functools.cached_property
    def mean_q(self):
        """(n_clusters, n_clusters) mean q of the rows of each cluster; NaN for an empty one."""
        return descriptions.cluster_means(self.q, self.labels, self.q.shape[1])

    @functools.cached_property
    def features(self):
        """List of str, the names of the features."""
        if self.rows.features:
            return self.rows.features
        return [f"feature {number}" for number in range(math.prod(self.rows.x.shape[1:]))]

    @functools.cached_property
    def telling(self):
        """(n_features,) array, the features, ordered by how much their means differ between clusters."""
        means = descriptions.cluster_means(self.rows.x, self.labels, self.q.shape[1])
        return _by_difference(means[self.sizes > 0], self.rows.x)

    @functools.cached_property
    def picture(self):
        """Function from a row to its picture, or None if rows are neither images nor series."""
        return html_page.pictures(self.rows) or (self.series_shape and html_page.curves(self.rows, self.series_shape))

    @functools.cached_property
    def words(self):
        """List of str, each cluster in words; None if rows have pictures."""
        if self.picture:
            return None
        if self.rows.layout.text:
            return descriptions.terms(self.rows.x, self.labels, self.q.shape[1], self.features)
        return descriptions.words(self.rows.x, self.labels, self.q.shape[1], self.features)


def make(run, rows, q, z, centroids=None, history=None):
    """Write the report of a run.

    Args:
        run: dict about the run, with some of these keys: "title", "facts" (dict from name to text), "notices" and
            "warnings" (lists of str), "kmeans" (as `deckeras.baseline.compare` returns it), "verdict" (as
            `deckeras.verdict.Verdict.as_dict` returns it), "command", "versions" (dict).
        rows: `deckeras.files.Rows`, the clustered rows.
        q: (n, n_clusters) soft assignments.
        z: (n, n_embedding) embedding.
        centroids: (n_clusters, ...) array, the centroids decoded to the space of the rows, default None.
        history: dict from name to list, such as the `History.history` of `DEC.fit`, default None.

    Returns:
        str, a self-contained HTML page.
    """
    series_shape = None
    if rows.layout.image_shape is None and rows.x.ndim > 2:
        series_shape = rows.x.shape[1:]
        rows = dataclasses.replace(rows, x=rows.x.reshape(len(rows.x), -1))
    shown = Shown(run, rows, np.asarray(q), np.asarray(z), centroids, history, series_shape)
    return html_page.page(run.get("title", "Clusters"), [(heading, write(shown)) for heading, write in SECTIONS])


def _facts(shown):
    lines = [[text(what), text(how)] for what, how in shown.run.get("facts", {}).items()]
    lines += [["" if number else "reading", text(notice)] for number, notice in enumerate(shown.run.get("notices", []))]
    return table([], lines, kind="facts") if lines else ""


def _verdict(shown):
    sentences = shown.run.get("verdict", {}).get("sentences", [])
    return "".join(f"<p>{text(sentence)}</p>" for sentence in sentences)


def _warnings(shown):
    found = [text(warning) for warning in shown.run.get("warnings", [])]
    unsure = float(np.mean(shown.confidence < _UNSURE))
    if unsure > 0.2:
        found.append(
            f"{unsure:.0%} of the rows are unsure: their largest soft assignment is below one half. Fewer clusters "
            "may fit better."
        )
    for one, other in zip(*np.nonzero(shown.mean_q >= _OVERLAP), strict=True):
        if one != other:
            found.append(
                f"Rows of cluster {one} have a mean soft assignment of {shown.mean_q[one, other]:.0%} to cluster "
                f"{other}: the two overlap."
            )
    return "".join(f'<p class="warning">{warning}</p>' for warning in found) or "<p>None.</p>"


def _clusters(shown):
    lines = []
    for cluster, size in enumerate(shown.sizes.tolist()):
        own = shown.confidence[shown.labels == cluster]
        numbers = [f"{own.mean():.3f}", f"{np.mean(own < _UNSURE):.1%}"] if size else ["", ""]
        description = [("words", text(shown.words[cluster]))] if shown.words else []
        lines.append([name(cluster, pick=True), size, *description, f"{size / len(shown.q):.1%}", *numbers])
    header: list[Any] = ["cluster", "rows", "fraction", "mean q", f"rows with q below {_UNSURE}"]
    note = "Click a cluster to see its rows."
    if shown.words:
        terms = bool(shown.rows.layout.text)
        header.insert(2, ("words", "distinguishing terms" if terms else "distinguishing features"))
        note += (
            " Its distinguishing terms are those that its texts have more of than the others."
            if terms
            else " Its distinguishing features are those whose mean differs most from that of all rows."
        )
    return f'<p class="note">{note}</p><div class="wide">{table(header, lines, sortable=True)}</div>'


def _scores(shown):
    """Return the scores against labels, next to those of k-means on the same rows."""
    method = shown.run.get("settings", {}).get("method", "dec").upper()
    others = shown.run.get("kmeans")
    y, labels = shown.rows.labels, shown.labels
    known = np.zeros(len(labels), bool) if y is None else class_labels.present(y)
    if not known.any() and not others:
        return ""
    header, lines, notes = [""], [[method]], []
    if others:
        lines.append(["k-means on the same rows"])
        differ = f"{others['differ']:,} of {others['rows']:,} rows are in a different cluster than with {method}."
        notes.append(f"K-means runs on the same scaled rows. {differ}")
    if y is not None and known.any():
        header += ["ACC (%)", "NMI (%)", "ARI (%)"]
        scores = metrics.scores(y[known].tolist(), labels[known])
        for line, values in zip(lines, [scores, others and others["scores"]], strict=False):
            line += [f"{100 * values[key]:.2f}" if values else "" for key in ("acc", "nmi", "ari")]
        notes.append("The training did not use the labels.")
        if not known.all():
            notes.append(f"{int((~known).sum()):,} rows have no label; the scores are those of the others.")
    sizes = [sorted(shown.sizes.tolist(), reverse=True), sorted(others["sizes"], reverse=True) if others else []]
    if shown.q.shape[1] <= _MAX_CLASSES:
        header.append("sizes of the clusters, largest first")
        for line, counts in zip(lines, sizes, strict=False):
            line.append(", ".join(map(number, counts)))
    note = f'<p class="note">{" ".join(notes)}</p>'
    return f'<div class="wide">{table(header, lines)}</div>{note}{_confusion(y, labels, known)}'


def _confusion(y, labels, known):
    """Return a table of the number of rows of each class in each cluster."""
    if not known.any():
        return ""
    classes, rows = np.unique(np.array(y[known].tolist()), return_inverse=True)
    if max(len(classes), len(np.unique(labels))) > _MAX_CLASSES:
        return ""
    _, clusters, counts = metrics.confusion(rows, labels[known])
    fractions = counts / counts.sum(axis=1, keepdims=True)
    header = ["class \\ cluster", *map(name, clusters.tolist())]
    note = '<p class="note">Number of rows of each class (line) in each cluster (column).</p>'
    return note + html_page.heat(header, [text(each) for each in classes], counts, fractions, number)


def _training(shown):
    history = shown.history
    if not history or not history.get("loss"):
        return ""
    if len(history["loss"]) == 1:
        return f"<p>One update of the target. {history['changed'][0]:.2%} of the rows changed cluster.</p>"
    return html_page.svg(figures.training_curves(history))


def _centroids(shown):
    if shown.centroids is None:
        return ""
    centroids = np.asarray(shown.centroids)
    note = '<p class="note">Decoded from the embedding to the space of the rows.</p>'
    if shown.picture:
        return note + "".join(
            f'<figure><img class="row" alt="cluster {cluster}" src="{shown.picture(centroid)}"><br>{name(cluster)}'
            "</figure>"
            for cluster, centroid in enumerate(centroids)
        )
    mean, _ = descriptions.moments(shown.rows.x)
    chosen = _by_difference(centroids, shown.rows.x)[:_MAX_FEATURES]
    header = ["feature", "mean of all rows", *map(name, range(len(centroids)))]
    lines = [
        [text(shown.features[feature]), float(mean[feature]), *(float(centroid[feature]) for centroid in centroids)]
        for feature in chosen.tolist()
    ]
    hidden = len(shown.features) - len(chosen)
    more = (
        f'<p class="note">The features that differ most between centroids; {hidden:,} more are not shown.</p>'
        if hidden
        else ""
    )
    return f'{note}<div class="wide">{table(header, lines)}</div>{more}'


def _overlap(shown):
    full = [cluster for cluster, size in enumerate(shown.sizes) if size]
    if shown.q.shape[1] > _MAX_CLASSES or not full:
        return ""
    note = '<p class="note">Mean q of the rows of one cluster (line) for each cluster (column).</p>'
    values = shown.mean_q[full]
    header = ["", *map(name, range(shown.q.shape[1]))]
    return note + html_page.heat(header, list(map(name, full)), values, values, "{:.3f}".format)


def _reproduction(shown):
    versions = ", ".join(f"{name} {version}" for name, version in shown.run.get("versions", {}).items())
    command = f"<pre>{text(shown.run['command'])}</pre>" if shown.run.get("command") else ""
    return f"{command}<p>{text(versions)}</p>" if command or versions else ""


def _by_difference(means, x):
    """Return the features, ordered by the range of their means relative to their standard deviation, if it is not 0."""
    _, spread = descriptions.moments(x)
    ranges = np.divide(np.ptp(means, axis=0), spread, out=np.zeros(len(spread)), where=spread > 1e-12)
    return np.argsort(-ranges, kind="stable")


SECTIONS = (
    ("Run", _facts),
    ("Verdict", _verdict),
    ("Warnings", _warnings),
    ("Clusters", _clusters),
    ("Comparison", _scores),
    ("Contact sheets", row_lists.draw_sheets),
    ("Training", _training),
    ("Map of the embedding", row_lists.draw_map),
    ("Rows of each cluster", row_lists.list_rows),
    ("Centroids", _centroids),
    ("Overlap between clusters", _overlap),
    ("Reproduction", _reproduction),
)
