"""Check the types of reader options before a file is opened."""

import contextlib
import functools
import inspect

import numpy as np


def checked(function):
    """Check the options of a reader. None is passed on, except for lists; a str for a list becomes a tuple of one.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a number is too small.
    """

    signature = inspect.signature(function)

    @functools.wraps(function)
    def reader(*args, **options):
        given = signature.bind(*args, **options)
        for name, value in given.arguments.items():
            if name in _CHECKS and (value is not None or _CHECKS[name] is _texts):
                given.arguments[name] = _CHECKS[name](name, value)
        return function(*given.args, **given.kwargs)

    return reader


def _text(name, value):
    if not isinstance(value, str):
        raise TypeError(f"{name} should be a str. Received: {name}={value!r}")
    if not value:
        raise ValueError(f"{name} should not be empty. Received: {name}={value!r}")
    return value


def _texts(name, value):
    if value is None:
        return ()
    found = None
    if not isinstance(value, bytes | dict):
        with contextlib.suppress(TypeError):  # not iterable
            found = (value,) if isinstance(value, str) else tuple(value)
    if found is None or not all(isinstance(each, str) for each in found):
        raise TypeError(f"{name} should be a str or a list of them. Received: {name}={value!r}")
    return tuple(map(str, found))


def _flag(name, value):
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} should be True or False. Received: {name}={value!r}")
    return bool(value)


def _number_from(least):
    def check(name, value):
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise TypeError(f"{name} should be a whole number. Received: {name}={value!r}")
        if value < least:
            raise ValueError(f"{name} should be at least {least}. Received: {name}={value!r}")
        return int(value)

    return check


def _shape(expected, *lengths):
    def check(name, value):
        if not isinstance(value, list | tuple | np.ndarray) or len(value) not in lengths:
            raise TypeError(f"{name} should be {expected}. Received: {name}={value!r}")
        if not all(isinstance(side, int | np.integer) and not isinstance(side, bool) for side in value):
            raise TypeError(f"{name} should be whole numbers. Received: {name}={value!r}")
        if min(value) < 1:
            raise ValueError(f"{name} should be numbers of at least 1. Received: {name}={value!r}")
        return tuple(map(int, value))

    return check


_CHECKS = {
    **dict.fromkeys(
        ("key", "names", "labels", "text", "missing", "sep", "comment", "decimal", "thousands", "encoding"), _text
    ),
    **dict.fromkeys(("drop", "one_hot", "na"), _texts),
    **dict.fromkeys(("header", "color", "folder_labels", "skip_broken", "need_terms"), _flag),
    "skip": _number_from(0),
    "image_size": _number_from(1),
    "image_shape": _shape("(height, width) or (height, width, channels)", 2, 3),
    "size": _shape("(height, width)", 2),
}
