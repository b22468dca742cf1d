"""Each data set is read from a small file in its public layout, and a missing one is reported."""

import types

import h5py
import keras
import numpy as np
import pytest
import scipy.sparse
import sklearn.datasets
from sklearn.neighbors import KNeighborsClassifier

from deckeras import datasets


def check(x, y, shape, n_classes):
    assert x.shape == shape
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert y.shape == shape[:1]
    assert y.dtype == np.int64
    assert set(y) <= set(range(n_classes))


def test_digits_need_no_network():
    x, y = datasets.load("digits")
    check(x, y, (1797, 64), 10)
    assert (x.min(), x.max()) == (0, 1)
    np.testing.assert_array_equal(np.bincount(y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [
        ("iris", (150, 4), [50, 50, 50]),
        ("wine", (178, 13), [59, 71, 48]),
        ("breast_cancer", (569, 30), [212, 357]),
        ("warped", (4300, 60), [1500, 1000, 800, 500, 300, 200]),
    ],
)
def test_tables_are_standardized(name, shape, sizes):
    x, y = datasets.load(name)
    check(x, y, shape, len(sizes))
    np.testing.assert_array_equal(np.bincount(y), sizes)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=0), 1, rtol=1e-4)


def test_glyphs():
    """No image is empty or cut off, each differs, and its neighbour mostly shows the same letter."""
    x, y = datasets.load("glyphs")
    check(x, y, (6000, 784), 12)
    np.testing.assert_array_equal(np.bincount(y), np.full(12, 500))
    assert (x.min(), x.max()) == (0, 1)
    assert x.max(axis=1).min() > 0.5
    border = x.reshape(-1, 28, 28)[:, [0, -1]].mean()
    assert border < 0.02
    assert len(np.unique(x, axis=0)) == len(x)
    assert KNeighborsClassifier(1).fit(x[::2], y[::2]).score(x[1::2], y[1::2]) > 0.85
    again, _ = datasets.load("glyphs")
    np.testing.assert_array_equal(x, again)


@pytest.fixture
def images(tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        "x_train": random.integers(256, size=(6, 28, 28), dtype="uint8"),
        "y_train": np.arange(6, dtype="uint8"),
        "x_test": random.integers(256, size=(4, 28, 28), dtype="uint8"),
        "y_test": np.arange(4, dtype="uint8"),
    }
    np.savez(tmp_path / "images.npz", **arrays)
    return tmp_path / "images.npz", arrays


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_images_from_a_local_file(images, name):
    path, arrays = images
    x, y = datasets.load(name, path)
    check(x, y, (10, 784), 10)
    np.testing.assert_array_equal(y, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3])
    np.testing.assert_allclose(x[7], arrays["x_test"][1].ravel() / 255, rtol=1e-6)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_images_from_keras(images, name, monkeypatch):
    _, arrays = images
    parts = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: parts)
    check(*datasets.load(name), (10, 784), 10)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_failed_download_says_what_to_do(name, monkeypatch):
    def fail():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fail)
    with pytest.raises(OSError, match=f"Could not download {name}: URL fetch failure. Get .*"):
        datasets.load(name)


def test_usps_from_h5(tmp_path):
    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "usps.h5", "w") as file:
        for part, n in ("train", 7), ("test", 3):
            file[f"{part}/data"] = random.random((n, 256)).astype("float32")
            file[f"{part}/target"] = np.arange(n)
    x, y = datasets.load("usps", tmp_path / "usps.h5")
    check(x, y, (10, 256), 10)
    np.testing.assert_array_equal(y, [0, 1, 2, 3, 4, 5, 6, 0, 1, 2])


def test_usps_from_jf(tmp_path):
    random = np.random.default_rng(0)
    rows = [[label, *random.integers(0, 3, size=256)] for label in (6, 5, 4)]
    lines = [" ".join(map(str, row)) for row in rows]
    (tmp_path / "usps_train.jf").write_text("10 256\n" + "\n".join(lines[:2]) + "\n-1\n")
    (tmp_path / "usps_test.jf").write_text("10 256\n" + lines[2] + "\n-1\n")
    x, y = datasets.load("usps", tmp_path)
    check(x, y, (3, 256), 10)
    np.testing.assert_array_equal(y, [6, 5, 4])
    np.testing.assert_allclose(x[2] * 2, rows[2][1:])


def test_pendigits_from_a_folder(tmp_path):
    (tmp_path / "pendigits.tra").write_text(", ".join(["100"] * 16) + ", 8\n" + ", ".join(["50"] * 16) + ", 2\n")
    (tmp_path / "pendigits.tes").write_text(", ".join(["0"] * 16) + ", 1\n")
    x, y = datasets.load("pendigits", tmp_path)
    check(x, y, (3, 16), 10)
    np.testing.assert_array_equal(y, [8, 2, 1])
    np.testing.assert_array_equal(x[:, 0], [1, 0.5, 0])


def test_pendigits_from_openml(monkeypatch):
    rows = np.full((5, 16), 100.0), np.array(list("01234"))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda *args, **options: rows)
    x, y = datasets.load("pendigits")
    check(x, y, (5, 16), 10)
    assert x.max() == 1


def test_reuters_from_rcv1(monkeypatch):
    """Of four documents, one has two root topics and one has none of its own."""
    random = np.random.default_rng(0)
    topics = ["C11", "CCAT", "ECAT", "GCAT", "MCAT"]
    target = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 0, 0]])
    words = random.random((4, 2500)) * (random.random((4, 2500)) < 0.5)
    words[:, :1990] = 0.1  # in every document
    words[:, 1990:2400] *= words[:, 1990:2400] > 0
    corpus = types.SimpleNamespace(
        data=scipy.sparse.csr_matrix(words), target=scipy.sparse.csr_matrix(target), target_names=np.array(topics)
    )
    monkeypatch.setattr(sklearn.datasets, "fetch_rcv1", lambda subset: corpus)
    x, y = datasets.load("reuters10k")
    check(x, y, (3, 2000), 4)
    np.testing.assert_array_equal(y, [0, 2, 3])
    np.testing.assert_allclose((x**2).mean(axis=1), 1, rtol=1e-5)
    frequent = np.argsort(-(words > 0).sum(axis=0), kind="stable")[:2000]
    expected = words[[0, 2, 3]][:, np.sort(frequent)]
    np.testing.assert_allclose(x / x[:, :1], expected / expected[:, :1], rtol=1e-5)


def test_reuters_from_a_file(tmp_path):
    np.savez(tmp_path / "reuters.npz", x=np.eye(4, 6) * 3, y=np.arange(4))
    x, y = datasets.load("reuters10k", tmp_path / "reuters.npz")
    check(x, y, (4, 6), 4)
    np.testing.assert_allclose((x**2).mean(axis=1), 1, rtol=1e-6)


def test_stl10_from_features(tmp_path):
    np.savez(tmp_path / "stl10.npz", x=np.ones((4, 6)), y=np.arange(4))
    check(*datasets.load("stl10", tmp_path / "stl10.npz"), (4, 6), 10)


def test_stl10_from_images(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    pixels = random.integers(256, size=(3, 3, 96, 96), dtype="uint8")
    for part, chosen in ("train", slice(0, 2)), ("test", slice(2, 3)):
        pixels[chosen].tofile(tmp_path / f"{part}_X.bin")
        np.array([1, 10, 5], "uint8")[chosen].tofile(tmp_path / f"{part}_y.bin")
    seen = []
    monkeypatch.setattr(datasets.loading, "_vgg16_features", lambda images: seen.append(images) or np.eye(3, 4096) * 5)
    x, y = datasets.load("stl10", tmp_path)
    check(x, y, (3, 4096), 10)
    np.testing.assert_array_equal(y, [0, 9, 4])
    assert x.max() == 1
    # The files hold columns first: channel, column, row.
    np.testing.assert_array_equal(seen[0], pixels.transpose(0, 3, 2, 1))


@pytest.mark.parametrize("name", ["usps", "stl10"])
def test_what_has_no_loader_says_where_to_get_it(name):
    with pytest.raises(FileNotFoundError, match=rf"{name} .* Get .* pass"):
        datasets.load(name)


@pytest.mark.parametrize("name", ["pendigits", "reuters10k"])
def test_failed_scikit_learn_download(name, monkeypatch):
    def fail(*args, **options):
        raise OSError("no network")

    fetch = {"pendigits": "fetch_openml", "reuters10k": "fetch_rcv1"}[name]
    monkeypatch.setattr(sklearn.datasets, fetch, fail)
    with pytest.raises(OSError, match=f"Could not download {name}: no network. Get .*pass"):
        datasets.load(name)


def test_bad_names_and_files(tmp_path):
    with pytest.raises(ValueError, match="name should be one of digits, iris, .*, mnist, .* Received: name='MNIST'"):
        datasets.load("MNIST")
    with pytest.raises(FileNotFoundError, match="There is no file or folder .*none.npz' to read mnist from"):
        datasets.load("mnist", tmp_path / "none.npz")
    with pytest.raises(ValueError, match="digits needs no file and takes no path"):
        datasets.load("digits", tmp_path)
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(ValueError, match=r"should be an \.npz file with the arrays x_train, y_train, x_test, y_test"):
        datasets.load("mnist", tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match=r"should be an \.npz file"):
        datasets.load("mnist", tmp_path / "text.npz")
    with pytest.raises(ValueError, match="should be an .h5 file with train/data"):
        datasets.load("usps", tmp_path / "text.npz")
    (tmp_path / "usps_train.jf").write_text("10 256\n-1\n")
    with pytest.raises(ValueError, match="should have lines of a label and 256 values"):
        datasets.load("usps", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"pendigits\.tra"):
        datasets.load("pendigits", tmp_path)


def test_labels_of_another_length(tmp_path):
    np.savez(tmp_path / "stl10.npz", x=np.ones((4, 6)), y=np.arange(3))
    with pytest.raises(ValueError, match="stl10 should have a label for each row. Received: 4 rows, 3 labels"):
        datasets.load("stl10", tmp_path / "stl10.npz")


def test_imbalanced_keeps_the_rates_and_the_order():
    y = np.arange(40_000) % 4
    x = np.arange(40_000)[:, None]
    part, labels = datasets.imbalanced(x, y, 0.1)
    np.testing.assert_allclose(np.bincount(labels) / 10_000, [0.1, 0.4, 0.7, 1.0], atol=0.02)
    np.testing.assert_array_equal(part[:, 0] % 4, labels)
    assert (np.diff(part[:, 0]) > 0).all()
    np.testing.assert_array_equal(part, datasets.imbalanced(x, y, 0.1)[0])
    assert not np.array_equal(part, datasets.imbalanced(x, y, 0.1, seed=1)[0])
    assert len(datasets.imbalanced(x, y, 1.0)[0]) == len(x)
    assert len(datasets.imbalanced(x, np.zeros(40_000), 0.1)[0]) == len(x)


def test_imbalanced_refuses_bad_arguments():
    for rate in 0, 1.5, np.nan:
        with pytest.raises(ValueError, match="r_min should be above 0"):
            datasets.imbalanced(np.ones((3, 1)), [0, 1, 1], rate)
    with pytest.raises(ValueError, match="3 rows, 2 labels"):
        datasets.imbalanced(np.ones((3, 1)), [0, 1], 0.5)
