"""Random changes of images are seeded, of the right size, resumable, and never applied to the target."""

import functools
import logging

import keras
import numpy as np
import pytest
import scipy.ndimage

import deckeras
from deckeras import DEC, dense_autoencoder, image_augmentation, pretrain_autoencoder, pretrain_layerwise
from deckeras._train import device
from deckeras.augmentation import Augmenter, RandomAffine, background


@pytest.fixture
def images():
    """40 flat images of 8 by 8, dark but for a bright square of four pixels in the middle."""
    x = np.zeros((40, 8, 8), "float32")
    x[:, 3:5, 3:5] = 1
    return x.reshape(40, 64)


def centres(rows):
    """The middle of the brightness of each image: (n, 2)."""
    pixels = rows.reshape(-1, 8, 8)
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), axis=-1)
    return np.einsum("nhw,hwc->nc", pixels, grid) / pixels.sum(axis=(1, 2))[:, None]


def test_shifts_by_up_to_the_given_share(images):
    moved = Augmenter(image_augmentation((8, 8), shift=0.25, rotation=0), (64,))(np.repeat(images, 20, axis=0))
    shifts = centres(moved) - centres(images[:1])
    assert np.abs(shifts).max() == pytest.approx(2, abs=0.1)
    assert np.abs(shifts.mean(axis=0)).max() < 0.2
    np.testing.assert_allclose(moved.sum(axis=1), 4, rtol=1e-3)  # moved, not changed


def test_rotates_by_up_to_the_given_angle():
    bar = np.zeros((400, 33, 33), "float32")
    bar[:, 16, :] = 1
    augment = Augmenter(image_augmentation((33, 33), shift=0, rotation=20), (33 * 33,))
    turned = augment(bar.reshape(400, -1)).reshape(400, 33, 33)
    heights = turned[:, :, 28].argmax(axis=1) - 16  # 12 pixels from the middle
    angles = np.degrees(np.arctan(heights / 12))
    assert 15 < np.abs(angles).max() < 23
    assert angles.min() < -10 < 10 < angles.max()


def test_seed_decides(images):
    first, same, other = (Augmenter(image_augmentation((8, 8), seed=seed), (64,)) for seed in (1, 1, 2))
    batches = [first(images), first(images)]
    np.testing.assert_array_equal(batches, [same(images), same(images)])
    assert not np.allclose(*batches)
    assert not np.allclose(batches[0], other(images))


def test_rows_of_images_keep_their_shape():
    x = np.random.default_rng(0).random((5, 8, 6, 3)).astype("float32")
    augment = image_augmentation((8, 6, 3), row_shape=(8, 6, 3))
    assert Augmenter(augment, (8, 6, 3))(x).shape == x.shape
    with pytest.raises(ValueError, match=r"image of shape \(28, 28\).*row_shape=\(64,\)"):
        image_augmentation((28, 28), row_shape=(64,))


def test_is_exact_under_mixed_precision():
    """Places in an image that are rounded to eight bits would be others."""
    x = np.random.default_rng(0).random((40, 784), dtype="float32")
    exact = Augmenter(image_augmentation((28, 28)), (784,))(x)
    keras.config.set_dtype_policy("mixed_bfloat16")
    np.testing.assert_array_equal(Augmenter(image_augmentation((28, 28)), (784,))(x), exact)


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("several", [False, True])
def test_compiled_changes_are_those_of_a_plain_call(monkeypatch, accelerated, several):
    monkeypatch.setattr(device, "accelerated", lambda: accelerated)
    x = np.random.default_rng(0).random((2, 40, 784), dtype="float32")

    def build():
        if not several:
            return image_augmentation((28, 28))
        layers = keras.layers
        changes = [layers.RandomTranslation(0.1, 0.1, seed=1), layers.RandomRotation(0.1, seed=2)]
        for layer in changes:
            layer.supports_jit = True
        return keras.Sequential([keras.Input((784,)), layers.Reshape((28, 28, 1)), *changes, layers.Reshape((784,))])

    plain, augmenter = build(), Augmenter(build(), (784,))
    for batch in x:
        expected = keras.ops.convert_to_numpy(plain(batch, training=True))
        np.testing.assert_allclose(augmenter(batch), expected, atol=1e-5)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="compiles nothing")
def test_images_are_changed_by_a_compiled_program(monkeypatch):
    calls = []
    change = RandomAffine.call

    @functools.wraps(change)
    def counted(*arguments, **options):
        calls.append(1)
        return change(*arguments, **options)

    monkeypatch.setattr(RandomAffine, "call", counted)
    augmenter, x = Augmenter(image_augmentation((28, 28)), (784,)), np.zeros((4, 784), "float32")
    augmenter(x)
    traced = len(calls)
    for _ in range(9):
        augmenter(x)
    assert 0 < traced == len(calls)


IMAGES = np.random.default_rng(0).random((30, 7, 5, 2)).astype("float32")


def sampled(images, maps, fill):
    """Images at the places of affine maps by SciPy, in float64; fill is "edge" or one number a channel."""
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]]
    places = np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    options = [{"mode": "nearest"}] * 2 if fill == "edge" else [{"mode": "grid-constant", "cval": c} for c in fill]
    found = np.empty(images.shape)
    for image, result, (x, y) in zip(images.astype(np.float64), found, maps @ places, strict=True):
        for channel, option in enumerate(options):
            values = scipy.ndimage.map_coordinates(image[..., channel], [y, x], order=1, **option)
            result[..., channel] = values.reshape(rows.shape)
    return found


@pytest.mark.parametrize("fill", ["edge", (0.0, 0.0), (0.25, 2.0)])
@pytest.mark.parametrize("changes", [{"shift": 0.5}, {"rotation": 90}, {"zoom": 1.0}, {"shear": 0.5}, {}])
def test_changes_are_those_of_an_affine_map(changes, fill):
    sizes = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0, "shear": 0.0, **changes}
    sizes = sizes if changes else {"shift": 0.3, "rotation": 30, "zoom": 0.5, "shear": 0.2}
    layer, same = (RandomAffine(**sizes, fill=fill, seed=3) for _ in range(2))
    maps = keras.ops.convert_to_numpy(same._maps(len(IMAGES), 7, 5)).astype(np.float64)
    np.testing.assert_allclose(layer(IMAGES, training=True), sampled(IMAGES, maps, fill), atol=1e-4)
    np.testing.assert_array_equal(layer(IMAGES), IMAGES)


def test_sizes_bound_the_changes():
    middle = np.array([13.5, 13.5, 1])
    maps = RandomAffine(shift=0.2, rotation=0, seed=0)._maps(2000, 28, 28)
    moved = keras.ops.convert_to_numpy(maps) @ middle - middle[:2]
    assert 5.5 < np.abs(moved).max() <= 5.6001  # a fifth of 28
    assert np.abs(moved.mean(axis=0)).max() < 0.3

    def linear(**sizes):
        layer = RandomAffine(**{"shift": 0, "rotation": 0, **sizes}, seed=0)
        maps = keras.ops.convert_to_numpy(layer._maps(2000, 28, 28))
        np.testing.assert_allclose(maps @ middle, np.tile(middle[:2], (2000, 1)), atol=1e-3)
        return maps[:, :, :2]

    turned = linear(rotation=30)
    angles = np.degrees(np.arctan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert -30.001 <= angles.min() < -29
    assert 29 < angles.max() <= 30.001
    np.testing.assert_allclose(np.linalg.det(turned), 1, atol=1e-5)
    sizes = np.sqrt(np.linalg.det(linear(zoom=1.0)))
    assert 0.4999 <= sizes.min() < 0.51
    assert 1.98 < sizes.max() <= 2.0001
    assert 0.95 < np.median(sizes) < 1.05
    sheared = linear(shear=0.3)
    assert 0.29 < np.abs(sheared[:, 0, 1]).max() <= 0.3001
    np.testing.assert_allclose(sheared[:, 1], np.tile([0, 1], (2000, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shift": -0.1}, "shift should be"),
        ({"rotation": np.nan}, "rotation should be"),
        ({"zoom": "much"}, "zoom should be"),
        ({"shear": True}, "shear should be"),
        ({"fill": "black"}, "fill should be"),
        ({"fill": np.inf}, "fill should be"),
        ({"fill": [[0.0]]}, "fill should be"),
        ({"fill": (0.0, 1.0)}, "fill should be .* each of 1 channels"),
        ({"image_shape": (64,)}, "image_shape should be"),
    ],
)
def test_sizes_of_changes_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        image_augmentation(**{"image_shape": (8, 8), **arguments})


@pytest.mark.parametrize("fill", ["edge", 0.5, np.array([0.5, 1.0])])
def test_layer_saves_and_loads(tmp_path, fill):
    layer = RandomAffine(0.3, 20, 0.1, 0.2, fill, seed=7)
    model = keras.Sequential([keras.Input((7, 5, 2)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == layer.get_config()
    np.testing.assert_allclose(loaded(IMAGES, training=True), model(IMAGES, training=True), atol=1e-6)


def test_background_of_images():
    random, noise = np.random.default_rng(0), np.random.default_rng(1).normal(size=(50, 9, 8, 3)) / 100
    white = np.ones((50, 9, 8)) - (random.random((50, 9, 8)) * np.pad(np.ones((5, 4)), 2))
    assert background(white, (9, 8)) == 1.0
    assert background(white.reshape(50, 72), (9, 8)) == 1.0
    green = np.tile([0.1, 0.9, 0.2], (50, 9, 8, 1)) + noise
    green[:, 2:-2, 2:-2] = random.random((50, 5, 4, 3))
    assert background(green, (9, 8, 3)) == pytest.approx((0.1, 0.9, 0.2), abs=0.01)
    assert background(random.random((50, 9, 8)), (9, 8)) == "edge"


def test_recipe_fills_with_the_background_of_the_rows():
    recipe = deckeras.recipes.get("images", image_shape=(28, 28))
    x = np.full((20, 784), 0.75, "float32")
    np.testing.assert_allclose(recipe.augmentation((784,), x=x)(x, training=True), x, atol=1e-6)
    assert (keras.ops.convert_to_numpy(recipe.augmentation((784,))(x, training=True)) < 0.5).any()


def test_any_layer_or_function_will_do(images):
    assert (Augmenter(keras.layers.Dropout(0.5, seed=1), (64,))(images) != images).any()
    np.testing.assert_array_equal(Augmenter(lambda rows: 2 * rows, (64,))(images), 2 * images)
    assert Augmenter(None, (64,))(images) is images


def test_what_will_not_do(images):
    with pytest.raises(TypeError, match="augment.* Received: str"):
        Augmenter("flip", (64,))
    with pytest.raises(ValueError, match=r"shape of a batch, \(40, 64\).* \(40, 8, 8\)"):
        Augmenter(lambda rows: rows.reshape(-1, 8, 8), (64,))(images)


def test_pretraining_reconstructs_the_changed_row(images):
    """A pair that hands its input through is right about it, whatever the change."""
    encoder, decoder = dense_autoencoder(64, units=(64,))
    for model in (encoder, decoder):
        model.set_weights([np.eye(64), np.zeros(64)])
    seen = []

    def augment(rows):
        seen.append(rows)
        return rows + 1

    options = {"epochs": 1, "batch_size": 40, "optimizer": keras.optimizers.SGD(0.0), "verbose": 0}
    history = pretrain_autoencoder(encoder, decoder, images, augment=augment, **options)
    np.testing.assert_array_equal(seen, [images])
    assert history.history["loss"][0] < 1e-10


def test_clustering_trains_on_changed_rows_towards_the_target_of_the_rows_as_they_are(images, batches_of):
    """With a learning rate of 0, q of the clean rows gives every target, and the batches are the changed ones."""
    x = images + np.random.default_rng(0).normal(size=images.shape).astype("float32")
    model = DEC(dense_autoencoder(64, units=(8, 2))[0], 2)
    model.compile(keras.optimizers.SGD(0.0))
    model.centroids = [[0.5, 0.0], [-0.5, 0.2]]
    q = model.predict(x, verbose=0)
    weights = q**2 / q.sum(axis=0)
    p = weights / weights.sum(axis=1, keepdims=True)
    batches = batches_of(model)
    options = {"recipe": "paper", "batch_size": 256, "update_interval": 2, "max_iterations": 4, "tol": 0, "verbose": 0}
    model.fit(x, augment=lambda rows: rows + 100, **options)
    assert len(batches) == 4
    rows = {(row + 100).tobytes(): target for row, target in zip(x, p, strict=True)}
    for changed, target in batches:
        np.testing.assert_allclose([rows[row.tobytes()] for row in changed], target, rtol=1e-5)


@pytest.mark.parametrize("stage", ["pretraining", "clustering"])
def test_resumes_with_the_changes_that_would_have_come(images, tmp_path, stage):
    x = images + np.random.default_rng(0).normal(size=images.shape).astype("float32")

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def train(directory, callbacks=None):
        encoder, decoder = dense_autoencoder(64, units=(8, 2))
        options = {"augment": image_augmentation((8, 8)), "checkpoint_dir": directory, "verbose": 0}
        if stage == "pretraining":
            pretrain_autoencoder(encoder, decoder, x, epochs=5, callbacks=callbacks, **options)
            return encoder.get_weights()
        model = DEC(encoder, 2)
        model.fit(x, update_interval=3, max_iterations=15, tol=0, checkpoint_every=1, callbacks=callbacks, **options)
        return model.get_weights()

    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", [Interrupt()])
    for a, b in zip(train(tmp_path / "parts"), whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_changes_are_another_training(images, tmp_path):
    models = dense_autoencoder(64, units=(8, 2))
    options = {"epochs": 1, "checkpoint_dir": tmp_path, "verbose": 0}
    pretrain_autoencoder(*models, images, augment=image_augmentation((8, 8)), **options)
    pretrain_autoencoder(*models, images, augment=image_augmentation((8, 8)), **options)
    for other in (None, image_augmentation((8, 8), shift=0.2), np.copy):
        with pytest.raises(ValueError, match="another training.* augment"):
            pretrain_autoencoder(*models, images, augment=other, **options)


def test_layerwise_stages_see_changed_rows(images):
    seen = []
    models = dense_autoencoder(64, units=(8, 2))
    pretrain_layerwise(
        *models, images, iterations=1, finetune_iterations=1, augment=lambda rows: seen.append(1) or rows, verbose=0
    )
    assert len(seen) == 3


def test_tensorflow_does_not_warn_of_several_augmenters():
    """As in one estimator, where pretraining and clustering augment batches of several sizes."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = logging.getLogger("tensorflow")
    logger.addHandler(handler)
    try:
        for width in range(2, 9):
            augmenter = Augmenter(keras.layers.GaussianNoise(0.1, seed=0), (width,))
            augmenter(np.zeros((3, width), "float32"))
            augmenter(np.zeros((2, width), "float32"))
    finally:
        logger.removeHandler(handler)
    assert records == []
    assert device._is_not_of_keras not in logger.filters  # the warnings of others are shown


def test_filters_of_callers_remain():
    logger = logging.getLogger("tensorflow")
    with device.tracing_models():
        with device.tracing_models():
            pass
        assert device._is_not_of_keras in logger.filters
    assert device._is_not_of_keras not in logger.filters
