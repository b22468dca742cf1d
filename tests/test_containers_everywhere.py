"""Every entry point refuses input that is not a table of numbers with the same message, before anything is trained."""

import keras
import numpy as np
import pandas
import pytest
from scipy import sparse

import deckeras
from deckeras import DEC, IDEC, DeepEmbeddedClustering, dense_autoencoder

N, WIDTH = 12, 4
X = np.random.default_rng(0).normal(size=(N, WIDTH))
FRAME = pandas.DataFrame(X, columns=list("abcd"))


class Entries:
    """The functions that take rows, of models that are made once."""

    def __init__(self):
        recipe = deckeras.recipes.get(
            "table", units=(4, 2), epochs=1, min_pretraining_iterations=2, n_init=1, init="kmeans"
        )
        self.models = dense_autoencoder(WIDTH, units=(4, 2))
        encoder, decoder = self.models
        dec, idec = DEC(encoder, 2), IDEC(encoder, decoder, 2)
        dec.centroids = idec.centroids = np.eye(2)
        self.estimator = DeepEmbeddedClustering(2, recipe=recipe, epochs=1, max_iter=2, random_state=0).fit(X)
        fit = {"max_iterations": 2, "verbose": 0}
        self.training = {
            "dec.fit": lambda x: dec.fit(x, **fit),
            "idec.fit": lambda x: idec.fit(x, **fit),
            "pretrain": lambda x: deckeras.pretrain(*self.models, x, recipe, verbose=0),
            "pretrain_autoencoder": lambda x: deckeras.pretrain_autoencoder(*self.models, x, iterations=2, verbose=0),
            "pretrain_layerwise": lambda x: deckeras.pretrain_layerwise(
                *self.models, x, iterations=2, finetune_iterations=2, verbose=0
            ),
            "initialize_centroids": lambda x: DEC(encoder, 2).initialize_centroids(x, recipe=recipe),
            "refit_decoder": lambda x: deckeras.refit_decoder(*self.models, x, iterations=2, verbose=0),
            "estimator.fit": lambda x: DeepEmbeddedClustering(2, recipe=recipe, max_iter=2, random_state=0).fit(x),
            "choose_n_clusters": lambda x: deckeras.selection.choose_n_clusters(x, [2], recipe=recipe),
        }
        names = ("predict", "predict_proba", "transform", "score", "verdict")
        self.predicting = {
            **{f"dec.{name}": getattr(dec, name) for name in ("predict", "embed", "predict_clusters")},
            **{f"idec.{name}": getattr(idec, name) for name in ("predict", "embed", "predict_clusters")},
            **{f"estimator.{name}": getattr(self.estimator, name) for name in names},
        }
        self.all = {**self.training, **self.predicting}


@pytest.fixture(scope="module")
def entries():
    return Entries()


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    @property
    def num_batches(self):
        return self.batches and len(self.batches)

    def __getitem__(self, number):
        return self.batches[number]


class Endless(Batches):
    num_batches = None


def tensorflow_data(x, batch_size=3, repeat=False):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(x)
    data = data.batch(batch_size) if batch_size else data
    return data.repeat() if repeat else data


def torch_tensor(x, **options):
    return pytest.importorskip("torch").tensor(x, **options)


def holed(value):
    cells = X.astype(object)
    cells[7, 2] = value
    return cells


BAD = {
    "Series": (lambda: FRAME["a"], "Received: a Series"),
    "names twice": (lambda: FRAME.set_axis(["a", "b", "a", "d"], axis=1), "several columns 'a'"),
    "NA": (lambda: holed(pandas.NA), "nan in row 7"),
    "NA in a list": (lambda: holed(pandas.NA).tolist(), "nan in row 7"),
    "text": (lambda: holed("a").tolist(), "numbers"),
    "rows of other lengths": (lambda: [[1.0] * 4, [1.0] * 3], "one shape"),
    "batches of dicts": (lambda: Batches([{"a": X[:6]}, {"a": X[6:]}]), "dict from a .*, of a"),
    "batches of other shapes": (lambda: Batches([X[:6], X[6:, :3]]), "shape"),
    "another shape": (lambda: Batches([X[:6, :3], X[6:, :3]]), r"shape|features"),
    "batches with NaN": (lambda: Batches([X[:6], np.full((6, 4), np.nan)]), "nan in row"),
    "endless batches": (lambda: Endless([X]), "an end"),
    "tf.data of dicts": (lambda: tensorflow_data({"a": X, "b": X}), "dict from a .*, of a, b"),
    "tf.data of another shape": (lambda: tensorflow_data(X[:, :3]), "shape|features"),
    "tf.data without batches": (lambda: tensorflow_data(X, 0), "Batch it first"),
    "tf.data without end": (lambda: tensorflow_data(X, repeat=True), "an end"),
    "columns in a dict": (lambda: {"a": X[:, 0], "b": X[:, 1]}, "numpy.asarray. Received: a dict, .*pandas.DataFrame"),
    "LazyFrame": (lambda: pytest.importorskip("polars").DataFrame(X).lazy(), "numpy.asarray. Received: a LazyFrame"),
    "path": (lambda: "rows.csv", "Received: a str, 'rows.csv'.* deckeras.files.read"),
    "None": (lambda: None, "numpy.asarray. Received: a NoneType"),
    "structured array": (lambda: np.array([(1.0, 2.0)] * N, dtype="f8, f8"), "real numbers. Received: dtype .*'f0'"),
    "sparse tensor": (lambda: torch_tensor(X).to_sparse(), "numpy.asarray. Received: a Tensor .*to_dense"),
    "tensor of complex numbers": (lambda: torch_tensor(X) * 1j, "real numbers|Complex data"),
    "tf.data of text": (lambda: tensorflow_data(X.astype(str)), "real numbers"),
}
OF_ONE_SHAPE = ("another shape", "tf.data of another shape")


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_table_of_numbers_is_refused_everywhere(kind, entries):
    make, message = BAD[kind]
    for name, function in entries.all.items():
        if kind in OF_ONE_SHAPE and name in ("choose_n_clusters", "estimator.fit"):
            continue  # which take rows of any shape
        with pytest.raises((ValueError, TypeError), match=message):
            raise_named(name, function, make())


def raise_named(name, function, x):
    try:
        function(x)
    except (ValueError, TypeError) as error:
        error.add_note(f"in {name}")
        raise
    raise AssertionError(f"{name} takes it")


@pytest.mark.parametrize("kind", ["PyDataset", "tf.data"])
def test_batches_with_labels_are_those_of_the_rows(kind, entries):
    labels = np.arange(N)
    own = Batches([(X[:6], labels[:6]), (X[6:], labels[6:])])
    x = own if kind == "PyDataset" else tensorflow_data((X, labels))
    for name, function in entries.predicting.items():
        if name not in ("estimator.score", "estimator.verdict"):
            np.testing.assert_allclose(function(x), function(X), rtol=1e-4, atol=1e-6)


FORMS = {
    "list": X.tolist,
    "sparse": lambda: sparse.csr_array(X),
    "PyDataset": lambda: Batches([X[:6], X[6:]]),
    "tf.data": lambda: tensorflow_data(X),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_stage_takes_rows_in_any_form(form):
    recipe = deckeras.recipes.get("table", units=(4, 2), epochs=20, min_pretraining_iterations=0, min_batch_size=1)
    found = []
    for x in X, FORMS[form]():
        encoder, decoder = recipe.autoencoder((WIDTH,))
        model = DEC(encoder, 2)
        model.initialize_centroids(x, recipe=recipe)
        history = deckeras.refit_decoder(encoder, decoder, x, deckeras.recipes.get(recipe, min_batches=4), verbose=0)
        found.append((model.centroids, history.history["loss"]))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-4)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-4)  # of as many epochs


def bfloat16(x):
    import tensorflow as tf

    return tf.cast(x, tf.bfloat16)


def loader(x):
    return pytest.importorskip("torch").utils.data.DataLoader(x, batch_size=5)


TENSORS = {
    "torch with gradients": lambda x: torch_tensor(x, requires_grad=True),
    "list of torch with gradients": lambda x: list(torch_tensor(x, requires_grad=True)),
    "DataLoader with gradients": lambda x: loader(torch_tensor(x, requires_grad=True)),
    "torch of bfloat16": lambda x: torch_tensor(x).bfloat16(),
    "DataLoader of bfloat16": lambda x: loader(torch_tensor(x).bfloat16()),
    "TensorFlow of bfloat16": bfloat16,
    "tf.data of bfloat16": lambda x: tensorflow_data(bfloat16(x)),
    "NumPy of bfloat16": lambda x: np.asarray(bfloat16(x)),
}


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:.*clusters came out")
@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_numpy_refuses_are_taken_everywhere(kind, entries):
    rounded = np.asarray(bfloat16(X)).astype("float32")  # which bfloat16 holds exactly
    for name, function in entries.predicting.items():
        if name != "estimator.verdict":
            found, expected = function(TENSORS[kind](rounded)), function(rounded)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=name)
    for function in entries.training.values():
        function(TENSORS[kind](rounded))


LEVELS = pandas.MultiIndex.from_product([["a", "b"], [1, 2]])


@pytest.mark.parametrize("columns", [LEVELS, range(4), [1.5, 2, 3, 4]])
def test_columns_whose_names_are_no_text_are_compared(columns):
    table = FRAME.set_axis(columns, axis=1)
    options = {"recipe": deckeras.recipes.get("table", units=(4, 2), init="kmeans"), "epochs": 1, "max_iter": 2}
    estimator = DeepEmbeddedClustering(2, random_state=0, **options).fit(table)
    np.testing.assert_array_equal(estimator.predict(table), estimator.labels_)
    np.testing.assert_array_equal(estimator.predict(X), estimator.labels_)
    with pytest.raises(ValueError, match="columns that the estimator was fitted to"):
        estimator.predict(table[table.columns[::-1]])


def test_columns_of_text_and_others():
    with pytest.raises(TypeError, match="names are all text"):
        DeepEmbeddedClustering(2).fit(FRAME.set_axis(["a", 1, "b", 2], axis=1))


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix])
def test_rows_too_large_to_compute_with(convert, entries):
    far = convert(np.sign(X) * 1e38)
    for name, function in entries.all.items():
        with pytest.raises(ValueError, match=r"numbers up to 1e\+30.* Received: -?1e\+38 in row 0"):
            raise_named(name, function, far)


def test_scale_that_float32_cannot_divide_by():
    for large in sparse.csr_matrix(X * 1e25), sparse.csr_matrix(X * 1e-25):
        with pytest.raises(ValueError, match="another unit"):
            deckeras.scaling.fit(large)
    with pytest.raises(ValueError, match="another unit"):
        deckeras.scaling.fit(X * 1e25, "largest")


@pytest.mark.parametrize(
    ("weight", "message"), [(1e38, "row 3, whose largest absolute value is 1e[+]10"), (np.nan, "They have diverged")]
)
def test_outputs_are_numbers(weight, message):
    encoder, _ = dense_autoencoder(WIDTH, units=(4, 2))
    encoder.layers[-1].set_weights([np.full((4, 2), weight), np.zeros(2)])
    encoder.layers[0].set_weights([np.eye(4), np.zeros(4)])
    x = np.ones((5, WIDTH)) / 100
    x[3] = 1e10
    with pytest.raises(ValueError, match=message):
        DEC(encoder, 2).embed(x)


@pytest.mark.parametrize("alpha", [1e-31, 1e-37, 1e-300, 0, 1e31])
def test_alpha_that_float32_cannot_divide_by(alpha):
    with pytest.raises(ValueError, match="alpha should be a positive number from"):
        DEC(dense_autoencoder(4, units=(4, 2))[0], 2, alpha=alpha)


@pytest.mark.parametrize("scale", [100, 1000])
def test_scale_is_said_to_be_the_cause_of_a_divergence(scale):
    model = IDEC(*dense_autoencoder(WIDTH, units=(8, 2)), 2)
    with pytest.raises(FloatingPointError, match="The scale of x is the cause"):
        model.fit(X * scale, init="kmeans", max_iterations=300, verbose=0)
    model = DEC(dense_autoencoder(WIDTH, units=(8, 2))[0], 2)
    model.compile(keras.optimizers.SGD(1e30))
    with pytest.raises(FloatingPointError, match="lower rate"):
        model.fit(X, init="kmeans", max_iterations=100, verbose=0)
