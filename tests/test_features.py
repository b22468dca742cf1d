"""Features of a pretrained network: the network, its features computed once, and the whole model."""

import sys

import keras
import numpy as np
import pytest

from deckeras import DEC, DeepEmbeddedClustering, dense_autoencoder, features, metrics, recipes, sources
from deckeras.features import applications, computing, networks

QUICK = {"epochs": 1, "max_iter": 20, "random_state": 0}
pytestmark = [
    pytest.mark.usefixtures("eagerly"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:.*clusters came out"),
]


@pytest.fixture
def core():
    """A small network of colored pictures of 16 x 16, whose batch normalization shows whether it is frozen."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Conv2D(8, 3, strides=2),
        ]
    )


@pytest.fixture(scope="module")
def pictures():
    """(x, y): 90 pictures of 16 x 16 in three colors, in turn."""
    random, y = np.random.default_rng(0), np.arange(90) % 3
    colors = np.array([[180, 20, 20], [20, 160, 20], [30, 30, 190]])[y]
    return (random.integers(60, size=(90, 16, 16, 3)) + colors[:, None, None]).astype("uint8"), y


@pytest.mark.parametrize(
    ("shape", "image_shape", "n_features"),
    [
        ((16, 16, 3), None, 8),
        ((16, 16, 3), (20, 30, 3), 8),  # cropped and resized
        ((16, 16, 3), (16, 16), 8),  # gray
        ((16, 16, 3), (9, 9, 1), 8),
        ((None, None, 3), None, 8),  # of any size
    ],
)
def test_network_takes_pictures_of_other_shapes(shape, image_shape, n_features):
    core = keras.Sequential([keras.Input(shape), keras.layers.Conv2D(8, 3)])
    model = features.network(core, image_shape=image_shape)
    expected = image_shape or (*(side or 224 for side in shape[:2]), 3)
    assert model.input_shape == (None, *expected)
    found = model.predict(np.zeros((2, *expected)), verbose=0)
    assert found.shape == (2, n_features)
    assert found.dtype == "float32"


@pytest.mark.parametrize(
    ("layer", "pool"),
    [
        (keras.layers.Identity, lambda x: x.mean(axis=(1, 2))),
        (lambda: keras.layers.Reshape((256, 3)), lambda x: x[:, 0, 0]),
        (keras.layers.Flatten, lambda x: x.reshape(len(x), -1)),
    ],
)
def test_pooling_by_hand(layer, pool, pictures):
    x = pictures[0][:4].astype("float32")
    model = features.network(keras.Sequential([keras.Input((16, 16, 3)), layer()]))
    np.testing.assert_allclose(model.predict(x, verbose=0), pool(x), rtol=1e-5)


def test_gray_pictures_are_those_of_equal_colors(core, pictures):
    gray = pictures[0][:5, ..., 0]
    one = features.network(core, image_shape=(16, 16)).predict(gray, verbose=0)
    other = features.network(core).predict(np.repeat(gray[..., None], 3, axis=-1), verbose=0)
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize(
    ("source", "options", "match"),
    [
        ("EfficientNetB9", {}, "Received: 'EfficientNetB9'. Did you mean EfficientNetB"),
        ("none.keras", {}, "none.keras"),
        ("MobileNetV3Small", {"weights": "none.h5"}, "no file of weights 'none.h5'"),
        (keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), {}, "colored pictures"),
        (keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]), {}, "colored pictures"),
        (keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]), {"weights": "a.h5"}, "weights"),
        (keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]), {"image_shape": (8, 8, 4)}, "Pictures"),
        (3, {}, "keras.Model"),
    ],
)
def test_refused_networks(source, options, match):
    with pytest.raises((OSError, ValueError, TypeError), match=match):
        features.network(source, **options)


@pytest.mark.parametrize("name", applications.names())
def test_each_network_of_keras_has_its_preprocessing(name):
    """That of the module that builds it."""
    module = getattr(keras.applications, name).__module__
    assert module.rpartition(".")[2] == applications.family(name)
    assert applications.find(name.lower()) == name


@pytest.mark.parametrize("family", ["resnet", "densenet", "mobilenet_v2", "convnext"])
def test_preprocessing_is_that_of_keras(family, pictures):
    x = pictures[0][:2].astype("float32")
    expected = getattr(keras.applications, family).preprocess_input(x.copy())
    layer = applications.Preprocessing.from_config(applications.Preprocessing(family).get_config())
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, rtol=1e-5, atol=1e-4)


def test_missing_weights_are_named(monkeypatch):
    def refuse(*_, **__):
        raise Exception("URL fetch failure on https://example.org/efficientnetv2-b0_notop.h5: None -- unknown")

    monkeypatch.setattr(keras.applications, "EfficientNetV2B0", refuse)
    with pytest.raises(OSError, match=r"Download https://example\.org/efficientnetv2-b0_notop\.h5 on .*--weights"):
        features.network("auto")


def test_weights_of_a_file(tmp_path):
    source = features.network("MobileNetV3Small", weights="random")
    (model,) = [layer for layer in source.layers if isinstance(layer, keras.Model)]
    model.save_weights(tmp_path / "mine.weights.h5")
    found = features.network("mobilenet-v3-small", weights=tmp_path / "mine.weights.h5")
    for mine, theirs in zip(source.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    (tmp_path / "damaged.h5").write_bytes((tmp_path / "mine.weights.h5").read_bytes()[:1000])
    with pytest.raises(OSError, match="damaged"):
        features.network("MobileNetV3Small", weights=tmp_path / "damaged.h5")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match="weights of MobileNetV3Small"):
        features.network("MobileNetV3Small", weights=tmp_path / "other.weights.h5")


class StoppedError(Exception):
    """An interruption of the computation."""


def interrupted(after):
    def report(done, n, rate):
        if done >= after:
            raise StoppedError

    return report


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(computing.row_views, "predict_batch_size", lambda _: 16)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("after", [16, 48, 90])
def test_an_interrupted_file_is_continued(core, pictures, tmp_path, after):
    model, x = features.network(core), pictures[0]
    expected = features.compute(model, x)
    with pytest.raises(StoppedError):
        features.compute(model, x, folder=tmp_path, report=interrupted(after))
    (part,) = tmp_path.iterdir()
    assert part.suffix == ".part"
    with open(part, "ab") as file:
        file.write(b"half a row")
    calls = []
    found = features.compute(model, x, folder=tmp_path, report=lambda done, *_: calls.append(done))
    np.testing.assert_array_equal(found, expected)
    assert calls[0] == max(16, after // 16 * 16)  # the last batch is computed anew
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]
    again = features.compute(model, x, folder=tmp_path, report=lambda *_: pytest.fail("computed anew"))
    np.testing.assert_array_equal(again, expected)


@pytest.mark.usefixtures("small_batches")
def test_the_file_is_by_content_and_network(core, pictures, tmp_path):
    x = pictures[0][:20]
    changed = x.copy()
    changed[3, 4, 5, 1] ^= 1
    model = features.network(core)
    others = [features.network(core, image_shape=(16, 16)), features.network(core)]
    others[1].set_weights([weight + 1e-3 for weight in others[1].get_weights()])
    features.compute(model, x, folder=tmp_path)
    features.compute(model, changed, folder=tmp_path)
    features.compute(others[0], x[..., 0], folder=tmp_path)
    features.compute(others[1], x, folder=tmp_path)
    np.testing.assert_array_equal(
        features.compute(model, x[::-1], folder=tmp_path), features.compute(model, x, folder=tmp_path)[::-1]
    )
    assert len(list(tmp_path.iterdir())) == 5
    features.compute(features.network(core), x.copy(), folder=tmp_path)  # the same, in another process
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.usefixtures("small_batches")
def test_operations_are_part_of_a_network(pictures, tmp_path):
    def core(divisor):
        inputs = keras.Input((16, 16, 3))
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs / divisor))

    one, other = (features.compute(features.network(core(by)), pictures[0], folder=tmp_path) for by in (1.0, 2.0))
    np.testing.assert_allclose(one, 2 * other, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (np.full((4, 16, 16, 3), 0.5), "pixels from 0 to 255.* Multiply them by 255"),
        (np.linspace(-1, 1, 3072).reshape(4, 16, 16, 3), "pixels from 0 to 255.* Undo their scaling"),
        (np.linspace(-124, 151, 3072).reshape(4, 16, 16, 3), "pixels from 0 to 255.* Undo their scaling"),
        (np.zeros((4, 8, 8, 3)), r"shape \(16, 16, 3\)"),
        (np.full((4, 16, 16, 3), np.nan), "finite"),
    ],
)
def test_refused_pictures(core, x, match):
    with pytest.raises(ValueError, match=match):
        features.compute(features.network(core), x)


RANGES = [
    (0.0, 1.0, "Multiply them by 255"),
    (0, 1, "Multiply them by 255"),
    (-1.0, 1.0, "Undo their scaling"),
    (-2.1, 2.6, "Undo their scaling"),
    (-60.0, 255.0, "Undo their scaling"),
    (0, 4095, "from 0 to 4095. .* 12 bits divided by 16"),
    (0, 65535, "from 0 to 65535. .* 16 bits divided by 257"),
    (-1024, 3071, "to 3071. Scale them to 0 to 255"),
    (0.0, 310.0, "to 310. Scale them to 0 to 255"),
    (-20.0, 300.0, None),  # Cubic interpolation leaves such values.
    (0, 255, None),
    (0.0, 2.0, None),  # dark
    (0, 0, None),
]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("low", "high", "match"), RANGES)
def test_the_range_of_pictures_does_not_depend_on_their_order(core, tmp_path, low, high, match, turned, wrapped):
    """One picture of 40, in the first batch or the last, has the extreme values; all others are black."""
    dtype = "float32" if isinstance(high, float) else "uint8" if 0 <= high <= 255 else "int32"
    x = np.zeros((40, 16, 16, 3), dtype)
    x[0, :2] = low
    x[0, 2:4] = high
    x = x[::-1].copy() if turned else x
    if wrapped:
        np.save(tmp_path / "x.npy", x)
        x = np.load(tmp_path / "x.npy", mmap_mode="r")
    model, folder = features.network(core), tmp_path / "run"
    if match is None:
        assert features.compute(model, x, folder=folder).shape == (40, 8)
        return
    with pytest.raises(ValueError, match=f"pixels from 0 to 255.*{match}"):
        features.compute(model, x, folder=folder)
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("small_batches")
def test_bright_pictures_are_not_read_twice(core, pictures):
    """Reading files takes time."""
    read = []

    class Files(sources.Blocks):
        def __getitem__(self, index):
            rows = pictures[0][index]
            read.append(len(rows))
            return rows

    features.compute(features.network(core), Files([90], (16, 16, 3), "uint8"))
    assert sum(read) == 90 + 16


def test_nan_of_a_network_is_refused(core, pictures):
    model = features.network(core)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    with pytest.raises(ValueError, match="infinity for row 0"):
        features.compute(model, pictures[0])


def test_estimator(core, pictures, tmp_path):
    x, y = pictures
    before = [weight.copy() for weight in core.get_weights()]
    estimator = DeepEmbeddedClustering(3, features=core, checkpoint_dir=tmp_path, **QUICK).fit(x)
    assert estimator.recipe_.name == "features"
    assert metrics.accuracy(y, estimator.labels_) > 0.9
    z = estimator.extract(x)
    assert z.shape == (90, 8)
    np.testing.assert_array_equal(estimator.predict(x), estimator.labels_)
    np.testing.assert_array_equal(estimator.predict(z), estimator.labels_)
    np.testing.assert_allclose(estimator.transform(x), estimator.transform(z), atol=1e-5)
    assert estimator.inverse_transform(estimator.cluster_centers_).shape == (3, 8)
    assert estimator.verdict(x).as_dict() == estimator.verdict(z).as_dict()
    assert estimator.score(x) == pytest.approx(estimator.score(z))
    # The one file takes pictures, and the network is unchanged bit for bit.
    estimator.model_.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_array_equal(loaded.predict_clusters(x, verbose=0), estimator.labels_)
    for model in (core, estimator.network_):
        for weight, found in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, found)
    assert len(loaded.encoder.get_layer("features").trainable_variables) == 0
    assert core.trainable_variables  # the user's own model is not frozen


def test_estimator_of_features_alone(core, pictures):
    x = pictures[0]
    z = features.compute(features.network(core), x)
    one = DeepEmbeddedClustering(3, features=core, **QUICK).fit(z)
    other = DeepEmbeddedClustering(3, features=core, **QUICK).fit(x)
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_array_equal(one.predict(x), other.labels_)
    # New parameters have no effect before the next fit.
    np.testing.assert_array_equal(other.set_params(features=None).predict(x), other.labels_)


@pytest.mark.usefixtures("compiled")
@pytest.mark.filterwarnings("ignore:The centroids of these pairs")
def test_the_network_is_trained_where_asked_for(core, pictures):
    x = pictures[0]
    before = core.get_weights()
    estimator = DeepEmbeddedClustering(3, features=core, **QUICK).fit(x, train_features=True)
    changed = [not np.array_equal(a, b) for a, b in zip(before, estimator.network_.get_weights(), strict=True)]
    assert changed[0]
    # The mean and variance of batch normalization are those of the pretraining.
    assert not any(changed[4:6])
    np.testing.assert_array_equal(estimator.labels_, estimator.model_.predict_clusters(x, verbose=0))
    for weight, found in zip(before, core.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, found)


@pytest.mark.usefixtures("compiled")
@pytest.mark.filterwarnings("ignore:The centroids of these pairs")
@pytest.mark.parametrize(("rank", "rate"), [(None, 0.5), (2, 2.0)])  # at which rows go on changing their cluster
def test_an_interrupted_training_of_the_network_is_resumed(pictures, tmp_path, rank, rate, monkeypatch):
    monkeypatch.setattr(sys.modules["deckeras.features.whole"], "_RATE", rate)

    class Epochs(keras.callbacks.Callback):
        """Those of the whole model, the second of which may be interrupted."""

        def __init__(self, interrupt=False):
            super().__init__()
            self.interrupt, self.seen = interrupt, []

        def on_epoch_end(self, epoch, logs=None):
            if isinstance(self.model, DEC) and len(self.model.input_shape) == 4:
                self.seen.append(epoch)
                if self.interrupt and epoch == 1:
                    raise KeyboardInterrupt

    def fit(name, callback):
        estimator = DeepEmbeddedClustering(3, features=dense_core(), checkpoint_dir=tmp_path / name, **QUICK)
        return estimator.fit(pictures[0], callbacks=callback, train_features=True, lora_rank=rank)

    whole = fit("whole", Epochs())
    with pytest.raises(KeyboardInterrupt):
        fit("cut", Epochs(interrupt=True))
    rest = Epochs()
    resumed = fit("cut", rest)
    assert rest.seen[0] == 1
    for one, other in zip(whole.model_.get_weights(), resumed.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("compiled")
@pytest.mark.filterwarnings("ignore:The centroids of these pairs")
@pytest.mark.parametrize("kind", ["Sequential", "functional"])
def test_a_loaded_network_is_trained(kind, pictures, tmp_path):
    """Keras does not pass `trainable` on to the layers of a Sequential that was read from a file."""
    core = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(8, 3, strides=4)])
    core = core if kind == "Sequential" else keras.Model(core.inputs, core.outputs)
    DeepEmbeddedClustering(3, features=core, **QUICK).fit(pictures[0]).model_.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    network = loaded.get_layer("features")
    before = network.get_weights()
    features.thaw(loaded, pictures[0], recipe=recipes.get("features", updates=1, tol=0), verbose=0)
    assert all(not np.array_equal(one, other) for one, other in zip(before, network.get_weights(), strict=True))


@pytest.mark.usefixtures("compiled")
@pytest.mark.filterwarnings("ignore:The centroids of these pairs")
def test_low_rank_changes(pictures, tmp_path):
    """Only the kernels of dense layers change, by a matrix of the rank; the saved file has them."""
    kernel = keras.initializers.RandomNormal(0.1, seed=1)
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(12, kernel_initializer=kernel),
    ]
    core = keras.Sequential([keras.Input((16, 16, 3)), *layers, keras.layers.LayerNormalization()])
    estimator = DeepEmbeddedClustering(3, features=core, **QUICK).fit(pictures[0])
    before = [weight.copy() for weight in estimator.network_.get_weights()]
    whole = features.whole(estimator.network_, estimator.head_)
    recipe = recipes.get("features", learning_rate=0.1, updates=3, tol=0)
    history = features.thaw(whole, pictures[0], recipe=recipe, lora_rank=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    whole.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(
        loaded.predict(pictures[0], verbose=0), whole.predict(pictures[0], verbose=0), rtol=1e-4, atol=1e-5
    )
    network = whole.get_layer("features")
    assert network is estimator.network_
    kernel, *others = network.get_weights()
    assert np.linalg.matrix_rank(kernel - before[0], tol=1e-5) == 2, np.linalg.svd(kernel - before[0])[1]
    for weight, found in zip(before[1:], others, strict=True):
        np.testing.assert_array_equal(weight, found)
    assert not network.trainable_variables


def dense_core(**options):
    options = {"kernel_initializer": keras.initializers.GlorotUniform(seed=0), **options}
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(12, **options)]
    return keras.Sequential([keras.Input((16, 16, 3)), *layers])


@pytest.mark.usefixtures("compiled")
@pytest.mark.filterwarnings("ignore:The centroids of these pairs")
def test_the_estimator_trains_low_rank_changes(pictures):
    """By its seed, and all that it says is of the trained network."""
    core = dense_core(kernel_initializer=keras.initializers.RandomNormal(0.1, seed=1))
    fits = [
        DeepEmbeddedClustering(3, features=core, **QUICK).fit(pictures[0], train_features=True, lora_rank=2)
        for _ in range(2)
    ]
    for one, other in zip(*(fit.model_.get_weights() for fit in fits), strict=True):
        np.testing.assert_array_equal(one, other)
    estimator = fits[0]
    assert not np.array_equal(estimator.network_.get_weights()[0], core.get_weights()[0])
    np.testing.assert_array_equal(estimator.labels_, estimator.model_.predict_clusters(pictures[0], verbose=0))
    np.testing.assert_array_equal(estimator.labels_, estimator.predict(pictures[0]))


@pytest.mark.usefixtures("compiled")
@pytest.mark.filterwarnings("ignore:The centroids of these pairs")
def test_low_rank_changes_are_added_at_full_precision(pictures):
    keras.config.set_dtype_policy("mixed_bfloat16")
    core = dense_core()
    estimator = DeepEmbeddedClustering(3, features=core, **QUICK).fit(pictures[0])
    before = estimator.network_.get_weights()[0].copy()
    recipe = recipes.get("features", learning_rate=1e-30, updates=1, tol=0)
    features.thaw(estimator.model_, pictures[0], recipe=recipe, lora_rank=2, verbose=0)
    np.testing.assert_allclose(estimator.network_.get_weights()[0], before, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lora_rank": 2}, "lora_rank needs train_features=True"),
        ({"train_features": True, "lora_rank": 0}, "lora_rank"),
    ],
)
def test_refused_low_rank_changes(core, pictures, options, match):
    with pytest.raises(ValueError, match=match):
        DeepEmbeddedClustering(3, features=core, **QUICK).fit(pictures[0], **options)


def test_layers_that_take_no_low_rank_changes(pictures):
    network = features.network(dense_core(kernel_constraint="non_neg"))
    whole = features.whole(network, DEC(dense_autoencoder(12, (4, 2))[0], 3))
    with pytest.raises(ValueError, match="The layer 'dense.*constraint"):
        features.thaw(whole, pictures[0], lora_rank=2, verbose=0)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"recipe": "nope"}, "recipe should be"), ({"max_iterations": 0}, "max_iterations"), ({"y": [0, 1]}, "y should")],
)
def test_wrong_options_leave_the_network_frozen(core, options, match):
    whole = features.whole(features.network(core), DEC(dense_autoencoder(8, (4, 2))[0], 3))
    with pytest.raises(ValueError, match=match):
        features.thaw(whole, np.zeros((9, 16, 16, 3)), **options)
    assert not whole.get_layer("features").trainable_variables


def test_weights_of_a_network_are_refused(core):
    network = features.network(core)
    assert features.network(network, image_shape=[16, 16, 3], copy=False) is network
    with pytest.raises(ValueError, match="weights should be None"):
        features.network(network, weights="no_such_file.h5", copy=False)


@pytest.mark.parametrize(("rank", "match"), [(0, "lora_rank should be"), (2, "dense layers")])
def test_refused_ranks(core, rank, match):
    encoder, _ = dense_autoencoder(8, (4, 2))
    whole = features.whole(features.network(core), DEC(encoder, 3))
    with pytest.raises(ValueError, match=match):
        features.thaw(whole, np.zeros((9, 16, 16, 3)), lora_rank=rank)
    assert not whole.get_layer("features").trainable_variables  # still frozen


@pytest.mark.parametrize(
    ("options", "x", "train", "match"),
    [
        ({}, np.zeros((9, 16, 16, 3)), True, "needs a network"),
        ({"features": "core"}, np.zeros((9, 8)), True, "Received: features"),
        ({"features": "core"}, np.zeros((9, 16, 16, 3)), "all", "True or False"),
    ],
)
def test_refused_thaws(core, options, x, train, match):
    options = dict.fromkeys(options, core)
    with pytest.raises(ValueError, match=match):
        DeepEmbeddedClustering(3, **options, **QUICK).fit(x, train_features=train)


def test_settings_of_layers_count(pictures, tmp_path):
    """Networks of the same weights whose strides differ give other features, and are told apart."""
    weights = None
    for strides in (1, 2):
        core = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(2, 3, strides=strides)])
        weights = core.get_weights() if weights is None else weights
        core.set_weights(weights)
        features.compute(features.network(core), pictures[0][:4], folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_features_of_another_network_are_refused(core):
    with pytest.raises(ValueError, match="pictures, or the 8 features"):
        DeepEmbeddedClustering(3, features=core, **QUICK).fit(np.random.default_rng(0).normal(size=(20, 5)))


def test_extract_needs_a_network(blobs):
    estimator = DeepEmbeddedClustering(3, **QUICK).fit(blobs[0])
    with pytest.raises(ValueError, match="needs a network"):
        estimator.extract(blobs[0])
    assert estimator.head_ is estimator.model_


def test_whole_model_shares_the_layers(core, pictures):
    model = features.network(core)
    encoder, _ = dense_autoencoder(8, (6, 2))
    head = DEC(encoder, 3)
    assert not features.whole(model, head).placed
    head.centroids = np.random.default_rng(0).normal(size=(3, 2))
    whole = features.whole(model, head)
    z = features.compute(model, pictures[0])
    np.testing.assert_allclose(whole.predict(pictures[0], verbose=0), head.predict(z, verbose=0), rtol=1e-4, atol=1e-6)
    assert networks.is_network(whole.encoder.get_layer("features"))
