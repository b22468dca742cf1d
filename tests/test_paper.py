"""The scripts of examples/paper, as a user runs them, on few rows and few settings."""

import csv
import importlib
import pathlib
import sys

import experiments
import numpy as np
import pytest
from PIL import Image

from deckeras import datasets, recipes

pytestmark = pytest.mark.slow
FOLDER = pathlib.Path(__file__).parent.parent / "examples" / "paper"
FIGURES = [path.stem for path in sorted(FOLDER.glob("figure_*.py"))]
TABLES = [path.stem for path in sorted(FOLDER.glob("table_*.py"))]


@pytest.fixture(scope="module")
def scripts():
    """Import a script of the folder by its name."""
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def done(scripts, tmp_path_factory):
    """(folder, function that runs all again): everything, made by the one command."""
    x, y = datasets.load("digits")
    output = tmp_path_factory.mktemp("paper")
    arguments = ["--seeds", "2", "--output", str(output)]
    small = recipes.get(
        "table", units=(32, 5), min_pretraining_iterations=200, epochs=1, max_iterations=150, update_interval=50
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load", lambda name, path: (x[y < 3][:240], y[y < 3][:240]))
        patch.setattr(recipes, "RECIPES", {"table": small})
        patch.setattr(experiments, "RATES", (0.3, 1.0))
        patch.setattr(experiments, "AROUND", 1)
        patch.setattr(experiments, "ITERATIONS", 40)
        patch.setattr(
            experiments,
            "SENSITIVITY",
            {("SEC", "mu"): (0.1, 1.0), ("DEC", "update_interval"): (10, 20), ("DEC", "alpha"): (1.0, 2.0)},
        )
        scripts("common").load.cache_clear()
        scripts("all").main(arguments)
        yield output, lambda name="all": scripts(name).main(arguments)


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_script_is_run_by_the_one_command(scripts):
    assert sorted(scripts("all").SCRIPTS) == sorted(TABLES + FIGURES)
    assert len(TABLES + FIGURES) == 9


@pytest.mark.parametrize("name", TABLES + FIGURES)
def test_each_writes_its_files(done, name):
    folder, _ = done
    assert rows_of(folder / f"{name}.csv")
    assert "|" in (folder / f"{name}.md").read_text()
    if name in FIGURES:
        with Image.open(folder / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 5
        assert "<svg" in (folder / f"{name}.svg").read_text()


def test_tables_hold_the_methods_and_the_papers_figures(done):
    folder, _ = done
    table = (folder / "table_2_accuracy.md").read_text()
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == [
        "k-means",
        "SEC",
        "LDMGI",
        "DEC without backpropagation",
        "DEC",
    ]
    assert "84.3 |" in table
    assert "±" in table
    assert "AE + LDMGI" in (folder / "table_3_embedding.md").read_text()
    table = (folder / "table_4_imbalance.md").read_text()
    assert table.startswith("| method \\ r_min | 0.3 | 1.0 |")
    assert "DEC in the paper, MNIST" in table


def test_the_film_moves(done):
    folder, _ = done
    with Image.open(folder / "figure_5_tsne.gif") as film:
        assert film.n_frames > 10


def test_accuracy_along_the_training_ends_where_the_table_does(done):
    folder, _ = done
    last = rows_of(folder / "figure_5_accuracy.csv")[-1]
    table = rows_of(folder / "table_2_accuracy.csv")
    (dec,) = (row for row in table if row["method"] == "DEC" and row["seed"] == "1")
    assert float(last["acc"]) == pytest.approx(float(dec["acc"]))
    assert float(rows_of(folder / "figure_5_tsne.csv")[-1]["acc"]) == pytest.approx(float(dec["acc"]))


def test_top_images_are_of_their_cluster_and_sorted(done):
    folder, _ = done
    rows = rows_of(folder / "figure_3_top_images.csv")
    for cluster in "012":
        q = [float(row["q"]) for row in rows if row["cluster"] == cluster]
        assert len(q) == 10
        assert q == sorted(q, reverse=True)


def test_the_number_of_clusters_is_said_with_its_reason(done):
    folder, _ = done
    text = (folder / "figure_6_n_clusters.md").read_text()
    assert "Seed 1: " in text
    assert " clusters. " in text
    assert "silhouette" in text


def test_again_computes_nothing(done, monkeypatch, capsys):
    folder, again = done
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    monkeypatch.setattr("deckeras._train.alternation.train_batches", None)
    monkeypatch.setattr("deckeras._train.reconstruction.train_batches", None)
    again()
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == before
    assert "9/9 figure_6_n_clusters" in capsys.readouterr().out


def test_data_without_images(done, scripts, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "IMAGE_SHAPES", {})
    with pytest.raises(ValueError, match="digits has no images to show"):
        scripts("figure_3_top_images").main(["--output", str(tmp_path)])


@pytest.mark.parametrize("option", ["--seeds", "--epochs"])
def test_numbers_that_mean_nothing(scripts, option, capsys):
    with pytest.raises(SystemExit):
        scripts("table_2_accuracy").main([option, "0"])
    assert f"argument {option}: invalid natural value: '0'" in capsys.readouterr().err
