"""Every entry point gives the same result for each input, or the same refusal before any work is done."""

import decimal
import functools

import h5py
import keras
import numpy as np
import pandas
import pytest

import deckeras
from deckeras import DEC, IDEC, DeepEmbeddedClustering, dense_autoencoder, metrics, recipes, selection, sources
from deckeras._data import row_views
from deckeras._data.labels import check_labels

N, FEATURES = 40, 3
WHOLE = np.random.default_rng(0).integers(0, 9, size=(N, FEATURES)).astype("float64")
# The start from neighbors has its own table of sources, in test_start.py.
RECIPE = recipes.get(
    "table",
    units=(4, 2),
    epochs=1,
    min_pretraining_iterations=2,
    max_iterations=2,
    update_interval=2,
    init="kmeans",
    n_init=1,
)

pytestmark = pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")


def frame(**dtypes):
    table = pandas.DataFrame(WHOLE, columns=list("abc"))
    return table.astype(dtypes)


def with_flag(dtype):
    return pandas.DataFrame({"a": WHOLE[:, 0], "b": WHOLE[:, 1] > 4}).astype({"b": dtype}).assign(c=WHOLE[:, 2])


def missing(dtype, value=None):
    column = pandas.Series([value if row == 7 else row for row in range(N)], dtype=dtype)
    return pandas.DataFrame({"a": WHOLE[:, 0], "b": column, "c": WHOLE[:, 2]})


FLAGGED = np.column_stack([WHOLE[:, 0], WHOLE[:, 1] > 4, WHOLE[:, 2]])

# what is given, and the plain array that it should come to
TAKEN = {
    "list": (WHOLE.tolist(), WHOLE),
    "uint8": (WHOLE.astype("uint8"), WHOLE),
    "float16": (WHOLE.astype("float16"), WHOLE),
    "big-endian": (WHOLE.astype(">f8"), WHOLE),
    "objects": (WHOLE.astype(object), WHOLE),
    "decimals": (np.vectorize(decimal.Decimal, otypes=[object])(WHOLE), WHOLE),
    "frame": (frame(), WHOLE),
    "frame of many types": (frame(a="int8", b="uint16", c="float32"), WHOLE),
    "frame of bool": (with_flag("bool"), FLAGGED),
    "frame of nullable bool": (with_flag("boolean"), FLAGGED),
    "frame of Arrow bool": (with_flag("bool[pyarrow]"), FLAGGED),
    "frame of nullable": (frame(a="Int64", b="Float32", c="UInt8"), WHOLE),
    "frame of Arrow": (frame(a="int64[pyarrow]", b="double[pyarrow]"), WHOLE),
    "frame of objects": (frame(a=object), WHOLE),
    "frame of sparse": (frame(a=pandas.SparseDtype("float64", 0.0)), WHOLE),
}

REFUSED = {
    "NaN": (np.where(np.arange(N)[:, None] == 7, np.nan, WHOLE), ValueError, "finite numbers.* Received: nan in row 7"),
    "infinity": (np.where(np.arange(N)[:, None] == 7, np.inf, WHOLE), ValueError, "Received: inf in row 7"),
    "NaN in a list": (np.where(np.arange(N)[:, None] == 7, np.nan, WHOLE).tolist(), ValueError, "nan in row 7"),
    "NaN in a frame": (missing("float64"), ValueError, "Received: nan in row 7, column 'b'"),
    "NA in a frame": (missing("Int64", pandas.NA), ValueError, "Received: nan in row 7, column 'b'"),
    "NA in Arrow": (missing("int64[pyarrow]", pandas.NA), ValueError, "Received: nan in row 7, column 'b'"),
    "None in a frame": (missing(object), ValueError, "Received: nan in row 7, column 'b'"),
    "text in a frame": (frame(b=str).astype({"b": object}), TypeError, "Column 'b' of x should hold numbers.*a str"),
    "nullable text": (frame(b=str).astype({"b": "string"}), TypeError, "Column 'b' of x should hold numbers"),
    "categories": (frame(b="category"), TypeError, "Column 'b' of x should hold numbers.* dtype category"),
    "dates": (
        frame().assign(b=pandas.Timestamp("2026-01-01")),
        TypeError,
        "Column 'b' of x should hold numbers.* dtype datetime",
    ),
    "text": (WHOLE.astype(str), TypeError, "x should hold real numbers"),
    "text among objects": (np.array([["a", 1.0, 2.0]] * N, object), TypeError, "in row 0 .could not convert string"),
    "text in one column": (np.array(["a", 1.0] * N, object), TypeError, "x should hold real numbers"),
    "dictionaries": (np.array([{}] * N, object), TypeError, "with {} in row 0"),
    "a number past float64": (np.array([[10**400, 1.0]] * N, object), TypeError, "too large"),
    "too many columns": (np.zeros((N, FEATURES + 1)), ValueError, "4"),
}


def dec(x, **options):
    model = DEC(dense_autoencoder(FEATURES, units=(4, 2))[0], 2)
    model.fit(x, recipe=RECIPE, verbose=0, **options)
    return model.predict(x, verbose=0)


def idec(x, **options):
    model = IDEC(*dense_autoencoder(FEATURES, units=(4, 2)), 2)
    model.fit(x, recipe=RECIPE, verbose=0, **options)
    return model.predict(x, verbose=0)


def pretrained(x, **options):
    models = dense_autoencoder(FEATURES, units=(4, 2))
    deckeras.pretrain(*models, x, RECIPE, verbose=0)
    return models[0].get_weights()[0]


def estimated(x, **options):
    return DeepEmbeddedClustering(2, recipe=RECIPE, random_state=0).fit(x).predict_proba(x)


def predicted(x):
    model = DEC(dense_autoencoder(FEATURES, units=(4, 2))[0], 2)
    model.centroids = np.eye(2)
    np.testing.assert_array_equal(model.predict(x, verbose=0).argmax(axis=1), model.predict_clusters(x, verbose=0))
    return model.embed(x, verbose=0)


@functools.cache
def fitted():
    return DeepEmbeddedClustering(2, recipe=RECIPE, random_state=0).fit(WHOLE)


def predicted_by_estimator(x):
    return fitted().predict_proba(x)


def chosen(x, **options):
    encoder = dense_autoencoder(FEATURES, units=(4, 2))[0]
    rows = selection.choose_n_clusters(x, [2], encoder=encoder, recipe=RECIPE, **options).candidates
    return np.array([rows[0]["silhouette"], rows[0]["loss"]])


ENTRY_POINTS = [dec, idec, pretrained, estimated, predicted, predicted_by_estimator, chosen]


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("enter", ENTRY_POINTS)
def test_the_same_answer(enter):
    answers = {}
    for kind, (x, plain) in TAKEN.items():
        key = plain.tobytes()
        if key not in answers:
            answers[key] = enter(plain)
        np.testing.assert_allclose(enter(x), answers[key], rtol=1e-5, atol=1e-6, err_msg=kind)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:X does not have valid feature names")
@pytest.mark.parametrize("kind", REFUSED)
def test_the_same_refusal(kind):
    x, error, message = REFUSED[kind]
    for enter in ENTRY_POINTS:
        if kind == "too many columns" and enter in (estimated,):
            continue  # It builds an encoder of as many.
        with pytest.raises(error, match=message):
            enter(x)


# Labels


LABELS = np.array(["ä", "b"])[np.arange(N) % 2]

GOOD_LABELS = {
    "text": LABELS,
    "list": LABELS.tolist(),
    "bytes": np.char.encode(LABELS, "utf-8"),
    "objects of bytes": np.char.encode(LABELS, "utf-8").astype(object),
    "objects of text": LABELS.astype(object),
    "nullable text": pandas.Series(LABELS, dtype="string"),
    "Arrow text": pandas.Series(LABELS, dtype="string[pyarrow]"),
    "categories": pandas.Series(LABELS, dtype="category"),
    "bool": np.arange(N) % 2 == 0,
    "numbers": np.arange(N) % 2,
    "fractions": (np.arange(N) % 2) / 2,
    "nullable numbers": pandas.Series(np.arange(N) % 2, dtype="Int64"),
    "dates": np.array(["2026-01-01", "2026-01-02"], "datetime64[D]")[np.arange(N) % 2],
}


def holed(labels, value, row=7):
    labels = list(labels)
    labels[row] = value
    return labels


BAD_LABELS = {
    "None": (holed(LABELS, None), "Received: None in row 7"),
    "NaN": (holed(np.arange(N) % 2, np.nan), "Received: nan in row 7"),
    "NaN among text": (pandas.Series(holed(LABELS, np.nan)), "Received: nan in row 7"),
    "NA": (pandas.Series(holed(LABELS, pandas.NA), dtype="string"), "Received: <NA> in row 7"),
    "NA among numbers": (
        pandas.Series(holed(np.arange(N) % 2, pandas.NA), dtype="Int64"),
        "Received: (<NA>|nan) in row 7",
    ),
    "NaT": (holed(pandas.Series(pandas.Timestamp("2026-01-01"), range(N)), pandas.NaT), "Received: NaT in row 7"),
    "masked": (np.ma.masked_array(np.arange(N), np.arange(N) == 7), "Received: None in row 7"),
    "bytes of another encoding": (
        np.array([b"a", b"\xe4"])[np.arange(N) % 2],
        r"text in UTF-8. Received: b'\\xe4' in row 1",
    ),
    "numbers and text": (np.array(holed(LABELS, 3), object), "compared with each other"),
    "too few": (LABELS[1:], r"one label for each of the 40 rows"),
}


@pytest.mark.parametrize("kind", GOOD_LABELS)
def test_labels_of_any_kind_score_alike(kind):
    y = check_labels(GOOD_LABELS[kind], N)
    found = np.arange(N) // 3 % 2
    assert metrics.scores(y, found) == pytest.approx(metrics.scores(np.arange(N) % 2, found))
    assert metrics.accuracy(GOOD_LABELS[kind], found) == metrics.accuracy(np.arange(N) % 2, found)
    assert len(metrics.match_clusters(GOOD_LABELS[kind], found)) == 2


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("enter", [dec, idec, chosen])
def test_labels_reach_the_scores(enter):
    for y in GOOD_LABELS.values():
        enter(WHOLE, y=y)


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_bad_labels_are_refused_before_anything_is_trained(kind):
    y, message = BAD_LABELS[kind]
    model = DEC(dense_autoencoder(FEATURES, units=(4, 2))[0], 2)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(WHOLE, y, recipe=RECIPE, verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    for enter in idec, chosen:
        with pytest.raises(ValueError, match=message):
            enter(WHOLE, y=y)


# Rows by an index


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, number):
        return WHOLE[10 * number : 10 * number + 10]


INDICES = {
    "mask": np.arange(N) % 3 == 0,
    "list of bool": [row % 3 == 0 for row in range(N)],
    "no row": np.zeros(N, bool),
    "negative": np.array([-1, 0, -N]),
    "list": [5, 3, 3],
    "empty list": [],
    "number": 4,
    "last number": -1,
    "NumPy number": np.int64(4),
    "unsigned": np.array([1, 2], "uint8"),
    "two-dimensional": np.array([[1, 2], [3, 4]]),
    "slice": slice(3, 20, 4),
    "backwards": slice(None, None, -7),
}
BAD_INDICES = {"beyond": [0, N], "before": [-N - 1], "short mask": np.ones(N - 1, bool), "fraction": [0.5], "name": "a"}


@pytest.mark.parametrize("kind", ["file", "dataset", "batches", "view", "flat"])
def test_rows_by_any_index_of_numpy(kind, tmp_path):
    np.save(tmp_path / "x.npy", WHOLE)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = WHOLE
        x = {
            "file": lambda: np.load(tmp_path / "x.npy", mmap_mode="r"),
            "dataset": lambda: file["x"],
            "batches": Batches,
            "view": lambda: np.load(tmp_path / "x.npy", mmap_mode="r"),
            "flat": Batches,
        }[kind]()
        source = sources.as_source(x)
        rows = row_views.View(source) if kind == "view" else source.flat() if kind == "flat" else source
        for name, index in INDICES.items():
            np.testing.assert_array_equal(rows[index], WHOLE[index], err_msg=name)
        for name, index in BAD_INDICES.items():
            with pytest.raises(IndexError):
                pytest.fail(f"{name}: {rows[index]}")


# Numbers at the edge


@pytest.mark.parametrize("x", [1e30, 1e18, -1e30])
def test_far_points_of_one_cluster(x):
    model = DEC(keras.Sequential([keras.Input((1,)), keras.layers.Activation("linear")]), 1)
    model.centroids = [[0.5]]
    np.testing.assert_array_equal(model.predict(np.array([[x], [0.0]]), verbose=0), [[1], [1]])


@pytest.mark.parametrize("init", ["kmeans", "ward", "mixture"])
@pytest.mark.parametrize(("n", "n_clusters"), [(1, 1), (2, 1), (2, 2), (3, 3), (4, 3), (7, 7), (7, 6)])
def test_as_few_rows_as_clusters(init, n, n_clusters):
    z = np.random.default_rng(0).normal(size=(n, 2)).astype("float32")
    centroids, assignments = deckeras.initialization.first_clusters(z, n_clusters, init, n_init=2)
    assert centroids.shape == (n_clusters, 2)
    assert np.isfinite(centroids).all()
    assert assignments is None or assignments.shape == (n, n_clusters)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", ["centroids", "assignments"])
def test_an_init_that_returns_no_numbers_is_named(bad, shape):
    def start(z, n_clusters):
        return np.full((n_clusters, z.shape[1]) if shape == "centroids" else (len(z), n_clusters), bad)

    with pytest.raises(ValueError, match=r"init should return finite numbers.* init='start'"):
        dec(WHOLE, init=start)


@pytest.mark.parametrize("units", [10, 10.0, "10", None, (), (4, 0), (4, 2.5), (True,), np.int64(4)])
def test_units_that_are_no_sequence_of_sizes(units):
    with pytest.raises(ValueError, match=r"units should (be a sequence of|hold) positive whole numbers"):
        dense_autoencoder(3, units=units)
    if units is not None:  # which stands for the recipe's own
        with pytest.raises(ValueError, match=r"units should (be a sequence of|hold) positive whole numbers"):
            recipes.get("table", units=units)


@pytest.mark.parametrize("units", [[4, 2], (4, 2), np.array([4, 2]), range(4, 1, -2)])
def test_units_of_any_sequence(units):
    assert [layer.units for layer in dense_autoencoder(3, units=units)[0].layers] == [4, 2]


def test_image_sizes_that_are_no_sequence():
    for options in (
        {"image_shape": 28},
        {"image_shape": (8, 8), "filters": 32},
        {"image_shape": (8, 8), "kernel_sizes": 3},
    ):
        with pytest.raises(ValueError, match="should be a sequence of positive whole numbers"):
            deckeras.convolutional_autoencoder(**options)


def test_the_most_confident_rows_are_sorted_once():
    q = np.random.default_rng(0).dirichlet(np.ones(30), size=500)
    labels = q.argmax(axis=1)
    for cluster, rows in enumerate(metrics.most_confident(q, 5)):
        members = np.flatnonzero(labels == cluster)
        np.testing.assert_array_equal(rows, members[np.argsort(-q[members, cluster], kind="stable")][:5])
    assert [len(rows) for rows in metrics.most_confident(np.array([[1.0, 0.0, 0.0]]))] == [1, 0, 0]


# Weights of rows


def test_weighted_frequencies_by_hand():
    q = np.array([[0.75, 0.25], [0.25, 0.75]])
    np.testing.assert_allclose(deckeras.cluster_frequencies(q, [3, 1]), [2.5, 1.5])
    expected = q**2 / [2.5, 1.5]
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(deckeras.target_distribution(q, sample_weight=[3, 1]), expected)
    tensor = keras.ops.convert_to_tensor(q.astype("float32"))
    found = deckeras.target_distribution(tensor, sample_weight=keras.ops.convert_to_tensor([3.0, 1.0]))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-5)


@pytest.mark.parametrize("enter", [dec, idec])
def test_even_weights_are_none(enter):
    expected = enter(WHOLE)
    for weights in (np.full(N, 3), 2.0, np.ones(N, "int8")):
        np.testing.assert_array_equal(enter(WHOLE, sample_weight=weights), expected)
    assert not np.array_equal(enter(WHOLE, sample_weight=np.arange(N)), expected)


@pytest.mark.parametrize("init", ["kmeans", "ward", "mixture"])
@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_rows_of_no_weight_move_nothing(init, kind):
    """Far rows of weight 0: the centroids are those of the others, and the frequencies too."""
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal([-3, 0], 0.1, (30, 2)), random.normal([3, 0], 0.1, (30, 2)), np.full((9, 2), 50)])
    x = x.astype("float32")
    weights = np.repeat([1.0, 0.0], [60, 9])
    encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="identity")])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="identity")])
    model = DEC(encoder, 2) if kind is DEC else IDEC(encoder, decoder, 2)
    history = model.fit(x, sample_weight=weights, init=init, n_init=3, max_iterations=20, update_interval=10, verbose=0)
    assert np.abs(np.sort(model.centroids[:, 0]) - [-3, 3]).max() < 0.5
    assert np.isfinite(history.history["loss"]).all()


def test_weighted_loss_by_hand():
    model = DEC(dense_autoencoder(FEATURES, units=(4, 2))[0], 2)
    model.centroids = [[0.0, 0.5], [0.5, 0.0]]
    model.compile(keras.optimizers.SGD(0.0))
    weights = np.arange(N) + 1.0
    q = model.predict(WHOLE, verbose=0).astype("float64")
    p = deckeras.target_distribution(q, sample_weight=weights, balance=recipes.TABLE.balance)
    options = {"batch_size": N, "update_interval": 1, "max_iterations": 1, "verbose": 0}
    history = model.fit(WHOLE, sample_weight=weights, centroids=model.centroids, **options)
    expected = np.average(metrics.divergences(p, q), weights=weights)
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(N - 1), r"one number for each of the 40 rows of x. Received: shape \(39,\)"),
        (np.ones((N, 1)), r"Received: shape \(40, 1\)"),
        (holed(np.ones(N), -1), r"finite numbers of at least 0. Received: -1.0 in row 7"),
        (holed(np.ones(N), np.nan), r"Received: nan in row 7"),
        (holed(np.zeros(N), 1), r"above zero for at least 2 rows, one a cluster. Received: 1"),
        (np.zeros(N), r"Received: 0 such rows"),
    ],
)
def test_bad_weights_are_refused_everywhere(weights, message):
    for enter in (dec, idec, lambda x, **options: DeepEmbeddedClustering(2, recipe=RECIPE).fit(x, **options)):
        with pytest.raises(ValueError, match=message):
            enter(WHOLE, sample_weight=weights)


# Arguments of others


@pytest.mark.parametrize(
    ("argument", "way_out"),
    [
        ({"shuffle": False}, "always shuffled"),
        ({"validation_split": 0.2}, "selection.evaluate"),
        ({"validation_data": (WHOLE, None)}, "selection.evaluate"),
        ({"maxiter": 20_000}, "max_iterations"),
        ({"save_dir": "results"}, "checkpoint_dir"),
        ({"epochs": 3}, "max_iterations"),
        ({"class_weight": {0: 2}}, "sample_weight"),
        ({"typo": 1}, "unexpected typo=1"),
    ],
)
def test_arguments_of_keras_and_dec_keras_say_what_to_do(argument, way_out):
    for enter in dec, idec:
        with pytest.raises(TypeError, match=rf"{enter.__name__.upper()}.fit should be given .*{way_out}"):
            enter(WHOLE, **argument)


@pytest.mark.parametrize("argument", ["epochs", "save_dir", "optimizer", "validation_split", "typo"])
def test_pretraining_says_what_to_do(argument):
    models = dense_autoencoder(FEATURES, units=(4, 2))
    with pytest.raises(TypeError, match=rf"pretrain should be given .* unexpected {argument}="):
        deckeras.pretrain(*models, WHOLE, RECIPE, **{argument: 1})


def test_callbacks_of_the_estimator_see_each_stage():
    seen = []
    callback = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(callback.model.name))
    x = np.random.default_rng(0).normal(size=(60, 4)) + 9 * np.repeat(np.eye(3, 4), 20, axis=0)
    deckeras.DeepEmbeddedClustering(3, epochs=1, max_iter=5).fit(x, callbacks=callback)
    assert seen == ["autoencoder", "dec", "autoencoder"]


def test_refit_decoder_is_reachable():
    assert deckeras.pretraining.refit_decoder is deckeras.refit_decoder
    assert set(deckeras.__all__) <= set(dir(deckeras))


def test_the_bar_counts_to_the_end(capsys):
    model = DEC(dense_autoencoder(FEATURES, units=(4, 2))[0], 2)
    model.fit(WHOLE, max_iterations=12, update_interval=5, tol=0, verbose=1)
    out = capsys.readouterr().out
    assert [f"{n}/{n}" in out for n in (5, 2)] == [True, True]
    DEC(dense_autoencoder(FEATURES, units=(4, 2))[0], 2).fit(WHOLE, max_iterations=20, verbose=1)
    assert "/100" not in capsys.readouterr().out
