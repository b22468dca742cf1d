"""The experiments of the paper on small data: what they hold, and that nothing is computed twice."""

import csv

import numpy as np
import pytest

import deckeras
from deckeras import experiments, recipes
from deckeras.target import embedding_gradient

SMALL = recipes.get("table", units=(16, 4), least_iterations=300, epochs=1, max_iterations=60, update_interval=20)


@pytest.fixture
def study(blobs, tmp_path):
    return experiments.Study(*blobs, tmp_path / "study", SMALL)


def counted(value=0.5):
    calls = []

    def compute():
        calls.append(1)
        return {"acc": value}

    return calls, compute


def test_cells_are_computed_once(tmp_path):
    path = tmp_path / "cells.csv"
    first, compute_first = counted(0.1 + 0.2)
    second, compute_second = counted()
    cells = [({"method": "a, b", "seed": 0}, compute_first)]
    rows = experiments.run(cells, path, verbose=0)
    assert rows == [{"method": "a, b", "seed": 0, "acc": 0.1 + 0.2}]
    cells.append(({"method": "a, b", "seed": 1}, compute_second))
    assert experiments.run(cells, path, verbose=0) == [*rows, {"method": "a, b", "seed": 1, "acc": 0.5}]
    assert (len(first), len(second)) == (1, 1)
    with open(path, newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1"]


def test_what_is_computed_before_an_error_is_kept(tmp_path):
    def fail():
        raise KeyboardInterrupt

    path = tmp_path / "cells.csv"
    calls, compute = counted()
    cells = [({"seed": 0}, compute), ({"seed": 1}, fail)]
    with pytest.raises(KeyboardInterrupt):
        experiments.run(cells, path, verbose=0)
    experiments.run(cells[:1], path, verbose=0)
    assert len(calls) == 1


def test_a_file_of_other_columns_is_refused(tmp_path):
    path = tmp_path / "cells.csv"
    experiments.run([({"seed": 0}, counted()[1])], path, verbose=0)
    with pytest.raises(ValueError, match="should begin with the columns"):
        experiments.run([({"rate": 0}, counted()[1])], path, verbose=0)


def test_markdown_by_hand():
    rows = [
        {"method": method, "rate": rate, "seed": seed, "acc": acc}
        for method, rate, seed, acc in [("a", 1, 0, 0.5), ("a", 1, 1, 0.7), ("a", 2, 0, 0.25), ("b", 1, 0, 1.0)]
    ]
    assert experiments.markdown(rows, "method", "rate", more={"theirs": {"b": 42.0}}).splitlines() == [
        "| method \\ rate | 1 | 2 | theirs |",
        "| --- | --- | --- | --- |",
        "| a | 60.00 ± 10.00 | 25.00 |  |",
        "| b | 100.00 |  | 42.0 |",
    ]


def test_the_folder_of_another_study_is_refused(blobs, study):
    x, y = blobs
    experiments.Study(x, y, study.folder, SMALL)
    with pytest.raises(ValueError, match="other data"):
        experiments.Study(x + 1, y, study.folder, SMALL)
    with pytest.raises(ValueError, match="other recipe"):
        experiments.Study(x, y, study.folder, recipes.get(SMALL, tol=0.1))


def test_a_study_trains_once(study, monkeypatch):
    model, history = study.dec(0)
    monkeypatch.setattr(deckeras.training, "train_batches", None)
    again, same = study.dec(0)
    assert same.history == history.history
    np.testing.assert_array_equal(model.centroids, again.centroids)
    monkeypatch.undo()
    assert not np.array_equal(study.embedding(0), study.embedding(1))


def test_a_frozen_encoder_is_one_that_does_not_move(study):
    """DEC without backpropagation: other labels than DEC may come out, but from the pretrained embedding alone."""
    seen = []
    predict_clusters = deckeras.DEC.predict_clusters

    def watch(model, *args, **kwargs):
        seen.append(model)
        return predict_clusters(model, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deckeras.DEC, "predict_clusters", watch)
        cell = next(cell for cell in experiments.accuracy(study, [0]) if "without" in cell[0]["method"])
        cell[1]()
    z = study.embedding(0)
    np.testing.assert_array_equal(seen[0].embed(study.x, verbose=0), z)
    start = experiments.start(study, 0)[0].centroids
    assert np.abs(seen[0].centroids - start).max() > 1e-4
    assert seen[0].optimizer.iterations == study.dec(0)[0].optimizer.iterations


@pytest.mark.parametrize(
    ("experiment", "methods"),
    [
        (experiments.accuracy, ["k-means", "SEC", "LDMGI", "DEC without backpropagation", "DEC"]),
        (experiments.on_embedding, ["AE + k-means", "AE + SEC", "AE + LDMGI", "DEC"]),
    ],
)
def test_tables_have_every_method_and_sound_scores(study, tmp_path, experiment, methods):
    rows = experiments.run(experiment(study, [0, 1]), tmp_path / "table.csv", verbose=0)
    assert [row["method"] for row in rows] == 2 * methods
    assert [row["seed"] for row in rows] == [0] * len(methods) + [1] * len(methods)
    assert all(row["acc"] > 1 / 3 and row["seconds"] >= 0 for row in rows)
    assert all(row["acc"] > 0.8 for row in rows if row["method"] in ("k-means", "AE + k-means", "DEC"))


def test_imbalance_clusters_the_rows_that_are_kept(study, tmp_path):
    rows = experiments.run(experiments.imbalance(study, [0], rates=(0.1, 0.5)), tmp_path / "table.csv", verbose=0)
    assert [(row["r_min"], row["method"]) for row in rows] == [
        (rate, method) for rate in (0.1, 0.5) for method in ("k-means", "AE + k-means", "DEC")
    ]
    part = study.imbalanced(0.1, 0)
    sizes = np.bincount(part.y)
    assert sizes[0] < 25 < sizes[1] < sizes[2] == 100
    assert set(map(tuple, part.x)) < set(map(tuple, study.x))


def test_sensitivity_changes_what_it_says(study, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "ITERATIONS", 30)
    built = []
    fit = deckeras.DEC.fit

    def watch(model, *args, **kwargs):
        history = fit(model, *args, **kwargs)
        updates = len(history.history["loss"])
        built.append((model.alpha, model.encoder.output_shape[-1], kwargs["recipe"].learning_rate, updates))
        return history

    monkeypatch.setattr(deckeras.DEC, "fit", watch)
    grid = {
        ("SEC", "mu"): (0.1,),
        ("LDMGI", "lambda"): (0.1,),
        ("DEC", "update_interval"): (10,),
        ("DEC", "learning_rate"): (0.5,),
        ("DEC", "n_embedding"): (3,),
        ("DEC", "alpha"): (2.0,),
    }
    rows = experiments.run(experiments.sensitivity(study, [0], grid), tmp_path / "cells.csv", verbose=0)
    assert [(row["method"], row["parameter"]) for row in rows] == list(grid)
    assert built == [(1.0, 4, 0.01, 3), (1.0, 4, 0.5, 2), (1.0, 3, 0.01, 2), (2.0, 4, 0.01, 2)]


def test_numbers_of_clusters_are_judged_by_rows_held_out(study, tmp_path):
    rows = experiments.run(experiments.n_clusters(study, [0], (2, 3)), tmp_path / "cells.csv", verbose=0)
    assert [row["n_clusters"] for row in rows] == [2, 3]
    assert rows[1]["nmi"] > rows[0]["nmi"]
    part, inside, outside = study.inside(0)
    np.testing.assert_array_equal(part.x, study.x[inside])
    assert sorted([*inside, *outside]) == list(range(len(study.x)))


def test_gradients_are_those_of_the_start(study):
    found = experiments.gradients(study, 0)
    z = study.embedding(0)
    centroids = deckeras.kmeans_centroids(z, 3)
    distances = np.square(z[:, None] - centroids).sum(axis=2)
    q = 1 / (1 + distances)
    q /= q.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["q"], q.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose(found["gradient"], np.linalg.norm(embedding_gradient(z, centroids), axis=1), rtol=1e-3)


@pytest.mark.parametrize("init", ["kmeans", "mixture"])
def test_a_watched_training_is_the_training(blobs, tmp_path, init):
    recipe = recipes.get(SMALL, init=init, n_init=2, embedding_scale=3.0)
    study = experiments.Study(*blobs, tmp_path / "study", recipe)
    found = experiments.training(study, 0, max_points=50)
    model, history = study.dec(0)
    updates = len(history.history["acc"])
    assert found["embeddings"].shape == (updates + 1, 50, 4)
    np.testing.assert_allclose(found["acc"][1:], history.history["acc"])
    np.testing.assert_allclose(found["changed"], history.history["changed"])
    np.testing.assert_allclose(found["embeddings"][-1], model.embed(study.x[found["rows"]], verbose=0), atol=1e-4)
    np.testing.assert_array_equal(experiments.training(study, 0)["rows"], found["rows"])
