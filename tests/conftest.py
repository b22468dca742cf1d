import atexit
import math
import os
import shutil
import tempfile

# Before TensorFlow is imported anywhere: its start-up messages say nothing about a test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a process for each core. More threads would wait for each other.
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # Many tests train the same small models. JAX compiles them once for all processes of a run, which inherit these.
    cache = tempfile.mkdtemp(prefix="deckeras-jax-")
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

import deckeras
import deckeras._train.loop
import deckeras.initialization.manifold


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what starts programs, before any are selected by their marks."""
    for item in items:
        apart = item.get_closest_marker("long") or item.get_closest_marker("slow")
        if {"run_python", "site"} & set(item.fixturenames) and not apart:
            item.add_marker("programs")


def pytest_make_parametrize_id(val):
    """Name no test by bytes: compressed ones hold the time, and parallel processes have to collect the same names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def blobs():
    """(x, y): 300 rows of 8 features, three well separated groups, in the order of the groups."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 100)
    x = random.normal(size=(300, 8)) / 2 + 4 * np.eye(3, 8)[y]
    return x.astype("float32"), y


@pytest.fixture
def encoder():
    """An untrained encoder of 8 features into 2, the same at every call."""
    return deckeras.dense_autoencoder(8, units=(16, 2))[0]


@pytest.fixture
def run_python(tmp_path):
    """Run Python source in a process of its own, in an empty directory, and return what it printed."""

    def run(source, check=True):
        result = subprocess.run(
            [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
        )
        assert not check or result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture(scope="session", autouse=True)
def short_layouts():
    """Lay out neighborhoods in few steps, where a test does not look at them; yield the usual number."""
    with pytest.MonkeyPatch.context() as patch:
        usual = deckeras.initialization.manifold._MANY_EPOCHS
        patch.setattr(deckeras.initialization.manifold, "_MANY_EPOCHS", usual // 50)
        yield usual


@pytest.fixture(autouse=True)
def frequent_checkpoints(monkeypatch):
    """Write a checkpoint after every epoch of pretraining, however short it is."""
    monkeypatch.setattr(deckeras._train.loop, "MAX_SAVING", math.inf)


@pytest.fixture
def whole_layouts(short_layouts, monkeypatch):
    """Lay out neighborhoods in the usual number of steps."""
    monkeypatch.setattr(deckeras.initialization.manifold, "_MANY_EPOCHS", short_layouts)


class _Interrupt(keras.callbacks.Callback):
    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture
def interrupt_after():
    """Make a callback that stops a training like Ctrl-C, once, after so many batches."""
    return _Interrupt


@pytest.fixture
def batches_of(monkeypatch):
    """Return a function from a model to the list of the batches that it is trained on from then on."""
    from deckeras._train import device

    monkeypatch.setattr(device, "steps_together", lambda *_: 1)

    def watch(model):
        batches, train_on_batch = [], model.train_on_batch
        model.train_on_batch = lambda *batch, **options: batches.append(batch) or train_on_batch(*batch, **options)
        return batches

    return watch


@pytest.fixture(scope="session")
def write_keras_2():
    """Write weights as Keras 2 did: byte strings for names, groups such as `encoder_0/encoder_0/kernel:0`."""

    def write(path, layers, root="/", text=np.bytes_):
        with h5py.File(path, "w") as file:
            group = file.require_group(root)
            group.attrs["layer_names"] = [text(name) for name in layers]
            group.attrs["backend"] = b"tensorflow"
            group.attrs["keras_version"] = b"2.0.9"
            for layer, weights in layers.items():
                subgroup = group.create_group(layer)
                subgroup.attrs["weight_names"] = [text(f"{layer}/{name}") for name in weights]
                for name, value in weights.items():
                    subgroup[f"{layer}/{name}"] = value
        return path

    return write


@pytest.fixture
def users_directory(tmp_path, monkeypatch, write_keras_2):
    """The working directory of one who runs the examples of docstrings and README: it has the files they read."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.save("rows.npy", random.normal(size=(90, 8)) / 2 + 4 * np.eye(3, 8)[np.repeat(np.arange(3), 30)])
    layers = {
        layer.name: dict(zip(["kernel:0", "bias:0"], layer.get_weights(), strict=True))
        for model in deckeras.dense_autoencoder(784)
        for layer in model.layers
    }
    write_keras_2("ae_weights.h5", layers)
    write_keras_2("DEC_model_final.h5", {**layers, "clustering": {"clusters:0": random.normal(size=(10, 10))}})
    return tmp_path


@pytest.fixture
def eagerly():
    """Without compiling each of the many small models, which takes as long as some fifty steps."""
    if keras.config.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def compiled(eagerly):
    """With compiled steps, in a module that runs eagerly: a step takes less, and this test takes hundreds."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(False)


@pytest.fixture(autouse=True)
def _clean_keras():
    yield
    keras.config.set_dtype_policy("float32")
