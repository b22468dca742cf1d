"""Importing, saving and loading alongside other Keras code: names, files of earlier versions, clones."""

import itertools
import json
import pathlib
import pickle

import h5py
import keras
import numpy as np
import pytest

import deckeras
from deckeras import DEC, IDEC, dense_autoencoder

FILES = pathlib.Path(__file__).parent / "files"  # Written by the version before class names were registered in .h5.
OLD = [
    name
    for kind in ("dec", "idec", "sequential", "scaled_dec", "scaled_idec")
    for name in (f"{kind}.h5", f"{kind}.keras")
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs"),
]


def make(kind, **options):
    encoder, decoder = dense_autoencoder(4, units=(6, 2))
    if kind is IDEC:
        return IDEC(encoder, decoder, 3, **options)
    return DEC(encoder, 3, **options)


@pytest.fixture
def rows():
    return np.load(FILES / "rows.npy")


USERS_FILE = """
import keras, numpy as np

def layer(name):
    class Mine(keras.layers.Layer):
        def __init__(self, n_clusters=2, **kwargs):
            super().__init__(**kwargs)
            self.n_clusters = n_clusters
        def call(self, x):
            return x * 7.0
        def get_config(self):
            return {**super().get_config(), "n_clusters": self.n_clusters}
    Mine.__name__ = name
    return Mine

names = ("ClusteringLayer", "DEC", "IDEC")
classes = {name: layer(name) for name in names}
for name in names:
    model = keras.Sequential([keras.Input((3,)), classes[name](name="mine")])
    for extension in "h5", "keras":
        model.save(f"{name}.{extension}")
before = set(keras.saving.get_custom_objects())
import deckeras
print(sorted(set(keras.saving.get_custom_objects()) - before))
for name in names:
    for extension in "h5", "keras":
        loaded = keras.models.load_model(f"{name}.{extension}", custom_objects={name: classes[name]})
        assert type(loaded.layers[-1]) is classes[name], (name, extension)
        assert (loaded.predict(np.ones((1, 3)), verbose=0) == 7).all()
        try:
            keras.models.load_model(f"{name}.{extension}")
        except (ValueError, TypeError) as error:
            assert name in str(error)
        else:
            raise AssertionError((name, extension))
"""


def test_names_of_others_stay_theirs(run_python):
    added = run_python(USERS_FILE).strip().splitlines()[-1]
    assert all(name.startswith("deckeras>") for name in json.loads(added.replace("'", '"')))


@pytest.mark.parametrize("kind", [DEC, IDEC])
@pytest.mark.parametrize("save", [lambda model, path: model.save(path), keras.saving.save_model])
def test_h5_holds_the_registered_name(kind, save, tmp_path, rows):
    model = make(kind)
    model.centroids = np.arange(6).reshape(3, 2)
    save(model, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert json.loads(file.attrs["model_config"])["class_name"] == f"deckeras>{kind.__name__}"
    loaded = keras.models.load_model(tmp_path / "a.h5")
    assert type(loaded) is kind
    np.testing.assert_array_equal(loaded.predict(rows, verbose=0), model.predict(rows, verbose=0))
    assert kind.__name__ in ("DEC", "IDEC")


@pytest.mark.parametrize("name", OLD)
def test_files_of_earlier_versions_load(name, rows):
    kind = name.partition(".")[0]
    model = keras.models.load_model(FILES / name, compile=kind != "sequential")
    x = rows * 10 + 100 if kind.startswith("scaled") else rows
    with np.load(FILES / "expected.npz") as expected:
        np.testing.assert_allclose(model.predict(x, verbose=0), expected[kind], atol=2e-5)


def test_estimators_of_earlier_versions_load(rows):
    with open(FILES / "estimator.pickle", "rb") as file, np.load(FILES / "expected.npz") as expected:
        estimator = pickle.load(file)  # noqa: S301 - our own
        np.testing.assert_allclose(estimator.predict_proba(rows), expected["estimator"], atol=2e-5)


class Mine(keras.Model):
    def __init__(self, **config):
        super().__init__()
        self.config = config

    def call(self, x):
        return x

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**{key: value for key, value in config.items() if key == "alpha"})


def test_explicit_custom_objects_win_over_ours():
    with pytest.raises(ValueError, match="Layer count mismatch|layers"):  # Ours would have had as many as the file.
        keras.models.load_model(FILES / "dec.h5", custom_objects={"DEC": Mine})


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("extension", ["h5", "keras"])
@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_every_loss_and_metric_by_its_string(kind, extension, tmp_path, rows):
    losses = ["kld", "KLD", "kl_divergence", "mse", "MSE", "mae", "bce", "huber", "poisson", "KLDivergence", "log_cosh"]
    metrics = ["mae", "mse", "accuracy", "kl_divergence", "KLDivergence", "cosine_similarity", "binary_crossentropy"]
    for loss, metric in itertools.zip_longest(losses, metrics, fillvalue="mae"):
        model = make(kind)
        model.compile("sgd", loss=loss, metrics=[metric] if kind is DEC else {"q": [metric]})
        model.save(tmp_path / f"k.{extension}")
        loaded = keras.models.load_model(tmp_path / f"k.{extension}")
        y = np.full((8, 3), 1 / 3, "float32")
        y = y if kind is DEC else {"q": y, "reconstruction": rows[:8]}
        first, second = (one.evaluate(rows[:8], y, verbose=0, return_dict=True) for one in (model, loaded))
        assert second == pytest.approx(first, rel=1e-5)


def test_bfloat16_in_h5_is_refused_and_spares_the_file(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    model = make(DEC)
    model.save(tmp_path / "a.keras")
    keras.models.load_model(tmp_path / "a.keras")
    (tmp_path / "a.h5").write_bytes(b"before")
    with pytest.raises(ValueError, match=r"Received: bfloat16 in .*Save it as .keras"):
        model.save(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == b"before"
    with pytest.raises(ValueError, match=r"Received: bfloat16"):
        keras.saving.save_model(model, tmp_path / "a.h5")


def test_clone_is_a_dec_with_weights_of_its_own(rows):
    model = make(DEC, alpha=2.0, name="mine")
    model.clustering.trainable = False
    model.compile("adam", "mse")
    model.centroids = np.ones((3, 2))
    clone = keras.models.clone_model(model)
    assert type(clone) is DEC
    assert (clone.n_clusters, clone.alpha, clone.name, clone.clustering.trainable) == (3, 2.0, "mine", False)
    assert isinstance(clone.optimizer, keras.optimizers.Adam)
    assert not clone.placed
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(rows, verbose=0), model.predict(rows, verbose=0))
    np.testing.assert_array_equal(clone.embed(rows, verbose=0), model.embed(rows, verbose=0))
    clone.fit(rows, max_iterations=2, verbose=0)
    assert not any(np.shares_memory(a, b) for a, b in zip(clone.get_weights(), model.get_weights(), strict=True))


def test_clone_that_cannot_be_says_why():
    with pytest.raises(TypeError, match=r"do not contain gamma. To copy .*from_config"):
        keras.models.clone_model(make(IDEC))
    copy = IDEC.from_config(make(IDEC, gamma=0.3).get_config())
    assert copy.gamma == 0.3
    with pytest.raises(TypeError, match="by position"):
        DEC(dense_autoencoder(4, units=(2,))[0], 3, 1.0, "more")


# Centroids at the origin


@pytest.mark.parametrize("extension", ["h5", "keras"])
def test_centroids_of_zeros_that_were_asked_for(extension, tmp_path, rows):
    model = make(DEC)
    assert not model.placed
    model.centroids = np.zeros((3, 2))
    assert model.placed
    model.predict_clusters(rows, verbose=0)
    model.save(tmp_path / f"a.{extension}")
    assert keras.models.load_model(tmp_path / f"a.{extension}").placed
    make(DEC).save(tmp_path / f"b.{extension}")
    assert not keras.models.load_model(tmp_path / f"b.{extension}").placed


def test_fit_starts_from_a_centroid_at_the_origin(rows):
    model = DEC(dense_autoencoder(4, units=(6, 2))[0], 1)
    model.encoder.trainable = False
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(rows, centroids=np.zeros((1, 2)), max_iterations=1, verbose=0)
    np.testing.assert_array_equal(model.centroids, [[0, 0]])


# Frozen layers


def frozen(model):
    return [np.array(weight) for layer in model.encoder.layers if not layer.trainable for weight in layer.get_weights()]


@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_frozen_encoder_stays_bit_for_bit(kind, rows):
    model = make(kind)
    model.encoder.trainable = False
    before = model.encoder.get_weights()
    recipe = deckeras.recipes.get("images", image_shape=(2, 2), init="kmeans", n_init=2)
    model.fit(rows, recipe=recipe, max_iterations=10, update_interval=5, tol=0, verbose=0)
    for a, b in zip(model.encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [1, 5, 25])
@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_freezing_between_two_fits_is_noticed(kind, steps, rows):
    model = make(kind)
    model.compile(keras.optimizers.Adam(0.01))
    options = {"max_iterations": steps, "update_interval": steps, "tol": 0, "verbose": 0}
    model.fit(rows, **options)
    for trainable in ([False, True], [False, False], [True, False], [True, True]):
        for layer, value in zip(model.encoder.layers, trainable, strict=True):
            layer.trainable = value
        before = [layer.get_weights() for layer in model.encoder.layers]
        model.fit(rows, **options)
        for layer, weights, value in zip(model.encoder.layers, before, trainable, strict=True):
            same = all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), weights, strict=True))
            assert same is not value
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 5 * steps


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_low_rank_changes_after_a_prediction_are_noticed(kind, compiled, rows):
    model = make(kind)
    model.compile(keras.optimizers.Adam(0.1))
    options = {"max_iterations": 10, "update_interval": 5, "tol": 0, "verbose": 0}
    model.fit(rows, **options)
    model.embed(rows, verbose=0)
    model.encoder.layers[0].enable_lora(1)
    if compiled:
        model.compile(keras.optimizers.Adam(0.1))
    model.fit(rows, **options)
    outputs = model(rows)
    q = outputs["q"] if kind is IDEC else outputs
    np.testing.assert_allclose(model.predict(rows, verbose=0), keras.ops.convert_to_numpy(q), atol=1e-6)
    z = keras.ops.convert_to_numpy(model.encoder(rows))
    np.testing.assert_allclose(model.embed(rows, verbose=0), z, atol=1e-5)
    assert np.abs(model.encoder.layers[0].lora_kernel_b).max() > 0


@pytest.mark.parametrize("how", ["names", "variables"])
def test_freezing_keeps_what_is_excluded_from_weight_decay(how, rows):
    model = make(DEC)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=5.0)
    if how == "names":
        optimizer.exclude_from_weight_decay(var_names=["bias", "clusters"])
    else:
        optimizer.exclude_from_weight_decay(var_list=[model.clustering.clusters])
    model.compile(optimizer)
    options = {"max_iterations": 50, "update_interval": 10, "tol": 0, "verbose": 0}
    model.fit(rows, **options)
    before = np.linalg.norm(model.centroids)
    model.encoder.layers[0].trainable = False
    model.fit(rows, **options)
    assert model.optimizer is not optimizer
    assert np.linalg.norm(model.centroids) > 0.9 * before  # With the decay, a fifth of it would be lost.


def test_a_layer_of_the_name_of_decs_own_is_refused():
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="clustering")])
    with pytest.raises(ValueError, match="no layer named 'clustering'"):
        DEC(encoder, 3)
    with pytest.raises(ValueError, match="no layer named 'clustering'"):
        DEC(make(DEC), 3)
    with pytest.raises(ValueError, match="no layer named 'clustering'"):
        DEC(keras.Sequential([keras.Input((4,), name="clustering"), keras.layers.Dense(2)]), 3)
    inputs = keras.Input((4,))
    assert DEC(keras.Model(inputs, encoder(inputs)), 3).output_shape == (None, 3)  # as the message advises


def test_saves_with_the_arguments_of_keras(rows, tmp_path):
    model = make(DEC)
    model.centroids = np.eye(3, 2) + 1
    for overwrite in True, False:
        path = tmp_path / f"{overwrite}.keras"
        model.save(path, overwrite)
        loaded = keras.models.load_model(path)
        np.testing.assert_allclose(loaded.predict(rows, verbose=0), model.predict(rows, verbose=0), atol=1e-6)


def test_thawing_keeps_the_momentum_of_what_was_trained(rows):
    model = make(DEC)
    options = {"max_iterations": 5, "update_interval": 5, "tol": 0, "verbose": 0}
    model.fit(rows, **options)
    velocity = {variable.path: np.array(variable) for variable in model.optimizer.variables}
    model.encoder.layers[0].trainable = False
    model.optimizer.learning_rate = 0.0
    model.fit(rows, **options)
    kept = [name for name in velocity if "encoder_1" in name]
    after = {variable.path: np.array(variable) for variable in model.optimizer.variables}
    assert kept
    assert not any("encoder_0" in name for name in after)
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == 0


def test_nothing_to_train_is_refused(rows):
    model = make(DEC)
    model.encoder.trainable = model.clustering.trainable = False
    with pytest.raises(ValueError, match="should have weights to train.* all frozen"):
        model.fit(rows, verbose=0)
