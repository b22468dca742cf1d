"""The claims of docs/howto/effects.md: each call changes the weights that it names, and nothing else."""

import random
import signal

import keras
import numpy as np
import pytest

import deckeras
from deckeras import DEC, IDEC, DeepEmbeddedClustering, dense_autoencoder, recipes, selection

RECIPE = recipes.get(
    "table", units=(6, 2), epochs=1, min_pretraining_iterations=4, max_iterations=4, update_interval=2, n_init=1
)
SCALED = recipes.get(RECIPE, embedding_scale=3.0, init="kmeans")

pytestmark = pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")


class World:
    """Everything that a call could change, and a photograph of it."""

    def __init__(self):
        self.x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
        self.y = np.arange(60) % 3
        self.weights = np.ones(60) + self.y
        for array in (self.x, self.y, self.weights):
            array.flags.writeable = False
        self.encoder, self.decoder = dense_autoencoder(4, units=(6, 2))
        self.dec, self.idec = DEC(self.encoder, 3), None
        inputs = keras.Input((4,))
        self.classifier = keras.Model(inputs, keras.layers.Dense(2)(self.encoder(inputs)))
        self.classifier.compile("sgd", "mse")

    def photograph(self):
        models = {"encoder": self.encoder, "decoder": self.decoder}
        found = {}
        for name, model in models.items():
            for layer in model.layers:
                found[f"{name}.{layer.name}"] = [np.array(weight) for weight in layer.get_weights()]
            found[f"{name} is"] = [model.compiled, model.name, [layer.trainable for layer in model.layers]]
        found["centroids"] = self.dec.centroids
        found["classifier"] = [np.array(self.classifier.layers[-1].kernel), self.classifier.compiled]
        found["optimizer"] = [np.array(variable) for variable in self.classifier.optimizer.variables]
        found["rows"] = [self.x.copy(), self.y.copy(), self.weights.copy()]
        found["random"] = [np.random.get_state()[1].copy(), np.random.get_state()[2], list(random.getstate()[1])]
        found["keras"] = [keras.config.floatx(), keras.config.dtype_policy().name, keras.config.image_data_format()]
        found["signal"] = [signal.getsignal(signal.SIGINT)]
        return found


def changed(before, after):
    def same(a, b):
        if isinstance(a, list):
            return len(a) == len(b) and all(map(same, a, b))
        return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b

    assert set(before) == set(after)
    return {name for name in before if not same(before[name], after[name])}


WHOLE_ENCODER = {"encoder.encoder_0", "encoder.encoder_1"}
WHOLE_DECODER = {"decoder.decoder_1", "decoder.decoder_0"}
QUIET = {"verbose": 0}

CALLS = {
    "making a DEC": (lambda w: DEC(w.encoder, 4), set()),
    "making an IDEC": (lambda w: IDEC(w.encoder, w.decoder, 4), set()),
    "pretrain": (
        lambda w: deckeras.pretrain(w.encoder, w.decoder, w.x, RECIPE, **QUIET),
        WHOLE_ENCODER | WHOLE_DECODER,
    ),
    "refit_decoder": (
        lambda w: deckeras.refit_decoder(w.encoder, w.decoder, w.x, RECIPE, iterations=2, **QUIET),
        WHOLE_DECODER,
    ),
    "initialize_centroids": (lambda w: w.dec.initialize_centroids(w.x, recipe=RECIPE), {"centroids"}),
    "initialize_centroids, scaled": (
        lambda w: w.dec.initialize_centroids(w.x, recipe=SCALED),
        {"centroids", "encoder.encoder_1"},
    ),
    "fit": (
        lambda w: w.dec.fit(w.x, w.y, recipe=RECIPE, sample_weight=w.weights, **QUIET),
        {"centroids"} | WHOLE_ENCODER,
    ),
    "fit of an IDEC": (
        lambda w: IDEC(w.encoder, w.decoder, 3).fit(w.x, recipe=RECIPE, **QUIET),
        WHOLE_ENCODER | WHOLE_DECODER,
    ),
    "predict": (lambda w: (w.dec.predict(w.x, **QUIET), w.dec.embed(w.x, **QUIET)), set()),
    "choose_n_clusters": (
        lambda w: selection.choose_n_clusters(w.x, [2], y=w.y, encoder=w.encoder, recipe=RECIPE),
        set(),
    ),
    "the estimator": (
        lambda w: DeepEmbeddedClustering(3, recipe=RECIPE, random_state=0).fit(w.x, w.y, w.weights).predict(w.x),
        set(),
    ),
    "clone_model": (lambda w: keras.models.clone_model(w.dec), set()),
}


@pytest.mark.parametrize("call", CALLS)
def test_nothing_else_is_changed(call):
    act, expected = CALLS[call]
    world = World()
    before = world.photograph()
    act(world)
    assert changed(before, world.photograph()) == expected


@pytest.mark.parametrize("call", ["pretrain", "fit", "fit of an IDEC", "initialize_centroids, scaled"])
def test_frozen_layers_are_not_changed(call):
    act, expected = CALLS[call]
    world = World()
    world.encoder.layers[-1].trainable = False
    before = world.photograph()
    act(world)
    assert changed(before, world.photograph()) == expected - {"encoder.encoder_1"}


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_saving_changes_nothing(name, tmp_path):
    world = World()
    world.dec.fit(world.x, recipe=RECIPE, **QUIET)
    before = world.photograph()
    world.dec.save(tmp_path / name)
    keras.models.load_model(tmp_path / name).fit(world.x, max_iterations=2, **QUIET)
    assert changed(before, world.photograph()) == set()


@pytest.mark.parametrize("make", [DEC, IDEC])
def test_labels_and_their_kind_change_no_weight(make):
    weights = []
    for y in (None, np.arange(60) % 3, ["a", "b", "c"] * 20, np.array([b"a", b"b"] * 30)):
        world = World()
        model = DEC(world.encoder, 3) if make is DEC else IDEC(world.encoder, world.decoder, 3)
        model.fit(world.x, y, recipe=RECIPE, **QUIET)
        weights.append(model.get_weights())
    for others in weights[1:]:
        for a, b in zip(others, weights[0], strict=True):
            np.testing.assert_array_equal(a, b)
