"""The experiments of the paper on small data: their contents, and that nothing is computed twice."""

import cells
import experiments
import numpy as np
import pytest

import deckeras
from deckeras import recipes
from deckeras.target import embedding_gradient

pytestmark = pytest.mark.slow

SMALL = recipes.get(
    "table",
    units=(16, 4),
    min_pretraining_iterations=300,
    epochs=1,
    max_iterations=60,
    update_interval=20,
    init="kmeans",
)


@pytest.fixture
def study(blobs, tmp_path):
    return experiments.Study(*blobs, tmp_path / "study", SMALL)


def test_the_folder_of_another_study_is_refused(blobs, study):
    x, y = blobs
    experiments.Study(x, y, study.folder, SMALL)
    with pytest.raises(ValueError, match="of other rows"):
        experiments.Study(x + 1, y, study.folder, SMALL)
    with pytest.raises(ValueError, match="of other labels"):
        experiments.Study(x, y % 2, study.folder, SMALL)
    with pytest.raises(ValueError, match="other recipe"):
        experiments.Study(x, y, study.folder, recipes.get(SMALL, tol=0.1))


def test_a_study_trains_once(study, monkeypatch):
    model, history = study.dec(0)
    monkeypatch.setattr("deckeras._train.alternation.train_batches", None)
    monkeypatch.setattr("deckeras._train.reconstruction.train_batches", None)
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
    rows = cells.run(experiment(study, [0, 1]), tmp_path / "table.csv", verbose=0)
    assert [row["method"] for row in rows] == 2 * methods
    assert [row["seed"] for row in rows] == [0] * len(methods) + [1] * len(methods)
    assert all(row["acc"] > 0.8 for row in rows)


def test_imbalance_clusters_the_rows_that_are_kept(study, tmp_path):
    rows = cells.run(experiments.imbalance(study, [0], rates=(0.1, 0.5)), tmp_path / "table.csv", verbose=0)
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
    rows = cells.run(experiments.sensitivity(study, [0], grid), tmp_path / "cells.csv", verbose=0)
    assert [(row["method"], row["parameter"]) for row in rows] == list(grid)
    with pytest.raises(ValueError, match=r"Received: \('SEC', 'gamma'\)"):
        experiments.sensitivity(study, [0], {("SEC", "gamma"): (1.0,)})[0][1]()
    assert built == [(1.0, 4, 0.01, 3), (1.0, 4, 0.5, 2), (1.0, 3, 0.01, 2), (2.0, 4, 0.01, 2)]


def test_numbers_of_clusters_are_judged_by_rows_held_out(study, tmp_path):
    rows = cells.run(experiments.n_clusters(study, [0], (2, 3)), tmp_path / "cells.csv", verbose=0)
    assert [row["n_clusters"] for row in rows] == [2, 3]
    assert rows[1]["nmi"] > rows[0]["nmi"]
    part, held_out = study.inside(0)
    together = np.concatenate([part.x, held_out])
    assert (len(part.x), len(held_out)) == (240, 60)
    assert sorted(map(tuple, together)) == sorted(map(tuple, study.x))


def test_parts_of_a_study_are_scaled_with_the_whole(blobs, tmp_path):
    recipe = recipes.get(SMALL, unit_scale=True)
    study = experiments.Study(*blobs, tmp_path / "study", recipe)
    assert not np.array_equal(study.x, blobs[0])
    rows = set(map(tuple, study.x))
    for part in study.inside(0)[0], study.imbalanced(0.5, 0):
        assert set(map(tuple, part.x)) < rows


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
    np.testing.assert_array_equal(experiments.training(study, 0, max_points=50)["rows"], found["rows"])
    assert len(experiments.training(study, 0, max_points=10)["rows"]) == 10
