"""The options of readers: wrong types are refused before a file is opened, and one text counts as a list of it."""

import inspect

import numpy as np
import pandas
import pytest

from deckeras import files
from deckeras.files import image_folder, photographs

TEXTS = ("key", "names", "labels", "text", "missing", "sep", "comment", "decimal", "thousands", "encoding")
LISTS = ("drop", "one_hot", "na")
FLAGS = ("need_terms", "header", "color", "folder_labels", "skip_broken")
NUMBERS = ("skip", "image_size")
WRONG = {
    **{name: [1.5, 0, True, b"x", ["x"], np.array(["x", "y"]), object()] for name in TEXTS},
    **{name: [1.5, 0, True, b"x", [1], np.array([1, 2]), np.array("x"), {"x": 1}, object()] for name in LISTS},
    **{name: [0, 1, "yes", [True], object()] for name in FLAGS},
    **{name: [1.0, True, "1", [1], "8x8", object()] for name in NUMBERS},
    "image_shape": [8, "8x8", (8,), (8, 8, 3, 1), (8.0, 8), (True, 8), np.array([8.0, 8])],
}


def test_all_options_are_in_the_table():
    assert set(WRONG) == set(inspect.signature(files.read).parameters) - {"path"}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_types(name, value):
    """No file is needed to see them: there is none."""
    with pytest.raises(TypeError, match=f"{name}.* should be .*Received: .*{name}"):
        files.read("missing", **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, "") for name in TEXTS] + [("skip", -1), ("image_size", 0), ("image_shape", (8, 0))],
)
def test_wrong_values(name, value):
    with pytest.raises(ValueError, match=f"{name}.* should .*Received: .*{name}"):
        files.read("missing", **{name: value})


@pytest.mark.parametrize(
    "call",
    [
        lambda: files.read_like("missing", None, labels=1),
        lambda: files.read_like("missing", None, folder_labels="yes"),
        lambda: image_folder.read("missing", image_size="8x8"),
        lambda: image_folder.read("missing", image_shape=8),
        lambda: photographs.read("missing", 224),
        lambda: photographs.read("missing", size=(224, 224, 3)),
        lambda: photographs.read("missing", (224, 224), skip_broken=1),
    ],
)
def test_other_readers(call):
    with pytest.raises(TypeError, match="should be .*Received: "):
        call()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"drop": "id"}, ["size", "weight"]),
        ({"drop": np.array(["id", "size"])}, ["weight"]),
        ({"drop": pandas.Index(["id", "size"])}, ["weight"]),
        ({"drop": {"id": 0}.keys()}, ["size", "weight"]),
        ({"drop": None, "one_hot": None}, ["id", "size", "weight"]),
        ({"drop": ("id",), "na": "NONE"}, ["size", "weight"]),
    ],
)
def test_one_text_is_a_list_of_it(options, expected, tmp_path):
    """Not one of its letters: `na="NONE"` would mean N, O, N and E."""
    path = tmp_path / "table.csv"
    path.write_text("id,size,weight\n1,2.5,3\n2,3.5,NONE\n3,4.5,5\n4,5.5,6\n")
    rows = files.read(path, missing="median", **{"na": ["NONE"], **options})
    assert rows.features == expected
    assert rows.x[:, -1].tolist() == [3, 5, 5, 6]


def test_one_text_column(tmp_path):
    path = tmp_path / "cars.csv"
    path.write_text("weight,fuel\n1,petrol\n2,diesel\n3,petrol\n")
    rows = files.read(path, one_hot="fuel")
    assert rows.features == ["weight", "fuel=diesel", "fuel=petrol"]
