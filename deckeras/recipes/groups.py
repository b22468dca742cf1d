"""The groups of hyper-parameters that make up a recipe, one for each stage of a run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from deckeras._data import checks, values
from deckeras._typing import Init, Initializer, Loss, Shape
from deckeras.autoencoders.builders import check_sizes
from deckeras.recipes.optimizers import adam_with_cosine

INITS = ("kmeans", "ward", "mixture", "manifold")


def default_update_interval(n: int, batch_size: int = 256) -> int:
    """Return the number of batches between two updates of the target: one epoch, but at least 100 batches.

    An update is a forward pass over all rows, which takes a third of the arithmetic of training on them. With one
    update per epoch, updates take a quarter of all arithmetic for any n. On small data sets, an epoch has so few
    batches that hardly any row could change cluster, and the training would seem to have converged. The minimum of 100
    prevents this.
    """
    return max(100, math.ceil(n / batch_size))


def _widths(name: str, value: Any) -> tuple[int, ...]:
    check_sizes(**{name: value})
    return tuple(map(int, value))


# Up to 3,000 rows have the fewest neighbors, and 6,000 rows or more have the most. The data sets that gain by few
# neighbors are smaller, and those that lose by them are larger (`benchmarks/variants.py`).
_ROWS_PER_NEIGHBOR = 300
_flag = values.instance("True or False", bool, np.bool_)
_positive = values.number("a positive number", lambda value: 0 < value < math.inf)
_size = values.number("a number of at least 0", lambda value: 0 <= value < math.inf)


class Group:
    """A frozen dataclass whose values are checked by the functions in `CHECKS`, including those of its base classes."""

    CHECKS: ClassVar[dict[str, values.Check]] = {}

    def __post_init__(self) -> None:
        for group in type(self).__mro__:
            for name, check in vars(group).get("CHECKS", {}).items():
                object.__setattr__(self, name, check(name, getattr(self, name)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network(Group):
    """The autoencoder, and the shape of its rows.

    Attributes:
        unit_scale: bool. True if `Recipe.prepare` should multiply x by one number, so that the mean of
            ||x_i||^2 / n_features is 1.
        units: tuple of ints. The widths of a dense encoder's layers. The last is that of the embedding.
        convolutional: bool. True for a convolutional encoder of images, whose embedding is as wide as the last of
            `units`.
        kernel_initializer: Keras initializer or its name.
        image_shape: tuple, (height, width) or (height, width, channels) of the image in a flat row. None if rows are
            not images, or if they have the shape of an image.
        series: bool. True if rows are series. `convolutional` then means a Conv1D encoder over time.
        series_shape: tuple, (time, channels) of the series in a flat row. None if rows have that shape.
    """

    unit_scale: bool = False
    units: tuple[int, ...] = (500, 500, 2000, 10)
    convolutional: bool = False
    kernel_initializer: Initializer = "glorot_uniform"
    image_shape: Shape | None = None
    series: bool = False
    series_shape: Shape | None = None

    CHECKS: ClassVar[dict[str, values.Check]] = {
        "unit_scale": _flag,
        "units": _widths,
        "convolutional": _flag,
        "kernel_initializer": values.of_keras("initializer", keras.initializers.get),
        "image_shape": values.or_none(values.shape(2, 3)),
        "series": _flag,
        "series_shape": values.or_none(values.shape(2)),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batches(Group):
    """The batches of few rows, in pretraining and in clustering.

    Attributes:
        min_batches: int. The smallest number of batches in an epoch. A small data set is split into smaller batches,
            because it needs as many steps as a large one, and steps on small batches are faster.
        min_batch_size: int. The smallest size of these batches.
    """

    min_batches: int = 25
    min_batch_size: int = 16

    CHECKS: ClassVar[dict[str, values.Check]] = {
        "min_batches": checks.check_count,
        "min_batch_size": checks.check_count,
    }

    def _rows_in_batch(self, n: int, most: int) -> int:
        """Return the size of a batch of n rows that has at most `most`."""
        return min(n, most, max(self.min_batch_size, n // self.min_batches))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretraining(Batches):
    """The training of the autoencoder.

    Attributes:
        layerwise: bool. True if pretraining is greedy, layer by layer, before all layers are trained together.
        dropout: float. The fraction of input values set to zero in pretraining, or in its layer-wise part if it has
            one.
        layer_iterations: int. Batches for each pair of layers in layer-wise pretraining.
        epochs: int. Epochs of the pretraining of all layers together.
        min_pretraining_iterations: int. The smallest number of batches of this pretraining, because a small data set
            needs as many batches as a large one.
        pretraining_batch_size: int. The largest number of rows in a batch of pretraining.
        centered: bool. True if the first layer is trained on rows minus their mean, and an untrained decoder starts at
            the mean. The trained weights are for unchanged rows. Without centering, images turn off up to four
            fifths of the units of the first layer, because all their gradients share the direction of the mean.
        pretraining_loss: Keras loss or its name.
        pretraining_optimizer: function from the number of iterations to a Keras optimizer.
    """

    layerwise: bool = False
    dropout: float = 0.0
    layer_iterations: int = 50_000
    epochs: int = 20
    min_pretraining_iterations: int = 750
    pretraining_batch_size: int = 256
    centered: bool = False
    pretraining_loss: Loss = "mse"
    pretraining_optimizer: Callable[[int], keras.optimizers.Optimizer] = adam_with_cosine

    CHECKS: ClassVar[dict[str, values.Check]] = {
        "layerwise": _flag,
        "dropout": values.number("from 0 to below 1", lambda value: 0 <= value < 1),
        "layer_iterations": checks.check_count,
        "epochs": values.count_or_zero,
        "min_pretraining_iterations": values.count_or_zero,
        "pretraining_batch_size": checks.check_count,
        "centered": _flag,
        "pretraining_loss": values.of_keras("loss", keras.losses.get),
        "pretraining_optimizer": values.instance("a function of the number of iterations", Callable),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.epochs and not self.min_pretraining_iterations:
            raise ValueError("epochs or min_pretraining_iterations should be at least 1. Received: 0 for both")

    def batches(self, n: int) -> tuple[int, int]:
        """Return (batch_size, iterations) for the pretraining of n rows."""
        size = self._rows_in_batch(n, self.pretraining_batch_size)
        steps_per_epoch = math.ceil(n / size)
        return size, max(self.epochs * steps_per_epoch, self.min_pretraining_iterations)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmenting(Group):
    """The random changes of images, in pretraining and in clustering.

    Attributes:
        shift, rotation: floats. The largest changes, as a fraction of the side and in degrees. If both are 0, there is
            no augmentation.
        min_side: int. The smallest side, in pixels, of images that are augmented in clustering. Smaller images are
            augmented only in pretraining, which benefits at any size. In clustering, a shift by a fraction of a pixel
            would blur the differences between digits of 8 by 8 pixels.
    """

    shift: float = 0.0
    rotation: float = 0.0
    min_side: int = 16

    CHECKS: ClassVar[dict[str, values.Check]] = {
        "shift": _size,
        "rotation": _size,
        "min_side": checks.check_count,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start(Group):
    """The first clusters.

    Attributes:
        embedding_scale: float or None. The mean standard deviation to which `DEC.fit` scales the embedding's features
            before clustering. The encoder has to end in a linear layer.
        init, n_init: the first clusterer and its restarts, as for `DEC.fit`.
        neighbors: "both" or "embedding". The start "manifold" finds neighbors in the embedding and among the rows, or
            only in the embedding.
        n_neighbors: int. Neighbors of each row for "manifold".
        min_neighbors: int or None. The smallest number of neighbors, used for few rows. There is one neighbor for every
            300 rows, from this number up to `n_neighbors`. Few neighbors follow thin classes, such as the views of one
            object. With None, the number of neighbors does not depend on the number of rows.
        lead: int. The largest number of updates for which the assignments of the first clusterer remain the target.
            They are replaced as soon as the network agrees with 99 % of them, which takes longer where classes are
            small or rows are augmented. A clusterer that returns only centroids has no assignments.
    """

    embedding_scale: float | None = None
    init: Init = "kmeans"
    n_init: int = 20
    neighbors: Literal["both", "embedding"] = "both"
    n_neighbors: int = 20
    min_neighbors: int | None = None
    lead: int = 5

    CHECKS: ClassVar[dict[str, values.Check]] = {
        "embedding_scale": values.or_none(_positive),
        "init": values.choice(*INITS, function=True),
        "n_init": checks.check_count,
        "neighbors": values.choice("both", "embedding"),
        "n_neighbors": checks.check_count,
        "min_neighbors": values.or_none(checks.check_count),
        "lead": checks.check_count,
    }

    def neighbors_of(self, n: int) -> int:
        """Return the number of neighbors of each of n rows."""
        if self.min_neighbors is None:
            return self.n_neighbors
        return min(self.n_neighbors, max(self.min_neighbors, n // _ROWS_PER_NEIGHBOR))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clustering(Batches):
    """The alternation between target and training.

    Attributes:
        batch_size: int. The largest number of rows in a batch of clustering.
        update_interval, tol, max_iterations: as for `DEC.fit`.
        updates: int or None. The largest number of updates of the target. Clustering ends after them at the latest.
        learning_rate: float. The learning rate of SGD with momentum 0.9 in the clustering.
        decay: float from 0 to 1. The fraction of the learning rate that remains at the last iteration, along a cosine.
            With 1 the rate is constant, and a few augmented rows may never stop changing cluster.
        balance: float from 0 to 1. The power of the cluster frequencies in the target, as for `target_distribution`. 1
            is the paper's target, which pulls clusters toward equal sizes. With smaller values, uneven classes stay
            uneven. `IDEC` always takes 1.
    """

    batch_size: int = 256
    update_interval: int | None = None
    tol: float = 1e-3
    max_iterations: int = 20_000
    updates: int | None = None
    learning_rate: float = 0.01
    decay: float = 1.0
    balance: float = 1.0

    CHECKS: ClassVar[dict[str, values.Check]] = {
        "batch_size": checks.check_count,
        "update_interval": values.or_none(checks.check_count),
        "tol": values.number("from 0 to below 1: a fraction of the rows", lambda value: 0 <= value < 1),
        "max_iterations": checks.check_count,
        "updates": values.or_none(checks.check_count),
        "learning_rate": _positive,
        "decay": values.fraction,
        "balance": values.fraction,
    }

    def intervals(self, n: int) -> tuple[int, int, int]:
        """Return (batch_size, update_interval, iterations) for the clustering of n rows."""
        size = self._rows_in_batch(n, self.batch_size)
        interval = self.update_interval or default_update_interval(n, size)
        return size, interval, min(self.max_iterations, (self.updates or self.max_iterations) * interval)

    def optimizer(self, iterations: int) -> keras.optimizers.Optimizer:
        """Return the Keras optimizer for a clustering of `iterations` batches."""
        rate = self.learning_rate
        if self.decay < 1:
            rate = keras.optimizers.schedules.CosineDecay(rate, iterations, alpha=self.decay)
        return keras.optimizers.SGD(rate, momentum=0.9)
