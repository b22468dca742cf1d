"""The shapes of rows: which are series, which are images, and in which order their axes are."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from deckeras._typing import Array, RowArray, Shape
from deckeras._warnings import warn

_MIN_SIDE = 4  # pixels of an image
_MAX_RATIO = 2  # of the longer side of an image to the shorter, exclusive
_CHANNELS = (1, 2, 3, 4)  # numbers of channels that are more likely than such a side
_SAMPLE_ROWS = 1000  # series that show how smooth the values are
_SAMPLE_VALUES = 2**18  # values of these series, at most
_SAMPLE_SHAPE = (64, 4096)  # values along the axes of a series, at most
# Axes are told apart by mean absolute differences between neighbors along them.
_SMOOTHER = 0.5  # ratio of those along the last axis to those along the middle one, below which the last one is time
_IN_ORDER = 0.75  # ratio of those along the last axis to differences between any two; 1 for values in random order
_CLEARLY_IN_ORDER = 0.5  # the same if the middle axis has only one value


def looks_like_series(shape: Shape) -> bool:
    """Return whether a row of this shape is a series of channels rather than an image.

    Args:
        shape: tuple, the shape of a row.

    Returns:
        bool, False for all shapes but (a, b). Such a row is an image if both sides have at least 4 pixels and neither
        is twice as long as the other, else a series.

    Example:
        >>> from deckeras._data.row_shapes import looks_like_series
        >>> looks_like_series((128, 3)), looks_like_series((28, 28)), looks_like_series((32, 32, 3))
        (True, False, False)
    """
    return len(shape) == 2 and (min(shape) < _MIN_SIDE or max(shape) >= _MAX_RATIO * min(shape))


def channels_first(shape: Shape) -> bool:
    """Return whether an array of this shape holds images in the layout of PyTorch, (n, channels, height, width).

    The last axis then has more than 4 values. The second one has at most 4, or fewer than the sides of a square image.

    Example:
        >>> from deckeras._data.row_shapes import channels_first
        >>> channels_first((60, 3, 32, 24)), channels_first((60, 13, 64, 64)), channels_first((60, 32, 32, 3))
        (True, True, False)
    """
    if len(shape) != 4 or shape[3] in _CHANNELS:
        return False
    return shape[1] in _CHANNELS or shape[1] < shape[2] == shape[3]


def rows_last(shape: Shape, *, matlab: bool) -> bool:
    """Return whether an array of this shape holds images in the layout of MATLAB, (height, width[, channels], n).

    Args:
        shape: tuple.
        matlab: bool, True if MATLAB may have written the array. Otherwise only those of 1 to 4 channels are recognized.

    Example:
        >>> from deckeras._data.row_shapes import rows_last
        >>> rows_last((28, 28, 500), matlab=True), rows_last((28, 28, 500), matlab=False)
        (True, False)
    """
    if len(shape) not in (3, 4) or shape[0] != shape[1]:
        return False
    if len(shape) == 3:
        return matlab and shape[2] > shape[0]
    return shape[3] not in _CHANNELS and (shape[2] in _CHANNELS or (matlab and shape[2] < shape[0]))


def check_image_shape(image_shape: Any) -> None:
    """Raise a ValueError if the shape of the image in a flat row looks like (channels, height, width).

    Args:
        image_shape: as for the estimator. Values of other kinds are not checked here.
    """
    shape = tuple(image_shape) if isinstance(image_shape, tuple | list | np.ndarray) else ()
    if len(shape) != 3 or not all(isinstance(size, numbers.Integral) for size in shape):
        return
    channels, height, width = map(int, shape)
    if channels_first((1, channels, height, width)):
        raise ValueError(
            f"image_shape should be (height, width, channels). Received: image_shape={(channels, height, width)}, "
            "which looks like (channels, height, width). Pass "
            f"numpy.moveaxis(numpy.reshape(X, (-1, {channels}, {height}, {width})), 1, 3) as X, without image_shape. "
            "If the rows already hold the channels of each pixel together, pass "
            f"image_shape={(height, width, channels)}."
        )


def warn_if_transposed(x: RowArray, shape: Shape, *, flat: bool = False) -> None:
    """Warn of series that look like (channels, time), as PyTorch's Conv1d, MNE and aeon hold them.

    The last axis of such series is longer than the one before it, and their values vary more smoothly along it. At most
    1,000 series are compared.

    Args:
        x: (n, time * channels) or (n, time, channels) array or `sources.Blocks`.
        shape: (time, channels), the shape of a series.
        flat: bool, default False: whether the user's rows are flat.

    Warns:
        UserWarning: the channels look like times.
    """
    times, channels = shape
    if channels <= times:
        return
    a, b = np.minimum(shape, _SAMPLE_SHAPE)
    n_rows = min(_SAMPLE_ROWS, max(1, _SAMPLE_VALUES // (a * b)))
    sample = np.reshape(x[:n_rows], (-1, times, channels))[:, :a, :b].astype(np.float64)
    if not _smooth_along_last(sample):
        return
    series = f"numpy.reshape(X, (-1, {times}, {channels}))" if flat else "X"
    warn(
        f"Each series is read as {times} times of {channels} channels, but the values vary more smoothly from channel "
        f"to channel. Pass numpy.moveaxis({series}, 1, 2) if these are {times} channels of {channels} times."
    )


def _smooth_along_last(series: Array) -> bool:
    """Return whether (n, a, b) values are smoother along the last axis than along the middle one."""
    if series.shape[1] == 1:
        return _order(series) < _CLEARLY_IN_ORDER
    along_middle, along_last = (np.abs(np.diff(series, axis=axis)).mean() for axis in (1, 2))
    # Channels that all measure almost the same differ little, too, but are in no order.
    return bool(along_last < _SMOOTHER * along_middle) and _order(series) < _IN_ORDER


def _order(series: Array) -> float:
    """Return the mean difference between neighbors along the last axis, divided by that between any two values.

    It is computed from the ranks, so that one channel in a large unit does not decide. It is 1 if no values differ.
    """
    from scipy.stats import rankdata

    b = series.shape[2]
    ranks = rankdata(series, axis=2)
    neighbors = np.abs(np.diff(ranks, axis=2)).mean(axis=(0, 2))
    # The sum of the differences between any two of b sorted values counts each value by its place.
    pairs = (np.sort(ranks, axis=2) @ (2.0 * np.arange(b) - b + 1)).mean(axis=0) / (b * (b - 1) / 2)
    varies = pairs > 0
    return float((neighbors[varies] / pairs[varies]).mean()) if varies.any() else 1.0
