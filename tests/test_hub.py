"""Networks of KerasHub, with random weights in a local folder: nothing is downloaded."""

import keras
import numpy as np
import pytest

from deckeras import DEC, dense_autoencoder, features

keras_hub = pytest.importorskip("keras_hub", reason='presets need keras-hub: pip install -e ".[hub]"')

pytestmark = pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
SIZES = {"patch_size": 8, "hidden_dim": 12, "num_layers": 1, "num_heads": 2, "intermediate_dim": 16}


@pytest.fixture
def preset(tmp_path):
    """The folder of a tiny DINOv2 of pictures of 16 x 16, whose pixels are divided by 255."""
    keras.utils.set_random_seed(0)
    shapes = {"image_shape": (16, 16, 3), "position_embedding_shape": (16, 16, 3)}
    backbone = keras_hub.models.DINOV2Backbone(**SIZES, **shapes)
    backbone.save_to_preset(tmp_path / "preset")
    converter = keras_hub.layers.DINOV2ImageConverter(image_size=(16, 16), scale=1 / 255)
    converter.save_to_preset(tmp_path / "preset")
    return backbone, str(tmp_path / "preset")


def test_preset(preset, tmp_path):
    backbone, folder = preset
    network = features.network(folder)
    assert network.input_shape == (None, 16, 16, 3)
    x = np.random.default_rng(0).integers(256, size=(5, 16, 16, 3)).astype("float32")
    first_token = backbone.predict({"images": x / 255}, verbose=0)[:, 0]
    np.testing.assert_allclose(network.predict(x, verbose=0), first_token, rtol=1e-4, atol=1e-5)
    encoder, _ = dense_autoencoder(12, (6, 2))
    head = DEC(encoder, 3)
    head.centroids = np.random.default_rng(0).normal(size=(3, 2))
    whole = features.whole(network, head)
    whole.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), whole.predict(x, verbose=0), rtol=1e-5)


def test_texts_are_refused(tmp_path):
    sizes = {"vocabulary_size": 20, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 8}
    keras_hub.models.BertBackbone(**sizes).save_to_preset(tmp_path / "bert")
    with pytest.raises(ValueError, match="A network should take pictures"):
        features.network(str(tmp_path / "bert"))


def test_missing_presets_name_the_folder():
    with pytest.raises((OSError, ValueError), match="save_to_preset"):
        features.network("no_such_preset_of_anybody")
