"""Scaling of features, fitted to the rows of a training and saved in the model, which then takes unscaled rows.

standard   each feature minus its mean, divided by its standard deviation: tables, whose columns have units
largest    all features divided by one number, the largest value that they can have: pixels and counts
range      each channel mapped from its darkest and brightest values to 0 and 1: images that would otherwise be faint
unit       all features divided by one number, so that the mean of ||x_i||^2 / n_features is 1: as in the paper, and
           for sparse rows such as tf-idf, because zeros remain zeros
none       the rows unchanged
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
from scipy import sparse

from deckeras._data import checks, row_views
from deckeras._typing import Array, RowArray, Rows, Shape
from deckeras._warnings import warn
from deckeras.layers import HALF_PRECISION
from deckeras.models.dec import DEC
from deckeras.models.idec import IDEC

Method: TypeAlias = Literal["auto", "standard", "largest", "range", "unit", "none"]
METHODS = ("standard", "largest", "range", "unit", "none")
_LARGEST = 1e18  # Neither this nor its inverse leaves the range of float32.
_MOST_IN_CONFIG = 500  # features; an IDEC has four numbers of some 13 characters for each, and .h5 has room for 64 kB
_HALF_OF_8_BITS, _LARGEST_OF_8_BITS = 127, 255
_COARSE = 1e4  # A mean this many standard deviations from 0 leaves the feature three digits of float32.
_FAINT = 0.1  # A channel of images with a smaller standard deviation is lost beside the others, or beside its mean.
_DARKEST, _BRIGHTEST = 0.001, 0.999  # quantiles of the pixels, so that a few hot pixels do not count
_PIXELS = 4_000_000


@dataclasses.dataclass(frozen=True)
class Scaling:
    """x -> (x - mean) / divisor, feature by feature.

    Attributes:
        method: str, one of `METHODS`.
        mean: (n_features,) float64 array, or 0.0.
        divisor: (n_features,) float64 array, or float.
        channels: int or None. The number of channels of series or images, each of which is scaled as one feature.
    """

    method: str
    mean: np.ndarray | float = 0.0
    divisor: np.ndarray | float = 1.0
    channels: int | None = None

    def __call__(self, rows: Array) -> Array:
        """Return the dense rows, scaled. Means are subtracted in float64, so that large ones do not cost digits."""
        # NumPy computes with float16 and one number in float16, which is too coarse.
        rows = np.asarray(rows, np.float32) if rows.dtype == np.float16 else rows
        return (rows - self.mean) / self.divisor

    def rows(self, x: Any) -> Any:
        """Return the rows of x as a `View`, which scales them while they are read, without a second copy."""
        if self.method != "none":
            return row_views.View(x, self)
        return row_views.View(x) if sparse.issparse(x) else x

    def layer(self, row_shape: Shape, *, invert: bool = False) -> keras.layers.Rescaling | None:
        """Return the scaling, or its inverse, as a layer that any version of Keras loads and no training changes.

        Returns None for the method "none".

        Args:
            row_shape: tuple, the shape of a row.
            invert: bool, default False.
        """
        if self.method == "none":
            return None
        name = "unscaling" if invert else "scaling"
        if self.method not in ("standard", "range"):
            return keras.layers.Rescaling(self.divisor if invert else 1 / self.divisor, name=name, dtype="float32")
        scale, offset = (self.divisor, self.mean) if invert else (1 / self.divisor, -self.mean / self.divisor)
        # Unlike the weights of other layers, numbers in the config are never trained, whatever is frozen or unfrozen.
        return keras.layers.Rescaling(_short(scale), _short(offset), name=name, dtype="float32")

    def folded(self, layer: keras.Layer, *, invert: bool = False) -> keras.layers.Dense:
        """Return a copy of a `Dense` layer that also does the scaling: of the first layer, or with `invert` the last.

        Args:
            layer: built `keras.layers.Dense`; with `invert` a linear one.
            invert: bool, default False.
        """
        copy = type(layer).from_config({**layer.get_config(), "use_bias": True})
        copy.build(layer.input.shape)
        kernel, *bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
        bias = bias[0] if bias else np.zeros(kernel.shape[1])
        if invert:
            copy.set_weights([kernel * self.divisor, bias * self.divisor + self.mean])
        else:
            kernel = kernel / np.reshape(self.divisor, (-1, 1))
            copy.set_weights([kernel, bias - np.broadcast_to(self.mean, len(kernel)) @ kernel])
        copy.trainable = layer.trainable
        return copy

    def __str__(self) -> str:
        if self.method == "standard":
            what = "feature" if self.channels is None else "channel"
            undivided = int(np.sum(np.ravel(self.divisor)[: self.channels] == 1))
            but = f"; {undivided} are constant or hold only 0 and 1, and are not divided" if undivided else ""
            return f"each {what} minus its mean, divided by its standard deviation{but}"
        if self.method == "none":
            return "features unchanged"
        if self.method == "range":
            return "each channel minus its darkest value, divided by the difference to its brightest"
        reason = "the largest value" if self.method == "largest" else "so that the mean square is 1"
        if self.method == "largest" and self.divisor == _LARGEST_OF_8_BITS:
            reason = "the range of 8-bit pixels"
        return f"all features divided by {self.divisor:g}, {reason}"


def fit(x: Rows, method: Method = "auto", *, images: bool = False, channels: int | None = None) -> Scaling:
    """Fit a scaling to rows.

    Args:
        x: (n, n_features) array of any real dtype, SciPy sparse matrix or `View`.
        method: one of `METHODS`, or `"auto"` (default): "largest" for images, but "range" for faint ones; "unit" for
            sparse rows and for rows that all have the same length, such as tf-idf; "standard" for others. Images are
            faint if a channel would have a standard deviation below 0.1, as in gray pictures on gray, temperatures in
            kelvin, or a channel beside one in larger units. "range" maps the quantiles 0.001 and 0.999 of each channel
            to 0 and 1.
        images: bool, default False. True if the rows are images, whose features are pixels of one scale.
        channels: int, default None. The number of channels, for rows that are series or images, one time step or pixel
            after the other. "standard" then has one mean and one standard deviation per channel of series, over all
            time steps, and "range" one range per channel. None is one channel.

    Returns:
        `Scaling`. A feature that is constant, or whose only values are 0 and 1, has the divisor 1. The range of images
        is inferred from their values, not from their dtype. Whole numbers whose largest is from 128 to 255 are 8-bit
        pixels, and are divided by 255. Other images are divided by their largest value, but masks of 0 and 1, and all
        images within [0, 1], by 1.

    Raises:
        ValueError: the method is unknown, or is "standard" or "range" for sparse rows, which would become dense.

    Warns:
        UserWarning: the mean of a feature is so large, compared with its standard deviation, that a model in float32
            cannot tell its values apart; or all features are divided by one number, and a few are so large that the
            others hardly count.

    Example:
        >>> import numpy as np
        >>> from deckeras import scaling
        >>> fitted = scaling.fit(np.array([[0.0, 10.0], [2.0, 30.0]]))
        >>> fitted(np.array([[1.0, 20.0], [2.0, 20.0]]))
        array([[0., 0.],
               [1., 0.]])
        >>> print(scaling.fit(np.array([[0, 16]], "uint8"), images=True))
        all features divided by 16, the largest value
        >>> print(scaling.fit(np.array([[0, 250]], "uint8"), images=True))
        all features divided by 255, the range of 8-bit pixels
    """
    sparse_rows = sparse.issparse(x) or sparse.issparse(getattr(x, "x", None))
    auto = method == "auto"
    if auto:
        one_number = sparse_rows or (channels is None and not images and row_views.of_one_length(checks.check_rows(x)))
        method = "largest" if images else "unit" if one_number else "standard"
    if method not in METHODS:
        raise ValueError(f'scale should be "auto", {", ".join(METHODS)}. Received: {method!r}')
    if method in ("standard", "range") and sparse_rows:
        raise ValueError(f'"{method}" would make sparse rows dense. Use "unit", or pass x.toarray().')
    if method == "none":
        return Scaling("none")
    x = checks.check_rows(x)
    if method == "standard":
        return _standard(x, None if images else channels)
    if method == "range":
        return _range(x, _pixels(x, channels or 1))
    scaling = _largest(x) if method == "largest" else _unit(x)
    if auto and images and not sparse_rows:
        pixels = _pixels(x, channels or 1)
        deviations = pixels.std(axis=0)
        if (deviations[deviations > 0] < _FAINT * scaling.divisor).any():
            return _range(x, pixels)
    if not 1 / _LARGEST <= scaling.divisor <= _LARGEST:
        raise ValueError(
            f"x should hold values between {1 / _LARGEST:g} and {_LARGEST:g}, which float32 can compute with. "
            f"Received: rows to be divided by {scaling.divisor:g}. Give them in another unit."
        )
    return scaling


def into_model(model: DEC, scaling: Scaling) -> DEC:
    """Return a model with the same weights that takes unscaled rows. An IDEC also reconstructs unscaled rows.

    Args:
        model: trained `DEC` or `IDEC` of scaled rows.
        scaling: `Scaling`.

    Returns:
        Model of the same class, not compiled, or the model itself if there is nothing to scale.
    """
    if scaling.method == "none":
        return model
    first, *others = _layers(model.encoder)
    if _folds(scaling, first):
        layers = [scaling.folded(first), *others]
    else:
        layers = [scaling.layer(model.encoder.input_shape[1:]), first, *others]
    encoder = _sequence(model.encoder, layers)
    common = {"n_clusters": model.n_clusters, "alpha": model.alpha, "dtype": model.clustering.dtype_policy}
    if isinstance(model, IDEC):
        decoder = out_of_model(model.decoder, scaling)
        whole = IDEC(encoder, decoder, gamma=model.gamma, **common)
    else:
        whole = DEC(encoder, **common)
    if model.placed:
        whole.centroids = model.centroids
    return whole


def out_of_model(decoder: keras.Model, scaling: Scaling) -> keras.Model:
    """Return a decoder with the same weights that returns unscaled rows, or the decoder itself for "none"."""
    if scaling.method == "none":
        return decoder
    *others, last = _layers(decoder)
    if _folds(scaling, last) and last.activation is keras.activations.linear:
        return _sequence(decoder, [*others, scaling.folded(last, invert=True)])
    return _sequence(decoder, [*others, last, scaling.layer(decoder.output_shape[1:], invert=True)])


def _folds(scaling: Scaling, layer: keras.Layer) -> bool:
    """Return whether the scaling goes into the weights of a layer, because a config in .h5 could not hold it."""
    wide = np.size(scaling.mean) > _MOST_IN_CONFIG
    return wide and isinstance(layer, keras.layers.Dense) and layer.compute_dtype not in HALF_PRECISION


def _short(values: Array | float) -> Any:
    """Return numbers as lists, with the digits that float32 has."""
    values = np.asarray(values)
    return np.reshape([float(str(value)) for value in values.astype("float32").flat], values.shape).tolist()


def _layers(model: keras.Model) -> list[keras.Layer]:
    return model.layers if isinstance(model, keras.Sequential) else [model]


def _sequence(model: keras.Model, layers: Sequence[keras.Layer | None]) -> keras.Sequential:
    return keras.Sequential([keras.Input(model.input_shape[1:]), *layers], name=model.name)


def _standard(x: RowArray, channels: int | None = None) -> Scaling:
    from sklearn.preprocessing import StandardScaler  # slow to import, and needed only when training starts

    scaler, indicators = StandardScaler(), np.True_
    for _, block in row_views.blocks(x):
        rows = np.asarray(block, np.float64).reshape((len(block), -1) if channels is None else (-1, channels))
        scaler.partial_fit(rows)
        indicators &= ((rows == 0) | (rows == 1)).all(axis=0)
    shape = x.shape[1:] if channels is None else (channels,)
    feature = "Feature" if channels is None else "Channel"
    mean, divisor = scaler.mean_.reshape(shape), np.where(indicators, 1.0, scaler.scale_).reshape(shape)
    extreme = np.flatnonzero((divisor < 1 / _LARGEST) | (divisor > _LARGEST))
    if extreme.size:
        raise ValueError(
            f"{feature} {extreme[0]} should have a standard deviation from {1 / _LARGEST:g} to {_LARGEST:g}. "
            f"Received: {divisor.flat[extreme[0]]:g}. Give it in another unit."
        )
    coarse = np.flatnonzero((np.abs(mean) > _COARSE * divisor) & (scaler.var_.reshape(shape) > 0))
    if coarse.size:
        warn(
            f"{feature} {coarse[0]} varies by {divisor.flat[coarse[0]]:g} about a mean of {mean.flat[coarse[0]]:g}, "
            "which float32 tells apart badly. Subtract a round number from it first.",
        )
    if channels is not None:
        times = int(np.prod(x.shape[1:])) // channels
        mean, divisor = (np.tile(values, times).reshape(x.shape[1:]) for values in (mean, divisor))
    return Scaling("standard", mean, divisor, channels)


def _largest(x: RowArray) -> Scaling:
    largest, whole = 0.0, True
    for _, block in row_views.blocks(x):
        block = np.asarray(block)
        if block.dtype.kind in "bu" or (block.dtype.kind == "i" and block.dtype.itemsize < 8):
            block = block.astype(np.float64)  # It can represent the absolute value of the smallest integer.
        largest = max(largest, float(np.abs(block).max()))
        whole = whole and bool((block == np.rint(block)).all()) and float(block.min()) >= 0
    # 8-bit pixels hardly ever take all of their values, but usually more than half of them.
    if whole and _HALF_OF_8_BITS < largest <= _LARGEST_OF_8_BITS:
        largest = _LARGEST_OF_8_BITS
    return Scaling("largest", divisor=max(largest, 1.0))


def _pixels(x: RowArray, channels: int) -> Array:
    """Return the pixels of evenly spaced rows, some four million at most: an (n_pixels, channels) float64 array."""
    step = math.ceil(len(x) * math.prod(x.shape[1:]) / _PIXELS)
    rows = [np.asarray(block[-first % step :: step], np.float64) for first, block in row_views.blocks(x)]
    return np.concatenate(rows).reshape(-1, channels)


def _range(x: RowArray, pixels: Array) -> Scaling:
    low, high = np.quantile(pixels, (_DARKEST, _BRIGHTEST), axis=0)
    few = low == high  # A channel with fewer bright pixels than that has only these.
    low, high = np.where(few, pixels.min(axis=0), low), np.where(few, pixels.max(axis=0), high)
    divisor = np.where(high > low, high - low, 1.0)
    if len(low) == 1:
        return Scaling("range", float(low[0]), float(divisor[0]), 1)
    if x.shape[-1] != len(low):  # Flat rows; otherwise NumPy and Keras repeat them for all pixels.
        low, divisor = (np.tile(values, x.shape[-1] // len(values)) for values in (low, divisor))
    return Scaling("range", low, divisor, pixels.shape[1])


def _unit(x: RowArray) -> Scaling:
    squares: Any = sum(np.square(block, dtype=np.float64).sum(axis=0) for _, block in row_views.blocks(x))
    total = float(np.sum(squares))
    if not row_views.comparable(squares):
        warn(
            f"Feature {int(np.argmax(squares))} and others are so large that half of the features hardly count, since "
            "all are divided by one number. Divide the large ones by their standard deviations, or pass a dense array, "
            "whose features are scaled one by one."
        )
    mean = total / np.prod(x.shape, dtype=np.float64)
    return Scaling("unit", divisor=float(np.sqrt(mean)) or 1.0)
