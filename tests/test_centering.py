"""Pretraining on centered rows: the same function in other coordinates, with weights for unchanged rows."""

import keras
import numpy as np
import pytest

from deckeras import (
    convolutional_autoencoder,
    dense_autoencoder,
    pretrain,
    pretrain_autoencoder,
    recipes,
    refit_decoder,
)
from deckeras._train import centering

SIDE = 8
# Few iterations of a small network, without the random changes.
IMAGES = recipes.get(
    "images",
    units=(64, 64, 4),
    image_shape=(SIDE, SIDE),
    epochs=1,
    min_pretraining_iterations=300,
    shift=0.0,
    rotation=0.0,
)


@pytest.fixture(scope="module")
def images():
    """(300, 64) float32 rows near their mean, as are photographs of faces."""
    random = np.random.default_rng(0)
    face = random.uniform(0.2, 0.8, SIDE * SIDE)
    return (face + 0.1 * random.normal(size=(300, 3)) @ random.normal(size=(3, SIDE * SIDE))).astype("float32")


def autoencoder(units=(64, 64, 4)):
    return dense_autoencoder(SIDE * SIDE, units)


def off(encoder, x):
    """The fraction of the units of the first layer that are 0 for all rows."""
    return float((keras.ops.convert_to_numpy(encoder.layers[0](x)).max(axis=0) == 0).mean())


def test_a_trained_encoder_is_the_same_function(images):
    encoder, decoder = autoencoder()
    encoder.layers[0].bias.assign(np.linspace(-1, 1, 64))
    before = encoder.predict(images, verbose=0)
    with centering.centered(encoder, decoder, images) as (other, callbacks):
        assert len(callbacks) == 1
        np.testing.assert_allclose(other.predict(images, verbose=0), before, atol=1e-5)
    np.testing.assert_allclose(encoder.predict(images, verbose=0), before, atol=1e-5)


def test_untrained_models_start_at_the_mean(images):
    encoder, decoder = autoencoder()
    mean = images.mean(axis=0)
    with centering.centered(encoder, decoder, images) as (other, _):
        np.testing.assert_allclose(other.predict(mean[None], verbose=0), np.zeros((1, 4)), atol=1e-5)
        np.testing.assert_allclose(decoder.predict(np.zeros((1, 4)), verbose=0)[0], mean, atol=1e-6)


def test_trained_weights_are_for_unchanged_rows(images):
    encoder, decoder = autoencoder()
    history = pretrain(encoder, decoder, images, IMAGES, verbose=0)[-1]
    error = np.square(decoder.predict(encoder.predict(images, verbose=0), verbose=0) - images).mean()
    assert error == pytest.approx(history.history["loss"][-1], rel=0.3)
    assert error < 0.05 * images.var(axis=0).mean()


def test_fewer_units_are_turned_off(images):
    shares = []
    for centered in (True, False):
        encoder, decoder = autoencoder()
        pretrain(encoder, decoder, images, recipes.get(IMAGES, centered=centered), verbose=0)
        shares.append(off(encoder, images))
    assert shares[0] < 0.05 < 0.2 < shares[1]


def test_a_callback_sees_the_encoder_of_the_epoch(images):
    encoder, decoder = autoencoder()
    found = []

    class Compare(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            whole = self.model.predict(images, verbose=0)
            found.append(np.abs(decoder.predict(encoder.predict(images, verbose=0), verbose=0) - whole).max())

    pretrain_autoencoder(encoder, decoder, images, recipe=IMAGES, iterations=60, callbacks=Compare(), verbose=0)
    assert len(found) >= 2
    assert max(found) < 1e-4


def test_a_training_that_fails_leaves_an_encoder_for_the_rows(images):
    encoder, decoder = autoencoder()

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.whole = self.model.predict(images, verbose=0)
            raise RuntimeError("no disk")

    stop = Stop()
    with pytest.raises(RuntimeError, match="no disk"):
        pretrain_autoencoder(encoder, decoder, images, recipe=IMAGES, callbacks=stop, verbose=0)
    found = decoder.predict(encoder.predict(images, verbose=0), verbose=0)
    np.testing.assert_allclose(found, stop.whole, atol=1e-4)


def test_interrupted_and_resumed_gives_the_same_weights(images, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    weights = []
    for directory, interrupted in ((tmp_path / "whole", False), (tmp_path / "parts", True)):
        encoder, decoder = autoencoder()
        common = {"recipe": IMAGES, "iterations": 150, "checkpoint_dir": directory, "verbose": 0}
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                pretrain_autoencoder(encoder, decoder, images, callbacks=Stop(), **common)
            encoder, decoder = autoencoder()
        pretrain_autoencoder(encoder, decoder, images, **common)
        # A finished training is loaded.
        again, decoder = autoencoder()
        pretrain_autoencoder(again, decoder, images, **common)
        for mine, other in zip(encoder.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)
        weights.append(encoder.get_weights())
    for mine, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_mean_that_differs_in_its_last_digit_resumes(images, tmp_path, monkeypatch):
    common = {"recipe": IMAGES, "iterations": 60, "checkpoint_dir": tmp_path, "verbose": 0}
    encoder, decoder = autoencoder()
    pretrain_autoencoder(encoder, decoder, images, **common)
    mean_row = centering._mean_row
    monkeypatch.setattr(centering, "_mean_row", lambda x: mean_row(x) * np.float32(1 + 1e-6))
    again, decoder = autoencoder()
    pretrain_autoencoder(again, decoder, images, **common)
    for mine, other in zip(encoder.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_refused_training_changes_nothing(images, tmp_path):
    common = {"recipe": IMAGES, "iterations": 20, "checkpoint_dir": tmp_path, "verbose": 0}
    pretrain_autoencoder(*autoencoder(), images, **common)
    models = autoencoder()
    before = [model.get_weights() for model in models]
    with pytest.raises(ValueError, match="another"):
        pretrain_autoencoder(*models, images[::-1], **common)
    for model, weights in zip(models, before, strict=True):
        for mine, other in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(mine, other)


def test_a_trained_decoder_keeps_its_bias(images):
    encoder, decoder = autoencoder()
    bias = np.linspace(-1, 1, SIDE * SIDE, dtype="float32")
    decoder.layers[-1].bias.assign(bias)
    with centering.centered(encoder, decoder, images):
        np.testing.assert_array_equal(decoder.layers[-1].get_weights()[1], bias)


def _no_bias(encoder):
    first = keras.layers.Dense(64, use_bias=False)
    return keras.Sequential([keras.Input((SIDE * SIDE,)), first, *encoder.layers[1:]])


def _penalized(encoder):
    first = keras.layers.Dense(64, bias_regularizer="l2")
    return keras.Sequential([keras.Input((SIDE * SIDE,)), first, *encoder.layers[1:]])


def _functional(encoder):
    inputs = keras.Input((SIDE * SIDE,))
    return keras.Model(inputs, encoder(inputs))


def _frozen(encoder):
    encoder.layers[0].trainable = False
    return encoder


def _low_rank(encoder):
    encoder.layers[0].enable_lora(2)
    return encoder


def _one_layer(encoder):
    return keras.Sequential([keras.Input((SIDE * SIDE,)), keras.layers.Dense(4)])


def _along_the_last_axis(encoder):
    shape = keras.layers.Reshape((SIDE * SIDE,))
    first = keras.layers.Dense(SIDE)
    return keras.Sequential([keras.Input((SIDE, SIDE)), first, shape, *encoder.layers])


OTHERS = [_no_bias, _penalized, _functional, _frozen, _low_rank, _one_layer, _along_the_last_axis]


@pytest.mark.parametrize("change", OTHERS)
def test_other_encoders_are_not_changed(images, change):
    encoder, decoder = autoencoder()
    encoder = change(encoder)
    with centering.centered(encoder, decoder, images) as (other, callbacks):
        assert other is encoder
        assert callbacks == []


@pytest.mark.parametrize("name", ["weights.h5", "keras", "h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_what_a_callback_saves_is_the_trained_autoencoder(images, tmp_path, name):
    encoder, decoder = autoencoder()
    saving = keras.callbacks.ModelCheckpoint(tmp_path / f"saved.{name}", save_weights_only=name == "weights.h5")
    pretrain(encoder, decoder, images, IMAGES, verbose=0, callbacks=saving)
    expected = decoder.predict(encoder.predict(images, verbose=0), verbose=0)
    if name == "weights.h5":
        rows = keras.Input((SIDE * SIDE,))
        fresh = autoencoder()
        saved = keras.Model(rows, fresh[1](fresh[0](rows)))
        saved.load_weights(tmp_path / "saved.weights.h5")
    else:
        saved = keras.models.load_model(tmp_path / f"saved.{name}", compile=False)
    np.testing.assert_allclose(saved.predict(images, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize(("policy", "precision"), [("mixed_bfloat16", 2**-8), ("mixed_float16", 2**-11)])
def test_mixed_precision_subtracts_the_mean_before_it_rounds(policy, precision):
    # These rows far from zero have few digits, but their mean has many.
    rows = (20 + np.random.default_rng(0).integers(9, size=(300, SIDE * SIDE)) / 8).astype("float32")
    layers = [keras.layers.Dense(64, dtype=policy), keras.layers.Dense(4, dtype=policy)]
    encoder = keras.Sequential([keras.Input((SIDE * SIDE,)), *layers])
    with centering.centered(encoder, autoencoder()[1], rows) as (other, callbacks):
        assert len(callbacks) == 1
        found = keras.ops.convert_to_numpy(keras.ops.cast(other.layers[0](rows), "float32"))
        kernel = np.float64(other.layers[0].get_weights()[0])
    differences = rows - rows.mean(axis=0, dtype=np.float64)
    assert (np.abs(found - differences @ kernel) < 2 * precision * np.abs(differences) @ np.abs(kernel)).all()


def test_a_callback_can_load_what_it_saved(images, tmp_path):
    """The layer on rows minus their mean writes that on the unchanged rows, and reads it."""
    encoder, decoder = autoencoder()
    with centering.centered(encoder, decoder, images) as (other, _):
        before = other.predict(images, verbose=0)
        weights = other.get_weights()
        other.save_weights(tmp_path / "saved.weights.h5")
        other.set_weights([weight + 1 for weight in weights])
        other.layers[0].mean.assign(weights[2])
        other.load_weights(tmp_path / "saved.weights.h5")
        np.testing.assert_allclose(other.predict(images, verbose=0), before, atol=1e-5)
        for one, another in zip(other.get_weights(), weights, strict=True):
            np.testing.assert_allclose(one, another, atol=1e-5)


def test_a_convolution_starts_at_the_mean_of_each_channel():
    random = np.random.default_rng(0)
    rows = random.uniform(size=(50, 9, 9, 2)).astype("float32") + np.array([0.0, 5.0], "float32")
    encoder, decoder = convolutional_autoencoder((9, 9, 2), 4, row_shape=(9, 9, 2))
    with centering.centered(encoder, decoder, rows) as (other, _):
        assert other is encoder
        last = [layer for layer in decoder.layers if layer.weights][-1]
        np.testing.assert_allclose(last.get_weights()[1], rows.mean(axis=(0, 1, 2)), rtol=1e-5)
        pixels = decoder.predict(np.zeros((1, 4)), verbose=0)[0].mean(axis=(0, 1))
        np.testing.assert_allclose(pixels, rows.mean(axis=(0, 1, 2)), rtol=1e-5)


def test_rows_of_nan_change_nothing(images):
    encoder, decoder = autoencoder()
    with centering.centered(encoder, decoder, np.full_like(images, np.nan)) as (other, _):
        assert other is encoder
        assert not decoder.layers[-1].get_weights()[1].any()


@pytest.mark.parametrize("name", list(recipes.RECIPES))
def test_only_images_are_centered(name):
    assert recipes.get(name).centered == (name == "images")


def test_a_refit_of_the_decoder_leaves_the_encoder(images):
    encoder, decoder = autoencoder()
    pretrain(encoder, decoder, images, IMAGES, verbose=0)
    before = encoder.get_weights()
    refit_decoder(encoder, decoder, images, IMAGES, verbose=0)
    for mine, other in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, other)
