"""Neighborhoods: the graph against UMAP's definition, the layout against its loss, clusters that k-means misses."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

from deckeras import metrics
from deckeras.initialization import kmeans_centroids, manifold, neighbor_graphs

pytestmark = pytest.mark.usefixtures("whole_layouts")


@pytest.fixture(scope="module")
def moons():
    """(x, y): 300 rows on each of two interlocked half circles."""
    from sklearn.datasets import make_moons

    x, y = make_moons(600, noise=0.05, random_state=0)
    return x.astype("float32"), y


def fuzzy_weights(x, n_neighbors):
    """The weights of UMAP's paper, row by row in float64, each bandwidth by a root finder of SciPy's."""
    from scipy.optimize import brentq

    distances = cdist(x, x)
    weights = np.zeros_like(distances)
    for i, row in enumerate(distances):
        order = np.argsort(row)[1 : n_neighbors + 1]
        beyond = row[order] - row[order[0]]
        bandwidth = brentq(lambda s, d=beyond: np.exp(-d / s).sum() - np.log2(n_neighbors), 1e-9, 1e9)
        weights[i, order] = np.exp(-beyond / bandwidth)
    return weights + weights.T - weights * weights.T


def test_graph_is_that_of_the_paper():
    x = np.random.default_rng(0).normal(size=(60, 3))
    found = neighbor_graphs.neighbor_graph(x, 8).toarray()
    np.testing.assert_allclose(found, fuzzy_weights(x, 8), atol=1e-5)
    np.testing.assert_array_equal(found, found.T)


def test_cosine_does_not_see_lengths():
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 4))
    graph = neighbor_graphs.neighbor_graph(x, 5, metric="cosine").toarray()
    longer = neighbor_graphs.neighbor_graph(x * random.uniform(1, 9, size=(50, 1)), 5, metric="cosine").toarray()
    np.testing.assert_allclose(graph, longer, atol=1e-4)
    assert not np.allclose(graph, neighbor_graphs.neighbor_graph(x, 5).toarray(), atol=0.1)


@pytest.mark.parametrize("x", [np.zeros((40, 3)), np.repeat([[0.0, 1.0], [5.0, 5.0]], 30, axis=0)])
def test_equal_rows(x):
    graph = neighbor_graphs.neighbor_graph(x, 10)
    assert np.isfinite(graph.data).all()
    assert graph.data.max() <= 1
    assert np.isfinite(manifold.layout(graph, 2, n_epochs=20)).all()


def test_graph_refuses():
    with pytest.raises(ValueError, match="at least 2 rows"):
        neighbor_graphs.neighbor_graph(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="metric should be"):
        neighbor_graphs.neighbor_graph(np.zeros((5, 3)), metric="taxicab")


def test_layout_lowers_the_cross_entropy(moons):
    graph = neighbor_graphs.neighbor_graph(moons[0])
    weights = graph.toarray().astype(np.float64)
    negatives = 5 * weights.sum(axis=1)[:, None] / len(weights)  # five random points for each neighbor, as in UMAP

    def loss(points):
        kernel = 1 / (1 + cdist(points, points, "sqeuclidean"))
        np.fill_diagonal(kernel, 0.5)
        return -(weights * np.log(kernel) + negatives * np.log(1 - np.minimum(kernel, 1 - 1e-6))).sum()

    losses = [loss(manifold.layout(graph, 2, n_epochs=n_epochs)) for n_epochs in (1, 20, 200)]
    assert losses[2] < losses[1] < 0.5 * losses[0]


def test_a_graph_of_one_direction_is_laid_out_as_one_of_both(moons):
    graph = neighbor_graphs.neighbor_graph(moons[0])
    stored = graph.copy()
    expected = manifold.layout(graph, n_epochs=20)
    np.testing.assert_array_equal(manifold.layout(2 * sparse.triu(graph), n_epochs=20), expected)
    assert (graph != stored).nnz == 0


@pytest.mark.parametrize("sort", [True, False])
def test_one_step_from_the_first_layout_is_adam_on_the_gradient(monkeypatch, moons, sort):
    graph = neighbor_graphs.neighbor_graph(moons[0])
    if not sort:
        order = np.concatenate([np.arange(*ends)[::-1] for ends in itertools.pairwise(graph.indptr)])
        graph = sparse.csr_array((graph.data[order], graph.indices[order], graph.indptr), shape=graph.shape)
    first = np.random.default_rng(0).normal(size=(len(moons[0]), 3)).astype("float32")
    monkeypatch.setattr(manifold, "_first_layout", lambda *_: first.copy())
    monkeypatch.setattr(manifold, "_repulsion", lambda points, others: np.zeros_like(points))
    weights = graph.toarray().astype(np.float64)
    weights[weights < weights.max()] = 0  # Those below the largest, divided by the number of epochs, are not sampled.
    differences = first[:, None].astype(np.float64) - first
    strength = weights / (1 + np.square(differences).sum(axis=-1))
    gradient = (strength[:, :, None] * differences).sum(axis=1)
    step = 0.5 * gradient / (np.abs(gradient) + 1e-8)
    np.testing.assert_allclose(manifold.layout(graph, 3, n_epochs=1), first - step, atol=1e-4)


def test_repulsion_is_the_gradient():
    random = np.random.default_rng(0)
    points, others = random.normal(size=(2500, 3)), random.normal(size=(40, 3))
    others[0] = points[0]  # which is not repelled by itself
    differences = points[:, None] - others
    squares = np.square(differences).sum(axis=-1, keepdims=True)
    expected = 5 * (differences / ((1 / 64 + squares) * (1 + squares))).mean(axis=1)
    np.testing.assert_allclose(manifold._repulsion(points, others), expected, atol=1e-9)


def test_repulsion_far_from_the_origin_is_finite():
    """There, rounding may make a squared distance negative."""
    random = np.random.default_rng(0)
    points = (100 + 0.05 * random.normal(size=(3000, 10))).astype("float32")
    found = manifold._repulsion(points, points[:200])
    assert np.isfinite(found).all()
    expected = manifold._repulsion(points.astype(np.float64) - 100, points[:200].astype(np.float64) - 100)
    assert np.abs(found).max() < 10 * np.abs(expected).max()


@pytest.mark.parametrize("seed", range(3))
def test_finds_a_ball_within_a_shell_which_kmeans_cuts(seed):
    random = np.random.default_rng(seed)
    y = np.repeat([0, 1], 150)
    x = random.normal(size=(300, 3))
    x *= 4 * (y / np.linalg.norm(x, axis=1))[:, None]
    x = (x + random.normal(scale=0.3, size=x.shape)).astype("float32")
    nearest = ((x[:, None] - kmeans_centroids(x, 2)) ** 2).sum(axis=-1).argmin(axis=1)
    assert metrics.accuracy(y, nearest) < 0.8
    assert metrics.accuracy(y, manifold.Neighborhoods([(x, "euclidean")]).clusters(2)) > 0.98


@pytest.mark.parametrize("kmeans_is_right", [True, False])
def test_kmeans_is_taken_where_it_is_better_by_every_measure(monkeypatch, kmeans_is_right):
    """One large cluster and one of a tenth of its size, which layouts that divide the large one do not find."""
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(size=(300, 3)), 8 + random.normal(size=(30, 3))]).astype("float32")
    right, divided = np.repeat([0, 1], [300, 30]), (x[:, 0] > 0).astype(int)
    votes = [divided, divided, right] if kmeans_is_right else [right, right, divided]
    found = manifold.Neighborhoods(manifold.views(x, x), n_epochs=20, rows=x)
    monkeypatch.setattr(found, "labelings", lambda n_clusters: votes)
    assert metrics.accuracy(right, found.clusters(2)) == 1
    found.rows = None  # without k-means, the last one is a layout as any other
    assert metrics.accuracy(votes[0], found.clusters(2)) == 1


def test_cut_is_the_weight_of_neighbors_apart():
    graph = sparse.csr_array(np.array([[0, 1.0, 0.5], [1.0, 0, 0], [0.5, 0, 0]]))
    assert neighbor_graphs.cut(graph, np.array([0, 0, 1])) == pytest.approx(0.5 / 1.5)
    assert neighbor_graphs.cut(graph, np.array([0, 0, 0])) == 0


@pytest.mark.parametrize("n_neighbors", [1, 4, 20, 1000])
@pytest.mark.parametrize("n_graphs", [1, 3])
def test_joint_graph_by_hand(n_graphs, n_neighbors):
    random = np.random.default_rng(0)
    graphs = [neighbor_graphs.neighbor_graph(random.normal(size=(60, 3)), 7) for _ in range(n_graphs)]
    before = [graph.toarray() for graph in graphs]
    total = np.sum(before, axis=0, dtype=np.float64)
    kept = np.zeros_like(total)
    for row, weights in enumerate(total):
        strongest = weights >= np.sort(weights)[::-1][min(n_neighbors, len(weights)) - 1]
        kept[row, strongest] = weights[strongest]
    found = neighbor_graphs.joint_graph(graphs, n_neighbors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), np.maximum(kept, kept.T), rtol=1e-6)
    for graph, unchanged in zip(graphs, before, strict=True):
        np.testing.assert_array_equal(graph.toarray(), unchanged)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_joint_graph_connects_classes_less_than_any_view(seed):
    """Each view shows the classes with noise of its own."""
    random = np.random.default_rng(seed)
    y = np.repeat(np.arange(4), 30)
    graphs = [neighbor_graphs.neighbor_graph(2 * np.eye(4)[y] + random.normal(size=(120, 4))) for _ in range(4)]
    assert neighbor_graphs.cut(neighbor_graphs.joint_graph(graphs), y) < 0.85 * min(
        neighbor_graphs.cut(graph, y) for graph in graphs
    )


@pytest.mark.parametrize(("n_views", "n_graphs"), [(1, 1), (2, 2), (4, 5)])
def test_more_than_two_views_are_laid_out_together_too(moons, n_views, n_graphs):
    views = manifold.views(moons[0], moons[0])[:n_views]
    found = manifold.Neighborhoods(views, n_init=2, n_epochs=20)
    assert len(found.graphs) == n_views
    assert len(found.layouts) == len(found.labelings(2)) == 2 * n_graphs
    if n_views == 4:
        joint = manifold.layout(neighbor_graphs.joint_graph(found.graphs), n_epochs=20, seed=found.seeds[1])
        np.testing.assert_array_equal(found.layouts[-1], joint)


def test_kmeans_has_one_vote(moons):
    x, _ = moons
    alone = manifold.Neighborhoods([(x, "euclidean")], n_init=2)
    labelings = manifold.Neighborhoods([(x, "euclidean")], n_init=2, rows=x).labelings(2)
    assert len(labelings) == 3
    for with_vote, without in zip(labelings, alone.labelings(2), strict=False):
        np.testing.assert_array_equal(with_vote, without)
    nearest = ((x[:, None] - kmeans_centroids(x, 2)) ** 2).sum(axis=-1).argmin(axis=1)
    assert metrics.accuracy(nearest, labelings[2]) > 0.99


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_rows_of_zeros_are_no_neighbors_of_all(metric):
    """Texts of few words have nothing in common with most others, and a text without any is as far from them."""
    random = np.random.default_rng(0)
    topics = np.repeat(np.arange(3), 100)
    x = np.zeros((303, 300), "float32")
    for row, topic in enumerate(topics):
        x[row, 100 * topic + random.choice(100, 8, replace=False)] = random.random(8)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    seen = {name: view for view, name in manifold.views(None, x)}
    graph = neighbor_graphs.neighbor_graph(seen[metric], metric=metric)
    assert np.diff(graph.indptr)[300:].max() < 100
    if metric == "cosine":
        assert np.diff(neighbor_graphs.neighbor_graph(x, metric=metric).indptr)[300:].max() < 100
    assert metrics.accuracy(topics, manifold.Neighborhoods([(seen[metric], metric)]).clusters(3)[:300]) > 0.97


def test_a_graph_serves_several_layouts(moons):
    graph = neighbor_graphs.neighbor_graph(moons[0])
    before = graph.data.copy()
    manifold.layout(graph, 2, n_epochs=20)
    np.testing.assert_array_equal(graph.data, before)


def test_seed_and_cores(moons, monkeypatch):
    x = moons[0][::2]
    found = manifold.Neighborhoods([(x, "euclidean")], n_init=2, seed=3)
    monkeypatch.setattr(manifold.os, "cpu_count", lambda: 1)
    same = manifold.Neighborhoods([(x, "euclidean")], n_init=2, seed=3)
    np.testing.assert_array_equal(np.array(found.layouts), np.array(same.layouts))
    np.testing.assert_array_equal(found.clusters(3), same.clusters(3))
    other = manifold.Neighborhoods([(x, "euclidean")], seed=4)
    assert not np.allclose(found.layouts[0], other.layouts[0])


def test_views():
    random = np.random.default_rng(0)
    z, x = random.normal(size=(200, 5)), random.normal(size=(200, 80))
    assert [(view.shape, metric) for view, metric in manifold.views(z)] == [
        ((200, 5), "euclidean"),
        ((200, 5), "cosine"),
    ]
    shapes = [(view.shape, metric) for view, metric in manifold.views(z, x)]
    by_both = ["euclidean", "cosine"]
    assert shapes == [((200, width), metric) for width in (5, 50) for metric in by_both]
    assert [metric for _, metric in manifold.views(None, x)] == by_both
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[3] = 0
    assert manifold.views(z, x)[2][0].shape == (200, 81)  # and one that tells the row of zeros from the others
