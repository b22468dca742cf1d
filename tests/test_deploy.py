"""Exported and quantized models give the same assignments."""

import warnings

import keras
import numpy as np
import pytest

from deckeras import DEC, IDEC, convolutional_autoencoder, dense_autoencoder, scaling

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
tensorflow_only = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the packages convert TensorFlow's graphs"
)


def make(kind, n_clusters=3, n_embedding=2, **options):
    encoder, decoder = dense_autoencoder(4, units=(6, n_embedding))
    model = DEC(encoder, n_clusters, **options) if kind is DEC else IDEC(encoder, decoder, n_clusters, **options)
    model.centroids = np.random.default_rng(0).normal(size=(n_clusters, n_embedding))
    return model


def q_of(outputs, q):
    """What has the shape of q, among the outputs of an IDEC."""
    (found,) = [output for output in map(np.asarray, outputs) if output.shape == q.shape]
    return found


@tensorflow_only
@pytest.mark.parametrize(("kind", "n_clusters"), [(DEC, 3), (IDEC, 3), (DEC, 1), (DEC, 600)])
def test_saved_model(kind, n_clusters, tmp_path):
    import tensorflow as tf

    model = make(kind, n_clusters)
    model.export(tmp_path / "model", verbose=False)
    served = tf.saved_model.load(tmp_path / "model")
    q = model.predict(X, verbose=0)
    np.testing.assert_allclose(q_of(tf.nest.flatten(served.serve(X)), q), q, atol=1e-6)


@tensorflow_only
def test_an_encoder_of_any_size_is_exported(tmp_path):
    encoder = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Conv2D(4, 3),
            keras.layers.MaxPool2D(),
            keras.layers.Conv2D(4, 2),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    model = DEC(encoder, 3)
    model.centroids = np.eye(3, 2) + 1
    model.export(tmp_path / "model", verbose=False)
    served = keras.layers.TFSMLayer(str(tmp_path / "model"), call_endpoint="serve")
    for side in 8, 11:
        x = np.random.default_rng(0).random((5, side, side, 1), "float32")
        np.testing.assert_allclose(served(x), model.predict(x, verbose=0), atol=1e-6)


@pytest.mark.skipif(keras.config.backend() == "jax", reason="JAX exports to ONNX by a package of its own")
@pytest.mark.parametrize(
    ("kind", "n_clusters", "alpha"), [(DEC, 3, 1.0), (IDEC, 3, 1.0), (DEC, 1, 1.0), (DEC, 600, 9.0)]
)
def test_onnx(kind, n_clusters, alpha, tmp_path):
    pytest.importorskip("tf2onnx" if keras.config.backend() == "tensorflow" else "onnx")
    runtime = pytest.importorskip("onnxruntime")
    model = make(kind, n_clusters, alpha=alpha)
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")  # which was never called
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converters
        model.export(str(tmp_path / "model.onnx"), format="onnx", verbose=False)
    q = model.predict(X, verbose=0)
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    np.testing.assert_allclose(q_of(session.run(None, {session.get_inputs()[0].name: X}), q), q, atol=1e-6)


@tensorflow_only
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_onnx_of_a_scaled_convolutional_model(tmp_path):
    """Whose first layers scale a flat row, and make an image of it."""
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    rows = np.random.default_rng(0).integers(0, 256, (12, 64)).astype("float32")
    encoder, _ = convolutional_autoencoder((8, 8), n_embedding=2, row_shape=(64,), filters=(4, 8, 8))
    model = DEC(encoder, 3)
    model.centroids = np.random.default_rng(0).normal(size=(3, 2))
    whole = scaling.into_model(model, scaling.fit(rows, images=True))
    whole.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    q = session.run(None, {session.get_inputs()[0].name: rows})[0]
    np.testing.assert_allclose(q, whole.predict(rows, verbose=0), atol=1e-5)


@tensorflow_only
@pytest.mark.parametrize(("kind", "n_clusters"), [(DEC, 3), (IDEC, 3), (DEC, 1)])
def test_litert(kind, n_clusters, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    model = make(kind, n_clusters)
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    loaded = interpreter.Interpreter(str(tmp_path / "model.tflite"))
    number = loaded.get_input_details()[0]["index"]
    loaded.resize_tensor_input(number, X.shape)
    loaded.allocate_tensors()
    loaded.set_tensor(number, X)
    loaded.invoke()
    q = model.predict(X, verbose=0)
    outputs = [loaded.get_tensor(details["index"]) for details in loaded.get_output_details()]
    np.testing.assert_allclose(q_of(outputs, q), q, atol=1e-6)


@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_int8(kind, tmp_path):
    model = make(kind)
    expected = model.predict(X, verbose=0)
    centroids, z = model.centroids, model.embed(X, verbose=0)
    model.quantize("int8")
    assert {layer.dtype_policy.name for layer in model.layers if layer.name == "encoder_0"} == {"int8_from_float32"}
    np.testing.assert_array_equal(model.centroids, centroids)
    q = model.predict(X, verbose=0)
    np.testing.assert_allclose(q, expected, atol=0.02)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0), q, atol=1e-6)
    np.testing.assert_allclose(loaded.embed(X, verbose=0), model.embed(X, verbose=0), atol=1e-6)
    assert not np.array_equal(model.embed(X, verbose=0), z)


def test_logarithm_that_onnx_has_is_as_exact():
    """Against float64, near and far, on both sides of the alpha from which log1p is used."""
    for alpha in (0.1, 1.0, 10.0, 11.0, 1e6, 1e30):
        model = DEC(keras.Sequential([keras.Input((1,)), keras.layers.Activation("linear")]), 2, alpha=alpha)
        model.centroids = [[0.0], [1.0]]
        z = np.array([[0.0], [1e-3], [0.4], [3.0], [40.0]])
        distances = (z - [[0.0, 1.0]]) ** 2
        log_kernel = -(alpha + 1) / 2 * np.log1p(distances / alpha)
        expected = np.exp(log_kernel - log_kernel.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.predict(z, verbose=0), expected, atol=1e-5)
