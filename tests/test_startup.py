"""Imports: the command responds without Keras, and `import deckeras` is all that loading a model needs."""

import ast
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import deckeras
from deckeras import DEC, cli, dense_autoencoder, recipes

pytestmark = pytest.mark.programs

ROOT = pathlib.Path(deckeras.__file__).parent

# Runs when the interpreter starts, and tells the test what the process has imported, and when.
OBSERVER = """
import atexit, pathlib, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "keras":
            print("<keras>", flush=True)

sys.meta_path.insert(0, Finder())
heavy = {"keras", "tensorflow", "jax", "torch"}
atexit.register(lambda: pathlib.Path(__file__).with_name("heavy.txt").write_text(str(sorted(heavy & set(sys.modules)))))
"""
SCRIPT = """
import sys
from deckeras.cli import entry_point
sys.exit(entry_point())
"""


@pytest.fixture(params=["module", "script"])
def start(request, tmp_path):
    """Run the command in a process of its own, and return (the finished process, what heavy modules it imported)."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(OBSERVER)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "deckeras").write_text(SCRIPT)
    way = ["-m", "deckeras"] if request.param == "module" else [str(tmp_path / "bin" / "deckeras")]
    path = os.pathsep.join([str(tmp_path / "site"), str(ROOT.parent)])

    def run(*arguments, first_on_path=""):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [first_on_path, path]))}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        command = [sys.executable, *way, *arguments]
        found = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        return found, (tmp_path / "site" / "heavy.txt").read_text()

    return run


@pytest.fixture
def table(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)) + 5 * np.eye(2, 3)[np.arange(40) % 2]
    np.savetxt(tmp_path / "good.csv", x, delimiter=",", header="a,b,c", comments="", fmt="%.3f")
    (tmp_path / "text.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "short.npz").write_bytes(b"PK")
    (tmp_path / "pickle.pkl").write_bytes(b"")
    (tmp_path / "not.h5").write_bytes(b"no")


ANSWERS = {
    "version": (["--version"], 0, ""),
    "help": (["--help"], 0, "choose-k"),
    "help of a command": (["fit", "--help"], 0, "--n-clusters"),
    "no command": ([], 2, "usage"),
    "no data": (["fit", "-k", "3"], 2, "DATA"),
    "unknown option": (["fit", "good.csv", "-k", "3", "--nonsense"], 2, "--nonsense"),
    "unknown recipe": (["fit", "good.csv", "-k", "3", "--recipe", "soup"], 2, "soup"),
    "no file": (["fit", "none.csv", "-k", "3"], 1, "none.csv"),
    "text": (["fit", "text.csv", "-k", "3"], 1, "--names"),
    "truncated": (["fit", "short.npz", "-k", "3"], 1, "truncated"),
    "no HDF5": (["fit", "not.h5", "-k", "3"], 1, "HDF5"),
    "pickle": (["choose-k", "pickle.pkl"], 1, "pickle"),
    "no figure": (["choose-k", "good.csv", "-o", "k.txt"], 1, "figure"),
    "no run": (["predict", "nowhere", "good.csv"], 1, "no such folder"),
    "no folder": (["predict", "nowhere", "good.csv", "-o", "none/x.csv"], 1, "folder"),
    "no obs": (["fit", "good.csv", "-k", "3", "--write-obs"], 1, ".h5ad"),
}


@pytest.mark.usefixtures("table")
def test_answers_come_without_the_backend(start):
    for name, (arguments, code, word) in ANSWERS.items():
        found, heavy = start(*arguments)
        assert heavy == "[]", name
        assert found.returncode == code, name
        assert word in found.stdout + found.stderr, name
        assert "Traceback" not in found.stderr, name


@pytest.mark.slow
@pytest.mark.usefixtures("table")
def test_a_run_prints_nothing_of_the_backend(start):
    found, heavy = start("fit", "good.csv", "-k", "2", "--epochs", "2", "--max-iter", "100")
    assert found.returncode == 0, found.stderr
    assert "keras" in heavy
    lines = found.stdout.splitlines()
    # The first line is there before the import, which takes seconds.
    assert lines[0].startswith("good.csv: 40 rows")
    assert lines[1] == "<keras>"
    stages = ("pretraining", "start", "clustering", "decoder", "report")
    assert {line.split(":")[0] for line in found.stderr.splitlines()} <= {"Note", "Warning", *stages}
    answer, _ = start("predict", "good-clusters", "good.csv")
    lines = [line for line in answer.stdout.splitlines() if line != "<keras>"]
    assert len(lines) == 41
    assert all(len(line.split(",")) == 5 for line in lines)
    assert {line.split(":")[0] for line in answer.stderr.splitlines()} <= {"Note"}


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("start", ["module"], indirect=True)
def test_the_log_is_shown_where_the_backend_cannot_be_imported(start, tmp_path):
    (tmp_path / "broken" / "keras").mkdir(parents=True)
    source = "import os\nos.write(2, b'a library is missing\\n')\nraise ImportError('no backend')\n"
    (tmp_path / "broken" / "keras" / "__init__.py").write_text(source)
    found, _ = start("fit", "good.csv", "-k", "2", first_on_path=str(tmp_path / "broken"))
    assert found.returncode == 1
    assert found.stderr.splitlines()[-2:] == ["a library is missing", "Error: no backend"]


@pytest.mark.parametrize(
    "imports", ["import deckeras, keras", "import keras, deckeras", "import deckeras.files, keras"]
)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_model_loads_in_either_order_of_imports(run_python, tmp_path, imports):
    names = ["dec.h5", "dec.keras"]
    for name in names:
        DEC(dense_autoencoder(4, units=(3, 2))[0], 2).save(tmp_path / name)
    loaded = run_python(f"{imports}\nprint(*(type(keras.models.load_model(name)).__module__ for name in {names}))")
    assert loaded.split()[-2:] == [DEC.__module__] * 2


def test_all_public_names_are_seen():
    names = set(deckeras.__all__)
    assert names <= set(dir(deckeras))
    for name in names:
        assert getattr(deckeras, name) is not None
    # Those that completion and type checkers see, without running the module.
    tree = ast.parse((ROOT / "__init__.py").read_text())
    seen = [node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"]
    imported = {alias.name for node in ast.walk(seen[0]) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == names
    with pytest.raises(AttributeError, match="nonsense"):
        deckeras.nonsense  # noqa: B018


@pytest.mark.slow
def test_editors_complete_all_public_names():
    jedi = pytest.importorskip("jedi")
    found = {completion.name for completion in jedi.Script("import deckeras\ndeckeras.").complete(2, 9)}
    assert set(deckeras.__all__) <= found
    for name in deckeras.__all__:
        assert jedi.Script(f"import deckeras\ndeckeras.{name}").infer(2, 9), name
    (signature,) = jedi.Script("import deckeras\ndeckeras.DeepEmbeddedClustering(").get_signatures()
    assert signature.params[0].name == "n_clusters"


@pytest.mark.parametrize("documented", [deckeras.DEC.fit, deckeras.pretrain, deckeras.DeepEmbeddedClustering])
def test_help_names_the_recipes(documented):
    assert [name for name in recipes.RECIPES if f'"{name}"' not in documented.__doc__] == []


def test_public_names_are_found_without_the_imports_at_the_start(run_python):
    """As in the process of the command."""
    source = "import sys\nsys.argv = ['deckeras']\nimport deckeras\nassert 'keras' not in sys.modules\n"
    source += "".join(f"assert deckeras.{name} is not None\n" for name in deckeras.__all__)
    run_python(source + "from deckeras import *")


def test_the_parser_knows_the_recipes():
    assert set(cli.parser.RECIPES) == set(recipes.RECIPES)


@pytest.mark.parametrize("option", ["--drop", "--one-hot", "--na", "--image-shape"])
@pytest.mark.parametrize("command", [["fit", "-k", "3"], ["choose-k"]])
def test_an_option_that_took_the_data_is_named(capsys, command, option):
    for arguments in ([*command, option, "1", "2"], [command[0], option, "1", "2", *command[1:], "--seed", "1"]):
        with pytest.raises(SystemExit):
            cli.main(arguments)
        error = capsys.readouterr().err
        assert f"{option} takes all values" in error
        assert f"{option} 1 2." in error
    for arguments in ([command[0], "rows.csv", *command[1:], option, "1"], [*command, option, "1", "--", "rows.csv"]):
        assert cli.build_parser().parse_args(arguments).data == "rows.csv"


def test_of_several_such_options_the_one_with_the_file_is_named(capsys, tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    data = str(tmp_path / "rows.csv")
    with pytest.raises(SystemExit):
        cli.main(["fit", "--drop", "a", data, "-k", "3", "--na", "?"])
    assert f"Received: --drop a {data}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["fit", "-k", "3", "--resume"])
    assert "takes all values" not in capsys.readouterr().err
