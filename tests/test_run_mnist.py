"""The example as a user runs it: what it prints, writes, resumes and refuses."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

import deckeras
from deckeras import datasets, metrics

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples" / "run_mnist.py"

pytestmark = [
    pytest.mark.programs,
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("run_mnist", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mnist_file(tmp_path_factory):
    """Zeros, ones and twos of scikit-learn's digits, at MNIST's size and in its layout."""
    x, y = load_digits(n_class=3, return_X_y=True)
    images = np.pad(np.kron(x.reshape(-1, 8, 8), np.ones((3, 3))), ((0, 0), (2, 2), (2, 2)))[:120]
    images, y = (images * 255 / 16).astype("uint8"), y[:120].astype("uint8")
    path = tmp_path_factory.mktemp("data") / "mnist.npz"
    np.savez(path, x_train=images[:100], y_train=y[:100], x_test=images[100:], y_test=y[100:])
    return path


@pytest.fixture(scope="module")
def finished(example, mnist_file, tmp_path_factory):
    """The directory of a finished run."""
    output = tmp_path_factory.mktemp("finished")
    example.main(["--data", str(mnist_file), "--epochs", "60", "--seed", "5", "--output", str(output)])
    return output


def test_leaves_what_it_promises(finished):
    names = {path.name for path in finished.iterdir()}
    figures = {"embedding.png", "confusion.png", "training.png", "top_images.png"}
    models = {"encoder.h5", "dec.h5", "dec.keras", "checkpoint.h5", "pretraining.h5"}
    assert names == figures | models | {"history.csv", "settings.json", "summary.json"}


def test_summary_tells_of_the_saved_model(finished, mnist_file):
    x, y = datasets.load("mnist", mnist_file)
    summary = json.loads((finished / "summary.json").read_text())
    assert (summary["dataset"], summary["n_samples"], summary["seed"]) == ("mnist", 120, 5)
    assert summary["seconds"]["pretrain"] > 0
    assert summary["seconds"]["cluster"] > 0
    assert list(summary["scores"]) == ["k-means", "ae+k-means", "dec"]
    assert all(set(values) == {"acc", "nmi", "ari"} for values in summary["scores"].values())
    for name in "dec.h5", "dec.keras":
        labels = keras.models.load_model(finished / name).predict_clusters(x, verbose=0)
        assert metrics.scores(y, labels) == pytest.approx(summary["scores"]["dec"])


def test_history_ends_with_the_scores(finished):
    header, *lines = (finished / "history.csv").read_text().splitlines()
    last = dict(zip(header.split(","), lines[-1].split(","), strict=True))
    summary = json.loads((finished / "summary.json").read_text())
    assert sorted(last) == ["acc", "ari", "changed", "loss", "nmi", "seconds", "update"]
    assert int(last["update"]) == len(lines)
    assert float(last["seconds"]) == summary["seconds"]["cluster"]
    assert float(last["acc"]) == pytest.approx(summary["scores"]["dec"]["acc"])


def test_encoder_is_the_pretrained_one(finished, mnist_file):
    encoder = keras.models.load_model(finished / "encoder.h5", compile=False)
    with h5py.File(finished / "pretraining.h5") as file:
        kernel, bias, mean = (file[f"model/{number}"][:] for number in range(3))
    # The checkpoint is of an encoder of centered rows.
    np.testing.assert_array_equal(encoder.get_weights()[0], kernel)
    np.testing.assert_allclose(encoder.get_weights()[1], bias - mean @ kernel, atol=1e-5)
    trained = keras.models.load_model(finished / "dec.h5").encoder
    assert not np.array_equal(trained.get_weights()[0], encoder.get_weights()[0])


def test_second_run_says_that_it_is_finished(example, finished, mnist_file, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    example.main(["--data", str(mnist_file), "--epochs", "60", "--seed", "5", "--output", str(finished)])
    shown = capsys.readouterr().out
    assert "has finished" in shown
    assert "ae+k-means" in shown
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_another_run_in_the_same_directory_is_refused(example, finished, mnist_file):
    with pytest.raises(ValueError, match=r"holds another run: .*'seed': 5.* Choose another --output"):
        example.main(["--data", str(mnist_file), "--epochs", "3", "--seed", "6", "--output", str(finished)])


def test_another_file_of_data_is_another_run(example, finished, mnist_file, tmp_path):
    with np.load(mnist_file) as arrays:
        np.savez(tmp_path / "other.npz", **{**arrays, "x_test": 255 - arrays["x_test"]})
    with pytest.raises(ValueError, match="holds another run"):
        example.main(
            ["--data", str(tmp_path / "other.npz"), "--epochs", "60", "--seed", "5", "--output", str(finished)]
        )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"name": "images", "image_shape": (28, 28), "shift": 0.1, "rotation": 10.0, "epochs": 40}),
        (["--no-augment", "--convolutional"], {"name": "images", "shift": 0, "rotation": 0, "convolutional": True}),
        (
            ["--recipe", "paper", "--epochs", "3"],
            {"name": "paper", "epochs": 3, "min_pretraining_iterations": 0, "shift": 0},
        ),
    ],
)
def test_recipe_and_what_options_change_in_it(example, mnist_file, tmp_path, monkeypatch, arguments, expected):
    seen = []
    monkeypatch.setattr(deckeras, "pretrain", lambda *_, recipe, **__: seen.append(recipe) or sys.exit())
    with pytest.raises(SystemExit):
        example.main(["--data", str(mnist_file), "--output", str(tmp_path), *arguments])
    (recipe,) = seen
    assert {name: getattr(recipe, name) for name in expected} == expected


@pytest.mark.slow
def test_idec_and_a_convolutional_autoencoder(example, mnist_file, tmp_path):
    options = ["--method", "idec", "--convolutional", "--epochs", "30", "--output", str(tmp_path)]
    example.main(["--data", str(mnist_file), *options])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary["scores"]) == ["k-means", "ae+k-means", "idec"]
    model = keras.models.load_model(tmp_path / "dec.keras")
    assert isinstance(model, deckeras.IDEC)
    assert any(isinstance(layer, keras.layers.Conv2D) for layer in model.encoder.layers)


@pytest.mark.slow
def test_interrupted_run_goes_on(example, finished, mnist_file, tmp_path, monkeypatch, capsys):
    """Ctrl-C in the clustering: the pretraining is not repeated, and the end is that of the whole run."""
    arguments = ["--data", str(mnist_file), "--epochs", "60", "--seed", "5", "--output", str(tmp_path)]

    def train_batches(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deckeras._train.alternation, "train_batches", train_batches)
        with pytest.raises(KeyboardInterrupt):
            example.main(arguments)
    assert not (tmp_path / "summary.json").exists()
    assert "Epoch 1/60\n" in capsys.readouterr().out
    example.main(arguments)
    assert "Epoch 1/60\n" not in capsys.readouterr().out
    first, second = (json.loads((folder / "summary.json").read_text()) for folder in (finished, tmp_path))
    assert first["scores"] == second["scores"]


def test_prints_the_three_side_by_side(example, capsys):
    scores = {"acc": 0.5, "nmi": 0.25, "ari": 0.125}
    example.print_scores({"k-means": scores, "ae+k-means": None, "dec": scores})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["ACC", "NMI", "ARI"],
        ["k-means", "0.5000", "0.2500", "0.1250"],
        ["ae+k-means", "-", "-", "-"],
        ["dec", "0.5000", "0.2500", "0.1250"],
    ]


@pytest.mark.parametrize("name", ["encoder.h5", "dec.h5", "dec.keras"])
def test_weights_take_the_place_of_training(example, finished, mnist_file, tmp_path, name, capsys):
    example.main(["--data", str(mnist_file), "--weights", str(finished / name), "--output", str(tmp_path)])
    assert "Pretraining" not in capsys.readouterr().out
    first, second = (json.loads((folder / "summary.json").read_text()) for folder in (finished, tmp_path))
    assert second["seconds"]["pretrain"] == 0
    if name == "encoder.h5":
        assert second["scores"]["ae+k-means"]["acc"] > 0.5
    else:
        assert second["scores"]["dec"] == pytest.approx(first["scores"]["dec"])
        assert second["scores"]["ae+k-means"] is None
    assert {"encoder.h5", "dec.h5", "dec.keras", "summary.json"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", ["none.h5", "text.h5", "text.keras", "weights.h5"])
def test_weights_that_are_no_model(example, mnist_file, tmp_path, name):
    for text in "text.h5", "text.keras":
        (tmp_path / text).write_text("hello")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match=rf"{name}' should be a complete model"):
        example.main(["--data", str(mnist_file), "--weights", str(tmp_path / name), "--output", str(tmp_path / "out")])


def test_weights_that_do_not_fit(example, finished, tmp_path):
    with pytest.raises(ValueError, match=r"takes rows of shape \(784,\). Received: rows of \(64,\)"):
        example.main(["--dataset", "digits", "--weights", str(finished / "dec.h5"), "--output", str(tmp_path)])
    model = deckeras.DEC(deckeras.dense_autoencoder(64, (4, 2))[0], 3)
    model.save(tmp_path / "three.keras")
    with pytest.raises(ValueError, match="has 3 clusters.*10 classes"):
        example.main(["--dataset", "digits", "--weights", str(tmp_path / "three.keras"), "--output", str(tmp_path)])


def no_network(*args, **options):
    raise Exception("no network")


def test_digits_where_mnist_cannot_be_had(example, monkeypatch, capsys):
    monkeypatch.setattr(keras.datasets.mnist, "load_data", no_network)
    name, x, _ = example.load_data(example.parse([]))
    assert (name, x.shape) == ("digits", (1797, 64))
    warning = capsys.readouterr().err
    assert warning.startswith("Warning: MNIST cannot be downloaded")
    assert len(warning.splitlines()) == 1


def test_mnist_asked_for_by_name_is_not_replaced(example, monkeypatch):
    monkeypatch.setattr(keras.datasets.mnist, "load_data", no_network)
    with pytest.raises(OSError, match="Could not download mnist"):
        example.load_data(example.parse(["--dataset", "mnist"]))


def run(*arguments, **options):
    command = [sys.executable, str(EXAMPLE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def test_errors_are_one_line_and_an_exit_code(tmp_path):
    (tmp_path / "file").touch()
    result = run("--dataset", "digits", "--output", str(tmp_path / "file" / "deep"))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: Cannot write to the directory")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "argument --epochs: invalid natural value: '0'"),
        (["--epochs", "3", "--weights", "encoder.h5"], "--epochs"),
        (["--method", "idec", "--weights", "encoder.h5"], "needs the decoder of a pretraining"),
        (["--dataset", "cifar"], "invalid choice: 'cifar'"),
    ],
)
def test_bad_arguments(example, arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        example.main(arguments)
    assert message in capsys.readouterr().err


def test_help_shows_examples():
    result = run("--help")
    assert result.returncode == 0
    assert "python examples/run_mnist.py --dataset digits" in result.stdout


def mean_scores(example, arguments, seeds, directory):
    """Mean accuracy over the seeds, by method."""
    summaries = []
    for seed in seeds:
        output = directory / str(seed)
        example.main([*arguments, "--seed", str(seed), "--output", str(output)])
        summaries.append(json.loads((output / "summary.json").read_text())["scores"])
    return [np.mean([scores[method]["acc"] for scores in summaries]) for method in ("k-means", "ae+k-means", "dec")]


@pytest.mark.long
def test_dec_beats_the_embedding_and_that_the_pixels_on_digits(example, tmp_path):
    pixels, embedding, dec = mean_scores(example, ["--dataset", "digits"], range(5), tmp_path)
    assert pixels < embedding < dec


@pytest.mark.long
@pytest.mark.skipif("DECKERAS_MNIST" not in os.environ, reason="DECKERAS_MNIST should name the .npz file of MNIST")
def test_dec_reaches_88_percent_on_mnist(example, tmp_path):
    pixels, embedding, dec = mean_scores(example, ["--data", os.environ["DECKERAS_MNIST"]], [0], tmp_path)
    assert pixels < embedding < dec
    assert dec >= 0.88
