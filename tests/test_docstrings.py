"""Every example in a docstring runs and prints what the docstring shows."""

import doctest
import importlib
import pkgutil

import pytest

import deckeras

PAPER = ["cells", "experiments", "spectral"]
MODULES = [module.name for module in pkgutil.walk_packages(deckeras.__path__, "deckeras.")] + PAPER
MODULES = sorted(set(MODULES) - {"deckeras.__main__"})


@pytest.mark.usefixtures("users_directory", "whole_layouts")
@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_public_names_have_docstrings():
    for name in deckeras.__all__:
        assert getattr(deckeras, name).__doc__, name
