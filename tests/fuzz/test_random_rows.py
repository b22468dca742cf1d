"""Rows, labels and arguments at random: each entry point gives a right answer, or an error of deckeras.

300 cases, always the same, run with the other tests; 10,000 new ones by `-m long`. A case that fails is printed with
the seed that repeats it.
"""

import pathlib
import traceback
import warnings

import hypothesis
import keras
import numpy as np
import pandas
import pytest
from hypothesis import strategies as st
from scipy import sparse

import deckeras
from deckeras import DEC, IDEC, DeepEmbeddedClustering, dense_autoencoder

PACKAGE = pathlib.Path(deckeras.__file__).parent
WIDTH = 3
ROWS = np.random.default_rng(0).normal(size=(8, WIDTH))
ODD_NUMBERS = [0.0, -0.0, 1e-45, 1e-20, 1.0, -1.0, 1e6, 1e18, 1e29, 1e38, 1e300, np.nan, np.inf, -np.inf]
# scikit-learn's own words for what its checks of estimators ask for.
WORDS_OF_SCIKIT_LEARN = (
    "Complex data",
    "Reshape your data",
    "string or a real number",
    "features",
    "sample(s)",
    "feature names",
)


class Models:
    """Models that are made once; what is fitted is fitted anew from the same weights."""

    def __init__(self):
        recipe = deckeras.recipes.get(
            "table", units=(4, 2), epochs=1, min_pretraining_iterations=1, n_init=1, init="kmeans"
        )
        self.recipe = deckeras.recipes.get(recipe, updates=1, max_iterations=2)
        self.encoder, self.decoder = dense_autoencoder(WIDTH, units=(4, 2))
        self.dec, self.idec = DEC(self.encoder, 2), IDEC(self.encoder, self.decoder, 2)
        self.dec.centroids = self.idec.centroids = np.eye(2)
        self.estimator = DeepEmbeddedClustering(2, recipe=self.recipe, max_iter=2, random_state=0).fit(ROWS)
        self.weights = self.dec.get_weights(), self.decoder.get_weights()

    def renew(self):
        self.dec.set_weights(self.weights[0])
        self.decoder.set_weights(self.weights[1])
        self.dec.optimizer = self.idec.optimizer = None
        self.dec.compiled = self.idec.compiled = False


@pytest.fixture(scope="module")
def models():
    with warnings.catch_warnings(action="ignore"):
        import tensorflow as tf

        if keras.config.backend() == "tensorflow":
            tf.config.run_functions_eagerly(True)
        yield Models()
        tf.config.run_functions_eagerly(False)


def fit_estimator(models, x):
    return DeepEmbeddedClustering(2, recipe=models.recipe, max_iter=2, random_state=0).fit(x).predict_proba(x)


def fit_dec(models, x):
    models.dec.fit(x, recipe=models.recipe, max_iterations=2, verbose=0)
    return models.dec.get_weights()


def fit_idec(models, x):
    models.idec.fit(x, recipe=models.recipe, max_iterations=2, verbose=0)
    return models.idec.get_weights()


def pretrain(models, x):
    deckeras.pretrain_autoencoder(models.encoder, models.decoder, x, iterations=1, verbose=0)
    return models.encoder.get_weights()


def choose(models, x):
    return deckeras.selection.choose_n_clusters(x, [2], recipe=models.recipe).n_clusters


PREDICTING = {
    "dec.predict": lambda models, x: models.dec.predict(x, verbose=0),
    "dec.embed": lambda models, x: models.dec.embed(x, verbose=0),
    "dec.predict_clusters": lambda models, x: models.dec.predict_clusters(x, verbose=0),
    "idec.predict": lambda models, x: models.idec.predict(x, verbose=0),
    "estimator.predict": lambda models, x: models.estimator.predict(x),
    "estimator.predict_proba": lambda models, x: models.estimator.predict_proba(x),
    "estimator.transform": lambda models, x: models.estimator.transform(x),
    "estimator.score": lambda models, x: models.estimator.score(x),
}
TRAINING = {
    "dec.fit": fit_dec,
    "idec.fit": fit_idec,
    "pretrain": pretrain,
    "estimator.fit": fit_estimator,
    "choose_n_clusters": choose,
}


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    @property
    def num_batches(self):
        return len(self.batches)

    def __getitem__(self, number):
        return self.batches[number]


def frame(x, names):
    x = np.asarray(x)
    return pandas.DataFrame(x.reshape(len(x), -1), columns=(names * x.size)[: x.reshape(len(x), -1).shape[1]])


CONTAINERS = {
    "array": lambda x, _: x,
    "list": lambda x, _: x.tolist(),
    "objects": lambda x, odd: np.array([odd, *x.astype(object).ravel()[1:]], object).reshape(x.shape),
    "sparse": lambda x, _: sparse.csr_matrix(x.reshape(len(x), -1)),
    "frame": lambda x, _: frame(x, ["a", "b", "c", "d"]),
    "names twice": lambda x, _: frame(x, ["a"]),
    "numbered": lambda x, _: frame(x, [0, 1, 2]),
    "mixed names": lambda x, _: frame(x, ["a", 1]),
    "nullable": lambda x, _: frame(x, ["a", "b", "c", "d"]).convert_dtypes(),
    "series": lambda x, _: pandas.Series(x.ravel()),
    "batches": lambda x, _: Batches([x[:5], x[5:]]),
    "batches of pairs": lambda x, _: Batches([(x[:5], x[:5]), (x[5:], x[5:])]),
    "batches of dicts": lambda x, _: Batches([{"a": x}]),
    "dict": lambda x, _: {"a": x},
    "text": lambda x, _: x.astype(str),
    "one row": lambda x, _: x[0],
    "nothing": lambda x, _: x[:0],
    "none": lambda *_: None,
    "number": lambda *_: 3,
    "iterator": lambda x, _: iter(x),
    "columns first": lambda x, _: np.asfortranarray(x),
    "every other": lambda x, _: np.repeat(x, 2, axis=0)[::2],
    "other byte order": lambda x, _: x.astype(x.dtype.newbyteorder()) if x.dtype.kind in "fiu" else x,
}
DTYPES = ["float64", "float32", "float16", "int64", "uint8", "int8", "bool", "complex64", "datetime64[s]"]
SHAPES = [(8, WIDTH), (8, WIDTH), (2, WIDTH), (1, WIDTH), (8, 2), (8,), (8, 3, 1), (3, 4, 4, 1)]
ODD_OBJECTS = [None, pandas.NA, pandas.NaT, "a", b"a", [1], {}, 10**400, True]


@st.composite
def rows(draw):
    """What a caller could give for x: numbers of any kind, shape and size, in any container."""
    shape = draw(
        st.sampled_from([(8, WIDTH), (8, WIDTH), (2, WIDTH), (1, WIDTH), (8, 2), (8,), (8, 3, 1), (3, 4, 4, 1)])
    )
    x = np.resize(ROWS, shape) * draw(st.sampled_from([1.0, 1.0, 0.0, 1e-30, 1e3, 1e17, 1e25, 1e37, 1e300]))
    for _ in range(draw(st.integers(0, 2))):
        x.flat[draw(st.integers(0, x.size - 1))] = draw(st.sampled_from(ODD_NUMBERS))
    with warnings.catch_warnings(action="ignore"):
        x = x.astype(draw(st.sampled_from(DTYPES)))
        kind = draw(st.sampled_from(sorted(CONTAINERS)))
        try:
            return kind, CONTAINERS[kind](x, draw(st.sampled_from(ODD_OBJECTS)))
        except (ValueError, TypeError, IndexError):  # There is no such container of these numbers.
            hypothesis.reject()


def of_deckeras(error):
    """Return whether an error was raised in deckeras, or is one that scikit-learn's checks ask for."""
    place = pathlib.Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return place.is_relative_to(PACKAGE) or any(words in str(error) for words in WORDS_OF_SCIKIT_LEARN)


def check(name, function, models, x):
    models.renew()
    with warnings.catch_warnings(action="ignore"):
        try:
            found = function(models, x)
        except (ValueError, TypeError, FloatingPointError) as error:
            if of_deckeras(error):
                return
            raise AssertionError(f"{name} raises an error of another library") from error
    for values in found if isinstance(found, list) else [found]:
        assert np.isfinite(values).all(), f"{name} returns NaN"


SETTINGS = {
    "deadline": None,
    "print_blob": True,
    "database": None,
    "suppress_health_check": list(hypothesis.HealthCheck),
}


def search(models, functions, examples):
    @hypothesis.settings(max_examples=examples, derandomize=examples < 1000, **SETTINGS)
    @hypothesis.given(st.sampled_from(sorted(functions)), rows())
    def run(name, made):
        check(name, functions[name], models, made[1])

    run()


def test_predictions_are_right_or_refused(models):
    search(models, PREDICTING, 260)


def test_trainings_are_right_or_refused(models):
    search(models, TRAINING, 40)


@pytest.mark.long
@pytest.mark.parametrize("functions", [PREDICTING, TRAINING], ids=["predictions", "trainings"])
def test_many_are_right_or_refused(functions, models):
    search(models, functions, 5000)
