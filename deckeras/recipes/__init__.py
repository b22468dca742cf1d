"""Recipes: named sets of hyper-parameters, from the autoencoder's layers to the last update of the target.

    paper       the protocol of Xie et al. (2016), section 4.3
    dec-keras   the hyper-parameters of DEC-keras
    table       any table of numbers: the default
    series      series of several channels over time: like a table, but each channel is scaled as a whole
    features    features of images or texts, computed by a pretrained network
    images      images that keep their meaning under small shifts and rotations

`deckeras.pretrain`, `DEC.fit` and `examples/run_mnist.py` take them by name. Arguments override the values of the
recipe. `get` returns a recipe with changed values.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from typing import Any, ClassVar

import keras
import numpy as np

from deckeras import distribution
from deckeras._data import row_views, values
from deckeras._train.checkpoint import settings
from deckeras._typing import RowArray, Shape
from deckeras.augmentation import background, image_augmentation
from deckeras.autoencoders.builders import convolutional_autoencoder, dense_autoencoder
from deckeras.autoencoders.embedding import least_squares
from deckeras.autoencoders.series import series_autoencoder
from deckeras.recipes.groups import (
    INITS,
    Augmenting,
    Clustering,
    Network,
    Pretraining,
    Start,
    default_update_interval,
)
from deckeras.recipes.optimizers import adam_with_cosine, sgd_at_one, sgd_in_steps

__all__ = [
    "DEC_KERAS",
    "FEATURES",
    "IMAGES",
    "INITS",
    "PAPER",
    "RECIPES",
    "SERIES",
    "TABLE",
    "Recipe",
    "adam_with_cosine",
    "default_update_interval",
    "get",
    "sgd_at_one",
    "sgd_in_steps",
]

for _function in (adam_with_cosine, sgd_at_one, sgd_in_steps, default_update_interval):
    _function.__module__ = __name__  # Pickles and the files of studies use the public name.

# On 14 real data sets as accurate as the paper's 2000 units in the third layer (`benchmarks/variants.py`), and faster.
_NARROW = (500, 500, 500, 10)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(Network, Pretraining, Augmenting, Start, Clustering):
    """An immutable set of hyper-parameters. `get` and `dataclasses.replace` return a changed copy.

    Its attributes are its name and those of six groups, which are documented in `deckeras.recipes.groups`: `Network`,
    `Batches`, `Pretraining`, `Augmenting`, `Start` and `Clustering`.

    Attributes:
        name: str.
    """

    name: str

    CHECKS: ClassVar[dict[str, values.Check]] = {"name": values.instance("a name", str)}

    def prepare(self, x: RowArray) -> RowArray:
        """Return x itself or, with `unit_scale`, a scaled copy in Keras's float type.

        Args:
            x: (n, ...) array. New rows must be multiplied by the same number as the training rows.
        """
        if not self.unit_scale:
            return x
        rows = row_views.as_batch(x)
        return rows / math.sqrt(max(float(np.square(rows, dtype=np.float64).mean()), np.finfo(np.float32).tiny))

    def autoencoder(self, row_shape: Shape, seed: int | None = 0) -> tuple[keras.Sequential, keras.Sequential]:
        """Build the autoencoder of the recipe.

        Args:
            row_shape: tuple, the shape of a row.
            seed: int, default 0. Determines the initial weights. None draws new weights each time.

        Returns:
            (encoder, decoder), two `keras.Sequential`. The embedding is as wide as the last of `units`.

        Raises:
            ValueError: the recipe does not suit rows of this shape.

        Example:
            >>> from deckeras import recipes
            >>> encoder, decoder = recipes.get("table", units=(16, 4)).autoencoder((8,))
            >>> encoder.output_shape, decoder.output_shape
            ((None, 4), (None, 8))
        """
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
        """Return the `augment` of the recipe, which `deckeras.pretrain` and `DEC.fit` take.

        Args:
            row_shape: tuple, the shape of a row.
            seed: int, default 0. Determines the random changes.
            clustering: bool, default False. True for clustering, in which small images are not augmented.
            x: (n, ...) rows, default None. Their background fills the pixels from beyond the edge of an image. Without
                them, these pixels are 0.

        Returns:
            `keras.Sequential`, or None if there is no augmentation.

        Raises:
            ValueError: the shape of the images is unknown.

        Example:
            >>> import numpy as np
            >>> from deckeras import recipes
            >>> augment = recipes.get("images", image_shape=(8, 8)).augmentation((64,))
            >>> augment(np.ones((5, 64), "float32"), training=True).shape[1]
            64
        """
        if not self.shift and not self.rotation:
            return None
        image_shape = self._image_shape(row_shape)
        if clustering and min(image_shape[:2]) < self.min_side:
            return None
        fill = 0.0 if x is None else distribution.agreed(background(x, image_shape))
        changes = {"shift": self.shift, "rotation": self.rotation, "fill": fill}
        return image_augmentation(image_shape, row_shape=row_shape, seed=seed, **changes)

    def settings(self) -> dict[str, Any]:
        """Return all values as a JSON-able dict, functions by name. Raise ValueError if a function has no name."""
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
    """Convert a value that JSON cannot represent."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, keras.initializers.Initializer | keras.losses.Loss):
        return settings(value)
    name = f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if "<" in name:
        raise ValueError(f"Functions of a recipe should have a name, so that it can be saved. Received: {name}")
    return name


PAPER = Recipe(
    name="paper",
    unit_scale=True,
    kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
    layerwise=True,
    dropout=0.2,
    epochs=0,
    min_pretraining_iterations=100_000,
    min_batches=1,
    pretraining_loss=least_squares,
    pretraining_optimizer=sgd_in_steps,
    # The text of the paper does not state an interval. This is the one in its code.
    update_interval=160,
)

DEC_KERAS = Recipe(
    name="dec-keras",
    kernel_initializer=keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform"),
    epochs=300,
    min_pretraining_iterations=0,
    min_batches=1,
    pretraining_optimizer=sgd_at_one,
    update_interval=140,
)

TABLE = Recipe(name="table", units=_NARROW, init="manifold", n_init=3, updates=8, balance=0.5)

FEATURES = dataclasses.replace(TABLE, name="features")

SERIES = dataclasses.replace(TABLE, name="series", series=True)

IMAGES = Recipe(
    name="images",
    units=_NARROW,
    shift=0.1,
    rotation=10.0,
    epochs=40,
    min_pretraining_iterations=3000,
    centered=True,
    embedding_scale=3.0,
    init="manifold",
    n_init=4,
    neighbors="embedding",
    min_neighbors=10,
    updates=10,
    learning_rate=0.03,
    decay=0.1,
    balance=0.5,
)

RECIPES = types.MappingProxyType(
    {recipe.name: recipe for recipe in (PAPER, DEC_KERAS, TABLE, IMAGES, SERIES, FEATURES)}
)


def get(recipe: str | Recipe, **changes: Any) -> Recipe:
    """Return a recipe, looked up by name or given, with all changes that are not None.

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
