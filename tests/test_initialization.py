"""The first clusterers find groups, distinguish split groups from whole ones, and depend on the seed alone."""

import numpy as np
import pandas
import pytest

from deckeras import (
    cluster_frequencies,
    initialization,
    kmeans_centroids,
    metrics,
    mixture_assignments,
    target_distribution,
    ward_centroids,
)
from deckeras.initialization import cluster_means, consistency, first_clusters, mixtures


@pytest.fixture(scope="module")
def sticks():
    """(z, y): 2,400 rows in four long parallel sticks, each of which k-means rather cuts across."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 600)
    z = random.normal(size=(2400, 2)) * [4, 0.25] + np.stack([0 * y, 2.0 * y], axis=1)
    return z.astype("float32"), y


def test_finds_the_means_of_groups(blobs):
    x, y = blobs
    means = np.stack([x[y == group].mean(axis=0) for group in range(3)])
    centroids = kmeans_centroids(x, 3)
    order = [np.argmin(np.linalg.norm(centroids - mean, axis=1)) for mean in means]
    np.testing.assert_allclose(centroids[order], means, atol=1e-5)


def test_seed_decides():
    z = np.random.default_rng(0).normal(size=(500, 4))
    first, same, other = (kmeans_centroids(z, 8, n_init=1, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(np.sort(first, axis=0), np.sort(other, axis=0))


def test_diverged_encoder():
    with pytest.raises(ValueError, match="embedding.* finite.* learning rate"):
        kmeans_centroids(np.array([[0.0], [np.nan]]), 2)


def test_ward_finds_the_means_of_groups_from_a_sample(blobs):
    x, y = blobs
    means = np.stack([x[y == group].mean(axis=0) for group in range(3)])
    for size in (60, 10_000):
        centroids = ward_centroids(x, 3, sample_size=size)
        order = [np.argmin(np.linalg.norm(centroids - mean, axis=1)) for mean in means]
        assert sorted(order) == [0, 1, 2]
        np.testing.assert_allclose(centroids[order], means, atol=0.6 if size == 60 else 1e-5)


def test_mixture_finds_what_kmeans_cuts(sticks):
    z, y = sticks
    assert metrics.accuracy(y, first_labels(kmeans_centroids(z, 4), z)) < 0.7
    q = mixture_assignments(z, 4)
    assert q.dtype == np.float32
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-5)
    assert metrics.accuracy(y, q.argmax(axis=1)) > 0.98


def first_labels(centroids, z):
    return ((z[:, None] - centroids) ** 2).sum(axis=-1).argmin(axis=1)


def test_mixture_keeps_the_steadiest_start(sticks, monkeypatch):
    """Of several starts, most of which cut a stick and merge two others, the one that does not is kept."""
    z, y = sticks
    cut = np.where((y == 3) & (z[:, 0] < 0), 2, np.where(y == 3, 3, np.where(y == 2, 1, y)))
    rows = {row.tobytes(): position for position, row in enumerate(np.float64(z))}
    starts = iter([cut, y, cut])

    def ward(sample, n_clusters):
        labels = next(starts)
        return np.array([labels[rows[row.tobytes()]] for row in sample])

    monkeypatch.setattr("deckeras.initialization.clusterers._ward", ward)
    scores = [score for _, score in mixtures(z, 4, n_init=3)]
    assert scores[1] > max(scores[0], scores[2]) + 0.05
    starts = iter([cut, y, cut])
    assert metrics.accuracy(y, mixture_assignments(z, 4, n_init=3).argmax(axis=1)) > 0.98


@pytest.mark.parametrize("clusterer", [ward_centroids, mixture_assignments])
def test_seed_decides_samples(clusterer):
    z = np.random.default_rng(0).normal(size=(500, 4))
    first, same, other, fresh = (clusterer(z, 5, sample_size=100, seed=seed) for seed in (1, 1, 2, None))
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)
    assert not np.allclose(first, fresh)


@pytest.mark.parametrize("clusterer", [ward_centroids, mixture_assignments])
def test_diverged_encoder_in_the_others(clusterer):
    with pytest.raises(ValueError, match="embedding.* finite"):
        clusterer(np.array([[0.0], [np.inf]]), 2)


@pytest.mark.parametrize("clusterer", [kmeans_centroids, ward_centroids, mixture_assignments])
def test_as_few_rows_as_clusters_and_a_feature_that_is_constant(clusterer):
    assert np.isfinite(clusterer(np.array([[0.0, 1.0], [5.0, 1.0], [9.0, 1.0]]), 3)).all()


def test_consistency_by_hand():
    assert consistency([0, 0, 1, 1], [1, 1, 0, 0]) == pytest.approx(np.log(2))
    assert consistency([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(0)
    joint = np.array([[3, 1], [0, 4]]) / 8
    expected = sum(p * np.log(p / a / b) for p, a, b in [(3 / 8, 0.5, 3 / 8), (1 / 8, 0.5, 5 / 8), (0.5, 0.5, 5 / 8)])
    assert joint.sum() == 1
    assert consistency([0] * 4 + [1] * 4, [0, 0, 0, 1, 1, 1, 1, 1]) == pytest.approx(expected)


def test_cluster_means_by_hand():
    z = np.array([[0.0, 0.0], [2.0, 0.0], [8.0, 4.0]], "float32")
    means = cluster_means(z, np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]]))
    np.testing.assert_allclose(means, [[2 / 3, 0], [6, 8 / 3], [10 / 3, 4 / 3]], rtol=1e-6)  # the last: no row's
    assert means.dtype == z.dtype


def test_first_clusters_takes_names_and_functions(sticks):
    z, y = sticks
    for name in "kmeans", "ward":
        centroids, assignments = first_clusters(z, 4, name)
        assert centroids.shape == (4, 2)
        assert assignments is None
    centroids, assignments = first_clusters(z, 4, "mixture")
    np.testing.assert_allclose(centroids, cluster_means(z, assignments))
    centroids, assignments = first_clusters(z, 4, lambda z, n_clusters: np.eye(n_clusters)[y])
    np.testing.assert_allclose(centroids[1], z[y == 1].mean(axis=0), atol=1e-5)
    np.testing.assert_array_equal(assignments.argmax(axis=1), y)
    centroids, assignments = first_clusters(z, 4, lambda z, n_clusters: z[:n_clusters])
    np.testing.assert_array_equal(centroids, z[:4])
    assert assignments is None


def test_assignments_of_other_rows_are_not_taken():
    """Such as those of a sample, which has as many rows as one of several processes."""
    z = np.arange(8.0)[:, None]
    halves = {"init": lambda rows, n_clusters: np.eye(2)[(np.arange(8) >= 4).astype(int)], "z": z}
    assert first_clusters(z[::-1], 2, **halves)[1] is None
    np.testing.assert_array_equal(first_clusters(z.copy(), 2, **halves)[1].argmax(axis=1), z[:, 0] >= 4)


def test_first_clusters_refuses_others(sticks):
    z, _ = sticks
    with pytest.raises(ValueError, match="init should be.*'random'"):
        first_clusters(z, 4, "random")
    with pytest.raises(ValueError, match=r"\(4, 2\).* \(2400, 4\)"):
        first_clusters(z, 4, lambda z, n_clusters: z[:3])


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("clusterer", [kmeans_centroids, ward_centroids, mixture_assignments])
def test_as_many_clusters_as_rows(clusterer, rows):
    z = np.arange(2 * rows, dtype="float32").reshape(rows, 2)
    assert np.isfinite(clusterer(z, rows)).all()
    with pytest.raises(ValueError, match="n_clusters should be from 1 to the number of rows"):
        clusterer(z, rows + 1)


def test_votes_are_assignments():
    """Whole numbers, which need not sum to 1."""
    z, labels = np.arange(8.0)[:, None], np.arange(8) // 4
    votes = 1 + 2 * np.eye(2, dtype=int)[labels]
    found = first_clusters(z, 2, lambda rows, n_clusters: votes)[1]
    np.testing.assert_allclose(found, votes / 4)
    for wrong in votes * np.r_[-1, np.ones(7, int)][:, None], votes * np.r_[np.ones(7, int), 0][:, None]:
        with pytest.raises(ValueError, match="assignments of at least 0, with a positive one in each row"):
            first_clusters(z, 2, lambda rows, n_clusters, wrong=wrong: wrong)


# What the functions take

LISTS = [[0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]] * 4
HARD = np.eye(2, dtype=int)[[0, 0, 0, 1, 1, 1] * 4]
FUNCTIONS = {
    "kmeans_centroids": lambda given: kmeans_centroids(given(LISTS), 2),
    "ward_centroids": lambda given: ward_centroids(given(LISTS), 2),
    "mixture_assignments": lambda given: mixture_assignments(given(LISTS), 2, n_init=2),
    "first_clusters": lambda given: first_clusters(given(LISTS), 2, "ward")[0],
    "cluster_means": lambda given: cluster_means(given(LISTS), given(HARD.tolist())),
    "ManifoldStart": lambda given: initialization.ManifoldStart(given(LISTS))(given(LISTS), 2),
    "target_distribution": lambda given: target_distribution(given(HARD.tolist()), given([12, 12])),
    "target of votes": lambda given: target_distribution(given((HARD + 1).tolist())),
    "cluster_frequencies": lambda given: cluster_frequencies(given(HARD.tolist()), given([1] * 24)),
}


@pytest.mark.filterwarnings("ignore:k >= N")
@pytest.mark.parametrize("given", [list, tuple, np.array, pandas.DataFrame, np.uint8], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_whatever_holds_numbers_is_taken(name, given):
    """As an array of floats would be: whole numbers do not cut off the fractions of the result."""

    def convert(values):
        return given(values)[0] if given is pandas.DataFrame and np.ndim(values) == 1 else given(values)

    expected = FUNCTIONS[name](lambda values: np.array(values, np.float64))
    np.testing.assert_allclose(FUNCTIONS[name](convert), expected)
