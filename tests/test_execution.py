"""Several steps in one call, against one step a call."""

import gc
import weakref

import keras
import numpy as np
import pytest

import deckeras
from deckeras import execution

pytestmark = pytest.mark.skipif(
    keras.config.backend() not in execution._PROGRAMS, reason="PyTorch, being eager, takes a step a call"
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


@pytest.fixture
def gains(monkeypatch):
    """As if the backend gained from it, and a record of the calls."""
    calls = []
    together = execution.train_together

    def train_together(model, batches):
        calls.append(len(batches))
        return together(model, batches)

    monkeypatch.setattr(execution, "_gains", lambda: True)
    monkeypatch.setattr(execution, "train_together", train_together)
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
def test_equals_a_step_a_call(make, blobs, gains):
    single = fit(blobs[0], Batches(), make)
    assert not gains
    together = fit(blobs[0], Epochs(), make)
    assert gains == [20, 20, 4, 20, 20, 5]  # the very first step is alone
    assert_same(together, single)


def test_pretraining_equals_a_step_a_call(blobs, gains):
    found = []
    for callback in Batches(), Epochs():
        encoder, decoder = autoencoder()
        history = deckeras.pretrain_autoencoder(
            encoder, decoder, blobs[0], iterations=100, dropout=0.2, callbacks=callback, verbose=0
        )
        found.append((encoder.get_weights() + decoder.get_weights(), history.history))
    assert gains
    assert_same(*found)


def test_callbacks_of_batches_hear_of_each(blobs, gains):
    callback = Batches()
    fit(blobs[0], callback)
    assert [batch for batch, _ in callback.seen] == 2 * list(range(45))
    assert len({loss for _, loss in callback.seen}) > 80


def test_functions_of_a_user_hear_of_each_batch(blobs, gains):
    heard = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: heard.append(batch))
    fit(blobs[0], callback)
    assert heard == 2 * list(range(45))


def test_a_model_that_is_to_run_eagerly_does(blobs, gains):
    def make():
        model = deckeras.DEC(autoencoder()[0], 3)
        model.compile(run_eagerly=True)
        return model

    fit(blobs[0], Epochs(), make)
    assert not gains


def test_a_model_is_freed(blobs, gains):
    model = deckeras.DEC(autoencoder()[0], 3)
    model.fit(blobs[0], update_interval=45, max_iterations=45, verbose=0)
    assert gains
    gone = weakref.ref(model)
    keras.utils.clear_session()
    del model
    gc.collect()
    assert gone() is None


def test_metrics_are_those_of_each_batch(blobs, gains):
    def make():
        model = deckeras.DEC(autoencoder()[0], 3)
        model.compile(metrics=[keras.metrics.RootMeanSquaredError()])
        return model

    single = fit(blobs[0], Batches(), make)
    together = fit(blobs[0], Epochs(), make)
    assert gains
    assert "root_mean_squared_error" in single[1]
    assert_same(together, single)


def test_what_the_model_was_compiled_with(blobs, gains, monkeypatch):
    monkeypatch.setattr(execution, "_gains", lambda: False)

    def make():
        model = deckeras.DEC(autoencoder()[0], 3)
        model.compile(steps_per_execution=30)
        return model

    fit(blobs[0], Epochs(), make)
    assert gains == [30, 14, 30, 15]


def test_rows_of_many_features_go_in_fewer_at_a_time(gains):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile("sgd", "mse")
    model.train_on_batch(np.zeros((2, 4)), np.zeros((2, 4)))
    for values, steps in (4, 20), (2**20, 8), (2**24, 1):
        batch = np.broadcast_to(np.float32(0), (1, values))
        assert execution.steps_together(model, (batch, batch), []) == steps


def test_a_model_that_is_compiled_anew_learns_by_its_new_optimizer(blobs, gains):
    model = deckeras.DEC(autoencoder()[0], 3)
    common = {"update_interval": 45, "tol": 0, "verbose": 0}
    model.fit(blobs[0], max_iterations=45, **common)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(blobs[0], max_iterations=45, **common)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_rows_on_the_device_train_as_those_of_the_host(dtype, blobs, gains, monkeypatch):
    x = (20 * blobs[0]).astype(dtype)
    host = fit(x, Epochs())
    monkeypatch.setattr(execution, "accelerated", lambda: True)
    assert isinstance(execution.near(x), execution.OnDevice)
    assert execution.near(x).rows.dtype == dtype
    assert_same(fit(x, Epochs()), host)


def test_what_does_not_fit_the_device_stays_on_the_host(blobs, monkeypatch):
    monkeypatch.setattr(execution, "accelerated", lambda: True)
    for dtype in "float64", "int64", ">f4":
        x = blobs[0].astype(dtype)
        assert execution.near(x) is x
    monkeypatch.setattr(execution, "_RESIDENT_BYTES", blobs[0].nbytes - 1)
    assert execution.near(blobs[0]) is blobs[0]
