import types
import warnings

import h5py
import keras
import numpy as np
import pandas
import pytest
from scipy import io, sparse

from deckeras import DeepEmbeddedClustering, files, recipes, sources
from deckeras.files import containers

X = np.random.default_rng(0).normal(size=(20, 3))
FRAME = pandas.DataFrame(X, columns=list("abc"))


def stand_in(module, name, **attributes):
    """An object that looks like one of a library that is not installed here."""
    return type(name, (types.SimpleNamespace,), {"__module__": module})(**attributes)


def cells(x, **options):
    index = pandas.Index([f"cell{n}" for n in range(20)])
    names = {"obs_names": index, "var_names": pandas.Index(list("abc")), "isbacked": False}
    return stand_in("anndata._core.anndata", "AnnData", X=x, **{**names, **options})


def test_anndata():
    frame = containers.as_rows(cells(X))
    assert list(frame) == list("abc")
    np.testing.assert_array_equal(frame, X)
    matrix = sparse.csr_matrix(X)
    for data in cells(matrix), cells(None, isbacked=True, to_memory=lambda: cells(matrix)):
        rows = containers.as_rows(data)
        assert rows.feature_names == list("abc")
        assert np.shares_memory(rows.data, matrix.data)
        assert containers.as_rows(rows) is rows
    with pytest.raises(ValueError, match="AnnData whose X is None"):
        containers.as_rows(cells(None))


def test_datasets_of_hugging_face():
    data = stand_in("datasets.arrow_dataset", "Dataset", to_pandas=lambda: FRAME)
    pandas.testing.assert_frame_equal(containers.as_rows(data), FRAME)
    data = stand_in("datasets.arrow_dataset", "Dataset", to_pandas=lambda: FRAME.assign(text="a"))
    with pytest.raises(ValueError, match=r"columns of numbers. Received: text, which .* X.select_columns"):
        containers.as_rows(data)
    splits = type("DatasetDict", (dict,), {"__module__": "datasets.dataset_dict"})(train=1, test=2)
    with pytest.raises(ValueError, match="the splits train, test"):
        containers.as_rows(splits)


def test_channels_first():
    images = np.random.default_rng(0).random((5, 3, 8, 6))
    with pytest.warns(UserWarning, match=r"\(5, 3, 8, 6\) is read as images"):
        moved = containers.as_rows(images)
    np.testing.assert_array_equal(moved, images.transpose(0, 2, 3, 1))
    assert containers.as_rows(moved) is moved


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    @property
    def num_batches(self):
        return len(self.x) // 5

    def __getitem__(self, number):
        return self.x[5 * number : 5 * number + 5]


def mapped(x, folder):
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r")


def in_hdf5(x, folder):
    file = h5py.File(folder / "x.h5", "w")  # The data set keeps it open.
    return file.create_dataset("x", data=x, chunks=(6, *x.shape[1:]))


def loader(x, folder):
    torch = pytest.importorskip("torch")
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(x)), batch_size=6)


FORMS = {
    "ndarray": lambda x, _: x,
    "Fortran order": lambda x, _: np.asfortranarray(x),
    "list of lists": lambda x, _: x.tolist(),
    "list of arrays": lambda x, _: list(x),
    "torch": lambda x, _: pytest.importorskip("torch").tensor(x),
    "tensor": lambda x, _: keras.ops.convert_to_tensor(x),
    "xarray": lambda x, _: pytest.importorskip("xarray").DataArray(x),
    "memmap": mapped,
    "h5py": in_hdf5,
    "PyDataset": lambda x, _: Batches(x),
    "DataLoader": loader,
}
# The shape of an image, and whether its channels are moved to the end.
LAYOUTS = {
    (3, 12, 12): True,
    (1, 12, 12): True,
    (2, 12, 12): True,
    (11, 12, 12): True,
    (3, 12, 9): True,
    (2, 12, 9): True,
    (12, 12, 3): False,
    (12, 12, 11): False,
    (12, 9, 2): False,
    (12, 12, 12): False,
    (3, 12, 4): False,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", LAYOUTS, ids=str)
def test_channels_are_last_in_every_container(form, shape, tmp_path):
    images = np.random.default_rng(0).integers(256, size=(20, *shape)).astype("float32")
    expected = images.transpose(0, 2, 3, 1) if LAYOUTS[shape] else images
    x = FORMS[form](images, tmp_path)
    estimator = DeepEmbeddedClustering(2)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        rows = estimator.prepare(x)
    moved = f"X of shape {images.shape} is read as images"
    assert sum(str(each.message).startswith(moved) for each in warned) == LAYOUTS[shape]
    assert estimator.recipe_.image_shape == expected.shape[1:]
    np.testing.assert_allclose(rows[:], DeepEmbeddedClustering(2).prepare(expected)[:], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*clusters came out", "ignore:Even though the `tf.config")
@pytest.mark.parametrize("form", ["list of arrays", "h5py"])
def test_predictions_move_the_channels_too(form, tmp_path, eagerly):
    images = np.random.default_rng(0).random((20, 3, 8, 8), "float32")
    recipe = recipes.get("images", units=(4, 2), n_init=1, init="kmeans", shift=0.0, rotation=0.0)
    options = {"recipe": recipe, "epochs": 1, "max_iter": 2, "random_state": 0}
    x = FORMS[form](images, tmp_path)
    with pytest.warns(UserWarning, match="read as images"):
        estimator = DeepEmbeddedClustering(2, **options).fit(x)
    for method in estimator.predict, estimator.transform, estimator.score:
        with pytest.warns(UserWarning, match="read as images") as warned:
            found = method(x)
        assert len(warned) == 1
        np.testing.assert_allclose(found, method(images.transpose(0, 2, 3, 1)), rtol=1e-4)


def test_images_of_a_source_are_moved_as_they_are_read(tmp_path):
    images = np.random.default_rng(0).random((20, 3, 8, 6))
    with pytest.warns(UserWarning, match="read as images"):
        moved = containers.as_rows(in_hdf5(images, tmp_path))
    assert isinstance(moved, sources.Blocks)
    assert (moved.shape, len(moved)) == ((20, 8, 6, 3), 20)
    np.testing.assert_array_equal(moved[[7, 3]], images.transpose(0, 2, 3, 1)[[7, 3]])
    assert containers.as_rows(moved) is moved


@pytest.mark.parametrize(
    ("shape", "right"), [((3, 8, 8), (8, 8, 3)), ((1, 8, 8), (8, 8, 1)), ([6, 8, 8], (8, 8, 6)), ((3, 8, 6), (8, 6, 3))]
)
def test_image_shape_with_channels_first(shape, right):
    images = np.random.default_rng(0).random((20, *shape))
    flat = images.reshape(20, -1)
    for options in {"image_shape": shape}, {"recipe": recipes.get("images", image_shape=tuple(shape))}:
        with pytest.raises(ValueError, match="looks like .channels, height, width.") as error:
            DeepEmbeddedClustering(2, **options).fit(flat)
        assert f"pass image_shape={right}." in str(error.value)
        assert f"numpy.moveaxis(numpy.reshape(X, (-1, {', '.join(map(str, shape))})), 1, 3)" in str(error.value)
    estimator = DeepEmbeddedClustering(2)
    estimator.prepare(np.moveaxis(np.reshape(flat, (-1, *shape)), 1, 3))  # as the message says
    assert estimator.recipe_.image_shape == right
    DeepEmbeddedClustering(2, image_shape=right).prepare(flat)


def series(kind):
    """(300, time, channels) series."""
    random = np.random.default_rng(0)
    time = random.integers(1, 4, (300, 1)) * np.linspace(0, 6, 100)
    acceleration = np.sin(time) + random.normal(scale=0.1, size=(300, 100))
    pressure = 1013 + 5 * np.cos(time) + random.normal(scale=0.5, size=(300, 100))
    walks = random.normal(size=(300, 100, 9)).cumsum(axis=1)
    return {
        "two units": np.stack([acceleration, pressure], axis=2),
        "noise in one": np.stack([random.normal(size=(300, 100)), pressure], axis=2),
        "one channel": acceleration[:, :, None],
        "nine channels": walks,
        "long": np.repeat(walks[:20, :, :2], 100, axis=1),
        "more channels than times": random.normal(size=(300, 10, 40)).cumsum(axis=1),
        "sensors that agree": random.normal(size=(300, 10, 1)).cumsum(axis=1) + random.normal(size=40) / 10,
        "white noise": random.normal(size=(300, 100, 2)),
        "word vectors": random.normal(size=(300, 20, 100)),
        "constant": np.ones((300, 2, 100)),
        "a table of one time": random.normal(size=(300, 1, 8)) * [1, 1, 1, 1, 1, 1, 1, 1e6],
    }[kind]


TRANSPOSED = ("two units", "noise in one", "one channel", "nine channels", "long")
IN_PLACE = ("more channels than times", "sensors that agree", "white noise", "word vectors", "constant")


@pytest.mark.parametrize("kind", TRANSPOSED)
@pytest.mark.parametrize("form", ["ndarray", "list of lists", "torch", "h5py", "DataLoader"])
def test_series_with_channels_first_are_warned_of(kind, form, tmp_path):
    x = np.ascontiguousarray(series(kind).transpose(0, 2, 1)[:60])
    _, channels, times = x.shape
    with pytest.warns(UserWarning, match=f"read as {channels} times of {times} channels") as warned:
        DeepEmbeddedClustering(3).prepare(FORMS[form](x, tmp_path))
    message = f"Pass numpy.moveaxis(X, 1, 2) if these are {channels} channels of {times} times."
    assert [str(each.message).endswith(message) for each in warned] == [True]
    estimator = DeepEmbeddedClustering(3)
    estimator.prepare(np.moveaxis(x, 1, 2))  # without a warning
    assert estimator.recipe_.series_shape == (times, channels)


def test_flat_series_with_channels_first():
    x = series("two units").transpose(0, 2, 1).reshape(300, -1)
    with pytest.warns(UserWarning, match=r"numpy.moveaxis\(numpy.reshape\(X, \(-1, 2, 100\)\), 1, 2\)"):
        DeepEmbeddedClustering(3, recipe=recipes.get("series", series_shape=(2, 100))).prepare(x)


@pytest.mark.parametrize("kind", [*TRANSPOSED, *IN_PLACE, "a table of one time"])
def test_series_in_the_right_layout_are_not_warned_of(kind):
    DeepEmbeddedClustering(3, recipe="series").prepare(series(kind))


@pytest.mark.parametrize("shape", [(12, 2), (2, 12), (1, 12)])
def test_series_of_noise_are_not_warned_of(shape):
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(50, *shape))
        DeepEmbeddedClustering(3).prepare(x)


@pytest.mark.parametrize(
    ("shape", "axis", "layout"),
    [
        ((8, 8, 30), 2, "(height, width, images)"),
        ((8, 8, 3, 30), 3, "(height, width, channels, images)"),
        ((8, 8, 5, 30), 3, "(height, width, channels, images)"),
        ((30, 8, 8), 0, None),
        ((8, 8, 6), 0, None),  # which may be 8 rows
        ((8, 12, 30), 0, None),
        ((25, 30), 0, None),
    ],
)
def test_matlab_files_with_rows_last(shape, axis, layout, tmp_path):
    values = np.random.default_rng(0).random(shape)
    io.savemat(tmp_path / "old.mat", {"x": values})
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:  # version 7.3
        file["x"] = values.T
    with open(tmp_path / "new.mat", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    for name in "old.mat", "new.mat":
        rows = files.read(tmp_path / name)
        np.testing.assert_array_equal(rows.x, np.moveaxis(values, axis, 0).reshape(rows.x.shape))
        assert len(rows.x) == shape[axis]
        notices = [notice for notice in rows.notices if "MATLAB writes" in notice]
        assert notices == ([f"shape {shape} is read as {layout}, as MATLAB writes images"] if layout else [])
    np.save(tmp_path / "x.npy", values)
    assert len(files.read(tmp_path / "x.npy").x) == (30 if shape == (8, 8, 3, 30) else shape[0])


def test_xarray():
    xarray = pytest.importorskip("xarray")
    data = xarray.Dataset({name: ("n", FRAME[name].to_numpy()) for name in FRAME})
    np.testing.assert_array_equal(containers.as_rows(data), X)
    with pytest.raises(ValueError, match="not columns of one table"):
        containers.as_rows(data.assign(d=("m", [1, 2])))


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:.*clusters came out")
def test_the_estimator_takes_them():
    options = {"epochs": 1, "max_iter": 2, "random_state": 0}
    expected = DeepEmbeddedClustering(2, **options).fit(FRAME)
    tables = [cells(X)]
    polars, xarray = (pytest.importorskip(name) for name in ("polars", "xarray"))
    tables += [polars.DataFrame({name: X[:, place] for place, name in enumerate("abc")})]
    tables += [xarray.DataArray(X, dims=("n", "f"))]
    for table in tables:
        found = DeepEmbeddedClustering(2, **options).fit(table)
        np.testing.assert_array_equal(found.labels_, expected.labels_)
        np.testing.assert_array_equal(found.predict(table), expected.labels_)
    assert DeepEmbeddedClustering(2, **options).fit(cells(X)).feature_names_in_.tolist() == list("abc")


def data_array(x, names):
    return pytest.importorskip("xarray").DataArray(x, dims=("cell", "gene"), coords={"gene": names})


def data_set(x, names):
    columns = {name: ("cell", x[:, place]) for place, name in enumerate(names)}
    return pytest.importorskip("xarray").Dataset(columns)


def hugging_face(x, names):
    frame = pandas.DataFrame(x, columns=names)
    return stand_in("datasets.arrow_dataset", "Dataset", to_pandas=lambda: frame)


NAMED = {
    "pandas": lambda x, names: pandas.DataFrame(x, columns=names),
    "pandas, sparse": lambda x, names: pandas.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(x), columns=names),
    "polars": lambda x, names: pytest.importorskip("polars").DataFrame(x, schema=names),
    "pyarrow": lambda x, names: pytest.importorskip("pyarrow").table(list(x.T), names=names),
    "datasets": hugging_face,
    "xarray.DataArray": data_array,
    "xarray.Dataset": data_set,
    "AnnData": lambda x, names: cells(x, var_names=pandas.Index(names)),
    "AnnData, CSR": lambda x, names: cells(sparse.csr_matrix(x), var_names=pandas.Index(names)),
    "AnnData, CSC array": lambda x, names: cells(sparse.csc_array(x), var_names=pandas.Index(names)),
}


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:.*clusters came out")
@pytest.mark.parametrize("form", NAMED)
def test_every_container_keeps_the_names_of_its_features(form):
    make = NAMED[form]
    options = {"epochs": 1, "max_iter": 2, "random_state": 0}
    estimator = DeepEmbeddedClustering(2, **options).fit(make(X, list("abc")))
    assert estimator.feature_names_in_.tolist() == list("abc")
    np.testing.assert_array_equal(estimator.predict(make(X, list("abc"))), estimator.labels_)
    for names, message in {"bac": "must be in the same order", "abd": "unseen at fit time:\n- d"}.items():
        for method in estimator.predict, estimator.transform, estimator.score, estimator.verdict:
            with pytest.raises(ValueError, match=message):
                method(make(X, list(names)))
    with pytest.raises(ValueError, match="now missing:\n- c"):
        estimator.predict(make(X[:, :2], list("ab")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.predict(X)
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        DeepEmbeddedClustering(2, **options).fit(sparse.csr_matrix(X)).predict(make(X, list("abc")))
    assert not hasattr(estimator.fit(X), "feature_names_in_")


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:.*clusters came out")
def test_coordinates_that_are_numbers_are_compared_too():
    estimator = DeepEmbeddedClustering(2, epochs=1, max_iter=2, random_state=0).fit(data_array(X, [400, 500, 600]))
    with pytest.raises(ValueError, match=r"in their order: \[400, 500, 600\]. Received: \[500, 400, 600\]"):
        estimator.predict(data_array(X, [500, 400, 600]))


def test_bad_values_of_sparse_cells():
    matrix = sparse.csr_matrix([[0.0, np.nan], [1, 2]])
    with pytest.raises(ValueError, match="finite numbers only. Received: nan in row 0"):
        DeepEmbeddedClustering(2).prepare(cells(matrix, var_names=pandas.Index(["a", "b"])))
