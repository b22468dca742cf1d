"""Models saved by a newer Keras contain nothing that only it knows, so an older Keras can load them."""

import json
import pathlib
import zipfile

import h5py
import keras
import numpy as np
import pytest

from deckeras import DEC, IDEC, convolutional_autoencoder, dense_autoencoder
from deckeras.models.configs import for_older_keras, rewrite_h5

WEIGHTS = pathlib.Path(__file__).parent.parent / "weights"


def config_of(path):
    """The config of a model in a file, whatever the version of Keras."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return json.loads(file.attrs["model_config"])
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def initializers(config):
    """The configs of all initializers in a config."""
    if isinstance(config, list):
        return [found for value in config for found in initializers(value)]
    if not isinstance(config, dict):
        return []
    own = [config["config"]] if hasattr(keras.initializers, str(config.get("class_name"))) else []
    return own + [found for value in config.values() for found in initializers(value)]


def assert_readable(path):
    found = initializers(config_of(path))
    assert found
    assert not [config for config in found if None in config.values()]


@pytest.mark.parametrize("name", ["digits_encoder", "digits_dec", "mnist_encoder", "mnist_dec"])
def test_shipped_weights(name):
    assert_readable(WEIGHTS / f"{name}.h5")


@pytest.mark.parametrize("extension", ["h5", "keras"])
@pytest.mark.parametrize("kind", ["dec", "idec", "convolutional"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_saved_models(tmp_path, kind, extension):
    encoder, decoder = (
        convolutional_autoencoder((8, 8, 1), 3) if kind == "convolutional" else dense_autoencoder(8, (16, 3))
    )
    model = IDEC(encoder, decoder, 3) if kind == "idec" else DEC(encoder, 3)
    path = tmp_path / f"model.{extension}"
    model.save(path)
    assert_readable(path)
    loaded = keras.models.load_model(path)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_plain_encoders_are_rewritten(tmp_path):
    encoder, path = dense_autoencoder(8, (16, 3))[0], tmp_path / "encoder.h5"
    encoder.save(path)
    rewrite_h5(path)
    assert_readable(path)
    for ours, theirs in zip(encoder.get_weights(), keras.models.load_model(path).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "initializer",
    [
        keras.initializers.GlorotUniform(seed=3),
        keras.initializers.RandomNormal(stddev=0.01),
        keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform", seed=1),
        keras.initializers.Constant(0.5),
        keras.initializers.Zeros(),
    ],
)
def test_initializers_are_the_same(initializer):
    config = for_older_keras([{"layer": keras.saving.serialize_keras_object(initializer), "kept": None}])
    assert config[0]["kept"] is None
    again = keras.saving.deserialize_keras_object(config[0]["layer"])
    assert type(again) is type(initializer)
    assert again.get_config() == initializer.get_config()
