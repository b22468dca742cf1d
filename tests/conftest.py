import os

# Before TensorFlow is imported anywhere: its start-up messages say nothing about a test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import subprocess
import sys

import keras
import numpy as np
import pytest

import deckeras


@pytest.fixture(scope="session")
def blobs():
    """(x, y): 300 rows of 8 features, three well separated groups, in the order of the groups."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 100)
    x = random.normal(size=(300, 8)) / 2 + 4 * np.eye(3, 8)[y]
    return x.astype("float32"), y


@pytest.fixture
def encoder():
    """An untrained encoder of 8 features into 2, the same at every call."""
    return deckeras.dense_autoencoder(8, units=(16, 2))[0]


@pytest.fixture
def run_python(tmp_path):
    """Run Python source in a process of its own, in an empty directory, and return what it printed."""

    def run(source, check=True):
        result = subprocess.run(
            [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert not check or result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture(autouse=True)
def _clean_keras():
    yield
    keras.config.set_dtype_policy("float32")
