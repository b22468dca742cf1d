"""Several steps per call, compared with one step per call."""

import gc
import weakref

import keras
import numpy as np
import pytest

import deckeras
from deckeras._train import device

pytestmark = pytest.mark.skipif(
    keras.config.backend() not in device._PROGRAMS, reason="PyTorch, being eager, takes a step a call"
)


class Batches(keras.callbacks.Callback):
    """One that wants to know of each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, logs["loss"]))


class Epochs(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        pass


@pytest.fixture(params=[False, True] if keras.config.backend() == "jax" else [False])
def accelerated(request, monkeypatch):
    """As if there were an accelerator, on which JAX takes the steps in a loop of its own, and without."""
    if request.param:
        monkeypatch.setattr(device, "accelerated", lambda: True)


@pytest.fixture
def calls(monkeypatch, accelerated):
    """The number of steps in each call."""
    calls = []
    together = device.train_together

    def train_together(model, batches):
        calls.append(len(batches))
        return together(model, batches)

    monkeypatch.setattr(device, "train_together", train_together)
    return calls


def autoencoder():
    return deckeras.dense_autoencoder(8, units=(16, 2))


def fit(x, callbacks, make=lambda: deckeras.DEC(autoencoder()[0], 3), **kwargs):
    model = make()
    history = model.fit(x, update_interval=45, max_iterations=90, tol=0, callbacks=callbacks, verbose=0, **kwargs)
    return model.get_weights(), history.history


def assert_same(found, expected):
    for one, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert list(found[1]) == list(expected[1])
    for name, values in expected[1].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [lambda: deckeras.DEC(autoencoder()[0], 3), lambda: deckeras.IDEC(*autoencoder(), 3)],
    ids=["DEC", "IDEC"],
)
def test_equals_a_step_a_call(make, blobs, calls):
    single = fit(blobs[0], Batches(), make)
    assert not calls
    together = fit(blobs[0], Epochs(), make)
    assert calls == [20, 20, 5, 20, 20, 5]
    assert_same(together, single)


def test_pretraining_equals_a_step_a_call(blobs, calls):
    found = []
    for callback in Batches(), Epochs():
        encoder, decoder = autoencoder()
        history = deckeras.pretrain_autoencoder(
            encoder, decoder, blobs[0], iterations=100, dropout=0.2, callbacks=callback, verbose=0
        )
        found.append((encoder.get_weights() + decoder.get_weights(), history.history))
    assert calls
    assert_same(*found)


def test_callbacks_of_batches_hear_of_each(blobs, calls):
    callback = Batches()
    fit(blobs[0], callback)
    assert [batch for batch, _ in callback.seen] == 2 * list(range(45))
    assert len({loss for _, loss in callback.seen}) > 80


@pytest.mark.parametrize("frequency", [10, "batch"])
def test_callbacks_of_keras_count_batches_where_they_are_asked_to(blobs, calls, tmp_path, frequency):
    pytest.importorskip("tensorflow")
    callback = keras.callbacks.TensorBoard(tmp_path / "logs", update_freq=frequency)
    if frequency == 10:
        callback = keras.callbacks.ModelCheckpoint(
            tmp_path / "{batch}.weights.h5", save_freq=10, save_weights_only=True
        )
    fit(blobs[0], callback)
    assert not calls
    if frequency == 10:
        assert len(list(tmp_path.iterdir())) == 9


def test_functions_of_a_user_hear_of_each_batch(blobs, calls):
    heard = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: heard.append(batch))
    fit(blobs[0], callback)
    assert heard == 2 * list(range(45))


def test_a_model_that_is_to_run_eagerly_does(blobs, calls):
    def make():
        model = deckeras.DEC(autoencoder()[0], 3)
        model.compile(run_eagerly=True)
        return model

    fit(blobs[0], Epochs(), make)
    assert not calls


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_functions_of_tensorflow_that_are_to_run_eagerly_do(blobs, calls, eagerly):
    """As a user asks for who looks for a mistake: `tf.config.run_functions_eagerly(True)`."""
    if keras.config.backend() != "tensorflow":
        pytest.skip("of TensorFlow")
    seen = []

    class Seen(keras.layers.Layer):
        def call(self, x):
            seen.append(type(x).__name__)
            return x

    encoder = keras.Sequential([keras.Input((8,)), Seen(), keras.layers.Dense(2)])
    model = deckeras.DEC(encoder, 3)
    model.initialize_centroids(blobs[0])
    del seen[:]
    model.fit(blobs[0], max_iterations=5, verbose=0)
    assert not calls
    assert seen.count("EagerTensor") >= 5


def test_a_model_is_freed(blobs, calls):
    model = deckeras.DEC(autoencoder()[0], 3)
    model.fit(blobs[0], update_interval=45, max_iterations=45, verbose=0)
    assert calls
    gone = weakref.ref(model)
    keras.utils.clear_session()
    del model
    gc.collect()
    assert gone() is None


def test_metrics_are_those_of_each_batch(blobs, calls):
    def make():
        model = deckeras.DEC(autoencoder()[0], 3)
        model.compile(metrics=[keras.metrics.RootMeanSquaredError()])
        return model

    single = fit(blobs[0], Batches(), make)
    together = fit(blobs[0], Epochs(), make)
    assert calls
    assert "root_mean_squared_error" in single[1]
    assert_same(together, single)


def test_what_the_model_was_compiled_with(blobs, calls):

    def make():
        model = deckeras.DEC(autoencoder()[0], 3)
        model.compile(steps_per_execution=30)
        return model

    fit(blobs[0], Epochs(), make)
    assert calls == [30, 15, 30, 15]


def test_rows_of_many_features_go_in_fewer_at_a_time(calls):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile("sgd", "mse")
    model.train_on_batch(np.zeros((2, 4)), np.zeros((2, 4)))
    for values, steps in (4, 20), (2**20, 8), (2**24, 1):
        batch = np.broadcast_to(np.float32(0), (1, values))
        assert device.steps_together(model, (batch, batch), []) == steps


def test_a_model_that_is_compiled_anew_learns_by_its_new_optimizer(blobs, calls):
    model = deckeras.DEC(autoencoder()[0], 3)
    common = {"update_interval": 45, "tol": 0, "verbose": 0}
    model.fit(blobs[0], max_iterations=45, **common)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(blobs[0], max_iterations=45, **common)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_compiles_one_program(blobs, calls, monkeypatch):
    """No other for a first step, a last step, or the fewer steps at the end of an epoch."""
    traced = []
    step = deckeras.DEC.train_step
    monkeypatch.setattr(deckeras.DEC, "train_step", lambda self, *args: traced.append(1) or step(self, *args))
    model = deckeras.DEC(autoencoder()[0], 3)
    model.fit(blobs[0], update_interval=41, max_iterations=82, tol=0, callbacks=Epochs(), verbose=0)
    assert calls == [20, 20, 1, 20, 20, 1]
    assert len(traced) == 1


@pytest.mark.skipif(keras.config.backend() == "jax", reason="Keras's own steps on JAX need it")
def test_a_version_of_keras_that_builds_otherwise(blobs, calls, monkeypatch):
    expected = fit(blobs[0], Epochs())
    monkeypatch.setattr(keras.Model, "_symbolic_build", None)
    assert_same(fit(blobs[0], Epochs()), expected)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_rows_on_the_device_train_as_those_of_the_host(dtype, blobs, calls, monkeypatch):
    x = (20 * blobs[0]).astype(dtype)
    host = fit(x, Epochs())
    monkeypatch.setattr(device, "accelerated", lambda: True)
    assert isinstance(device.to_device(x), device.OnDevice)
    assert device.to_device(x).rows.dtype == dtype
    assert_same(fit(x, Epochs()), host)


def test_what_does_not_fit_the_device_stays_on_the_host(blobs, monkeypatch):
    monkeypatch.setattr(device, "accelerated", lambda: True)
    for dtype in "float64", "int64", ">f4":
        x = blobs[0].astype(dtype)
        assert device.to_device(x) is x
    monkeypatch.setattr(device, "_RESIDENT_BYTES", blobs[0].nbytes - 1)
    assert device.to_device(blobs[0]) is blobs[0]


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "scheduled": lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "averaged": lambda: keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_overwrite_frequency=4),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_updates_as_keras_does(name, accelerated):
    random = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    batches = [tuple(random.normal(size=(2, 16, 3)).astype("float32")) for _ in range(12)]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for one in (model, copy):
        one.compile(OPTIMIZERS[name](), "mse")
    singly = []
    for batch in batches:
        model.reset_metrics()  # before Keras 3.15 they run on from batch to batch
        singly.append(model.train_on_batch(*batch))
    groups = batches[:5], batches[5:6], batches[6:]
    together = [logs["loss"] for group in groups for logs in device.train_together(copy, group)]
    np.testing.assert_allclose(together, singly, rtol=1e-4)
    variables = [one.variables + one.optimizer.variables for one in (copy, model)]
    for pair in zip(*variables, strict=True):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, pair), rtol=1e-4, atol=1e-6)
