"""The file of a training is complete or absent, refused if it does not fit, and resumed to the bit."""

import functools
import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import types

import h5py
import keras
import numpy as np
import pytest

import deckeras
from deckeras import DEC, dense_autoencoder
from deckeras._train import loop
from deckeras._train.checkpoint import Checkpoint
from deckeras._train.directories import prepare_directory
from deckeras._train.whole_files import whole_file


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    return model


def step(model):
    model.train_on_batch(np.ones((8, 3), "float32"), np.zeros((8, 2), "float32"))


def state_of(model):
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables + model.optimizer.variables]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_restores_weights_dropout_and_optimizer(model, tmp_path):
    checkpoint = Checkpoint(tmp_path / "a.h5", model, {"n": 1})
    step(model)
    saved = state_of(model)
    checkpoint.save({"iteration": 1, "history": {"loss": [np.float32(0.5)]}})
    step(model)
    expected = state_of(model)
    assert checkpoint.restore() == {"iteration": 1, "history": {"loss": [0.5]}}
    assert_same(state_of(model), saved)
    step(model)
    assert_same(state_of(model), expected)


def test_no_file_is_no_state(model, tmp_path):
    assert Checkpoint(tmp_path / "a.h5", model, {}).restore() is None


def test_optimizer_compiled_anew_keeps_its_settings(model, tmp_path):
    checkpoint = Checkpoint(tmp_path / "a.h5", model, {})
    step(model)
    checkpoint.save({})
    weights = model.get_weights()
    model.compile(keras.optimizers.Adam(0.001), "mse")
    with pytest.warns(UserWarning, match="written with another optimizer, so this one starts afresh"):
        Checkpoint(tmp_path / "a.h5", model, {}).restore()
    assert_same(model.get_weights(), weights)
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.001)
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 0


def test_another_training_is_refused_and_changes_nothing(model, tmp_path):
    Checkpoint(tmp_path / "a.h5", model, {"n_samples": 100, "seed": 0}).save({})
    step(model)
    before = state_of(model)
    with pytest.raises(ValueError, match=r"another training.* n_samples: 100 in the file, 99 here.*delete the file"):
        Checkpoint(tmp_path / "a.h5", model, {"n_samples": 99, "seed": 0}).restore()
    assert_same(state_of(model), before)


def test_other_shapes_are_refused_and_change_nothing(model, tmp_path):
    Checkpoint(tmp_path / "a.h5", model, {}).save({})
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    other.compile("adam", "mse")
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"holds .*kernel of shape \(3, 2\). Expected \(4, 2\)"):
        Checkpoint(tmp_path / "a.h5", other, {}).restore()
    assert_same(other.get_weights(), before)


def test_truncated_file(model, tmp_path):
    checkpoint = Checkpoint(tmp_path / "a.h5", model, {})
    checkpoint.save({})
    content = (tmp_path / "a.h5").read_bytes()
    for size in (0, 10, len(content) // 2):
        (tmp_path / "a.h5").write_bytes(content[:size])
        with pytest.raises(OSError, match=r"a\.h5' is truncated.*Delete it to start anew"):
            checkpoint.restore()


def test_foreign_file(model, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="not a checkpoint of this version of deckeras.* Received: None"):
        Checkpoint(tmp_path / "a.h5", model, {}).restore()


def test_failed_write_leaves_the_old_file(model, tmp_path):
    checkpoint = Checkpoint(tmp_path / "a.h5", model, {})
    checkpoint.save({"iteration": 1})
    with pytest.raises(TypeError):
        checkpoint.save({"iteration": object()})
    assert checkpoint.restore() == {"iteration": 1}
    assert os.listdir(tmp_path) == ["a.h5"]


def test_whole_file_keeps_the_extension(tmp_path):
    with whole_file(tmp_path / "a.keras") as draft:
        assert draft.endswith(".keras")
        with open(draft, "w") as file:
            file.write("whole")
        assert not (tmp_path / "a.keras").exists()
    assert (tmp_path / "a.keras").read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.keras"]


def test_directory_is_made(tmp_path):
    prepare_directory(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []


def test_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Cannot write to the directory .*file/deep'.* Pass another directory"):
        prepare_directory(tmp_path / "file" / "deep")


TRAINING = """
import os, signal, sys
import keras, numpy as np
import deckeras
import deckeras._train.loop

deckeras._train.loop.MAX_SAVING = float("inf")  # a checkpoint after every epoch, however short it is
kind, directory, kill_at, kill_in_write = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "write"

class Kill(keras.callbacks.Callback):
    batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches == kill_at and not kill_in_write:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.batches == kill_at:
            os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)

x = np.random.default_rng(0).normal(size=(300, 8)).astype("float32")
encoder, decoder = deckeras.dense_autoencoder(8, units=(16, 2))
if kind == "pretraining":
    deckeras.pretrain_autoencoder(
        encoder, decoder, x, epochs=10, batch_size=64, dropout=0.2, checkpoint_dir=directory, callbacks=[Kill()],
        verbose=0,
    )
    weights = encoder.get_weights() + decoder.get_weights()
else:
    model = deckeras.DEC(encoder, n_clusters=3)
    model.fit(
        x, batch_size=64, update_interval=7, max_iterations=60, tol=0, checkpoint_dir=directory, checkpoint_every=2,
        callbacks=[Kill()], verbose=0,
    )
    weights = model.get_weights()
np.savez(os.path.join(directory, "weights.npz"), *weights)
"""


def train_in_process(kind, directory, kill_at=0, where="batch"):
    command = [sys.executable, "-c", TRAINING, kind, str(directory), str(kill_at), where]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def weights_in(directory):
    with np.load(directory / "weights.npz") as arrays:
        return [arrays[name] for name in arrays]


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        pytest.param("clustering", "write", marks=pytest.mark.programs),
        pytest.param("clustering", "batch", marks=pytest.mark.slow),
        pytest.param("pretraining", "batch", marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_ends_with_the_weights_of_a_whole_run(kind, where, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = train_in_process(kind, whole)
    assert result.returncode == 0, result.stderr
    assert train_in_process(kind, killed, kill_at=37, where=where).returncode == -signal.SIGKILL
    assert not (killed / "weights.npz").exists()
    (file,) = [path for path in killed.glob("*.h5") if ".tmp" not in path.name]
    with h5py.File(file) as checkpoint:
        assert 0 < json.loads(checkpoint.attrs["state"])["iteration"] <= 37
    result = train_in_process(kind, killed)
    assert result.returncode == 0, result.stderr
    assert_same(weights_in(killed), weights_in(whole))
    assert not list(killed.glob("*.tmp*"))


def small_fit(x, directory, n_clusters=3, units=(16, 2), activation="relu", **options):
    model = DEC(dense_autoencoder(x.shape[1], units=units, activation=activation)[0], n_clusters)
    options = {"update_interval": 5, "max_iterations": 10, "tol": 0, "verbose": 0, **options}
    model.fit(x, checkpoint_dir=directory, **options)
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 200}, "data.n_samples: 300 in the file, 200 here"),
        ({"shift": 1.0}, r"data.checksum: \d+ in the file, \d+ here"),
        ({"step": -1}, r"in data.order: \d+ in the file, \d+ here"),
        ({"n_clusters": 4}, "n_clusters: 3 in the file, 4 here"),
        ({"units": (12, 2)}, r"encoder: .*\[8, 16\].* in the file, .*\[8, 12\].* here"),
        ({"activation": "tanh"}, "encoder: .*relu.* in the file, .*tanh.* here"),
        ({"seed": 1}, "seed: 0 in the file, 1 here"),
        ({"augment": functools.partial(np.multiply, 2)}, "augment_asked"),
    ],
)
def test_fit_refuses_the_checkpoint_of_another_training(blobs, tmp_path, change, message):
    x, _ = blobs
    small_fit(x, tmp_path)
    before = (tmp_path / "checkpoint.h5").read_bytes()
    x = x[: change.pop("rows", 300)][:: change.pop("step", 1)] + np.float32(change.pop("shift", 0))
    with pytest.raises(ValueError, match=message):
        small_fit(x, tmp_path, **change)
    assert (tmp_path / "checkpoint.h5").read_bytes() == before


def test_fit_goes_on_where_it_stopped(blobs, tmp_path):
    x, _ = blobs
    whole = small_fit(x, tmp_path / "whole", max_iterations=30)
    small_fit(x, tmp_path / "parts", max_iterations=10)
    resumed = small_fit(x, tmp_path / "parts", max_iterations=30)
    assert_same(resumed.get_weights(), whole.get_weights())
    assert len(resumed.history.history["loss"]) == 6
    assert resumed.history.history == whole.history.history


class Disturb(keras.callbacks.Callback):
    """Moves a weight after each interval, as one that places lost centroids anew would."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.centroids = self.model.centroids + 0.05


def halve(epoch, rate):
    return 0.1 * 0.5**epoch


@pytest.mark.filterwarnings("ignore:No row was assigned")
@pytest.mark.parametrize("batches", [3, 13, 22])
@pytest.mark.parametrize("kind", ["plain", "learning rate", "weights", "no seed", "dropout and batch statistics"])
def test_calling_fit_again_after_ctrl_c_ends_as_if_nothing_had_happened(
    blobs, tmp_path, kind, batches, interrupt_after
):
    """In one process, with the model as it was left: what a notebook does whose cell is run again."""
    x, _ = blobs
    callbacks = {"learning rate": [keras.callbacks.LearningRateScheduler(halve)], "weights": [Disturb()]}.get(kind, [])
    layers = [keras.layers.Dense(16), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=1)]
    layers = layers if kind == "dropout and batch statistics" else [keras.layers.Dense(16)]
    encoder = keras.Sequential([keras.Input((8,)), *layers, keras.layers.Dense(2)])
    start = encoder.get_weights()
    options = {"update_interval": 5, "max_iterations": 30, "tol": 0, "verbose": 0}
    options |= {"seed": None, "centroids": np.eye(3, 2)} if kind == "no seed" else {}
    interrupted = DEC(encoder, 3)
    options |= {"checkpoint_dir": tmp_path, "checkpoint_every": 2}
    interrupt = interrupt_after(batches)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(x, **options, callbacks=[*callbacks, interrupt])
    drawn = json.loads(h5py.File(tmp_path / "checkpoint.h5").attrs["state"])["seed"]
    interrupted.fit(x, **options, callbacks=callbacks)

    expected = interrupted.get_weights()
    encoder.set_weights(start)
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([1, 0])
    whole = DEC(encoder, 3)
    whole.fit(x, **{**options, "seed": drawn, "checkpoint_dir": None}, callbacks=callbacks)
    assert_same(whole.get_weights(), expected)
    assert int(keras.ops.convert_to_numpy(interrupted.optimizer.iterations)) == 30


def test_best_weights_that_a_callback_puts_back_are_saved(blobs, tmp_path):
    x, _ = blobs
    stop = keras.callbacks.EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)
    model = small_fit(x, tmp_path, max_iterations=500, callbacks=[stop])
    again = small_fit(x, tmp_path, max_iterations=5)
    assert_same(again.get_weights(), model.get_weights())


def test_numpy_integers_are_integers(blobs, tmp_path):
    x, _ = blobs
    options = {"seed": np.int64(3), "update_interval": np.int64(5), "checkpoint_every": np.int32(1)}
    small_fit(x, tmp_path, **options, max_iterations=np.int64(10))
    resumed = small_fit(x, tmp_path, **options, max_iterations=np.int64(20))
    assert len(resumed.history.history["loss"]) == 4


def test_scores_of_a_run_without_labels_are_unknown(blobs, tmp_path):
    x, y = blobs
    small_fit(x, tmp_path, max_iterations=10)
    small_fit(x, tmp_path, y=y, max_iterations=20)
    history = small_fit(x, tmp_path, max_iterations=25).history.history
    assert all(len(values) == 5 for values in history.values())
    np.testing.assert_array_equal(np.isnan(history["acc"]), [True, True, False, False, True])


def test_finished_fit_is_not_repeated(blobs, tmp_path, batches_of):
    x, _ = blobs
    first = small_fit(x, tmp_path)
    again = DEC(dense_autoencoder(8, units=(16, 2), seed=9)[0], 3)
    batches = batches_of(again)
    history = again.fit(x, update_interval=5, max_iterations=10, tol=0, checkpoint_dir=tmp_path, verbose=0)
    assert batches == []
    assert_same(again.get_weights(), first.get_weights())
    assert history.history == first.history.history


def test_output_directory_is_tried_before_training(blobs, tmp_path):
    x, _ = blobs
    (tmp_path / "file").touch()
    model = DEC(dense_autoencoder(8, units=(16, 2))[0], 3)
    with pytest.raises(OSError, match="Cannot write to the directory"):
        model.fit(x, checkpoint_dir=tmp_path / "file" / "deep", verbose=0)
    assert not model.centroids.any()


FILES = pathlib.Path(__file__).parent / "files"
IMAGES = np.random.default_rng(0).random((30, 36)).astype("float32")


def encoder_of(strides=2, padding="same", kernel_size=3, rate=0.1):
    layers = [
        keras.layers.Reshape((6, 6, 1)),
        keras.layers.Conv2D(2, kernel_size, strides=strides, padding=padding),
        keras.layers.Dropout(rate),
        keras.layers.GlobalAveragePooling2D(),
    ]
    return keras.Sequential([keras.Input((36,)), *layers])


@pytest.mark.filterwarnings("ignore:No row was assigned")
@pytest.mark.parametrize(
    ("asked", "name"), [({"strides": 1}, "strides"), ({"padding": "valid"}, "padding"), ({"rate": 0.2}, "rate")]
)
def test_layers_that_work_otherwise_are_refused(asked, name, tmp_path):
    """They have weights of the same shapes."""
    options = {"max_iterations": 2, "checkpoint_dir": tmp_path, "centroids": np.eye(2), "verbose": 0}
    DEC(encoder_of(), 2).fit(IMAGES, **options)
    with pytest.raises(ValueError, match=rf"encoder_layers\.\d \w+\.{name}.* in the file, .* here"):
        DEC(encoder_of(**asked), 2).fit(IMAGES, **options)
    DEC(encoder_of(), 2).fit(IMAGES, **options)


@pytest.mark.filterwarnings("ignore:No row was assigned")  # the weights of the encoders are random
def test_layers_that_work_alike_are_not_told_apart(tmp_path):
    """Keras numbers names anew, also of layers within layers, and writes lambdas with the lines they stand in."""
    options = {"max_iterations": 2, "checkpoint_dir": tmp_path, "centroids": np.eye(2), "verbose": 0}

    def encoder(function):
        cell = keras.layers.Bidirectional(keras.layers.GRU(1))
        return keras.Sequential([keras.Input((36,)), keras.layers.Lambda(function), keras.layers.Reshape((6, 6)), cell])

    DEC(encoder(lambda rows: rows * 2), 2).fit(IMAGES, **options)
    DEC(encoder(lambda rows: rows * 2), 2).fit(IMAGES, **options)
    with pytest.raises(ValueError, match=r"encoder_layers.* Lambda\.function"):
        DEC(encoder(lambda rows: rows * 3), 2).fit(IMAGES, **options)


def shifted(by):
    def augment(rows):
        return rows + by

    return augment


class Shift:
    def __init__(self, by):
        self.by = by

    def __call__(self, rows):
        return rows + self.by

    def move(self, rows):
        return rows + self.by


def scaled(rows, factor=1.0):
    return rows * factor


class Entangled(Shift):
    """It holds itself, in a list and by a method, and what leads to the whole process."""

    def __init__(self, by):
        super().__init__(by)
        self.around, self.again, self.log, self.module = [self], {"move": self.move}, logging.getLogger("shift"), np


PAIRS = {
    "lambdas": lambda: (lambda rows: rows + 1, lambda rows: rows - 1),
    "numbers in lambdas": lambda: (lambda rows: rows + 1, lambda rows: rows + 2),
    "closures": lambda: (shifted(1), shifted(2)),
    "partials": lambda: (functools.partial(scaled, factor=1.0), functools.partial(scaled, factor=2.0)),
    "objects": lambda: (Shift(1), Shift(2)),
    "methods": lambda: (Shift(1).move, Shift(2).move),
    "objects within themselves": lambda: (Entangled(1), Entangled(2)),
    "their methods": lambda: (Entangled(1).move, Entangled(2).move),
    "arrays": lambda: (shifted(np.zeros(36, "float32")), shifted(np.ones(36, "float32"))),
}


@pytest.mark.filterwarnings("ignore:No row was assigned")
@pytest.mark.parametrize("kind", PAIRS)
def test_functions_that_work_otherwise_are_refused(kind, tmp_path):
    options = {"max_iterations": 2, "checkpoint_dir": tmp_path, "centroids": np.eye(2), "verbose": 0}
    (first, _), (same, other) = PAIRS[kind](), PAIRS[kind]()
    DEC(encoder_of(), 2).fit(IMAGES, augment=first, **options)
    DEC(encoder_of(), 2).fit(IMAGES, augment=same, **options)
    with pytest.raises(ValueError, match=r"augment_asked.* in the file, .* here"):
        DEC(encoder_of(), 2).fit(IMAGES, augment=other, **options)


def test_pretraining_says_what_was_asked(tmp_path):
    models = dense_autoencoder(36, units=(4, 2))
    options = {"iterations": 2, "checkpoint_dir": tmp_path, "verbose": 0}
    deckeras.pretrain_autoencoder(*models, IMAGES, loss=lambda y, p: keras.ops.mean((y - p) ** 2, -1), **options)
    with pytest.raises(ValueError, match="loss_asked"):
        deckeras.pretrain_autoencoder(*models, IMAGES, loss=lambda y, p: keras.ops.mean((y - p) ** 4, -1), **options)


@pytest.mark.parametrize(
    ("recipe", "dropout", "dropouts"), [("paper", 0, [0, 0, 0]), ("paper", None, [0.2, 0.2, 0]), ("table", 0.3, [0.3])]
)
def test_dropout_that_was_asked_for(recipe, dropout, dropouts, tmp_path):
    models = dense_autoencoder(36, units=(4, 2))
    recipe = deckeras.recipes.get(recipe, layer_iterations=2, epochs=0, min_pretraining_iterations=2)
    deckeras.pretrain(*models, IMAGES, recipe, dropout=dropout, checkpoint_dir=tmp_path, verbose=0)
    names = ["pretraining-pair0.h5", "pretraining-pair1.h5", "pretraining.h5"][-len(dropouts) :]
    for name, expected in zip(names, dropouts, strict=True):
        with h5py.File(tmp_path / name) as file:
            assert json.loads(file.attrs["identity"])["dropout"] == expected
    layerwise = deckeras.recipes.get("paper", layer_iterations=2, min_pretraining_iterations=2)
    deckeras.pretrain_autoencoder(
        *models, IMAGES, recipe=layerwise, dropout=0.4, checkpoint_dir=tmp_path / "a", verbose=0
    )
    with h5py.File(tmp_path / "a" / "pretraining.h5") as file:
        assert json.loads(file.attrs["identity"])["dropout"] == 0.4


def test_checkpoints_of_earlier_versions_are_resumed(tmp_path):
    rows = np.load(FILES / "rows.npy")
    shutil.copy(FILES / "clustering-checkpoint.h5", tmp_path / "checkpoint.h5")
    model = DEC(dense_autoencoder(4, units=(6, 2))[0], 3, alpha=2.0)
    options = {"update_interval": 5, "tol": 0, "checkpoint_dir": tmp_path, "verbose": 0}
    assert len(model.fit(rows, max_iterations=15, **options).epoch) == 3
    images = np.load(FILES / "images.npy")
    for name in "checkpoint", "pretraining":
        shutil.copy(FILES / f"images-{name}.h5", tmp_path / f"{name}.h5")
    models = deckeras.convolutional_autoencoder((4, 4), 2, filters=(2,), kernel_sizes=(3,))
    recipe = deckeras.recipes.get(
        "images", image_shape=(4, 4), epochs=1, min_pretraining_iterations=4, learning_rate=0.01
    )
    layers, exact = keras.layers, {"fill_mode": "constant", "dtype": "float32"}
    former = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Reshape((4, 4, 1), dtype="float32"),
            layers.RandomTranslation(0.1, 0.1, **exact),
            layers.RandomRotation(10 / 360, **exact),
            layers.Reshape((16,), dtype="float32"),
        ]
    )
    pretraining = {"recipe": recipe, "checkpoint_dir": tmp_path, "verbose": 0}
    with pytest.raises(ValueError, match="another training.* augment"):
        deckeras.pretrain_autoencoder(*models, images, **pretraining)
    deckeras.pretrain_autoencoder(*models, images, augment=former, **pretraining)
    model = DEC(models[0], 2)
    assert len(model.fit(images, recipe=recipe, max_iterations=15, **options).epoch) == 3
    with pytest.raises(ValueError, match="n_clusters: 2 in the file, 3 here"):
        DEC(models[0], 3).fit(images, recipe=recipe, max_iterations=15, **options)


def test_larger_max_iterations_does_not_raise_the_learning_rate_again(blobs, tmp_path):
    recipe = deckeras.recipes.get("images", image_shape=(2, 4), init="kmeans", n_init=2, updates=None)
    options = {"recipe": recipe, "update_interval": 5, "tol": 0, "checkpoint_dir": tmp_path, "verbose": 0}
    for iterations in 20, 30:
        model = DEC(dense_autoencoder(8, units=(16, 2))[0], 3)
        model.fit(blobs[0], max_iterations=iterations, **options)
        assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == iterations
        least = recipe.decay * recipe.learning_rate
        assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(least, rel=1e-3)


def test_freezing_between_two_runs_is_noticed(blobs, tmp_path):
    small_fit(blobs[0], tmp_path)
    model = DEC(dense_autoencoder(8, units=(16, 2))[0], 3)
    model.encoder.trainable = False
    with pytest.warns(UserWarning, match="other frozen layers"):
        model.fit(blobs[0], max_iterations=15, update_interval=5, tol=0, checkpoint_dir=tmp_path, verbose=0)


class Stop(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_backup_and_restore_of_keras_resumes(blobs, tmp_path):
    """It repeats nothing, and ends with the weights of a whole run."""
    options = {"update_interval": 5, "max_iterations": 30, "tol": 0, "init": "kmeans", "verbose": 0}

    def fit(*more, backup=True):
        model = DEC(dense_autoencoder(8, units=(16, 2))[0], 3)
        callbacks = [keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)] if backup else []
        return model, model.fit(blobs[0], callbacks=[*callbacks, *more], **options)

    with pytest.raises(KeyboardInterrupt):
        fit(Stop(2))
    resumed, history = fit()
    whole, _ = fit(backup=False)
    assert_same(resumed.get_weights(), whole.get_weights())
    assert history.epoch == [3, 4, 5]
    assert int(keras.ops.convert_to_numpy(resumed.optimizer.iterations)) == 30


@pytest.mark.parametrize(
    ("callback", "options", "match"),
    [
        (lambda path: keras.callbacks.BackupAndRestore(path), {"checkpoint_dir": "run"}, "no .*BackupAndRestore"),
        (lambda path: keras.callbacks.SwapEMAWeights(swap_on_epoch=True), {}, "swap_on_epoch=True"),
    ],
)
def test_callbacks_that_would_be_wrong_are_refused(blobs, tmp_path, monkeypatch, callback, options, match):
    monkeypatch.chdir(tmp_path)
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    with pytest.raises(ValueError, match=match):
        model.fit(blobs[0], callbacks=callback("backup"), verbose=0, **options)
    assert not model.placed


@pytest.mark.parametrize(
    "fit",
    [
        lambda x, **options: deckeras.DeepEmbeddedClustering(3).fit(x, **options),
        lambda x, **options: deckeras.selection.choose_n_clusters(x, [2, 3], **options),
    ],
)
def test_a_backup_of_several_trainings_is_refused(blobs, tmp_path, fit):
    with pytest.raises(ValueError, match="should hold no .*BackupAndRestore"):
        fit(blobs[0], callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])


class Course(keras.callbacks.Callback):
    """Logs a given course of a loss, whatever the training does, and stops it once like Ctrl-C."""

    def __init__(self, interrupted_at=None):
        super().__init__()
        self.interrupted_at = interrupted_at

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.interrupted_at:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        logs["course"] = [5.0, 4.0, 1.0, 2.0, 3.0, 2.0, 2.0, 3.0][epoch]


STATEFUL = {
    "stops": lambda path: keras.callbacks.EarlyStopping("course", mode="min", patience=3),
    "best weights": lambda path: keras.callbacks.EarlyStopping(
        "course", mode="min", patience=20, restore_best_weights=True
    ),
    "learning rate": lambda path: keras.callbacks.ReduceLROnPlateau(
        "course", mode="min", patience=2, factor=0.1, cooldown=1
    ),
    "best file": lambda path: keras.callbacks.ModelCheckpoint(
        path / "best.weights.h5", "course", mode="min", save_best_only=True, save_weights_only=True
    ),
}


@pytest.mark.parametrize("interrupted_at", [1, 4])
@pytest.mark.parametrize("kind", STATEFUL)
def test_callbacks_of_keras_continue(tmp_path, kind, interrupted_at):
    def fit(name, *more):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        (tmp_path / name).mkdir(exist_ok=True)

        def epoch(start, steps, seed, callbacks):
            """Stands for a training: the weights tell the epoch."""
            model.set_weights([np.full((2, 1), start), np.full(1, start)])
            return {"loss": 1.0}

        checkpoint = Checkpoint(tmp_path / name / "file.h5", model, {})
        callbacks = [*more, STATEFUL[kind](tmp_path / name)]
        history = loop.train(
            model, epoch, iterations=8, steps_per_epoch=1, seed=0, checkpoint=checkpoint, callbacks=callbacks, verbose=0
        )
        best = tmp_path / name / "best.weights.h5"
        if best.exists():
            model.load_weights(best)
        return history.history, [*model.get_weights(), keras.ops.convert_to_numpy(model.optimizer.learning_rate)]

    whole, weights = fit("whole", Course())
    with pytest.raises(KeyboardInterrupt):
        fit("resumed", Course(interrupted_at))
    resumed, same = fit("resumed", Course())
    assert resumed == whole
    assert_same(same, weights)


@pytest.mark.parametrize(("epoch", "write", "written"), [(3, 1, [4, 8, 12]), (3, 0.1, range(1, 13)), (1, 9, [])])
def test_writing_takes_a_tenth_of_the_time_of_a_pretraining(
    blobs, tmp_path, monkeypatch, epoch, write, written, frequent_checkpoints
):
    """By a clock that an epoch puts forward by `epoch` seconds, and a write by `write`."""
    clock, saved, save = [0.0], [], Checkpoint.save
    monkeypatch.setattr(loop, "MAX_SAVING", 0.1)
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: clock[0]))

    def slow_save(self, state, arrays):
        clock[0] += write
        saved.append(len(state["times"]))
        save(self, state, arrays)

    def end_epoch(epochs, logs):
        clock[0] += epoch

    monkeypatch.setattr(Checkpoint, "save", slow_save)
    ticking = keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)
    encoder, decoder = dense_autoencoder(8, units=(16, 2))
    deckeras.pretrain_autoencoder(
        encoder, decoder, blobs[0], epochs=13, checkpoint_dir=tmp_path, callbacks=ticking, verbose=0
    )
    assert saved == [0, *written, 13]


def functional(operation):
    rows = keras.Input((8,))
    hidden = operation(keras.layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(0.1, seed=1))(rows))
    return keras.Model(rows, keras.layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(seed=2))(hidden))


OTHERWISE = {
    "an operation": ((functional, keras.ops.relu, {}), (functional, keras.ops.sin, {}), "encoder_graph"),
    "its numbers": ((functional, lambda h: h * 2.0, {}), (functional, lambda h: h * 3.0, {}), "encoder_graph"),
    "the loss": ((functional, keras.ops.relu, {"loss": "mse"}), (functional, keras.ops.relu, {}), "loss"),
    "the weight of the loss": (
        (functional, keras.ops.relu, {"loss_weights": [1.0]}),
        (functional, keras.ops.relu, {"loss_weights": [2.0]}),
        "loss_weights",
    ),
}


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
@pytest.mark.parametrize("kind", OTHERWISE)
def test_another_function_or_loss_is_another_training(blobs, tmp_path, kind):
    def fit(make, operation, compiled):
        model = DEC(make(operation), 3)
        if compiled:
            model.compile(**compiled)
        model.fit(blobs[0], max_iterations=5, init="kmeans", checkpoint_dir=tmp_path, verbose=0)

    first, other, name = OTHERWISE[kind]
    fit(*first)
    fit(*first)
    with pytest.raises(ValueError, match=rf"another training. They differ in {name}"):
        fit(*other)


STARTS = {
    "clusterer": ({"init": "kmeans"}, {"init": "ward"}, "start.init: kmeans in the file, ward here"),
    "function": ({"init": lambda z, k: z[:k]}, {"init": lambda z, k: z[-k:]}, "start.init"),
    "restarts": ({"init": "kmeans", "n_init": 2}, {"init": "kmeans", "n_init": 3}, "start.n_init: 2 in the file, 3"),
    "centroids": ({"centroids": np.eye(3, 2)}, {"centroids": np.eye(3, 2) + 1}, "start.centroids"),
    "none": ({"centroids": np.eye(3, 2)}, {"init": "kmeans"}, "start.centroids"),
    "lead": ({"lead": 2}, {"lead": 3}, "start.lead: 2 in the file, 3 here"),
    "target": ({"balance": 1.0}, {"balance": 0.0}, "start.balance: 1.0 in the file, 0.0 here"),
}


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
@pytest.mark.parametrize("kind", STARTS)
def test_another_start_is_another_training(blobs, tmp_path, kind, eagerly):
    """The file was resumed, and the other start had no effect."""

    def fit(lead=None, balance=None, **start):
        model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
        recipe = deckeras.recipes.get("table", init="kmeans", lead=lead, balance=balance)
        return model.fit(blobs[0], recipe=recipe, max_iterations=5, checkpoint_dir=tmp_path, verbose=0, **start)

    first, other, difference = STARTS[kind]
    fit(**first)
    assert fit(**first).seconds > 0
    with pytest.raises(ValueError, match=f"another training. They differ in {difference}"):
        fit(**other)


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16"])
def test_trainings_in_bfloat16_are_saved_and_resumed(blobs, tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    models = [dense_autoencoder(8, units=(16, 2)) for _ in range(2)]
    found = []
    for encoder, decoder in models:
        options = {"epochs": 2, "checkpoint_dir": tmp_path, "verbose": 0}
        deckeras.pretrain_autoencoder(encoder, decoder, blobs[0], **options)
        model = DEC(encoder, 3)
        model.fit(blobs[0], max_iterations=5, checkpoint_dir=tmp_path, verbose=0)
        found.append(model.predict(blobs[0], verbose=0))
    np.testing.assert_array_equal(*found)


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
def test_momentum_is_not_that_of_another_layer(blobs, tmp_path):
    """Two layers of the same shape, of which another is frozen now."""

    def fit(frozen, iterations):
        model = DEC(dense_autoencoder(8, units=(8, 8, 2))[0], 3)
        model.encoder.layers[frozen].trainable = False
        model.fit(blobs[0], update_interval=5, max_iterations=iterations, tol=0, checkpoint_dir=tmp_path, verbose=0)

    fit(0, 5)
    fit(0, 10)
    with pytest.warns(UserWarning, match="other frozen layers"):
        fit(1, 15)


def test_numbers_of_numpy_are_settings(blobs, tmp_path):
    encoder, decoder = dense_autoencoder(8, units=(4, 2))
    recipe = deckeras.recipes.get("table", learning_rate=np.float32(0.01), tol=np.float64(0.1))
    options = {"epochs": np.int64(1), "dropout": np.float32(0.25), "seed": np.int64(1), "checkpoint_dir": tmp_path}
    deckeras.pretrain_autoencoder(encoder, decoder, blobs[0], verbose=0, **options)
    DEC(encoder, 3).fit(blobs[0], recipe=recipe, max_iterations=2, init="kmeans", seed=np.int64(1), verbose=0)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_schedule_is_kept_at_any_precision(blobs, tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    recipe = deckeras.recipes.get("table", decay=0.1, init="kmeans", n_init=1, updates=None)
    for iterations in 10, 15:
        model = DEC(dense_autoencoder(8, units=(16, 2))[0], 3)
        options = {"update_interval": 5, "tol": 0, "checkpoint_dir": tmp_path, "verbose": 0}
        model.fit(blobs[0], recipe=recipe, max_iterations=iterations, **options)
    rate = getattr(model.optimizer, "inner_optimizer", model.optimizer).learning_rate
    assert float(keras.ops.convert_to_numpy(rate)) == pytest.approx(0.001, rel=1e-3)
