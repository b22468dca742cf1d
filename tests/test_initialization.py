import numpy as np
import pytest

from deckeras import kmeans_centroids


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
    with pytest.raises(ValueError, match="embedding should hold finite numbers.* lower learning rate"):
        kmeans_centroids(np.array([[0.0], [np.nan]]), 2)
