import keras
import numpy as np
import pytest
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from deckeras import DEC, IDEC, DeepEmbeddedClustering, dense_autoencoder, metrics, recipes, scaling
from deckeras._data import row_views

X = np.random.default_rng(0).normal([5, -300, 0], [2, 40, 1e-3], size=(200, 3))


def test_standard_is_that_of_scikit_learn():
    fitted = scaling.fit(X)
    np.testing.assert_allclose(fitted(X), StandardScaler().fit_transform(X))
    assert str(fitted) == "each feature minus its mean, divided by its standard deviation"


def test_constant_feature():
    scaled = scaling.fit(np.array([[7.0, 1.0], [7.0, 3.0]]))(np.array([[7.0, 2.0], [8.0, 2.0]]))
    np.testing.assert_array_equal(scaled, [[0, 0], [1, 0]])


def test_values_of_one_text_weigh_no_more_than_a_number():
    text = np.eye(3)[np.random.default_rng(0).integers(3, size=300)]
    x = np.hstack([text, np.random.default_rng(1).normal(size=(300, 1))])
    variances = scaling.fit(x)(x).var(axis=0)
    np.testing.assert_allclose(variances[:3], text.var(axis=0))
    assert str(scaling.fit(x)).endswith("; 3 are constant or hold only 0 and 1, and are not divided")
    assert variances[:3].sum() < variances[3] == pytest.approx(1)


def test_many_rows_in_pieces(monkeypatch):
    monkeypatch.setattr(row_views, "predict_batch_size", lambda n_values: 7)
    np.testing.assert_allclose(scaling.fit(X)(X), StandardScaler().fit_transform(X))


@pytest.mark.parametrize(
    ("x", "options", "method", "divisor"),
    [
        (np.array([[0, 16]], "uint8"), {"images": True}, "largest", 16),
        (np.array([[0, 1]], "uint8"), {"images": True}, "largest", 1),
        (np.array([[False, True]]), {"images": True}, "largest", 1),
        (np.array([[0, 200]], "uint8"), {"images": True}, "largest", 255),
        (np.array([[0, 200]], "int32"), {"images": True}, "largest", 255),
        (np.array([[0, 200]], "float32"), {"images": True}, "largest", 255),
        (np.array([[0.5, 200]], "float32"), {"images": True}, "largest", 200),
        (np.array([[0, 1023]], "uint16"), {"images": True}, "largest", 1023),
        (np.array([[-128, 100]], "int8"), {"images": True}, "largest", 128),
        (np.array([[0.0, 16.0]]), {"images": True}, "largest", 16),
        (np.array([[0.0, 0.5]]), {"images": True}, "largest", 1),
        (sparse.csr_array([[0.0, 3.0], [0.0, 1.0]]), {}, "unit", np.sqrt(2.5)),
        (np.array([[0.0, 3.0], [0.0, 1.0]]), {"method": "unit"}, "unit", np.sqrt(2.5)),
        (np.zeros((2, 2)), {"method": "unit"}, "unit", 1),
        (np.array([[0.0, 3.0]]), {"method": "none"}, "none", 1),
    ],
)
def test_one_number(x, options, method, divisor):
    fitted = scaling.fit(x, **options)
    assert fitted.method == method
    assert fitted.divisor == pytest.approx(divisor)
    dense = x.toarray() if sparse.issparse(x) else x
    np.testing.assert_allclose(fitted.rows(x)[:], dense / divisor, rtol=1e-6)


def _unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=(300, 4))
COUNTS = RANDOM.poisson(0.5, size=(300, 40))


@pytest.mark.parametrize(
    "x",
    [
        _unit(COUNTS + 0.01),
        np.concatenate([np.zeros((2, 40)), _unit(COUNTS + 0.01)]),  # two texts without a known word
        _unit(NUMBERS),
        _unit(NUMBERS).astype("float16"),
        _unit(np.maximum(NUMBERS + 1, 0) + 1e-3),  # a network's last activations
        5 * _unit(NUMBERS + 4),  # within a narrow cone
    ],
    ids=["counts", "empty texts", "directions", "float16", "activations", "cone"],
)
def test_rows_of_one_length_keep_their_angles(x):
    assert scaling.fit(x).method == "unit"


@pytest.mark.filterwarnings("ignore:.*which float32 tells apart badly")
@pytest.mark.parametrize(
    "large",
    [
        1.7e9 + RANDOM.integers(86_400, size=300),  # seconds of one day
        RANDOM.integers(2023, 2025, size=300),  # years
        101_325 + 30 * RANDOM.normal(size=300),  # pascals
        np.full(300, 5_000.0),  # the same for all
        -1e6 + RANDOM.normal(size=300),
    ],
    ids=["time stamps", "years", "pressures", "constant", "negative"],
)
def test_a_large_feature_that_hardly_varies_is_not_the_length_of_the_rows(large):
    """Divided by one number, the other features would be nothing beside it."""
    x = np.column_stack([NUMBERS, large])
    fitted = scaling.fit(x)
    assert fitted.method == "standard"
    np.testing.assert_allclose(fitted(x)[:, :4].std(axis=0), 1)
    np.testing.assert_allclose(fitted(x)[:, :4], StandardScaler().fit_transform(NUMBERS))


EARTH = 6371 * _unit(RANDOM.normal(size=(300, 3)))


@pytest.mark.parametrize(
    "large", [EARTH, EARTH[:, :2] / np.hypot(*EARTH[:, :2].T)[:, None] * 500], ids=["globe", "circle"]
)
def test_large_features_of_one_length_are_not_all_features(large):
    assert scaling.fit(np.column_stack([NUMBERS, large])).method == "standard"
    assert scaling.fit(large).method == "unit"


@pytest.mark.parametrize(
    "large",
    [
        RANDOM.integers(2000, 2024, size=(300, 1)),
        RANDOM.normal([50_000, 40_000], [15_000, 12_000], size=(300, 2)),
        EARTH,
    ],
    ids=["year", "money", "globe"],
)
@pytest.mark.parametrize("first", [False, True])
def test_sparse_rows_with_large_features_are_reported(large, first):
    """They are divided by one number, since to scale each feature would fill them up."""
    x = np.hstack([large, COUNTS] if first else [COUNTS, large])
    with pytest.warns(
        UserWarning, match=rf"Feature {'[0-2]' if first else '4[0-2]'} and others are so large that half"
    ):
        assert scaling.fit(sparse.csr_array(x)).method == "unit"


@pytest.mark.parametrize("x", [COUNTS, COUNTS + 5 * np.eye(1, 40), np.eye(1, 5), np.ones((5, 1)), np.zeros((5, 2))])
def test_sparse_rows_of_comparable_features_are_not(x):
    scaling.fit(sparse.csr_array(x))


@pytest.mark.filterwarnings("ignore:.*which float32 tells apart badly")
def test_a_time_stamp_hides_no_clusters():
    y = np.repeat([0, 1, 2], 60)
    random = np.random.default_rng(0)
    x = 4 * np.eye(3)[y] + random.normal(size=(180, 3))
    stamped = np.column_stack([x, 1.7e9 + random.integers(86_400, size=180)])
    recipe = recipes.get("table", units=(32, 5), n_init=1)
    estimator = DeepEmbeddedClustering(3, recipe=recipe, verbose=0, random_state=0).fit(stamped)
    assert metrics.accuracy(y, estimator.labels_) > 0.95


def test_large_means_keep_their_digits():
    x = np.array([[1.6e9], [1.6e9 + 2]])
    with pytest.warns(UserWarning, match="Feature 0 varies by 1 about a mean of 1.6e"):
        fitted = scaling.fit(x)
    np.testing.assert_allclose(fitted.rows(x)[:], [[-1], [1]])


@pytest.mark.parametrize("method", ["standard", "largest", "range", "unit"])
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.filterwarnings("ignore:Feature 1 and others are so large")
def test_layer_does_the_same_and_back(method, invert, tmp_path):
    fitted = scaling.fit(X, method)
    model = keras.Sequential([keras.Input((3,)), fitted.layer((3,), invert=invert)])
    before, after = (fitted(X), X) if invert else (X, fitted(X))
    for name in "model.h5", "model.keras":
        model.save(tmp_path / name)
        loaded = keras.models.load_model(tmp_path / name, compile=False)
        np.testing.assert_allclose(loaded.predict(before, verbose=0), after, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("extension", ["h5", "keras"])
@pytest.mark.parametrize("make", [DEC, IDEC])
def test_model_takes_rows_as_they_come(make, extension, tmp_path):
    fitted = scaling.fit(X)
    encoder, decoder = dense_autoencoder(3, units=(6, 2))
    model = DEC(encoder, 3, alpha=2.0) if make is DEC else IDEC(encoder, decoder, 3, alpha=2.0, gamma=0.3)
    model.initialize_centroids(fitted(X))
    whole = scaling.into_model(model, fitted)
    assert type(whole) is make
    whole.save(tmp_path / f"model.{extension}")
    loaded = keras.models.load_model(tmp_path / f"model.{extension}", compile=False)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict(fitted(X), verbose=0), atol=1e-4)
    assert loaded.alpha == 2
    if make is IDEC:
        rows = keras.ops.convert_to_numpy(loaded(X.astype("float32"))["reconstruction"])
        expected = keras.ops.convert_to_numpy(model(fitted(X).astype("float32"))["reconstruction"])
        np.testing.assert_allclose(fitted(rows), expected, atol=1e-3)


def test_a_model_without_centroids_stays_without():
    encoder, decoder = dense_autoencoder(3, units=(6, 2))
    for model in DEC(encoder, 3), IDEC(encoder, decoder, 3):
        assert not scaling.into_model(model, scaling.fit(X)).placed
        model.centroids = np.zeros((3, 2))
        assert scaling.into_model(model, scaling.fit(X)).placed


def test_nothing_to_scale():
    model = DEC(dense_autoencoder(3, units=(6, 2))[0], 3)
    assert scaling.into_model(model, scaling.fit(X, "none")) is model


@pytest.mark.parametrize(
    ("x", "method", "message"),
    [
        (X, "robust", 'scale should be "auto", standard, .* Received: .robust.'),
        (sparse.csr_array(X), "standard", "would make sparse rows dense. Use .unit."),
        (
            1e25 * X,
            "auto",
            "Feature 0 should have a standard deviation from 1e-18 to 1e.18. Received: 2.*unit",
        ),
        (np.array([[np.nan, 1.0]]), "largest", "finite numbers only. Received: nan in row 0"),
    ],
)
def test_bad_input(x, method, message):
    with pytest.raises(ValueError, match=message):
        scaling.fit(x, method)


@pytest.mark.parametrize("extension", ["h5", "keras"])
@pytest.mark.parametrize("n_features", [3, 700])
@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_training_cannot_touch_the_scaling(kind, n_features, extension, tmp_path):
    """The encoder in other code: frozen, thawed, trained at a rate of 0."""
    random = np.random.default_rng(1)
    x = random.normal(100 * random.random(n_features), 1 + 9 * random.random(n_features), (64, n_features))
    x = x.astype("float32")
    fitted = scaling.fit(x)
    encoder, decoder = dense_autoencoder(n_features, units=(6, 2))
    model = DEC(encoder, 3) if kind is DEC else IDEC(encoder, decoder, 3)
    expected = model.embed(fitted(x), verbose=0)
    whole = scaling.into_model(model, fitted)
    np.testing.assert_allclose(whole.embed(x, verbose=0), expected, atol=1e-3)
    np.testing.assert_array_equal(model.embed(fitted(x), verbose=0), expected)  # left as it was
    whole.encoder.save(tmp_path / f"encoder.{extension}")
    loaded = keras.models.load_model(tmp_path / f"encoder.{extension}", compile=False)
    loaded.trainable = False
    loaded.trainable = True
    classifier = keras.Sequential([keras.Input((n_features,)), loaded, keras.layers.Dense(2)])
    classifier.compile(keras.optimizers.SGD(0.0), "mse")
    classifier.fit(x, np.zeros((64, 2)), epochs=2, verbose=0)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), whole.encoder.predict(x, verbose=0))
    classifier.save(tmp_path / f"classifier.{extension}")
    again = keras.models.load_model(tmp_path / f"classifier.{extension}", compile=False)
    np.testing.assert_array_equal(again.predict(x, verbose=0), classifier.predict(x, verbose=0))
    if kind is IDEC:
        rows = keras.ops.convert_to_numpy(whole(x)["reconstruction"])
        expected = keras.ops.convert_to_numpy(model(fitted(x).astype("float32"))["reconstruction"])
        np.testing.assert_allclose(fitted(rows), expected, atol=1e-3)
        whole.save(tmp_path / f"idec.{extension}")
        keras.models.load_model(tmp_path / f"idec.{extension}", compile=False)


def test_as_wide_as_a_config_may_be(tmp_path):
    x = np.random.default_rng(1).normal(-1234.5678, 1e-3, (9, 500))
    encoder, decoder = dense_autoencoder(500, units=(6, 2))
    scaling.into_model(IDEC(encoder, decoder, 3), scaling.Scaling("standard", x[0], x[1])).save(tmp_path / "a.h5")


@pytest.mark.parametrize("method", ["standard", "largest", "unit"])
def test_rows_of_half_precision_are_not_rounded_again(method):
    x = np.random.default_rng(0).uniform(1, 120, (50, 3)).astype("float16")
    fitted = scaling.fit(x, method)
    np.testing.assert_allclose(fitted(x), fitted(x.astype("float64")), rtol=1e-6, atol=1e-6)


# Images

PICTURES = np.random.default_rng(0).choice([0, 0, 4, 10, 16], size=(300, 6, 5)) / 16
HEIGHTS = np.random.default_rng(1).normal(1600, 300, size=(300, 6, 5))


def _with_a_hot_pixel(x):
    x[7, 2, 3] = 65_535
    return x


@pytest.mark.parametrize(
    ("x", "low", "high"),
    [
        (250 - (40 * PICTURES).astype("uint8"), 210, 250),  # pencil on paper
        (110 + (30 * PICTURES).astype("uint8"), 110, 140),
        (290 + 10 * PICTURES, 290, 300),  # kelvin
        (1e-6 * PICTURES, 0, 1e-6),
        (-1000 + 80 * PICTURES, -1000, -920),
        (_with_a_hot_pixel((400 * PICTURES).astype("uint16")), 0, 400),
        ((0.02 * PICTURES).astype("float16"), 0, 0.02),
    ],
    ids=["pencil", "gray", "kelvin", "tiny", "negative", "hot pixel", "float16"],
)
@pytest.mark.parametrize("flat", [False, True])
def test_faint_images_are_scaled_by_their_range(x, low, high, flat):
    x = x.reshape(300, -1) if flat else x
    fitted = scaling.fit(x, images=True, channels=1)
    assert fitted.method == "range"
    assert (fitted.mean, fitted.mean + fitted.divisor) == pytest.approx((low, high), rel=1e-3)
    scaled = np.clip(fitted.rows(x)[:], 0, 1.01)
    np.testing.assert_allclose(
        np.abs(scaled - scaled.mean()).mean(), np.abs(PICTURES - PICTURES.mean()).mean(), rtol=0.05
    )


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("others", [HEIGHTS, 1e-4 * HEIGHTS, 0 * HEIGHTS + 255], ids=["large", "small", "opaque"])
def test_channels_in_other_units_count_as_much(others, flat):
    x = np.stack([PICTURES, others], axis=3)
    x = x.reshape(300, -1) if flat else x
    scaled = scaling.fit(x, images=True, channels=2).rows(x)[:].reshape(-1, 2)
    np.testing.assert_allclose(scaled[:, 0], PICTURES.ravel(), atol=1e-6)
    assert 0.1 < scaled[:, 1].std() < 0.4 or others.std() == scaled[:, 1].std() == 0


@pytest.mark.parametrize("channels", [1, 2, None])
@pytest.mark.parametrize("brightest", [1, 16, 255, 1023])
def test_other_images_are_divided_by_their_largest_value(brightest, channels):
    x = (brightest * PICTURES).round()
    assert scaling.fit(x, images=True, channels=channels).method == "largest"


@pytest.mark.parametrize("pixels", [np.zeros((9, 16)), np.full((9, 16), 7.0), np.eye(1, 16_000)])
def test_images_that_hardly_hold_anything(pixels):
    fitted = scaling.fit(pixels, images=True, channels=1)
    assert np.isfinite(fitted.rows(pixels)[:]).all()
    assert np.ptp(fitted.rows(pixels)[:]) == pytest.approx(np.ptp(pixels))


@pytest.mark.parametrize("shape", [(300, 6, 5, 2), (300, 60)])
@pytest.mark.parametrize("extension", ["h5", "keras"])
def test_range_of_channels_goes_into_a_layer(shape, extension, tmp_path):
    x = np.stack([PICTURES, HEIGHTS], axis=3).reshape(shape)
    fitted = scaling.fit(x, "range", channels=2)
    model = keras.Sequential([keras.Input(shape[1:]), fitted.layer(shape[1:])])
    model.save(tmp_path / f"model.{extension}")
    loaded = keras.models.load_model(tmp_path / f"model.{extension}", compile=False)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), fitted(x), atol=1e-4)
    assert str(fitted).startswith("each channel minus its darkest value")


def test_faint_images_are_clustered():
    """They ended in one cluster: divided by their largest value, 191 to 255 is nearly one gray."""
    y = np.repeat([0, 1, 2], 60)
    x = np.zeros((180, 8, 8))
    x[np.arange(180), 1 + 2 * y] = 1
    x = (250 - 20 * x + np.random.default_rng(0).normal(size=x.shape)).round().astype("uint8")
    recipe = recipes.get("images", units=(64, 5), min_pretraining_iterations=600)
    estimator = DeepEmbeddedClustering(3, recipe=recipe, verbose=0, random_state=0).fit(x)
    assert metrics.accuracy(y, estimator.labels_) > 0.9
    np.testing.assert_array_equal(estimator.predict(x), estimator.labels_)
