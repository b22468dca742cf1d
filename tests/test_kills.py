"""Trainings that are killed or terminated at random moments, and resumed, end with the weights of a whole one."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest

from deckeras import DEC, cli, dense_autoencoder
from deckeras._train import interrupts

# Each run prints a line when it begins to train, and ends at once if it is told to.
TRAINING = """
import sys
import keras, numpy as np
import deckeras

x = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")
print("ready", flush=True)
for line in sys.stdin:
    directory, = line.split()
    encoder, decoder = deckeras.dense_autoencoder(6, units=(8, 2))
    options = {"checkpoint_dir": directory, "verbose": 0}
    deckeras.pretrain_autoencoder(encoder, decoder, x, epochs=6, batch_size=50, **options)
    model = deckeras.DEC(encoder, 3)
    model.fit(x, init="kmeans", n_init=1, batch_size=50, update_interval=4, max_iterations=48, tol=0, **options)
    np.savez(directory + "/weights.npz", *model.get_weights())
    print("done", flush=True)
"""


@contextlib.contextmanager
def trainer():
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", TRAINING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def train(process, directory):
    process.stdin.write(f"{directory}\n")
    process.stdin.flush()


def weights(directory):
    with np.load(directory / "weights.npz") as arrays:
        return [arrays[name] for name in arrays]


def end_and_resume(tmp_path, signals):
    """Train in one process after the other, each of which is ended after a random time."""
    random = np.random.default_rng(len(signals))
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    with trainer() as process:
        started = time.monotonic()
        train(process, whole)
        assert process.stdout.readline() == "done\n"
        seconds = time.monotonic() - started
    for number in signals:
        with trainer() as process:
            train(process, ended)
            time.sleep(random.uniform(0, seconds))
            process.send_signal(number)
            assert process.wait(60) in CODES[number]
    with trainer() as process:
        train(process, ended)
        assert process.stdout.readline() == "done\n"
    for found, expected in zip(weights(ended), weights(whole), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert sorted(os.listdir(ended)) == ["checkpoint.h5", "pretraining.h5", "weights.npz"]


# Between two trainings, SIGTERM does what Python has it do.
CODES = {signal.SIGKILL: {-signal.SIGKILL}, signal.SIGTERM: {-signal.SIGTERM, interrupts.TERMINATED}}


def test_ended_at_random_moments_and_resumed(tmp_path):
    end_and_resume(tmp_path, [signal.SIGKILL, signal.SIGTERM])


@pytest.mark.long
@pytest.mark.parametrize("number", CODES)
def test_ended_a_hundred_times_and_resumed(number, tmp_path):
    end_and_resume(tmp_path, [number] * 100)


class SendTerm(keras.callbacks.Callback):
    """Terminates the process once, in the middle of an epoch, and counts the batches that ended after it."""

    def __init__(self, batch):
        super().__init__()
        self.left = batch

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def default_action():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("default_action")
@pytest.mark.filterwarnings("ignore:No row was assigned")
def test_sigterm_ends_a_training_and_says_how_to_resume(blobs, tmp_path, caplog):
    options = {"init": "kmeans", "update_interval": 5, "max_iterations": 20, "tol": 0, "verbose": 0}
    options["checkpoint_dir"] = tmp_path
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    with pytest.raises(SystemExit) as caught:
        model.fit(blobs[0], callbacks=[SendTerm(12)], checkpoint_every=1, **options)
    assert caught.value.code == 143
    assert "resumes from the checkpoint" in caplog.text
    assert os.listdir(tmp_path) == ["checkpoint.h5"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert len(DEC(dense_autoencoder(8, units=(4, 2))[0], 3).fit(blobs[0], **options).epoch) == 4


def test_a_handler_of_the_users_own_is_called_after_the_batch(default_action):
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append("own"))
    with interrupts.terminable(), interrupts.DeferredInterrupt() as hold:
        signal.raise_signal(signal.SIGTERM)
        assert hold.came
        assert not heard
    assert heard == ["own"]


def test_other_threads_are_not_terminable(default_action):
    found = []

    def run():
        with interrupts.terminable():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


@pytest.mark.usefixtures("default_action")
def test_the_command_ends_with_143_and_says_how_to_resume(tmp_path, capsys, monkeypatch):
    np.savetxt(tmp_path / "rows.csv", np.random.default_rng(0).normal(size=(40, 4)), delimiter=",")

    def terminate(*_, **__):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("deckeras.estimator.pretrain", terminate)
    code = cli.main(["fit", str(tmp_path / "rows.csv"), "-k", "2", "-q", "-o", str(tmp_path / "run")])
    assert code == 143
    assert "Terminated. To resume: deckeras fit" in capsys.readouterr().err
    assert not [name for name in os.listdir(tmp_path / "run") if name.startswith(".")]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
