"""Trainings of each kind, each in a process of its own, for `test_kills.py`, which ends them.

For each line of a kind and a directory that it reads, it forks a process that trains in the directory, writes the
weights there, prints "done" and waits for its end. It prints the number of the process first, and "ended" with the exit
code last. Imports take longer than the trainings, so this process makes them for all.
"""

import importlib
import math
import os
import signal
import sys

import keras
import numpy as np

import deckeras
from deckeras._train import loop

loop.MAX_SAVING = math.inf  # a checkpoint after every epoch, however short it is
X = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")
IMAGES = np.random.default_rng(1).uniform(size=(120, 64)).astype("float32")
PRETRAINING = {"epochs": 6, "batch_size": 50}
CLUSTERING = {"init": "kmeans", "n_init": 1, "batch_size": 50, "update_interval": 4, "max_iterations": 48, "tol": 0}


def cluster(model, x, options, **more):
    model.fit(x, **CLUSTERING, **more, **options)
    return model


def dec(options):
    encoder, decoder = deckeras.dense_autoencoder(6, units=(8, 2))
    deckeras.pretrain_autoencoder(encoder, decoder, X, **PRETRAINING, **options)
    return cluster(deckeras.DEC(encoder, 3), X, options)


def idec(options):
    encoder, decoder = deckeras.dense_autoencoder(6, units=(8, 2))
    deckeras.pretrain_autoencoder(encoder, decoder, X, **PRETRAINING, **options)
    return cluster(deckeras.IDEC(encoder, decoder, 3), X, options)


def layer_by_layer(options):
    encoder, decoder = deckeras.dense_autoencoder(6, units=(8, 2))
    iterations = {"iterations": 24, "finetune_iterations": 24, "batch_size": 50}
    deckeras.pretrain_layerwise(encoder, decoder, X, **iterations, **options)
    return cluster(deckeras.DEC(encoder, 3), X, options)


def augmented(options):
    encoder, decoder = deckeras.dense_autoencoder(64, units=(8, 2))
    augment = deckeras.image_augmentation((8, 8))
    deckeras.pretrain_autoencoder(encoder, decoder, IMAGES, augment=augment, **PRETRAINING, **options)
    return cluster(deckeras.DEC(encoder, 3), IMAGES, options, augment=augment)


def convolutional(options):
    encoder, decoder = deckeras.convolutional_autoencoder((8, 8), 2, filters=(4, 4), kernel_sizes=(3, 3))
    deckeras.pretrain_autoencoder(encoder, decoder, IMAGES, **PRETRAINING, **options)
    return cluster(deckeras.DEC(encoder, 3), IMAGES, options)


def averaged(options):
    model = deckeras.DEC(deckeras.dense_autoencoder(6, units=(8, 2))[0], 3)
    model.compile(keras.optimizers.Adam(0.01, use_ema=True))
    return cluster(model, X, options)


def estimator(options):
    recipe = deckeras.recipes.get("table", init="kmeans", units=(8, 2))  # small, with a start that takes no time
    more = {"recipe": recipe, "epochs": 6, "max_iter": 48, "tol": 0, "random_state": 0}
    return deckeras.DeepEmbeddedClustering(3, **more, **options).fit(X).model_


KINDS = {each.__name__: each for each in (dec, idec, layer_by_layer, augmented, convolutional, averaged, estimator)}


def train(kind, directory):
    signal.alarm(1800)  # It ends by itself if nobody is left to end it.
    model = KINDS[kind]({"checkpoint_dir": directory, "verbose": 0})
    np.savez(f"{directory}/weights.npz", *model.get_weights())
    print("done", flush=True)
    signal.pause()


def main():
    # What the trainings import when they need it.
    for name in "deckeras.estimator", "deckeras.initialization.start", "sklearn.cluster", "sklearn.mixture":
        importlib.import_module(name)
    for line in sys.stdin:
        process = os.fork()
        if not process:
            return train(*line.split())
        print(process, flush=True)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    return None


if __name__ == "__main__":
    main()
