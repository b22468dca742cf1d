"""Values of columns: the same text, number or gap in every format, with or without missing values beside them."""

import csv
import json
import pathlib

import numpy as np
import pandas
import pytest

from deckeras import files
from deckeras.files import typed_columns

LONG = 2**53 + 1  # the first whole number that float64 does not hold
TYPED = ["xlsx", "parquet", "feather", "jsonl"]
ALL = ["csv", *TYPED]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(extension, **columns):
    """Write a table of lists, in which None is a missing value, and return the name of the file."""
    name = f"data.{extension}"
    lines = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    if extension == "csv":
        with open(name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    elif extension == "jsonl":
        records = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
        pathlib.Path(name).write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    elif extension == "xlsx":
        pytest.importorskip("python_calamine")
        sheet = pytest.importorskip("openpyxl").Workbook()
        for line in lines:
            sheet.active.append(line)
        sheet.save(name)
    elif extension == "arff":
        head = [f"@attribute {column} numeric" for column in columns]
        rows = [",".join("?" if value is None else str(value) for value in line) for line in lines[1:]]
        pathlib.Path(name).write_text("\n".join(["@relation r", *head, "@data", *rows]))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        table = pyarrow.table(columns)
        if extension == "parquet":
            pytest.importorskip("pyarrow.parquet").write_table(table, name)
        else:
            pytest.importorskip("pyarrow.feather").write_feather(table, name)
    return name


@pytest.mark.parametrize("extension", ALL)
@pytest.mark.parametrize("gap", [[], [None]])
@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2, 3], ["1", "2", "3"]),
        ([LONG, 5, 2**60 + 1, 2**60 + 3], [str(LONG), "5", str(2**60 + 1), str(2**60 + 3)]),
        (["007", "1E5", "x"], ["007", "1E5", "x"]),
        ([0.5, 0.25], ["0.5", "0.25"]),
        ([True, False], ["True", "False"]),
    ],
)
def test_texts_are_exact(values, texts, gap, extension):
    if extension == "xlsx" and LONG in values:
        values = list(map(str, values))  # A cell of Excel holds float64.
    column = [*values, *gap]
    name = write(extension, a=np.linspace(0, 1, len(column)).tolist(), v=column)
    rows = files.read(name, names="v")
    assert [None if isinstance(value, float) else value for value in rows.names] == [*texts, *gap]
    assert files.read(name, labels="v").labels.tolist() == [*texts, *gap]
    rows = files.read(name, one_hot="v", missing="median")
    assert rows.layout.categories == {"v": sorted(texts)}
    expected = np.array([[text == each for each in sorted(texts)] for text in [*texts, *gap]], float)
    np.testing.assert_array_equal(rows.x[:, 1:], expected)


@pytest.mark.parametrize("fit", [*ALL, "arff"])
@pytest.mark.parametrize("new", [*ALL, "arff"])
def test_categories_are_known_in_every_format(fit, new):
    zips = [10115, 20095, 80331]
    layout = files.read(write(fit, a=[1.5, 2.5, 3.5, 4.5], zip=[*zips, None]), one_hot="zip", missing="median").layout
    np.testing.assert_array_equal(files.read_like(write(new, a=[1, 2, 3], zip=zips), layout).x[:, 1:], np.eye(3))


@pytest.mark.parametrize("kind", ["float32", "float64", "Int64", "datetime64[ns]", "category"])
def test_texts_of_other_types(kind):
    pytest.importorskip("pyarrow")
    values = {"Int64": [LONG, None], "category": ["b", None], "datetime64[ns]": ["2020-01-31", None]}.get(
        kind, [0.1, None]
    )
    pandas.DataFrame({"a": [1, 2], "v": pandas.Series(values, dtype=kind)}).to_parquet("data.parquet")
    rows = files.read("data.parquet", one_hot="v", missing="median")
    assert rows.features == ["a", f"v={values[0]}"]
    np.testing.assert_array_equal(rows.x, [[1, 1], [2, 0]])


def test_whole_numbers_of_a_dictionary():
    pyarrow = pytest.importorskip("pyarrow")
    column = pyarrow.array([LONG, None, 5, LONG], pyarrow.int64()).dictionary_encode()
    pytest.importorskip("pyarrow.parquet").write_table(
        pyarrow.table({"a": [1.5, 2, 3, 4], "v": column}), "data.parquet"
    )
    assert files.read("data.parquet", labels="v").labels.tolist() == [str(LONG), None, "5", str(LONG)]


@pytest.mark.parametrize(
    ("keys", "names"), [([LONG, None, 7], [str(LONG), None, "7"]), ([LONG, 5, 7], [str(LONG), "5", "7"])]
)
@pytest.mark.parametrize("extension", ["parquet", "feather"])
def test_names_in_an_index_are_exact(keys, names, extension):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2, 4]}, index=pandas.Index(keys, dtype="Int64", name="id"))
    getattr(frame, f"to_{extension}")(f"data.{extension}")
    rows = files.read(f"data.{extension}")
    assert [None if isinstance(name, float) else name for name in rows.names] == names
    assert 'the index "id" is read as the names of the rows' in rows.notices


def test_folders_of_a_table_are_no_columns():
    pytest.importorskip("pyarrow")
    folder = pathlib.Path("year=2020")
    folder.mkdir()
    pathlib.Path(write("parquet", a=[1, 2, 4])).rename(folder / "data.parquet")
    assert files.read(folder / "data.parquet").features == ["a"]


def test_a_category_called_nan_is_not_a_gap():
    rows = files.read(write("jsonl", a=[1, 2, 3], v=["nan", None, "b"]), one_hot="v", missing="median")
    np.testing.assert_array_equal(rows.x[:, 1:], [[0, 1], [0, 0], [1, 0]])


@pytest.mark.parametrize("extension", ["csv", "xlsx"])
@pytest.mark.parametrize("column", ["name", ""])
def test_names_of_rows_may_be_any_text(extension, column):
    texts = ["NA", "None", "007", "1E5", "null"]
    name = write(extension, **{column: texts, "a": [1, 2, 4, 8, 9], "b": [7, 5, 1, 2, 3]})
    assert files.read(name, names=column or None).names.tolist() == texts


def test_an_unnamed_column_beside_names_is_a_feature():
    rows = files.read(write("csv", **{"": [1, 2, 4], "a": [5, 6, 9], "name": ["x", "y", "z"]}), names="name")
    assert (rows.names.tolist(), rows.features) == (["x", "y", "z"], ["Unnamed: 0", "a"])


@pytest.mark.parametrize("extension", ALL)
@pytest.mark.parametrize("gap", [0, 1])
@pytest.mark.parametrize(
    ("column", "told"),
    [
        ([f"00{7 * k * k}" for k in range(1, 9)], "whole numbers with zeros in front"),
        ([2**60 + k * k for k in range(1, 9)], "whole numbers of more digits than float64 has"),
        ([-(2**60) - k * k for k in range(1, 9)], "whole numbers of more digits than float64 has"),
    ],
)
def test_remarks_do_not_depend_on_gaps(column, told, gap, extension):
    if extension == "xlsx":
        column = list(map(str, column))
    name = write(extension, x=[*column[gap:], *[None] * gap], a=[0.5, 7, 3.25, 1, 9, 2, 8, 4])
    assert any(told in notice for notice in files.read(name, missing="median").notices)


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
@pytest.mark.parametrize("gap", [0, 1])
def test_remarks_on_numbers_beyond_int64(gap, extension):
    column = [10**25 + k * k for k in range(gap, 8)] + [None] * gap
    rows = files.read(write(extension, x=column, a=[0.5, 7, 3.25, 1, 9, 2, 8, 4]), missing="median")
    assert any("whole numbers of more digits than float64 has" in notice for notice in rows.notices)


@pytest.mark.parametrize("column", [[1, None, "inf"], [2.5, None, 1e20], [1e20, None, 2], [None, None, None]])
def test_no_remark_on_other_numbers_with_gaps(column):
    rows = files.read(write("csv", x=column, a=[1, 2, 5]), missing="median", na="inf")
    assert not any("more digits" in notice for notice in rows.notices)


@pytest.mark.parametrize("column", ["self", "name", "index", "a"])
def test_columns_of_any_name(column):
    rows = files.read(write("jsonl", **{column: ["1,5", "2,25"]}))
    assert rows.x.tolist() == [[1.5], [2.25]]


@pytest.mark.parametrize("extension", ["xlsx", "jsonl", "csv"])
@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["50%", "12%"], [50, 12]),
        ([0.25, "50%", 0.1, "12%"], None),
        ([5, "7 €"], None),
        (["50%", "7 €"], None),
        ([5, "7.5"], [5, 7.5]),
        ([5, "(7)"], [5, -7]),
        ([True, False], [1, 0]),
        ([True, 5, 3], None),
        ([5, 3, False], None),
        ([True, "5", "3"], None),
    ],
)
def test_signs_are_those_of_all_numbers(column, expected, extension):
    name = write(extension, x=column, a=[0.5, 0.25, 4, 3][: len(column)])
    if expected is None:
        with pytest.raises(ValueError, match='column "x" holds'):
            files.read(name)
    else:
        np.testing.assert_array_equal(files.read(name).x[:, 0], expected)


@pytest.mark.parametrize("extension", ALL)
@pytest.mark.parametrize("na", ["-999", "-999.0", "-9.99e2"])
@pytest.mark.parametrize(
    "column",
    [
        [-999, 1, 2],
        [-999.0, 1.5, 2.5],
        ["-999", "1", "2"],
        ["-999,0", "1,5", "2,5"],
        ["-999,00 €", "1,50 €", "2,50 €"],
        ["-999 %", "1 %", "2 %"],
        ["(999)", "1", "2"],
    ],
)
def test_numbers_that_mean_missing_in_any_form(column, na, extension):
    rows = files.read(write(extension, x=column, a=[5, 4, 3]), na=na, missing="drop")
    assert rows.x[:, 1].tolist() == [4, 3]


@pytest.mark.parametrize("extension", ALL)
def test_texts_that_mean_missing_by_their_number(extension):
    rows = files.read(write(extension, v=[-999, 1, 2], a=[0.5, 4, 3]), na="-999", labels="v")
    assert rows.labels.tolist() == [None, "1", "2"]


def test_missing_values_beside_lists():
    pytest.importorskip("pyarrow")
    name = write("parquet", a=[1.5, -1.0, 3.0], v=[[1, 2], [3], None])
    assert files.read(name, na=["-1", "?"], drop="v", missing="drop").x.tolist() == [[1.5], [3]]


@pytest.mark.parametrize("extension", TYPED)
@pytest.mark.parametrize("beside", [[0.5, 0.25], [5, 7]])
def test_numbers_of_a_format_do_not_show_the_form_of_texts(beside, extension):
    """A German program writes 1,234 where its cells hold 0.5."""
    name = write(extension, a=beside, b=["1,234", "5,678"])
    with pytest.raises(ValueError, match=r'such as "1,234", with decimals or with thousands: --decimal ","'):
        files.read(name)
    np.testing.assert_array_equal(files.read(name, decimal=",").x[:, 1], [1.234, 5.678])
    np.testing.assert_array_equal(files.read(name, thousands=",").x[:, 1], [1234, 5678])


@pytest.mark.parametrize("extension", ALL)
@pytest.mark.parametrize(
    ("column", "options", "expected"),
    [
        (["1_234", "5_678_901", "12"], {"thousands": "_"}, [1234, 5678901, 12]),
        (["1_234.5", "5_678.25", "12"], {"thousands": "_"}, [1234.5, 5678.25, 12]),
        (["1_234,5", "5_678,25", "12"], {"thousands": "_"}, [1234.5, 5678.25, 12]),
        (["-1_234 €", "5_678 €", "12 €"], {"thousands": "_"}, [-1234, 5678, 12]),
        (["1·5", "2·25", "12"], {"decimal": "·"}, [1.5, 2.25, 12]),
        (["1_2", "5", "12"], {"thousands": "_"}, None),
    ],
)
def test_marks_of_any_kind(column, options, expected, extension):
    name = write(extension, x=column, a=[1, 5, 3])
    if expected is None:
        with pytest.raises(ValueError, match='column "x" holds text'):
            files.read(name, **options)
    else:
        np.testing.assert_array_equal(files.read(name, **options).x[:, 0], expected)


BLANKS = {
    "after": ("red", "red ", "blue"),
    "before": ("red", "\tred", "blue"),
    "no-break": ("red", "red\u00a0", "blue"),
    "alone": ("red", "blue", "  "),
}
WRITERS = {
    "csv": lambda frame: frame.to_csv("data.csv", index=False),
    "xlsx": lambda frame: frame.to_excel("data.xlsx", index=False),
    "parquet": lambda frame: frame.to_parquet("data.parquet"),
    "categories.parquet": lambda frame: frame.astype({"kind": "category"}).to_parquet("data.categories.parquet"),
    "json": lambda frame: frame.to_json("data.json", orient="records"),
}


@pytest.mark.parametrize("extension", WRITERS)
@pytest.mark.parametrize("kind", BLANKS)
def test_blanks_around_categories_and_classes(kind, extension, tmp_path, monkeypatch):
    """Each spelling was a category and a class of its own."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(12, 2)).round(3)
    frame = pandas.DataFrame({"name": [f" {row} " for row in range(12)], "a": x[:, 0], "kind": 4 * list(BLANKS[kind])})
    WRITERS[extension](frame)
    path = f"data.{extension}"
    rows = files.read(path, names="name", labels="kind")
    assert set(rows.labels) - {None} == {"red", "blue"}
    assert list(rows.names) == list(frame.name)  # Names are kept for joins.
    rows = files.read(path, names="name", one_hot="kind", missing="median")
    assert rows.features == ["a", "kind=blue", "kind=red"]
    merged = [notice for notice in rows.notices if 'blanks around values of "kind" are removed' in notice]
    assert len(merged) == 1 or kind == "alone"  # Some readers find cells of blanks empty.
    again = files.read_like(path, rows.layout)
    np.testing.assert_array_equal(again.x, rows.x)


def test_values_that_differ_in_case():
    values = pandas.Series(["red", "Red", "blue", "red", "blue", "blue", "red", None])
    assert typed_columns.in_other_case(values) == ("Red", "red")
    assert typed_columns.in_other_case(values[values != "Red"]) == ()
    assert typed_columns.in_other_case(pandas.Series(["Abc", "abc", "d"])) == ()  # most are distinct
    assert typed_columns.in_other_case(pandas.Series([1, 1, 2, 2])) == ()


def write_moments(extension, values):
    """Write a table with a column of dates or times in the type that the format has for them."""
    name, frame = f"data.{extension}", pandas.DataFrame({"a": np.linspace(0, 1, len(values)), "d": values})
    if extension == "arff":
        cells = frame["d"].dt.strftime("'%Y-%m-%d %H:%M'").fillna("?")
        rows = [f"{a},{cell}\n" for a, cell in zip(frame["a"], cells, strict=True)]
        head = "@relation r\n@attribute a numeric\n@attribute d date 'yyyy-MM-dd HH:mm'\n@data\n"
        pathlib.Path(name).write_text(head + "".join(rows))
    elif extension == "xlsx":
        pytest.importorskip("python_calamine")
        pytest.importorskip("openpyxl")
        frame.to_excel(name, index=False)
    elif extension == "json":
        frame.to_json(name, orient="records", date_format="iso")
    elif extension == "csv":
        frame.to_csv(name, index=False)
    else:
        pytest.importorskip("pyarrow")
        getattr(frame, f"to_{extension}")(name)
    return name


@pytest.mark.parametrize("extension", ["arff", "csv", "feather", "json", "parquet", "xlsx"])
@pytest.mark.parametrize("gap", [0, 1])
@pytest.mark.parametrize("frequency", ["D", "h"])
def test_dates_are_refused_in_every_format(frequency, gap, extension):
    values = pandas.Series(pandas.date_range("2020-01-01", periods=6, freq=frequency))
    name = write_moments(extension, values.where(values.index < 6 - gap))
    with pytest.raises(ValueError, match='column "d" holds dates, such as "2020-01-01.*: --drop "d"'):
        files.read(name)
    assert files.read(name, drop="d").features == ["a"]
    assert len(files.read(name, one_hot="d", missing="median").features) == 7 - gap
