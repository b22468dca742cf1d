"""Remarks report how a table was read, and a table that cannot be read is refused with advice."""

import datetime
import json
import pathlib
import time

import numpy as np
import pandas
import pytest
from scipy import sparse

from deckeras import files
from deckeras.files import arrays, layouts, numerals, remarks

N = 12
A, B, C = np.random.default_rng(0).normal(50, 9, (3, N)).round(2)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(header, *columns, sep=",", tail=""):
    """Write data.csv, and return its name."""
    lines = [header, *(sep.join(map(str, cells)) for cells in zip(*columns, strict=True))]
    pathlib.Path("data.csv").write_text("\n".join(lines) + "\n" + tail, encoding="utf-8")
    return "data.csv"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["٣٫٥", "١", "٢"], None),  # The decimal sign of Arabic is not known, so this is text.
        (["٣.٥", "١", "٢"], [3.5, 1, 2]),
        (["３", "１２", "４.５"], [3, 12, 4.5]),
        (["12,34,567.5", "1,23,456", "789"], [1234567.5, 123456, 789]),
        (["US$3.50", "US$4", "US$5"], [3.5, 4, 5]),
        (["Rs. 3.50", "Rs. 4", "Rs. 5"], [3.5, 4, 5]),
        (["3.5-", "4", "5"], [-3.5, 4, 5]),
        (["12,34", "1,2", "5"], [12.34, 1.2, 5]),
    ],
)
def test_numbers_are_read_or_remain_text(values, expected):
    texts = pandas.Series(values)
    found = numerals.recognize({"x": texts}, dotted=values[0] == "3.5-")
    assert ("x" in found.forms) == (expected is not None)
    if expected is not None:
        np.testing.assert_allclose(numerals.convert(texts, found.forms["x"]), expected)


@pytest.mark.parametrize(
    ("date", "is_one"),
    [(text, True) for text in (
        "2024-01-31", "1/31/2024", "31.1.24", "1:30 PM", "12:05:10", "Mon Jan 1 2024", "Tuesday, 3 March 2021",
        "1. Januar 2024", "1 janv. 2024", "3 de mayo de 2021", "June 5th, 2024", "2024/1", "2024-W01", "Q1 2024",
        "1-2024", "Jan-01", "Sep '21", "20240101T010000", "2024年1月1日", "1 days 00:00:00", "P1DT2H",
    )] + [(text, False) for text in ("P", "2024-13", "10.0.0.1", "5-9", "Type 12", "Model 3", "12 kg", "1h30", "1/2")],
)  # fmt: skip
def test_dates(date, is_one):
    assert numerals.is_date(date) == is_one


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        ([f"{day}-2024" for day in range(1, N + 1)], 'holds dates, such as "1-2024": --drop'),
        ([f"{value}/4" for value in range(N)], '--names "x"'),
        ([f"<{value}" for value in A], 'write the numbers without "<"'),
        ([f"{value} km/h" for value in A], 'write the numbers without "km/h"'),
        ([f"£{value}k" for value in A], 'write the numbers without "£" and "k"'),
        ([f"\u200b{value}" for value in A], r'such as "\u200b'),
        ([f"bean {value}" for value in range(N)], '--names "x"'),
        (["x", ""] * (N // 2), '--one-hot "x" to make its value a feature'),
    ],
)
def test_advice_on_a_column(column, advice):
    with pytest.raises(ValueError, match="cannot be clustered") as error:
        files.read(write("x,a", column, A))
    assert advice in str(error.value)


@pytest.mark.parametrize("mark", "^~:")
def test_lines_that_are_not_split_into_cells(mark):
    path = write(mark.join("abc"), A, B, C, sep=mark)
    with pytest.raises(ValueError, match="not split") as error:
        files.read(path)
    assert f'--sep "{mark}" splits them' in str(error.value)
    np.testing.assert_array_equal(files.read(path, sep=mark).x, np.column_stack([A, B, C]))


def test_whole_lines_in_quotation_marks():
    pathlib.Path("data.csv").write_text("".join(f'"{a},{b}"\n' for a, b in [("a", "b"), *zip(A, B, strict=True)]))
    with pytest.raises(ValueError, match="remove the quotation marks around whole lines"):
        files.read("data.csv")


def test_decimal_commas_between_commas_are_refused():
    path = write("a,b", [str(a).replace(".", ",") for a in A], [str(b).replace(".", ",") for b in B])
    with pytest.raises(ValueError, match="half as many cells as the rows.*Export the table with semicolons"):
        files.read(path)
    assert files.read(path, skip=1).x.shape == (N, 4)


@pytest.mark.parametrize(
    ("header", "second", "names", "told"),
    [
        ("size,,mass", "low,high,all", ["size low", "size high", "mass all"], "the names are those of two lines"),
        ("size,size,mass", "low,high,", ["size low", "size high", "mass"], "the names are those of two lines"),
        ("low,high,mass", "cm,cm,kg", ["low", "high", "mass"], 'the second line, "cm", "cm", "kg", is left out'),
    ],
)
def test_two_lines_of_names(header, second, names, told):
    rows = files.read(write(f"{header}\n{second}", A, B, C))
    assert rows.features == names
    assert any(notice.startswith(told) for notice in rows.notices)
    np.testing.assert_array_equal(rows.x, np.column_stack([A, B, C]))


@pytest.mark.parametrize(
    ("tail", "problem"),
    [
        ("a,b\n1,2\n", '"a" in "a", "b" in "b": The names are repeated'),
        ("cm,kg\n1,2\n", '"cm" in "a", "kg" in "b": It may be'),
    ],
)  # fmt: skip
def test_a_line_of_text_among_numbers_is_one_problem(tail, problem):
    with pytest.raises(ValueError, match="cannot be clustered") as error:
        files.read(write("a,b", A, B, tail=tail))
    assert f"row {N + 1} has text where 2 columns have numbers, {problem}" in str(error.value)
    assert "--na" not in str(error.value)


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ([A.sum(), B.sum()], 'the last row holds the sum of the others in "a", "b"'),
        ([A.mean(), B.mean()], 'the last row holds the mean of the others in "a", "b"'),
        ([A.sum(), B.sum() + 1], None),
    ],
)
@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_totals_are_pointed_at(last, told, extension):
    frame = pandas.DataFrame({"a": [*A, last[0]], "b": [*B, last[1]]})
    frame.to_csv("data.csv", index=False) if extension == "csv" else frame.to_parquet("data.parquet")
    notices = [notice for notice in files.read(f"data.{extension}").notices if "last row" in notice]
    assert [notice.startswith(told) for notice in notices] == ([True] if told else [])


@pytest.mark.parametrize("word", ["Total", "Grand total", "Summe", "Mean", "moyenne"])
def test_rows_that_are_called_totals_are_pointed_at(word):
    rows = files.read(write("name,a", [*map(chr, range(97, 96 + N)), word], A), names="name")
    assert f'rows that may be totals of others are read, too: "{word}" (row {N})' in rows.notices


def test_a_class_that_is_called_total_is_none():
    rows = files.read(write("kind,a", ["total", "partial"] * (N // 2), A), labels="kind")
    assert not any("totals" in notice for notice in rows.notices)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (["true", "false"] * (N // 2), 'true and false are read as 1 and 0 in "x"'),
        ([f"0{1000 + 7 * k * k}" for k in range(N)], 'whole numbers with zeros in front, as codes have: "x"'),
        ([2**60 + k * k for k in range(N)], "whole numbers of more digits than float64 has"),
        ([10**25 + k * k for k in range(N)], "whole numbers of more digits than float64 has"),
    ],
)
@pytest.mark.parametrize("extension", ["csv", "jsonl", "xlsx"])
def test_values_that_change_are_said(column, told, extension):
    typed = [{"true": True, "false": False}.get(value, value) for value in column]
    if extension == "csv":
        write("x,a", column, A)
    elif extension == "jsonl":
        lines = [json.dumps({"x": value, "a": a}) for value, a in zip(typed, A, strict=True)]
        pathlib.Path("data.jsonl").write_text("\n".join(lines))
    else:
        pytest.importorskip("python_calamine")
        sheet = pytest.importorskip("openpyxl").Workbook()
        # Excel itself holds so long a number only as text.
        for line in [
            ["x", "a"],
            *zip([each if isinstance(each, bool) else str(each) for each in typed], A, strict=True),
        ]:
            sheet.active.append(list(line))
        sheet.save("data.xlsx")
    rows = files.read(f"data.{extension}")
    assert any(told in notice for notice in rows.notices)
    assert rows.x.shape == (N, 2)


def test_plain_tables_have_no_remarks():
    frame = pandas.DataFrame(
        {"a": A, "b": B, "count": np.random.default_rng(0).integers(0, 9, N), "x": [1.5e20, *C[1:]]}
    )
    frame.to_csv("data.csv", index=False)
    assert files.read("data.csv").notices == ["comma-separated, 4 columns, first line taken as names"]


CLASSES = ([0, 1, 2] * N)[:N]


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [(name, CLASSES, True) for name in (
        "label", "Labels", "CLASS", "classes", "target", "y", "Y", "y_true", "category", "cluster", "Species",
        "true label", "cell.class", "classLabel", "cluster_id", "Category code", "ground_truth", "Outcome",
    )] + [(name, CLASSES, False) for name in (
        "subclass", "yield", "classified", "target_size", "labeled", "clustering", "x", "n_classes_taken",
    )] + [
        ("label", [value - 1 for value in CLASSES], True),  # -1 often means noise
        ("label", [1.0, "", 2, 2] * (N // 4), True),
        ("label", ["true", "false"] * (N // 2), True),
        ("label", A, False),
        ("label", [value + 0.5 for value in CLASSES], False),
        ("target", [k * k for k in range(N)], False),  # distinct, so a number to predict
        ("class", [1] * N, False),
    ],
)  # fmt: skip
def test_classes_among_the_features_are_pointed_at(name, values, told):
    path = write(f"{name},a,b", values, A, B)
    rows = files.read(path, missing="median")
    said = [notice for notice in rows.notices if "classes" in notice and "--labels" in notice]
    assert [f': "{name}". --labels one' in notice for notice in said] == [True] * told
    assert rows.features == [name, "a", "b"]
    for options in {"labels": name}, {"drop": [name]}, {"one_hot": [name]}:
        rows = files.read(path, missing="median", **options)
        assert not any("--labels" in notice for notice in rows.notices), options
    layout = files.read(path, missing="median").layout
    assert not any("--labels" in notice for notice in files.read_like(path, layout).notices)


@pytest.mark.parametrize(("header", "columns"), [("x,y", (A, CLASSES)), ("y", (CLASSES,))])
def test_a_y_that_is_no_class(header, columns):
    """It is a coordinate, or the only feature."""
    assert not any("--labels" in notice for notice in files.read(write(header, *columns)).notices)


def counts(fold=5.0, n=200, width=80, zeros=True):
    """Counts of cells, whose sums differ by this factor from the 10th to the 90th percentile."""
    random = np.random.default_rng(0)
    rates = random.lognormal(0, 1, width) * (0.3 if zeros else 30)
    depths = np.geomspace(1, fold**1.25, n)[:, None]
    return random.poisson(rates * depths / depths.mean()).astype("float32")


def normalized(x):
    return np.log1p(1e4 * x / np.maximum(1, x.sum(axis=1, keepdims=True)))


CELLS = {
    "counts": (counts(), True),
    "whole numbers": (counts().astype("int32"), True),
    "many rows": (counts(n=2500), True),
    "empty droplets": (np.r_[counts(), np.zeros((300, 80), "float32")], True),
    "equal depths": (counts(1.0), False),
    "few zeros": (counts(zeros=False), False),
    "few features": (counts(width=40), False),
    "normalized": (normalized(counts()), False),
    "logarithms": (np.log1p(counts()), False),
    "centered": (np.round(counts() - counts().mean(axis=0)), False),
    "zeros": (np.zeros((20, 80)), False),
}


@pytest.mark.parametrize("kind", ["dense.h5ad", "sparse.h5ad", "tenx.h5", "plain.h5", "plain.npy"])
@pytest.mark.parametrize(("x", "told"), CELLS.values(), ids=CELLS)
def test_raw_counts_of_cells_are_pointed_at(kind, x, told):
    h5py = pytest.importorskip("h5py")
    matrix = sparse.csr_matrix(x)
    parts = {part: getattr(matrix, part) for part in ("data", "indices", "indptr")}
    names = [f"c{number}" for number in range(len(x))]
    if kind == "plain.npy":
        np.save(kind, x)
    else:
        with h5py.File(kind, "w") as file:
            if kind == "sparse.h5ad":
                file.create_group("X").attrs.update({"encoding-type": "csr_matrix", "shape": x.shape})
            if kind == "dense.h5ad":
                file["X"] = x
            if kind == "tenx.h5":
                file["matrix/shape"], file["matrix/barcodes"] = x.shape[::-1], names
            if kind == "plain.h5":
                file["x"] = x
            if kind.endswith("h5ad"):
                file.create_group("obs").attrs["_index"] = "cell"
                file["obs/cell"] = names
            if kind in ("sparse.h5ad", "tenx.h5"):
                for part, values in parts.items():
                    file[f"{'X' if kind == 'sparse.h5ad' else 'matrix'}/{part}"] = values
    rows = files.read(kind)
    said = [notice for notice in rows.notices if "raw counts" in notice]
    assert ["scanpy.pp.normalize_total and scanpy.pp.log1p" in notice for notice in said] == [True] * (
        told and not kind.startswith("plain")
    )
    assert not any("raw counts" in notice for notice in files.read_like(kind, rows.layout).notices)


def test_what_raw_counts_show():
    x = np.zeros((100, 100))
    x[:50, :10], x[50:, :10] = 1, 30
    (sentence,) = remarks.of_counts(x)
    assert "of which 90% are 0, with sums of rows from 10 (10th percentile) to 300 (90th)" in sentence


@pytest.mark.parametrize(
    ("index", "names", "said"),
    [
        (pandas.Index([f"r{k}" for k in range(N)], name="who"), ["r1", "r2"], 'the index "who" is'),
        (pandas.Index(["same"] * N), ["same", "same"], "the index is"),
        (pandas.MultiIndex.from_product([["x"], range(N)], names=["g", "n"]), ["x 1", "x 2"], 'the index "g", "n" is'),
        (pandas.RangeIndex(5, 5 + N), [1, 2], None),
    ],
)  # fmt: skip
def test_the_index_of_a_typed_table(index, names, said):
    frame = pandas.DataFrame({"a": A, "b": [f"{value}" for value in B], "c": [None, *C[1:]]}, index=index)
    frame.to_parquet("data.parquet")
    rows = files.read("data.parquet", missing="drop")
    assert rows.features == ["a", "b", "c"]
    assert rows.names.tolist()[:2] == names
    told = [] if said is None else [f"{said} read as the names of the rows"]
    assert [notice for notice in rows.notices if "index" in notice] == told
    np.testing.assert_array_equal(rows.x, np.column_stack([A, B, C])[1:])
    assert files.read_like("data.parquet", rows.layout).names.tolist() == rows.names.tolist()


def test_many_columns_are_quick():
    """The time grows with their number, not with its square."""
    names = [f"g{number}" for number in range(30_000)]
    x, notices = np.zeros((1, len(names))), []
    started = time.process_time()
    assert remarks._totals(pandas.DataFrame(x, columns=names), names) == []
    layouts.like_array(
        "new.h5ad", arrays.Found(x, features=names), files.Layout(kind="array", features=names[1:]), notices
    )
    assert notices == ['left out, because the model does not have them: "g0"']
    assert time.process_time() - started < 5


def test_columns_of_two_levels():
    pandas.DataFrame(np.c_[A, B], columns=pandas.MultiIndex.from_tuples([("m", "a"), ("m", "b")])).to_parquet(
        "a.parquet"
    )
    assert files.read("a.parquet").features == ["m a", "m b"]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (pandas.to_timedelta(A, "s"), "holds durations"),
        ([datetime.timedelta(seconds=k) for k in range(N)], "holds durations"),
        (pandas.period_range("2024", periods=N, freq="D"), "holds dates"),
        (pandas.date_range("2024", periods=N, tz="UTC"), "holds dates"),
    ],
)
def test_times_are_no_numbers(values, problem):
    pandas.DataFrame({"a": A, "t": values}).to_parquet("data.parquet")
    with pytest.raises(ValueError, match=problem):
        files.read("data.parquet")


def test_a_first_column_without_a_name():
    told = "the first column has no name, and is read as the names of the rows"
    rows = files.read(write(",a", map(chr, range(97, 97 + N)), A))
    assert rows.names.tolist()[:2] == ["a", "b"]
    assert told in rows.notices
    rows = files.read(write(",a,b", [""] * N, A, B))
    assert rows.names.tolist()[:2] == [0, 1]
    assert told not in rows.notices
    rows = files.read(write("a,,b", A, C, B))
    assert 'columns without a name are called "Unnamed: 1"' in rows.notices


def test_rows_without_a_category_are_said():
    rows = files.read(write("fuel,a", ["petrol", "", "diesel"] * 4, A), one_hot=["fuel"], missing="median")
    assert rows.x[1, 1:].tolist() == [0, 0]
    assert '4 rows without a value in "fuel" have 0 in each feature of it' in rows.notices


RECORDS = [{"a": float(a), "b": float(b)} for a, b in zip(A, B, strict=True)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[" + ", ".join(f'{{"a": {a}, "b": {b}}}' for a, b in zip(A, B, strict=True)) + "]", None),
        (pandas.DataFrame(RECORDS).to_json(orient="records", indent=1), None),
        *((end.join(map(json.dumps, RECORDS)) + end, None) for end in ("\n", "\r\n", "\r")),
        (pandas.DataFrame(RECORDS).to_json(), "pandas writes rows by orient='records'"),
        (pandas.DataFrame(RECORDS).to_json(orient="split"), '"columns", "index", "data". pandas writes rows by'),
        (pandas.DataFrame(RECORDS).to_json(orient="table"), r'list of objects in "schema.fields" \(3\), "data" \(12\)'),
        (json.dumps({"data": RECORDS}), r'list of objects in "data" \(12\). Write such a list alone to the file'),
        (json.dumps({"data": RECORDS}, indent=1), r'list of objects in "data" \(12\)'),
        (json.dumps({"status": "ok", "count": 12, "data": RECORDS}), r'list of objects in "data" \(12\)'),
        (json.dumps({"result": {"rows": RECORDS, "page": 1}}), r'list of objects in "result.rows" \(12\)'),
        ('{"a": 1, "a": 2}\n{"a": 2, "b": 2}', "has the name 'a' twice"),
        ('{"a": 1, "b": 2}\n{"a": 2', "not JSON in line 2"),
        ("[1, 2]", "objects of names and values"),
    ],
)
def test_json(content, problem):
    pathlib.Path("data.json").write_text(content)
    if problem is None:
        np.testing.assert_allclose(files.read("data.json").x, np.column_stack([A, B]))
    else:
        with pytest.raises(ValueError, match=problem):
            files.read("data.json")


@pytest.mark.parametrize("form", ["[%s]", "[\n%s\n]", "%s\n"])
@pytest.mark.parametrize("places", [[], [{"x": 1}, {"x": 2}], {"x": [{"y": 1}]}])
def test_one_row_of_json_may_hold_objects(places, form):
    name = "data.json" if "[" in form else "data.jsonl"
    pathlib.Path(name).write_text(form % json.dumps({"a": 1.5, "places": places}))
    assert files.read(name, drop="places").x.tolist() == [[1.5]]


@pytest.mark.parametrize("name", ["a\u2028b", "a\u2029b", "a\u0085b", "a\x1eb", "a\nb"])
def test_lines_of_json_end_at_line_feeds_only(name):
    records = [{"name": name, "a": 1.5}, {"name": "c", "a": 2.5}]
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    pathlib.Path("data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    rows = files.read("data.jsonl", names="name")
    assert (rows.names.tolist(), rows.x.tolist()) == ([name, "c"], [[1.5], [2.5]])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.dta", "Stata, SPSS or SAS"),
        ("a.numbers", "Save it as .xlsx"),
        ("a.sqlite", "Export a table"),
        ("a.csv.zst", "Unpack it"),
        ("a.npy.gz", "Decompress it first"),
        ("a.parquet.gz", "Decompress it first"),
        ("a.pdf", "Save the table in it"),
        ("a.png", "Give the folder of all images"),
        ("a.mtx", "as .h5ad"),
        ("a.log", "rename it to .txt"),
        ("a.pkl", "runs code when it is loaded"),
    ],
)
def test_files_of_other_programs(name, message):
    pathlib.Path(name).write_bytes(b"a,b\n1,2\n")
    with pytest.raises(ValueError, match=message):
        files.read(name)


def test_arff_in_other_encodings_and_forms():
    text = "@relation r\n@attribute größe numeric\n@attribute b numeric\n@data\n1,2\n3,4\n"
    pathlib.Path("a.arff").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="--encoding"):
        files.read("a.arff")
    assert files.read("a.arff", encoding="latin-1").features == ["größe", "b"]
    pathlib.Path("a.arff").write_text(text.replace("1,2", "{0 1, 1 2}"), encoding="utf-8")
    with pytest.raises(ValueError, match="sparse, in braces"):
        files.read("a.arff")


def test_a_skip_of_0_is_an_option():
    pandas.DataFrame({"a": A}).to_parquet("data.parquet")
    with pytest.raises(ValueError, match="--skip does not apply to a table"):
        files.read("data.parquet", skip=0)
