"""target_distribution against equation 3, and its power of the frequencies, in float64."""

import numpy as np
import pytest
from keras import ops

from deckeras import cluster_frequencies, target_distribution
from deckeras.target import embedding_gradient


@pytest.fixture
def q():
    return np.random.default_rng(2).dirichlet(np.ones(4), size=50)


def equation_3(q, balance=1.0):
    weights = q**2 / q.sum(axis=0) ** balance
    return weights / weights.sum(axis=1, keepdims=True)


def test_two_rows_by_hand():
    # f = (1, 1), so p is q squared and normalised: 9/16 against 1/16.
    p = target_distribution(np.array([[0.75, 0.25], [0.25, 0.75]]))
    np.testing.assert_allclose(p, [[0.9, 0.1], [0.1, 0.9]])


def test_small_clusters_gain():
    # Both rows are undecided, but the second cluster has less mass: it gets the larger share.
    p = target_distribution(np.array([[0.5, 0.5], [0.9, 0.1]]))
    assert p[0, 1] > p[0, 0]


def test_is_equation_3(q):
    np.testing.assert_allclose(target_distribution(q), equation_3(q), rtol=1e-12)


@pytest.mark.parametrize("tensor", [np.array, ops.convert_to_tensor])
@pytest.mark.parametrize("balance", [0, 0.5, 0.8, 1])
def test_balance_is_the_power_of_the_frequencies(q, balance, tensor):
    p = target_distribution(tensor(q.astype("float32")), balance=balance)
    np.testing.assert_allclose(ops.convert_to_numpy(p), equation_3(q, balance), rtol=1e-5)


def test_less_balance_leaves_uneven_clusters_uneven():
    """A tenth of the rows are in the second cluster, and all are in some doubt."""
    q = np.repeat([[0.8, 0.2], [0.2, 0.8]], [90, 10], axis=0)
    shares = [target_distribution(q, balance=balance)[:, 1].mean() for balance in (0, 0.5, 1)]
    assert shares == sorted(shares)
    assert shares[0] < shares[1] - 0.02 < shares[2] - 0.04


@pytest.mark.parametrize("balance", [-0.1, 1.5, np.nan, "half", True, None])
def test_bad_balance(q, balance):
    with pytest.raises(ValueError, match="balance should be from 0 to 1"):
        target_distribution(q, balance=balance)


def test_float32_stays_float32(q):
    p = target_distribution(q.astype("float32"))
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, equation_3(q), rtol=1e-5)


def test_backend_tensor_gives_backend_tensor(q):
    p = target_distribution(ops.convert_to_tensor(q.astype("float32")))
    assert not isinstance(p, np.ndarray)
    np.testing.assert_allclose(ops.convert_to_numpy(p), equation_3(q), rtol=1e-5)


def test_pieces_are_the_whole(q):
    pieces = np.array_split(q, 7)
    frequencies = sum(cluster_frequencies(piece) for piece in pieces)
    in_pieces = np.concatenate([target_distribution(piece, frequencies) for piece in pieces])
    np.testing.assert_allclose(in_pieces, target_distribution(q), rtol=1e-12)


def test_a_piece_by_itself_is_not_the_whole(q):
    assert not np.allclose(target_distribution(q[:10]), target_distribution(q)[:10], rtol=1e-3)


def test_frequencies_of_many_float32_rows_keep_their_digits():
    q = np.full((2**22, 2), 0.1, "float32")
    assert abs(q.sum(axis=0)[0] / len(q) / np.float64(q[0, 0]) - 1) > 1e-3  # what a plain sum makes of it
    np.testing.assert_allclose(cluster_frequencies(q), len(q) * np.float64(q[0, 0]), rtol=1e-12)


def test_permuting_clusters_permutes_p(q):
    np.testing.assert_allclose(target_distribution(q[:, ::-1]), target_distribution(q)[:, ::-1])


def test_dead_cluster_gets_nothing():
    p = target_distribution(np.array([[1.0, 0.0], [1.0, 0.0]], "float32"))
    np.testing.assert_array_equal(p, [[1, 0], [1, 0]])


def test_tiny_assignments_do_not_underflow():
    # Squares of 1e-30 vanish in float32, their ratios must not.
    p = target_distribution(np.array([[1e-30, 1 - 1e-30], [2e-30, 1 - 2e-30]], "float32"))
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)


def test_bad_shapes(q):
    with pytest.raises(ValueError, match=r"q of shape \(4,\)"):
        target_distribution(q[0])
    with pytest.raises(ValueError, match=r"frequencies.* shape \(3,\)"):
        target_distribution(q, np.ones(3))


@pytest.mark.parametrize("alpha", [1.0, 2.5])
def test_gradient_is_the_slope_of_the_loss(alpha):
    random = np.random.default_rng(0)
    z, centroids = random.normal(size=(20, 3)), random.normal(size=(4, 3))

    def assign(z):
        kernel = (1 + np.square(z[:, None] - centroids).sum(axis=2) / alpha) ** (-(alpha + 1) / 2)
        return kernel / kernel.sum(axis=1, keepdims=True)

    p = target_distribution(assign(z))
    gradient = embedding_gradient(z, centroids, alpha=alpha)
    np.testing.assert_allclose(embedding_gradient(z, centroids, p, alpha=alpha), gradient)
    np.testing.assert_allclose(embedding_gradient(z, centroids, assign(z), alpha=alpha), 0, atol=1e-12)
    for row, feature in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[row, feature] = 1e-6
        loss_after, loss_before = (np.sum(p * np.log(p / assign(z + sign * step))) for sign in (1, -1))
        assert gradient[row, feature] == pytest.approx((loss_after - loss_before) / 2e-6, abs=1e-7)


def test_gradient_of_bad_shapes():
    with pytest.raises(ValueError, match="z and centroids"):
        embedding_gradient(np.ones((3, 2)), np.ones((2, 3)))
