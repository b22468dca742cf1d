"""The rooms of the package: each imports only from rooms before it in a list, and no two files import each other."""

import ast
import graphlib
import pathlib

import pytest

import deckeras

ROOT = pathlib.Path(deckeras.__file__).parent

# From the ground up. A room is a file or a folder of the package; what is further down knows nothing of what is above.
ROOMS = [
    "_extras",
    "_typing",
    "_warnings",
    "_tensors",
    "layers",
    "sources",
    "_data",
    "target",
    "metrics",
    "distribution",
    "autoencoders",
    "datasets",
    "files",
    "plots",
    "_train",
    "augmentation",
    "initialization",
    "recipes",
    "baseline",
    "pretraining",
    "models",
    "features",
    "scaling",
    "verdict",
    "selection",
    "estimator",
    "report",
    "_records",
    "runs",
    "cli",
    "__main__",
]


def imports(path):
    """The modules of the package that a file imports, anywhere in it, by their paths from the root."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "deckeras":
            for alias in node.names:
                parts = [*node.module.split("."), alias.name][1:]
                inside = ROOT.joinpath(*parts)
                found.add(".".join(parts if inside.is_dir() or inside.with_suffix(".py").exists() else parts[:-1]))
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {name.removeprefix("deckeras.") for name in names if name.startswith("deckeras.")}
    return found - {""}


FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): imports(path)
    for path in sorted(ROOT.rglob("*.py"))
    if path != ROOT / "__init__.py"
}


def test_every_room_has_its_place():
    assert {name.split(".")[0] for name in FILES} == set(ROOMS)


@pytest.mark.parametrize("name", FILES)
def test_imports_go_down(name):
    room = name.split(".")[0]
    below = set(ROOMS[: ROOMS.index(room) + 1])
    assert {imported.split(".")[0] for imported in FILES[name]} <= below


def test_no_two_files_import_each_other():
    packages = {name for name in FILES if (ROOT / name.replace(".", "/")).is_dir()}
    within = {name: {other for other in found if other not in packages} for name, found in FILES.items()}
    graphlib.TopologicalSorter(within).prepare()  # raises CycleError


def test_files_are_short():
    long = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if len(path.read_text().splitlines()) > 400}
    assert not long
