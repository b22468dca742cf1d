"""Series of channels, distinguished from images, scaled by channel, with a dense or a convolutional encoder."""

import keras
import numpy as np
import pytest

import deckeras
from deckeras import DEC, DeepEmbeddedClustering, metrics, recipes, scaling, series_autoencoder
from deckeras._data.row_shapes import looks_like_series

pytestmark = pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
QUICK = {"units": (16, 3), "epochs": 1, "min_pretraining_iterations": 300, "max_iterations": 60, "n_init": 1}


@pytest.fixture(scope="module")
def waves():
    """(x, y): 60 series of 24 times and 2 channels, the second of which has another unit and no information."""
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 20)
    time = np.linspace(0, 6, 24)
    first = np.sin((y + 1)[:, None] * time) + random.normal(scale=0.1, size=(60, 24))
    second = 5000 + 300 * random.normal(size=(60, 1)) + np.zeros(24)
    return np.stack([first, second], axis=2), y


@pytest.mark.parametrize(
    ("shape", "series"),
    [
        ((28, 28), False),
        ((8, 8), False),
        ((32, 48), False),
        ((4, 4), False),
        ((100, 3), True),
        ((128, 9), True),
        ((3, 100), True),
        ((5, 3), True),
        ((16, 8), True),
        ((28, 28, 1), False),
        ((100, 3, 2), False),
        ((784,), False),
    ],
)
def test_what_looks_like_a_series(shape, series):
    assert looks_like_series(shape) is series


@pytest.mark.usefixtures("whole_layouts")
def test_channels_of_other_units_count_alike(waves):
    x, y = waves
    estimator = DeepEmbeddedClustering(3, recipe=recipes.get("series", **QUICK), random_state=0).fit(x)
    assert metrics.accuracy(y, estimator.labels_) > 0.9
    np.testing.assert_array_equal(estimator.predict(x), estimator.labels_)
    np.testing.assert_array_equal(estimator.predict(x.reshape(60, -1)), estimator.labels_)
    scaled = estimator.scaling_(x.reshape(60, -1)).reshape(x.shape)
    np.testing.assert_allclose(scaled.mean(axis=(0, 1)), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(axis=(0, 1)), 1)
    assert str(estimator.scaling_) == "each channel minus its mean, divided by its standard deviation"
    assert estimator.inverse_transform(estimator.cluster_centers_).shape == (3, 48)
    with pytest.raises(ValueError, match=r"X should hold series of shape \(24, 2\).* Received: \(12, 4\)"):
        estimator.predict(x.reshape(60, 12, 4))


def named(recipe, x, **options):
    estimator = DeepEmbeddedClustering(3, recipe=recipe, **options)
    estimator.prepare(x)
    return estimator.recipe_.series, estimator.recipe_.image_shape, estimator.recipe_.series_shape


def test_by_looks_and_by_declaration(waves):
    x, _ = waves
    square = np.random.default_rng(0).random((9, 8, 8))
    assert named("auto", x) == (True, None, (24, 2))
    assert named("table", x) == (True, None, (24, 2))
    assert named("images", x) == (False, (24, 2), None)
    assert named("auto", x, image_shape=(24, 2)) == (False, (24, 2), None)
    assert named("auto", square) == (False, (8, 8), None)
    assert named("series", square) == (True, None, (8, 8))
    assert named(recipes.get("series", series_shape=(24, 2)), x.reshape(60, -1)) == (True, None, (24, 2))
    with pytest.raises(ValueError, match=r"Series should be of shape \(time, channels\). Received: .*\(4, 4, 3\)"):
        named("series", np.zeros((9, 4, 4, 3)))


def test_convolutional_encoder_and_its_file(waves, tmp_path):
    x, _ = waves
    recipe = recipes.get("series", convolutional=True, **{**QUICK, "min_pretraining_iterations": 30})
    estimator = DeepEmbeddedClustering(3, recipe=recipe, random_state=0).fit(x)
    kinds = [type(layer).__name__ for layer in estimator.model_.encoder.layers]
    assert kinds == ["Rescaling", "Reshape", "Conv1D", "Conv1D", "Conv1D", "Flatten", "Dense"]
    for name in "a.keras", "a.h5":
        estimator.model_.save(tmp_path / name)
        loaded = keras.models.load_model(tmp_path / name, compile=False)
        q = loaded.predict(x.reshape(60, -1), verbose=0)
        np.testing.assert_allclose(q, estimator.predict_proba(x), atol=1e-5)


@pytest.mark.parametrize("length", [1, 7, 8, 50])
@pytest.mark.parametrize("flat", [True, False])
def test_series_of_any_length_come_back_in_their_own(length, flat):
    row_shape = (length * 3,) if flat else (length, 3)
    encoder, decoder = series_autoencoder((length, 3), 4, row_shape=row_shape)
    assert encoder.output_shape == (None, 4)
    assert decoder.output_shape == (None, *row_shape)
    x = np.random.default_rng(0).random((10, *row_shape))
    deckeras.pretrain_autoencoder(encoder, decoder, x, iterations=2, verbose=0)
    assert DEC(encoder, 2).predict(x, verbose=0).shape == (10, 2)


@pytest.mark.parametrize(
    "options", [{"series_shape": 50}, {"series_shape": (50,)}, {"series_shape": (50, 3), "filters": (8,)}]
)
def test_bad_sizes(options):
    with pytest.raises(ValueError, match="series_shape should be"):
        series_autoencoder(**options)


def test_scaling_of_channels_by_hand():
    x = np.array([[[1.0, 10.0], [3.0, 30.0]], [[5.0, 50.0], [7.0, 70.0]]])
    for rows in (x, x.reshape(2, -1)):
        fitted = scaling.fit(rows, channels=2)
        np.testing.assert_allclose(np.ravel(fitted.mean), [4, 40, 4, 40])
        np.testing.assert_allclose(np.ravel(fitted.divisor), np.sqrt([5, 500, 5, 500]))
        assert fitted(rows).shape == rows.shape
    assert str(scaling.fit(np.full((3, 4), 7.0), channels=2)).endswith(
        "; 2 are constant or hold only 0 and 1, and are not divided"
    )


def test_the_command_takes_them_for_series_too(waves, tmp_path, monkeypatch, capsys):
    from deckeras import cli

    monkeypatch.chdir(tmp_path)
    np.save("waves.npy", waves[0])
    assert cli.main(["fit", "waves.npy", "-k", "3", "--epochs", "1", "--max-iter", "5", "--no-report"]) == 0
    assert "each channel minus its mean" in capsys.readouterr().out
