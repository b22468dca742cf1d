"""Build the HTML of a report: the page with its style and script, and tables, numbers and pictures."""

import base64
import html
import importlib.resources
import io
import math
import re

import numpy as np

from deckeras.plots import drawing

_MAX_SIDE = 56  # the largest side in pixels of the picture of a row
_WIDTH, _STEPS = 112, 32  # width in pixels and number of points of the picture of a series
PHOTOGRAPH = 160  # the largest side in pixels of a picture on a contact sheet


def page(title, sections):
    """Return a self-contained HTML page.

    Args:
        title: str.
        sections: pairs (heading, HTML). Sections without HTML are left out.
    """
    files = importlib.resources.files("deckeras.report")
    style, script = (files.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    sections = [(heading, content) for heading, content in sections if content]
    links = "".join(f'<li><a href="#{anchor(heading)}">{text(heading)}</a></li>' for heading, _ in sections)
    body = "".join(
        f'<section id="{anchor(heading)}"><h2>{text(heading)}</h2>{content}</section>\n'
        for heading, content in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>\n<body>'
        f'<header><h1>{text(title)}</h1><button id="theme" type="button">Light or dark</button></header>'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>{body}</main>\n'
        f"<script>{script}</script></body></html>\n"
    )


def anchor(heading):
    """Return the name that links use for a section, such as "rows" for "Rows of each cluster"."""
    return (
        re.sub(r"[^a-z]+.*", "", heading.lower()) if heading.startswith("Rows") else heading.lower().replace(" ", "-")
    )


def table(header, lines, *, sortable=False, kind=""):
    """Return a table as HTML.

    Args:
        header: list of cells, empty for no header. A cell is HTML, a number, or a pair (class, HTML).
        lines: list of lists of cells, or of pairs (attributes, list of cells).
        sortable: bool, default False. Whether clicking a column name sorts the lines.
        kind: str, additional CSS classes of the table, default none.
    """
    top = f"<thead><tr>{''.join(_cell(cell, 'th') for cell in header)}</tr></thead>" if header else ""
    pairs = [line if isinstance(line, tuple) else ("", line) for line in lines]
    body = "".join(f"<tr{attributes}>{''.join(map(_cell, cells))}</tr>" for attributes, cells in pairs)
    names = " ".join(filter(None, ["sortable" if sortable else "", kind]))
    attribute = f' class="{names}"' if names else ""
    return f"<table{attribute}>{top}<tbody>{body}</tbody></table>"


def _cell(cell, tag="td"):
    """Return a table cell as HTML. Numbers keep all their digits for sorting and downloads."""
    if isinstance(cell, tuple):
        return f'<{tag} class="{cell[0]}">{cell[1]}</{tag}>'
    if isinstance(cell, int | float):
        return f'<{tag} data-value="{cell!r}">{number(cell)}</{tag}>'
    return f"<{tag}>{cell}</{tag}>"


def number(value):
    """Return a number as text with four digits and commas between thousands, rather than as 1.07e+04.

    Args:
        value: int or float.

    Example:
        >>> from deckeras.report import html_page
        >>> [html_page.number(value) for value in (10744.2, 0.123456, 7, 1500000.0, -0.00002, 2.5e12)]
        ['10,744', '0.1235', '7', '1,500,000', '-0.00002', '2.5 × 10¹²']
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if not -6 <= exponent < 12:
        raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{value / 10.0**exponent:.4g} × 10{raised}"
    shown = f"{value:,.{max(0, 3 - exponent)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def text(value):
    """Return a value as escaped HTML."""
    return html.escape(str(value))


def color(cluster):
    """Return the color of a cluster."""
    return drawing.COLORS[cluster % len(drawing.COLORS)]


def name(cluster, *, pick=False):
    """Return the number of a cluster next to a dot of its color. With `pick`, it is a button that shows its rows."""
    dot = f'<span class="dot" style="background:{color(cluster)}"></span>{cluster}'
    return f'<button type="button" class="pick" data-pick="{cluster}">{dot}</button>' if pick else dot


def pictures(rows):
    """Return a function from a row to its picture, as the source of an <img>, or None if rows are not images."""
    shape = rows.layout.image_shape
    if shape is None:
        return None
    if rows.x.dtype == np.uint8:
        low, high = 0.0, 255.0
    else:
        low, high = min(0.0, float(np.min(rows.x))), float(np.max(rows.x))
    scale = 255 / max(high - low, 1e-9)
    return lambda image, side=_MAX_SIDE: _encoded((np.asarray(image).reshape(shape) - low) * scale, side)


def curves(rows, shape):
    """Return a function from a flat row to the picture of its series, with one line per channel.

    Args:
        rows: `deckeras.files.Rows`, flat.
        shape: (time, channels).
    """
    # A range that includes extreme values would flatten the lines.
    low, high = np.quantile(rows.x[:: max(1, len(rows.x) // 1000)], [0.005, 0.995])
    steps = np.linspace(0, shape[0] - 1, min(shape[0], _STEPS)).round().astype(int)
    across = np.linspace(1, _WIDTH - 1, len(steps))

    def draw(row):
        values = np.asarray(row, "float64").reshape(shape)[steps]
        down = (1 + (_MAX_SIDE - 2) * (1 - (values - low) / max(high - low, 1e-9))).clip(0, _MAX_SIDE)
        lines = "".join(
            f'<polyline stroke="{color(channel)}" points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in points)}"/>'
            for channel, points in enumerate(zip(across, line, strict=True) for line in down.T)
        )
        picture = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_MAX_SIDE}" fill="none">{lines}</svg>'
        )
        return f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"

    return draw


def _encoded(image, side):
    """Return the picture of a row as the source of an <img>."""
    from PIL import Image

    image = np.asarray(np.clip(image, 0, 255), "uint8")
    colors = image.ndim == 3 and image.shape[-1] in (3, 4)
    picture = Image.fromarray(image[..., :3] if colors else image.reshape((*image.shape[:2], -1))[..., 0])
    picture.thumbnail((side, side))
    # With lossless compression, 2,000 color pictures would take 30 MB.
    file, kind = io.BytesIO(), "jpeg" if colors else "png"
    picture.save(file, kind)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def svg(figure):
    """Return a Matplotlib figure as HTML, with a transparent background."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True)
    drawn = file.getvalue()
    return f'<div class="plot">{drawn[drawn.index("<svg") :]}</div>'


def heat(header, names, values, shades, write):
    """Return a table with shaded cells.

    Args:
        header: list of HTML.
        names: list of HTML, the first cell of each line.
        values: (n_lines, n_columns) array of the written values.
        shades: array of the same shape, from 0 (none) to 1.
        write: function from a value to text.
    """
    lines = [
        [line]
        + [
            f'<span style="background:rgba(63,144,218,{opacity:.2f})">{write(value)}</span>'
            for value, opacity in zip(row, shade, strict=True)
        ]
        for line, row, shade in zip(names, values, shades, strict=True)
    ]
    return f'<div class="wide">{table(header, lines, kind="heat")}</div>'
