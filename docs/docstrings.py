"""Convert docstrings to reStructuredText. They have Google's sections, Markdown's code and tables, and LaTeX.

    `name`              a link if there is such an object, else code
    $...$, $$...$$      formulas
    | a | b |           tables; text in columns with two or more spaces between them is unchanged

The characters `*`, `|` and a final `_`, which reStructuredText would interpret, are escaped.
"""

import inspect
import re

from sphinx.util.nodes import make_refnode

_TOKEN = re.compile(
    r"(?P<code>`[^`]+`)|\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$]+)\$|(?P<special>[*|]|(?<=\w)_(?!\w))", re.DOTALL
)
_NAME = re.compile(r"`[A-Za-z_][\w.]*`")
_ARGUMENT = re.compile(r"(?m)^\s*\*{1,2}(?=\w+:)")  # `**kwargs:`, which napoleon knows


def to_rest(text):
    """Return the docstring `text` as reStructuredText."""
    paragraphs = re.split(r"(\n\s*\n)", text)
    return "".join(_paragraph(paragraph) for paragraph in paragraphs)


def _paragraph(text):
    first, lines = text.lstrip(), text.split("\n")
    if first.startswith(">>>"):
        return text
    if ">>>" in text:  # after a heading such as `Example:`
        heading, code = text.split(">>>", 1)
        return f"{_inline(heading)}>>>{code}"
    if first.startswith("|") and "|---" in text:
        return _table([line.strip() for line in lines])
    if not first.startswith("$$") and any(re.search(r"\S {2,}\S", line) for line in lines):
        return ".. code-block:: text\n\n" + "\n".join(f"    {line}" for line in lines)
    return _inline(text)


def _inline(text):
    stars = [match.span() for match in _ARGUMENT.finditer(text)]

    def replaced(match):
        if match["code"]:
            return match[0] if _NAME.fullmatch(match[0]) else f"`{match[0]}`"
        if match["display"]:
            indent = re.search(r"[^\n]*$", text[: match.start()])[0]
            formula = " ".join(match["display"].split())
            return f".. math:: {formula}\n{indent if not indent.strip() else ''}"
        if match["inline"]:
            return f":math:`{' '.join(match['inline'].split())}`"
        if any(start <= match.start() < end for start, end in stars):
            return match[0]
        return f"\\{match[0]}"

    return _TOKEN.sub(replaced, text)


def _table(lines):
    rows = [[_inline(cell.strip()) for cell in line.strip("|").split("|")] for line in lines if "|---" not in line]
    listed = [
        "\n".join(f"   {'* -' if i == 0 else '  -'} {'–' if cell == '-' else cell}" for i, cell in enumerate(row))
        for row in rows
    ]
    return ".. list-table::\n   :header-rows: 1\n\n" + "\n".join(listed)


def _process(app, what, name, thing, options, lines):
    lines[:] = to_rest("\n".join(lines)).split("\n")


def _signature(app, what, name, thing, options, signature, returns):
    """Show the signature of `__init__`, since Keras's classes have a `__new__` that takes any arguments."""
    if what != "class":
        return None
    parameters = list(inspect.signature(thing.__init__).parameters.values())[1:]
    shown = str(inspect.Signature([each.replace(annotation=each.empty) for each in parameters]))
    return re.sub(r"<function (\w+) at \w+>", r"\1", shown), None


def _resolve(app, env, node, content):
    """Resolve `DEC.fit` and the like as names of `deckeras`, in whichever module they are mentioned."""
    domain = env.domains["py"]
    found = domain.objects.get(f"deckeras.{node.get('reftarget')}") if node.get("refdomain") == "py" else None
    return found and make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, content)


def setup(app):
    app.connect("autodoc-process-docstring", _process, priority=400)  # before napoleon, at 500
    app.connect("autodoc-process-signature", _signature)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
