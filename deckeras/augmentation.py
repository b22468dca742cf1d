"""Augmentation: random changes of the rows in a batch that do not change their cluster."""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
from keras import ops

from deckeras import distribution
from deckeras._data import row_views, seeding
from deckeras._train import device, interrupts, specs, warping
from deckeras._train.checkpoint import settings
from deckeras._typing import Augment, RowArray, Shape, Tensor
from deckeras.autoencoders.builders import check_row_shape

Fill: TypeAlias = float | Sequence[float] | Literal["edge"]

_LOOKED_AT = 1000  # images whose edges are examined
_UNIFORM = 0.05  # how far background pixels may be from their median, as a fraction of the range of values


@keras.saving.register_keras_serializable(package="deckeras")
class RandomAffine(keras.layers.Layer):
    """Random shifts, rotations, changes of size and shears of images, drawn for each image and applied in one step.

    They are combined into a single map from pixels to pixels, so that each pixel is interpolated only once.

    Args:
        shift, rotation, zoom, shear, fill: as for `image_augmentation`.
        seed: int, default None: a random seed.
        **kwargs: `name`, `dtype`, and other arguments of `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> from deckeras.augmentation import RandomAffine
        >>> tuple(RandomAffine(rotation=20, zoom=0.2, seed=0)(np.zeros((5, 28, 28, 1)), training=True).shape)
        (5, 28, 28, 1)
    """

    def __init__(
        self,
        shift: float = 0.1,
        rotation: float = 10.0,
        zoom: float = 0.0,
        shear: float = 0.0,
        fill: Fill = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = {"shift": shift, "rotation": rotation, "zoom": zoom, "shear": shear}
        for name, value in sizes.items():
            if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
                raise ValueError(f"{name} should be a number of at least 0. Received: {name}={value!r}")
        self.shift, self.rotation, self.zoom, self.shear = sizes.values()
        self.fill, self.seed = _fill(fill), seed
        self.generator = keras.random.SeedGenerator(None if seed is None else seeding.layer_seed(seed))

    def build(self, input_shape: Sequence[int | None]) -> None:
        if isinstance(self.fill, list) and len(self.fill) not in (1, input_shape[-1]):
            raise ValueError(
                f"fill should be one number, or one for each of {input_shape[-1]} channels. Received: fill={self.fill}"
            )

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        if not training:
            return images
        maps = self._maps(ops.shape(images)[0], *images.shape[1:3])
        if self.fill == "edge":
            return warping.warp(images, maps, edge=True)
        fill = ops.convert_to_tensor(self.fill, dtype=images.dtype)
        return warping.warp(images - fill, maps) + fill

    def _maps(self, n: Any, height: int, width: int) -> Tensor:
        """Return an affine map, (n, 2, 3), for each of n images."""
        drawn = keras.random.uniform((5, n), -1, 1, dtype="float32", seed=self.generator)
        angle, scale = drawn[0] * math.radians(self.rotation), ops.exp(drawn[1] * math.log1p(self.zoom))
        cosine, sine, slope = scale * ops.cos(angle), scale * ops.sin(angle), drawn[2] * self.shear
        rows = []
        # A shear along the rows, and a rotation with a change of size, about the middle of the image.
        for across, down, moved, middle in (
            (cosine, slope * cosine - sine, drawn[3] * (self.shift * width), (width - 1) / 2),
            (sine, slope * sine + cosine, drawn[4] * (self.shift * height), (height - 1) / 2),
        ):
            start = middle + moved - across * ((width - 1) / 2) - down * ((height - 1) / 2)
            rows.append(ops.stack([across, down, start], axis=-1))
        return ops.stack(rows, axis=1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("shift", "rotation", "zoom", "shear", "fill", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _fill(fill: Fill) -> Any:
    """Return "edge", or the numbers of an array as Python numbers."""
    if isinstance(fill, str) and fill == "edge":
        return fill
    try:
        values = np.asarray(fill, np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.ndim > 1 or not np.isfinite(values).all():
        raise ValueError(f'fill should be "edge", a number, or one for each channel. Received: fill={fill!r}')
    return values.tolist()


def image_augmentation(
    image_shape: Shape,
    *,
    row_shape: Shape | None = None,
    shift: float = 0.1,
    rotation: float = 10.0,
    zoom: float = 0.0,
    shear: float = 0.0,
    fill: Fill = 0.0,
    seed: int | None = 0,
) -> keras.Sequential:
    """Build random changes of images: an `augment` for `pretrain_autoencoder` and `DEC.fit`.

    Args:
        image_shape: (height, width) or (height, width, channels) of one image.
        row_shape: tuple, the shape of a row of x, default None: flat, (height * width * channels,).
        shift: float, default 0.1. The largest shift, as a fraction of height and of width.
        rotation: float, default 10. The largest rotation, in degrees.
        zoom: float, default 0: none. Images become up to `1 + zoom` times larger or smaller.
        shear: float, default 0: none. The largest shear, in pixels for each row of the image.
        fill: "edge", or one number, or one number for each channel, default 0. The value of pixels from beyond the
            edge. With "edge", they have the value of the nearest pixel. `background` finds a value in images.
        seed: int, default 0. The same seed gives the same changes.

    Returns:
        `keras.Sequential`, (n, *row_shape) -> (n, *row_shape), around a `RandomAffine` layer.

    Raises:
        ValueError: a row does not hold one image, a size is negative, or `fill` has not one number for each channel.

    Example:
        >>> import numpy as np
        >>> from deckeras import image_augmentation
        >>> augment = image_augmentation((28, 28))
        >>> tuple(augment(np.random.rand(5, 784), training=True).shape)
        (5, 784)

    Source: Guo, Zhu, Liu and Yin, "Deep Embedded Clustering with Data Augmentation", ACML 2018.
    """
    row_shape = check_row_shape(image_shape, row_shape)
    height, width, *channels = map(int, image_shape)
    seed = distribution.agreed_seed(seed)
    # Images are changed in float32, even under mixed precision.
    changes = RandomAffine(shift, rotation, zoom, shear, fill, seed, dtype="float32")
    return keras.Sequential(
        [
            keras.Input(row_shape),
            keras.layers.Reshape((height, width, *(channels or [1])), dtype="float32"),
            changes,
            keras.layers.Reshape(row_shape, dtype="float32"),
        ],
        name="image_augmentation",
    )


def background(x: RowArray, image_shape: Shape) -> Fill:
    """Return the background of images, as a `fill` for `image_augmentation`.

    Args:
        x: (n, ...) array, or other rows that can be sliced, of images of one shape.
        image_shape: (height, width) or (height, width, channels).

    Returns:
        The median of the pixels at the edges, as a float or as a tuple of one float for each channel. "edge" if fewer
        than half of these pixels are near the median, as in photographs, which have no background.

    Example:
        >>> import numpy as np
        >>> from deckeras.augmentation import background
        >>> background(np.ones((5, 784)), (28, 28))
        1.0
    """
    height, width, *channels = image_shape
    images = np.asarray(x[:: math.ceil(len(x) / _LOOKED_AT)], np.float32).reshape(-1, height, width, *(channels or [1]))
    edges = np.concatenate(
        [pixels.reshape(-1, images.shape[3]) for pixels in (images[:, [0, -1]], images[:, :, [0, -1]])]
    )
    middle = np.median(edges, axis=0)
    near = (np.abs(edges - middle) <= _UNIFORM * np.ptp(images)).all(axis=1)
    if near.mean() < 0.5:
        return "edge"
    return tuple(middle.tolist()) if len(middle) > 1 else float(middle[0])


class Augmenter:
    """A function from batch to batch that applies `augment`, with the variables of its random state.

    Args:
        augment: Keras layer or model, which is called with `training=True`, or function of a batch of rows that
            returns a batch of the same shape. With None, the rows are unchanged.
        row_shape: tuple, the shape of a row.

    Raises:
        TypeError: `augment` is none of these.
    """

    def __init__(self, augment: Augment | None, row_shape: Shape) -> None:
        self.variables, self.settings, self.changes = [], None, augment is not None
        self.asked = None if augment is None or isinstance(augment, keras.Layer) else specs.function(augment)
        if augment is None:
            self._augment: Any = None
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

    def __call__(self, rows: Tensor) -> Tensor:
        if not self.changes:
            return rows
        with interrupts.DeferredInterrupt(), device.tracing_models():
            augmented = row_views.as_batch(self._augment(rows))
        if augmented.shape != rows.shape:
            raise ValueError(
                f"augment should keep the shape of a batch, {rows.shape}. Received: {augmented.shape}. "
                "Images in flat rows need their shape: see deckeras.image_augmentation."
            )
        return augmented


def _without_seed(layer: dict[str, Any]) -> dict[str, Any]:
    """Return the settings without the seed, which may be drawn anew. The variables hold the random state."""
    return {**layer, "config": {name: value for name, value in layer["config"].items() if name != "seed"}}


def _compiled(augment: keras.Layer, row_shape: Shape) -> Callable[[Tensor], Tensor]:
    """Return the layer or model as a compiled function of batches. A plain call would not be compiled."""
    programs = []
    # In one program, XLA would recompute a pixel of one layer for each pixel of the next layer that depends on it. On
    # a CPU this costs more than passing the rows from program to program.
    layers = augment.layers if isinstance(augment, keras.Sequential) else []
    several = sum(not isinstance(layer, keras.layers.Reshape) for layer in layers) > 1
    apart = several and keras.config.backend() == "jax" and not device.accelerated()
    for layer in layers if apart else [augment]:
        model = keras.Sequential([keras.Input(row_shape), layer])
        if distribution.active():
            programs.append(functools.partial(distribution.augmented, model))
        else:
            programs.append(_InTraining(model).predict_on_batch)
        row_shape = model.output_shape[1:]
    return lambda rows: functools.reduce(lambda rows, program: program(rows), programs, rows)


class _InTraining(keras.Model):
    """A model that is in training mode even when it predicts."""

    def __init__(self, model: keras.Model) -> None:
        # The layers have their own dtypes.
        super().__init__(name="in_training", autocast=False)
        self.model = model

    def call(self, inputs: Tensor) -> Tensor:
        return self.model(inputs, training=True)
