"""The loop of a training: milliseconds of a step in `DEC.fit`, and in Keras's own `Model.fit` on the same batches.

    python benchmarks/loop.py
    python benchmarks/loop.py --steps 140 --turns 3

Both train the same model on the same batches of 256 rows and targets: deckeras by its loop, Keras by a `PyDataset`, one
step a call and 20 (`steps_per_execution`). The contestants take turns, and the first turn, which compiles, does not
count. It prints the median and the range over the turns.
"""

import argparse
import itertools
import time

import keras
import numpy as np

from deckeras import DEC, dense_autoencoder
from deckeras._train import loop

N, BATCH_SIZE = 20_000, 256
NETWORKS = {"16-64-64-10": (16, (64, 64, 10)), "784-500-500-2000-10": (784, (500, 500, 2000, 10))}


class Batches(keras.utils.PyDataset):
    """Batches of rows and targets, in an order that is drawn once."""

    def __init__(self, x, p, steps):
        super().__init__()
        self.x, self.p, self.steps = x, p, steps
        self.order = np.random.default_rng(1).permutation(len(x))

    @property
    def num_batches(self):
        return self.steps

    def __getitem__(self, index):
        start = index * BATCH_SIZE % (len(self.x) - BATCH_SIZE)
        numbers = self.order[start : start + BATCH_SIZE]
        return self.x[numbers], self.p[numbers]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="of a turn; default: 400")
    parser.add_argument("--turns", type=int, default=5, help="that count; default: 5")
    options = parser.parse_args(arguments)
    print(f"{keras.config.backend()}, milliseconds of a step")
    for name, (n_features, units) in NETWORKS.items():
        for contestant, times in measure(n_features, units, options).items():
            print(f"{name}, {contestant}: {np.median(times):.2f} ({min(times):.2f} to {max(times):.2f})", flush=True)


def measure(n_features, units, options):
    """Return a dict from the contestant to the milliseconds of a step in each turn."""
    random = np.random.default_rng(0)
    x = random.normal(size=(N, n_features)).astype("float32")
    p = random.dirichlet(np.ones(10), size=N).astype("float32")
    batches = Batches(x, p, options.steps)
    models = {"deckeras": model(n_features, units, 1)}
    models |= {f"Keras, {together} steps a call": model(n_features, units, together) for together in (1, 20)}
    callbacks = keras.callbacks.CallbackList([keras.callbacks.History()], model=models["deckeras"])
    times = {contestant: [] for contestant in models}
    for turn, (contestant, trained) in itertools.product(range(options.turns + 1), models.items()):
        started = time.perf_counter()
        if contestant == "deckeras":
            loop.train_batches(trained, (batches[index] for index in range(options.steps)), callbacks)
        else:
            keras.Model.fit(trained, batches, verbose=0, shuffle=False)
        if turn:
            times[contestant].append(1e3 * (time.perf_counter() - started) / options.steps)
    return times


def model(n_features, units, together):
    keras.utils.set_random_seed(0)
    made = DEC(dense_autoencoder(n_features, units)[0], 10)
    made.centroids = np.random.default_rng(2).normal(size=(10, units[-1]))
    made.compile(steps_per_execution=together)
    return made


if __name__ == "__main__":
    main()
