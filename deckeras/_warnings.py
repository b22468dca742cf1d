"""Warnings that name the user's line, however deep in the package they arise."""

from __future__ import annotations

import inspect
import warnings

# Through which calls of the package pass: Keras's and contextlib's wrappers, scikit-learn's pipelines and searches.
_PASSED = frozenset({"deckeras", "keras", "sklearn", "contextlib", "joblib"})


def warn(message: str) -> None:
    """Issue a UserWarning at the innermost line that is neither of this package nor of a library that it passes."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
