"""Build the site: `python -m sphinx -W --keep-going -b html docs build/docs`, from the root of the repository."""

import importlib.metadata
import os
import pathlib
import re
import sys

# autodoc imports TensorFlow, whose start-up messages are not warnings.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Four extensions are beside this file, and the modules of docs/api/experiments.md are in examples/paper.
sys.path.append(str(pathlib.Path(__file__).parent))
sys.path.append(str(pathlib.Path(__file__).parent.parent / "examples" / "paper"))

project = "deckeras"
copyright = "the deckeras authors"  # noqa: A001 - Sphinx calls it so
release = importlib.metadata.version("deckeras")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    # Beside this file.
    "docstrings",
    "elsewhere",
    "formulas",
    "gallery",
]
# The pages show the outputs that the notebooks hold. tests/test_notebooks.py runs them.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "attrs_inline", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False
html_math_renderer = "svg"
# Prompts are not copied.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"deckeras {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
# The names of the folders beside this site, each with a version of it, such as "0.2 0.1 dev"; none for one version.
html_context = {"versions": os.environ.get("DOCS_VERSIONS", "").split()}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "versions.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}

# `name` in a docstring becomes a link if there is such an object, else code.
default_role = "py:obj"
autodoc_member_order = "bysource"
# The docstrings of Keras are in Markdown.
autodoc_inherit_docstrings = False
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style"), "Input shape", "Output shape"]

# Files of the repository that are pages of the site.
_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "license.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "examples/paper/README.md": "paper.md",
    "weights/README.md": "weights.md",
    "deckeras/recipes/__init__.py": "api/recipes.md",
}


def _point_links_from_here(app, path, parent, content):
    """Make the links and images of an included README lead where they do in the README, or to its page here."""
    source = pathlib.Path(app.srcdir)
    folder = (source / path).resolve().parent

    def replaced(match):
        target = os.path.relpath(folder / match[1], source.parent)
        return f"]({_PAGES.get(target) or os.path.join('..', target)})"

    content[0] = re.sub(r"\]\(([^)#:]+)\)", replaced, content[0])


def setup(app):
    app.connect("include-read", _point_links_from_here)
