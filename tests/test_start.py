"""The start from neighborhoods and the lead of first assignments: a good start is not lost, resumed or not."""

import warnings

import h5py
import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from deckeras import DEC, dense_autoencoder, metrics, recipes
from deckeras._data import checks
from deckeras.initialization import ManifoldStart, manifold
from deckeras.verdict import judge

pytestmark = pytest.mark.usefixtures("whole_layouts")


@pytest.fixture(scope="module")
def moons():
    """(z, y): 400 rows on each of two interlocked half circles."""
    from sklearn.datasets import make_moons

    z, y = make_moons(800, noise=0.05, random_state=0)
    return z.astype("float32"), y


@pytest.mark.parametrize(("kinds", "copies"), [(1, 20), (8, 3), (8, 30), (30, 40)])
def test_copies_of_a_row_do_not_hide_its_neighbors(kinds, copies):
    """As in a table of a few categories, where each row has more copies than it has neighbors."""
    random = np.random.default_rng(0)
    rows = np.concatenate([random.normal(size=(kinds, 5)), 8 + random.normal(size=(kinds, 5))]).astype("float32")
    order = random.permutation(2 * kinds * copies)
    x, y = rows.repeat(copies, axis=0)[order], np.repeat([0, 1], kinds * copies)[order]
    assert len(ManifoldStart(x).rows) == 2 * kinds
    assignments = ManifoldStart(x, x)(x, 2)
    assert metrics.accuracy(y, assignments.argmax(axis=1)) == 1
    assert judge(x, assignments).level == ("loose" if kinds == 1 else "steady")


@pytest.mark.parametrize(("kinds", "n_clusters"), [(1, 2), (2, 3), (12, 5), (12, 20)])
def test_fewer_different_rows_than_neighborhoods_need(kinds, n_clusters):
    x = np.random.default_rng(0).normal(size=(kinds, 3)).astype("float32").repeat(9, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of k-means, which finds fewer clusters than asked for
        assignments = ManifoldStart(x, x)(x, n_clusters)
    assert assignments.shape == (len(x), n_clusters)
    of_each = assignments.reshape(kinds, 9, n_clusters)
    np.testing.assert_array_equal(of_each, of_each[:, :1].repeat(9, axis=1))


def test_rows_beyond_the_sample_join_their_neighbors(blobs):
    z, y = blobs
    start = ManifoldStart(z, sample_size=120)
    q = start(z, 3)
    assert len(start.rows) == 120
    np.testing.assert_array_equal(np.sort(q, axis=1), np.tile([0.0, 0.0, 1.0], (300, 1)))
    assert metrics.accuracy(y, q.argmax(axis=1)) == 1
    np.testing.assert_array_equal(q, ManifoldStart(z, sample_size=120)(z, 3))


@pytest.mark.parametrize(("fewest", "most", "expected"), [(5, 20, 5), (20, 40, 20), (5, 3, 3), (1, 20, 2)])
def test_a_recipe_says_how_many_neighbors(moons, monkeypatch, fewest, most, expected):
    monkeypatch.setattr(manifold, "_MANY_EPOCHS", 1)
    z, _ = moons
    recipe = recipes.get("images", min_neighbors=fewest, n_neighbors=most, n_init=1)
    graph = ManifoldStart.from_recipe(recipe, z, z, seed=0).neighborhoods.graphs[0]
    assert np.diff(graph.indptr).min() == expected


def test_layouts_serve_any_number_of_clusters(moons):
    z, _ = moons
    start = ManifoldStart(z, seed=1)
    layouts = start.neighborhoods.layouts
    for n_clusters in (1, 2, 5):
        assert (start(3 * z, n_clusters).sum(axis=0) > 0).all()
    assert start.neighborhoods.layouts is layouts


@pytest.mark.parametrize("n", [1, 2, 5, 9, 11])
def test_few_rows_are_assigned_by_kmeans(n):
    z = np.random.default_rng(0).normal(size=(n, 3)).astype("float32")
    for n_clusters in {1, min(n, 4), n}:
        assert (ManifoldStart(z, z)(z, n_clusters).sum(axis=0) > 0).all()


def test_rows_without_weight_have_no_part(blobs):
    z, y = blobs
    far = np.random.default_rng(0).uniform(-50, 50, size=(200, 8)).astype("float32")
    weights = np.repeat([1.0, 0.0], [300, 200])
    start = ManifoldStart(np.concatenate([z, far]), sample_weight=weights)
    np.testing.assert_array_equal(start.rows, np.arange(300))
    labels = start(np.concatenate([z, far]), 3).argmax(axis=1)
    assert metrics.accuracy(y, labels[:300]) == 1


def sources_of(x, path):
    with h5py.File(path / "x.h5", "w") as file:
        file["x"] = x
    np.save(path / "x.npy", x)
    return {
        "array": x,
        "sparse": checks.check_rows(sparse.csr_matrix(x)),
        "HDF5": checks.check_rows(h5py.File(path / "x.h5")["x"]),
        "mapped": checks.check_rows(np.load(path / "x.npy", mmap_mode="r")),
    }


@pytest.mark.parametrize("width", [6, 12_000])
def test_every_source_gives_the_same_start(moons, tmp_path, width):
    z, _ = moons
    x = np.zeros((800, width), "float32")
    x[:, :6] = np.random.default_rng(0).normal(size=(800, 6))
    found = {name: ManifoldStart(z, x, sample_size=120) for name, x in sources_of(x, tmp_path).items()}
    for start in found.values():
        np.testing.assert_allclose(start.neighborhoods.layouts[1], found["array"].neighborhoods.layouts[1], atol=1e-3)


def test_a_diverged_encoder_is_refused():
    with pytest.raises(ValueError, match="embedding.* finite"):
        ManifoldStart(np.full((20, 2), np.nan))


def fit(x, assignments, lead, **options):
    """A model trained from assignments that no nearest centroid in its embedding gives."""
    model = DEC(dense_autoencoder(2, units=(64, 64, 2))[0], 2)
    recipe = recipes.get("table", lead=lead, init=lambda z, n_clusters: assignments, tol=0.0)
    options = {"update_interval": 20, "max_iterations": 200, "verbose": 0, **options}
    history = model.fit(x, recipe=recipe, **options)
    return model, history


def test_a_start_that_leads_is_learned(moons):
    x, y = moons
    assignments = np.eye(2, dtype="float32")[y]
    kept = []
    for lead in (1, 20):
        model, _ = fit(x, assignments, lead, update_interval=60, max_iterations=1500)
        kept.append(metrics.accuracy(y, model.predict_clusters(x, verbose=0)))
    assert kept[1] > 0.97
    assert kept[1] > kept[0]


def test_lead_ends_where_the_network_agrees(blobs):
    x, y = blobs
    model = DEC(dense_autoencoder(8, units=(16, 3))[0], 3)
    targets = []
    original = DEC._targets
    recipe = recipes.get("table", lead=10, init=lambda z, k: np.eye(3, dtype="float32")[y], tol=0.0)
    try:
        DEC._targets = lambda self, rows, p: (targets.append(np.asarray(p).copy()), original(self, rows, p))[1]
        history = model.fit(x, recipe=recipe, update_interval=40, max_iterations=400, verbose=0)
    finally:
        DEC._targets = original
    hard = [set(np.unique(p)) <= {0.0, 1.0} for p in targets]
    first_soft = hard.index(False) // 40
    changed = history.history["changed"]
    assert first_soft >= 1
    assert changed[first_soft - 1] <= 0.01
    assert all(value > 0.01 for value in changed[: first_soft - 1])
    assert not any(hard[first_soft * 40 :])


def test_a_training_interrupted_while_the_start_leads_ends_with_the_same_weights(moons, tmp_path, interrupt_after):
    x, y = moons
    wrong = np.where(np.random.default_rng(0).random(len(y)) < 0.3, 1 - y, y)  # never learned, so it leads to the end
    assignments = np.eye(2, dtype="float32")[wrong]
    options = {"checkpoint_every": 1, "max_iterations": 160}
    whole, _ = fit(x, assignments, 5, checkpoint_dir=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        fit(x, assignments, 5, checkpoint_dir=tmp_path / "parts", **options, callbacks=interrupt_after(47))
    with h5py.File(tmp_path / "parts" / "checkpoint.h5") as file:
        np.testing.assert_array_equal(file["arrays"]["first"][()], assignments)
    resumed, _ = fit(x, assignments, 5, checkpoint_dir=tmp_path / "parts", **options)
    for weight, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    with h5py.File(tmp_path / "parts" / "checkpoint.h5") as file:
        assert not len(file["arrays"])


def test_many_clusters_start_from_kmeans(monkeypatch):
    x = np.random.default_rng(0).normal(size=(700, 3)).astype("float32")
    monkeypatch.setattr(ManifoldStart, "__init__", lambda *args, **options: pytest.fail("Laid out."))
    model = DEC(dense_autoencoder(3, units=(8, 3))[0], 301)
    assert model.initialize_centroids(x) is None
    assert model.start_labels is None
    assert len(np.unique(model.centroids, axis=0)) == 301
