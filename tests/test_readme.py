"""The README and the weights: the Python runs, the commands are those of CI, the weights are those that were scored."""

import hashlib
import importlib.metadata
import json
import pathlib
import re
import shlex

import keras
import pytest

from deckeras import cli, datasets, metrics

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def code(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_python_runs(users_directory, run_python):
    """Each block in a process of its own, in the order of the page: later ones load what the first has saved.

    Unchanged, but for the length of the training on digits.
    """
    digits, in_keras, loading = code("python")
    shorter = digits.replace("random_state=0", "epochs=30, max_iter=200, random_state=0")
    assert shorter != digits
    assert len(digits.strip().splitlines()) <= 8
    assert float(run_python(shorter).splitlines()[-1]) > 0.6
    labels = json.loads(run_python(in_keras + "print(labels.tolist())").splitlines()[-1])
    assert metrics.accuracy([0] * 30 + [1] * 30 + [2] * 30, labels) == 1
    assert {"dec.keras", "encoder.keras", "run"} <= {path.name for path in users_directory.iterdir()}
    assert run_python(loading + "print(model.n_clusters)").splitlines()[-1] == "3"


def test_it_is_short():
    assert len(README.split()) < 900


def test_commands_are_accepted(tmp_path, monkeypatch):
    """Where their files are missing, which is an error of another kind than a command that is not understood."""
    monkeypatch.chdir(tmp_path)
    _, _, ours = code("bash")
    for command in ours.splitlines():
        assert cli.main(shlex.split(command)[1:]) == 1


def test_citations_have_the_version_of_the_package():
    bibtex = re.findall(r"version = \{(.+)\}", README)
    cff = re.findall(r"(?m)^version: (.+)$", (ROOT / "CITATION.cff").read_text())
    assert bibtex == cff == [importlib.metadata.version("deckeras")]


def test_ci_runs_the_test_command_of_the_readme():
    _, test, _ = code("bash")
    assert test.strip() in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", ["README.md", "weights/README.md", "benchmarks/README.md", "examples/paper/README.md"])
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    local = [link for link in links if not link.startswith("https://")]
    assert local
    for link in local:
        assert (ROOT / page).parent.joinpath(link).exists(), link


WEIGHTS = re.findall(
    r"\| `(\S+\.h5)` \| \d+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| `(\w+)` \|",
    (ROOT / "weights" / "README.md").read_text(),
)


def test_every_file_of_weights_is_in_its_readme():
    assert {name for name, *_ in WEIGHTS} == {path.name for path in (ROOT / "weights").glob("*.h5")}
    for name, *_, digest in WEIGHTS:
        assert hashlib.sha256((ROOT / "weights" / name).read_bytes()).hexdigest() == digest


def test_weights_of_digits_score_what_their_readme_says():
    x, y = datasets.load("digits")
    (scores,) = [scores for name, *scores, _ in WEIGHTS if name == "digits_dec.h5"]
    labels = keras.models.load_model(ROOT / "weights" / "digits_dec.h5", compile=False).predict_clusters(x, verbose=0)
    assert list(metrics.scores(y, labels).values()) == pytest.approx([float(score) for score in scores], abs=2e-3)


def test_weights_of_mnist_load():
    model = keras.models.load_model(ROOT / "weights" / "mnist_dec.h5", compile=False)
    encoder = keras.models.load_model(ROOT / "weights" / "mnist_encoder.h5", compile=False)
    assert (model.input_shape, model.n_clusters) == ((None, 784), 10)
    assert encoder.output_shape == (None, 10)
