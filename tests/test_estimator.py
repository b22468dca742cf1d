import pickle

import joblib
import keras
import numpy as np
import pandas
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

import deckeras
from deckeras import DEC, DeepEmbeddedClustering, metrics, recipes

SMALL = recipes.get(
    "table", units=(16, 4), epochs=1, min_pretraining_iterations=60, max_iterations=20, init="kmeans", n_init=3
)

# Scikit-learn asks for the interface, and for good clusters only of blobs far from each other.
TINY = recipes.get(SMALL, min_pretraining_iterations=8, max_iterations=4)

LONGER = recipes.get(SMALL, min_pretraining_iterations=1200, max_iterations=200, n_init=20)


def small(**options):
    return DeepEmbeddedClustering(**{"n_clusters": 3, "recipe": SMALL, "random_state": 0, **options})


CHECKS = [
    pytest.param(estimator, check, id=f"{number}-{check.func.__name__}")
    for number, (estimator, check) in enumerate(estimator_checks_generator(small(n_clusters=2, recipe=TINY)))
]


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.*clusters came out", "ignore:The centroids of these pairs")
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learn(estimator, check):
    if check.func.__name__ in ("check_estimator_sparse_array", "check_estimator_sparse_matrix"):
        pytest.xfail("scikit-learn asks what has predict_proba and takes sparse rows for the tags of a classifier")
    if check.func.__name__.startswith("check_sample_weight_equivalence"):
        pytest.xfail("batches of weighted rows are other batches than those of repeated rows, as for MiniBatchKMeans")
    check(estimator)


def test_verdict(blobs):
    x, y = blobs
    estimator = DeepEmbeddedClustering(3, recipe=recipes.get(SMALL, init="manifold", n_init=1), random_state=0).fit(x)
    assert metrics.accuracy(y, estimator.start_labels_) == 1
    found = estimator.verdict(x)
    assert found.level in ("fair", "steady")
    assert found.differs_from_start < 0.3
    assert estimator.verdict(x[:200]).differs_from_start is None


def test_finds_the_groups(blobs):
    x, y = blobs
    estimator = small(recipe=LONGER)
    labels = estimator.fit_predict(x)
    assert metrics.accuracy(y, labels) > 0.98
    np.testing.assert_array_equal(labels, estimator.predict(x))
    np.testing.assert_array_equal(labels, estimator.predict_proba(x).argmax(axis=1))
    np.testing.assert_allclose(estimator.predict_proba(x).sum(axis=1), 1, rtol=1e-5)
    assert estimator.transform(x).shape == (300, 4)
    assert estimator.cluster_centers_.shape == (3, 4)
    assert estimator.n_iter_ in (100, 200)  # rounding decides which
    assert set(estimator.history_) == {"loss", "changed"}
    assert len(estimator.pretraining_history_) == 1
    assert list(estimator.get_feature_names_out()) == [f"deepembeddedclustering{i}" for i in range(4)]


def test_sparse_rows_as_dense_ones(blobs):
    x = np.where(blobs[0] > 1, blobs[0], 0)
    found = [small(scale="unit").fit(rows) for rows in (x, sparse.csr_matrix(x), sparse.coo_array(x))]
    for other in found[1:]:
        np.testing.assert_allclose(other.predict_proba(x), found[0].predict_proba(x), atol=1e-5)
        np.testing.assert_array_equal(other.predict(sparse.csc_array(x)), found[0].labels_)
    assert found[1].scaling_.divisor == pytest.approx(np.sqrt(np.mean(np.square(x, dtype="float64"))))


def test_text():
    animals = [f"the {one} and the {other} eat" for one in ("cat", "dog", "cow") for other in ("hen", "pig", "fox")]
    stars = [
        f"a {one} orbits some {other}" for one in ("moon", "comet", "planet") for other in ("sun", "star", "dwarf")
    ]
    pipeline = make_pipeline(TfidfVectorizer(), small(n_clusters=2, recipe=LONGER))
    labels = pipeline.fit(4 * (animals + stars)).predict(animals + stars)
    assert metrics.accuracy([0] * 9 + [1] * 9, labels) == 1


def test_images_say_their_shape():
    random = np.random.default_rng(0)
    x = random.integers(0, 60, size=(90, 6, 6), dtype="uint8")
    x[:45, :3] += 150
    x[45:, 3:] += 150
    recipe = recipes.get(
        "images", units=(16, 4), epochs=2, min_pretraining_iterations=60, n_init=3, updates=1, update_interval=9
    )
    estimator = small(n_clusters=2, recipe=recipe).fit(x)
    assert metrics.accuracy([0] * 45 + [1] * 45, estimator.labels_) == 1
    assert (estimator.n_features_in_, estimator.recipe_.image_shape) == (36, (6, 6))
    assert (estimator.scaling_.method, estimator.scaling_.divisor) == ("largest", 255)
    flat = small(n_clusters=2, recipe=recipe, image_shape=(6, 6)).fit(x.reshape(90, -1))
    np.testing.assert_array_equal(flat.labels_, estimator.labels_)
    np.testing.assert_array_equal(estimator.predict(x.reshape(90, -1)), estimator.labels_)
    with pytest.raises(ValueError, match=r"images of shape \(6, 6\), as those fitted to. Received: \(4, 9\)"):
        estimator.predict(x.reshape(90, 4, 9))


def test_recipe_auto():
    assert DeepEmbeddedClustering()._recipe(None).name == "table"
    recipe = DeepEmbeddedClustering(epochs=3, max_iter=70, tol=0.2)._recipe((28, 28))
    assert (recipe.name, recipe.epochs, recipe.min_pretraining_iterations, recipe.tol) == ("images", 3, 0, 0.2)
    assert recipe.intervals(70_000)[2] == 70


def test_recipe_that_scales(blobs):
    assert small(recipe=recipes.get(SMALL, unit_scale=True)).fit(blobs[0]).scaling_.method == "unit"


@pytest.mark.parametrize("method", ["dec", "idec"])
def test_kept_in_files(blobs, tmp_path, run_python, method):
    """By pickle and joblib the estimator, by Keras the model alone: all take the rows as they come."""
    x = 1000 + 30 * blobs[0]
    estimator = small(method=method).fit(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict(x), estimator.labels_)  # noqa: S301
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    estimator.model_.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    printed = run_python(
        "import joblib, keras, deckeras, numpy as np; x = np.load('x.npy');"
        "print(joblib.load('estimator.joblib').predict(x).tolist());"
        "print(keras.models.load_model('model.keras').predict_clusters(x, verbose=0).tolist())"
    )
    assert printed.splitlines()[-2:] == [str(estimator.labels_.tolist())] * 2


def test_pandas_in_and_out(blobs):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(blobs[0], columns=list("abcdefgh"), index=np.arange(300) + 7)
    estimator = small().set_output(transform="pandas").fit(frame)
    assert estimator.feature_names_in_.tolist() == list("abcdefgh")
    z = estimator.transform(frame)
    assert z.columns.tolist() == estimator.get_feature_names_out().tolist()
    assert z.index.equals(frame.index)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(frame[list("hgfedcba")])


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_columns_of_any_table_in_their_order(blobs, library):
    """What another order of the columns would change is refused and not computed."""
    frame = pandas.DataFrame(blobs[0], columns=list("abcdefgh"))
    other = pytest.importorskip(library)
    table = {"pandas": lambda: frame, "polars": lambda: other.from_pandas(frame)}
    table = table.get(library, lambda: other.Table.from_pandas(frame))()
    estimator = small(recipe=TINY).fit(table)
    assert estimator.feature_names_in_.tolist() == list("abcdefgh")
    np.testing.assert_array_equal(estimator.predict(frame), estimator.labels_)
    for swapped in (
        table.select(list("hgfedcba")) if library == "pyarrow" else table[list("hgfedcba")],
        frame.iloc[:, ::-1],
    ):
        with pytest.raises(ValueError, match="feature names should match"):
            estimator.predict(swapped)


class Failure(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_a_fit_that_fails_changes_nothing(blobs):
    x = pandas.DataFrame(blobs[0], columns=list("abcdefgh"))
    for fails, error in [
        ({"callbacks": Failure()}, KeyboardInterrupt),
        ({"sample_weight": -np.ones(300)}, ValueError),
    ]:
        estimator = small(recipe=TINY)
        with pytest.raises(error):
            estimator.fit(x, **fails)
        with pytest.raises(NotFittedError):
            estimator.predict(x)
        estimator.fit(x)
        before = dict(vars(estimator))
        with pytest.raises(error):
            estimator.fit(x.rename(columns=str.upper) * [1, 100, 1, 1, 1, 1, 1, 1] + 7, **fails)
        assert vars(estimator) == before
        assert all(vars(estimator)[name] is value for name, value in before.items())


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ma.masked_equal(np.arange(40.0).reshape(10, 4), 9), ValueError, "masked values. Received.* in row 2"),
        (np.ma.masked_equal(np.arange(640).reshape(10, 8, 8), 64), ValueError, "masked values. Received.* in row 1"),
        (pandas.DataFrame({"a": ["u"] * 9}).select_dtypes("number"), ValueError, r"not be empty.*\(9, 0\)"),
    ],
    ids=["masked rows", "masked images", "no columns"],
)
def test_what_is_no_number(x, error, message):
    with pytest.raises(error, match=message):
        small().fit(x)


@pytest.mark.slow
def test_pipeline_and_grid_search(blobs):
    x = blobs[0].copy()
    x[::7, 3] = np.nan
    pipeline = make_pipeline(SimpleImputer(), small(recipe=LONGER))
    grid = {"deepembeddedclustering__n_clusters": [1, 3]}
    search = GridSearchCV(pipeline, grid, scoring="adjusted_rand_score", cv=2, error_score="raise").fit(x, blobs[1])
    assert search.best_params_ == {"deepembeddedclustering__n_clusters": 3}
    assert search.best_estimator_.predict(x).shape == (300,)


def test_same_seed_same_result(blobs):
    first, second = small().fit(blobs[0]), clone(small()).fit(blobs[0])
    for one, other in zip(first.model_.get_weights(), second.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    third = small(random_state=np.random.RandomState(0)).fit(blobs[0])
    assert not np.array_equal(third.cluster_centers_, first.cluster_centers_)


def test_goes_on_from_its_checkpoint(blobs, tmp_path, interrupt_after, monkeypatch):
    estimator = small(checkpoint_dir=tmp_path, max_iter=200)
    expected = small(max_iter=200).fit(blobs[0])
    fit = deckeras.DEC.fit
    monkeypatch.setattr(
        deckeras.DEC, "fit", lambda *args, **options: fit(*args, **{**options, "callbacks": interrupt_after(150)})
    )
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(blobs[0])
    monkeypatch.setattr(deckeras.DEC, "fit", fit)
    np.testing.assert_array_equal(estimator.fit(blobs[0]).cluster_centers_, expected.cluster_centers_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_clusters": 301}, "at most the number of rows. Received: n_samples=300, n_clusters=301"),
        ({"n_clusters": 0}, "n_clusters should be a whole number of at least 1. Received: n_clusters=0"),
        ({"method": "vade"}, 'method should be "dec" or "idec". Received: method=.vade.'),
        ({"scale": "robust"}, "scale should be"),
        ({"recipe": "video"}, "recipe should be one of paper"),
        ({"random_state": -1}, "seed should be a whole number"),
    ],
)
def test_bad_arguments(blobs, options, message):
    estimator = small(**options)
    with pytest.raises(ValueError, match=message):
        estimator.fit(blobs[0])
    with pytest.raises(NotFittedError):
        estimator.predict(blobs[0])


@pytest.mark.parametrize("method", ["dec", "idec"])
def test_embedded_rows_decode_to_rows_like_them(blobs, method):
    """Also where the clustering scales the embedding, of which the decoder has to know."""
    x = 50 + 7 * blobs[0]
    recipe = recipes.get(LONGER, embedding_scale=3.0)
    estimator = small(recipe=recipe, method=method).fit(x)
    errors = np.square(estimator.inverse_transform(estimator.transform(x)) - x).mean()
    assert errors < x.var(axis=0).mean() / 4
    middles = estimator.inverse_transform(estimator.cluster_centers_)
    means = np.stack([x[estimator.labels_ == cluster].mean(axis=0) for cluster in range(3)])
    assert np.abs(middles - means).max() < 7
    with pytest.raises(ValueError, match="X should have 4 columns, the embedding"):
        estimator.inverse_transform(x)


def test_sparse_rows_as_they_are(blobs):
    x = sparse.csr_array(np.where(blobs[0] > 1, blobs[0], 0))
    assert small(scale="none").fit(x).labels_.shape == (300,)


def test_without_a_seed_a_checkpoint_goes_on_too(blobs, tmp_path):
    first = small(checkpoint_dir=tmp_path, random_state=None).fit(blobs[0])
    again = small(checkpoint_dir=tmp_path, random_state=None).fit(blobs[0])
    np.testing.assert_array_equal(first.cluster_centers_, again.cluster_centers_)


@pytest.mark.parametrize(
    ("weights", "error", "match"),
    [
        (np.zeros(300), ValueError, "above zero"),
        (0, ValueError, "above zero"),
        ([None] * 300, ValueError, "nan in row 0"),
        (["a"] * 300, TypeError, "sample_weight should hold numbers"),
    ],
)
def test_weights_that_are_none(blobs, weights, error, match):
    x = blobs[0]
    estimator = small().fit(x)
    model = DEC(deckeras.dense_autoencoder(8, units=(4, 2))[0], 3)
    for use in estimator.score, small().fit, lambda x, sample_weight: model.fit(x, sample_weight=sample_weight):
        with pytest.raises(error, match=match):
            use(x, sample_weight=weights)
    with pytest.raises(error, match=match):
        model.initialize_centroids(x, sample_weight=weights)


def test_few_rows_of_many_that_count(blobs):
    """The rows that the score is computed from are drawn among them."""
    x = np.repeat(blobs[0], 10, axis=0)
    weights = np.zeros(3000)
    weights[:2000:10] = 1
    estimator = small(n_clusters=2).fit(x, sample_weight=weights)
    assert estimator.score(x, sample_weight=weights) == pytest.approx(estimator.score(x[:2000:10]), abs=1e-6)


def test_a_start_is_compared_with_its_own_rows(blobs):
    x = blobs[0][::3]
    estimator = small(recipe=recipes.get(SMALL, init="manifold", n_init=1)).fit(x)
    assert estimator.verdict(x).differs_from_start is not None
    assert estimator.verdict(blobs[0][1::3] * [1, 1, 1, 1, 0, 0, 0, 0]).differs_from_start is None


def test_names_of_an_earlier_table_are_forgotten(blobs, tmp_path):
    x = blobs[0]
    np.save(tmp_path / "rows.npy", x)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    estimator = small().fit(pandas.DataFrame(x, columns=list("abcdefgh")))
    estimator.fit(mapped)
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.warns(UserWarning, match="fitted without feature names"):
        estimator.predict(pandas.DataFrame(x, columns=list("ijklmnop")))


def test_weights_of_rows(blobs):
    """The last group, of weight 0, has no part in the clusters, but is assigned to one."""
    x, y = blobs
    estimator = small(n_clusters=2, recipe=LONGER).fit(x, sample_weight=(y < 2) + 0.0)
    assert metrics.accuracy(y[y < 2], estimator.labels_[y < 2]) > 0.98
    assert estimator.labels_.shape == (300,)
    assert estimator.score(x, sample_weight=y < 2) > estimator.score(x)
    even = small().fit(x, sample_weight=np.full(300, 2))
    np.testing.assert_array_equal(even.predict_proba(x), small().fit(x).predict_proba(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
def test_score_tells_good_from_bad(blobs):
    x, y = blobs
    good, bad = small(recipe=LONGER).fit(x), small(n_clusters=7, recipe=LONGER).fit(x)
    assert good.score(x) > bad.score(x)
    assert good.score(x, y) == good.score(x)
    assert -1 <= good.score(1000 * x + 5) <= 1
    assert small(n_clusters=1).fit(x).score(x) == -1
    weights = (y == 0) + 0.0
    assert good.score(x, sample_weight=weights) != good.score(x)
    grid = GridSearchCV(small(recipe=LONGER), {"n_clusters": [1, 3, 6]}, cv=2, error_score="raise").fit(x)
    assert grid.best_params_ == {"n_clusters": 3}


def test_nullable_columns_keep_their_names(blobs):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(blobs[0], columns=list("abcdefgh")).astype({"a": "Float32"}).assign(b=blobs[1] > 1)
    estimator = small().fit(frame)
    assert estimator.feature_names_in_.tolist() == list("abcdefgh")
    np.testing.assert_array_equal(estimator.predict(frame), estimator.labels_)


def test_a_mask_of_pixels():
    """A uint8 image of 0 and 1 is no dark photograph."""
    masks = np.random.default_rng(0).integers(0, 2, size=(40, 6, 6), dtype="uint8")
    assert small(n_clusters=2).prepare(masks)[:].max() == 1
