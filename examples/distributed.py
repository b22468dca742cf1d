"""Cluster the rows of an .npy file on all devices of one machine, or in several processes that each take a part.

    KERAS_BACKEND=jax python examples/distributed.py rows.npy -k 10 --output clusters

uses the devices of this machine. docs/howto/distributed.md describes how to start several processes. Each process
writes the clusters of its rows, `labels-0.npy` and so on, and the first also writes the model. After an interruption,
the same command resumes the training, even with another number of processes.
"""

import argparse
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

import deckeras
from deckeras import distribution


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", help=".npy file of (n_rows, n_features), scaled so that the values are about 1")
    parser.add_argument("-k", "--n-clusters", type=int, required=True)
    parser.add_argument("--output", required=True, help="directory, which all processes share")
    parser.add_argument("--epochs", type=int, help="passes over the rows in pretraining; default: the recipe's")
    parser.add_argument("--max-iterations", type=int, help="batches of clustering at most; default: the recipe's")
    options = parser.parse_args(arguments)

    distribution.start()
    output = pathlib.Path(options.output)
    first = distribution.process_index() == 0
    x = np.load(options.rows, mmap_mode="r")
    x = x[distribution.own_rows(len(x))]

    encoder, decoder = deckeras.dense_autoencoder(x.shape[1])
    deckeras.pretrain_autoencoder(
        encoder, decoder, x, epochs=options.epochs, checkpoint_dir=output, verbose=2 if first else 0
    )
    model = deckeras.DEC(encoder, options.n_clusters)
    model.fit(x, max_iterations=options.max_iterations, checkpoint_dir=output, verbose=2 if first else 0)

    labels = model.predict_clusters(x, verbose=0)
    np.save(output / f"labels-{distribution.process_index()}.npy", labels)
    sizes = distribution.total(np.bincount(labels, minlength=options.n_clusters))
    if first:
        model.save(output / "dec.keras")
        print(f"{sizes.sum()} rows in clusters of {', '.join(map(str, sizes))}; written to {output}")


if __name__ == "__main__":
    main()
