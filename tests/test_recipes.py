"""Recipes: their published values, that they cannot be changed, and that every stage follows them."""

import dataclasses

import keras
import numpy as np
import pytest

from deckeras import DEC, pretrain, recipes
from deckeras.recipes import Recipe, groups


def rates(optimizer, *steps):
    rate = optimizer.get_config()["learning_rate"]
    if isinstance(rate, dict):
        schedule = keras.saving.deserialize_keras_object(rate)
        return [float(schedule(step)) for step in steps]
    return [rate] * len(steps)


def test_paper_is_the_papers_protocol():
    recipe = recipes.get("paper")
    assert (recipe.layerwise, recipe.layer_iterations, recipe.dropout) == (True, 50_000, 0.2)
    assert [recipe.batches(n) for n in (1797, 70_000)] == [(256, 100_000)] * 2
    np.testing.assert_allclose(
        rates(recipe.pretraining_optimizer(100_000), 0, 19_999, 20_000, 40_000), [0.1, 0.1, 0.01, 0.001], rtol=1e-5
    )
    assert (recipe.init, recipe.n_init, recipe.tol, recipe.embedding_scale) == ("kmeans", 20, 1e-3, None)
    assert recipe.intervals(70_000) == (256, 160, 20_000)
    assert rates(recipe.optimizer(20_000), 0) == [pytest.approx(0.01)]
    assert recipe.augmentation((784,)) is None
    encoder, _ = recipe.autoencoder((784,))
    assert [layer.units for layer in encoder.layers] == [500, 500, 2000, 10]
    kernel = encoder.layers[0].get_weights()[0]
    assert (kernel.mean(), kernel.std()) == (pytest.approx(0, abs=1e-4), pytest.approx(0.01, rel=0.01))


def test_paper_scales_the_rows():
    x = np.random.default_rng(0).random((50, 8), "float32")
    scaled = recipes.get("paper").prepare(x)
    assert np.mean(np.sum(scaled**2, axis=1) / 8) == pytest.approx(1)
    np.testing.assert_allclose(scaled / x, (scaled / x)[0, 0], rtol=1e-5)
    assert recipes.get("table").prepare(x) is x
    assert not recipes.get("paper").prepare(0 * x).any()


def test_dec_keras_is_its_script():
    recipe = recipes.get("dec-keras")
    assert recipe.batches(70_000) == (256, 300 * 274)
    assert recipe.batches(1797) == (256, 300 * 8)
    optimizer = recipe.pretraining_optimizer(10)
    assert (rates(optimizer, 0), optimizer.momentum) == ([1.0], 0.9)
    assert recipe.intervals(70_000) == (256, 140, 20_000)
    encoder, _ = recipe.autoencoder((784,))
    kernel = encoder.layers[0].get_weights()[0]
    assert abs(kernel).max() <= 1 / np.sqrt(784)
    assert kernel.std() == pytest.approx(1 / np.sqrt(3 * 784), rel=0.01)


def test_few_rows_get_small_batches_and_more_passes():
    recipe = recipes.get("table", min_pretraining_iterations=1500)
    assert [recipe.batches(n)[0] for n in (10, 300, 1797, 6400, 70_000)] == [10, 16, 71, 256, 256]
    assert [recipe.batches(n)[1] for n in (10, 1797, 70_000)] == [1500, 1500, 20 * 274]
    assert [recipe.intervals(n)[0] for n in (10, 300, 1797, 6400, 70_000)] == [10, 16, 71, 256, 256]
    assert [recipe.intervals(n)[1:] for n in (10, 1797, 6400, 70_000)] == [(100, 800)] * 3 + [(274, 8 * 274)]
    assert [recipes.get(name).intervals(1797)[0] for name in ("paper", "dec-keras")] == [256, 256]


def test_default_schedule_warms_up_and_falls_to_nothing():
    optimizer = recipes.get("table").pretraining_optimizer(1000)
    np.testing.assert_allclose(rates(optimizer, 0, 25, 50, 525, 1000), [0, 0.001, 0.002, 0.001, 0], atol=1e-6)


def test_rate_of_the_clustering_falls_along_a_cosine():
    recipe = recipes.get("table", learning_rate=0.02, decay=0.1)
    np.testing.assert_allclose(rates(recipe.optimizer(100), 0, 50, 100, 500), [0.02, 0.011, 0.002, 0.002], rtol=1e-5)
    assert recipe.optimizer(100).momentum == 0.9


def test_images_know_their_shape_or_ask_for_it():
    recipe = recipes.get("images")
    assert recipe.augmentation((8, 8, 3)) is not None
    assert recipes.get("images", image_shape=(8, 8)).augmentation((64,)).input_shape == (None, 64)
    for use in recipe.augmentation, recipes.get("images", convolutional=True).autoencoder:
        with pytest.raises(
            ValueError, match=r"shape of the image in a flat row.* \(64,\).*image_shape=\(height, width\)"
        ):
            use((64,))
    with pytest.raises(ValueError, match="flat rows"):
        recipe.autoencoder((8, 8))
    encoder, decoder = recipes.get("images", convolutional=True).autoencoder((8, 8, 3))
    assert (encoder.output_shape, decoder.output_shape) == ((None, 10), (None, 8, 8, 3))
    assert any(isinstance(layer, keras.layers.Conv2D) for layer in encoder.layers)


def test_small_images_are_clustered_as_they_are():
    for side, changed in (8, False), (15, False), (16, True):
        recipe = recipes.get("images", image_shape=(side, 28))
        assert recipe.augmentation((side * 28,)) is not None
        assert (recipe.augmentation((side * 28,), clustering=True) is not None) is changed


BAD = {
    **dict.fromkeys(("unit_scale", "convolutional", "layerwise", "series", "centered"), (None, 2, "yes")),
    **dict.fromkeys(("shift", "rotation"), (-0.1, float("inf"), float("nan"), True, "1", None)),
    **dict.fromkeys(("dropout", "tol"), (-0.1, 1.0, float("nan"), "0.1", None)),
    **dict.fromkeys(("learning_rate", "embedding_scale"), (0.0, -1, float("inf"), float("nan"), True, "1")),
    **dict.fromkeys(("image_shape", "series_shape"), (8, (8,), (8, 0), (8, 2.5), (1, 2, 3, 4), "88")),
    "name": (None, 1),
    "units": (10, (), (4, 0), "10", None),
    "kernel_initializer": ("nothing", 5, None),
    "pretraining_loss": ("nothing", 5, None),
    "pretraining_optimizer": ("adam", 5, None),
    "init": ("random", 5, None),
    "neighbors": ("rows", None, 5),
    "decay": (-0.1, 1.5, "1", None),
    "balance": (-0.1, 1.5, "1", None),
}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(recipes.Recipe)])
def test_each_value_of_a_recipe_is_checked(name):
    counts = (-1, 1.5, True, "2", float("nan"))
    for value in BAD.get(name, counts):
        with pytest.raises(ValueError, match=f"^{name} should "):
            dataclasses.replace(recipes.TABLE, **{name: value})
    optional = ("update_interval", "updates", "min_neighbors", "image_shape", "series_shape", "embedding_scale")
    if name in optional:
        assert getattr(dataclasses.replace(recipes.TABLE, **{name: None}), name) is None
    elif name not in BAD and name not in ("epochs", "min_pretraining_iterations"):
        with pytest.raises(ValueError, match=f"^{name} should "):
            dataclasses.replace(recipes.TABLE, **{name: 0})


def test_recipes_take_numbers_and_sequences_of_numpy():
    recipe = recipes.get("images", image_shape=np.array([8, 9]), epochs=np.int64(0), units=[4, np.int32(2)])
    assert (recipe.image_shape, recipe.epochs, recipe.units) == ((8, 9), 0, (4, 2))
    assert recipes.get("table", tol=np.float32(0)).settings()["tol"] == 0


def test_recipes_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipes.PAPER.tol = 0.5
    with pytest.raises(TypeError):
        recipes.RECIPES["paper"] = recipes.TABLE
    changed = recipes.get("paper", tol=0.5, n_init=None)
    assert (changed.tol, changed.n_init, changed.name, recipes.PAPER.tol) == (0.5, 20, "paper", 1e-3)


@pytest.mark.parametrize(
    ("recipe", "changes", "error", "message"),
    [
        ("best", {}, ValueError, "Received: recipe='best'"),
        (None, {}, TypeError, "Received: NoneType"),
        ("table", {"colour": 1}, TypeError, "colour"),
        ("table", {"tol": 1.0}, ValueError, "tol should be"),
        ("table", {"init": "random"}, ValueError, "init should be"),
        ("table", {"dropout": 1.0}, ValueError, "dropout should be"),
        ("table", {"n_init": 0}, ValueError, "n_init"),
        ("table", {"update_interval": 1.5}, ValueError, "update_interval"),
        ("table", {"embedding_scale": -1.0}, ValueError, "embedding_scale should be"),
        ("table", {"epochs": 0, "min_pretraining_iterations": 0}, ValueError, "epochs or min_pretraining_iterations"),
        ("table", {"epochs": 1.5}, ValueError, "epochs"),
        ("table", {"decay": 1.5}, ValueError, "decay"),
        ("table", {"learning_rate": 0.0}, ValueError, "learning_rate should be"),
    ],
)
def test_bad_recipes(recipe, changes, error, message):
    with pytest.raises(error, match=message):
        recipes.get(recipe, **changes)


@pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:Number of distinct clusters")  # after a few steps
@pytest.mark.parametrize(("name", "stages"), [("paper", 3), ("dec-keras", 1), ("table", 1), ("images", 1)])
def test_every_recipe_runs_by_name(name, stages):
    """Each of them, with fewer iterations, from the autoencoder to the clusters."""
    x = np.random.default_rng(0).random((90, 64), "float32")
    recipe = recipes.get(
        name, units=(16, 3), epochs=1, layer_iterations=4, min_pretraining_iterations=4, image_shape=(8, 8)
    )
    x = recipe.prepare(x)
    encoder, decoder = recipe.autoencoder(x.shape[1:])
    assert len(pretrain(encoder, decoder, x, recipe, verbose=0)) == stages
    model = DEC(encoder, 3)
    model.fit(x, recipe=recipe, update_interval=2, max_iterations=4, verbose=0)
    assert model.predict(x, verbose=0).shape == (90, 3)


def test_fit_does_what_the_recipe_says(blobs):
    x, _ = blobs
    recipe = Recipe(name="mine", units=(8, 2), embedding_scale=3.0, updates=2, update_interval=3, tol=0, init="ward")
    encoder, decoder = recipe.autoencoder((8,))
    pretrain(encoder, decoder, x, recipe, verbose=0)
    before = encoder.predict(x, verbose=0)
    model = DEC(encoder, 3)
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(x, recipe=recipe, verbose=0)
    assert len(history.history["loss"]) == 2
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 6
    z = model.embed(x, verbose=0)
    assert z.std(axis=0).mean() == pytest.approx(3, rel=1e-4)
    np.testing.assert_allclose(z / before, (z / before)[0, 0], rtol=1e-3)
    fresh = DEC(encoder, 3)
    fresh.fit(x, recipe=recipe, max_iterations=3, verbose=0)
    assert rates(fresh.optimizer, 0) == [pytest.approx(recipe.learning_rate)]


def test_max_iterations_that_are_asked_for_are_run(blobs):
    encoder, _ = recipes.get("table", units=(8, 2)).autoencoder((8,))
    recipe = recipes.get("table", updates=2, update_interval=3, tol=0)
    assert len(DEC(encoder, 3).fit(blobs[0], recipe=recipe, max_iterations=12, verbose=0).history["loss"]) == 4


@pytest.mark.filterwarnings("ignore:No row was assigned")  # of noise, after a few steps
def test_fresh_seeds_go_on_too(tmp_path):
    """With seed=None the augmentation of the recipe draws another seed at each call, and is the same all the same."""
    x = np.random.default_rng(0).random((40, 256), "float32")
    recipe = recipes.get(
        "images", image_shape=(16, 16), units=(8, 2), epochs=2, min_pretraining_iterations=0, n_init=2, decay=1.0
    )
    encoder, decoder = recipe.autoencoder((256,))
    options = {"seed": None, "checkpoint_dir": tmp_path, "verbose": 0}
    for _ in range(2):
        (history,) = pretrain(encoder, decoder, x, recipe, **options)
        assert len(history.history["loss"]) == 2
    for iterations in 4, 8:
        history = DEC(encoder, 2).fit(x, recipe=recipe, update_interval=2, max_iterations=iterations, tol=0, **options)
        assert len(history.history["loss"]) == iterations // 2


def test_images_have_fewer_neighbors_where_they_are_few():
    sizes = (300, 3000, 4500, 6000, 70_000)
    assert [recipes.get("images").neighbors_of(n) for n in sizes] == [10, 10, 15, 20, 20]
    assert {recipes.get(name).neighbors_of(n) for name in ("table", "series", "features") for n in sizes} == {20}
    assert {recipes.get("table", n_neighbors=40).neighbors_of(n) for n in sizes} == {40}
    assert [recipes.get("images", n_neighbors=5).neighbors_of(n) for n in sizes] == [5] * 5


def test_every_hyper_parameter_is_checked_in_its_group():
    checked = {name for group in Recipe.__mro__ for name in vars(group).get("CHECKS", {})}
    assert checked == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize(
    ("group", "bad"),
    [
        (groups.Network, {"units": (16, 0)}),
        (groups.Batches, {"min_batches": 0}),
        (groups.Pretraining, {"epochs": 0, "min_pretraining_iterations": 0}),
        (groups.Augmenting, {"shift": -1}),
        (groups.Start, {"init": "k-means"}),
        (groups.Clustering, {"tol": 1}),
    ],
)
def test_a_group_stands_by_itself(group, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        group(**bad)
    with pytest.raises(dataclasses.FrozenInstanceError):
        group().name = "another"


def test_functions_keep_their_public_names():
    for function in (
        recipes.adam_with_cosine,
        recipes.sgd_at_one,
        recipes.sgd_in_steps,
        recipes.default_update_interval,
    ):
        assert function.__module__ == "deckeras.recipes"
