"""Many trainings in one process cause no warnings from TensorFlow, and a deleted model leaves nothing behind."""

import gc
import logging
import weakref

import numpy as np
import pytest

from deckeras import DEC, dense_autoencoder, pretrain_autoencoder


def fit(number):
    """Train a model of a size of its own, and return a weak reference to it."""
    random = np.random.default_rng(number)
    n, width, n_clusters = (int(random.integers(*bounds)) for bounds in ((60, 200), (3, 12), (2, 6)))
    x = random.normal(size=(n, width)).astype("float32")
    encoder, decoder = dense_autoencoder(width, units=(8, 2), seed=number)
    pretrain_autoencoder(encoder, decoder, x, iterations=6, verbose=0)
    model = DEC(encoder, n_clusters)
    options = {"init": "kmeans", "n_init": 1, "update_interval": 5, "max_iterations": 10, "tol": 0, "verbose": 0}
    model.fit(x, **options)
    model.predict(x, verbose=0)
    return weakref.ref(model)


def fit_many(times):
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger("tensorflow").addHandler(handler)
    try:
        models = [fit(number) for number in range(times)]
    finally:
        logging.getLogger("tensorflow").removeHandler(handler)
    gc.collect()
    assert not [record.getMessage() for record in records]
    assert not [model for model in models if model() is not None]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
def test_several_fits_of_different_sizes():
    fit_many(6)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
def test_fifty_fits_of_different_sizes():
    fit_many(50)
