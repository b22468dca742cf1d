"""Training over several processes, against one process on the same rows in the same order."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import deckeras
from deckeras import distribution
from deckeras._data import batching, row_views

pytest.importorskip("jax")

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples" / "distributed.py"
SIZES = 170, 130  # rows of each process
PRETRAINING = {"iterations": 12, "batch_size": 32, "seed": 1, "verbose": 0}
# From k-means, since devices add up in other orders, and layouts of neighborhoods make much of the last digits.
CLUSTERING = {
    "max_iterations": 24, "update_interval": 6, "tol": 0, "batch_size": 32, "seed": 2, "init": "kmeans", "verbose": 0
}  # fmt: skip

TRAIN = """
import json, sys
import keras, numpy as np
import deckeras
from deckeras import distribution

distribution.start()
number = distribution.process_index()
files = np.load("rows.npz")
x, y = files[f"x{number}"], files[f"y{number}"]

def autoencoder():
    encoder, decoder = deckeras.dense_autoencoder(8, units=(16, 2))
    for name, model in ("encoder", encoder), ("decoder", decoder):
        model.set_weights([files[f"{name}{place}"] for place in range(len(model.weights))])
    return encoder, decoder

found = {}
encoder, decoder = autoencoder()
history = deckeras.pretrain_autoencoder(encoder, decoder, x, **json.loads(sys.argv[1]))
found["pretraining"] = history.history["loss"]
for place, weight in enumerate(encoder.get_weights()):
    found[f"pretrained{place}"] = weight
model = deckeras.DEC(encoder, 3)
history = model.fit(x, y, checkpoint_dir="run", **json.loads(sys.argv[2]))
for name, values in history.history.items():
    found[name] = values
for place, weight in enumerate(model.get_weights()):
    found[f"dec{place}"] = weight
found["q"], found["z"] = model.predict(x, verbose=0), model.embed(x, verbose=0)

model = deckeras.IDEC(*autoencoder(), 3)
model.fit(x, **json.loads(sys.argv[2]))
found["idec"] = model.predict(x, verbose=0)

model = deckeras.DEC(autoencoder()[0], 3)  # in as large a batch as the devices take, each time by other numbers
augment = keras.layers.GaussianNoise(0.1)
model.fit(x, batch_size=33, max_iterations=3, seed=None, augment=augment, verbose=0)
deckeras.pretrain_autoencoder(*autoencoder(), x, iterations=2, dropout=0.5, seed=None, verbose=0)

class StopOne(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = number == 1

history = model.fit(x, callbacks=StopOne(), tol=0, update_interval=2, max_iterations=10, verbose=0)
found["stopped"] = len(history.epoch)
found["drawn"] = np.concatenate([weight.ravel() for weight in model.get_weights()])

gathered = distribution.gather(np.array(["a", "bcd"][: number + 1]))
found["strings"] = np.concatenate(gathered)
large = distribution.gather(np.full(300_000 + number, 0.1 + number))
found["large"] = [[len(part), part[-1]] for part in large]
try:
    model.fit(x, checkpoint_dir=f"run{number}" if number else "run", verbose=0)
except ValueError as error:
    found["unshared"] = str(error)
np.savez(f"found{number}.npz", **found)
"""

LOSE = """
import os, signal, sys
import keras, numpy as np
import deckeras

deckeras.distribution.start()
number = deckeras.distribution.process_index()
x = np.load("rows.npz")[f"x{number}"]

class Die(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3 and number == int(sys.argv[2]):
            if sys.argv[1] == "raise":
                raise ValueError("my own error")
            os.kill(os.getpid(), signal.SIGKILL)

model = deckeras.DEC(deckeras.dense_autoencoder(8, units=(16, 2))[0], 3)
settings = {"max_iterations": 60, "update_interval": 6, "tol": 0, "batch_size": 32, "checkpoint_every": 1}
model.fit(x, checkpoint_dir="lost", callbacks=Die(), verbose=0, **settings)
"""


@pytest.fixture
def run_together(tmp_path):
    """Run a script in so many processes together, and return them when they have ended."""

    def run(source, *arguments, n=2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        common = {
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(n),
        }
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", source, *arguments],
                cwd=tmp_path,
                env={**common, "KERAS_DISTRIBUTION_PROCESS_ID": str(number)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number in range(n)
        ]
        try:
            outputs = [process.communicate(timeout=300)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
        return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]

    return run


@pytest.fixture
def rows(blobs, tmp_path):
    """x, y and autoencoder of the test, in the files that the processes read."""
    order = np.random.default_rng(5).permutation(300)
    x, y = blobs[0][order], blobs[1][order]
    encoder, decoder = deckeras.dense_autoencoder(8, units=(16, 2))
    arrays = {f"encoder{place}": weight for place, weight in enumerate(encoder.get_weights())}
    arrays.update({f"decoder{place}": weight for place, weight in enumerate(decoder.get_weights())})
    for number, part in enumerate((slice(0, SIZES[0]), slice(SIZES[0], 300))):
        arrays.update({f"x{number}": x[part], f"y{number}": y[part]})
    np.savez(tmp_path / "rows.npz", **arrays)
    return x, y, encoder, decoder


@pytest.fixture
def shards_in_one_process(monkeypatch):
    """Let one process go through its rows as two do, each of which has a part of them."""
    shuffled = batching.shuffled_batches

    def batches(x, batch_size, seed, start=0):
        shards = [shuffled(range(size), batch_size // 2, [seed, number], start) for number, size in enumerate(SIZES)]
        for first, second in zip(*shards, strict=True):
            yield np.concatenate([first, SIZES[0] + second])

    monkeypatch.setattr(batching, "shuffled_batches", batches)


@pytest.mark.slow
def test_two_processes_train_as_one_does(rows, run_together, shards_in_one_process, tmp_path):
    x, y, encoder, decoder = rows
    ends = run_together(TRAIN, json.dumps(PRETRAINING), json.dumps(CLUSTERING))
    assert [code for code, _ in ends] == [0, 0], "\n".join(output[-2000:] for _, output in ends)
    found = [np.load(tmp_path / f"found{number}.npz") for number in range(2)]

    idec_encoder, idec_decoder = keras.models.clone_model(encoder), keras.models.clone_model(decoder)
    idec_encoder.set_weights(encoder.get_weights())
    idec_decoder.set_weights(decoder.get_weights())
    history = deckeras.pretrain_autoencoder(encoder, decoder, x, **PRETRAINING)
    pretrained = encoder.get_weights()
    model = deckeras.DEC(encoder, 3)
    clustering = model.fit(x, y, **CLUSTERING)
    idec = deckeras.IDEC(idec_encoder, idec_decoder, 3)
    idec.fit(x, **CLUSTERING)

    tolerance = {"rtol": 1e-3, "atol": 1e-4}
    for part in found:
        np.testing.assert_allclose(part["pretraining"], history.history["loss"], **tolerance)
        for name in "loss", "changed", "acc", "nmi", "ari":
            np.testing.assert_allclose(part[name], clustering.history[name], **tolerance)
        for place, weight in enumerate(pretrained):
            np.testing.assert_allclose(part[f"pretrained{place}"], weight, **tolerance)
        for place, weight in enumerate(model.get_weights()):
            np.testing.assert_allclose(part[f"dec{place}"], weight, **tolerance)
    assert len(clustering.history["changed"]) == 4
    for name, expected in (
        ("q", model.predict(x, verbose=0)),
        ("z", model.embed(x, verbose=0)),
        ("idec", idec.predict(x, verbose=0)),
    ):
        np.testing.assert_allclose(np.concatenate([part[name] for part in found]), expected, **tolerance)

    np.testing.assert_array_equal(*(part["drawn"] for part in found))
    assert [part["stopped"] for part in found] == [1, 1]
    for part in found:
        assert part["strings"].tolist() == ["a", "a", "bcd"]
        np.testing.assert_array_equal(part["large"], [[300_000, 0.1], [300_001, 1.1]])
        assert "Received: " in str(part["unshared"])
        assert "which only the processes [0] see" in str(part["unshared"])

    # What two processes began, one goes on with.
    alone = deckeras.DEC(deckeras.dense_autoencoder(8, units=(16, 2))[0], 3)
    longer = {**CLUSTERING, "max_iterations": 30}
    history = alone.fit(x, y, checkpoint_dir=tmp_path / "run", **longer)
    expected = model.fit(x, y, **{**CLUSTERING, "max_iterations": 6})
    assert len(history.history["loss"]) == 5
    np.testing.assert_allclose(history.history["loss"][:4], clustering.history["loss"], **tolerance)
    np.testing.assert_allclose(history.history["loss"][4], expected.history["loss"][0], rtol=0.1)  # of other batches


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "victim", "code"), [("kill", 1, -9), pytest.param("raise", 0, 1, marks=pytest.mark.long)]
)
def test_a_process_that_dies_stops_the_others_and_one_alone_goes_on(way, victim, code, rows, run_together, tmp_path):
    ends = run_together(LOSE, way, str(victim))
    assert ends[victim][0] == code
    other, output = ends[1 - victim]
    assert other not in (0, None)
    if victim == 1:  # without the first, JAX may be sooner to say so
        assert "RuntimeError: Another process of this training has ended or cannot be reached" in output
    model = deckeras.DEC(deckeras.dense_autoencoder(8, units=(16, 2))[0], 3)
    settings = {"max_iterations": 60, "update_interval": 6, "tol": 0, "batch_size": 32}
    history = model.fit(rows[0], checkpoint_dir=tmp_path / "lost", verbose=0, **settings)
    assert len(history.history["loss"]) == 10
    assert 0 < history.times[2] < history.times[-1]


@pytest.mark.long
def test_example_shares_the_rows_of_a_file(blobs, run_together, tmp_path):
    np.save(tmp_path / "rows.npy", blobs[0][:201])
    arguments = ["rows.npy", "-k", "3", "--output", "clusters", "--epochs", "1", "--max-iterations", "4"]
    ends = run_together(f"import runpy; runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')", *arguments)
    assert [code for code, _ in ends] == [0, 0], "\n".join(output[-2000:] for _, output in ends)
    assert "201 rows in clusters of " in ends[0][1]
    assert "rows in clusters" not in ends[1][1]
    model = keras.saving.load_model(tmp_path / "clusters" / "dec.keras")
    for number, part in enumerate((slice(0, 100), slice(100, 201))):
        labels = np.load(tmp_path / "clusters" / f"labels-{number}.npy")
        np.testing.assert_array_equal(labels, model.predict_clusters(blobs[0][part], verbose=0))


@pytest.mark.slow
def test_two_devices_of_one_process_train_as_one_does(blobs, run_python):
    source = textwrap.dedent("""
        import os
        os.environ["KERAS_BACKEND"] = "jax"
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
        import numpy as np
        import deckeras
        from deckeras import distribution

        x = np.random.default_rng(0).normal(size=(101, 8)) + 4 * np.eye(3, 8)[np.arange(101) % 3]
        found = []
        for devices in 1, 2:
            if devices == 2:
                distribution.start()
                assert distribution.local_batch_size(33) == 32
            encoder, decoder = deckeras.dense_autoencoder(8, units=(16, 2))
            deckeras.pretrain_autoencoder(encoder, decoder, x, iterations=20, batch_size=32, verbose=0)
            model = deckeras.DEC(encoder, 3)
            model.fit(x, max_iterations=20, update_interval=5, batch_size=32, init="kmeans", verbose=0)
            found.append(model.predict(x, verbose=0))
        print(np.abs(found[0] - found[1]).max(), distribution.process_count())
    """)
    difference, processes = run_python(source).split()
    assert float(difference) < 1e-4
    assert processes == "1"


def test_other_backends_cannot_be_distributed(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")
    with pytest.raises(RuntimeError, match="needs the JAX backend. Received: 'tensorflow'"):
        distribution.start("127.0.0.1:1", 2, 0)


def test_one_process_alone_gathers_from_itself():
    assert not distribution.active()
    assert (distribution.process_count(), distribution.process_index()) == (1, 0)
    np.testing.assert_array_equal(distribution.gather([1, 2]), [[1, 2]])
    assert distribution.total(3) == 3
    assert distribution.local_batch_size(33) == 33
    x = np.random.default_rng(0).normal(size=(30, 4))
    assert distribution.fingerprint(x) == row_views.fingerprint(x)


def test_fingerprint_is_that_of_the_parts_together():
    x = np.random.default_rng(0).normal(size=(30, 4))
    parts = [row_views.fingerprint(x[:11]), row_views.fingerprint(x[11:], 11)]
    for name in "checksum", "order":
        assert sum(part[name] for part in parts) % 2**64 == row_views.fingerprint(x)[name]
    swapped = x.copy()
    swapped[:2, 0] = x[1::-1, 0]
    assert row_views.fingerprint(swapped)["checksum"] != row_views.fingerprint(x)["checksum"]


def test_a_mirrored_strategy_is_refused(run_python):
    if keras.config.backend() != "tensorflow":
        pytest.skip("tf.distribute is TensorFlow's")
    output = run_python(
        textwrap.dedent("""
        import numpy as np
        import tensorflow as tf
        import deckeras

        device = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
        with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
            model = deckeras.DEC(deckeras.dense_autoencoder(4, units=(2,))[0], 2)
            try:
                model.fit(np.eye(8, 4), verbose=0)
            except ValueError as error:
                print(error)
    """)
    )
    assert "does not train under tf.distribute. Received: a model made under a MirroredStrategy" in output
