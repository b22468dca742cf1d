"""Files can be moved between any two backends: models of every kind in every format, and unfinished trainings."""

import contextlib
import importlib.util
import itertools
import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = pytest.mark.programs

BACKENDS = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]
KINDS = ("dec", "idec", "layer", "convolutional", "estimator")

# Of all processes, which share one directory.
COMMON = """
import importlib.machinery, sys

backend, *others = sys.argv[1:]

# The others as if they were not installed:
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, *rest: None if name in others else find(name, *rest)

import keras, numpy as np
import deckeras
from deckeras import DEC, IDEC, ClusteringLayer, dense_autoencoder

random = np.random.default_rng(0)
x = (random.normal(size=(90, 8)) / 2 + 4 * np.eye(3, 8)[np.repeat(np.arange(3), 30)]).astype("float32")
rows = {"convolutional": 8 * np.abs(np.hstack(8 * [x])), "estimator": 1e3 + 50 * x}

def cluster(model, name=None, iterations=20):
    options = {"init": "kmeans", "update_interval": 5, "max_iterations": iterations, "tol": 0, "verbose": 0}
    model.fit(x, checkpoint_dir=name, **options)
    return model

def training(name, iterations):
    return cluster(DEC(dense_autoencoder(8, units=(16, 2))[0], 3), name, iterations)

def pretraining(name, interrupted_after=None):
    '''The rest is random: dropout and augmentation, with a seed that no int32 holds.'''
    stop = lambda epoch, logs: sys.exit() if epoch + 1 == interrupted_after else None
    return deckeras.pretrain_autoencoder(
        *dense_autoencoder(64, units=(16, 2)), rows["convolutional"], epochs=4, dropout=0.2, seed=2**32 - 1,
        augment=deckeras.image_augmentation((8, 8), seed=2**32 - 1), checkpoint_dir=name, verbose=0,
        callbacks=keras.callbacks.LambdaCallback(on_epoch_begin=stop),
    )
"""

WRITE = """
convolutional = DEC(deckeras.convolutional_autoencoder((8, 8), 2, filters=(4, 8), kernel_sizes=(5, 3))[0], 3)
convolutional.initialize_centroids(rows["convolutional"])
short = {"epochs": 1, "min_pretraining_iterations": 20, "max_iterations": 20}
recipe = deckeras.recipes.get("table", units=(16, 2), init="kmeans", **short)
layer = ClusteringLayer(3, clusters_initializer=keras.initializers.RandomNormal(stddev=1, seed=0))
models = {
    "dec": cluster(DEC(dense_autoencoder(8, units=(16, 2))[0], 3, alpha=2.0)),
    "idec": cluster(IDEC(*dense_autoencoder(8, units=(16, 2)), 3)),
    "layer": keras.Sequential([*dense_autoencoder(8, units=(16, 2))[0].layers, layer]),
    "convolutional": convolutional,
    "estimator": deckeras.DeepEmbeddedClustering(3, recipe=recipe, random_state=0).fit(rows["estimator"]).model_,
}
q = {}
for kind, model in models.items():
    q[kind] = model.predict(rows.get(kind, x), verbose=0)
    for extension in "keras", "h5":
        model.save(f"{backend}-{kind}.{extension}")
    model.save_weights(f"{backend}-{kind}.weights.h5")
q["dec trained on"] = cluster(models["dec"]).predict(x, verbose=0)
q["training"] = training(None, 20).predict(x, verbose=0)
np.savez(f"{backend}.npz", **q)
training(f"{backend}-training", 10)
try:
    pretraining(f"{backend}-pretraining", interrupted_after=2)
except SystemExit:
    pass
"""

READ = """
import os, shutil, time

# The others are writing at the same time. Each file is whole as soon as it has its name.
open(f"{backend}.written", "w").close()
while not all(os.path.exists(f"{other}.written") for other in others):
    time.sleep(0.1)
q = {}
for writer in others:
    for kind in KINDS:
        for extension in "keras", "h5", "weights.h5":
            name = f"{writer}-{kind}"
            model = keras.models.load_model(f"{name}.{'h5' if extension == 'h5' else 'keras'}")
            if extension == "weights.h5":
                model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
                model.load_weights(f"{name}.{extension}")
            q[f"{name}.{extension}"] = model.predict(rows.get(kind, x), verbose=0)
    model = keras.models.load_model(f"{writer}-dec.keras")
    q[f"{writer}-dec trained on"] = cluster(model).predict(x, verbose=0)
    for name in "training", "pretraining":
        shutil.copytree(f"{writer}-{name}", f"{writer}-{backend}-{name}")
    model = training(f"{writer}-{backend}-training", 20)
    q[f"{writer}-training"] = model.predict(x, verbose=0)
    q[f"{writer}-pretraining"] = pretraining(f"{writer}-{backend}-pretraining").history["loss"]
np.savez(f"{backend}-read.npz", **q)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each backend predicted with its own models, by kind, and with those of the others, by file."""
    directory = tmp_path_factory.mktemp("backends")

    script = f"{COMMON}\nKINDS = {KINDS}\n{WRITE}{READ}"
    with contextlib.ExitStack() as stack:
        processes = {}
        for backend in BACKENDS:
            log = stack.enter_context((directory / f"{backend}.log").open("w"))
            others = [other for other in BACKENDS if other != backend]
            # PyTorch's threads wait busily for each other where several processes share the cores.
            environment = {**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-c", script, backend, *others]
            processes[backend] = subprocess.Popen(command, cwd=directory, env=environment, stderr=log)
            stack.callback(processes[backend].wait)
            stack.callback(processes[backend].kill)
        deadline = time.monotonic() + 600
        while any(process.poll() is None for process in processes.values()):
            failed = [backend for backend, process in processes.items() if process.poll()]
            assert not failed, (directory / f"{failed[0]}.log").read_text()  # The others would wait for it.
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert not any(process.returncode for process in processes.values())

    def load(name):
        with np.load(directory / f"{name}.npz") as arrays:
            return dict(arrays)

    return {backend: (load(backend), load(f"{backend}-read")) for backend in BACKENDS}


pairs = pytest.mark.parametrize(("writer", "reader"), list(itertools.permutations(BACKENDS, 2)))


@pairs
@pytest.mark.parametrize("kind", KINDS)
def test_saved_model_gives_the_same_q(found, writer, reader, kind):
    expected, loaded = found[writer][0][kind], found[reader][1]
    assert expected.std(axis=0).min() > 0.01
    for extension in "keras", "h5", "weights.h5":
        np.testing.assert_allclose(loaded[f"{writer}-{kind}.{extension}"], expected, atol=1e-5)


@pairs
@pytest.mark.parametrize("source", ["dec trained on", "training"])
def test_training_goes_on_from_model_and_from_checkpoint(found, writer, reader, source):
    """Nothing in it is drawn by the backend, so that it ends where it would have ended, but for rounding."""
    np.testing.assert_allclose(found[reader][1][f"{writer}-{source}"], found[writer][0][source], atol=1e-4)


@pairs
def test_pretraining_with_dropout_goes_on(found, writer, reader):
    loss = found[reader][1][f"{writer}-pretraining"]
    assert len(loss) == 4
    assert loss[-1] < loss[0]
