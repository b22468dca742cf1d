"""An interrupt by the user takes effect after the batch."""

import signal
import threading

import keras
import numpy as np
import pytest

import deckeras
from deckeras._train import interrupts
from deckeras.augmentation import Augmenter


class Interrupted(keras.layers.Layer):
    """Interrupts each time that it is called in training, or else in prediction, and counts the calls that ended."""

    armed = None
    ended = 0

    def call(self, x, training=None):
        if self.armed is bool(training):
            signal.raise_signal(signal.SIGINT)
            self.ended += 1
        return 1.0 * x


@pytest.fixture(autouse=True)
def _heard():
    """As where nobody has told Python to ignore interrupts, as shells do in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def layer():
    return Interrupted()


@pytest.fixture
def model(layer):
    encoder = keras.Sequential([keras.Input((8,)), layer, keras.layers.Dense(2)])
    return deckeras.DEC(encoder, 3)


def interrupted(layer, training, work):
    layer.armed, before = training, signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(signal.SIGINT) is before
    layer.armed = None
    assert layer.ended in (1, 2)  # the one batch that it came in, which JAX may trace twice


def test_training_ends_after_the_batch(layer, model, blobs):
    x = blobs[0]
    model.initialize_centroids(x)
    model.predict(x, verbose=0)
    weights = model.get_weights()
    interrupted(layer, True, lambda: model.fit(x, max_iterations=9, verbose=0))
    assert any((one != other).any() for one, other in zip(weights, model.get_weights(), strict=True))
    model.fit(x, max_iterations=9, verbose=0)


@pytest.mark.parametrize("name", ["predict", "embed"])
@pytest.mark.parametrize("kind", ["dec", "idec"])
@pytest.mark.parametrize("batch_size", [32, None])  # None: all rows in one batch, which does not need Keras's loop
def test_prediction_ends_after_the_batch(layer, model, blobs, name, kind, batch_size):
    if kind == "idec":
        decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8)])
        model = deckeras.IDEC(model.encoder, decoder, 3)
    predict = getattr(model, name)
    interrupted(layer, False, lambda: predict(blobs[0], batch_size=batch_size, verbose=0))
    assert len(predict(blobs[0], verbose=0)) == len(blobs[0])


@pytest.mark.parametrize("options", [{}, {"callbacks": [keras.callbacks.Callback()]}])  # these need Keras's loop
def test_a_handler_that_goes_on_gets_the_whole_prediction(layer, model, blobs, options):
    """One that only notes the signal, as of a program that wants to finish, must not get a part of the rows."""
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(layer.ended))
    model.initialize_centroids(blobs[0])
    expected = model.predict(blobs[0], verbose=0)
    layer.armed = False
    found = model.predict(blobs[0], batch_size=len(blobs[0]) // 4, verbose=0, **options)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert heard


def test_augmentation_ends_its_batch(layer, blobs):
    augment = Augmenter(layer, (8,))
    interrupted(layer, True, lambda: augment(blobs[0]))
    np.testing.assert_array_equal(augment(blobs[0]), blobs[0].astype("float32"))


def test_blocks_within_each_other_hold_together():
    passed = []

    def work():
        with interrupts.DeferredInterrupt():
            with interrupts.DeferredInterrupt() as inner:
                signal.raise_signal(signal.SIGINT)
                inner.pass_on()  # to the outer block, which holds it
                passed.append("inner")
            passed.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert passed == ["inner", "outer"]


def test_interrupts_are_passed_on_within_a_block():
    parts = []

    def work():
        with interrupts.DeferredInterrupt() as hold:
            for part in range(3):
                hold.pass_on()
                signal.raise_signal(signal.SIGINT)
                parts.append(part)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert parts == [0]


def test_an_error_comes_with_the_interrupt():
    def work():
        with interrupts.DeferredInterrupt():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("of the block")

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert str(caught.value.__context__) == "of the block"


@pytest.mark.parametrize("together", [list, keras.callbacks.CallbackList])
def test_callbacks_of_predict_are_kept(model, blobs, together):
    seen = []
    callback = keras.callbacks.Callback()
    callback.on_predict_batch_end = lambda batch, logs=None: seen.append(batch)
    q = model.predict(blobs[0], batch_size=len(blobs[0]) // 2, verbose=0, callbacks=together([callback]))
    assert seen == [0, 1]
    assert len(q) == len(blobs[0])


def test_an_error_while_predicting_leaves_the_weights(model, blobs):
    """On JAX, Keras's own `predict` would lose them."""

    class Rows(keras.utils.PyDataset):
        failing = False
        num_batches = 3

        def __getitem__(self, number):
            if self.failing and number == 1:
                raise OSError("the disk is gone")
            return blobs[0][100 * number : 100 * (number + 1)]

    rows, weights = Rows(), model.get_weights()
    for failing in (False, True):
        rows.failing = failing
        if failing:
            with pytest.raises(Exception, match="the disk is gone"):
                model.predict(rows, verbose=0)
        else:
            model.predict(rows, verbose=0)
    for found, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    model.set_weights([weight + 1 for weight in weights])
    callback = keras.callbacks.Callback()
    callback.set_model(model)
    assert callback.model is model  # at which Keras on JAX puts back what a pass left
    for found, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected + 1)


def test_a_callback_can_end_a_prediction(model, blobs):
    callback = keras.callbacks.Callback()
    callback.on_predict_batch_end = lambda batch, logs=None: setattr(model, "stop_predicting", True)
    assert len(model.predict(blobs[0], batch_size=100, verbose=0, callbacks=[callback])) == 100


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_what_is_no_function_stays(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with interrupts.DeferredInterrupt():
            assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_hold_nothing():
    """Python lets only the main thread set what happens upon a signal."""
    errors = []

    def run():
        try:
            with interrupts.DeferredInterrupt():
                pass
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not errors
