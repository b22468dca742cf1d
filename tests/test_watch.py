"""A computation that hangs is reported, and one that is only slow is not."""

import re
import threading
import time

import keras
import pytest

from deckeras import DEC, dense_autoencoder
from deckeras._train import watch


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(watch, "_PATIENCE", 0.2)


def test_a_silence_is_reported_and_again_when_it_has_doubled(caplog):
    with watch.watched("Call again."):
        watch.beat()
        time.sleep(1.0)
    first, second, *_ = [record.getMessage() for record in caplog.records]
    assert re.match(r"No batch has ended for 0 s\. The last one ended at \d\d:\d\d:\d\d, after \S+ s\. ", first)
    assert first.endswith("If the computation hangs, end the process. Call again.")
    assert second.startswith("No batch has ended for ")
    assert len(caplog.records) <= 3


def test_a_first_batch_that_never_ends_is_reported(caplog):
    with watch.watched("Call again."):
        time.sleep(0.3)
    assert "None has ended since the training began" in caplog.text


def test_regular_batches_are_not_reported(caplog):
    with watch.watched("Call again."):
        for _ in range(8):
            time.sleep(0.05)
            watch.beat()
    assert not caplog.records


def test_a_training_within_another_counts_for_both(caplog):
    with watch.watched("Outer."), watch.watched("Inner."):
        for _ in range(8):
            time.sleep(0.05)
            watch.beat()
    assert not caplog.records


def test_long_batches_are_waited_for(caplog, monkeypatch):
    monkeypatch.setattr(watch, "_PATIENCE", 0.01)
    with watch.watched("Call again."):
        found = watch._active.get()
        found.longest = 100.0
        watch.beat()
        time.sleep(0.05)
        caplog.clear()
        time.sleep(0.1)
    assert not caplog.records


def test_the_thread_ends_with_the_block():
    with watch.watched("Call again."):
        pass
    time.sleep(0.05)
    assert "deckeras-watch" not in [thread.name for thread in threading.enumerate()]
    watch.beat()  # which nobody hears


class Hang(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(0.5)


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
def test_a_training_says_how_to_resume(blobs, tmp_path, caplog, monkeypatch):
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    options = {"init": "kmeans", "max_iterations": 1, "update_interval": 1, "verbose": 0}
    monkeypatch.setattr(watch, "_FACTOR", 0)
    model.fit(blobs[0], callbacks=[Hang()], checkpoint_dir=tmp_path, **options)
    assert f"The same call resumes from the checkpoint '{tmp_path / 'checkpoint.h5'}'" in caplog.text
