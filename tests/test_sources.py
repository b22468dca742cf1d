"""Rows that are not in memory."""

import tempfile
import uuid

import h5py
import keras
import numpy as np
import pytest

import deckeras
from deckeras import sources
from deckeras._data import batching, checks, row_views

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(103, 3, 2)).astype("float32")


class Batches(keras.utils.PyDataset):
    """Batches of seven rows with labels, as Keras users have them."""

    def __init__(self, rows, change=lambda rows: rows):
        super().__init__()
        self.rows, self.change, self.reads = rows, change, []

    def __len__(self):
        return -(-len(self.rows) // 7)

    def __getitem__(self, index):
        self.reads.append(index)
        rows = self.change(self.rows[7 * index : 7 * index + 7])
        return rows, np.zeros(len(rows))


class Stream:
    """What can only be iterated over, from its beginning."""

    def __init__(self, rows):
        self.rows, self.begun = rows, 0

    def __iter__(self):
        self.begun += 1
        return iter([self.rows[start : start + 7] for start in range(0, len(self.rows), 7)])


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few rows of 24 bytes, and windows of a few blocks."""
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 240)
    monkeypatch.setattr(sources, "_WINDOW_BYTES", 960)


def mapped(tmp_path, rows):
    np.save(tmp_path / "rows.npy", rows)
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


def hdf5(tmp_path, rows):
    file = h5py.File(tmp_path / f"{uuid.uuid4()}.h5", "w", driver="core", backing_store=False)  # in memory
    return file.create_dataset("x", data=rows, chunks=(5, *rows.shape[1:]))


def tf_data(tmp_path, rows):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(rows).batch(7)


def tf_pairs(tmp_path, rows):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((rows, np.zeros(len(rows)))).batch(7)


KINDS = {
    "memmap": mapped,
    "h5py": hdf5,
    "PyDataset": lambda _, rows: Batches(rows),
    "tf.data": tf_data,
    "tf.data of pairs": tf_pairs,
    "stream": lambda _, rows: Stream(rows),
}


@pytest.fixture(params=KINDS)
def make(request, tmp_path, small_blocks):
    return lambda rows: KINDS[request.param](tmp_path, rows)


def test_reads_like_an_array(make):
    x = checks.check_rows(make(ROWS))
    assert isinstance(x, sources.Blocks)
    assert (x.shape, x.ndim, x.dtype, len(x)) == (ROWS.shape, 3, ROWS.dtype, 103)
    random = np.random.default_rng(1)
    for index in slice(None), slice(5, 60), slice(90, None, 4), random.permutation(103), [102, 0, 50, 0]:
        np.testing.assert_array_equal(x[index], ROWS[index])
    np.testing.assert_array_equal(np.asarray(x), ROWS)
    np.testing.assert_array_equal(x.flat()[3:40], ROWS.reshape(103, 6)[3:40])


def test_each_pass_sees_every_row_once_in_another_order(make):
    x = checks.check_rows(make(ROWS))
    random = np.random.default_rng(0)
    first, second = x.order(random), x.order(random)
    for order in first, second:
        np.testing.assert_array_equal(np.sort(order), np.arange(103))
    assert (first != second).any()
    assert (first != np.arange(103)).mean() > 0.9


def test_shuffles_wholly_what_fits_a_window():
    x = sources.as_source(Batches(ROWS))
    distances = np.abs(np.diff(x.order(np.random.default_rng(0))))
    assert distances.mean() > 25  # of a random order 34, of one by blocks less than 8


def test_each_block_is_read_once_a_pass(small_blocks):
    x = checks.check_rows(Batches(ROWS))
    x._x.reads.clear()
    for _ in batching.training_batches(x, 10, seed=0, start=0, steps=10):
        pass
    assert len(x._x.reads) == len(set(x._x.reads)) >= 15 - 2 * 40 // 7  # some are kept from before


def test_a_stream_is_begun_once_a_pass(small_blocks):
    stream = Stream(ROWS)
    x = checks.check_rows(stream)
    begun = stream.begun
    for _ in batching.training_batches(x, 10, seed=0, start=0, steps=10):
        pass
    assert stream.begun == begun + 1


@pytest.mark.parametrize("make_one", [Batches, Stream])
def test_reading_costs_no_more_in_late_intervals_than_in_early_ones(make_one, small_blocks, monkeypatch):
    x = checks.check_rows(make_one(ROWS))
    read, reads = x._read, []
    monkeypatch.setattr(x, "_read", lambda number: (reads.append(found[0]) or found for found in read(number)))
    counts = []
    for start in range(0, 240, 6):
        reads.clear()
        for _ in batching.training_batches(x, 10, seed=0, start=start, steps=6):
            pass
        for _ in row_views.blocks(x):
            pass
        counts.append(len(reads))
        assert sum(rows.nbytes for rows in x._kept.values()) == x._kept_bytes
    assert np.mean(counts[-10:]) < 1.5 * np.mean(counts[:10])


def test_a_later_batch_that_changes_is_noticed(small_blocks):
    batches = Batches(ROWS.copy())
    x = checks.check_rows(batches)
    x._kept.clear()
    batches.rows[-1] += 1
    with pytest.raises(ValueError, match="whose batch 14 changed from one reading to the next"):
        for _ in batching.training_batches(x, 10, seed=0, start=0, steps=40):
            pass


def test_a_stream_that_gets_shorter_is_noticed(small_blocks):
    stream = Stream(ROWS)
    x = checks.check_rows(stream)
    x._kept.clear()
    stream.rows, x._next = ROWS[:70], 0
    with pytest.raises(ValueError, match="whose batch 10 changed from one reading to the next"):
        x[:]


@pytest.mark.parametrize(
    ("first", "later"), [("int64", "float32"), ("bool", "int16"), ("uint8", "int16"), ("float16", "float64")]
)
@pytest.mark.parametrize("make", [Batches, Stream])
def test_batches_of_several_types_keep_their_values(make, first, later):
    """Such as pieces of a table that has whole numbers at first."""
    rows = np.arange(28.0).reshape(14, 2) % 2
    rows[7:] = {"float32": 0.5, "int16": -300, "float64": 1e30}[later]

    class Mixed(make):
        def __getitem__(self, index):
            return super().__getitem__(index)[0].astype(first if index == 0 else later), None

        def __iter__(self):
            return (batch.astype(later if number else first) for number, batch in enumerate(super().__iter__()))

    np.testing.assert_array_equal(sources.as_source(Mixed(rows))[:], rows)


def test_a_stream_that_failed_is_begun_anew(small_blocks):
    class Failing(Stream):
        fails = False

        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if self.fails and number == 9:
                    self.fails = False
                    raise OSError("the disk is gone")
                yield batch

    stream = Failing(ROWS)
    x = checks.check_rows(stream)
    x._kept.clear()
    stream.fails, x._next = True, 0
    with pytest.raises(OSError, match="the disk is gone"):
        x[:]
    np.testing.assert_array_equal(x[50:], ROWS[50:])


def test_scaled_rows_are_checked_once(tmp_path, small_blocks, monkeypatch):
    x = mapped(tmp_path, ROWS.reshape(103, 6))
    scaled = deckeras.scaling.fit(x).rows(x)
    checks.check_rows(scaled)
    monkeypatch.setattr(row_views, "blocks", None)
    assert checks.check_rows(scaled) is scaled


def test_batches_come_in_the_order_of_the_numbers(make):
    x = checks.check_rows(make(ROWS))
    for numbers, rows in batching.training_batches(x, 16, seed=1, start=3, steps=20):
        np.testing.assert_array_equal(rows, ROWS[numbers])


def test_batches_go_on_from_anywhere(make):
    x = checks.check_rows(make(ROWS))
    whole = [numbers for numbers, _ in batching.training_batches(x, 16, seed=1, start=0, steps=20)]
    rest = [numbers for numbers, _ in batching.training_batches(x, 16, seed=1, start=9, steps=11)]
    np.testing.assert_array_equal(whole[9:], rest)


def test_little_is_kept(small_blocks):
    x = checks.check_rows(Batches(ROWS))
    for _ in batching.training_batches(x, 10, seed=0, start=0, steps=30):
        assert sum(rows.nbytes for rows in x._kept.values()) == x._kept_bytes <= 2 * 960


def test_an_error_while_reading_ahead_is_raised(make):
    x = checks.check_rows(make(ROWS))

    def fail(number):
        raise OSError("the disk is gone")

    x._kept.clear()
    x._read = fail
    with pytest.raises(OSError, match="the disk is gone"):
        list(batching.training_batches(x, 16, seed=1, start=0, steps=3))


@pytest.mark.parametrize("dtype", ["uint8", "float64", ">f4", "int16"])
@pytest.mark.parametrize("kind", ["memmap", "h5py"])
def test_files_of_any_type(kind, dtype, tmp_path, small_blocks):
    rows = (ROWS * 50).astype(dtype)
    x = checks.check_rows(KINDS[kind](tmp_path, rows))
    np.testing.assert_array_equal(x[::-3], rows[::-3])
    assert row_views.fingerprint(x) == row_views.fingerprint(rows)


def test_parts_of_a_mapped_file(tmp_path, small_blocks):
    whole = mapped(tmp_path, ROWS)
    np.testing.assert_array_equal(sources.as_source(whole[10:50])[:], ROWS[10:50])
    offset = np.memmap(tmp_path / "rows.npy", "float32", "r", offset=whole.offset + 24 * 7, shape=(5, 6))
    np.testing.assert_array_equal(sources.as_source(offset)[:], ROWS.reshape(103, 6)[7:12])
    with tempfile.TemporaryFile() as file:
        nameless = np.memmap(file, "float32", "w+", shape=(5, 2))
        assert sources.as_source(nameless) is None
    for other in whole[::2], whole[:, ::-1], np.load(tmp_path / "rows.npy", mmap_mode="c"), whole + 1:
        assert sources.as_source(other) is None
        np.testing.assert_array_equal(checks.check_rows(other), other)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_named(make, value):
    rows = ROWS.copy()
    rows[77, 1, 1] = value
    with pytest.raises(ValueError, match=f"Received: {value} in row 77"):
        checks.check_rows(make(rows))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (iter([ROWS]), TypeError, "readable more than once. Received: list_iterator"),
        (Stream(ROWS[:0]), ValueError, "not be empty. Received: a Stream without rows"),
        (Stream(ROWS[:, 0, 0]), ValueError, r"batches of rows, .* Received: shape \(7,\) from a Stream. Batch it"),
        (Batches(ROWS, lambda rows: {"x": rows}), TypeError, "arrays of rows, .* Received: dict from a Batches"),
        (
            Batches(ROWS, lambda rows: rows[:, : 1 + len(rows) // 7]),
            ValueError,
            "shape .* in batch 14 and .* in batch 0",
        ),
        (
            Batches(ROWS, lambda rows: rows + RANDOM.normal()),
            ValueError,
            "same rows in the same order .* Batches whose batch 0 changed",
        ),
    ],
)
def test_bad_batches(x, error, message):
    with pytest.raises(error, match=message):
        checks.check_rows(x)


def test_tf_data_that_shuffles_or_never_ends():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(ROWS)
    with pytest.raises(ValueError, match="same rows in the same order each time. .*BatchDataset"):
        checks.check_rows(dataset.shuffle(100, reshuffle_each_iteration=True).batch(7))
    with pytest.raises(ValueError, match="should have an end. .* Leave out its repeat"):
        checks.check_rows(dataset.repeat().batch(7))


def train(x, epochs, iterations):
    encoder, decoder = deckeras.dense_autoencoder(8, units=(16, 2))
    deckeras.pretrain_autoencoder(encoder, decoder, x, epochs=epochs, verbose=0)
    model = deckeras.DEC(encoder, 3)
    model.fit(x, update_interval=10, max_iterations=iterations, verbose=0)
    return model


@pytest.fixture(scope="module")
def q_of_the_array(blobs):
    return train(blobs[0], 1, 20).predict(blobs[0], verbose=0)


@pytest.mark.parametrize("kind", ["memmap", "h5py", "PyDataset", "tf.data"])
def test_what_fits_a_window_trains_as_an_array_does(kind, blobs, q_of_the_array, tmp_path):
    x = KINDS[kind](tmp_path, blobs[0])
    np.testing.assert_array_equal(train(x, 1, 20).predict(blobs[0], verbose=0), q_of_the_array)


@pytest.mark.parametrize("kind", ["memmap", "stream"])
def test_what_does_not_fit_a_window_trains_well(kind, blobs, small_blocks, tmp_path):
    x, y = blobs
    rows = np.random.default_rng(0).permutation(300)
    model = train(KINDS[kind](tmp_path, x[rows]), 20, 100)
    assert deckeras.metrics.accuracy(y, model.predict_clusters(x, verbose=0)) > 0.95


@pytest.mark.parametrize("kind", ["memmap", "stream"])
def test_resumes_from_a_checkpoint(kind, blobs, small_blocks, tmp_path, interrupt_after):
    def fit(**kwargs):
        model = deckeras.DEC(deckeras.dense_autoencoder(8, units=(16, 2))[0], 3)
        settings = {"update_interval": 7, "batch_size": 32, "tol": 0, "max_iterations": 35, "checkpoint_every": 1}
        model.fit(KINDS[kind](tmp_path, blobs[0]), verbose=0, **settings, **kwargs)
        return model.predict(blobs[0], verbose=0)

    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint_dir=tmp_path, callbacks=interrupt_after(17))
    np.testing.assert_array_equal(fit(checkpoint_dir=tmp_path), fit())


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("kind", ["memmap", "h5py", "tf.data of pairs"])
def test_estimator_takes_them(kind, tmp_path, eagerly):
    images = np.random.default_rng(0).integers(256, size=(60, 4, 6), dtype="uint8")
    common = {"n_clusters": 2, "recipe": "table", "epochs": 2, "max_iter": 5, "random_state": 0}
    x = KINDS[kind](tmp_path, images)
    found = deckeras.DeepEmbeddedClustering(**common).fit(x)
    expected = deckeras.DeepEmbeddedClustering(**common).fit(images)
    assert found.scaling_.method == "largest"
    assert found.scaling_.divisor == 255
    assert found.n_features_in_ == 24
    np.testing.assert_array_equal(found.predict_proba(x), expected.predict_proba(images))
    with pytest.raises(ValueError, match=r"images of shape \(4, 6\), as those fitted to. Received: \(6, 4\)"):
        found.predict(KINDS[kind](tmp_path, images.reshape(60, 6, 4)))
    with pytest.raises(ValueError, match=r"row of x should be of shape \(24,\)"):
        found.predict(KINDS[kind](tmp_path, images.reshape(90, 16)))


def test_scaled_rows_of_a_file_are_made_as_they_are_read(tmp_path, small_blocks):
    rows = np.random.default_rng(0).normal(3, 2, size=(90, 5))
    x = mapped(tmp_path, rows)
    scaled = deckeras.scaling.fit(x).rows(x)
    assert isinstance(scaled.x, sources.Blocks)
    np.testing.assert_allclose(scaled[:], (rows - rows.mean(axis=0)) / rows.std(axis=0), rtol=1e-5, atol=1e-6)
    numbers, batch = next(iter(batching.training_batches(scaled, 16, seed=0, start=0, steps=1)))
    np.testing.assert_array_equal(batch, scaled[numbers])


def test_predicts_from_them(tmp_path, blobs, encoder):
    model = deckeras.DEC(encoder, 3)
    model.centroids = np.eye(3, 2)
    q, z = model.predict(blobs[0], verbose=0), model.embed(blobs[0], verbose=0)
    for make_one in KINDS.values():
        x = make_one(tmp_path, blobs[0])
        np.testing.assert_allclose(model.predict(x, verbose=0), q, atol=1e-6)
        np.testing.assert_allclose(model.embed(x, verbose=0), z, atol=1e-5)
        assert (model.predict_clusters(x, verbose=0) == q.argmax(axis=1)).mean() > 0.99
