import types

import numpy as np
import pandas
import pytest
from scipy import sparse

from deckeras import DeepEmbeddedClustering
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
    assert containers.as_rows(cells(matrix)) is matrix
    assert containers.as_rows(cells(None, isbacked=True, to_memory=lambda: cells(matrix))) is matrix
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
