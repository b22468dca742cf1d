"""Pretraining: what each stage minimizes, what it leaves unchanged, and that finished work is not repeated."""

import itertools

import keras
import numpy as np
import pytest

import deckeras
from deckeras import dense_autoencoder, pretrain_autoencoder, pretrain_layerwise
from deckeras._train.layer_pairs import check_loss
from deckeras.autoencoders.embedding import least_squares


class Batches(keras.callbacks.Callback):
    """Counts the batches that were trained."""

    count = 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1


@pytest.fixture
def pair():
    return dense_autoencoder(8, units=(16, 4, 2), seed=3)


def weights(*models):
    return [weight for model in models for weight in model.get_weights()]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def reconstruction_error(encoder, decoder, x):
    return np.mean((decoder.predict(encoder.predict(x, verbose=0), verbose=0) - x) ** 2)


def test_reconstructs_better_after_than_before(blobs, pair):
    x, _ = blobs
    before = reconstruction_error(*pair, x)
    history = pretrain_autoencoder(*pair, x, epochs=150, batch_size=32, dropout=0.0, verbose=0)
    after = reconstruction_error(*pair, x)
    assert after < before / 10
    assert len(history.history["loss"]) == 150
    # Three groups fit into two dimensions: what is left is the noise within the groups.
    assert after == pytest.approx(history.history["loss"][-1], rel=0.1)


def test_seed_decides(blobs):
    x, _ = blobs

    def train(seed):
        models = dense_autoencoder(8, units=(16, 2))
        pretrain_autoencoder(*models, x, epochs=2, batch_size=64, dropout=0.3, seed=seed, verbose=0)
        return weights(*models)

    assert_same(train(1), train(1))
    assert not np.allclose(train(1)[0], train(2)[0])


def test_layerwise_seed_decides(blobs):
    x, _ = blobs

    def train():
        models = dense_autoencoder(8, units=(16, 2))
        pretrain_layerwise(*models, x, iterations=5, finetune_iterations=5, seed=4, verbose=0)
        return weights(*models)

    assert_same(train(), train())


def test_iterations_instead_of_epochs(blobs, pair):
    x, _ = blobs
    batches = Batches()
    history = pretrain_autoencoder(*pair, x, iterations=7, batch_size=64, callbacks=[batches], verbose=0)
    assert batches.count == 7
    assert len(history.history["loss"]) == 2  # a pass is five batches


def test_dropout_disturbs_the_input_and_not_what_is_to_be_reconstructed(blobs):
    """A pair that hands its input through loses the share of the squares that was dropped, scaled up or set to 0."""
    x, _ = blobs
    encoder, decoder = dense_autoencoder(8, units=(8,))
    for model in (encoder, decoder):
        model.set_weights([np.eye(8), np.zeros(8)])
    options = {"iterations": 50, "optimizer": keras.optimizers.SGD(0.0), "verbose": 0}
    assert pretrain_autoencoder(encoder, decoder, x, dropout=0.0, **options).history["loss"][0] < 1e-10
    history = pretrain_autoencoder(encoder, decoder, x, dropout=0.2, **options)
    # A value v becomes 0 with probability 0.2, else v / 0.8: the mean of the squares is v^2 (0.2 + 0.8 (1/0.8 - 1)^2).
    assert np.mean(history.history["loss"]) == pytest.approx(np.mean(x**2) * 0.25, rel=0.05)


def test_finished_pretraining_is_loaded(blobs, tmp_path):
    x, _ = blobs
    first = dense_autoencoder(8, units=(16, 2), seed=1)
    history = pretrain_autoencoder(*first, x, epochs=3, checkpoint_dir=tmp_path, verbose=0)
    second, batches = dense_autoencoder(8, units=(16, 2), seed=2), Batches()
    again = pretrain_autoencoder(*second, x, epochs=3, checkpoint_dir=tmp_path, callbacks=[batches], verbose=0)
    assert batches.count == 0
    assert again.history == history.history
    assert again.seconds == history.seconds > 0
    assert again.times == history.times == sorted(history.times)
    assert len(history.times) == len(history.history["loss"])
    assert_same(weights(*second), weights(*first))


def test_pretraining_that_a_callback_stopped_is_finished(blobs, tmp_path):
    x, _ = blobs
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", True))
    options = {"epochs": 9, "checkpoint_dir": tmp_path, "verbose": 0}
    first, second, batches = *(dense_autoencoder(8, units=(16, 2), seed=seed) for seed in (1, 2)), Batches()
    pretrain_autoencoder(*first, x, callbacks=stop, **options)
    history = pretrain_autoencoder(*second, x, callbacks=batches, **options)
    assert batches.count == 0
    assert len(history.history["loss"]) == 1
    assert_same(weights(*second), weights(*first))


def test_pretraining_without_a_seed_is_loaded_too(blobs, tmp_path):
    x, _ = blobs
    options = {"seed": None, "checkpoint_dir": tmp_path, "verbose": 0}
    first, second = (dense_autoencoder(8, units=(16, 2), seed=seed) for seed in (1, 2))
    pretrain_autoencoder(*first, x, epochs=2, **options)
    pretrain_autoencoder(*second, x, epochs=2, **options)
    assert_same(weights(*second), weights(*first))


@pytest.mark.parametrize("seed", [0, 2**32 - 1, None])
def test_any_seed_does_for_every_stage(blobs, seed):
    models = dense_autoencoder(8, units=(16, 4, 2))
    stages = pretrain_layerwise(*models, blobs[0], iterations=1, finetune_iterations=1, seed=seed, verbose=0)
    assert len(stages) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"iterations": 4, "epochs": None},
        {"seed": 1},
        {"dropout": 0.5},
        {"batch_size": 50},
        {"loss": "mae"},
        {"optimizer": "sgd"},
    ],
)
def test_other_settings_are_refused(blobs, tmp_path, change):
    x, _ = blobs
    pretrain_autoencoder(*dense_autoencoder(8, units=(16, 2)), x, epochs=3, checkpoint_dir=tmp_path, verbose=0)
    options = {"epochs": 3, "checkpoint_dir": tmp_path, "verbose": 0, **change}
    with pytest.raises(ValueError, match=f"belongs to another training. They differ in .*{next(iter(change))[:6]}"):
        pretrain_autoencoder(*dense_autoencoder(8, units=(16, 2)), x, **options)


@pytest.mark.parametrize("batches", [7, 12, 30])
def test_layerwise_goes_on_in_the_stage_it_was_in(blobs, tmp_path, batches, interrupt_after):
    x, _ = blobs
    options = {"iterations": 10, "finetune_iterations": 15, "batch_size": 64, "verbose": 0}
    whole = dense_autoencoder(8, units=(16, 2))
    histories = pretrain_layerwise(*whole, x, **options)
    parts = dense_autoencoder(8, units=(16, 2))
    interrupt = interrupt_after(batches)
    with pytest.raises(KeyboardInterrupt):
        pretrain_layerwise(*parts, x, checkpoint_dir=tmp_path, callbacks=[interrupt], **options)
    fresh, counter = dense_autoencoder(8, units=(16, 2)), Batches()
    resumed = pretrain_layerwise(*fresh, x, checkpoint_dir=tmp_path, callbacks=[counter], **options)
    assert 0 < counter.count < 35
    assert_same(weights(*fresh), weights(*whole))
    assert [history.history for history in resumed] == [history.history for history in histories]


def test_each_stage_trains_its_own_pair_only(blobs, pair):
    x, _ = blobs
    encoder, decoder = pair
    snapshots = []

    class Snapshot(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            snapshots.append([layer.get_weights()[0] for layer in (*encoder.layers, *decoder.layers[::-1])])

    pretrain_layerwise(*pair, x, iterations=3, finetune_iterations=3, callbacks=[Snapshot()], verbose=0)
    snapshots.append([layer.get_weights()[0] for layer in (*encoder.layers, *decoder.layers[::-1])])
    changed = [
        [bool((a != b).any()) for a, b in zip(before, after, strict=True)]
        for before, after in itertools.pairwise(snapshots)
    ]
    one, two, three = [True, False, False] * 2, [False, True, False] * 2, [False, False, True] * 2
    assert changed == [one, two, three, [True] * 6]
    assert all(layer.trainable for layer in (*encoder.layers, *decoder.layers))


def test_a_pair_minimises_half_the_squared_error_of_what_lies_below(blobs, pair):
    x, _ = blobs
    encoder, decoder = pair
    x = x[:64]
    below = encoder.layers[0](x)
    expected = decoder.layers[-2](encoder.layers[1](below)) - below
    expected = keras.ops.convert_to_numpy(keras.ops.mean(expected**2)) / 2
    still = keras.optimizers.SGD(0.0)
    stages = pretrain_layerwise(
        *pair, x, iterations=1, finetune_iterations=1, batch_size=64, optimizer=still, dropout=0.0, verbose=0
    )
    assert stages[1].history["loss"][0] == pytest.approx(float(expected), rel=1e-5)
    whole = reconstruction_error(encoder, decoder, x) / 2
    assert stages[3].history["loss"][0] == pytest.approx(whole, rel=1e-5)


def test_layerwise_dropout_is_on_both_layers_of_a_pair_and_off_in_fine_tuning():
    """A pair that hands ones through: each survives two dropouts of 0.2, so 64 % of them, at 1 / 0.64."""
    x = np.ones((500, 8))
    encoder, decoder = dense_autoencoder(8, units=(8,))
    for model in (encoder, decoder):
        model.set_weights([np.eye(8), np.zeros(8)])
    options = {"iterations": 20, "finetune_iterations": 20, "optimizer": keras.optimizers.SGD(0.0), "verbose": 0}
    denoising, fine_tuning = pretrain_layerwise(encoder, decoder, x, dropout=0.2, **options)
    expected = 1 / 2 * (0.36 + 0.64 * (1 / 0.64 - 1) ** 2)
    assert np.mean(denoising.history["loss"]) == pytest.approx(expected, rel=0.03)
    assert np.mean(fine_tuning.history["loss"]) < 1e-10


def test_layerwise_learns_from_the_papers_initial_weights(blobs):
    x, _ = blobs
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    models = dense_autoencoder(8, units=(16, 2), kernel_initializer=initializer)
    before = reconstruction_error(*models, x)
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    pretrain_layerwise(*models, x, iterations=300, finetune_iterations=600, optimizer=optimizer, verbose=0)
    assert reconstruction_error(*models, x) < before / 3


def test_least_squares_by_hand():
    loss = least_squares(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[3.0, 3.0], [0.0, 1.0]]))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loss), [1.25, 0.25])


def test_images_through_a_convolutional_pair():
    x = np.random.default_rng(0).random((40, 8, 8, 1))
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, strides=2, padding="same"), keras.layers.Flatten()]
    )
    decoder = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Reshape((4, 4, 4)),
            keras.layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
        ]
    )
    history = pretrain_autoencoder(encoder, decoder, x, epochs=20, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    with pytest.raises(ValueError, match="mirror each other.* pretrain_autoencoder"):
        pretrain_layerwise(encoder, decoder, x, verbose=0)


def test_progress_shows(blobs, pair, capsys):
    x, _ = blobs
    pretrain_autoencoder(*pair, x, epochs=2)
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown
    assert "loss: " in shown
    pretrain_autoencoder(*pair, x, epochs=2, verbose=0)
    assert not capsys.readouterr().out


def test_divergence_keeps_the_last_checkpoint(blobs, tmp_path):
    x, _ = blobs
    models = dense_autoencoder(8, units=(16, 2))

    class Explode(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                self.model.optimizer.learning_rate = 1e30

    options = {"epochs": 5, "batch_size": 150, "optimizer": keras.optimizers.SGD(0.01), "verbose": 0}
    with pytest.raises(FloatingPointError, match=r"iterations 4 and 6.*last check"):
        pretrain_autoencoder(*models, x, **options, checkpoint_dir=tmp_path, callbacks=[Explode()])
    assert all(np.isfinite(weight).all() for weight in weights(*models))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs should be .* Received: epochs=0"),
        ({"iterations": -1}, ValueError, "iterations should be .* Received: iterations=-1"),
        ({"epochs": 1, "iterations": 1}, ValueError, "epochs or iterations"),
        ({"batch_size": 0}, ValueError, "batch_size should be .* Received: batch_size=0"),
        ({"batch_size": "all"}, ValueError, "batch_size should be .* Received: batch_size='all'"),
        ({"dropout": 1.0}, ValueError, "dropout should be .* Received: dropout=1.0"),
        ({"dropout": -0.1}, ValueError, "dropout should be .* Received: dropout=-0.1"),
    ],
)
def test_bad_arguments(blobs, pair, options, error, message):
    x, _ = blobs
    with pytest.raises(error, match=message):
        pretrain_autoencoder(*pair, x, **options, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations should be .* Received: iterations=0"),
        ({"finetune_iterations": 0}, "finetune_iterations should be .* Received: finetune_iterations=0"),
        ({"batch_size": 0}, "batch_size should be .* Received: batch_size=0"),
        ({"dropout": 2}, "dropout should be .* Received: dropout=2"),
        ({"loss": "bce"}, "loss of the difference.* Received: binary_crossentropy"),
        ({"loss": keras.losses.MeanAbsolutePercentageError()}, "Received: MeanAbsolutePercentage"),
        ({"callbacks": keras.callbacks.BackupAndRestore("backup")}, "pretrain_layerwise should hold no .*Backup"),
    ],
)
def test_bad_layerwise_arguments(blobs, pair, options, message):
    """All are found before the first stage starts."""
    x, _ = blobs
    before = weights(*pair)
    if "loss" in options:
        options = {"recipe": deckeras.recipes.get("paper", pretraining_loss=options["loss"])}
    with pytest.raises(ValueError, match=message):
        pretrain_layerwise(*pair, x, **{"iterations": 1, "finetune_iterations": 1, "verbose": 0, **options})
    assert_same(weights(*pair), before)


@pytest.mark.parametrize(
    "loss", ["mse", "mae", "huber", least_squares, keras.losses.LogCosh(), lambda a, b: (a - b) ** 4]
)
def test_losses_of_a_difference_are_for_pairs(loss):
    check_loss(loss)


def test_layers_within_frozen_layers_stay_as_they_were(blobs, eagerly):
    """Of an encoder in which another model is frozen in part."""
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(4)])
    inner.layers[0].trainable = False
    encoder = keras.Sequential([keras.Input((8,)), inner, keras.layers.Dense(2)])
    before = [weight.path for weight in encoder.trainable_variables]
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8)])
    deckeras.refit_decoder(encoder, decoder, blobs[0], iterations=1, verbose=0)
    assert [weight.path for weight in encoder.trainable_variables] == before


def test_decoder_of_another_width(blobs):
    x, _ = blobs
    encoder, _ = dense_autoencoder(8, units=(16, 2))
    _, decoder = dense_autoencoder(9, units=(16, 2))
    with pytest.raises(ValueError, match=r"decoder.* shape \(8,\).* Received: \(9,\)"):
        pretrain_autoencoder(encoder, decoder, x, verbose=0)
    with pytest.raises(ValueError, match="mirror each other"):
        pretrain_layerwise(encoder, decoder, x, verbose=0)


def test_encoder_that_does_not_know_its_inputs(blobs, pair):
    encoder = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="inputs"):
        pretrain_autoencoder(encoder, pair[1], blobs[0], verbose=0)


def test_rows_of_another_width(blobs, pair):
    with pytest.raises(ValueError, match=r"row of x.* shape \(8,\)"):
        pretrain_autoencoder(*pair, np.zeros((10, 7)), verbose=0)
