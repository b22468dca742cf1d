"""Run the notebooks of examples/notebooks/ at full size, and store their outputs.

    python examples/run_notebooks.py
    python examples/run_notebooks.py text own_table
    python examples/run_notebooks.py photographs --set NETWORK efficientnet-lite0.keras

A notebook is written only if it ran to the end. Each takes minutes. `--set` replaces a value in the cell of sizes for
this run only, for example the network of `photographs`, which is a download.
"""

import argparse
import ast
import contextlib
import os
import pathlib
import re
import sys
import tempfile

import nbclient
import nbformat

from deckeras._train.whole_files import whole_file

FOLDER = pathlib.Path(__file__).parent / "notebooks"
# TensorFlow writes these lines when it starts, whatever the level of its log.
_START = re.compile(r"(?m)^(?:[IWE]0000 .*|WARNING: All log messages before absl.*|To enable the following.*)\n?")


def run(path, directory, values=()):
    """Return the notebook at `path` after a run in `directory`.

    Args:
        path: path of the notebook.
        directory: directory in which it runs.
        values: pairs (name, value) for the cell of sizes, for this run only.
    """
    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    sources = [cell.source for cell in notebook.cells]
    for name, value in values:
        _set(notebook, name, value)
    resources = {"metadata": {"path": str(directory)}}
    nbclient.NotebookClient(notebook, timeout=None, record_timing=False, resources=resources).execute()
    notebook.metadata = nbformat.from_dict(metadata)  # without the versions of this machine
    for cell, source in zip(notebook.cells, sources, strict=True):
        cell.source = source
        outputs = cell.get("outputs", [])
        for output in outputs:
            if output.output_type == "stream":
                output.text = _START.sub("", output.text)
        cell.update({"outputs": [each for each in outputs if each.get("text") != ""]} if outputs else {})
    return notebook


def _set(notebook, name, value):
    """Set a value in the cell with the tag of the parameters."""
    changes = 0
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            line = f"{name} = {value!r}"
            cell.source, changes = re.subn(rf"(?m)^{re.escape(name)} = .*", lambda _, line=line: line, cell.source)
    if changes != 1:
        raise ValueError(f"--set needs a name in the cell of sizes of each notebook. Received: {name!r}")


def _value(text):
    """Return a number, the full path of a file (a notebook runs in its own directory), or the text itself."""
    with contextlib.suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return os.path.abspath(text) if os.path.exists(text) else text


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(names)}")
    parser.add_argument(
        "--set",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="another value in the cell of sizes",
    )
    options = parser.parse_args(arguments)
    chosen = options.names or names
    values = [(name, _value(value)) for name, value in options.set]
    if unknown := set(chosen) - set(names):
        parser.error(f"NAME should be one of {', '.join(names)}. Received: {', '.join(sorted(unknown))}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The command `deckeras` is found even if the environment of this interpreter is not activated.
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    for name in chosen:
        path = FOLDER / f"{name}.ipynb"
        with tempfile.TemporaryDirectory() as directory:
            # `saved_model` reads the trained models of a clone from there.
            home = pathlib.Path(directory, "examples", "notebooks")
            home.mkdir(parents=True)
            pathlib.Path(directory, "weights").symlink_to(FOLDER.parent.parent / "weights")
            notebook = run(path, home, values)
        with whole_file(str(path)) as draft:
            nbformat.write(notebook, draft)
        print(f"written: {name}")


if __name__ == "__main__":
    main()
