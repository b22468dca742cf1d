"""Checks of single values, such as those of a recipe: functions that take a name and a value and return the value."""

from __future__ import annotations

import numbers
import random
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from deckeras._data import checks

Check: TypeAlias = Callable[[str, Any], Any]  # raises a ValueError that names value and expectation


def or_none(check: Check) -> Check:
    """Return a check that also accepts None."""
    return lambda name, value: None if value is None else check(name, value)


def count_or_zero(name: str, value: Any) -> int:
    """Check that a value is a whole number of at least 0."""
    zero = isinstance(value, int | np.integer) and not isinstance(value, bool) and value == 0
    return 0 if zero else checks.check_count(name, value)


def number(expected: str, holds: Callable[[float], bool]) -> Check:
    """Check that a value is a number for which `holds` is true."""

    def check(name, value):
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not holds(float(value)):
            raise ValueError(f"{name} should be {expected}. Received: {name}={value!r}")
        return value.item() if isinstance(value, np.generic) else value

    return check


fraction = number("from 0 to 1", lambda value: 0 <= value <= 1)


def instance(expected: str, *classes: Any) -> Check:
    """Check that a value is of one of the classes."""

    def check(name, value):
        if not isinstance(value, classes):
            raise ValueError(f"{name} should be {expected}. Received: {name}={value!r}")
        return value

    return check


def shape(*lengths: int) -> Check:
    """Check that a value is a sequence of sizes, of one of these lengths. It is returned as a tuple."""

    def check(name, value):
        if not isinstance(value, list | tuple | np.ndarray) or len(value) not in lengths:
            sizes = " or ".join(map(str, lengths))
            raise ValueError(f"{name} should be a tuple of {sizes} sizes. Received: {name}={value!r}")
        return tuple(checks.check_count(name, size) for size in value)

    return check


def of_keras(what: str, get: Callable[[Any], Any]) -> Check:
    """Check that a value is a Keras object, or the name of one, by Keras's function `get`."""

    def check(name, value):
        state = random.getstate()  # from which Keras draws the seed of an initializer that it makes
        try:
            known = get(value) is not None
        except (TypeError, ValueError):
            known = False
        finally:
            random.setstate(state)
        if not known:
            raise ValueError(f"{name} should be a Keras {what} or its name. Received: {name}={value!r}")
        return value

    return check


def choice(*choices: str, function: bool = False) -> Check:
    """Check that a value is one of these texts or, with `function`, a function."""

    def check(name, value):
        if (function and callable(value)) or (isinstance(value, str) and value in choices):
            return value
        listed = ", ".join(map(repr, choices)) + (" or a function" if function else "")
        raise ValueError(f"{name} should be one of {listed}. Received: {name}={value!r}")

    return check
