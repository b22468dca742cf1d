"""Publish the models of a finished run of `examples/run_mnist.py` in this folder, and print their row of the README.

    python weights/add.py results/digits

The optimizer's state, half of `dec.h5`, is left out: a published DEC is for use, and trains on from a fresh optimizer.
"""

import hashlib
import json
import logging
import pathlib
import shutil
import sys

import keras

import deckeras  # noqa: F401 - so that Keras can load a DEC
from deckeras.models.configs import rewrite_h5

FOLDER = pathlib.Path(__file__).parent


def add(results):
    summary = json.loads((results / "summary.json").read_text())
    encoder = FOLDER / f"{summary['dataset']}_encoder.h5"
    model = FOLDER / f"{summary['dataset']}_dec.h5"
    shutil.copyfile(results / "encoder.h5", encoder)
    keras.models.load_model(results / "dec.h5", compile=False).save(model, include_optimizer=False)
    for path in encoder, model:
        rewrite_h5(path)
    for path, method in (encoder, "ae+k-means"), (model, "dec"):
        scores = " | ".join(f"{summary['scores'][method][key]:.4f}" for key in ("acc", "nmi", "ari"))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"| `{path.name}` | {summary['seed']} | {scores} | `{digest}` |")


if __name__ == "__main__":
    logging.getLogger("absl").setLevel(logging.ERROR)  # Keras warns that .h5 is the older of its two formats
    add(pathlib.Path(sys.argv[1]))
