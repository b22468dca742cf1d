"""Many trainings of different sizes in one process: the time and the memory of the last beside those of an early one.

    python benchmarks/many_fits.py
    python benchmarks/many_fits.py --times 50 --contestants deckeras keras

Each contestant has a process of its own. `keras` is similar work in plain Keras: an autoencoder, then the encoder with
a softmax that is trained to a fixed target. Both build, train and drop a new model each time.
"""

import argparse
import gc
import json
import logging
import subprocess
import sys
import time

import numpy as np

CONTESTANTS = ("deckeras", "keras")
WINDOW = 5  # fits, over which time is averaged


def rows(number):
    """Return rows of a size of their own, and the number of clusters."""
    random = np.random.default_rng(number)
    n, width, n_clusters = (int(random.integers(*bounds)) for bounds in ((200, 2000), (5, 100), (2, 10)))
    return random.normal(size=(n, width)).astype("float32"), n_clusters


def fit_deckeras(x, n_clusters):
    import deckeras

    encoder, decoder = deckeras.dense_autoencoder(x.shape[1], units=(32, 5))
    deckeras.pretrain_autoencoder(encoder, decoder, x, iterations=40, batch_size=64, verbose=0)
    model = deckeras.DEC(encoder, n_clusters)
    options = {"init": "kmeans", "n_init": 1, "update_interval": 20, "max_iterations": 40, "tol": 0, "verbose": 0}
    model.fit(x, batch_size=64, **options)
    model.predict(x, verbose=0)


def fit_keras(x, n_clusters):
    import keras

    encoder = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(32, "relu"), keras.layers.Dense(5)])
    decoder = keras.Sequential([keras.Input((5,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(x.shape[1])])
    autoencoder = keras.Sequential([encoder, decoder])
    autoencoder.compile("adam", "mse")
    chosen = np.arange(40 * 64) % len(x)  # as many batches as above
    autoencoder.fit(x[chosen], x[chosen], batch_size=64, verbose=0)
    model = keras.Sequential([encoder, keras.layers.Dense(n_clusters, "softmax")])
    model.compile("sgd", "kl_divergence")
    target = np.eye(n_clusters, dtype="float32")[np.arange(len(x)) % n_clusters]
    for _ in range(2):
        chosen = chosen[: 20 * 64]
        model.fit(x[chosen], target[chosen], batch_size=64, verbose=0)
        model.predict(x, verbose=0)


def resident():
    """Return the memory of the process in MiB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def measure(contestant, times):
    """Fit so many times, and return the seconds of each, the memory after each, and the warnings of TensorFlow."""
    warnings = []
    handler = logging.Handler()
    handler.emit = lambda record: warnings.append(record.getMessage())
    logging.getLogger("tensorflow").addHandler(handler)
    fit = {"deckeras": fit_deckeras, "keras": fit_keras}[contestant]
    seconds, memory = [], []
    for number in range(times):
        x, n_clusters = rows(number)
        started = time.perf_counter()
        fit(x, n_clusters)
        seconds.append(time.perf_counter() - started)
        gc.collect()
        memory.append(resident())
    return {"seconds": seconds, "memory": memory, "warnings": len(warnings)}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="fits; default: 50")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--measure", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(options.measure, options.times)))
        return
    last = options.times
    print(f"| | fits 2 to 6 (s) | the last {WINDOW} (s) | after fit 5 (MiB) | after fit {last} (MiB) | warnings |")
    print("|---|---|---|---|---|---|")
    for contestant in options.contestants:
        command = [sys.executable, __file__, "--measure", contestant, "--times", str(last)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        first, end = np.mean(found["seconds"][1 : WINDOW + 1]), np.mean(found["seconds"][-WINDOW:])
        memory = found["memory"]
        print(f"| {contestant} | {first:.2f} | {end:.2f} | {memory[4]:.0f} | {memory[-1]:.0f} | {found['warnings']} |")


if __name__ == "__main__":
    main()
