"""The report of a run: one HTML file that needs nothing else, neither a server nor the network nor a script."""

import base64
import html
import io
import math

import numpy as np

from deckeras import labels as labelling
from deckeras import metrics, plots, projection

_POINTS = 2000  # of the map; more would hide each other, and make the file slow
_SHOWN = 12  # surest and least certain rows of each cluster
_SIDE = 56  # pixels at most of the picture of a row
_COLUMNS = 12  # of a table, in the lists of rows
_UNSURE = 0.5  # below this q, more of a row lies outside its cluster than inside
_OVERLAP = 0.25  # from this mean q of another cluster, two clusters are hardly apart

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ccc}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
table{border-collapse:collapse;margin:.6rem 0}
th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid #e4e4e4}
th:first-child,td:first-child,.facts td{text-align:left}th{font-weight:600}
.wide{overflow-x:auto}.note{color:#555}.warning{background:#fff3d6;border-left:4px solid #e76300;padding:.4rem .8rem}
pre{background:#f4f4f4;padding:.6rem;overflow-x:auto;white-space:pre-wrap}
.map{position:relative;width:100%;max-width:46rem;aspect-ratio:1;border:1px solid #ccc;margin:.6rem 0}
.map i{position:absolute;width:8px;height:8px;margin:-4px;border-radius:50%;opacity:.75}
.map i:hover{z-index:2;opacity:1;outline:2px solid #222}
.map i span{display:none}.map i:hover span{display:block;position:absolute;left:14px;top:-6px;background:#fff;
border:1px solid #666;padding:.2rem .5rem;font-style:normal;font-size:13px;white-space:nowrap;color:#222}
.map b{position:absolute;transform:translate(-50%,-50%);font-size:15px;text-shadow:0 0 3px #fff,0 0 3px #fff;z-index:1}
img.row{image-rendering:pixelated;height:48px;border:1px solid #ddd;margin:0 2px 2px 0;background:#fff}
.map img{image-rendering:pixelated;height:56px;display:block}
figure{display:inline-block;margin:0 4px 6px 0;text-align:center;font-size:12px;color:#555}
svg{max-width:100%;height:auto}.dot{display:inline-block;width:.8em;height:.8em;border-radius:50%;margin-right:.4em}
@media print{.map i span{display:none!important}h2{break-after:avoid}}
"""


def make(run, rows, q, z, centroids=None, history=None):
    """Write the report of a run.

    Args:
        run: dict about the run, of which these keys are used where there are any: "title", "facts" (dict from what to
            how), "command", "versions" (dict), "warnings" (list of str).
        rows: `deckeras.files.Rows`, what was clustered.
        q: (n, n_clusters) soft assignments.
        z: (n, n_embedding) embedding.
        centroids: (n_clusters, ...) array, the centroids decoded to the space of the rows, default None.
        history: dict from name to list, as `History.history` of `DEC.fit`, default None.

    Returns:
        str, an HTML page with all its pictures in it.
    """
    labels, picture = q.argmax(axis=1), _pictures(rows)
    sections = [
        ("Run", _facts(run)),
        ("Warnings", _warnings(run.get("warnings", []), q, labels)),
        ("Clusters", _clusters(q, labels)),
        ("Scores", _scores(rows.labels, labels)),
        ("Training", _training(history)),
        ("Map of the embedding", _map(rows, q, z, labels, picture)),
        ("Rows of each cluster", _members(rows, q, labels, picture)),
        ("Centroids", _centroids(rows, centroids, picture)),
        ("Overlap between clusters", _overlap(q, labels)),
        ("How to make it again", _again(run)),
    ]
    title = html.escape(run.get("title", "Clusters"))
    body = "".join(f"<section><h2>{heading}</h2>{content}</section>\n" for heading, content in sections if content)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n{body}</body></html>\n"
    )


def _facts(run):
    lines = [[_text(name), _text(value)] for name, value in run.get("facts", {}).items()]
    return f'<div class="facts">{_table(["", ""], lines, head=False)}</div>'


def _warnings(given, q, labels):
    found = [_text(warning) for warning in given]
    sure = q.max(axis=1)
    unsure = float(np.mean(sure < _UNSURE))
    if unsure > 0.2:
        found.append(
            f"{unsure:.0%} of the rows are unsure: no cluster has half of them. Fewer clusters may fit better."
        )
    mean = _mean_q(q, labels)
    for one, other in zip(*np.nonzero(mean >= _OVERLAP), strict=True):
        if one != other:
            found.append(f"Rows of cluster {one} belong to cluster {other} by {mean[one, other]:.0%}: the two overlap.")
    return "".join(f'<p class="warning">{warning}</p>' for warning in found) or "<p>None.</p>"


def _clusters(q, labels):
    sizes = metrics.cluster_sizes(labels, q.shape[1])
    sure = q.max(axis=1)
    lines = []
    for cluster, size in enumerate(sizes):
        own = sure[labels == cluster]
        numbers = [f"{own.mean():.3f}", f"{np.mean(own < _UNSURE):.1%}"] if size else ["", ""]
        lines.append([_name(cluster), f"{size:,}", f"{size / len(q):.1%}", *numbers])
    return _table(["cluster", "rows", "share", "mean q", f"rows with q below {_UNSURE}"], lines)


def _scores(y, labels):
    if y is None:
        return ""
    known = labelling.present(y)
    if not known.any():
        return ""
    y, labels = np.array(y[known].tolist()), labels[known]
    scores = metrics.scores(y, labels)
    numbers = [f"{100 * scores[key]:.2f}" for key in ("acc", "nmi", "ari")]
    table = _table(["", "ACC (%)", "NMI (%)", "ARI (%)"], [["against the labels", *numbers]])
    note = '<p class="note">The labels had no part in the training.</p>'
    if len(np.unique(y)) <= 40:
        return table + note + _svg(plots.confusion_matrix(y, labels))
    return table + note


def _training(history):
    if not history or not history.get("loss"):
        return ""
    if len(history["loss"]) == 1:
        return f"<p>One update of the target, after which {history['changed'][0]:.2%} of the rows changed cluster.</p>"
    return _svg(plots.training_curves(history))


def _map(rows, q, z, labels, picture):
    """Points as HTML elements, since those of an SVG could not come to the front when the mouse is over them."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(z))[:_POINTS])
    if len(chosen) < 4:
        return ""
    points = projection.plane(z[chosen])
    low, high = points.min(axis=0), points.max(axis=0)
    points = 2 + 96 * (points - low) / np.maximum(high - low, 1e-9)
    marks = []
    for row, (x, y) in zip(chosen, points, strict=True):
        card = f"{_text(rows.names[row])}<br>cluster {labels[row]}, q {q[row].max():.2f}"
        if picture:
            card += f'<img alt="" src="{picture(rows.x[row])}">'
        marks.append(
            f'<i style="left:{x:.1f}%;top:{100 - y:.1f}%;background:{_colour(labels[row])}"><span>{card}</span></i>'
        )
    for cluster in np.unique(labels[chosen]):
        x, y = np.median(points[labels[chosen] == cluster], axis=0)
        marks.append(f'<b style="left:{x:.1f}%;top:{100 - y:.1f}%">{cluster}</b>')
    count = f"{len(chosen):,} of {len(z):,} rows, drawn at random" if len(chosen) < len(z) else f"All {len(z):,} rows"
    note = f'<p class="note">{count}, laid out by t-SNE. Point at one to see which it is.</p>'
    return f'{note}<div class="map">{"".join(marks)}</div>'


def _members(rows, q, labels, picture):
    parts = []
    surest = metrics.surest_rows(q, _SHOWN)
    for cluster, sure in enumerate(surest):
        members = np.flatnonzero(labels == cluster)
        unsure = members[np.argsort(q[members, cluster], kind="stable")][:_SHOWN]
        if not len(members):
            continue
        parts.append(f"<h3>{_name(cluster)}</h3>")
        parts.append(f"<p class=note>Surest</p>{_list(rows, q, sure, picture)}")
        if len(members) > _SHOWN:
            parts.append(f"<p class=note>Least certain</p>{_list(rows, q, unsure, picture)}")
    return "".join(parts)


def _list(rows, q, chosen, picture):
    if picture:
        return "".join(
            f'<figure><img class="row" alt="{_text(rows.names[row])}" title="{_text(rows.names[row])}" '
            f'src="{picture(rows.x[row])}"><br>{q[row].max():.2f}</figure>'
            for row in chosen
        )
    second = np.argsort(q, axis=1)[:, -2] if q.shape[1] > 1 else None
    features = _features(rows)[:_COLUMNS]
    values = _dense(rows.x[chosen])[:, : len(features)]
    lines = [
        [_text(rows.names[row]), f"{q[row].max():.3f}", "" if second is None else str(second[row])]
        + [f"{value:.4g}" for value in numbers]
        for row, numbers in zip(chosen, values, strict=True)
    ]
    hidden = len(_features(rows)) - len(features)
    note = f'<p class="note">and {hidden} more features</p>' if hidden else ""
    return f'<div class="wide">{_table(["row", "q", "next cluster", *map(_text, features)], lines)}{note}</div>'


def _centroids(rows, centroids, picture):
    if centroids is None:
        return ""
    centroids = np.asarray(centroids)
    note = '<p class="note">Decoded from the embedding back to the space of the rows.</p>'
    if picture:
        return note + "".join(
            f'<figure><img class="row" alt="cluster {cluster}" src="{picture(centroid)}"><br>{cluster}</figure>'
            for cluster, centroid in enumerate(centroids)
        )
    features = _features(rows)
    spread = np.maximum(_spread(rows.x), 1e-12)
    mean = np.asarray(rows.x.mean(axis=0)).ravel()
    telling = np.argsort(-np.ptp(centroids, axis=0) / spread, kind="stable")[: 2 * _COLUMNS]
    header = ["feature", "mean of all rows", *(str(cluster) for cluster in range(len(centroids)))]
    lines = [
        [_text(features[feature]), f"{mean[feature]:.4g}", *(f"{centroid[feature]:.4g}" for centroid in centroids)]
        for feature in telling
    ]
    hidden = len(features) - len(telling)
    more = f'<p class="note">The features that differ most between them; {hidden} more.</p>' if hidden else ""
    return f'{note}<div class="wide">{_table(header, lines)}</div>{more}'


def _overlap(q, labels):
    if q.shape[1] > 40:
        return ""
    mean = _mean_q(q, labels)
    lines = []
    for cluster, values in enumerate(mean):
        if np.isnan(values).any():
            continue
        shades = [
            f'<span style="background:rgba(63,144,218,{value:.2f});padding:.1rem .3rem">{value:.3f}</span>'
            for value in values
        ]
        lines.append([_name(cluster), *shades])
    note = '<p class="note">Mean q of the rows of one cluster (line) for each cluster (column).</p>'
    return f'{note}<div class="wide">{_table(["", *map(str, range(len(mean)))], lines)}</div>'


def _again(run):
    versions = ", ".join(f"{name} {version}" for name, version in run.get("versions", {}).items())
    command = f"<pre>{_text(run['command'])}</pre>" if run.get("command") else ""
    return f"{command}<p>{_text(versions)}</p>"


def _mean_q(q, labels):
    """(n_clusters, n_clusters) mean q of the rows of each cluster; NaN for an empty one."""
    means = np.full((q.shape[1], q.shape[1]), np.nan)
    for cluster in np.unique(labels):
        means[cluster] = q[labels == cluster].mean(axis=0)
    return means


def _table(header, lines, *, head=True):
    top = f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in header)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def _text(value):
    return html.escape(str(value))


def _colour(cluster):
    return plots.COLOURS[cluster % len(plots.COLOURS)]


def _name(cluster):
    return f'<span class="dot" style="background:{_colour(cluster)}"></span>{cluster}'


def _pictures(rows):
    """Function of a row that gives its picture, as the source of an <img>; None where rows are no images."""
    if rows.layout.image_shape is None:
        return None
    largest = 255.0 if rows.x.dtype == np.uint8 else max(float(np.max(rows.x)), 1e-9)
    return lambda image: _png(np.asarray(image).reshape(rows.layout.image_shape) / largest * 255)


def _png(image):
    from PIL import Image

    image = np.asarray(np.clip(image, 0, 255), "uint8")
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    file = io.BytesIO()
    picture = Image.fromarray(image)
    picture.thumbnail((_SIDE, _SIDE))
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _svg(figure):
    file = io.StringIO()
    figure.savefig(file, format="svg")
    text = file.getvalue()
    return text[text.index("<svg") :]


def _features(rows):
    return rows.features or [str(number) for number in range(math.prod(rows.x.shape[1:]))]


def _dense(x):
    return x.toarray() if hasattr(x, "toarray") else np.asarray(x).reshape(len(x), -1)


def _spread(x):
    """Standard deviation of each feature, of dense or sparse rows."""
    from sklearn.preprocessing import StandardScaler

    return np.sqrt(StandardScaler(with_mean=False).fit(x).var_)
