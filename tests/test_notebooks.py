"""The notebooks of examples/ run from top to bottom, and their stored outputs are those of such a run."""

import ast
import configparser
import importlib.util
import os
import pathlib
import re
import shlex
import sys

import keras
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

nbformat = pytest.importorskip("nbformat", reason="running notebooks needs nbformat: pip install deckeras[test]")
nbclient = pytest.importorskip("nbclient", reason="running notebooks needs nbclient: pip install deckeras[test]")

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "notebooks"

# What a test has in the place of the values in the second cell.
SMALL = {
    "how_many_clusters": {"ROWS": 60, "ITERATIONS": 10, "MOST": 3},
    "own_images": {"ROWS": 100, "EPOCHS": 1},
    "own_table": {"ROWS": 60, "EPOCHS": 1},
    "photographs": {"CUTOUTS": 3, "CLUSTERS": 12, "NETWORK": "small.keras"},
    "quick_start": {"ROWS": 200, "EPOCHS": 1, "MAX_ITER": 20},
    "saved_model": {"WEIGHTS": str(ROOT / "weights"), "ROWS": 200, "LABELS": 2, "DRAWS": 1, "EPOCHS": 1, "STEPS": 5},
    "text": {"ROWS": 100, "EPOCHS": 1},
}
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/deckeras/deckeras/blob/main/examples/notebooks/{}.ipynb)"
)
# The runtime of Colab, by its snapshot of August 2026.
COLAB = {"python": "3.13.0", "tensorflow": "2.20.0", "keras": "3.13.2", "numpy": "2.1.3"}
UNWANTED = re.compile(
    r"Traceback|Warning:|WARNING|^[IWEF]\d{4} "  # of Python, of TensorFlow, of absl
    r"|/(?:home|root|tmp|work|usr|opt|content|Users)/|[A-Z]:\\\\"  # where some machine has its files
    r"|[█━]{5}.*\d+s |it/s",  # a progress bar
    flags=re.MULTILINE,
)


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(name, directory, monkeypatch, **changes):
    """The notebook after a run in the directory, with small values."""
    notebook = read(name)
    values = {**SMALL[name], **changes}
    cell = code_cells(notebook)[1]
    assert re.findall(r"^(\w+) = ", cell.source, flags=re.MULTILINE) == list(values)
    cell.source = "\n".join(f"{key} = {value!r}" for key, value in values.items())
    # The command `deckeras` is found, too, where the environment of this interpreter is not activated.
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(directory)}}).execute()
    return notebook


def shown(cell):
    """The media types of each table and figure."""
    return [sorted(output.data) for output in cell.outputs if output.output_type != "stream"]


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


def texts(cell):
    """All that a cell shows but its pictures."""
    values = [value for output in cell.outputs for value in output.get("data", {}).items()]
    return [printed(cell), *(text for media, text in values if media.startswith("text/"))]


def test_all_notebooks_are_tested():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SMALL)


def write_network(folder):
    """Write a network that needs no download."""
    layers = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(8, 3, strides=2)]
    keras.Sequential(layers).save(folder / "small.keras")


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_runs_top_to_bottom(name, tmp_path, monkeypatch):
    if name == "photographs":
        write_network(tmp_path)
    cells = code_cells(run(name, tmp_path, monkeypatch))
    for cell, stored in zip(cells, code_cells(read(name)), strict=True):
        assert shown(cell) == shown(stored), cell.source
        assert printed(cell) or not printed(stored), cell.source
    files = {path.name for path in tmp_path.iterdir()}
    last = printed(cells[-1])
    if name == "own_table":  # its command has run: the shell fails without stopping a notebook
        assert {"model.keras", "clusters.csv", "report.html"} <= set(last.split()), last
    if name == "photographs":
        assert {"photos", "photographs.keras"} <= files
    if name == "quick_start":  # the model that it loads finds the clusters of the one that it saved
        assert last == "True\n"
    if name == "saved_model":
        assert files == {"further.keras"}  # the weights were there, and so none were trained


@pytest.mark.slow
def test_saved_model_trains_where_there_are_no_weights(tmp_path, monkeypatch):
    run("saved_model", tmp_path, monkeypatch, WEIGHTS="nowhere")
    assert {path.name for path in tmp_path.iterdir()} == {"digits_dec.h5", "digits_encoder.h5", "further.keras"}


@pytest.mark.parametrize("name", SMALL)
def test_form(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert 8 <= len(notebook.cells) <= 15
    title, install, sizes = notebook.cells[:3]
    assert title.cell_type == "markdown"
    assert title.source.startswith("# ")
    assert BADGE.format(name) in title.source.splitlines()
    assert 'if importlib.util.find_spec("deckeras") is None:\n    %pip install' in install.source
    assert sizes.metadata.tags == ["parameters"]
    for before, cell in zip(notebook.cells[2:], notebook.cells[3:], strict=False):
        assert (before.cell_type, cell.cell_type) in (("code", "markdown"), ("markdown", "code"))


@pytest.mark.parametrize("name", SMALL)
def test_the_first_cell_installs_deckeras_alone(name):
    first, *others = code_cells(read(name))
    (installed,) = re.findall(r"pip install (.+)", first.source)
    assert [part for part in shlex.split(installed) if not part.startswith("-")] == [
        "deckeras @ git+https://github.com/deckeras/deckeras"
    ]
    assert not [cell for cell in others if "pip install" in cell.source]


def test_colab_has_what_deckeras_requires():
    """So that the first cell replaces no package of the runtime, which would have to be started again."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    requirements = [Requirement(line) for line in config["options"]["install_requires"].split("\n") if line]
    known = {each.name: each.specifier for each in requirements}
    known["python"] = SpecifierSet(config["options"]["python_requires"])
    assert not any(each.marker or each.url for each in requirements)
    assert set(COLAB) <= set(known)
    assert [name for name, version in COLAB.items() if version not in known[name]] == []


@pytest.mark.parametrize("name", SMALL)
def test_stored_outputs(name):
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 500_000
    cells = code_cells(read(name))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) - 4
    for cell in cells:
        assert "execution" not in cell.metadata  # times
        assert not [
            output for output in cell.outputs if output.get("name") == "stderr" or output.output_type == "error"
        ]
        for text in [cell.source, *texts(cell)]:
            assert not UNWANTED.search(text), UNWANTED.search(text)


@pytest.fixture
def run_notebooks():
    spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "examples" / "run_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_outputs_are_stored_without_those_of_the_start(run_notebooks, tmp_path):
    lines = ["W0000 00:00:1.5 cpu.cc:1] start", "WARNING: All log messages before absl::InitializeLog()", "", "own"]
    sources = ["1 + 1", f"import sys\nprint({chr(10).join(lines)!r}, file=sys.stderr)", "import time"]
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, tmp_path / "small.ipynb")
    result, printing, silent = run_notebooks.run(tmp_path / "small.ipynb", tmp_path).cells
    assert result.outputs[0].data["text/plain"] == "2"
    assert [output.text.strip() for output in printing.outputs] == ["own"]
    assert silent.outputs == []
    assert "execution" not in result.metadata


def test_values_are_set_for_one_run(run_notebooks, tmp_path):
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    parameters = nbformat.v4.new_code_cell('ROWS = 3\nNAME = "own"  # a comment', metadata={"tags": ["parameters"]})
    notebook.cells = [parameters, nbformat.v4.new_code_cell("ROWS * NAME")]
    nbformat.write(notebook, tmp_path / "small.ipynb")
    found = run_notebooks.run(tmp_path / "small.ipynb", tmp_path, [("NAME", "an\\other")])
    assert ast.literal_eval(found.cells[1].outputs[0].data["text/plain"]) == 3 * "an\\other"
    assert found.cells[0].source == parameters.source
    assert run_notebooks._value("500") == 500
    assert run_notebooks._value("auto") == "auto"
    assert run_notebooks._value(os.path.relpath(tmp_path)) == str(tmp_path)
    with pytest.raises(ValueError, match="Received: 'NAMES'"):
        run_notebooks.run(tmp_path / "small.ipynb", tmp_path, [("NAMES", "other")])


def test_unknown_notebooks_are_refused(run_notebooks, capsys):
    with pytest.raises(SystemExit):
        run_notebooks.main(["text", "nonsense"])
    assert "Received: nonsense" in capsys.readouterr().err


def test_weights_of_the_notebook_are_those_of_the_repository():
    """Where a clone has them, seen from the notebook."""
    (folder,) = re.findall(r'^WEIGHTS = "(.+?)"', code_cells(read("saved_model"))[1].source, flags=re.MULTILINE)
    assert (FOLDER / folder / "digits_encoder.h5").exists()
