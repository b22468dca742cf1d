"""IDEC: its loss computed by hand, the weight of the clustering rather than the reconstruction, and complete files."""

import keras
import numpy as np
import pytest

from deckeras import DEC, IDEC, dense_autoencoder, metrics, pretrain_autoencoder, recipes, target_distribution
from deckeras._data import batching

pytestmark = pytest.mark.filterwarnings("ignore:No row was assigned")  # where the encoder has learned nothing yet

CENTROIDS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], "float32")


@pytest.fixture
def make():
    def make(**options):
        return IDEC(*dense_autoencoder(8, units=(16, 2)), n_clusters=3, **options)

    return make


def fit(model, x, y=None, **options):
    options = {"update_interval": 4, "max_iterations": 8, "tol": 0, "verbose": 0, **options}
    return model.fit(x, y, **options)


def test_loss_is_the_reconstructions_plus_gamma_times_the_clusterings(make, blobs):
    x, _ = blobs
    model = make(gamma=0.25)
    model.compile(keras.optimizers.SGD(0.0))
    logs = {name: values[0] for name, values in fit(model, x, batch_size=300, centroids=CENTROIDS).history.items()}
    q = np.float64(model.predict(x, verbose=0))
    p = target_distribution(q, balance=1.0)
    clustering = np.mean(np.sum(p * np.log(p / q), axis=1))
    reconstruction = np.mean((np.float64(model.decoder.predict(model.embed(x, verbose=0), verbose=0)) - x) ** 2)
    assert logs["q_loss"] == pytest.approx(clustering, rel=1e-3)
    assert logs["reconstruction_loss"] == pytest.approx(reconstruction, rel=1e-4)
    assert logs["loss"] == pytest.approx(reconstruction + 0.25 * clustering, rel=1e-4)


def test_one_interval_by_hand(make, blobs):
    """The alternation is DEC's: a target from all rows, then batches towards it and towards the rows themselves."""
    x, _ = blobs
    model, hand = make(), make()
    fit(model, x, batch_size=64, centroids=CENTROIDS, seed=3)
    hand.centroids = CENTROIDS
    hand.compile()
    batches = batching.shuffled_batches(range(300), 64, 3)
    for _ in range(2):
        p = target_distribution(hand.predict(x, verbose=0), balance=1.0)
        for batch in (next(batches) for _ in range(4)):
            hand.train_on_batch(x[batch], {"q": p[batch], "reconstruction": x[batch]})
    for a, b in zip(model.get_weights(), hand.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_augmented_rows_are_what_is_reconstructed(make, blobs):
    x, _ = blobs
    model = make()
    model.compile(keras.optimizers.SGD(0.0))
    history = fit(model, x, batch_size=300, centroids=CENTROIDS, augment=lambda rows: 0 * rows).history
    output = model.decoder.predict(model.embed(0 * x[:1], verbose=0), verbose=0)
    assert history["reconstruction_loss"][0] == pytest.approx(np.mean(output**2), abs=1e-7)


def test_clusters_and_still_reconstructs(blobs):
    x, y = blobs
    models = dense_autoencoder(8, units=(32, 2))
    pretrain_autoencoder(*models, x, epochs=40, batch_size=32, verbose=0)
    weights = [model.get_weights() for model in models]

    def error(model):
        return np.mean((models[1].predict(model.embed(x, verbose=0), verbose=0) - x) ** 2)

    idec = IDEC(*models, n_clusters=3)
    idec.fit(x, max_iterations=400, tol=0, verbose=0)
    assert metrics.accuracy(y, idec.predict_clusters(x, verbose=0)) > 0.95
    kept = error(idec)
    for model, values in zip(models, weights, strict=True):
        model.set_weights(values)
    dec = DEC(models[0], 3)
    dec.fit(x, max_iterations=400, tol=0, verbose=0)
    assert kept < 0.85 * error(dec)


def test_predicts_like_dec_and_calls_like_keras(make, blobs):
    x, _ = blobs
    model = make()
    model.centroids = CENTROIDS
    outputs = {name: keras.ops.convert_to_numpy(output) for name, output in model(x).items()}
    assert set(outputs) == {"q", "reconstruction"}
    assert outputs["reconstruction"].shape == (300, 8)
    np.testing.assert_allclose(model.predict(x, verbose=0), outputs["q"], rtol=1e-5)
    np.testing.assert_array_equal(model.predict_clusters(x, verbose=0), model.predict(x, verbose=0).argmax(axis=1))
    assert model.name == "idec"
    assert model.count_params() == model.encoder.count_params() + model.decoder.count_params() + 3 * 2


def test_fit_takes_the_rate_and_the_batches_that_suit_both_losses(make, blobs, batches_of):
    """The rate is divided by gamma, and few rows are not split into the small batches of DEC."""
    model = make(gamma=0.5)
    batches = batches_of(model)
    fit(model, blobs[0], recipe=recipes.get("table", learning_rate=0.03, init="kmeans", n_init=1))
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.06)
    assert max(len(rows) for rows, _ in batches) == 256


def test_compile_takes_what_keras_takes(make, blobs):
    model = make(gamma=0.5)
    model.compile()
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.02)
    model.compile("adam", keras.losses.MeanSquaredError())
    assert "q_loss" in fit(model, blobs[0]).history
    model.compile("adam", {"q": "kl_divergence", "reconstruction": "mae"}, loss_weights={"q": 2, "reconstruction": 0})
    logs = fit(model, blobs[0]).history
    np.testing.assert_allclose(logs["loss"], 2 * np.array(logs["q_loss"]), rtol=1e-4)


LOSSES = {
    "a list": ({"loss": ["kld", "mse"]}, (0.5, 1)),
    "two lists": ({"loss": ("kld", "mse"), "loss_weights": [0.2, 3.0]}, (0.2, 3)),
    "a weight of one output": ({"loss_weights": {"q": 0.2}}, (0.2, 1)),
    "a loss of one output": ({"loss": {"q": "kld"}}, (0.5, None)),
    "None for the other": ({"loss": ["kld", None]}, (0.5, None)),
    "the reconstruction alone": ({"loss": {"reconstruction": "mse"}}, (None, 1)),
}


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("kind", LOSSES)
def test_losses_are_weighted_by_output(make, blobs, tmp_path, kind):
    arguments, weights = LOSSES[kind]
    model = make(gamma=0.5)
    model.compile("sgd", **arguments)
    model.centroids = CENTROIDS
    kept = [[weight.copy() for weight in part.get_weights()] for part in (model.clustering, model.decoder)]
    logs = fit(model, blobs[0], max_iterations=4, batch_size=300).history
    if None not in weights:  # Keras logs the parts only if there are several.
        q_loss, reconstruction_loss = logs["q_loss"][0], logs["reconstruction_loss"][0]
        assert logs["loss"][0] == pytest.approx(weights[0] * q_loss + weights[1] * reconstruction_loss, rel=1e-4)
    moved = [
        not all(np.array_equal(one, other) for one, other in zip(part.get_weights(), before, strict=True))
        for part, before in zip((model.clustering, model.decoder), kept, strict=True)
    ]
    assert moved == [weight is not None for weight in weights]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded._loss_weights == model._loss_weights
    assert tuple(model._loss_weights.get(name) for name in ("q", "reconstruction")) == weights


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": ["kld"]}, "loss should be a dict or list with one entry for each of q, reconstruction"),
        ({"loss": {"Q": "kld"}}, "loss should be a dict or list"),
        ({"loss": [None, None]}, "loss should have an entry for one of q, reconstruction"),
        ({"loss_weights": [1.0]}, "loss_weights should be a dict or list"),
        ({"loss_weights": {"p": 1.0}}, "loss_weights should be a dict or list"),
        ({"loss_weights": 0.5}, "loss_weights should be a dict or list"),
    ],
)
def test_losses_that_are_not_of_the_outputs_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make().compile("sgd", **arguments)


@pytest.mark.parametrize("extension", ["h5", "keras"])
def test_loads_in_another_process_and_goes_on(make, blobs, tmp_path, run_python, extension):
    x, _ = blobs
    model = make(alpha=2.0, gamma=0.3)
    fit(model, x)
    model.save(tmp_path / f"idec.{extension}")
    np.save(tmp_path / "x.npy", x)
    run_python(f"""
import keras, numpy as np, deckeras
model, x = keras.models.load_model("idec.{extension}"), np.load("x.npy")
assert (type(model), model.alpha, model.gamma) == (deckeras.IDEC, 2.0, 0.3)
np.save("q.npy", model.predict(x, verbose=0))
np.save("r.npy", keras.ops.convert_to_numpy(model(x)["reconstruction"]))
model.fit(x, update_interval=4, max_iterations=8, tol=0, verbose=0)
np.save("after.npy", model.predict(x, verbose=0))
""")
    np.testing.assert_allclose(np.load(tmp_path / "q.npy"), model.predict(x, verbose=0), atol=1e-6)
    reconstruction = keras.ops.convert_to_numpy(model(x)["reconstruction"])
    np.testing.assert_allclose(np.load(tmp_path / "r.npy"), reconstruction, atol=1e-5)
    fit(model, x)
    np.testing.assert_allclose(np.load(tmp_path / "after.npy"), model.predict(x, verbose=0), atol=1e-5)


def test_interrupted_run_ends_as_the_whole_one(make, blobs, tmp_path, interrupt_after):
    x, _ = blobs
    whole, broken, resumed = make(), make(), make()
    fit(whole, x)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, x, checkpoint_dir=tmp_path, checkpoint_every=1, callbacks=[interrupt_after(6)])
    fit(resumed, x, checkpoint_dir=tmp_path)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoint_of_dec_is_another_training(make, blobs, tmp_path):
    x, _ = blobs
    fit(DEC(dense_autoencoder(8, units=(16, 2))[0], 3), x, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="another training"):
        fit(make(), x, checkpoint_dir=tmp_path)


@pytest.mark.parametrize("gamma", [0, -1, np.inf, "0.1", True, None])
def test_bad_gamma(make, gamma):
    with pytest.raises(ValueError, match="gamma should be a positive number"):
        make(gamma=gamma)


def test_bad_decoder():
    encoder, _ = dense_autoencoder(8, units=(16, 2))
    with pytest.raises(ValueError, match=r"decoder should give rows of shape \(8,\).*\(7,\)"):
        IDEC(encoder, dense_autoencoder(7, units=(16, 2))[1], n_clusters=3)
    with pytest.raises(TypeError, match="decoder should be a keras.Model. Received: int"):
        IDEC(encoder, 3, n_clusters=3)
    inputs = keras.Input((2,))
    row = keras.layers.Dense(8)(inputs)
    for outputs in {"x": row}, [row], [row, row]:
        with pytest.raises(ValueError, match="decoder should return one tensor. Received: a model that returns a"):
            IDEC(encoder, keras.Model(inputs, outputs), n_clusters=3)
