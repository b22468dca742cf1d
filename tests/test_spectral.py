"""The spectral clusterings against the objectives of their papers, computed by ridge regression."""

import numpy as np
import pytest
import spectral
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors

from deckeras import metrics

METHODS = {"sec": spectral.spectral_embedded_clustering, "ldmgi": spectral.ldmgi}


@pytest.fixture
def moons():
    return make_moons(400, noise=0.04, random_state=0)


@pytest.fixture
def matrix(monkeypatch):
    """Make the dense matrix whose largest eigenvectors a method takes."""

    def make(method, x, **settings):
        found = []
        monkeypatch.setattr(spectral, "_cluster", lambda operator, *_: found.append(operator))
        method(x, 2, **settings)
        return found[0] @ np.eye(len(x))

    return make


def ridge_objective(x, f, penalty):
    """The least of |x w + b - f|^2 + penalty |w|^2, by scikit-learn."""
    model = Ridge(alpha=penalty, solver="cholesky").fit(x, f)
    return np.square(model.predict(x) - f).sum() + penalty * np.square(model.coef_).sum()


def test_sec_minimises_its_papers_objective(matrix):
    random = np.random.default_rng(0)
    x, f = random.normal(size=(40, 3)), random.normal(size=40)
    distances, neighbours = NearestNeighbors(n_neighbors=5).fit(x).kneighbors()
    graph = np.zeros((40, 40))
    for row in range(40):
        graph[row, neighbours[row]] = np.exp(-(distances[row] ** 2) / (2 * np.median(distances[:, -1]) ** 2))
    graph = np.maximum(graph, graph.T)
    root = 1 / np.sqrt(graph.sum(axis=1))
    laplacian = np.eye(40) - root[:, None] * graph * root
    penalty = 0.5 * 40 * x.var(axis=0).mean()
    expected = f @ laplacian @ f + 0.3 * ridge_objective(x, f, penalty)
    found = np.eye(40) - matrix(METHODS["sec"], x, mu=0.3, gamma=0.5)
    assert f @ found @ f == pytest.approx(expected, rel=1e-9)


def test_ldmgi_minimises_its_papers_objective(matrix):
    random = np.random.default_rng(0)
    x, f = random.normal(size=(40, 3)), random.normal(size=40)
    neighbours = np.hstack([np.arange(40)[:, None], NearestNeighbors(n_neighbors=4).fit(x).kneighbors()[1]])
    variance = np.mean([np.square(x[group] - x[group].mean(axis=0)).sum() / 5 for group in neighbours])
    expected = sum(ridge_objective(x[group], f[group], 0.7 * variance) for group in neighbours)
    flipped = matrix(METHODS["ldmgi"], x, lam=0.7)
    # It holds the largest eigenvalue minus the matrix, which has constant vectors in its null space.
    largest = (np.ones(40) @ flipped @ np.ones(40)) / 40
    assert largest * f @ f - f @ flipped @ f == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_follows_the_moons_that_kmeans_cuts(moons, name):
    x, y = moons
    assert metrics.accuracy(y, KMeans(2, n_init=20, random_state=0).fit_predict(x)) < 0.9
    # Without the linear function; with local models of two features that are nearly constant.
    settings = {"sec": {"mu": 0.0}, "ldmgi": {"lam": 100.0, "n_neighbors": 10}}[name]
    assert metrics.accuracy(y, METHODS[name](x, 2, **settings)) == 1.0


@pytest.mark.parametrize("name", METHODS)
def test_a_graph_in_many_pieces(name):
    """Its Laplacian has the eigenvalue 0 twenty times, of which one start of Lanczos' iteration misses some."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(20), 30)
    x = random.normal(size=(600, 20)) / 2 + 20 * np.eye(20)[y]
    settings = {"sec": {"mu": 0.0}, "ldmgi": {}}[name]
    assert metrics.accuracy(y, METHODS[name](x, 20, **settings)) == 1.0


@pytest.mark.parametrize("name", METHODS)
def test_neighbours_may_be_given(blobs, name):
    x, _ = blobs
    given = METHODS[name](x, 3, neighbours=spectral.nearest_neighbours(x))
    np.testing.assert_array_equal(given, METHODS[name](x, 3))


@pytest.mark.parametrize("name", METHODS)
def test_no_convergence_is_said(blobs, name, monkeypatch):
    monkeypatch.setattr(spectral, "_RESTARTS", 1)
    with pytest.raises(RuntimeError, match="eigenvectors of 300 rows were not found in 1 restarts"):
        METHODS[name](blobs[0], 30)


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_labels_and_the_order_of_rows_does_not_matter(blobs, name):
    x, y = blobs
    labels = METHODS[name](x, 3, seed=1)
    np.testing.assert_array_equal(labels, METHODS[name](x, 3, seed=1))
    order = np.random.default_rng(0).permutation(len(x))
    assert metrics.accuracy(y, labels) == metrics.accuracy(y[order], METHODS[name](x[order], 3)) == 1.0


@pytest.mark.parametrize("name", METHODS)
def test_equal_rows_and_constant_features_are_no_trouble(blobs, name):
    x, y = blobs
    x = np.hstack([np.repeat(x[::2], 2, axis=0), np.ones((len(x), 2), x.dtype)])
    assert metrics.accuracy(y, METHODS[name](x, 3)) > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_bad_arguments_are_named(blobs, name):
    x, _ = blobs
    method = METHODS[name]
    with pytest.raises(ValueError, match="at least 11 rows"):
        method(x[:10], 10)
    with pytest.raises(ValueError, match="n_neighbors"):
        method(x, 3, n_neighbors=1)
    with pytest.raises(ValueError, match=r"shape \(n, n_features\)"):
        method(x.reshape(-1, 4, 2), 3)
    bad = {"sec": [{"mu": -1.0}, {"gamma": 0.0}], "ldmgi": [{"lam": 0.0}, {"lam": np.nan}]}[name]
    for setting in bad:
        with pytest.raises(ValueError, match=next(iter(setting))):
            method(x, 3, **setting)
