"""Link names of other libraries to their pages, by the pattern of their addresses, so that a build needs no network."""

from docutils import nodes

_PAGES = {
    "anndata": "https://anndata.readthedocs.io/en/stable/generated/{name}.html",
    "h5py": "https://docs.h5py.org/en/stable/high/{last}.html",
    "keras": "https://www.tensorflow.org/api_docs/python/tf/{path}",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{name}.html",
    "pandas": "https://pandas.pydata.org/docs/reference/api/{name}.html",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated/{name}.html",
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{name}.html",
    "tensorflow": "https://www.tensorflow.org/api_docs/python/tf/{below}",
}
_SHORT = {"np": "numpy", "pd": "pandas", "tf": "tensorflow"}


def address(name):
    """Return the address of the page of a class or function such as `keras.Model.compile`, or None if unknown."""
    first, *rest = name.split(".")
    first = _SHORT.get(first, first)
    if first not in _PAGES or not rest:
        return None
    *above, last = rest
    if not above and last.islower() and first in ("keras", "h5py"):
        return None  # a module
    name = ".".join([first, *rest])
    # Methods and attributes are on the page of their class.
    if above and above[-1][0].isupper():
        *rest, _ = rest
        anchor = f"#{last}" if first in ("keras", "tensorflow") else f"#{name}"
    else:
        anchor = ""
    parts = {"name": ".".join([first, *rest]), "last": rest[-1].lower(), "below": "/".join(rest)}
    return _PAGES[first].format(path="/".join([first, *rest]), **parts) + anchor


def _resolve(app, env, node, content):
    target = address(node.get("reftarget", "")) if node.get("refdomain") == "py" else None
    return target and nodes.reference("", "", content, internal=False, refuri=target)


def setup(app):
    app.connect("missing-reference", _resolve, priority=600)  # after our own names
    return {"parallel_read_safe": True}
