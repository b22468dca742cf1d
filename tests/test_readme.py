"""The README and the weights: the Python runs, the commands are those of CI, the files are those that were scored."""

import hashlib
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


def test_python_runs(users_directory, run_python):
    """Each block in a process of its own, in the order of the page: later ones load what the first has saved.

    As it stands, but for the two minutes of pretraining on digits, which the example's own tests have.
    """
    images = "image_shape=(8, 8)"
    assert sum(images in block for block in code("python")) == 1
    shorter = [block.replace(images, f"{images}, epochs=1, least_iterations=300") for block in code("python")]
    estimator, first, *others = shorter
    assert len(others) == 5
    labels = json.loads(run_python(estimator + "print(labels.tolist())").splitlines()[-1])
    assert metrics.accuracy([0] * 30 + [1] * 30 + [2] * 30, labels) == 1
    labels = json.loads(run_python(first + "print(labels.tolist())").splitlines()[-1])
    assert metrics.accuracy([0] * 30 + [1] * 30 + [2] * 30, labels) == 1
    assert {"dec.keras", "encoder.h5", "run"} <= {path.name for path in users_directory.iterdir()}
    printed = [run_python(block) for block in others]
    assert printed[1].splitlines()[-1].startswith("3 ")  # the clusters that rows.npy has


def test_commands_are_as_the_parser_has_them():
    _, _, ours = code("bash")
    for command in ours.splitlines():
        assert cli.build_parser().parse_args(shlex.split(command)[1:]).command


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
