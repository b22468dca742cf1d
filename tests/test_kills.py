"""Trainings that are killed or terminated at random and then resumed end with the weights of a whole one."""

import importlib.util
import os
import pathlib
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

pytestmark = pytest.mark.programs

SCRIPT = pathlib.Path(__file__).with_name("killed_trainings.py")
# Between two trainings, SIGTERM does what Python has it do.
CODES = {signal.SIGKILL: {-signal.SIGKILL}, signal.SIGTERM: {-signal.SIGTERM, interrupts.TERMINATED}}
KINDS = ("dec", "idec", "layer_by_layer", "augmented", "convolutional", "averaged", "estimator")
# How many times each kind is ended by each signal in the long test. PyTorch compiles nothing, and JAX takes longest.
ROUNDS = {"torch": 9, "tensorflow": 4, "jax": 2}


class Trainer:
    """The process of `killed_trainings.py`, from which each training is forked."""

    def __init__(self, backend):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,
            # More threads of PyTorch's than cores would wait for each other.
            env={**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)  # with the training that it has forked
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def begin(self, kind, directory):
        """Begin a training, and return its process."""
        self.process.stdin.write(f"{kind} {directory}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def train(self, kind, directory):
        """Train to the end, and return the seconds."""
        process = self.begin(kind, directory)
        started = time.monotonic()
        assert self.process.stdout.readline() == "done\n"
        seconds = time.monotonic() - started
        self.end(process, signal.SIGKILL)
        return seconds

    def end(self, process, number):
        """End a training by a signal, and return whether it was complete."""
        os.kill(process, number)
        lines = [self.process.stdout.readline()]
        if lines[0] == "done\n":
            lines.append(self.process.stdout.readline())
        assert int(lines[-1].removeprefix("ended ")) in CODES[number]
        return len(lines) > 1


def weights(directory):
    with np.load(directory / "weights.npz") as arrays:
        return [arrays[name] for name in arrays]


def end_and_resume(folder, endings, backend):
    """End trainings after a random time each, and resume each in another process.

    Args:
        folder: path, in which each training has a directory.
        endings: list of (kind, signal).
        backend: str.

    Returns:
        int, the number of trainings that were ended before they were complete.
    """
    random, n_cut = np.random.default_rng(), 0
    with Trainer(backend) as trainer:
        seconds = {kind: trainer.train(kind, folder / kind) for kind in dict(endings)}
        for position, (kind, number) in enumerate(endings):
            directory = folder / str(position)
            process = trainer.begin(kind, directory)
            time.sleep(random.uniform(0, seconds[kind]))
            n_cut += not trainer.end(process, number)
            trainer.train(kind, directory)
            for found, expected in zip(weights(directory), weights(folder / kind), strict=True):
                np.testing.assert_array_equal(found, expected)
            assert sorted(os.listdir(directory)) == sorted(os.listdir(folder / kind))
            print(f"{backend} {kind} {number.name} after {n_cut} of {position + 1}: the same weights", flush=True)
    return n_cut


def test_ended_at_random_moments_and_resumed(tmp_path):
    end_and_resume(tmp_path, [("dec", signal.SIGKILL), ("dec", signal.SIGTERM)], keras.config.backend())


@pytest.mark.long
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("backend", ROUNDS)
def test_ended_a_hundred_times_and_resumed(backend, number, tmp_path):
    """105 times by each signal, over all kinds and backends."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    endings = [(kind, number) for kind in KINDS] * ROUNDS[backend]
    n_cut = end_and_resume(tmp_path, endings, backend)
    print(f"{number.name} ended {len(endings)} trainings on {backend}, {n_cut} of them before the end; weights equal")
    assert n_cut > len(endings) / 3


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
    with interrupts.terminable(), interrupts.DeferredInterrupt():
        signal.raise_signal(signal.SIGTERM)
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
