"""Arrays and typed tables of other programs are read correctly, or refused with advice."""

import contextlib
import dataclasses
import datetime
import json
import pathlib
import pickle

import h5py
import numpy as np
import pandas
import pytest
from scipy import io, sparse

from deckeras import _records, files
from deckeras.files import hdf5

X = np.random.default_rng(0).normal(size=(6, 4)).round(3)
Y = np.array([0, 1, 2, 0, 1, 2])
FRAME = pandas.DataFrame(X, columns=list("abcd"))


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cells(matrix=X, **columns):
    """Write an .h5ad file as its documentation lays it out."""
    with h5py.File("cells.h5ad", "w") as file:
        if sparse.issparse(matrix):
            group = file.create_group("X")
            group.attrs.update({"encoding-type": f"{matrix.format}_matrix", "shape": matrix.shape})
            for name in "data", "indices", "indptr":
                group[name] = getattr(matrix, name)
        else:
            file["X"] = matrix
        file["layers/counts"] = X * 2
        obs, var = file.create_group("obs"), file.create_group("var")
        obs.attrs.update({"_index": "barcode", "column-order": ["kind", "n"], "encoding-type": "dataframe"})
        obs["barcode"] = [f"cell{n}" for n in range(6)]
        obs["n"] = np.arange(6)
        obs["kind/codes"], obs["kind/categories"] = np.array([0, 1, -1, 0, 1, 0], "int8"), ["B", "T"]
        var.attrs.update({"_index": "gene", "column-order": np.array([], dtype=h5py.string_dtype())})
        var["gene"] = list("abcd")
    return "cells.h5ad"


def test_labels_of_any_form():
    for y in (Y[:, None], Y[None], Y.astype(str).astype("S"), Y.astype(float)):
        np.savez("data.npz", x=X, y=y)
        assert [int(float(label)) for label in files.read("data.npz", labels="y").labels] == Y.tolist()
    with h5py.File("data.h5", "w") as file:
        file["x"], file["y"] = X, ["köln", "bonn"] * 3
        file["s"] = np.array([b"a", b"b"] * 3)
    assert files.read("data.h5", key="x", labels="y").labels.tolist() == ["köln", "bonn"] * 3
    assert files.read("data.h5", key="x", labels="s").labels.tolist() == ["a", "b"] * 3
    np.savez("data.npz", x=X, y=[0, 1, np.nan, 1, 0, np.nan])
    rows = files.read("data.npz", labels="y")
    assert rows.labels.tolist() == [0, 1, None, 1, 0, None]
    assert "2 of 6 rows have no label; the scores are those of the others" in rows.notices
    for y in (np.eye(3)[Y], Y[:5], np.full(6, np.nan)):
        np.savez("data.npz", x=X, y=y)
        with pytest.raises(ValueError, match="array 'y' should hold"):
            files.read("data.npz", labels="y")


@pytest.mark.parametrize("version", ["5", "4"])
def test_matlab(version):
    values = {"features": X, "gnd": Y[:, None].astype(float)}
    io.savemat("data.mat", values, format=version)
    rows = files.read("data.mat", labels="gnd")
    np.testing.assert_array_equal(rows.x, X)
    assert rows.labels.tolist() == Y.tolist()
    with pytest.raises(ValueError, match="arrays features, gnd.*--key"):
        files.read("data.mat")
    if version == "5":
        io.savemat("cells.mat", {"x": X, "kind": np.array([["a"], ["b"]] * 3, object)})
        assert files.read("cells.mat", labels="kind").labels.tolist() == ["a", "b"] * 3
        io.savemat("data.mat", {"X": sparse.csc_matrix(X)})
        np.testing.assert_array_equal(files.read("data.mat").x.toarray(), X)
        io.savemat("data.mat", {"X": np.array([["a"]], object)})
        with pytest.raises(ValueError, match="real numbers"):
            files.read("data.mat")


@contextlib.contextmanager
def matlab_7_3():
    """Write data.mat as MATLAB 7.3 does: HDF5 after a header of 512 bytes, with the axes the other way round."""
    with h5py.File("data.mat", "w", userblock_size=512) as file:
        yield file
    raw = bytearray(pathlib.Path("data.mat").read_bytes())
    raw[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    pathlib.Path("data.mat").write_bytes(raw)


@pytest.mark.parametrize("matrix", [X * (X > 0), np.zeros((5, 3))], ids=["some", "none"])
def test_sparse_matlab_7_3(matrix):
    columns = sparse.csc_matrix(matrix)
    with matlab_7_3() as file:
        group = file.create_group("X")
        group.attrs["MATLAB_sparse"] = np.uint64(len(matrix))
        group["jc"] = columns.indptr.astype("uint64")
        if columns.nnz:
            group["data"], group["ir"] = columns.data, columns.indices.astype("uint64")
    np.testing.assert_array_equal(files.read("data.mat").x.toarray(), matrix)


def test_cells_of_matlab_7_3():
    words = [["cat", "horse"][label % 2] for label in Y]
    with matlab_7_3() as file:
        file["X"] = X.T
        names = file.create_dataset("names", (1, len(words)), h5py.ref_dtype)
        for number, word in enumerate(words):
            cell = file.create_dataset(f"#refs#/{number}", data=np.array([[ord(char)] for char in word], "uint16"))
            cell.attrs["MATLAB_class"] = np.bytes_("char")
            names[0, number] = cell.ref
    assert files.read("data.mat", labels="names").labels.tolist() == words


def test_structs_of_matlab():
    io.savemat("data.mat", {"s": {"X": X, "inner": {"y": Y}}})
    with pytest.raises(ValueError, match="has the arrays s/X, s/inner/y"):
        files.read("data.mat")
    rows = files.read("data.mat", key="s/X", labels="s/inner/y")
    np.testing.assert_array_equal(rows.x, X)
    assert rows.labels.tolist() == Y.tolist()


def test_images_of_matlab_come_last():
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), dtype="uint8")
    io.savemat("data.mat", {"X": np.moveaxis(images, 0, 3), "y": np.arange(12)})
    rows = files.read("data.mat", labels="y")
    np.testing.assert_array_equal(rows.x, images)
    assert any("(8, 8, 3, 12) is read as (height, width, channels, images)" in notice for notice in rows.notices)


@pytest.mark.parametrize("fill", [
    lambda file: file.create_dataset("x", data=h5py.Empty("f")),
    lambda file: file.__setitem__("x", h5py.SoftLink("/nowhere")),
    lambda file: file.__setitem__("x", h5py.ExternalLink("other.h5", "/x")),
    lambda file: file.create_group("x"),
], ids=["null", "dangling", "external", "group"])  # fmt: skip
def test_hdf5_without_an_array(fill):
    with h5py.File("data.h5", "w") as file:
        fill(file)
    with pytest.raises(ValueError, match=r"'data.h5' should hold an array\. Received:"):
        files.read("data.h5")


def test_matlab_7_3():
    with matlab_7_3() as file:
        file["X"], file["y"], file["#refs#/a"] = X.T, Y[None].astype(float), 0
    rows = files.read("data.mat", labels="y")
    np.testing.assert_array_equal(rows.x, X)
    assert rows.labels.tolist() == Y.tolist()


@pytest.mark.parametrize("matrix", [X, sparse.csr_matrix(X), sparse.csc_matrix(X)], ids=["dense", "csr", "csc"])
def test_cells(matrix):
    rows = files.read(cells(matrix), labels="kind")
    dense = rows.x.toarray() if sparse.issparse(rows.x) else rows.x
    np.testing.assert_array_equal(dense, X)
    assert (rows.features, rows.names[2]) == (list("abcd"), "cell2")
    assert rows.labels.tolist() == ["B", "T", None, "B", "T", "B"]
    np.testing.assert_array_equal(files.read("cells.h5ad", key="layers/counts").x, X * 2)
    with pytest.raises(ValueError, match="obs has no column 'type'. It has kind, n"):
        files.read("cells.h5ad", labels="type")
    with pytest.raises(ValueError, match="has no matrix 'raw'. It has X, layers/counts"):
        files.read("cells.h5ad", key="raw")
    assert "X is read, and not layers/counts (--key)" in files.read("cells.h5ad").notices
    assert files.read("cells.h5ad", key="layers/counts").notices == []


def test_cells_by_anndata():
    anndata = pytest.importorskip("anndata")
    obs = pandas.DataFrame({"kind": pandas.Categorical(["B", "T", None, "B", "T", "B"])}, index=list("uvwxyz"))
    data = anndata.AnnData(sparse.csr_matrix(X), obs=obs, var=pandas.DataFrame(index=list("abcd")))
    data.write_h5ad("cells.h5ad")
    rows = files.read("cells.h5ad", labels="kind")
    assert rows.labels.tolist() == ["B", "T", None, "B", "T", "B"]
    hdf5.write_observations("cells.h5ad", {"cluster": Y, "confidence": Y / 3}, X)
    back = anndata.read_h5ad("cells.h5ad")
    assert back.obs["cluster"].astype(int).tolist() == Y.tolist()
    np.testing.assert_array_equal(back.obsm["X_deckeras"], X)


def test_results_are_written_back():
    cells()
    hdf5.write_observations("cells.h5ad", {"cluster": Y, "confidence": Y / 3}, X)
    hdf5.write_observations("cells.h5ad", {"cluster": Y[::-1].copy()})
    rows = files.read("cells.h5ad", labels="cluster")
    assert rows.labels.tolist() == [str(label) for label in Y[::-1]]
    with h5py.File("cells.h5ad") as file:
        np.testing.assert_array_equal(file["obsm/X_deckeras"], X)
        assert file["obs"].attrs["column-order"].tolist() == ["kind", "n", "cluster", "confidence"]


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_sparse_groups(kind):
    matrix = sparse.csr_matrix(X).asformat(kind)
    with h5py.File("data.h5", "w") as file:
        for name in "data", "indices", "indptr":
            file[f"m/{name}"] = getattr(matrix, name)
        file["m/shape"], file["y"] = matrix.shape, Y
    rows = files.read("data.h5", labels="y")
    np.testing.assert_array_equal(rows.x.toarray(), X)
    with pytest.raises(ValueError, match="arrays m, y.*--key"):
        files.read("data.h5")


def _write_10x(path, x, genes, ids):
    """Write cells as Cell Ranger does, with the identifiers of the genes in the data set `ids`."""
    matrix = sparse.csc_matrix(x.T)  # a column a cell
    with h5py.File(path, "w") as file:
        for name in "data", "indices", "indptr":
            file[f"matrix/{name}"] = getattr(matrix, name)
        file["matrix/shape"], file["matrix/barcodes"] = matrix.shape, [f"c{n}" for n in range(6)]
        file[f"matrix/{ids}"] = genes
        file[f"matrix/{'features/name' if '/' in ids else 'gene_names'}"] = ["same"] * len(genes)


@pytest.mark.parametrize("ids", ["features/id", "genes"])
def test_genes_by_cells_of_10x(ids):
    _write_10x("data.h5", X, list("abcd"), ids)
    rows = files.read("data.h5")
    np.testing.assert_array_equal(rows.x.toarray(), X)
    assert rows.names.tolist() == [f"c{n}" for n in range(6)]
    assert rows.features == list("abcd")
    _write_10x("new.h5", np.hstack([X, X[:, :1]])[:, [4, 3, 1, 0, 2]], list("edbac"), ids)
    found = files.read_like("new.h5", rows.layout)
    np.testing.assert_array_equal(found.x.toarray(), X)
    assert found.features == list("abcd")
    assert 'left out, because the model does not have them: "e"' in found.notices
    _write_10x("new.h5", X, list("abce"), ids)
    with pytest.raises(ValueError, match="should have the features that the model was fitted to. It lacks .d"):
        files.read_like("new.h5", rows.layout)


@pytest.mark.parametrize("named", [True, False])
def test_new_rows_without_names_of_features_are_noticed(named):
    _write_10x("data.h5", X, list("abcd"), "features/id" if named else "other")
    layout = files.read("data.h5").layout
    np.save("new.npy", X)
    notices = files.read_like("new.npy", layout).notices
    told = 'the features have no names, and are read in the order of those of the fit: "a", "b", "c", "d"'
    assert (told in notices) == named


def test_10x_without_genes():
    for genes, ids in (list("abcd"), "other"), (list("abc"), "features/id"), (list("abcd"), "features/tag"):
        _write_10x("data.h5", X, genes, ids)
        rows = files.read("data.h5")
        np.testing.assert_array_equal(files.read_like("data.h5", rows.layout).x.toarray(), X)
        assert rows.features is None


def test_svmlight():
    from sklearn.datasets import dump_svmlight_file

    dump_svmlight_file(X, Y, "data.svm")
    rows = files.read("data.svm")
    np.testing.assert_allclose(rows.x.toarray(), X)
    assert rows.labels.tolist() == Y.tolist()
    assert "its label" in rows.notices[0]
    assert not any("qid" in notice for notice in rows.notices)


@pytest.mark.parametrize(("text", "n"), [("1 qid:3 1:.5\n2 qid:3 1:1\n2 qid:7 2:1\n", 2), ("1 1:.5\n2 qid:4 1:1\n", 1)])
def test_svmlight_with_queries(text, n):
    _write("data.svm", text.encode())
    rows = files.read("data.svm")
    assert rows.x.shape[0] == rows.labels.size == text.count("\n")
    [told] = [notice for notice in rows.notices if "qid" in notice]
    assert f" {n} of them" in told


@pytest.mark.parametrize(
    ("fit", "new", "expected"),
    [
        ("1 1:1 3:2\n2 2:1\n", "1 1:5\n1 2:6\n", [[5, 0, 0], [0, 6, 0]]),
        ("1 0:1 2:2\n2 1:1\n", "1 1:5\n1 2:6\n", [[0, 5, 0], [0, 0, 6]]),
        ("1 0:1 2:2\n2 1:1\n", "1\n1 0:6\n", [[0, 0, 0], [6, 0, 0]]),
        ("1 1:1 3:2\n2 2:1\n", "1 0:5\n", "columns from 1 to 3, as the earlier file. Received: 0"),
        ("1 1:1 3:2\n2 2:1\n", "1 4:5\n", "columns from 1 to 3, as the earlier file. Received: 4"),
        ("1 0:1 2:2\n2 1:1\n", "1 3:5\n", "columns from 0 to 2, as the earlier file. Received: 3"),
    ],
)
def test_new_rows_of_svmlight_have_the_columns_of_the_fit(fit, new, expected):
    layout = files.read(_write("fit.svm", fit.encode())).layout
    layout = files.Layout(**json.loads(json.dumps(dataclasses.asdict(layout))))
    _write("new.svm", new.encode())
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=f"'new.svm' should have {expected}"):
            files.read_like("new.svm", layout)
    else:
        np.testing.assert_array_equal(files.read_like("new.svm", layout).x.toarray(), expected)


def test_svmlight_with_the_layout_of_an_earlier_version():
    entries = dataclasses.asdict(files.Layout(kind="array"))
    assert _records._fits(entries, _records.LAYOUT)
    del entries["n_columns"], entries["zero_based"]
    assert _records._fits(entries, _records.LAYOUT)
    layout = files.Layout(**entries)
    x = files.read_like(_write("new.svm", b"1 1:5\n1 2:6\n"), layout).x
    np.testing.assert_array_equal(x.toarray(), [[5, 0], [0, 6]])


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia", "csr_array", "coo_array"])
def test_sparse_npz_of_any_form(kind):
    matrix = sparse.csr_matrix(np.where(X > 0, X, 0))
    written = getattr(sparse, kind)(matrix) if "array" in kind else matrix.asformat(kind)
    sparse.save_npz("data.npz", written)
    rows = files.read("data.npz")
    assert rows.x.format == "csr"
    np.testing.assert_array_equal(rows.x[2:4].toarray(), matrix[2:4].toarray())


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [("csr", "indices"), ("csr", "indptr"), ("csc", "indptr"), ("bsr", "indices"), ("coo", "row"), ("dia", "offsets")],
)
def test_sparse_npz_without_a_part(kind, lacking):
    sparse.save_npz("whole.npz", sparse.csr_matrix(X).asformat(kind))
    parts = dict(np.load("whole.npz"))
    del parts[lacking]
    np.savez("data.npz", **parts)
    with pytest.raises(ValueError, match="'data.npz' has the names of a sparse matrix"):
        files.read("data.npz")


def test_channels_first():
    images = np.random.default_rng(0).random((5, 3, 8, 6))
    np.save("x.npy", images)
    rows = files.read("x.npy")
    np.testing.assert_array_equal(rows.x, images.transpose(0, 2, 3, 1))
    assert rows.layout.image_shape == [8, 6, 3]
    assert "(images, channels, height, width)" in rows.notices[0]
    np.save("x.npy", np.zeros((5, 3, 8, 3)))
    assert files.read("x.npy").layout.image_shape == [3, 8, 3]


@pytest.mark.parametrize("extension", ["xlsx", "parquet", "feather", "jsonl", "arff"])
def test_typed_tables(extension):
    frame = FRAME.assign(name=list("uvwxyz"), kind=["r", "s", None, "r", "s", "r"], whole=[1, 0, 1, 1, 0, 1])
    name = f"data.{extension}"
    if extension == "xlsx":
        pytest.importorskip("openpyxl")
        frame.to_excel(name, index=False)
    elif extension == "jsonl":
        frame.to_json(name, orient="records", lines=True)
    elif extension == "arff":
        lines = [f"{','.join(map(str, row))}" for row in frame.fillna("?").to_numpy()]
        head = [f"@attribute {c} numeric" for c in "abcd"]
        head += ["@attribute name {u,v,w,x,y,z}", "@attribute kind {r,s}", "@attribute whole numeric", "@data"]
        pathlib.Path(name).write_text("\n".join(["@relation r", *head, *lines]))
    else:
        pytest.importorskip("pyarrow")
        getattr(frame, f"to_{extension}")(name)
    rows = files.read(name, names="name", labels="kind")
    np.testing.assert_allclose(rows.x, frame[[*"abcd", "whole"]])
    assert rows.names.tolist() == list("uvwxyz")
    assert rows.labels.tolist() == ["r", "s", None, "r", "s", "r"]
    layout = files.Layout(**json.loads(json.dumps(dataclasses.asdict(rows.layout))))
    np.testing.assert_allclose(files.read_like(name, layout).x, rows.x)


def test_columns_of_odd_types():
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(
        {
            "nullable": pandas.array([1, 2, 3], dtype="Int64"),
            "truth": pandas.array([True, False, True], dtype="boolean"),
            "bool": [True, False, False],
            "float32": np.array([0.5, 1, 2], "float32"),
            "category": pandas.Categorical(["1,5", "2,5", "3,5"]),
        }
    )
    frame.to_parquet("data.parquet")
    np.testing.assert_array_equal(
        files.read("data.parquet").x, [[1, 1, 1, 0.5, 1.5], [2, 0, 0, 1, 2.5], [3, 1, 0, 2, 3.5]]
    )
    frame["when"] = [datetime.datetime(2021, 1, day) for day in (1, 2, 5)]
    frame["emb"] = [[1, 2], [3], None]
    frame["missing"] = pandas.array([1, None, 3], dtype="Int64")
    frame.to_parquet("data.parquet")
    with pytest.raises(ValueError, match='column "when" holds dates') as error:
        files.read("data.parquet")
    assert '- column "emb" holds a list in a row: --drop "emb"' in str(error.value)
    assert '- values are missing in "missing" (1)' in str(error.value)
    pathlib.Path("data.jsonl").write_text('{"a": 1, "b": {"c": 2}}\n{"a": 2, "b": {"c": 3}}\n')
    with pytest.raises(ValueError, match='column "b" holds a dict in a row'):
        files.read("data.jsonl")


def test_workbooks_as_people_keep_them():
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Messung"
    for line in [["Report of 2023"], [], ["a", "b", None, "c"], *([x, "1,5", None, 3] for x in (1, 2, 4))]:
        sheet.append(line)
    book.create_sheet("empty")
    book.save("data.xlsx")
    rows = files.read("data.xlsx")
    np.testing.assert_array_equal(rows.x, [[1, 1.5, 3], [2, 1.5, 3], [4, 1.5, 3]])
    assert 'the line "Report of 2023" above the table is left out' in rows.notices
    assert 'decimal commas in "b"' in rows.notices
    book.create_sheet("other").append([1, 2])
    book.save("data.xlsx")
    with pytest.raises(ValueError, match="'Messung', 'other'.*--key"):
        files.read("data.xlsx")
    assert files.read("data.xlsx", key="Messung").x.shape == (3, 3)
    with pytest.raises(ValueError, match="has no sheet 'x'"):
        files.read("data.xlsx", key="x")
    with pytest.raises(ValueError, match="--sep does not apply to a table"):
        files.read("data.xlsx", sep=";")


def _write(name, content):
    pathlib.Path(name).write_bytes(content)
    return name


def _torn(name, size=700):
    with h5py.File(name, "w") as file:
        file["x"] = np.zeros((50, 50))
    return _write(name, pathlib.Path(name).read_bytes()[:size])


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: _torn("x.h5"), {}, "'x.h5' is truncated or not an HDF5 file"),
        (lambda: _torn("x.h5ad"), {}, "'x.h5ad' is truncated or not an HDF5 file"),
        (lambda: _write("x.h5", b"no"), {}, "is truncated or not an HDF5 file"),
        (lambda: _write("x.mat", b"no"), {}, "truncated or not a valid .mat"),
        (lambda: _write("x.parquet", b"no"), {}, "damaged or not a .parquet"),
        (lambda: _write("x.feather", b"no"), {}, "damaged or not a .feather"),
        (lambda: _write("x.arff", b"no"), {}, "damaged or not a .arff"),
        (lambda: _write("x.jsonl", b"no"), {}, "damaged or not a .jsonl"),
        (lambda: _write("x.xlsx", b"no"), {}, "not a workbook"),
        (lambda: _write("x.svm", b"a b c"), {}, "svmlight"),
        (lambda: _write("x.pkl", pickle.dumps(1)), {}, "runs code"),
        (lambda: np.save("x.npy", np.array([{}])) or "x.npy", {}, "a pickle runs"),
        (lambda: np.save("x.npy", X.astype(complex)) or "x.npy", {}, "real numbers. Received: complex"),
        (lambda: sparse.save_npz("x.npz", sparse.csr_matrix(X * 1j)) or "x.npz", {}, "real numbers. Received: complex"),
        (lambda: np.savez("x.npz", format="csr", shape=(2, 2), data=[1.0]) or "x.npz", {}, "not its parts"),
        (lambda: np.save("x.npy", np.array(["a", "b"])) or "x.npy", {}, "real numbers. Received: values of dtype"),
        (lambda: np.save("x.npy", np.where(X[3, 2] == X, np.nan, X)) or "x.npy", {}, "nan in row 3, column 2"),
        (lambda: np.save("x.npy", np.where(X[3, 2] == X, np.inf, X)) or "x.npy", {}, "inf in row 3, column 2"),
        (lambda: np.save("x.npy", X[:0]) or "x.npy", {}, "should hold rows"),
        (lambda: np.save("x.npy", np.zeros(2, [("a", int)])) or "x.npy", {}, "a table of fields"),
        (lambda: np.save("x.npy", X) or "x.npy", {"missing": "median"}, "--missing does not apply to an array"),
        (lambda: np.save("x.npy", X) or "x.npy", {"sep": ";", "drop": ["a"]}, "--drop, --sep does not apply"),
        (lambda: np.save("x.npy", X) or "x.npy", {"folder_labels": True}, "--folder-labels does not apply"),
        (lambda: np.save("x.npy", X) or "x.npy", {"image_shape": (3, 3)}, "as many pixels"),
    ],
)
def test_no_arrays(make, options, message):
    name = make()
    with pytest.raises(ValueError, match=message) as error:
        files.read(name, **options)
    assert name in str(error.value)


def test_cells_with_gaps_are_named_by_their_genes():
    broken = X.copy()
    broken[4, 1] = np.nan
    with pytest.raises(ValueError, match="nan in row 4, column b"):
        files.read(cells(sparse.csr_matrix(broken)))
    with pytest.raises(ValueError, match="nan in row 4, column b"):
        files.read(cells(broken))


@pytest.mark.parametrize("group", ["obs", "var"])
def test_cells_whose_index_names_nothing(group):
    name = cells()
    with h5py.File(name, "r+") as file:
        file[group].attrs["_index"] = "nothing"
    with pytest.raises(ValueError, match=f"'cells.h5ad' should have the column 'nothing' in '/{group}'"):
        files.read(name)


def test_square_sparse_groups_must_say_how_they_are_compressed():
    with h5py.File("data.h5", "w") as file:
        matrix = sparse.csr_matrix(np.eye(3))
        for name in "data", "indices", "indptr":
            file[f"m/{name}"] = getattr(matrix, name)
        file["m/shape"] = matrix.shape
    with pytest.raises(ValueError, match='Set the attribute "encoding-type"'):
        files.read("data.h5")


def write_cells(path, genes, rows):
    with h5py.File(path, "w") as file:
        file["X"] = rows
        for name, index in ("obs", [f"c{row}" for row in range(len(rows))]), ("var", genes):
            group = file.create_group(name)
            group.attrs.update({"_index": "_index", "column-order": []})
            group["_index"] = index
    return path


@pytest.mark.parametrize(
    ("genes", "expected", "told"),
    [
        ("abc", [0, 1, 2], None),
        ("cba", [2, 1, 0], None),
        ("bdac", [2, 0, 3], 'left out, because the model does not have them: "d"'),
        ("abd", None, 'lacks "c"'),
        ("ab", None, 'lacks "c"'),
        ("abca", None, "some names twice"),
    ],
)
def test_genes_of_new_cells_are_found_by_name(genes, expected, told, tmp_path):
    layout = files.read(write_cells(tmp_path / "old.h5ad", list("abc"), np.ones((2, 3)))).layout
    new = write_cells(tmp_path / "new.h5ad", list(genes), np.arange(2.0 * len(genes)).reshape(2, -1))
    if expected is None:
        with pytest.raises(ValueError, match=rf"should have the features that the model was fitted to.*{told}"):
            files.read_like(new, layout)
        return
    rows = files.read_like(new, layout)
    assert rows.features == ["a", "b", "c"]
    assert rows.x[0].tolist() == expected
    assert rows.notices == ([told] if told else [])


@pytest.mark.parametrize(
    ("old", "new", "options", "taken"),
    [
        ((4, 6), (3, 6), {}, True),
        ((4, 6), (3, 5), {}, False),
        ((4, 6), (3, 2, 3), {}, False),
        ((4, 6), (3, 2, 3), {"image_shape": (2, 3)}, True),
        ((4, 6), (3, 3, 2), {"image_shape": (2, 3)}, False),
        ((4, 2, 3), (3, 2, 3), {}, True),
        ((4, 2, 3), (3, 3, 2), {}, False),
        ((4, 2, 3), (3, 2, 4), {}, False),
    ],
)
def test_new_rows_have_the_shape_of_the_earlier_ones(old, new, options, taken, tmp_path):
    np.save(tmp_path / "old.npy", np.zeros(old))
    np.save(tmp_path / "new.npy", np.zeros(new))
    layout = files.read(tmp_path / "old.npy", **options).layout
    if taken:
        assert files.read_like(tmp_path / "new.npy", layout).x.shape == new
        return
    with pytest.raises(ValueError, match=r"should hold (rows|images) of shape .*Received"):
        files.read_like(tmp_path / "new.npy", layout)
