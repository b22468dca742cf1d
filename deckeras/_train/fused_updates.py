"""TensorFlow's fused kernels for updates that take Keras's optimizers some ten operations, each over all weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from deckeras._typing import Tensor


@contextlib.contextmanager
def fused(optimizer: Any) -> Iterator[None]:
    """Update each weight by one kernel within this block, to the same values except for rounding.

    Functions that are traced within the block keep these kernels. The block has no effect on other backends, for
    optimizers other than Adam, AdamW and SGD with momentum, and for `amsgrad`.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
    """
    kernel, update_one_by_one = _KERNELS.get(type(optimizer)), optimizer.update_step
    here = keras.config.backend() == "tensorflow" and hasattr(optimizer, "_get_variable_index")
    if not here or kernel is None or getattr(optimizer, "amsgrad", False) or not getattr(optimizer, "momentum", True):
        yield
        return

    def update_step(gradient, variable, learning_rate):
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices):  # from the rows of an embedding layer
            update_one_by_one(gradient, variable, learning_rate)
        else:
            gradient, learning_rate = (tf.cast(value, variable.dtype) for value in (gradient, learning_rate))
            kernel(optimizer, optimizer._get_variable_index(variable), gradient, variable, learning_rate)

    optimizer.update_step = update_step
    try:
        yield
    finally:
        del optimizer.update_step


def _adam(optimizer: Any, number: int, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
    import tensorflow as tf

    step = tf.cast(optimizer.iterations + 1, variable.dtype)
    first, second = (tf.cast(beta, variable.dtype) for beta in (optimizer.beta_1, optimizer.beta_2))
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[number].value.handle,
        v=optimizer._velocities[number].value.handle,
        beta1_power=first**step,
        beta2_power=second**step,
        lr=learning_rate,
        beta1=first,
        beta2=second,
        epsilon=tf.cast(optimizer.epsilon, variable.dtype),
        grad=gradient,
    )


def _momentum(optimizer: Any, number: int, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
    import tensorflow as tf

    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=optimizer.momentums[number].value.handle,
        lr=learning_rate,
        grad=gradient,
        momentum=tf.cast(optimizer.momentum, variable.dtype),
        use_nesterov=optimizer.nesterov,
    )


_KERNELS = {keras.optimizers.Adam: _adam, keras.optimizers.AdamW: _adam, keras.optimizers.SGD: _momentum}
