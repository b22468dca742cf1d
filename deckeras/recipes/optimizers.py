"""Optimizers of the recipes: functions from the number of iterations to a Keras optimizer."""

from __future__ import annotations

import keras


def sgd_at_one(iterations: int) -> keras.optimizers.Optimizer:
    """Return SGD with a learning rate of 1.0 and momentum 0.9."""
    return keras.optimizers.SGD(1.0, momentum=0.9)


def sgd_in_steps(iterations: int) -> keras.optimizers.Optimizer:
    """Return SGD at 0.1, divided by 10 every 20,000 iterations as in the paper, with momentum 0.9 as in its code."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=20_000, decay_rate=0.1, staircase=True)
    return keras.optimizers.SGD(schedule, momentum=0.9)


def adam_with_cosine(iterations: int) -> keras.optimizers.Optimizer:
    """Return Adam with a learning rate that rises to 0.002 in a twentieth of the iterations and falls by a cosine."""
    warmup = max(1, iterations // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=max(1, iterations - warmup), warmup_target=2e-3, warmup_steps=warmup
    )
    return keras.optimizers.Adam(schedule)
