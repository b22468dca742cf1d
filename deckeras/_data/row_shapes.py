"""The shapes of rows: which are series, and which are images."""

from __future__ import annotations

from deckeras._typing import Shape

_MIN_SIDE = 4  # pixels of an image
_MAX_RATIO = 2  # of the longer side of an image to the shorter, exclusive


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
