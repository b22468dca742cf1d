"""Recipes: named sets of hyper-parameters, from the autoencoder's layers to the last update of the target.

    paper       the protocol of Xie et al. (2016), section 4.3
    dec-keras   the hyper-parameters of DEC-keras
    table       any table of numbers: the default
    series      series of several channels over time: a table, with each channel scaled as a whole
    features    features of pictures or texts by a pretrained network
    images      images that keep their meaning under small shifts and rotations

`deckeras.pretrain`, `DEC.fit` and `examples/run_mnist.py` take them by name. Arguments override the values of the
recipe. `get` returns a recipe with other values.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np

from deckeras import distribution
from deckeras._data import checks, row_views, values
from deckeras._train.checkpoint import settings
from deckeras._typing import Init, Initializer, Loss, RowArray, Shape
from deckeras.augmentation import background, image_augmentation
from deckeras.autoencoders.builders import check_sizes, convolutional_autoencoder, dense_autoencoder
from deckeras.autoencoders.embedding import least_squares
from deckeras.autoencoders.series import series_autoencoder

INITS = ("kmeans", "ward", "mixture", "manifold")
# As accurate as the paper's 2000 in the third layer on 14 real sets (`benchmarks/variants.py`), and faster.
_NARROW = (500, 500, 500, 10)


def sgd_at_one(iterations: int) -> keras.optimizers.Optimizer:
    """Return SGD at 1.0 with momentum 0.9."""
    return keras.optimizers.SGD(1.0, momentum=0.9)


def sgd_in_steps(iterations: int) -> keras.optimizers.Optimizer:
    """Return SGD at 0.1, divided by 10 every 20,000 iterations as in the paper, with the momentum 0.9 of its code."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=20_000, decay_rate=0.1, staircase=True)
    return keras.optimizers.SGD(schedule, momentum=0.9)


def adam_with_cosine(iterations: int) -> keras.optimizers.Optimizer:
    """Return Adam with a learning rate that rises to 0.002 in a twentieth of the iterations and falls by a cosine."""
    warmup = max(1, iterations // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=max(1, iterations - warmup), warmup_target=2e-3, warmup_steps=warmup
    )
    return keras.optimizers.Adam(schedule)


def default_update_interval(n: int, batch_size: int = 256) -> int:
    """Return the batches between two updates of the target: as many as cover all rows once, but at least 100.

    An update is a forward pass over all rows, a third of the arithmetic of training on all rows. With one update each
    time all rows were seen, updates are a quarter of the arithmetic for any n. On small data this would be so few
    batches that hardly a row could change cluster, and the training would seem to have converged. The minimum of 100
    prevents this.
    """
    return max(100, math.ceil(n / batch_size))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A set of hyper-parameters. It is immutable: `get` and `dataclasses.replace` return another.

    Attributes:
        name: str.
        unit_scale: bool. True if `prepare` should multiply x by one number, so that the mean of ||x_i||^2 / n_features
            is 1.
        units: tuple of ints. The widths of a dense encoder's layers. The last is that of the embedding.
        convolutional: bool. True for a convolutional encoder of images, whose embedding is as wide as the last of
            `units`.
        kernel_initializer: Keras initializer or its name.
        layerwise: bool. True if pretraining is greedy, layer by layer, before all layers are trained together.
        dropout: float. The fraction of input values set to zero in pretraining, or in its layer-wise part if it has
            one.
        layer_iterations: int. Batches for each pair of layers in layer-wise pretraining.
        epochs: int. Epochs of the pretraining of all layers together.
        least_iterations: int. The smallest number of batches of this pretraining, because few rows need as many batches
            as many rows.
        pretraining_batch_size: int. The largest number of rows in a batch of pretraining.
        least_batches: int. The smallest number of batches in an epoch. Few rows are split into smaller batches, because
            they need more steps.
        least_batch_size: int. The smallest size of these batches.
        pretraining_loss: Keras loss or its name.
        pretraining_optimizer: function from the number of iterations to a Keras optimizer.
        shift, rotation: floats. The largest changes by `augmentation`, as a fraction of the side and in degrees. If
            both are 0, there is no augmentation.
        least_side: int. The smallest side, in pixels, of images that are augmented in clustering. Smaller images are
            augmented only in pretraining, which profits at any size. In clustering, a shift by a part of a pixel would
            blur the differences between digits of 8 by 8 pixels.
        image_shape: tuple, (height, width) or (height, width, channels) of the image in a flat row. None if rows are
            not images, or if they have the shape of an image.
        series: bool. True if rows are series. `convolutional` then means a Conv1D encoder over time.
        series_shape: tuple, (time, channels) of the series in a flat row. None if rows have that shape.
        embedding_scale: float or None. The mean standard deviation to which `DEC.fit` scales the embedding's features
            before clustering. The encoder has to end in a linear layer.
        init, n_init: the first clusterer and its restarts, as for `DEC.fit`.
        neighbors: "both" or "embedding". The start "manifold" finds neighbors in the embedding and among the rows, or
            only in the embedding.
        lead: int. The largest number of updates for which the assignments of the first clusterer remain the target.
            They are replaced as soon as the network agrees with 99 % of them. A clusterer that returns only centroids
            has no assignments.
        batch_size, update_interval, tol: as for `DEC.fit`.
        max_iterations: int. As for `DEC.fit`.
        updates: int or None. The largest number of updates of the target. Clustering ends with it, if not before.
        learning_rate: float. The learning rate of SGD with momentum 0.9 in the clustering.
        decay: float from 0 to 1. The fraction of the learning rate that remains at the last iteration, along a cosine.
            With 1 the rate is constant, and a few augmented rows may never stop changing cluster.
    """

    name: str
    unit_scale: bool = False
    units: tuple[int, ...] = (500, 500, 2000, 10)
    convolutional: bool = False
    kernel_initializer: Initializer = "glorot_uniform"
    layerwise: bool = False
    dropout: float = 0.0
    layer_iterations: int = 50_000
    epochs: int = 20
    least_iterations: int = 750
    pretraining_batch_size: int = 256
    least_batches: int = 25
    least_batch_size: int = 16
    pretraining_loss: Loss = "mse"
    pretraining_optimizer: Callable[[int], keras.optimizers.Optimizer] = adam_with_cosine
    shift: float = 0.0
    rotation: float = 0.0
    least_side: int = 16
    image_shape: Shape | None = None
    series: bool = False
    series_shape: Shape | None = None
    embedding_scale: float | None = None
    init: Init = "kmeans"
    n_init: int = 20
    neighbors: Literal["both", "embedding"] = "both"
    lead: int = 5
    batch_size: int = 256
    update_interval: int | None = None
    tol: float = 1e-3
    max_iterations: int = 20_000
    updates: int | None = None
    learning_rate: float = 0.01
    decay: float = 1.0

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if not self.epochs and not self.least_iterations:
            raise ValueError("epochs or least_iterations should be at least 1. Received: 0 for both")

    def prepare(self, x: RowArray) -> RowArray:
        """Return x itself or, with `unit_scale`, a scaled copy in Keras's float type.

        Args:
            x: (n, ...) array. New rows must be multiplied by the same number as those of the training.
        """
        if not self.unit_scale:
            return x
        rows = row_views.as_batch(x)
        return rows / math.sqrt(max(float(np.square(rows, dtype=np.float64).mean()), np.finfo(np.float32).tiny))

    def autoencoder(self, row_shape: Shape, seed: int | None = 0) -> tuple[keras.Sequential, keras.Sequential]:
        """Build the (encoder, decoder) pair for rows of this shape. Raise ValueError if the recipe does not suit it."""
        if self.convolutional and self.series:
            return series_autoencoder(
                row_shape if self.series_shape is None else self.series_shape,
                self.units[-1],
                row_shape=row_shape,
                kernel_initializer=self.kernel_initializer,
                seed=seed,
            )
        if self.convolutional:
            image_shape = self._image_shape(row_shape)
            return convolutional_autoencoder(
                image_shape,
                self.units[-1],
                row_shape=row_shape,
                kernel_initializer=self.kernel_initializer,
                seed=seed,
            )
        if len(row_shape) != 1:
            raise ValueError(
                f"A dense autoencoder takes flat rows. Received: rows of shape {tuple(row_shape)}. Pass "
                "x.reshape(len(x), -1) with image_shape, or convolutional=True to deckeras.recipes.get."
            )
        return dense_autoencoder(row_shape[0], self.units, kernel_initializer=self.kernel_initializer, seed=seed)

    def augmentation(
        self, row_shape: Shape, seed: int | None = 0, *, clustering: bool = False, x: RowArray | None = None
    ) -> keras.Sequential | None:
        """Return the `augment` for rows of this shape in pretraining or in clustering, or None if there is none.

        Pixels from beyond the edge of an image are the background of the rows x, or 0 without them.
        """
        if not self.shift and not self.rotation:
            return None
        image_shape = self._image_shape(row_shape)
        if clustering and min(image_shape[:2]) < self.least_side:
            return None
        fill = 0.0 if x is None else distribution.agreed(background(x, image_shape))
        changes = {"shift": self.shift, "rotation": self.rotation, "fill": fill}
        return image_augmentation(image_shape, row_shape=row_shape, seed=seed, **changes)

    def batches(self, n: int) -> tuple[int, int]:
        """Return (batch_size, iterations) for the pretraining of n rows."""
        size = min(n, self.pretraining_batch_size, max(self.least_batch_size, n // self.least_batches))
        steps_per_epoch = math.ceil(n / size)
        return size, max(self.epochs * steps_per_epoch, self.least_iterations)

    def intervals(self, n: int) -> tuple[int, int, int]:
        """Return (batch_size, update_interval, iterations) for the clustering of n rows."""
        size = min(n, self.batch_size)
        interval = self.update_interval or default_update_interval(n, size)
        return size, interval, min(self.max_iterations, (self.updates or self.max_iterations) * interval)

    def optimizer(self, iterations: int, learning_rate: float | None = None) -> keras.optimizers.Optimizer:
        """Return the Keras optimizer for a clustering of so many batches. The default learning rate is the recipe's."""
        rate = self.learning_rate if learning_rate is None else learning_rate
        if self.decay < 1:
            rate = keras.optimizers.schedules.CosineDecay(rate, iterations, alpha=self.decay)
        return keras.optimizers.SGD(rate, momentum=0.9)

    def settings(self) -> dict[str, Any]:
        """Return all values as a dict for JSON, functions by name. Raise ValueError for a function without a name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.loads(json.dumps(values, default=_plain))

    def _image_shape(self, row_shape: Shape) -> Shape:
        if self.image_shape is not None:
            return self.image_shape
        if len(row_shape) in (2, 3):
            return row_shape
        raise ValueError(
            f"The recipe {self.name!r} needs to know the shape of the image in a flat row. Received: rows of shape "
            f"{tuple(row_shape)}. Pass recipe=deckeras.recipes.get({self.name!r}, image_shape=(height, width))."
        )


def _plain(value: Any) -> Any:
    """Convert a value that JSON does not know."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, keras.initializers.Initializer | keras.losses.Loss):
        return settings(value)
    name = f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if "<" in name:
        raise ValueError(f"Functions of a recipe should have a name, so that it can be saved. Received: {name}")
    return name


def _widths(name: str, value: Any) -> tuple[int, ...]:
    check_sizes(**{name: value})
    return tuple(map(int, value))


_flag = values.instance("True or False", bool, np.bool_)
_positive = values.number("a positive number", lambda value: 0 < value < math.inf)
_size = values.number("a number of at least 0", lambda value: 0 <= value < math.inf)
_CHECKS: dict[str, values.Check] = {
    "name": values.instance("a name", str),
    "unit_scale": _flag,
    "units": _widths,
    "convolutional": _flag,
    "kernel_initializer": values.of_keras("initializer", keras.initializers.get),
    "layerwise": _flag,
    "dropout": values.number("from 0 to below 1", lambda value: 0 <= value < 1),
    "layer_iterations": checks.check_count,
    "epochs": values.count_or_zero,
    "least_iterations": values.count_or_zero,
    "pretraining_batch_size": checks.check_count,
    "least_batches": checks.check_count,
    "least_batch_size": checks.check_count,
    "pretraining_loss": values.of_keras("loss", keras.losses.get),
    "pretraining_optimizer": values.instance("a function of the number of iterations", Callable),
    "shift": _size,
    "rotation": _size,
    "least_side": checks.check_count,
    "image_shape": values.or_none(values.shape(2, 3)),
    "series": _flag,
    "series_shape": values.or_none(values.shape(2)),
    "embedding_scale": values.or_none(_positive),
    "init": values.choice(*INITS, function=True),
    "n_init": checks.check_count,
    "neighbors": values.choice("both", "embedding"),
    "lead": checks.check_count,
    "batch_size": checks.check_count,
    "update_interval": values.or_none(checks.check_count),
    "tol": values.number("from 0 to below 1: a fraction of the rows", lambda value: 0 <= value < 1),
    "max_iterations": checks.check_count,
    "updates": values.or_none(checks.check_count),
    "learning_rate": _positive,
    "decay": values.number("from 0 to 1", lambda value: 0 <= value <= 1),
}

PAPER = Recipe(
    name="paper",
    unit_scale=True,
    kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
    layerwise=True,
    dropout=0.2,
    epochs=0,
    least_iterations=100_000,
    least_batches=1,
    pretraining_loss=least_squares,
    pretraining_optimizer=sgd_in_steps,
    # The paper's text names no interval. This is the one of its code.
    update_interval=160,
)

DEC_KERAS = Recipe(
    name="dec-keras",
    kernel_initializer=keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform"),
    epochs=300,
    least_iterations=0,
    least_batches=1,
    pretraining_optimizer=sgd_at_one,
    update_interval=140,
)

TABLE = Recipe(name="table", units=_NARROW, init="manifold", n_init=2, updates=8)

FEATURES = dataclasses.replace(TABLE, name="features")

SERIES = dataclasses.replace(TABLE, name="series", series=True)

IMAGES = Recipe(
    name="images",
    units=_NARROW,
    shift=0.1,
    rotation=10.0,
    epochs=40,
    least_iterations=3000,
    embedding_scale=3.0,
    init="manifold",
    n_init=2,
    neighbors="embedding",
    updates=10,
    decay=0.1,
)

RECIPES = types.MappingProxyType(
    {recipe.name: recipe for recipe in (PAPER, DEC_KERAS, TABLE, IMAGES, SERIES, FEATURES)}
)


def get(recipe: str | Recipe, **changes: Any) -> Recipe:
    """Return a recipe, by its name or unchanged, with the given values that are not None.

    Args:
        recipe: str, one of `RECIPES`, or a `Recipe`.
        **changes: attributes of `Recipe`.

    Returns:
        `Recipe`.

    Raises:
        ValueError: there is no recipe of this name, or an attribute cannot have this value.
        TypeError: `recipe` is neither a name nor a recipe, or has no such attribute.

    Example:
        >>> from deckeras import recipes
        >>> recipes.get("images", image_shape=(28, 28)).epochs
        40
        >>> recipes.get("table", epochs=100).epochs
        100
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ValueError(f"recipe should be one of {', '.join(RECIPES)}. Received: recipe={recipe!r}")
        recipe = RECIPES[recipe]
    if not isinstance(recipe, Recipe):
        raise TypeError(f"recipe should be a name or a Recipe. Received: {type(recipe).__name__}")
    return dataclasses.replace(recipe, **{name: value for name, value in changes.items() if value is not None})
