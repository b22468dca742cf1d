import dataclasses
import json

import h5py
import numpy as np
import pandas
import pytest
from PIL import Image
from scipy import sparse

from deckeras import files
from deckeras.files import class_labels

FRAME = pandas.DataFrame(
    {
        "car": list("ABCD"),
        "weight": [900.0, np.nan, 1500.0, 1200.0],
        "doors": [3, 5, 5, 3],
        "fuel": ["p", "d", "d", "p"],
    }
)


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text, name="data.csv", encoding="utf-8"):
    with open(name, "w", encoding=encoding) as file:
        file.write(text)
    return name


@pytest.mark.parametrize("extension", ["csv", "tsv", "parquet"])
def test_tables(extension):
    name = f"cars.{extension}"
    if extension == "parquet":
        pytest.importorskip("pyarrow")
        FRAME.to_parquet(name)
    else:
        FRAME.to_csv(name, index=False, sep="\t" if extension == "tsv" else ",")
    rows = files.read(name, names="car", labels="fuel", missing="median")
    assert rows.names.tolist() == list("ABCD")
    assert rows.features == ["weight", "doors"]
    assert rows.labels.tolist() == list("pddp")
    np.testing.assert_array_equal(rows.x, [[900, 3], [1200, 5], [1500, 5], [1200, 3]])


def test_categories_and_missing_rows():
    FRAME.to_csv("cars.csv", index=False)
    rows = files.read("cars.csv", drop=["car"], one_hot=["fuel"], missing="drop")
    assert rows.features == ["weight", "doors", "fuel=d", "fuel=p"]
    assert rows.names.tolist() == [0, 2, 3]  # the numbers of the rows in the file
    np.testing.assert_array_equal(rows.x[:, 2:], [[0, 1], [1, 0], [0, 1]])


def test_new_rows_are_made_like_the_others():
    """In another order of columns, and after the layout has been through JSON."""
    FRAME.to_csv("cars.csv", index=False)
    layout = files.read("cars.csv", names="car", one_hot=["fuel"], missing="median").layout
    layout = files.Layout(**json.loads(json.dumps(dataclasses.asdict(layout))))
    new = pandas.DataFrame({"fuel": ["d"], "extra": ["?"], "doors": [4], "weight": [np.nan], "car": ["Z"]})
    new.to_csv("new.csv", index=False)
    rows = files.read_like("new.csv", layout)
    assert rows.names.tolist() == ["Z"]
    np.testing.assert_array_equal(rows.x, [[1200, 4, 1, 0]])  # 1200 is the median of the others


@pytest.mark.parametrize(
    ("text", "options", "x"),
    [
        ("1,2\n3,4\n", {}, [[1, 2], [3, 4]]),  # no header
        ("1,,3\n4,5,6\n", {"missing": "median"}, [[1, 5, 3], [4, 5, 6]]),
        ("\ufeff1,2\n3,4\n", {}, [[1, 2], [3, 4]]),  # a byte order mark
        ("1,5;2\n3;4\n", {"decimal": ","}, [[1.5, 2], [3, 4]]),
        ("1,?,3\n4,5,6\n", {"na": ["?"], "missing": "drop"}, [[4, 5, 6]]),
        ("0,1\n7,8\n", {}, [[7, 8]]),  # the names that pandas gives
        (",0,1\n0,7,8\n", {}, [[7, 8]]),
        ("2019,2020\n7,8\n", {"header": True}, [[7, 8]]),
        ("a,2\n7,8\n", {"header": False, "drop": ["0"]}, [[2], [8]]),
        ("1,1\n3,4\n", {}, [[1, 1], [3, 4]]),
        ("a,b\n1,2\n3,4\n", {}, [[1, 2], [3, 4]]),
        ("a;b\n1,5;2\n3;4\n", {"decimal": ","}, [[1.5, 2], [3, 4]]),
        ("a,b\n1,-\n3,4\n5,6\n", {"na": ["-"], "missing": "median"}, [[1, 5], [3, 4], [5, 6]]),
        (",a\n7,1\n8,2\n", {}, [[1], [2]]),  # pandas' index
    ],
)
def test_text(text, options, x):
    rows = files.read(write(text), **options)
    np.testing.assert_array_equal(rows.x, x)
    if text.startswith(",a"):
        assert rows.names.tolist() == ["7", "8"]


def test_class_in_the_first_line_of_a_file_without_header():
    rows = files.read(write("5.1,3.5,rose\n4.9,3.0,lily\n"), labels="2")
    assert (rows.labels.tolist(), rows.layout.header, rows.x.shape) == (["rose", "lily"], False, (2, 2))
    write("5.1,?,x\n", "new.csv")
    with pytest.raises(ValueError, match="holds text"):
        files.read_like("new.csv", rows.layout)


def test_codes_stay_as_they_are_written():
    """Also where a column of them lacks a value, which makes floating-point numbers of the others."""
    rows = files.read(write("code,n\n007,1\n12,2\n"), one_hot=["code"])
    assert rows.features == ["n", "code=007", "code=12"]
    write("code,n\n12,1\n,2\n", "new.csv")
    layout = dataclasses.replace(rows.layout, medians={"n": 0.0})
    np.testing.assert_array_equal(files.read_like("new.csv", layout).x, [[1, 0, 1], [2, 0, 0]])


def test_encoding():
    write("größe\n1\n2\n", encoding="latin-1")
    with pytest.raises(ValueError, match="is not written in utf-8: .* --encoding"):
        files.read("data.csv")
    assert files.read("data.csv", encoding="latin-1").features == ["größe"]


def test_all_problems_are_told_at_once_with_the_way_out():
    FRAME.assign(note=["a", "b", "b", "c"], size=["1", "2", "?", "3"]).to_csv("cars.csv", index=False)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the lines are compared below
        files.read("cars.csv")
    lines = str(error.value).splitlines()
    assert lines[0] == "'cars.csv' cannot be clustered yet:"
    assert lines[1].startswith('- column "car" holds text, such as "A": --names "car" if these are the names')
    assert lines[2].startswith('- column "fuel" holds text, such as "p": --one-hot "fuel" to make its 2 values')
    assert '--labels "fuel"' in lines[2]
    assert lines[3].startswith('- column "note" holds text, such as "a": --one-hot "note"')
    assert (
        lines[4] == '- column "size" holds text in 1 of 4 rows, such as "?" (row 3): --na "?" '
        "if that means a missing value, else correct it"
    )
    assert lines[5].startswith('- values are missing in "weight" (1): --missing median to fill them')


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": ["wheels"]}, "There is no column 'wheels'. The columns are 'car', 'weight', 'doors', 'fuel'."),
        ({"labels": "class"}, "There is no column 'class'"),
        ({"missing": "zero"}, 'missing should be "median", "drop" or None'),
        ({"drop": list(FRAME)}, "should have rows and columns of numbers"),
    ],
)
def test_bad_options(options, message):
    FRAME.to_csv("cars.csv", index=False)
    with pytest.raises(ValueError, match=message):
        files.read("cars.csv", **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fuel": "gas"}, 'column "fuel" has "gas", which the model does not know. It knows .*d.*p'),
        ({"doors": "two"}, 'column "doors" holds text'),
        ({"doors": np.nan}, 'values are missing in "doors"'),
        ({"doors": None, "drop": "doors"}, "There is no column 'doors'"),
    ],
)
def test_new_rows_that_do_not_fit(change, message):
    FRAME.dropna().to_csv("cars.csv", index=False)
    layout = files.read("cars.csv", names="car", one_hot=["fuel"]).layout
    drop = change.pop("drop", None)
    new = FRAME.dropna().assign(**change)
    (new.drop(columns=drop) if drop else new).to_csv("new.csv", index=False)
    with pytest.raises(ValueError, match=message):
        files.read_like("new.csv", layout)


def test_npy_is_not_read_into_memory():
    np.save("x.npy", np.arange(6, dtype="uint8").reshape(3, 2))
    rows = files.read("x.npy")
    assert isinstance(rows.x, np.memmap)
    assert (rows.x.dtype, rows.names.tolist(), rows.features) == (np.uint8, [0, 1, 2], None)


def test_named_arrays():
    x, y = np.random.default_rng(0).random((4, 2)), np.array([0, 1, 1, 0])
    np.savez("data.npz", x=x, y=y)
    with h5py.File("data.h5", "w") as file:
        file["group/features"] = x
        file["group/y"] = y
    np.testing.assert_array_equal(files.read("data.npz", labels="y").labels, y)
    np.testing.assert_array_equal(files.read("data.h5", key="group/features", labels="group/y").labels, y)
    rows = files.read("data.h5", labels="group/y")
    np.testing.assert_array_equal(rows.x, x)
    np.testing.assert_array_equal(files.read_like("data.h5", rows.layout).x, x)
    with pytest.raises(ValueError, match="arrays group/features, group/y.*--key"):
        files.read("data.h5")
    with pytest.raises(ValueError, match="has no array 'z'. It has x, y"):
        files.read("data.npz", key="z")


def test_sparse_rows():
    matrix = sparse.random(5, 7, density=0.4, format="csr", random_state=0)
    sparse.save_npz("tfidf.npz", matrix)
    assert (files.read("tfidf.npz").x != matrix).nnz == 0


def test_stacks_of_images_say_their_shape():
    np.save("x.npy", np.zeros((3, 8, 6, 3), "uint8"))
    assert files.read("x.npy").layout.image_shape == [8, 6, 3]
    np.save("flat.npy", np.zeros((3, 48)))
    assert files.read("flat.npy", image_shape=(8, 6)).layout.image_shape == [8, 6]


@pytest.fixture
def photos(tmp_path):
    for folder, shade in ("dark", 40), ("light", 200):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number in range(2):
            color = (shade, shade // 2, 0)
            Image.new("RGB", (12, 8), color).save(tmp_path / "photos" / folder / f"{number}.png")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


def test_folder_of_images(photos):
    rows = files.read(photos, folder_labels=True)
    assert (rows.x.shape, rows.x.dtype, rows.layout.image_shape) == ((4, 8, 12), np.uint8, [8, 12])
    assert rows.names.tolist() == ["dark/0.png", "dark/1.png", "light/0.png", "light/1.png"]
    assert rows.labels.tolist() == ["dark", "dark", "light", "light"]
    assert len(np.unique(rows.x[0])) == 1
    color = files.read(photos, color=True, image_size=16)
    assert color.x.shape == (4, 16, 16, 3)
    assert color.x[0, 0, 0].tolist() == [40, 20, 0]
    assert color.labels is None
    assert files.read_like(photos / "dark", color.layout).x.shape == (2, 16, 16, 3)


def test_images_of_several_or_large_sizes_get_one(photos):
    Image.new("L", (300, 200)).save(photos / "dark" / "large.jpg")
    assert files.read(photos).x.shape == (5, 32, 32)
    for path in photos.rglob("*.png"):
        path.unlink()
    assert files.read(photos).x.shape == (1, 32, 32)


def test_images_of_16_bits(photos):
    pixels = np.arange(96, dtype="uint16").reshape(8, 12) * 600
    Image.fromarray(pixels).save(photos / "deep.png")
    rows = files.read(photos)
    np.testing.assert_array_equal(rows.x[rows.names.tolist().index("deep.png")], np.round(pixels * (255 / 65535)))
    Image.fromarray(np.full((8, 12), 5.0, "float32")).save(photos / "float.tif")
    with pytest.raises(ValueError, match="float.tif' cannot be read as an image: its pixels are floating-point"):
        files.read(photos)


def test_hidden_folders_are_left_out(photos):
    (photos / ".thumbnails").mkdir()
    Image.new("L", (2, 2)).save(photos / ".thumbnails" / "0.png")
    assert len(files.read(photos).names) == 4


def test_broken_image_is_named(photos):
    (photos / "light" / "torn.png").write_bytes(b"\x89PNG torn")
    with pytest.raises(ValueError, match="torn.png' cannot be read as an image"):
        files.read(photos)


@pytest.mark.parametrize(
    ("path", "options", "error", "message"),
    [
        ("none.csv", {}, FileNotFoundError, "There is no file or folder 'none.csv'"),
        ("data.xlsx", {}, ValueError, "not a workbook"),
        ("data.odt", {}, ValueError, r"should be one of .csv, .tsv, .* folder of images. Received: 'data.odt'"),
        ("rows.pkl", {}, ValueError, "runs code"),
        ("empty", {}, ValueError, "no images in 'empty'"),
        (
            "photos",
            {"labels": "y"},
            ValueError,
            "--labels does not apply to a folder of images. .*--folder-labels",
        ),
        ("empty.csv", {}, ValueError, "is empty"),
        ("torn.csv", {}, ValueError, "line 3 has 4 cells, the others have 2"),
        ("torn.csv", {"encoding": "utf9"}, ValueError, "encoding should be one that Python knows.*utf9"),
        ("torn.npy", {}, ValueError, "truncated or not a valid"),
        ("torn.npz", {}, ValueError, "truncated or not a valid"),
        ("number.npy", {}, ValueError, "Received: the single number 3"),
    ],
)
@pytest.mark.usefixtures("photos")
def test_bad_files(tmp_path, path, options, error, message):
    write("", "data.xlsx")
    write("", "data.odt")
    write("", "rows.pkl")
    write("", "empty.csv")
    write("a,b\n1,2\n1,2,3,4\n", "torn.csv")
    write("", "torn.npy")
    write("PK", "torn.npz")
    np.save("number.npy", 3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=message):
        files.read(path, **options)


def test_new_rows_of_another_kind(photos):
    np.save("x.npy", np.zeros((3, 4)))
    with pytest.raises(ValueError, match="was fitted to an array. Received: a folder of images"):
        files.read_like(photos, files.read("x.npy").layout)


@pytest.mark.parametrize("use", ["text", "one_hot"])
@pytest.mark.parametrize("other", ["labels", "names", "drop"])
def test_a_column_is_a_feature_or_not(use, other, tmp_path):
    """Classes that were features would find themselves."""
    pandas.DataFrame({"v": [0.5, 1.5, 2.5], "kind": ["a b", "b c", "a c"]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(
        ValueError, match=r"makes features of a column.*'kind' for both|--drop does not apply with --text"
    ):
        files.read(tmp_path / "a.csv", **{use: "kind", other: "kind"})


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a,b,id\n1,2,x\n,4,y\n", {"missing": "median"}, [[1, 2], [2, 4]]),
        ("a,b,id\n1,2,x\n,4,y\n", {"missing": "drop"}, [[1, 2]]),
        ("a,b,id\n1,2,x\n?,4,y\n", {"missing": "median", "na": "?"}, [[1, 2], [2, 4]]),
        ("a,b,id\n1,2,x\n-999,4,y\n", {"missing": "drop"}, [[1, 2]]),  # as in the fit
        ("a,b,größe\n1,2,x\n", {"names": "größe", "encoding": "cp1252"}, [[1, 2]]),
        ('a;b;id\n"1,234";2,5;x\n', {"decimal": ","}, [[1.234, 2.5]]),
        ("a;b;id\n1.234;2,5;x\n", {"decimal": ",", "thousands": "."}, [[1234, 2.5]]),
        ("a\x1eb\x1eid\n1\x1e2\x1ex\n", {"sep": "\x1e"}, [[1, 2]]),
        ("1;2 3;4;5\na;b;id\n1;2;x\n", {"skip": 1}, [[1, 2]]),
        ("a,b,id\n% 1,2,x\n3,4,y\n", {"comment": "%"}, [[3, 4]]),
    ],
)
def test_new_rows_in_a_file_that_differs(text, options, expected):
    """The options of the fit hold for it, but for those that are given."""
    layout = files.read(write("a,b,id\n1,2,x\n3.5,4,y\n2,6,z\n"), names="id", na="-999").layout
    layout = files.Layout(**json.loads(json.dumps(dataclasses.asdict(layout))))
    new = write(text, "new.csv", encoding=options.get("encoding", "utf-8"))
    rows = files.read_like(new, layout, **options)
    np.testing.assert_array_equal(rows.x, expected)
    assert set(rows.names) <= {"x", "y"}
    with pytest.raises(ValueError, match="does not apply to a table"):
        files.read_like(new, layout, key="x", **options)


def test_new_rows_in_an_array_of_another_name():
    np.savez("old.npz", x=np.eye(3), other=np.ones((3, 3)))
    layout = files.read("old.npz").layout
    np.savez("new.npz", rows=2 * np.eye(3), other=np.ones((3, 3)))
    with pytest.raises(ValueError, match="has no array 'x'"):
        files.read_like("new.npz", layout)
    np.testing.assert_array_equal(files.read_like("new.npz", layout, key="rows").x, 2 * np.eye(3))
    np.save("new.npy", 3 * np.eye(3))
    np.testing.assert_array_equal(files.read_like("new.npy", layout).x, 3 * np.eye(3))
    with pytest.raises(ValueError, match="--missing does not apply to an array"):
        files.read_like("new.npz", layout, missing="median")


@pytest.mark.parametrize(
    ("text", "names", "told"),
    [
        ("a,b\n1,2\n3,4\n", [0, 1], 'there is no column "id" with the names of the rows, which are numbered'),
        (",a,b\n007,1,2\n008,3,4\n", ["007", "008"], None),
    ],
)
def test_new_rows_without_the_column_of_names(text, names, told):
    layout = files.read(write("a,b,id\n1,2,x\n3,4,y\n"), names="id").layout
    rows = files.read_like(write(text, "new.csv"), layout)
    assert rows.names.tolist() == names
    assert [notice for notice in rows.notices if "no column" in notice] == [told] * (told is not None)
    with pytest.raises(ValueError, match="There is no column 'name'"):
        files.read_like("new.csv", layout, names="name")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,red\n2,blue\n", {}, 'column "b" holds text, such as "red": correct it$'),
        ("a,b\n1,2021-03-04\n2,2021-03-05\n", {}, 'holds dates, such as "2021-03-04": replace them by numbers'),
        ("a;b\n1,5;2\n", {}, 'column "a" holds text, such as "1,5": --decimal ","'),
        ("a;b\n1,5;2.5\n", {}, 'such as "1,5": its numbers are written in different forms: write all in one form$'),
        ("a,b\n1,\n2,3\n", {}, "--missing median to fill them, or --missing drop"),
        ("a,b\n1,2\n", {"labels": "a"}, "should name no feature of the model. Received: 'a'"),
        ("a,b\n1,2\n", {"names": "b"}, "should name no feature of the model. Received: 'b'"),
        ("a,b\n1,2\n", {"missing": "mean"}, 'missing should be "median", "drop" or None'),
    ],
)
def test_advice_on_new_rows(text, options, message):
    """None that only a fit can follow."""
    layout = files.read(write("a,b\n1.5,2\n3,4\n")).layout
    with pytest.raises(ValueError, match=message) as error:
        files.read_like(write(text, "new.csv"), layout, **options)
    assert "--drop " not in str(error.value).replace("--missing drop ", "")


@pytest.mark.parametrize("name", ["new.csv", "new.jsonl", "new.npz", "new.h5ad", "photos"])
def test_rows_without_labels_have_an_error_of_their_own(name, photos):
    """By it the report of new rows knows that it has to do without."""
    frame = pandas.DataFrame({"a": [1.0, 2.0], "kind": [None, None]})
    frame.drop(columns="kind").to_csv("new.csv", index=False)
    frame.to_json("new.jsonl", orient="records", lines=True)
    np.savez("new.npz", x=np.eye(3))
    with h5py.File("new.h5ad", "w") as file:
        file["X"] = np.eye(3)
        file["obs/index"], file["var/index"] = np.arange(3), np.arange(3)
        file["obs"].attrs["_index"] = file["var"].attrs["_index"] = "index"
    options = {"folder_labels": True} if name == "photos" else {"labels": "kind"}
    path = photos / "dark" if name == "photos" else name
    layout = files.read(path, **({"drop": "kind"} if name == "new.jsonl" else {})).layout
    with pytest.raises(class_labels.MissingLabels):
        files.read_like(path, layout, **options)


def test_thousands_of_new_rows_are_reported():
    layout = files.read(write("a;b\n1.5;2\n3;4\n")).layout
    rows = files.read_like(write("a;b\n5,134;2\n", "new.csv"), layout)
    assert rows.x.tolist() == [[5134, 2]]
    assert '"," between thousands in "a"' in rows.notices
