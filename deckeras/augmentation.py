"""Augmentation: random changes of the rows in a batch that do not change their cluster."""

import functools

import keras
import numpy as np

from deckeras import distribution
from deckeras._data import row_views, seeding
from deckeras._train import device, interrupts, specs
from deckeras._train.checkpoint import settings
from deckeras.autoencoders.builders import check_row_shape


def image_augmentation(image_shape, *, row_shape=None, shift=0.1, rotation=10.0, seed=0):
    """Build random shifts and rotations of images: an `augment` for `pretrain_autoencoder` and `DEC.fit`.

    Args:
        image_shape: (height, width) or (height, width, channels) of one image.
        row_shape: tuple, the shape of a row of x, default None: flat, (height * width * channels,).
        shift: float from 0 to 1, default 0.1. The largest shift, as a fraction of height and of width.
        rotation: float, default 10. The largest rotation, in degrees.
        seed: int, default 0. The same seed gives the same changes.

    Returns:
        `keras.Sequential` of Keras preprocessing layers, (n, *row_shape) -> (n, *row_shape). Pixels from beyond the
        edge are 0.

    Raises:
        ValueError: a row does not hold one image.

    Example:
        >>> import numpy as np
        >>> from deckeras import image_augmentation
        >>> augment = image_augmentation((28, 28))
        >>> tuple(augment(np.random.rand(5, 784), training=True).shape)
        (5, 784)

    Source: Guo, Zhu, Liu and Yin, "Deep Embedded Clustering with Data Augmentation", ACML 2018.
    """
    height, width, *channels = image_shape
    row_shape = check_row_shape(image_shape, row_shape)
    seeds = [
        seeding.layer_seed(s) for s in np.random.SeedSequence(distribution.agreed_seed(seed)).generate_state(2).tolist()
    ]
    # Images are changed in float32, also under mixed precision.
    layers, exact = keras.layers, {"fill_mode": "constant", "dtype": "float32"}
    model = keras.Sequential(
        [
            keras.Input(row_shape),
            layers.Reshape((height, width, *(channels or [1])), dtype="float32"),
            layers.RandomTranslation(shift, shift, seed=seeds[0], **exact),
            layers.RandomRotation(rotation / 360, seed=seeds[1], **exact),
            layers.Reshape(row_shape, dtype="float32"),
        ],
        name="image_augmentation",
    )
    if keras.config.backend() == "jax":
        # Keras denies this on all backends, and would not compile the layers.
        for layer in model.layers:
            layer.supports_jit = True
    return model


class Augmenter:
    """A function from batch to batch that applies `augment`, with the variables of its random state.

    Args:
        augment: Keras layer or model, which is called with `training=True`, or function of a batch of rows that
            returns a batch of the same shape. With None, the rows are unchanged.
        row_shape: tuple, the shape of a row.

    Raises:
        TypeError: `augment` is none of these.
    """

    def __init__(self, augment, row_shape):
        self.variables, self.settings, self.changes = [], None, augment is not None
        self.asked = None if augment is None or isinstance(augment, keras.Layer) else specs.function(augment)
        if augment is None:
            self._augment = None
        elif isinstance(augment, keras.Layer):
            self._augment = _compiled(augment, row_shape)
            self.variables = augment.variables
            self.settings = [_without_seed(settings(layer)) for layer in getattr(augment, "layers", [augment])]
        elif callable(augment):
            self._augment = augment
            self.settings = getattr(augment, "__qualname__", type(augment).__name__)
        else:
            raise TypeError(
                f"augment should be a Keras layer or a function of a batch of rows. Received: {type(augment).__name__}"
            )

    def __call__(self, rows):
        if not self.changes:
            return rows
        with interrupts.DeferredInterrupt():
            augmented = row_views.as_batch(self._augment(rows))
        if augmented.shape != rows.shape:
            raise ValueError(
                f"augment should keep the shape of a batch, {rows.shape}. Received: {augmented.shape}. "
                "Images in flat rows need their shape: see deckeras.image_augmentation."
            )
        return augmented


def _without_seed(layer):
    """Return the settings without the seed, which may be drawn anew. The variables hold the random state."""
    return {**layer, "config": {name: value for name, value in layer["config"].items() if name != "seed"}}


def _compiled(augment, row_shape):
    """Return the layer or model as a compiled function of batches. A plain call would not be compiled."""
    programs = []
    # In one program, XLA would recompute a pixel of one layer for each pixel of the next layer that depends on it. On
    # a CPU this costs more than passing the rows from program to program.
    apart = keras.config.backend() == "jax" and isinstance(augment, keras.Sequential) and not device.accelerated()
    for layer in augment.layers if apart else [augment]:
        model = keras.Sequential([keras.Input(row_shape), layer])
        if distribution.active():
            programs.append(functools.partial(distribution.augmented, model))
        else:
            programs.append(_InTraining(model).predict_on_batch)
        row_shape = model.output_shape[1:]
    return lambda rows: functools.reduce(lambda rows, program: program(rows), programs, rows)


class _InTraining(keras.Model):
    """A model that is in training mode even when it predicts."""

    def __init__(self, model):
        # The layers have their own dtypes.
        super().__init__(name="in_training", autocast=False)
        self.model = model

    def call(self, inputs):
        return self.model(inputs, training=True)
