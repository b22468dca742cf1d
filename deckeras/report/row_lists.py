"""Show rows in a report: a map of the embedding, and lists of the rows that represent their clusters."""

import itertools
import textwrap

import numpy as np

from deckeras.plots import projection
from deckeras.report.html_page import PHOTOGRAPH, color, name, table, text

_MAX_POINTS = 2000  # on the map; more would hide each other and slow down the page
_ITERATIONS = 500  # of t-SNE; enough for so few points
_MAX_ALL = 1000  # up to this number of rows, all are listed
_EXTREMES = 12  # otherwise, the number of most and of least confident rows that are listed per cluster
_MAX_LISTED = 3000  # the most rows in such a list; if there are many clusters, each has fewer
_MAX_COLUMNS = 12  # the most columns in the list
_MIN_SIDE = 48  # smaller pictures have no contact sheet, because the list shows them equally well
_ON_A_SHEET, _MAX_ON_SHEETS = 15, 600  # the most photographs per cluster, and for all clusters together
_EXCERPT, _ON_A_CARD = 300, 100  # the most characters of a text in the list and on the map
_READ_TOGETHER = 64  # the number of rows that are in memory at once


def draw_map(shown):
    """Return the map of the embedding. Hovering over a point brings it to the front.

    Args:
        shown: `deckeras.report.Shown`.
    """
    rows, z, labels = shown.rows, shown.z, shown.labels
    chosen = np.sort(np.random.default_rng(0).permutation(len(z))[:_MAX_POINTS])
    if len(chosen) < 4:
        return ""
    points = projection.plane(z[chosen], max_iter=_ITERATIONS)
    low, high = points.min(axis=0), points.max(axis=0)
    points = 2 + 96 * (points - low) / np.maximum(high - low, 1e-9)
    marks = []
    images = _images(shown, chosen)
    for row, (x, y), image in zip(chosen.tolist(), points.tolist(), images, strict=True):
        card = f"{text(rows.names[row])}<br>cluster {labels[row]}, q {shown.confidence[row]:.2f}"
        if rows.texts:
            card += f"<br>{_excerpt(rows.texts[row], _ON_A_CARD)}"
        if shown.picture:
            card += f'<img alt="" loading="lazy" src="{shown.picture(image)}">'
        side = ' class="right"' if x > 60 else ""
        marks.append(
            f'<i{side} data-cluster="{labels[row]}" style="left:{x:.1f}%;top:{100 - y:.1f}%;'
            f'background:{color(labels[row])}"><span>{card}</span></i>'
        )
    for cluster in np.unique(labels[chosen]):
        x, y = np.median(points[labels[chosen] == cluster], axis=0)
        marks.append(f'<b style="left:{x:.1f}%;top:{100 - y:.1f}%">{cluster}</b>')
    count = f"{len(chosen):,} of {len(z):,} rows, drawn at random" if len(chosen) < len(z) else f"All {len(z):,} rows"
    note = f'<p class="note">{count}, laid out by t-SNE. Point at a row to see its name. Drag the map after a zoom.</p>'
    zoom = "".join(
        f'<button type="button" data-zoom="{factor}">{label}</button>'
        for factor, label in (("1.6", "Zoom in"), ("0.625", "Zoom out"), ("0", "Whole map"))
    )
    plane = f'<div class="plane">{"".join(marks)}</div>'
    return f'{note}<div class="bar">{zoom}</div>{_picks(shown)}<div class="map">{plane}</div>'


def _picks(shown):
    """Return one button per cluster. The buttons also serve as the legend."""
    buttons = "".join(
        f'<button type="button" data-pick="{cluster}">{name(cluster)}</button>' for cluster in range(shown.q.shape[1])
    )
    return f'<div class="bar" aria-label="Clusters">{buttons}</div>' if shown.q.shape[1] <= 40 else ""


def list_rows(shown):
    """Return a list of rows that the reader can sort, filter by cluster and download.

    Args:
        shown: `deckeras.report.Shown`.
    """
    chosen, note = _choose(shown)
    clusters = "".join(f'<option value="{cluster}">cluster {cluster}</option>' for cluster in range(shown.q.shape[1]))
    controls = f'<select id="choice" aria-label="Cluster"><option value="">all clusters</option>{clusters}</select>'
    if shown.picture:
        controls += (
            '<select id="order" aria-label="Order"><option value="down">most confident first</option>'
            '<option value="up">least confident first</option></select>'
        )
    controls += '<button type="button" id="download">Download the shown rows (CSV)</button>'
    controls += f'<span class="note" id="count">{len(chosen):,} shown</span>'
    listed = _figures if shown.picture else _documents if shown.rows.texts else _lines
    items = listed(shown, chosen)
    return f'<p class="note">{note}</p><div class="bar">{controls}</div><div id="list">{items}</div>'


def _choose(shown):
    """Return (the rows of the list, with the most confident of each cluster first; a sentence about them)."""
    order = np.lexsort((-shown.confidence, shown.labels))
    n, n_clusters = shown.q.shape
    if n <= _MAX_ALL and not shown.picture:
        return order, f"All {n:,} rows, the most confident of each cluster first."
    each = max(2, min(_EXTREMES, _MAX_LISTED // (2 * n_clusters)))
    bounds = np.searchsorted(shown.labels[order], np.arange(n_clusters + 1))
    parts = []
    for start, end in itertools.pairwise(bounds):
        members = order[start:end]
        parts.append(members if len(members) <= 2 * each else np.concatenate([members[:each], members[-each:]]))
    note = f"The {each} most confident and the {each} least confident rows of each cluster."
    return np.concatenate(parts), note


def _figures(shown, chosen):
    rows = shown.rows
    return "".join(
        f'<figure data-cluster="{shown.labels[row]}" data-q="{shown.confidence[row]:.4f}" '
        f'data-name="{text(rows.names[row])}"><img class="row" loading="lazy" alt="{text(rows.names[row])}" '
        f'title="{text(rows.names[row])}" src="{shown.picture(image)}"><br>'
        f"{name(shown.labels[row])} {shown.confidence[row]:.2f}</figure>"
        for row, image in zip(chosen.tolist(), _images(shown, chosen), strict=True)
    )


def draw_sheets(shown):
    """Return a contact sheet for each cluster, with its most confident photographs at a recognizable size.

    Args:
        shown: `deckeras.report.Shown`.

    Returns:
        str, HTML; "" if rows are not pictures of at least 48 pixels a side.
    """
    shape = shown.rows.layout.image_shape
    if shape is None or min(shape[:2]) < _MIN_SIDE:
        return ""
    n_clusters = shown.q.shape[1]
    each = max(2, min(_ON_A_SHEET, _MAX_ON_SHEETS // n_clusters))
    order = np.lexsort((-shown.confidence, shown.labels))
    bounds = np.searchsorted(shown.labels[order], np.arange(n_clusters + 1))
    sheets = []
    for cluster, (start, end) in enumerate(itertools.pairwise(bounds)):
        members = order[start : min(end, start + each)]
        images = "".join(
            f'<img class="photograph" loading="lazy" alt="{text(shown.rows.names[row])}" '
            f'title="{text(shown.rows.names[row])}, q {shown.confidence[row]:.2f}" '
            f'src="{shown.picture(image, PHOTOGRAPH)}">'
            for row, image in zip(members.tolist(), _images(shown, members), strict=True)
        )
        sheets.append(f'<h3 data-cluster="{cluster}">{name(cluster)} <small>{end - start:,} rows</small></h3>')
        sheets.append(f'<div class="sheet" data-cluster="{cluster}">{images}</div>')
    note = f'<p class="note">The photographs of which each cluster is most confident, up to {each}.</p>'
    return note + "".join(sheets)


def _images(shown, chosen):
    """Yield the chosen rows. They are read a few at a time; several threads read photographs from their files."""
    for start in range(0, len(chosen), _READ_TOGETHER):
        part = chosen[start : start + _READ_TOGETHER]
        yield from shown.rows.x[part] if shown.picture else itertools.repeat(None, len(part))


def _excerpt(document, length=_EXCERPT):
    """Return the beginning of a text as HTML."""
    return text(textwrap.shorten(document, length, placeholder=" ..."))


def _documents(shown, chosen):
    cells = [[("words", _excerpt(shown.rows.texts[row]))] for row in chosen.tolist()]
    return _table(shown, chosen, [("words", "text")], cells)


def _lines(shown, chosen):
    rows, places = shown.rows, np.arange(len(shown.features))
    if len(places) > _MAX_COLUMNS:
        places = shown.telling[:_MAX_COLUMNS]
    part = rows.x[chosen][:, places]
    values = part.toarray() if hasattr(part, "toarray") else np.asarray(part).reshape(len(chosen), -1)
    hidden = len(shown.features) - len(places)
    note = f"The features that differ most between clusters; {hidden:,} more are not shown."
    note = f'<p class="note">{note}</p>' if hidden else ""
    header = [text(shown.features[place]) for place in places.tolist()]
    return _table(shown, chosen, header, values.astype("float64").tolist()) + note


def _table(shown, chosen, header, cells):
    """Return a list of rows as a table with additional columns, given by their header and a list of cells per row."""
    second, lines = shown.second, []
    for row, further in zip(chosen.tolist(), cells, strict=True):
        own = [text(shown.rows.names[row]), name(shown.labels[row]), f"{shown.confidence[row]:.3f}"]
        own += ["" if second is None else str(second[row])]
        lines.append((f' data-cluster="{shown.labels[row]}"', [*own, *further]))
    header = ["row", "cluster", "q", "next cluster", *header]
    return f'<div class="wide">{table(header, lines, sortable=True)}</div>'
