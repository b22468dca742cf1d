"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import deckeras

MODULES = sorted({module.name for module in pkgutil.iter_modules(deckeras.__path__)} - {"__main__"})


@pytest.mark.usefixtures("users_directory")
@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"deckeras.{name}")
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_public_names_have_docstrings():
    for name in deckeras.__all__:
        assert getattr(deckeras, name).__doc__, name
