"""DEC as a Keras model, its alternation compared with one written by hand, and its errors."""

import itertools
import random
import shutil

import keras
import numpy as np
import pytest

import deckeras
from deckeras import (
    DEC,
    default_update_interval,
    dense_autoencoder,
    metrics,
    pretrain_autoencoder,
    recipes,
    target_distribution,
)
from deckeras._data import batching
from deckeras.initialization import clusterers

CENTROIDS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], "float32")


@pytest.fixture(scope="session")
def pretrained(blobs):
    """The weights of an encoder that has seen the blobs."""
    models = dense_autoencoder(8, units=(16, 2))
    random = np.random.default_rng(12)
    for model in models:  # so that every backend comes to the same embedding
        model.set_weights([random.normal(size=weight.shape) / 3 for weight in model.get_weights()])
    pretrain_autoencoder(*models, blobs[0], epochs=30, batch_size=32, verbose=0)
    return models[0].get_weights()


@pytest.fixture
def make(pretrained):
    """Make a DEC over the pretrained encoder, the same at every call."""

    def make(n_clusters=3, **options):
        encoder, _ = dense_autoencoder(8, units=(16, 2))
        encoder.set_weights(pretrained)
        return DEC(encoder, n_clusters, **options)

    return make


def fit(model, x, y=None, **options):
    short = {"update_interval": 5, "max_iterations": 20, "tol": 0, "verbose": 0}
    if "recipe" not in options:
        short |= {"init": "kmeans", "n_init": 1}
    return model.fit(x, y, **{**short, **options})


def assert_same(first, second):
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# A Keras model like any other


def test_is_a_functional_model_over_the_encoders_layers(encoder):
    model = DEC(encoder, 3, alpha=2.0)
    assert isinstance(model, keras.Model)
    assert [layer.name for layer in model.layers[1:]] == ["encoder_0", "encoder_1", "clustering"]
    assert model.input_shape == (None, 8)
    assert model.output_shape == (None, 3)
    assert (model.name, model.n_clusters, model.alpha, model.encoder) == ("dec", 3, 2.0, encoder)
    assert model.count_params() == encoder.count_params() + 3 * 2
    lines = []
    model.summary(print_fn=lines.append)
    assert "clustering (ClusteringLayer)" in "\n".join(map(str, lines))


def test_compile_has_the_papers_defaults(encoder):
    model = DEC(encoder, 3)
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert model.optimizer.momentum == 0.9
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.01)
    assert isinstance(model.loss, keras.losses.KLDivergence)


def test_compile_takes_what_keras_takes(make, blobs):
    model = make()
    model.compile("adam", keras.losses.MeanSquaredError(), metrics=["mae"])
    history = fit(model, blobs[0])
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert set(history.history) == {"loss", "mae", "changed"}


def test_predictions_agree_with_each_other(make, blobs):
    x, _ = blobs
    model = make()
    model.centroids = CENTROIDS
    q = model.predict(x, verbose=0)
    assert q.shape == (300, 3)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.predict_clusters(x, verbose=0), q.argmax(axis=1))
    z = model.embed(x, verbose=0)
    np.testing.assert_allclose(z, model.encoder.predict(x, verbose=0), atol=1e-6)
    kernel = 1 / (1 + ((np.float64(z)[:, None] - CENTROIDS) ** 2).sum(-1))
    np.testing.assert_allclose(q, kernel / kernel.sum(axis=1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize("batch_size", [None, 1, 7, 300, 1000])
def test_prediction_does_not_depend_on_the_batch(make, blobs, batch_size):
    x, _ = blobs
    model = make()
    model.centroids = CENTROIDS
    q = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(model.predict(x, batch_size, verbose=0), q, rtol=1e-5)


@pytest.mark.parametrize("kind", ["list", "float64", "uint8", "fortran", "tensor"])
def test_rows_of_any_kind(make, blobs, kind):
    x = np.abs(np.round(blobs[0]))
    same = {
        "list": x.tolist(),
        "float64": x.astype("float64"),
        "uint8": x.astype("uint8"),
        "fortran": np.asfortranarray(x),
        "tensor": keras.ops.convert_to_tensor(x),
    }[kind]
    model, other = make(), make()
    fit(model, x)
    fit(other, same)
    assert_same(model, other)
    np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(same, verbose=0))


def test_rows_of_one_batch_are_predicted_as_by_keras(make, blobs):
    model, calls = make(), []
    callback = keras.callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: calls.append(batch))
    for x in (blobs[0], blobs[0][:7]):
        expected = keras.Model.predict(model, x, verbose=0)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-6)
        np.testing.assert_allclose(model.predict(x, verbose=0, callbacks=[callback]), expected, rtol=1e-6)
    assert calls == [0, 0]


def test_encoders_with_a_list_of_inputs(eagerly, blobs):
    """Keras warns of arrays for them, but not of tensors, where nothing is compiled; warnings are errors here."""
    inputs = keras.Input((8,))
    model = DEC(keras.Model([inputs], keras.layers.Dense(2)(inputs)), 3)
    model.fit(blobs[0], max_iterations=2, verbose=0)
    assert model.embed(blobs[0], verbose=0).shape == (300, 2)


def test_prediction_refuses_bad_rows(make):
    model = make()
    model.centroids = CENTROIDS
    for method in (model.predict, model.predict_clusters, model.embed):
        with pytest.raises(ValueError, match=r"Each row of x should be of shape \(8,\)"):
            method(np.zeros((5, 7)), verbose=0)
        with pytest.raises(ValueError, match="finite numbers only. Received: nan in row 1"):
            method(np.array([[0.0] * 8, [np.nan] * 8]), verbose=0)


def test_encoder_of_images_and_functional_encoder():
    images = np.random.default_rng(0).random((60, 8, 8, 1))
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    for encoder in (
        keras.Model(inputs, outputs),
        keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]),
    ):
        model = DEC(encoder, 2)
        fit(model, images)
        assert model.predict_clusters(images, verbose=0).shape == (60,)


# The alternation


@pytest.mark.parametrize("recipe", ["table", "paper", recipes.get("table", balance=0.0)], ids=["table", "paper", "0"])
def test_one_interval_by_hand(make, blobs, recipe):
    """One target from all rows, then batches towards it, all through plain Keras calls."""
    x, _ = blobs
    model, hand = make(), make()
    options = {"batch_size": 64, "update_interval": 4, "max_iterations": 8, "seed": 3, "recipe": recipe}
    fit(model, x, centroids=CENTROIDS, **options)
    hand.centroids = CENTROIDS
    hand.compile()
    batches = batching.shuffled_batches(x, 64, 3)
    for interval in range(2):
        p = target_distribution(hand.predict(x, verbose=0), balance=recipes.get(recipe).balance)
        losses = []
        for _ in range(4):
            batch = next(batches)
            hand.reset_metrics()
            losses.append(float(hand.train_on_batch(x[batch], p[batch])))
        assert model.history.history["loss"][interval] == pytest.approx(np.mean(losses), rel=1e-5)
    assert_same(model, hand)


def test_one_step_of_the_centroids_is_equation_5(make, blobs):
    """SGD without momentum on a frozen encoder moves the centroids along the closed-form gradient, of a target over
    all 300 rows though the batch holds 32."""
    x, _ = blobs
    model = make()
    model.encoder.trainable = False
    model.compile(keras.optimizers.SGD(0.5))
    z = np.float64(model.embed(x, verbose=0))
    fit(model, x, batch_size=32, update_interval=1, max_iterations=1, centroids=CENTROIDS, seed=5, recipe="paper")
    kernel = 1 / (1 + ((z[:, None] - CENTROIDS) ** 2).sum(-1))
    q = kernel / kernel.sum(axis=1, keepdims=True)
    weights = q**2 / q.sum(axis=0)
    p = weights / weights.sum(axis=1, keepdims=True)
    batch = next(batching.shuffled_batches(range(300), 32, 5))
    by_mu = -2 * np.einsum("ij,ijd->jd", (kernel * (p - q))[batch], z[batch][:, None] - CENTROIDS)
    np.testing.assert_allclose(model.centroids, CENTROIDS - 0.5 * by_mu / 32, atol=1e-5)


def test_clusters_better_after_than_before(make):
    """Overlapping groups: sharpening the assignments finds more of them than k-means on the same embedding."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 200)
    x = (random.normal(size=(800, 8)) + 2.2 * np.eye(4, 8)[y]).astype("float32")
    models = dense_autoencoder(8, units=(64, 3))
    pretrain_autoencoder(*models, x, epochs=40, batch_size=32, verbose=0)
    model = DEC(models[0], 4)
    model.initialize_centroids(x)
    before = metrics.scores(y, model.predict_clusters(x, verbose=0))
    confidence = model.predict(x, verbose=0).max(axis=1).mean()
    model.fit(x, max_iterations=1000, verbose=0)
    after = metrics.scores(y, model.predict_clusters(x, verbose=0))
    assert after["acc"] > before["acc"]
    assert after["nmi"] > before["nmi"]
    assert model.predict(x, verbose=0).max(axis=1).mean() > confidence


def test_history_tells_of_the_final_weights(make, blobs):
    x, y = blobs
    model = make()
    labels = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            labels.append(model.predict_clusters(x, verbose=0))

    history = fit(model, x, y, callbacks=[Watch()])
    assert set(history.history) == {"loss", "changed", "acc", "nmi", "ari"}
    assert all(len(values) == 4 for values in history.history.values())
    assert history.history["acc"] == [metrics.accuracy(y, now) for now in labels]
    shares = [np.mean(a != b) for a, b in itertools.pairwise(labels)]
    np.testing.assert_allclose(history.history["changed"][1:], shares)
    np.testing.assert_array_equal(model.predict_clusters(x, verbose=0), labels[-1])
    assert set(fit(make(), x).history) == {"loss", "changed"}


def test_labels_change_nothing(make, blobs):
    x, y = blobs
    with_labels, without = make(), make()
    fit(with_labels, x, y)
    fit(without, x)
    assert_same(with_labels, without)


def test_seed_decides(make, blobs):
    x, _ = blobs
    weights = []
    for seed in (1, 1, 2, None, None):
        model = make()
        fit(model, x, seed=seed, batch_size=32)
        weights.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert len({weight.tobytes() for weight in weights[1:]}) == 4


def test_global_generators_are_left_alone(make, blobs):
    np.random.seed(1)
    random.seed(1)
    before = np.random.get_state()[1].copy(), random.getstate()
    fit(make(), blobs[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]


def test_stops_when_few_rows_change(make, blobs):
    x, _ = blobs
    assert len(fit(make(), x, tol=0.999).history["loss"]) == 1
    history = fit(make(), x, tol=0.01, max_iterations=5000).history
    assert 0 < len(history["loss"]) < 1000
    assert history["changed"][-1] < 0.01
    assert all(changed >= 0.01 for changed in history["changed"][:-1])


def test_tol_of_zero_never_stops(make, blobs):
    history = fit(make(), blobs[0], max_iterations=60)
    assert history.history["changed"][-1] == 0
    assert len(history.history["changed"]) == 12


@pytest.mark.parametrize(("max_iterations", "epochs"), [(1, 1), (5, 1), (12, 3)])
def test_max_iterations_is_kept_to_the_batch(make, blobs, max_iterations, epochs):
    model = make()
    history = fit(model, blobs[0], max_iterations=max_iterations)
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == max_iterations
    assert len(history.history["loss"]) == epochs


@pytest.mark.parametrize("batch_size", [1, 50, 100, 299, 300, 301, 10_000])
def test_any_batch_size(make, blobs, batches_of, batch_size):
    """Also one that is larger than the recipe's for so few rows."""
    model = make()
    batches = batches_of(model)
    history = fit(model, blobs[0], batch_size=batch_size, max_iterations=7)
    assert np.isfinite(history.history["loss"]).all()
    assert max(len(rows) for rows, _ in batches) == min(batch_size, 300)


def test_as_many_rows_as_clusters(make, blobs):
    history = fit(make(n_clusters=5), blobs[0][::60])
    assert np.isfinite(history.history["loss"]).all()


def test_class_sorted_rows_are_shuffled(make, blobs, batches_of):
    """The blobs come sorted by class: batches in order would hold one class each."""
    x, y = blobs
    model = make()
    batches = batches_of(model)
    fit(model, x, batch_size=32, max_iterations=5)
    classes = {row.tobytes(): label for row, label in zip(x, y, strict=True)}
    assert [len({classes[row.tobytes()] for row in rows}) for rows, _ in batches] == [3] * 5


def test_default_update_interval():
    assert default_update_interval(1797) == 100
    assert default_update_interval(25_600) == 100
    assert default_update_interval(70_000) == 274
    assert default_update_interval(1_000_000, batch_size=1000) == 1000


def test_default_update_interval_is_what_fit_takes(make, blobs):
    epochs = make().fit(blobs[0], max_iterations=250, tol=0, verbose=0).epoch
    assert len(epochs) == 3


# The start


@pytest.fixture
def no_kmeans(monkeypatch):
    def fail(*args, **options):
        raise AssertionError("k-means ran")

    monkeypatch.setattr(clusterers, "kmeans_centroids", fail)


def test_starts_from_kmeans_on_the_embedding(make, blobs, monkeypatch):
    x, _ = blobs
    calls = []
    monkeypatch.setattr(clusterers, "kmeans_centroids", lambda *args, **kw: calls.append((args, kw)) or CENTROIDS)
    model = make()
    z = model.embed(x, verbose=0)
    fit(model, x, init="kmeans", n_init=7, seed=11, max_iterations=1)
    ((embedding, n_clusters), options) = calls[0]
    np.testing.assert_array_equal(embedding, z)
    assert (n_clusters, options) == (3, {"n_init": 7, "seed": 11})


@pytest.mark.usefixtures("no_kmeans")
def test_given_trained_or_loaded_centroids_are_kept(make, blobs, tmp_path):
    x, _ = blobs
    still = keras.optimizers.SGD(0.0)
    given = make()
    given.compile(still)
    fit(given, x, centroids=CENTROIDS)
    np.testing.assert_array_equal(given.centroids, CENTROIDS)
    fit(given, x)
    given.save_weights(tmp_path / "a.weights.h5")
    loaded = make()
    loaded.load_weights(tmp_path / "a.weights.h5")
    fit(loaded, x)


def test_assignments_of_the_first_clusterer_are_the_first_target(make, blobs):
    """By hand: centroids are the means of the assigned rows, and the first interval trains towards the assignments."""
    x, _ = blobs
    assigned = np.random.default_rng(0).dirichlet([0.3] * 3, size=300).astype("float32")
    recipe = recipes.get("table", init=lambda z, n_clusters: assigned, lead=1)
    model, hand = make(), make()
    fit(model, x, batch_size=64, update_interval=4, max_iterations=8, seed=3, recipe=recipe)
    z = hand.embed(x, verbose=0)
    hand.centroids = assigned.T @ z / assigned.sum(axis=0)[:, None]
    hand.compile()
    batches = batching.shuffled_batches(range(300), 64, 3)
    for q in assigned, None:
        p = target_distribution(hand.predict(x, verbose=0) if q is None else q, balance=recipe.balance)
        for batch in (next(batches) for _ in range(4)):
            hand.train_on_batch(x[batch], p[batch])
    for a, b in zip(model.get_weights(), hand.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("seed", [4, None])
def test_interrupted_in_the_first_interval_begins_anew(make, blobs, tmp_path, interrupt_after, seed):
    """The first target is in no file: the clusterer finds it again, with the seed that the training began with."""
    x, _ = blobs
    options = {"recipe": "images", "augment": lambda rows: rows, "init": "mixture", "n_init": 2, "seed": seed}
    broken, resumed = make(), make()
    with pytest.raises(KeyboardInterrupt):
        fit(broken, x, **options, checkpoint_dir=tmp_path, callbacks=[interrupt_after(3)])
    shutil.copytree(tmp_path, tmp_path / "copy")
    fit(broken, x, **options, checkpoint_dir=tmp_path)
    fit(resumed, x, **options, checkpoint_dir=tmp_path / "copy")
    assert_same(broken, resumed)
    if seed is not None:
        whole = make()
        fit(whole, x, **options)
        assert_same(whole, resumed)


def test_labels_change_nothing_of_any_start(make, blobs):
    x, y = blobs
    for init in "ward", "mixture":
        with_labels, without = make(), make()
        fit(with_labels, x, y, init=init, n_init=2)
        fit(without, x, init=init, n_init=2)
        assert_same(with_labels, without)


def test_bad_centroids(make, blobs):
    for bad in (CENTROIDS[:2], CENTROIDS * np.nan):
        with pytest.raises(ValueError, match=r"centroids should be finite numbers of shape \(3, 2\)"):
            fit(make(), blobs[0], centroids=bad)


# Keras's callbacks and progress


def test_callbacks_are_told_of_epochs_and_batches(make, blobs, tmp_path):
    x, y = blobs

    class Watch(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.calls, self.epochs = [], []

        def on_train_begin(self, logs=None):
            self.calls.append("begin")

        def on_train_batch_end(self, batch, logs=None):
            self.calls.append(batch)

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append((epoch, sorted(logs)))

        def on_train_end(self, logs=None):
            self.calls.append("end")

    watch = Watch()
    fit(make(), x, y, callbacks=[watch, keras.callbacks.CSVLogger(tmp_path / "log.csv")], max_iterations=10)
    assert watch.calls == ["begin", 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, "end"]
    assert watch.epochs == [
        (0, ["acc", "ari", "changed", "loss", "nmi"]),
        (1, ["acc", "ari", "changed", "loss", "nmi"]),
    ]
    header, *lines = (tmp_path / "log.csv").read_text().splitlines()
    assert header.startswith("epoch,acc,ari,changed,loss,nmi")
    assert len(lines) == 2


def test_callbacks_can_stop_and_set_the_learning_rate(make, blobs, tmp_path):
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1))
    rates = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 ** (epoch + 1))
    model = make()
    history = fit(model, blobs[0], callbacks=[stop, rates], max_iterations=100, checkpoint_dir=tmp_path)
    assert history.history["learning_rate"] == [0.5, 0.25]
    assert (tmp_path / "checkpoint.h5").exists()
    model.stop_training = False
    assert len(fit(model, blobs[0], max_iterations=20, checkpoint_dir=tmp_path).history["loss"]) == 4


def test_one_callback_needs_no_list(make, blobs):
    stop = keras.callbacks.EarlyStopping("changed", mode="min", patience=2)
    history = fit(make(), blobs[0], callbacks=stop, max_iterations=500)
    assert len(history.history["loss"]) < 20


def test_averages_of_the_weights_are_what_is_left(make, blobs):
    """An optimizer with `use_ema` keeps averages, and Keras puts them in place at the end of `fit`."""
    x, _ = blobs
    model = make()
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    fit(model, x, centroids=CENTROIDS)
    averages = model.optimizer._model_variables_moving_average
    np.testing.assert_array_equal(model.centroids, keras.ops.convert_to_numpy(averages[-1]))


def test_progress_bar(make, blobs, capsys):
    x, y = blobs
    fit(make(), x, y, verbose="auto")
    shown = capsys.readouterr().out
    for name in ("Epoch 4/4", "5/5", "loss: ", "changed: ", "acc: ", "nmi: ", "ari: "):
        assert name in shown
    fit(make(), x, y, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 8
    fit(make(), x, y, verbose=0)
    assert not capsys.readouterr().out


def test_mixed_precision_trains_to_the_same_clusters(make, blobs):
    x, _ = blobs
    full = make()
    fit(full, x, max_iterations=100)
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = make()
    history = fit(half, x, max_iterations=100)
    assert np.isfinite(history.history["loss"]).all()
    assert half.encoder.layers[0].compute_dtype == "bfloat16"
    labels = half.predict_clusters(x, verbose=0)
    assert metrics.accuracy(full.predict_clusters(x, verbose=0), labels) > 0.98


# What goes wrong


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"x": np.zeros((0, 8))}, ValueError, "x should not be empty"),
        ({"x": np.zeros(8)}, ValueError, r"x should be of shape \(n_rows, ...\)"),
        ({"x": np.full((9, 8), "a")}, TypeError, "x should hold real numbers"),
        ({"x": np.full((9, 8), None)}, TypeError, "x should hold real numbers. Received: dtype object"),
        ({"x": np.repeat([[0.0], [np.inf]], 8, axis=1)[[0] * 5 + [1]]}, ValueError, "Received: inf in row 5"),
        ({"x": np.zeros((2, 8))}, ValueError, "x should have at least 3 rows, one a cluster. Received: 2"),
        ({"x": np.zeros((9, 7))}, ValueError, r"should be of shape \(8,\).* Received: x of shape \(9, 7\)"),
        ({"y": np.zeros(299)}, ValueError, r"y should hold one label for each of the 300 rows.*\(299,\)"),
        ({"y": np.full(300, np.nan)}, ValueError, "y should have a label for every row. Received: nan in row 0"),
        ({"y": np.zeros((300, 1))}, ValueError, r"y should hold one label .*\(300, 1\)"),
        ({"tol": 1.0}, ValueError, "tol should be from 0 to below 1.* Received: tol=1.0"),
        ({"tol": -0.1}, ValueError, "tol should be from 0 to below 1.* Received: tol=-0.1"),
        ({"tol": float("nan")}, ValueError, "tol should be .* Received: tol=nan"),
        ({"tol": "low"}, ValueError, "tol should be .* Received: tol='low'"),
        ({"update_interval": 0}, ValueError, "update_interval should be .* Received: update_interval=0"),
        ({"update_interval": 2.5}, ValueError, "update_interval should be .* Received: update_interval=2.5"),
        ({"max_iterations": 0}, ValueError, "max_iterations should be .* Received: max_iterations=0"),
        ({"batch_size": 0}, ValueError, "batch_size should be .* Received: batch_size=0"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every should be .* Received: checkpoint_every=0"),
        ({"n_init": 0}, ValueError, "n_init should be .* Received: n_init=0"),
        ({"seed": -1}, ValueError, "seed should be .* Received: seed=-1"),
        ({"seed": "lucky"}, ValueError, "seed should be .* Received: seed='lucky'"),
    ],
)
def test_bad_input(make, blobs, options, error, message):
    model = make()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        fit(model, **{"x": blobs[0], **options})
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_clusters", [-1, 0, 2.5, True])
def test_bad_n_clusters(encoder, n_clusters):
    with pytest.raises(ValueError, match="n_clusters should be a whole number of at least 1"):
        DEC(encoder, n_clusters)


def test_bad_alpha(encoder):
    with pytest.raises(ValueError, match="alpha should be a positive number .* Received: alpha=0"):
        DEC(encoder, 3, alpha=0)


def test_bad_encoder():
    with pytest.raises(TypeError, match="encoder should be a keras.Model. Received: ndarray"):
        DEC(np.zeros((3, 3)), 3)
    with pytest.raises(ValueError, match=r"should know its inputs. Start the Sequential with keras.Input"):
        DEC(keras.Sequential([keras.layers.Dense(2)]), 3)
    with pytest.raises(ValueError, match=r"outputs of shape \[\(None, 6, 6, 2\)\]. End it with keras.layers.Flatten"):
        DEC(keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)]), 3)
    with pytest.raises(ValueError, match=r"outputs of shape \[\(None, None\)\]"):
        DEC(keras.Sequential([keras.Input((None,)), keras.layers.Activation("relu")]), 3)
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="one input and one output"):
        DEC(keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)]), 3)


@pytest.mark.parametrize(
    ("wrapped", "received"),
    [
        (lambda z: z, None),
        (lambda z: [z], None),
        (lambda z: (z,), None),
        (lambda z: {"z": z}, "dict"),
        (lambda z: [[z]], "list"),
        (lambda z: [{"z": z}], "dict"),
    ],
)
def test_encoders_return_one_tensor(wrapped, received, eagerly, blobs):
    inputs = keras.Input((8,))
    encoder = keras.Model(inputs, wrapped(keras.layers.Dense(2)(inputs)))
    if received is None:
        assert DEC(encoder, 3).embed(blobs[0], verbose=0).shape == (300, 2)
        return
    for model in encoder, keras.Sequential([keras.Input((8,)), encoder]):
        with pytest.raises(ValueError, match=f"encoder should return one tensor. Received: a model .* a {received}"):
            DEC(model, 3)


class Explode(keras.callbacks.Callback):
    """Sets a learning rate that no weight survives, from one epoch on."""

    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch >= self.at:
            self.model.optimizer.learning_rate = 1e38


def test_divergence_stops_and_says_what_to_do(make, blobs):
    with pytest.raises(FloatingPointError, match=r"between iterations 5 and 10.* Give the optimizer a lower rate"):
        fit(make(), blobs[0], callbacks=[Explode(1)])


def test_divergence_keeps_the_last_good_checkpoint(make, blobs, tmp_path):
    x, _ = blobs
    good, bad = make(), make()
    fit(good, x, max_iterations=10)
    with pytest.raises(FloatingPointError, match=r"back at those of the last checkpoint, .*checkpoint\.h5'"):
        fit(bad, x, callbacks=[Explode(2)], checkpoint_dir=tmp_path, checkpoint_every=1)
    assert_same(bad, good)
    whole = make()
    fit(whole, x)
    fit(bad, x, checkpoint_dir=tmp_path)
    assert_same(bad, whole)


def test_diverged_encoder_is_found_before_training(make, blobs):
    model = make()
    model.encoder.layers[-1].kernel.assign(np.full((16, 2), np.nan))
    with pytest.raises(ValueError, match="finite numbers"):
        fit(model, blobs[0])


def test_empty_cluster_is_named(make, blobs):
    centroids = np.array([[0.0, 0.0], [30.0, 30.0], [1.0, 0.0]])
    with pytest.warns(UserWarning, match=r"No row was assigned to the clusters \[1\]: 2 of 3 clusters came out"):
        fit(make(), blobs[0], centroids=centroids, max_iterations=1)


def test_coinciding_centroids_are_named(make, blobs):
    centroids = np.array([[0.0, 0.0], [3.0, 3.0], [0.0, 0.0]])
    with (
        pytest.warns(UserWarning, match=r"centroids of these pairs of clusters coincide: \[\[0, 2\]\]"),
        pytest.warns(UserWarning, match=r"No row was assigned to the clusters \[2\]"),
    ):
        fit(make(), blobs[0], centroids=centroids, max_iterations=1)


@pytest.mark.filterwarnings("ignore:No row was assigned")
@pytest.mark.parametrize("offsets", [[0, 1e-6], [0, 1e-6, 2e-6]])
def test_coinciding_centroids_are_named_even_where_no_others_are(make, blobs, offsets):
    centroids = np.zeros((len(offsets), 2)) + np.array(offsets)[:, None]
    model = make(n_clusters=len(offsets))
    model.compile(keras.optimizers.SGD(0.0))
    with pytest.warns(UserWarning, match=r"coincide: \[\[0, 1\]"):
        fit(model, blobs[0], centroids=centroids, max_iterations=1)


def test_labels_before_there_are_centroids(make, blobs):
    with pytest.raises(ValueError, match="centroids are not placed yet. Call fit"):
        make().predict_clusters(blobs[0], verbose=0)


def test_constant_features_do_no_harm(blobs, make):
    x = blobs[0].copy()
    x[:, 3] = 0
    x[:, 4] = 7
    history = fit(make(), x)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.filterwarnings("ignore:Number of distinct clusters", "ignore:No row was assigned")
def test_identical_rows(make):
    """Nothing to cluster: it ends, and says so."""
    with pytest.warns(UserWarning, match="coincide"):
        fit(make(), np.ones((20, 8)))


# Files for others


CONTINUE = """
import sys, numpy as np, keras
import deckeras

model = keras.models.load_model(sys.argv[1])
arrays = np.load(sys.argv[2])
assert type(model) is deckeras.DEC, type(model)
np.testing.assert_allclose(model.predict(arrays["x"], verbose=0), arrays["q"], rtol=1e-5)
np.testing.assert_allclose(model.embed(arrays["x"], verbose=0), arrays["z"], atol=1e-5)
assert (model.n_clusters, model.alpha, model.name) == (3, 2.0, "mine")
assert isinstance(model.loss, keras.losses.KLDivergence)
assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 20
model.fit(arrays["x"], update_interval=5, max_iterations=20, tol=0, verbose=0)
np.savez(sys.argv[3], *model.get_weights())
"""


@pytest.mark.parametrize("name", ["dec.h5", "dec.keras"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_loads_in_another_process_and_trains_on(make, blobs, tmp_path, run_python, name):
    x, _ = blobs
    model = make(alpha=2.0, name="mine")
    fit(model, x)
    model.save(tmp_path / name)
    np.savez(tmp_path / "arrays.npz", x=x, q=model.predict(x, verbose=0), z=model.embed(x, verbose=0))
    run_python(f"import sys; sys.argv = ['', {name!r}, 'arrays.npz', 'weights.npz']\n{CONTINUE}")
    fit(model, x)
    with np.load(tmp_path / "weights.npz") as arrays:
        for key, expected in zip(arrays, model.get_weights(), strict=True):
            np.testing.assert_array_equal(arrays[key], expected)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_saving_to_h5_leaves_the_optimizer_to_a_later_file(make, blobs, tmp_path):
    model = make()
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 100)
    model.compile(keras.optimizers.Adam(schedule))
    fit(model, blobs[0])
    for name in "dec.h5", "dec.keras", "again.h5":
        model.save(tmp_path / name)
        loaded = keras.models.load_model(tmp_path / name).optimizer
        assert isinstance(loaded, keras.optimizers.Adam)
        assert loaded.get_config()["learning_rate"]["class_name"] == "CosineDecay"
        assert int(keras.ops.convert_to_numpy(loaded.iterations)) == 20


def test_encoder_loads_in_plain_keras(make, blobs, tmp_path, run_python):
    x, _ = blobs
    model = make()
    fit(model, x)
    model.encoder.save(tmp_path / "encoder.h5")
    np.savez(tmp_path / "arrays.npz", x=x, z=model.embed(x, verbose=0))
    run_python(
        "import sys, keras, numpy as np\n"
        "encoder = keras.models.load_model('encoder.h5')\n"
        "arrays = np.load('arrays.npz')\n"
        "np.testing.assert_allclose(encoder.predict(arrays['x'], verbose=0), arrays['z'], atol=1e-5)\n"
        "assert isinstance(encoder, keras.Sequential)\n"
        "assert 'deckeras' not in sys.modules\n"
    )


def test_config_round_trip(make):
    model = make(n_clusters=4, alpha=0.5, name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert type(copy) is DEC
    assert copy.get_config() == model.get_config()


@pytest.mark.parametrize("name", ["dec.h5", "dec.keras"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_frozen_centroids_stay_frozen(make, tmp_path, name):
    model = make()
    model.clustering.trainable = False
    model.compile()
    model.save(tmp_path / name)
    loaded = keras.models.load_model(tmp_path / name)
    assert not loaded.clustering.trainable
    assert loaded.encoder.trainable
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX knows float64 only where it is started with it")
def test_dtype_is_kept(tmp_path):
    keras.config.set_dtype_policy("float64")
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "dec.keras")
    loaded = keras.models.load_model(tmp_path / "dec.keras")
    assert loaded.clustering.clusters.dtype == "float64"
    assert keras.backend.standardize_dtype(loaded(np.ones((2, 8))).dtype) == "float64"


def test_import_adds_nothing_heavy_to_keras(run_python):
    added = run_python(
        "import sys, keras\n"
        "before = set(sys.modules)\n"
        "import deckeras\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    assert added.strip().splitlines()[-1] == "['deckeras']"


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
def test_a_recipe_brings_its_own_optimizer(blobs):
    """Unless the model was compiled by the user."""
    options = {"init": "kmeans", "n_init": 1, "max_iterations": 5, "verbose": 0}
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    model.fit(blobs[0], recipe=deckeras.recipes.get("table", decay=0.1), **options)
    first = model.optimizer
    model.fit(blobs[0], recipe=deckeras.recipes.get("table", decay=0.1), **options)
    assert model.optimizer is first
    model.fit(blobs[0], recipe=deckeras.recipes.get("table", learning_rate=0.05), **options)
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.05)
    model.compile(keras.optimizers.SGD(0.02))
    model.fit(blobs[0], recipe=deckeras.recipes.get("table", learning_rate=0.05), **options)
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.02)


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs")
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("policy", "name"), [("float32", "dec.h5"), ("float32", "dec.keras"), ("mixed_float16", "dec.keras")]
)
def test_the_optimizer_of_a_recipe_is_known_in_a_file(blobs, tmp_path, eagerly, policy, name):
    keras.config.set_dtype_policy(policy)
    options = {"init": "kmeans", "n_init": 1, "max_iterations": 2, "verbose": 0}
    recipe = deckeras.recipes.get("table", decay=0.1)
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    model.fit(blobs[0], recipe=recipe, **options)
    model.save(tmp_path / name)
    for other, rate in (recipe, 0.001), ("table", 0.01):
        loaded = keras.models.load_model(tmp_path / name)
        loaded.fit(blobs[0], recipe=other, **options)
        own = getattr(loaded.optimizer, "inner_optimizer", loaded.optimizer)
        assert float(keras.ops.convert_to_numpy(own.learning_rate)) == pytest.approx(rate)


def test_the_start_of_an_earlier_fit_is_forgotten(blobs):
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    model.initialize_centroids(blobs[0])
    assert model.start_labels.shape == (300,)
    model.centroids = np.eye(3, 2)
    assert model.start_labels is None
