"""The documentation: its Python runs, its commands are accepted, its links are valid, and it builds."""

import inspect
import os
import pathlib
import re
import shlex
import subprocess
import sys
import warnings
from xml.etree import ElementTree

import elsewhere
import formulas
import pytest
from sphinx.util.inventory import InventoryFile

import deckeras
from deckeras import cli

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {page.relative_to(DOCS).as_posix(): page.read_text() for page in sorted(DOCS.rglob("*.md"))}
PAGES.pop("notebooks/index.md", None)  # which a build writes
# What some pages use besides deckeras, and not every machine has.
NEEDS = {
    "howto/text.md": ("keras_hub",),
    "howto/tracking.md": ("mlflow", "tensorboard"),
    "howto/tuning.md": ("optuna", "keras_tuner"),
}


def code(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


COMMANDS = [line for text in PAGES.values() for block in code(text, "bash") for line in block.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if code(text, "python")])
@pytest.mark.usefixtures("users_directory")
@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")  # trained too little
def test_python_runs(page):
    """The blocks of a page one after the other, with the small data of the user's directory.

    In this process, which has imported everything already: a process for each page would take minutes.
    """
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package)
        warnings.simplefilter("ignore", DeprecationWarning)  # of what the package uses, in its turn
    exec(compile("\n".join(code(PAGES[page], "python")), page, "exec"), {"__name__": "__main__"})  # noqa: S102


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_accepted(command, tmp_path, monkeypatch):
    """Where their files are missing, which is an error of another kind than a command that is not understood."""
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    assert program == "deckeras"
    assert cli.main(arguments) == 1


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)]+)\)", re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE))
    for link in links:
        path, _, anchor = link.partition("#")
        if not path.startswith("https://"):
            target = (DOCS / page).parent / path if path else DOCS / page
            assert target.is_file(), link
            assert not anchor or anchor in anchors(target.read_text()), link


def anchors(text):
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"(?m)^#+ (.+)$", text)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the pages, built without a warning and without a network."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "https_proxy": "http://127.0.0.1:9"}
    environment["DOCS_VERSIONS"] = "0.1 dev"
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def documented(site):
    """Dict from the documented names of Python to their addresses."""
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    kinds = {kind: items for kind, items in inventory.data.items() if kind.startswith("py:")}
    return {(kind, name): item.uri for kind, items in kinds.items() for name, item in items.items()}


def test_every_page_is_built(site):
    for page in [*PAGES, "notebooks/index.md"]:
        assert (site / page).with_suffix(".html").is_file()
    assert "mnist_embedding.png" in (site / "index.html").read_text()


def test_each_page_leads_to_the_other_versions(site):
    """Each version is a folder; they lie beside one another."""
    for page in "index.html", "howto/text.html", "api/files.html":
        folder = (site / page).parent
        links = re.findall(r'<li><a href="([^"]+)">(?:0.1|dev)</a></li>', (site / page).read_text())
        assert [(folder / link).resolve() for link in links] == [
            (site.parent / version / "index.html").resolve() for version in ("0.1", "dev")
        ]


def test_all_public_names_are_documented(documented):
    public = {name: getattr(deckeras, name) for name in deckeras.__all__}
    # Some modules have a short name besides their own.
    names = {found.__name__ if inspect.ismodule(found) else f"deckeras.{name}" for name, found in public.items()}
    assert names <= {name for _, name in documented}


def test_the_index_has_a_line_for_each_function(site, documented):
    index = (site / "api" / "index.html").read_text()
    pages = ("autoencoders", "datasets", "metrics", "models", "plots", "recipes", "scaling", "selection")
    for (kind, name), address in documented.items():
        if kind in ("py:class", "py:function") and pathlib.Path(address.partition("#")[0]).stem in pages:
            assert f"#{address.partition('#')[2].replace('$', name)}" in index, name
    summaries = re.findall(r"</code></a></p></td>\s*<td><p>(.*?)</p></td>", index)
    assert len(summaries) > 50
    assert all(re.sub("<.*?>", "", summary).strip() for summary in summaries)


def test_pages_need_no_network(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link)[^>]*(?:src|href)=\"(https?:[^\"]*)", page.read_text())
        assert not [address for address in loaded if not address.endswith(".html")], page


def test_notebooks_are_shown_with_their_outputs(site):
    for path in (ROOT / "examples" / "notebooks").glob("*.ipynb"):
        page = (site / "notebooks" / f"{path.stem}.html").read_text()
        assert "cell_output" in page
        assert f'href="{path.stem}.html"' in (site / "notebooks" / "index.html").read_text()
    assert 'href="notebooks/quick_start.html"' in (site / "index.html").read_text()


def test_formulas_are_drawn(site):
    page = (site / "method.html").read_text()
    assert page.count("<svg:svg") + page.count("<svg xmlns") > 50
    assert 'aria-label="q_{ij}"' in page
    assert "$" not in re.sub(r"<script.*?</script>|aria-label=\".*?\"", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("formula", ["f_\\theta", "\\begin{aligned}a &= b \\\\ c &= d\\end{aligned}", "x < y"])
def test_a_formula(formula, inline):
    drawn = ElementTree.fromstring(formulas.svg(formula, inline=inline))  # noqa: S314
    assert drawn.get("aria-label") == formula
    assert ("vertical-align: -" in drawn.get("style")) == inline
    assert "currentColor" in ElementTree.tostring(drawn, "unicode")
    assert not list(drawn.iter("{http://www.w3.org/2000/svg}symbol"))


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("keras.Model", "/tf/keras/Model"),
        ("keras.Model.compile", "/tf/keras/Model#compile"),
        ("keras.callbacks.History", "/tf/keras/callbacks/History"),
        ("tf.data.Dataset", "/tf/data/Dataset"),
        ("np.memmap", "/generated/numpy.memmap.html"),
        ("sklearn.cluster.KMeans", "/generated/sklearn.cluster.KMeans.html"),
        ("sklearn.cluster.KMeans.fit", "/generated/sklearn.cluster.KMeans.html#sklearn.cluster.KMeans.fit"),
        ("h5py.Dataset", "/high/dataset.html"),
        ("keras.distribution", None),
        ("keras", None),
        ("x", None),
        ("deckeras.DEC", None),
    ],
)
def test_links_to_other_libraries(name, end):
    found = elsewhere.address(name)
    assert found is None if end is None else found.startswith("https://") and found.endswith(end)
