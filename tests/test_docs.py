"""The documentation: its Python runs, its commands are accepted, its links are valid, and it builds."""

import inspect
import os
import pathlib
import re
import shlex
import subprocess
import sys
import warnings

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
    "howto/tracking.md": ("mlflow", "tensorboard"),
    "howto/tuning.md": ("optuna", "keras_tuner"),
}


def code(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


COMMANDS = [line for text in PAGES.values() for block in code(text, "bash") for line in block.splitlines()]


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


def test_every_page_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path)]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    for page in PAGES:
        assert (tmp_path / page).with_suffix(".html").is_file()
    assert "mnist_embedding.png" in (tmp_path / "index.html").read_text()
    inventory = InventoryFile.loads((tmp_path / "objects.inv").read_bytes(), uri="")
    documented = {name for kind, names in inventory.data.items() if kind.startswith("py:") for name in names}
    public = {name: getattr(deckeras, name) for name in deckeras.__all__}
    # Some modules have a short name besides their own.
    names = {found.__name__ if inspect.ismodule(found) else f"deckeras.{name}" for name, found in public.items()}
    assert names <= documented
