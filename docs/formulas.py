"""Draw formulas as SVG when the pages are built, so that they need no JavaScript, no network and no fonts."""

from xml.etree import ElementTree

import ziamath
from docutils import nodes
from sphinx.util import logging

_log = logging.getLogger(__name__)
_SIZE = 16  # pixels, which the text has


def svg(formula, *, inline):
    """Return the SVG of a formula in LaTeX. It has the color and the size of the text, and its LaTeX as its name."""
    ziamath.config.svg2 = False  # Each glyph is drawn where it stands. Shared symbols would depend on other formulas.
    drawn = ziamath.Latex(formula, size=_SIZE, inline=inline, color="currentColor").svgxml()
    _, top, width, height = (float(number) / _SIZE for number in drawn.get("viewBox").split())
    baseline = f"; vertical-align: {-(top + height):.3f}em" if inline else ""
    drawn.attrib |= {"role": "img", "aria-label": formula, "style": f"width: {width:.3f}em{baseline}"}
    del drawn.attrib["width"], drawn.attrib["height"]
    return ElementTree.tostring(drawn, encoding="unicode")


def _drawn(node, *, inline):
    """Return the SVG of a node, or its LaTeX, with a warning, if it cannot be drawn."""
    formula = " ".join(node.astext().split())
    try:
        return svg(formula, inline=inline)
    except Exception as error:  # of any kind, from two libraries
        _log.warning("The formula %r cannot be drawn: %s", formula, error, location=node)
        return f"<code>{node.astext()}</code>"


def _inline(translator, node):
    translator.body.append(_drawn(node, inline=True))
    raise nodes.SkipNode


def _block(translator, node):
    translator.body.append(f'<div class="math">{_drawn(node, inline=False)}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("svg", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True}
