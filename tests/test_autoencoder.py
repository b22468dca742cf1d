import json

import keras
import numpy as np
import pytest

import deckeras
from deckeras import convolutional_autoencoder, dense_autoencoder
from deckeras.autoencoders.embedding import scale_embedding


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
    with pytest.raises(ValueError, match="(n_features|units) should hold.* Received"):
        dense_autoencoder(n_features, units)


def test_convolutional_encoder_halves_the_image_by_strides():
    encoder, decoder = convolutional_autoencoder((28, 28))
    kinds = [type(layer).__name__ for layer in encoder.layers]
    assert kinds == ["Reshape", "Conv2D", "Conv2D", "Conv2D", "Flatten", "Dense"]
    shapes = [layer.output.shape[1:] for layer in encoder.layers]
    assert shapes == [(28, 28, 1), (14, 14, 32), (7, 7, 64), (4, 4, 128), (2048,), (10,)]
    assert [layer.kernel_size for layer in encoder.layers[1:4]] == [(5, 5), (5, 5), (3, 3)]
    assert [layer.activation.__name__ for layer in encoder.layers if layer.weights] == ["relu"] * 3 + ["linear"]
    assert [layer.activation.__name__ for layer in decoder.layers if layer.weights] == ["relu"] * 3 + ["linear"]


@pytest.mark.parametrize("image_shape", [(28, 28), (8, 8), (17, 9, 3), (1, 5), (3, 1, 2)])
@pytest.mark.parametrize("flat", [True, False])
def test_images_of_any_size_come_back_in_their_own(image_shape, flat):
    row_shape = (int(np.prod(image_shape)),) if flat else image_shape
    encoder, decoder = convolutional_autoencoder(
        image_shape, 4, row_shape=row_shape, filters=(3, 5), kernel_sizes=(3, 2)
    )
    x = np.random.default_rng(0).random((6, *row_shape))
    assert encoder.predict(x, verbose=0).shape == (6, 4)
    assert decoder.predict(encoder.predict(x, verbose=0), verbose=0).shape == x.shape


@pytest.mark.parametrize(
    ("build", "shape"), [(convolutional_autoencoder, (5, 7, 2)), (deckeras.series_autoencoder, (9, 2))]
)
def test_sizes_may_be_numbers_of_numpy(build, shape):
    sizes = {"filters": np.array([2, 3]), "kernel_sizes": np.array([3, 3])}
    encoder, decoder = build(np.array(shape), np.int64(4), row_shape=np.array(shape), **sizes)
    assert (encoder.input_shape[1:], decoder.output_shape[1:]) == (shape, shape)
    json.dumps([encoder.get_config(), decoder.get_config()])  # as Keras writes it into a file


def test_convolutional_seed_decides_and_no_two_layers_share_values():
    first, same, other = (weights(*convolutional_autoencoder((8, 8), seed=seed)) for seed in (1, 1, 2))
    for a, b in zip(first, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first[0], other[0])
    encoder, _ = convolutional_autoencoder((8, 8, 4), filters=(4, 4), kernel_sizes=(3, 3))
    assert not np.allclose(encoder.layers[1].get_weights()[0], encoder.layers[2].get_weights()[0])


def test_convolutional_in_half_precision_ends_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    encoder, decoder = convolutional_autoencoder((8, 8))
    assert encoder.layers[1].compute_dtype == "bfloat16"
    assert encoder.layers[-1].compute_dtype == "float32"
    assert [layer for layer in decoder.layers if layer.weights][-1].compute_dtype == "float32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (8, 8), "filters": (4,)}, "kernel size"),
        ({"image_shape": (8, 8), "filters": ()}, "filters should hold"),
        ({"image_shape": (8, 0)}, "image_shape should hold"),
        ({"image_shape": (64,)}, r"image_shape should be \(height, width\)"),
        ({"image_shape": (8, 8), "n_embedding": 0}, "n_embedding should hold"),
        ({"image_shape": (8, 8), "row_shape": (63,)}, "63 values instead of 64"),
    ],
)
def test_bad_images(arguments, message):
    with pytest.raises(ValueError, match=message):
        convolutional_autoencoder(**arguments)


@pytest.mark.parametrize("build", [lambda: dense_autoencoder(64, (5, 3)), lambda: convolutional_autoencoder((8, 8), 3)])
def test_scaled_embedding_is_reconstructed_as_before(build):
    encoder, decoder = build()
    x = np.random.default_rng(0).random((6, 64), "float32")
    z = encoder.predict(x, verbose=0)
    reconstruction = decoder.predict(z, verbose=0)
    assert scale_embedding(3.0, encoder, decoder)
    np.testing.assert_allclose(encoder.predict(x, verbose=0), 3 * z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(decoder.predict(3 * z, verbose=0), reconstruction, rtol=1e-4, atol=1e-5)


def test_functional_models_with_branches_elsewhere_are_scaled():
    rows, z = keras.Input((8,)), keras.Input((2,))
    hidden = keras.layers.Concatenate()([keras.layers.Dense(4, "relu")(rows), rows])
    encoder = keras.Model(rows, keras.layers.Dense(2)(hidden))
    hidden = keras.layers.Dense(4, "relu")(z)
    decoder = keras.Model(z, keras.layers.Dense(8)(keras.layers.Concatenate()([keras.layers.Dense(3)(hidden), hidden])))
    x = np.random.default_rng(0).random((6, 8), "float32")
    before = encoder.predict(x, verbose=0)
    reconstruction = decoder.predict(before, verbose=0)
    keras.Model(rows, decoder(encoder(rows)))  # Calls from other models do not count.
    assert scale_embedding(3.0, encoder, decoder)
    np.testing.assert_allclose(encoder.predict(x, verbose=0), 3 * before, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(decoder.predict(3 * before, verbose=0), reconstruction, rtol=1e-4, atol=1e-5)


def test_embedding_that_cannot_be_scaled_is_left():
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="relu")])
    before = encoder.get_weights()
    assert not scale_embedding(3.0, encoder)
    np.testing.assert_array_equal(encoder.get_weights()[0], before[0])
    encoder, _ = dense_autoencoder(4, (2,))
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Reshape((2, 1)), keras.layers.LSTM(4)])
    before = encoder.get_weights()
    assert not scale_embedding(3.0, encoder, decoder)
    np.testing.assert_array_equal(encoder.get_weights()[0], before[0])


def normalized():
    rows = keras.Input((8,))
    return keras.Model(rows, keras.ops.normalize(keras.layers.Dense(2)(rows), axis=-1)), None


def with_decoder(*layers):
    encoder, _ = dense_autoencoder(8, units=(4, 2))
    return encoder, keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(8)])


def with_low_rank():
    encoder, decoder = dense_autoencoder(8, units=(4, 2))
    encoder.layers[-1].enable_lora(1)
    return encoder, decoder


def with_a_last_layer_called_twice():
    rows, layer = keras.Input((8,)), keras.layers.Dense(8)
    return keras.Model(rows, layer(layer(rows))), None


def with_a_first_layer_called_twice():
    z, layer = keras.Input((2,)), keras.layers.Dense(2)
    encoder, _ = dense_autoencoder(8, units=(4, 2))
    return encoder, keras.Model(z, keras.layers.Dense(8)(layer(layer(z))))


def with_branches():
    z = keras.Input((2,))
    encoder, _ = dense_autoencoder(8, units=(4, 2))
    branches = [keras.layers.Dense(4, "relu")(z), keras.layers.Dense(4)(z)]
    return encoder, keras.Model(z, keras.layers.Dense(8)(keras.layers.Concatenate()(branches)))


def with_a_skipped_layer():
    z = keras.Input((2,))
    encoder, _ = dense_autoencoder(8, units=(4, 2))
    return encoder, keras.Model(z, keras.layers.Dense(8)(keras.layers.Concatenate()([keras.layers.Dense(4)(z), z])))


UNSCALED = {
    "an operation after the last layer": normalized,
    "a layer before the first one of the decoder": lambda: with_decoder(keras.layers.Activation("tanh")),
    "low-rank changes": with_low_rank,
    "an encoder that calls its last layer twice": with_a_last_layer_called_twice,
    "a decoder that calls its first layer twice": with_a_first_layer_called_twice,
    "a decoder with two branches": with_branches,
    "a decoder with a connection past its first layer": with_a_skipped_layer,
}


@pytest.mark.parametrize("kind", UNSCALED)
def test_an_embedding_that_a_factor_would_not_scale_is_left(kind):
    encoder, decoder = UNSCALED[kind]()
    before = [weight.copy() for weight in encoder.get_weights()]
    assert not scale_embedding(2.0, encoder, decoder)
    for one, other in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_rows_without_spread_are_not_scaled():
    encoder, _ = dense_autoencoder(8, units=(4, 2))
    model = deckeras.DEC(encoder, 2)
    model.initialize_centroids(np.ones((30, 8)), recipe=deckeras.recipes.get("table", embedding_scale=3.0))
    assert all(np.abs(weight).max() < 100 for weight in encoder.get_weights())


def test_builders_do_not_depend_on_the_format_of_images():
    keras.config.set_image_data_format("channels_first")
    try:
        for build in deckeras.convolutional_autoencoder, deckeras.series_autoencoder:
            shape = (8, 8) if build is deckeras.convolutional_autoencoder else (20, 3)
            encoder, decoder = build(shape, 2)
            x = np.zeros((3, *encoder.input_shape[1:]))
            assert decoder.predict(encoder.predict(x, verbose=0), verbose=0).shape == x.shape
    finally:
        keras.config.set_image_data_format("channels_last")
