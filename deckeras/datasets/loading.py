"""Load the data sets of the DEC papers, from a public loader or a local file, and small ones.

Scaling: pixels and pen positions are divided by their largest possible value, so that they are in [0, 1], as in
DEC-keras. Rows of text are scaled so that ||x_i||^2 / n_features = 1, as in the paper and DEC-keras. The features of
tables have mean 0 and variance 1.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterator

import h5py
import keras
import numpy as np
import numpy.typing as npt

from deckeras._typing import Array, Path
from deckeras.datasets import generated

IMAGE_SHAPES = {
    "digits": (8, 8),
    "glyphs": generated.GLYPH_SHAPE,
    "mnist": (28, 28),
    "fashion_mnist": (28, 28),
    "usps": (16, 16),
}


def load(name: str, path: Path | None = None) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Load a data set. Training and test rows are joined, because clustering is scored on all rows.

    | name | rows x features | classes | without `path` | `path` |
    |---|---|---|---|---|
    | `digits` | 1,797 x 64 | 10 | part of scikit-learn | - |
    | `mnist`, `fashion_mnist` | 70,000 x 784 | 10 | `keras.datasets` | `.npz` with x_train, y_train, x_test, y_test |
    | `usps` | 9,298 x 256 | 10 | - | `.h5` with train/data, train/target, test/..., or the folder of both `.jf` |
    | `pendigits` | 10,992 x 16 | 10 | OpenML | the folder of `pendigits.tra` and `pendigits.tes` |
    | `reuters10k` | 10,000 x 2,000 | 4 | `fetch_rcv1` of scikit-learn | `.npz` with x and y |
    | `stl10` | 13,000 x 4,096 | 10 | - | `.npz` with x and y, or the folder of the `.bin` files |
    | `iris`, `wine` | 150 x 4, 178 x 13 | 3 | part of scikit-learn | - |
    | `breast_cancer` | 569 x 30 | 2 | part of scikit-learn | - |
    | `glyphs`, `warped` | 6,000 x 784, 4,300 x 60 | 12, 6 | generated: see `deckeras.datasets.generated` | - |

    `reuters10k` follows DEC-keras: the first 10,000 documents of the corpus' test part with exactly one of the four
    root topics, and the tf-idf of the 2,000 most frequent terms (by document frequency, because scikit-learn's copy
    of RCV1 has no counts). `stl10` from the `.bin` files yields the outputs of the first dense layer of VGG16, whose
    weights Keras downloads; each feature is then divided by its largest value.

    Args:
        name: str, one of the names above.
        path: str or path, default None: the data set is downloaded, if possible.

    Returns:
        (x, y): x (n, n_features) float32, y (n,) int64 from 0 to n_classes - 1.

    Raises:
        ValueError: an unknown name, or a file with a different layout.
        OSError: the file is missing, or the download failed.

    Example:
        >>> from deckeras import datasets
        >>> x, y = datasets.load("digits")
        >>> x.shape, x.dtype, y[:3]
        ((1797, 64), dtype('float32'), array([0, 1, 2]))
    """
    if name not in NAMES:
        raise ValueError(f"name should be one of {', '.join(NAMES)}. Received: name={name!r}")
    if path is not None and not os.path.exists(path):
        raise FileNotFoundError(f"There is no file or folder {os.fspath(path)!r} to read {name} from.")
    if name in _LOCAL:
        if path is not None:
            raise ValueError(f"{name} needs no file and takes no path. Received: path={path!r}")
        x, y = _LOCAL[name]()
    else:
        x, y = _LOADERS[name](path)
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(f"{name} should have a label for each row. Received: {len(x)} rows, {len(y)} labels")
    return np.ascontiguousarray(x, dtype="float32"), np.asarray(y).astype("int64")


def imbalanced(x: Array, y: Array, r_min: float, *, seed: int | None = 0) -> tuple[Array, Array]:
    """Sample rows so that classes are imbalanced: a fraction `r_min` of the first class, up to all of the last.

    The fraction increases linearly from class to class. Rows are drawn independently, as in the paper, so the sizes
    vary a little with the seed.

    Args:
        x: (n, ...) array.
        y: (n,) labels.
        r_min: float in (0, 1].
        seed: int, default 0. Seeds the draw.

    Returns:
        (x, y) of the drawn rows, in their original order.

    Raises:
        ValueError: `r_min` is out of range, or x and y have different lengths.

    Example:
        >>> import numpy as np
        >>> from deckeras import datasets
        >>> x, y = datasets.imbalanced(np.zeros((3000, 1)), np.repeat([0, 1, 2], 1000), r_min=0.1)
        >>> np.bincount(y)
        array([  89,  574, 1000])

    Source: Xie, Girshick and Farhadi, ICML 2016, section 5.4.
    """
    if not 0 < r_min <= 1:
        raise ValueError(f"r_min should be above 0 and at most 1. Received: r_min={r_min!r}")
    if len(x) != len(y):
        raise ValueError(f"There should be a label for each row. Received: {len(x)} rows, {len(y)} labels")
    classes, codes = np.unique(y, return_inverse=True)
    rates = np.linspace(r_min, 1, len(classes)) if len(classes) > 1 else np.ones(1)
    kept = np.random.default_rng(seed).random(len(codes)) < rates[codes]
    return x[kept], y[kept]


def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x / 16, y


def _scikit_learn_table(name: str) -> Callable[[], tuple[Array, Array]]:
    def loader():
        import sklearn.datasets
        from sklearn.preprocessing import scale

        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        return scale(x), y

    return loader


def _keras_images(name: str, address: str) -> Callable[[Path | None], tuple[Array, Array]]:
    def loader(path):
        if path is None:
            with _downloading(name, f"{address} and pass the path of the .npz file"):
                (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
        else:
            x_train, y_train, x_test, y_test = _read_npz(path, "x_train", "y_train", "x_test", "y_test")
        x = np.concatenate([x_train, x_test])
        return x.reshape(len(x), -1) / np.float32(255), np.concatenate([y_train, y_test])

    return loader


def _usps(path: Path | None) -> tuple[Array, Array]:
    if path is None:
        raise FileNotFoundError(
            "usps has no public loader. Get usps.h5 (Kaggle, bistaumanga/usps-dataset), or usps_train.jf and "
            "usps_test.jf (as DEC-keras uses them), and pass path=FILE.h5 or the folder of the .jf files."
        )
    if os.path.isdir(path):
        rows = np.concatenate([_read_jf(os.path.join(path, f"usps_{part}.jf")) for part in ("train", "test")])
        return rows[:, 1:] / 2, rows[:, 0]
    try:
        with h5py.File(path, "r") as file:
            parts = [(file[part]["data"][()], file[part]["target"][()]) for part in ("train", "test")]
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} should be an .h5 file with train/data, train/target and the same for test. {error}"
        ) from error
    x, y = (np.concatenate(pair) for pair in zip(*parts, strict=True))
    return x.reshape(len(x), -1), y


def _read_jf(path: str) -> Array:
    """Read rows that consist of a label and 256 values from 0 to 2. The first and the last line are not rows."""
    with open(path) as file:
        rows = [line.split() for line in file]
    rows = np.array([row for row in rows if len(row) == 257], dtype="float32")
    if not len(rows):
        raise ValueError(f"{path!r} should have lines of a label and 256 values. Received: no such lines")
    return rows


def _pendigits(path: Path | None) -> tuple[Array, Array]:
    if path is None:
        from sklearn.datasets import fetch_openml

        with _downloading(
            "pendigits",
            "pendigits.tra and pendigits.tes from the UCI repository (archive.ics.uci.edu, data set 81) and pass the "
            "path of their folder",
        ):
            x, y = fetch_openml("pendigits", version=1, return_X_y=True, as_frame=False)
        return x / 100, y.astype(int)
    parts = [np.loadtxt(os.path.join(path, f"pendigits.{part}"), delimiter=",", ndmin=2) for part in ("tra", "tes")]
    rows = np.concatenate(parts)
    if rows.shape[1] != 17:
        raise ValueError(f"pendigits should have rows of 16 values and a label. Received: {rows.shape[1]} columns")
    return rows[:, :16] / 100, rows[:, 16]


def _reuters10k(path: Path | None) -> tuple[Array, Array]:
    if path is not None:
        x, y = _read_npz(path, "x", "y")
        return _unit_mean_square(x), y
    from sklearn.datasets import fetch_rcv1

    with _downloading(
        "reuters10k",
        "RCV1 by sklearn.datasets.fetch_rcv1 on a machine with a network, save x and y as .npz and pass its path",
    ):
        corpus = fetch_rcv1(subset="test")
    names = list(corpus.target_names)
    topics = corpus.target[:, [names.index(root) for root in ("CCAT", "GCAT", "MCAT", "ECAT")]].toarray()
    single = np.flatnonzero(topics.sum(axis=1) == 1)
    terms = np.sort(np.argsort(-corpus.data.getnnz(axis=0), kind="stable")[:2000])
    documents = single[:10_000]
    return _unit_mean_square(corpus.data[documents][:, terms].toarray()), topics[documents].argmax(axis=1)


def _unit_mean_square(x: Array) -> Array:
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms == 0, 1, norms) * np.sqrt(x.shape[1])


def _stl10(path: Path | None) -> tuple[Array, Array]:
    if path is None:
        raise FileNotFoundError(
            "stl10 has no public loader. Get stl10_binary.tar.gz from cs.stanford.edu/~acoates/stl10, unpack it and "
            "pass the path of the folder of .bin files, or save features x and labels y as .npz and pass its path."
        )
    if not os.path.isdir(path):
        x, y = _read_npz(path, "x", "y")
        return x, y
    images, labels = [], []
    for part in "train", "test":
        pixels = np.fromfile(os.path.join(path, f"{part}_X.bin"), dtype="uint8")
        images.append(pixels.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1))
        labels.append(np.fromfile(os.path.join(path, f"{part}_y.bin"), dtype="uint8"))
    features = _vgg16_features(np.concatenate(images))
    return features / np.maximum(features.max(axis=0), 1e-6), np.concatenate(labels).astype(int) - 1


def _vgg16_features(images: Array) -> Array:
    with _downloading("the weights of VGG16", "features of your own, save x and y as .npz, and pass its path"):
        vgg16 = keras.applications.VGG16(weights="imagenet")
    inputs = keras.Input(images.shape[1:])
    resized = keras.layers.Resizing(224, 224)(inputs)
    features = keras.Model(vgg16.inputs, vgg16.get_layer("fc1").output)
    outputs = features(keras.applications.vgg16.preprocess_input(resized))
    return keras.Model(inputs, outputs).predict(images, batch_size=32)


def _read_npz(path: Path, *names: str) -> list[Array]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{os.fspath(path)!r} should be an .npz file with the arrays {', '.join(names)}. {error}"
        ) from error


@contextlib.contextmanager
def _downloading(name: str, remedy: str) -> Iterator[None]:
    """Turn any error during a download into an OSError that says how to do without the download."""
    try:
        yield
    except Exception as error:
        raise OSError(f"Could not download {name}: {error}. Get {remedy}.") from error


_LOCAL = {
    "digits": _digits,
    "iris": _scikit_learn_table("iris"),
    "wine": _scikit_learn_table("wine"),
    "breast_cancer": _scikit_learn_table("breast_cancer"),
    "glyphs": generated.glyphs,
    "warped": generated.warped,
}
_LOADERS = {
    "mnist": _keras_images("mnist", "mnist.npz on a machine with a network (keras.datasets.mnist has its address)"),
    "fashion_mnist": _keras_images(
        "fashion_mnist",
        "the arrays of keras.datasets.fashion_mnist on a machine with a network, save them as x_train, y_train, x_test "
        "and y_test",
    ),
    "usps": _usps,
    "pendigits": _pendigits,
    "reuters10k": _reuters10k,
    "stl10": _stl10,
}
NAMES = (*_LOCAL, *_LOADERS)
