"""ClusteringLayer against a float64 NumPy version of the paper's equations."""

import pathlib
import textwrap

import keras
import numpy as np
import pytest
from keras import ops

from deckeras import ClusteringLayer, target_distribution


def kernel(z, mu, alpha):
    """(n, k) values of (1 + ||z - mu||^2 / alpha)^-1, in float64."""
    z, mu = np.float64(z), np.float64(mu)
    return 1 / (1 + ((z[:, None] - mu) ** 2).sum(-1) / alpha)


def soft_assignment(z, mu, alpha):
    """Equation 1, as it is written."""
    q = kernel(z, mu, alpha) ** ((alpha + 1) / 2)
    return q / q.sum(axis=1, keepdims=True)


def layer_at(mu, alpha=1.0, **kwargs):
    layer = ClusteringLayer(len(mu), alpha, **kwargs)
    layer.build((None, mu.shape[1]))
    layer.set_weights([mu])
    return layer


@pytest.fixture
def points():
    random = np.random.default_rng(1)
    return random.normal(size=(20, 5)).astype("float32"), random.normal(size=(4, 5)).astype("float32")


@pytest.fixture
def crowd():
    """(z, mu): 40 points and 2,000 centroids, of which some are pairs, with a point next to each."""
    random = np.random.default_rng(2)
    mu = random.normal(scale=3, size=(2000, 64))
    mu[:20] = mu[20:40] + random.normal(scale=0.05, size=(20, 64))
    z = mu[:40] + random.normal(scale=0.1, size=(40, 64))
    return z.astype("float32"), mu.astype("float32")


def test_one_point_between_two_centroids_by_hand():
    # Distances 1 and 2, so kernels 1/2 and 1/5: q = (5/7, 2/7).
    q = layer_at(np.array([[0.0], [3.0]]))(np.array([[1.0]]))
    np.testing.assert_allclose(ops.convert_to_numpy(q), [[5 / 7, 2 / 7]], rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0, 20.0])
def test_is_equation_1(points, alpha):
    z, mu = points
    q = ops.convert_to_numpy(layer_at(mu, alpha)(z))
    np.testing.assert_allclose(q, soft_assignment(z, mu, alpha), rtol=2e-5)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("shift", [0, 100])
@pytest.mark.parametrize("alpha", [1.0, 20.0])
def test_is_equation_1_for_many_clusters(crowd, alpha, shift):
    z, mu = (points + np.float32(shift) for points in crowd)
    q = ops.convert_to_numpy(layer_at(mu, alpha)(z))
    np.testing.assert_allclose(q, soft_assignment(z, mu, alpha), atol=1e-5)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("outliers", [False, True])
def test_is_equation_1_for_groups_of_clusters(outliers):
    """Centroids that are close to some others and far from the rest, where most digits are lost."""
    random = np.random.default_rng(3)
    mu = 30 * random.normal(size=(20, 1, 64)) + 0.3 * random.normal(size=(20, 100, 64))
    mu = mu.reshape(2000, 64).astype("float32")
    z = mu[::7] + random.normal(scale=0.1, size=(286, 64)).astype("float32")
    if outliers:
        mu[:2] = 1e4
    # JAX has no float64, and keeps to the digits of q that float32 gives.
    atol = 1e-3 if keras.config.backend() == "jax" else 1e-5
    np.testing.assert_allclose(ops.convert_to_numpy(layer_at(mu)(z)), soft_assignment(z, mu, 1.0), atol=atol)


def test_many_clusters_take_little_memory(run_python):
    if not pathlib.Path("/proc/self/status").exists():
        pytest.skip("there is no /proc, by which to know the memory of a process")
    grown = run_python(
        textwrap.dedent("""
        import re

        import keras
        import numpy as np
        from deckeras import ClusteringLayer

        model = keras.Sequential([keras.Input((64,)), ClusteringLayer(2000)])
        model.compile("sgd", "kl_divergence")
        z, p = np.zeros((1024, 64)), np.full((1024, 2000), 1 / 2000)
        model.train_on_batch(z[:16], p[:16])
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
        before = peak()
        model.train_on_batch(z, p)
        print(peak() - before)
    """)
    )
    assert int(grown) / 1024 < 256  # MiB; the differences would be 500, their gradients as much again


def test_permuting_the_centroids_permutes_q(points):
    z, mu = points
    order = [2, 0, 3, 1]
    q, permuted = layer_at(mu)(z), layer_at(mu[order])(z)
    np.testing.assert_allclose(ops.convert_to_numpy(permuted), ops.convert_to_numpy(q)[:, order], rtol=1e-6)


def gradients(function, *arrays):
    """Gradients of a scalar function of tensors, on whichever backend runs."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            tensors = [tf.constant(array) for array in arrays]
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                value = function(*tensors)
            return [gradient.numpy() for gradient in tape.gradient(value, tensors)]
        case "jax":
            import jax

            return [np.asarray(g) for g in jax.grad(function, argnums=range(len(arrays)))(*map(ops.array, arrays))]
        case "torch":
            tensors = [ops.convert_to_tensor(array).detach().requires_grad_() for array in arrays]
            function(*tensors).backward()
            return [tensor.grad.cpu().numpy() for tensor in tensors]


def loss_gradients(z, mu, p, alpha):
    """Gradients of KL(P || Q), summed over rows, with respect to z and mu, through the layer."""
    layer, p = layer_at(mu, alpha), ops.convert_to_tensor(p)

    def divergence(z, mu):
        q, _ = layer.stateless_call([mu], [], z)
        return ops.sum(p * (ops.log(p) - ops.log(q)))

    return gradients(divergence, z, mu)


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_gradients_are_equations_4_and_5(points, alpha):
    z, mu = points
    q = soft_assignment(z, mu, alpha)
    p = target_distribution(q)
    weights = (alpha + 1) / alpha * kernel(z, mu, alpha) * (p - q)
    differences = z[:, None] - np.float64(mu)
    by_z, by_mu = loss_gradients(z, mu, p.astype("float32"), alpha)
    np.testing.assert_allclose(by_z, np.einsum("ij,ijd->id", weights, differences), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(by_mu, -np.einsum("ij,ijd->jd", weights, differences), rtol=1e-3, atol=1e-5)


def test_gradients_for_many_clusters(crowd):
    test_gradients_are_equations_4_and_5(crowd, 1.0)


@pytest.mark.parametrize("distance", [1e4, 1e15, 1e25])
@pytest.mark.parametrize("shape", ["points", "crowd"])
def test_far_points_stay_finite(shape, distance, request):
    z, mu = request.getfixturevalue(shape)
    q = ops.convert_to_numpy(layer_at(mu)(z + np.float32(distance)))
    assert np.isfinite(q).all()
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-5)
    p = np.full(q.shape, 1 / len(mu), "float32")
    assert all(np.isfinite(g).all() for g in loss_gradients(z + np.float32(distance), mu, p, 1.0))


def test_large_alpha_is_a_gaussian(points):
    z, mu = points
    distances = ((np.float64(z)[:, None] - mu) ** 2).sum(-1)
    gaussian = np.exp(-distances / 2)
    q = ops.convert_to_numpy(layer_at(mu, alpha=1e6)(z))
    np.testing.assert_allclose(q, gaussian / gaussian.sum(axis=1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_keeps_small_distances(policy):
    # In half precision 100 and 100.01 are one number, and so are their squares.
    mu = np.array([[100.0], [100.01]], "float32")
    keras.config.set_dtype_policy(policy)
    layer = layer_at(mu, alpha=1e-4)
    q = ops.convert_to_numpy(layer(mu))
    assert q.dtype == "float32"
    np.testing.assert_allclose(q, soft_assignment(mu, mu, 1e-4), rtol=1e-2)


def test_half_precision_in_a_whole_model(points):
    z, _ = points
    keras.config.set_dtype_policy("mixed_float16")
    inputs = keras.Input((5,))
    model = keras.Model(inputs, ClusteringLayer(3)(keras.layers.Dense(2)(inputs)))
    assert model.output.dtype == "float32"
    assert model.predict(z, verbose=0).dtype == np.float32


def test_sequential_and_functional_models_agree(points):
    z, mu = points
    layer = layer_at(mu)
    inputs = keras.Input((5,))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential([keras.Input((5,)), layer])
    np.testing.assert_array_equal(functional.predict(z, verbose=0), sequential.predict(z, verbose=0))
    assert sequential.output_shape == functional.output_shape == (None, 4)


def test_one_weight_named_clusters():
    layer = ClusteringLayer(4)
    layer.build((None, 7))
    assert [(weight.name, weight.shape) for weight in layer.weights] == [("clusters", (4, 7))]
    assert layer.compute_output_shape((32, 7)) == (32, 4)


def test_config_round_trip():
    layer = ClusteringLayer(4, alpha=2.5, clusters_initializer="ones", name="mine", trainable=False)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is ClusteringLayer
    assert (copy.n_clusters, copy.alpha, copy.name, copy.trainable) == (4, 2.5, "mine", False)
    assert isinstance(copy.clusters_initializer, keras.initializers.Ones)
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize("n_clusters", [-1, 0, -3, 2.0, "3", None, True])
def test_bad_n_clusters(n_clusters):
    with pytest.raises(ValueError, match=f"n_clusters should be .* Received: n_clusters={n_clusters!r}"):
        ClusteringLayer(n_clusters)


@pytest.mark.parametrize("alpha", [0, -1.0, float("inf"), float("nan"), "1", None])
def test_bad_alpha(alpha):
    with pytest.raises(ValueError, match=f"alpha should be .* Received: alpha={alpha!r}"):
        ClusteringLayer(3, alpha=alpha)


def test_input_must_be_2d():
    with pytest.raises(ValueError, match="expected ndim=2, found ndim=3"):
        ClusteringLayer(3)(np.zeros((2, 3, 4)))


def test_one_cluster_has_every_row():
    layer = ClusteringLayer(1)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(np.eye(5, 2))), np.ones((5, 1)))
