"""Show the notebooks of examples/: their pages as stored, and a gallery of them.

The pages are copied into docs/notebooks, which Git ignores. Links to the notebooks lead to these pages.
"""

import base64
import json
import pathlib
import re
import shutil

_LINK = re.compile(r"\]\((?:\.\./)*examples/notebooks/(\w+)\.ipynb\)")


def card(path):
    """Return the gallery's entry for the notebook at `path`: its title, what it says of itself, its last picture."""
    cells = json.loads(path.read_text())["cells"]
    title, _, text, *_ = "".join(cells[0]["source"]).split("\n\n")
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    text, _, _ = text.partition(" The first cell installs")  # which all of them say
    return title.removeprefix("# "), text, base64.b64decode("".join(pictures[-1])) if pictures else None


def write(source, folder):
    """Copy the notebooks in `source` to `folder`, with a page `index.md` that shows them all."""
    folder.mkdir(exist_ok=True)
    lines, names = ["# Notebooks\n\nThese notebooks also run in Colab.\n"], []
    for path in sorted(source.glob("*.ipynb")):
        shutil.copy(path, folder)
        title, text, picture = card(path)
        names.append(path.stem)
        lines.append(f"## [{title}]({path.name})\n\n{text}\n")
        if picture:
            (folder / f"{path.stem}.png").write_bytes(picture)
            lines.append(f"```{{image}} {path.stem}.png\n:alt: {title}\n:target: {path.stem}.html\n```\n")
    lines.append("```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```\n")
    (folder / "index.md").write_text("\n".join(lines))


def _prepare(app):
    docs = pathlib.Path(app.srcdir)
    write(docs.parent / "examples" / "notebooks", docs / "notebooks")


def _point_to_pages(app, name, content):
    content[0] = _LINK.sub(r"](/notebooks/\1.ipynb)", content[0])


def setup(app):
    app.connect("config-inited", lambda app, config: _prepare(app))
    app.connect("source-read", _point_to_pages)
    app.connect("include-read", lambda app, path, parent, content: _point_to_pages(app, path, content), priority=600)
    return {"parallel_read_safe": True}
