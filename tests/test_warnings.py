"""Warnings name the user's line, however deep in the package they arise."""

import errno
import os
import pathlib

import keras
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import deckeras
from deckeras import DEC, DeepEmbeddedClustering, dense_autoencoder, pretrain_autoencoder, recipes, scaling

X = np.random.default_rng(0).normal(size=(60, 5)).astype("float32")
APART = np.array([[0.0, 0.0], [90.0, 90.0]])
LITTLE = {"units": (4, 2), "epochs": 1, "min_pretraining_iterations": 1, "updates": 1, "n_init": 1}
SHORT = recipes.get("table", init=lambda z, n_clusters: APART, **LITTLE)


def clusters_lost_in_a_model():
    DEC(dense_autoencoder(5, units=(4, 2))[0], 2).fit(X, centroids=APART, max_iterations=1, verbose=0)


def clusters_lost_in_an_estimator():
    DeepEmbeddedClustering(2, recipe=SHORT, verbose=0, random_state=0).fit(X)


def clusters_lost_in_a_pipeline():
    make_pipeline(FunctionTransformer(), DeepEmbeddedClustering(2, recipe=SHORT, verbose=0, random_state=0)).fit(X)


def features_that_float32_tells_apart_badly():
    scaling.fit(np.array([[1.6e9], [1.6e9 + 2]]))


def the_same_in_an_estimator():
    DeepEmbeddedClustering(2, recipe=SHORT, verbose=0, random_state=0).fit(X + np.array([1e9, 0, 0, 0, 0]))


def channels_first():
    images = np.random.default_rng(0).random((60, 3, 8, 6)).astype("float32")
    DeepEmbeddedClustering(2, recipe=recipes.get("images", **LITTLE), verbose=0, random_state=0).fit(images)


def another_optimizer():
    for optimizer in keras.optimizers.SGD(0.01), keras.optimizers.Adam(0.01):
        model = DEC(dense_autoencoder(5, units=(4, 2))[0], 2)
        model.compile(optimizer)
        model.fit(X, centroids=0.1 * APART, tol=0.0, max_iterations=1, checkpoint_dir="run", verbose=0)


def no_locks():
    pretrain_autoencoder(*dense_autoencoder(5, units=(4, 2)), X, epochs=1, checkpoint_dir="run", verbose=0)


CASES = {
    clusters_lost_in_a_model: "No row was assigned",
    clusters_lost_in_an_estimator: "No row was assigned",
    clusters_lost_in_a_pipeline: "No row was assigned",
    features_that_float32_tells_apart_badly: "float32 tells apart badly",
    the_same_in_an_estimator: "float32 tells apart badly",
    channels_first: "is read as images",
    another_optimizer: "written with another optimizer",
    no_locks: "has no locks",
}


@pytest.fixture
def without_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "lockf", refuse)


@pytest.mark.filterwarnings("ignore:No row was assigned")
@pytest.mark.parametrize("user", CASES, ids=lambda user: user.__name__)
def test_warnings_name_the_users_line(user, request, tmp_path, monkeypatch, eagerly):
    monkeypatch.chdir(tmp_path)
    if user is no_locks:
        request.getfixturevalue("without_locks")
    with pytest.warns(UserWarning, match=CASES[user]) as warned:
        user()
    (warning,) = [each for each in warned if CASES[user] in str(each.message)]
    first = user.__code__.co_firstlineno
    lines = {line for *_, line in user.__code__.co_lines() if line}
    assert pathlib.Path(warning.filename) == pathlib.Path(__file__)
    assert warning.lineno in lines - {first}


def test_each_warning_of_the_package_is_issued_this_way():
    """By hand, one counts the calls in between, which differ by the way in."""
    root = pathlib.Path(deckeras.__file__).parent
    found = [path.name for path in root.rglob("*.py") if "warnings.warn(" in path.read_text()]
    assert found == ["_warnings.py"]
