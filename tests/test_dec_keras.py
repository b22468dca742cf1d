"""Weight files in the layout of Keras 2, as DEC-keras writes them."""

import h5py
import numpy as np
import pytest

from deckeras import DEC, dense_autoencoder, load_dec_keras_weights

UNITS = (12, 6, 20, 3)


@pytest.fixture
def values():
    """Layer name -> weight name -> array, of the layers of DEC-keras at the widths 8-12-6-20-3."""
    random = np.random.default_rng(0)
    widths = [8, *UNITS]
    layers = {}
    for i in range(4):
        for name, shape in (f"encoder_{i}", widths[i : i + 2]), (f"decoder_{i}", widths[i : i + 2][::-1]):
            layers[name] = {"kernel:0": random.normal(size=shape), "bias:0": random.normal(size=shape[1])}
    layers["clustering"] = {"clusters:0": random.normal(size=(5, 3))}
    return {
        layer: {name: value.astype("float32") for name, value in weights.items()} for layer, weights in layers.items()
    }


AUTOENCODER = ["input", *(f"encoder_{i}" for i in range(4)), *(f"decoder_{i}" for i in reversed(range(4)))]
WHOLE = ["input", *(f"encoder_{i}" for i in range(4)), "clustering"]


@pytest.fixture
def write(values, tmp_path, write_keras_2):
    """Write some of the layers to a file; the input layer has no weights."""

    def write(names, **options):
        layers = {name: values.get(name, {}) for name in names}
        return write_keras_2(tmp_path / "weights.h5", layers, **options)

    return write


def by_hand(values, x):
    """The embedding, in float64."""
    for i in range(4):
        x = x @ np.float64(values[f"encoder_{i}"]["kernel:0"]) + values[f"encoder_{i}"]["bias:0"]
        x = x if i == 3 else np.maximum(x, 0)
    return x


@pytest.mark.parametrize("text", [np.bytes_, str])
def test_autoencoder(values, write, text):
    encoder, decoder = dense_autoencoder(8, UNITS)
    load_dec_keras_weights(write(AUTOENCODER, text=text), encoder, decoder)
    x = np.random.default_rng(1).normal(size=(10, 8))
    np.testing.assert_allclose(encoder.predict(x, verbose=0), by_hand(values, x), rtol=1e-4, atol=1e-4)
    for layer in decoder.layers:
        np.testing.assert_array_equal(layer.get_weights()[0], values[layer.name]["kernel:0"])
        np.testing.assert_array_equal(layer.get_weights()[1], values[layer.name]["bias:0"])


def test_whole_model_predicts_as_it_did(values, write):
    model = DEC(dense_autoencoder(8, UNITS)[0], 5)
    load_dec_keras_weights(write(WHOLE), model)
    x = np.random.default_rng(1).normal(size=(10, 8))
    kernel = 1 / (1 + ((by_hand(values, x)[:, None] - values["clustering"]["clusters:0"]) ** 2).sum(-1))
    q = kernel / kernel.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(x, verbose=0), q, rtol=1e-3, atol=1e-6)


def test_file_of_a_whole_keras_2_model(values, write):
    model = DEC(dense_autoencoder(8, UNITS)[0], 5)
    load_dec_keras_weights(write(WHOLE, root="model_weights"), model)
    np.testing.assert_array_equal(model.centroids, values["clustering"]["clusters:0"])


def unchanged_after(error, message, path, *models):
    before = [weight for model in models for weight in model.get_weights()]
    with pytest.raises(error, match=message):
        load_dec_keras_weights(path, *models)
    for a, b in zip(before, [weight for model in models for weight in model.get_weights()], strict=True):
        np.testing.assert_array_equal(a, b)


def test_layer_that_is_not_there(write):
    path = write(AUTOENCODER)
    message = r"should hold weights of the layers \['clustering'\]. Received: a file with layers \['input', 'encoder_0'"
    unchanged_after(ValueError, message, path, DEC(dense_autoencoder(8, UNITS)[0], 5))


def test_layer_of_another_shape(write):
    path = write(WHOLE)
    message = r"weights of the shapes \[\(4, 3\)\] for layer 'clustering'. Received: \[\(5, 3\)\]"
    unchanged_after(ValueError, message, path, DEC(dense_autoencoder(8, UNITS)[0], 4))


def test_files_that_are_no_weights(tmp_path, encoder):
    unchanged_after(OSError, "missing, truncated or not an HDF5 file", tmp_path / "none.h5", encoder)
    (tmp_path / "text.h5").write_text("hello")
    unchanged_after(OSError, "missing, truncated or not an HDF5 file", tmp_path / "text.h5", encoder)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    message = r"weights of the layers \['encoder_0', 'encoder_1'\]. Received: a file with layers \[\]"
    unchanged_after(ValueError, message, tmp_path / "foreign.h5", encoder)


def test_truncated_weights(write, encoder):
    path = write(AUTOENCODER)
    path.write_bytes(path.read_bytes()[:4000])
    unchanged_after(OSError, "missing, truncated or not an HDF5 file", path, encoder)
