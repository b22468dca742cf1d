"""TensorFlow's kernels, compared with the operations of Keras."""

import keras
import numpy as np
import pytest

from deckeras._train import fused_updates

pytestmark = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="they are TensorFlow's")

OPTIMIZERS = {
    "adam": (lambda: keras.optimizers.Adam(0.01), True),
    "adamw": (lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1), True),
    "clipped": (lambda: keras.optimizers.Adam(0.01, clipnorm=0.1), True),
    "amsgrad": (lambda: keras.optimizers.Adam(0.01, amsgrad=True), False),
    "momentum": (lambda: keras.optimizers.SGD(0.1, momentum=0.9), True),
    "nesterov": (lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), True),
    "sgd": (lambda: keras.optimizers.SGD(0.1), False),
    "adamax": (lambda: keras.optimizers.Adamax(0.01), False),
}


@pytest.fixture
def used(monkeypatch):
    """The weights that were updated by a kernel, by their numbers."""
    numbers = set()

    def recording(kernel):
        def record(optimizer, number, *arguments):
            numbers.add(number)
            kernel(optimizer, number, *arguments)

        return record

    recorded = {kind: recording(kernel) for kind, kernel in fused_updates._KERNELS.items()}
    monkeypatch.setattr(fused_updates, "_KERNELS", recorded)
    return numbers


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_those_of_keras(name, sparse, used):
    """All by a kernel, but for the rows of an `Embedding`."""
    random = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    rows = random.integers(9, size=(12, 16, 3)) if sparse else random.normal(size=(12, 16, 3)).astype("float32")
    embed = [keras.layers.Embedding(9, 4), keras.layers.Flatten()] if sparse else []
    model = keras.Sequential([keras.Input((3,)), *embed, keras.layers.Dense(8, "relu"), keras.layers.Dense(2)])
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    make, known = OPTIMIZERS[name]
    for one in (model, copy):
        one.compile(make(), "mse")
    for batch in rows:
        y = random.normal(size=(16, 2)).astype("float32")
        model.train_on_batch(batch, y)
        with fused_updates.fused(copy.optimizer):
            copy.train_on_batch(batch, y)
    assert len(used) == (4 if known else 0)
    variables = [one.variables + one.optimizer.variables for one in (copy, model)]
    for pair in zip(*variables, strict=True):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, pair), rtol=1e-4, atol=1e-6)


def test_the_optimizer_is_left_as_it_was():
    optimizer = keras.optimizers.Adam()

    def work():
        with fused_updates.fused(optimizer):
            assert "update_step" in vars(optimizer)
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        work()
    assert "update_step" not in vars(optimizer)
