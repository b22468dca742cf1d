import keras
import numpy as np
import pytest

from deckeras import dense_autoencoder


def weights(*models):
    return [weight for model in models for weight in model.get_weights()]


def test_default_is_the_papers():
    encoder, decoder = dense_autoencoder(784)
    assert [layer.units for layer in encoder.layers] == [500, 500, 2000, 10]
    assert [layer.units for layer in decoder.layers] == [2000, 500, 500, 784]
    assert [layer.name for layer in encoder.layers] == ["encoder_0", "encoder_1", "encoder_2", "encoder_3"]
    assert [layer.name for layer in decoder.layers] == ["decoder_3", "decoder_2", "decoder_1", "decoder_0"]
    activations = [layer.activation.__name__ for layer in (*encoder.layers, *decoder.layers)]
    assert activations == ["relu", "relu", "relu", "linear"] * 2
    assert isinstance(encoder, keras.Sequential)
    assert isinstance(decoder, keras.Sequential)


def test_seed_decides_the_weights():
    first, same, other = (weights(*dense_autoencoder(6, (5, 4, 2), seed=seed)) for seed in (1, 1, 2))
    for a, b in zip(first, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first[0], other[0])
    fresh = [dense_autoencoder(6, (5, 2), seed=None)[0].get_weights()[0] for _ in range(2)]
    assert not np.allclose(*fresh)


def test_layers_of_one_shape_do_not_share_their_values():
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    encoder, _ = dense_autoencoder(50, (50, 50, 50), kernel_initializer=initializer)
    kernels = [
        layer.kernel.numpy() if hasattr(layer.kernel, "numpy") else layer.get_weights()[0] for layer in encoder.layers
    ]
    assert not np.allclose(kernels[0], kernels[1])
    assert not np.allclose(kernels[1], kernels[2])
    assert np.std(kernels) == pytest.approx(0.01, rel=0.1)


def test_half_precision_ends_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    encoder, decoder = dense_autoencoder(6, (5, 2))
    assert encoder.layers[0].compute_dtype == "float16"
    assert encoder.outputs[0].dtype == decoder.outputs[0].dtype == "float32"


@pytest.mark.parametrize(("n_features", "units"), [(0, (5,)), (4, ()), (4, (5, 0)), (4, (5.0,)), ("4", (5,))])
def test_bad_widths(n_features, units):
    with pytest.raises(ValueError, match="n_features and units should be positive whole numbers.* Received"):
        dense_autoencoder(n_features, units)
