"""The time that augmentation takes beside a training step, for batches of images as in the recipe `images` on MNIST.

    python benchmarks/augmenting.py
    KERAS_BACKEND=torch python benchmarks/augmenting.py

Prints the median milliseconds of a batch, of one step of the autoencoder and of its augmentation, in turn.
"""

import statistics
import time

import keras
import numpy as np
from results import machine

from deckeras import dense_autoencoder, image_augmentation
from deckeras._train import device
from deckeras.augmentation import Augmenter

BATCH, SIDE, STEPS, TURNS = 256, 28, 20, 7


def main():
    rows = np.random.default_rng(0).random((BATCH, SIDE**2), dtype="float32")
    augmenter = Augmenter(image_augmentation((SIDE, SIDE)), (SIDE**2,))
    encoder, decoder = dense_autoencoder(SIDE**2)
    inputs = keras.Input((SIDE**2,))
    model = keras.Model(inputs, decoder(encoder(inputs)))
    model.compile("adam", "mse")
    batch = (rows, rows)
    together = device.steps_together(model, batch, [])

    def step():
        for _ in range(0, STEPS, together):
            device.train_together(model, [batch] * together)

    def augment():
        for _ in range(STEPS):
            keras.ops.convert_to_numpy(augmenter(rows))

    device.train_together(model, [batch])  # The first step makes what the others need.
    parts = {"training step": step, "augmentation": augment}
    seconds = {name: [] for name in parts}
    for _ in range(TURNS + 1):
        for name, part in parts.items():
            start = time.perf_counter()
            part()
            seconds[name].append(time.perf_counter() - start)
    print(machine())
    for name, found in seconds.items():
        print(f"{name}: {1000 * statistics.median(found[1:]) / STEPS:.2f} ms")


if __name__ == "__main__":
    main()
