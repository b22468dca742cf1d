"""Checks of the rows, and batches of them."""

import re

import keras
import numpy as np
import pytest
from scipy import sparse

import deckeras
from deckeras._data import batching, checks, row_views
from deckeras._data.labels import check_labels


def take(count, n, *args, **kwargs):
    batches = batching.shuffled_batches(range(n), *args, **kwargs)
    return [next(batches) for _ in range(count)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "uint8", "int64", "bool"])
def test_any_real_dtype_passes_uncopied(dtype):
    x = np.ones((5, 2), dtype)
    assert checks.check_rows(x) is x
    assert row_views.as_batch(x).dtype == "float32"


def test_lists_become_arrays():
    assert checks.check_rows([[1, 2], [3, 4]]).shape == (2, 2)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((0, 3)), ValueError, r"x should not be empty. Received: shape \(0, 3\)"),
        (np.zeros((3, 0)), ValueError, r"x should not be empty. Received: shape \(3, 0\)"),
        (np.zeros(3), ValueError, r"shape \(n_rows, ...\), .* Received: shape \(3,\).*reshape"),
        (np.array(["a", "b"]), TypeError, "real numbers. Received: dtype <U1"),
        (np.array([[1, None]]), TypeError, "real numbers. Received: dtype object"),
        (np.zeros((2, 2), complex), TypeError, "real numbers. Received: dtype complex128"),
        (np.zeros((4, 7)), ValueError, r"row of x should be of shape \(3,\).* Received: x of shape \(4, 7\)"),
        (np.zeros((4, 3)), ValueError, "at least 5 rows. Received: 4"),
    ],
)
def test_bad_rows(x, error, message):
    with pytest.raises(error, match=message):
        checks.check_rows(x, row_shape=(3,) if x.shape != (3, 0) else None, n_min=5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("row", [0, 4095, 4096, 9999])
def test_first_row_that_is_not_finite_is_named(row, value):
    x = np.zeros((10_000, 2))
    x[row:, 1] = value
    with pytest.raises(ValueError, match=re.escape(f"Received: {value} in row {row}. ")):
        checks.check_rows(x)


def test_rows_of_any_size_where_the_shape_says_none():
    assert checks.check_rows(np.zeros((2, 5, 3)), row_shape=(None, 3)).shape == (2, 5, 3)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1], r"one label for each of the 3 rows of x. Received: y of shape \(2,\)"),
        ([0, np.nan, 1], "label for every row. Received: nan in row 1"),
        (np.array(["a", "b", None], object), "label for every row. Received: None in row 2"),
        (np.array(["a", 1, 2], object), "labels that can be compared"),
    ],
)
def test_bad_labels(y, message):
    with pytest.raises(ValueError, match=message):
        check_labels(y, 3)


@pytest.mark.parametrize("y", [[0, 1, 2], ["a", "b", "a"], [0.5, 1, 2], [True, False, True]])
def test_labels_of_any_kind(y):
    assert check_labels(y, 3).tolist() == y
    assert check_labels(None, 3) is None


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", None, True])
def test_counts(value):
    with pytest.raises(ValueError, match=f"batch_size should be .* Received: batch_size={value!r}"):
        checks.check_count("batch_size", value)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 24, 25])
def test_batches_are_full_and_each_pass_sees_every_row_once(n):
    batch_size = min(8, n)
    rows = np.concatenate(take(2 * n, n, batch_size, seed=3))
    assert len(rows) == 2 * n * batch_size
    for epoch in rows.reshape(-1, n):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(n))


def test_passes_differ_and_seeds_differ():
    first, second = take(2, 50, 50, seed=3)
    other = take(1, 50, 50, seed=4)[0]
    assert (first != second).any()
    assert (first != other).any()
    np.testing.assert_array_equal(first, take(1, 50, 50, seed=3)[0])


@pytest.mark.parametrize("start", [1, 5, 12, 100])
def test_batches_go_on_from_anywhere(start):
    whole = take(start + 5, 50, 12, seed=1)
    for expected, got in zip(whole[start:], take(5, 50, 12, seed=1, start=start), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_global_generators_are_left_alone():
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    take(3, 50, 12, seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("n", [1, 9, 10, 11, 20])
def test_rows_in_order(n):
    x = np.arange(2 * n, dtype="uint8").reshape(n, 2)
    rows = batching.OrderedBatches(x, batch_size=10)
    batches = [rows[i][0] for i in range(len(rows))]
    np.testing.assert_array_equal(np.concatenate(batches), x)
    assert all(0 < len(batch) <= 10 and batch.dtype == keras.config.floatx() for batch in batches)


@pytest.mark.parametrize(
    ("n_values", "expected"), [(784, 4096), (10, 4096), (224 * 224 * 3, 32), (4096, 1024), (0, 4096)]
)
def test_batches_for_prediction_suit_the_row(n_values, expected):
    assert row_views.predict_batch_size(n_values) == expected


def test_fingerprint_tells_data_sets_apart():
    x = np.random.default_rng(0).normal(size=(1000, 3))
    assert row_views.fingerprint(x) == row_views.fingerprint(x.astype("float32"))
    changed = x.copy()
    changed[501, 1] += 1
    assert row_views.fingerprint(x) != row_views.fingerprint(changed)
    assert row_views.fingerprint(x)["n_samples"] != row_views.fingerprint(x[:999])["n_samples"]
    reverse = row_views.fingerprint(x[::-1])
    assert reverse["checksum"] == row_views.fingerprint(x)["checksum"]
    assert reverse["order"] != row_views.fingerprint(x)["order"]


def test_view_of_sparse_rows():
    dense = np.array([[0, 2.5], [1, 0], [0, 0]])
    view = checks.check_rows(sparse.coo_array(dense))
    assert (len(view), view.shape, view.ndim, view.dtype) == (3, (3, 2), 2, np.float32)
    for index in slice(1, 3), np.array([2, 0]), slice(None, None, 2):
        np.testing.assert_array_equal(view[index], dense[index])
    np.testing.assert_array_equal(np.asarray(view), dense)
    assert checks.check_rows(view) is view


def test_a_view_of_a_view_reads_nothing():
    read = []
    view = row_views.View(np.arange(12.0).reshape(6, 2), lambda rows: read.append(len(rows)) or rows / 10)
    outer = row_views.View(view, lambda rows: rows + 1).take(np.array([4, 1]))
    assert not read
    np.testing.assert_allclose(outer[:1], [[1.8, 1.9]], rtol=1e-6)
    assert sum(read) == 1
    assert row_views.View(view).shape == (6, 2)


def test_view_changes_batches_as_they_are_read():
    x = np.arange(6, dtype="uint8").reshape(3, 2)
    read = []
    view = row_views.View(x, lambda rows: read.append(len(rows)) or rows / 10)
    assert not read
    np.testing.assert_allclose(batching.OrderedBatches(view, batch_size=2)[1][0], [[0.4, 0.5]], rtol=1e-6)
    assert read == [1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_value_in_sparse_rows(value):
    with pytest.raises(ValueError, match=f"finite numbers only. Received: {value} in row 1"):
        checks.check_rows(sparse.csr_matrix([[0, 1], [value, 0]]))


def test_sparse_rows_train_like_dense_ones(blobs):
    x = np.where(blobs[0] > 1, blobs[0], 0)
    found = []
    for rows in x, sparse.csr_array(x):
        encoder, decoder = deckeras.dense_autoencoder(8, units=(16, 2))
        deckeras.pretrain_autoencoder(encoder, decoder, rows, iterations=30, verbose=0)
        model = deckeras.DEC(encoder, 3)
        model.fit(rows, max_iterations=30, verbose=0)
        found.append([model.predict(rows, verbose=0), model.embed(rows, verbose=0)])
    for dense, other in zip(*found, strict=True):
        np.testing.assert_allclose(dense, other, atol=1e-5)
