"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import h5py
import numpy as np
import pytest

import deckeras

MODULES = sorted(module.name for module in pkgutil.iter_modules(deckeras.__path__))


@pytest.fixture
def dec_keras_files(tmp_path, monkeypatch):
    """The two weight files that an example reads, in the directory in which the examples run."""
    monkeypatch.chdir(tmp_path)
    encoder, decoder = deckeras.dense_autoencoder(784)
    layers = {
        layer.name: dict(zip(["kernel:0", "bias:0"], layer.get_weights(), strict=True))
        for layer in (*encoder.layers, *decoder.layers)
    }
    layers["clustering"] = {"clusters:0": np.zeros((10, 10))}
    for name in "ae_weights.h5", "DEC_model_final.h5":
        with h5py.File(name, "w") as file:
            file.attrs["layer_names"] = [np.bytes_(layer) for layer in layers]
            for layer, weights in layers.items():
                group = file.create_group(layer)
                group.attrs["weight_names"] = [np.bytes_(f"{layer}/{weight}") for weight in weights]
                for weight, value in weights.items():
                    group[f"{layer}/{weight}"] = value


@pytest.mark.usefixtures("dec_keras_files")
@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"deckeras.{name}")
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_public_names_have_docstrings():
    for name in deckeras.__all__:
        assert getattr(deckeras, name).__doc__, name
