"""Tables as common programs write them are read correctly, or refused with advice."""

import csv
import gzip
import io
import lzma
import pathlib
import zipfile

import numpy as np
import pandas
import pytest

from deckeras import files
from deckeras.files import csv_records, headers, numerals

X = np.array([[0.5, 1.25], [1.5, -2], [2.5, 3], [4.5, 0.75], [3.5, 1], [0.25, 9]])
LINES = "\n".join(f"{a:g},{b:g}" for a, b in X) + "\n"


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text, name="data.csv", encoding="utf-8"):
    with open(name, "w", encoding=encoding, newline="") as file:
        file.write(text)
    return name


def lines(sep=",", decimal=".", after=""):
    return "".join(sep.join(f"{value:g}".replace(".", decimal) for value in row) + after + "\n" for row in X)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"length\n(mm)",b\n' + LINES, "comma-separated, 2 columns, first line taken as names"),
        ('"a, b, c";"d, e"\n' + lines(";"), "semicolon-separated, 2 columns"),
        ("a, b, c;d, e\n" + lines(";"), "semicolon-separated, 2 columns"),
        ("\n\n  \na,b\n" + LINES, "comma-separated"),
        ("# made by hand\n# by me, for you\na,b\n" + LINES, 'lines that begin with "#" are left out'),
        ("Sales of 2023\n\na,b\n" + LINES, 'the line "Sales of 2023" above the table is left out'),
        ("sep=;\na;b\n" + lines(";"), "semicolon-separated"),
        ("a|b\n" + lines("|"), "bar-separated"),
        ("a b\n" + lines(" "), "blank-separated"),
        ("a\tb\n" + lines("\t"), "tab-separated"),
        ("  a    b\n" + lines("   "), "blank-separated"),
        ("a, b\n" + lines(", "), "comma-separated"),
        ("a;b\n" + lines(";", ","), 'decimal commas in "a", "b"'),
        ("a\tb\n" + lines("\t", ","), 'decimal commas in "a", "b"'),
        ("a,b,\n" + lines(after=","), 'no row has a value: "Unnamed: 2"'),
        ("a,b\n" + lines(after=","), 'no row has a value: "Unnamed: 2"'),
        ("a,b\n[mm],[g]\n" + LINES, 'the second line, "[mm]", "[g]", is left out'),
        ("# a b\n" + lines(" "), "the last line of comments taken as names"),
        ("a,a\n" + LINES, 'repeated names of columns are numbered: "a"'),
        ("1001,1002\n" + LINES, "first line taken as names"),
        (LINES, "no line of names"),
        ("'a','b'\n" + "".join(f"'{a}','{b}'\n" for a, b in X), "first line taken as names"),
        ("a,b\r\n" + LINES.replace("\n", "\r\n"), "comma-separated"),
        ("a,b\r" + LINES.replace("\n", "\r"), "comma-separated"),
    ],
)
def test_what_stands_around_the_rows(text, said):
    rows = files.read(write(text))
    np.testing.assert_array_equal(rows.x, X)
    assert said in "; ".join(rows.notices)


@pytest.mark.parametrize(
    ("name", "text", "x"),
    [
        ("data.tsv", "a,b\n" + LINES, X),
        ("data.tsv", "a\tb\n" + lines("\t", ","), X),
        ("data.data", LINES, X),
        ("data.txt", "a;b\n" + lines(";"), X),
        ("data.tab", "a\tb\n" + lines("\t"), X),
    ],
)
def test_names_of_files_do_not_decide(name, text, x):
    np.testing.assert_array_equal(files.read(write(text, name)).x, x)


@pytest.mark.parametrize("n", [6, 200])
@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("last", ["address", "house no"])
@pytest.mark.parametrize(
    ("name", "sep", "cell"),
    [
        (name, sep, cell)
        for name, sep in [("data.tsv", "\t"), *(("data.txt", sep) for sep in "\t;|,")]
        for cell in ["Mainstreet 1", "1 3", "3 rooms 2 baths", "2020-01-01 10:00"]
        if (sep, cell) != (",", "1 3")  # 0,1 3 may be 0.1 and 3
    ],
)
def test_blanks_in_cells_do_not_separate(name, sep, cell, last, before, n):
    names = [*"ab"[:before], last]
    rows = [[*(f"{i * (j + 1)}" for j in range(before)), cell] for i in range(n)]
    write("".join(sep.join(line) + "\n" for line in [names, *rows]), name)
    read = files.read(name, drop=last)
    assert (read.features, len(read.x)) == (names[:-1], n)


@pytest.mark.parametrize(
    ("name", "text", "features"), [("data.tsv", "place,lat,lon", ["size"]), ("data.txt", "size\tplace", ["lat", "lon"])]
)
def test_a_name_of_a_file_decides_between_regular_tables(name, text, features):
    write("size\tplace,lat,lon\n" + "5\tA,2,3\n7\tB,4,5\n" * 4, name)
    assert files.read(name, drop=text).features == features


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("a b\n" + lines(" ", ","), (6, 2)),
        (lines(" ", ","), (6, 2)),
        (lines("  ", ",").replace("  ", " \t"), (6, 2)),
        ("city n\n" + "Paris,FR 5\nRome,IT 7\n" * 100, (200, 1)),
    ],
)
def test_blanks_separate_beside_other_signs(text, shape):
    drop = "city" if "city" in text else ()
    assert files.read(write(text, "data.txt"), drop=drop).x.shape == shape


@pytest.mark.parametrize(
    ("first", "rest", "expected"),
    [
        ("0,1,2,label", "0.1,0.5,0.2,3/0.7,0.3,0.1,4", True),
        (",0,1", "7,0.5,0.1/8,0.2,0.1", True),
        ("2018,2019,2020", "5,7,3/4,4,1/9,8,2/1,2,3/6,6,6", True),
        ("400.5,401.2,402.9", "0.1,0.2,0.1/0.3,0.2,0.2/0.1,0.1,0.4/0.2,0.2,0.2/0.5,0.1,0.1", True),
        ("4711,1023", "0.5,0.1/0.2,0.7", True),
        ("a,b", "1,2/3,4", True),
        ("id,fuel", "A,petrol/B,diesel", True),
        ("5.1,3.5,rose", "4.9,3.0,lily/4.7,3.2,rose", False),
        ("1,2,3", "4,5,6/7,8,9", False),
        ("1,2", "3,4/5,6", False),
        ("1,?,3", "4,5,6/7,8,9", False),
        ("1,,3", "4,5,6/7,8,9", False),
        ("0.5;1,2", "0.1,0.2", True),
        ("12 %;$1", "13 %;$2/15 %;$3/12 %;$1/9 %;$4/8 %;$3", False),
        ("31,900,47", "1,3,2/5,4,1/2,5,1/3,2,2/2,2,4", None),
    ],
)
def test_first_line(first, rest, expected):
    sep = ";" if ";" in rest else ","
    assert headers.has_names(first.split(sep), [line.split(sep) for line in rest.split("/")]) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0,13", "-0,5"], [0.13, -0.5]),
        (["1,000", "901", "1,171"], [1000, 901, 1171]),
        (["1,234,567", "3,000"], [1234567, 3000]),
        (["1.234,5", "7"], [1234.5, 7]),
        (["1,234.5", "7"], [1234.5, 7]),
        (["1 234,5", "2"], [1234.5, 2]),
        (["1\u202f234,5", "2"], [1234.5, 2]),
        (["1'234", "5"], [1234, 5]),
        (["12 %", "3.5%"], [12, 3.5]),
        (["$1,200.50", "$3"], [1200.5, 3]),
        (["3 €", "1.200,50 €"], [3, 1200.5]),
        (["EUR 3", "EUR 4.5"], [3, 4.5]),
        (["(1,200)", "3"], [-1200, 3]),
        (["5-", "1.5"], [-5, 1.5]),
        (["−5,5", "3"], [-5.5, 3]),
        (["1,5e-3", "2"], [0.0015, 2]),
        (["0,123", "0,500"], [0.123, 0.5]),
        (["123456789012345678901234", "1"], [123456789012345678901234.0, 1]),
        (["TRUE", "FALSE"], [1, 0]),
    ],
)
def test_numbers_as_people_write_them(values, expected):
    """Each in a column of its own, between others that say nothing, and of six rows."""
    rows = pandas.DataFrame({"n": range(7, 13), "value": (values * 6)[:6]})
    rows.to_csv("data.csv", index=False, sep=";", quoting=csv.QUOTE_NONNUMERIC)
    read = files.read("data.csv")
    np.testing.assert_allclose(read.x[:, 1], (expected * 6)[:6])


def test_a_column_is_read_by_what_others_show():
    comma = files.read(write("a;b\n1,234;0,5\n5,678;1\n"))
    np.testing.assert_array_equal(comma.x, [[1.234, 0.5], [5.678, 1]])
    point = files.read(write('a,b\n"1,234",0.5\n"5,678",1\n'))
    np.testing.assert_array_equal(point.x, [[1234, 0.5], [5678, 1]])
    table = "a;b\n1.234;0.5\n5.678;1\n"
    np.testing.assert_array_equal(files.read(write(table)).x, [[1.234, 0.5], [5.678, 1]])
    with pytest.raises(ValueError, match=r'column "a" .* --decimal "." or --thousands "." --decimal ","'):
        files.read(write(table.replace("0.5", "5")))
    np.testing.assert_array_equal(files.read("data.csv", decimal=".").x[:, 0], [1.234, 5.678])
    np.testing.assert_array_equal(files.read("data.csv", decimal=",", thousands=".").x[:, 0], [1234, 5678])
    np.testing.assert_array_equal(files.read(write("a;b\n1.230;5\n561;1\n")).x[:, 0], [1230, 561])
    dots = files.read(write("a;b\n1.234;0,5\n5.678;1\n12.345.678;1\n"))
    np.testing.assert_array_equal(dots.x[:, 0], [1234, 5678, 12345678])


@pytest.mark.parametrize("last", ["3,5", "-3,5", "+3,5", "1,29e-81"])
def test_one_column_of_decimal_commas_is_refused(last):
    """It may as well be two columns below a title; numbers that only two columns can have are read as these."""
    write(f"a\n0,5\n0,0\n{last}\n")
    with pytest.raises(ValueError, match='--sep ";" for one column'):
        files.read("data.csv")
    assert files.read(write("title\n0,5\n0,0\n3,-5\n")).x.shape == (3, 2)


def test_what_can_be_read_in_two_ways_is_refused():
    write('a,b\n"1,234",5\n"5,678",7\n')
    with pytest.raises(ValueError, match='"1,234", with decimals or with thousands: --decimal "," or --thousands ","'):
        files.read("data.csv")
    np.testing.assert_array_equal(files.read("data.csv", thousands=",").x[:, 0], [1234, 5678])
    np.testing.assert_array_equal(files.read("data.csv", decimal=",").x[:, 0], [1.234, 5.678])
    write("a\n0,5\n1,25\n3,5\n")
    with pytest.raises(ValueError, match='may be the name of one column .*--sep ";" .* or --skip 1 for two'):
        files.read("data.csv")
    np.testing.assert_array_equal(files.read("data.csv", sep=";").x, [[0.5], [1.25], [3.5]])
    assert files.read("data.csv", skip=1).x.shape == (3, 2)
    write("31,900,47\n1,3,2\n5,4,1\n2,5,1\n3,2,2\n2,2,4\n")
    with pytest.raises(ValueError, match="--header if it does, or --no-header"):
        files.read("data.csv")
    assert len(files.read("data.csv", header=False).x) == 6
    write("a,b\n1,2,3\n5,4,3\n2,8,3\n")
    with pytest.raises(ValueError, match="line of names has 2 cells, .* most lines have 3"):
        files.read("data.csv")


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        (["2021-03-04"] * 6, 'holds dates, such as "2021-03-04": --drop "c"'),
        (["04.03.2021", "05.03.2021"] * 3, "holds dates"),
        (["10:30"] * 6, "holds dates"),
        (["1.5 kg"] * 6, 'write the numbers without "kg"'),
        (["1", "2", "?x", "4", "5", "6"], r'"\?x" \(row 3\): --na "\?x" if that means a missing value'),
        (["12 %", "3"] * 3, "in different forms"),
        (["1", "2", "inf", "4", "5", "6"], r"holds infinity in 1 of 6 rows \(row 3\): --na inf"),
        (["1", "2", "", "4", "5", "6"], r'values are missing in "c" \(1\): --missing median'),
        ([f"name {n}" for n in range(6)], '--names "c" if these are the names'),
        (["red", "blue"] * 3, '--one-hot "c" to make its 2 values features'),
    ],
)
def test_advice(column, advice):
    pandas.DataFrame({"a": X[:, 0], "c": column}).to_csv("data.csv", index=False)
    with pytest.raises(ValueError, match=advice) as error:
        files.read("data.csv")
    assert '--na "1' not in str(error.value)  # which would delete numbers


def test_columns_that_are_no_features_are_pointed_at():
    random = np.random.default_rng(0)
    n = 40
    frame = pandas.DataFrame({f"f{i}": random.normal(size=n) for i in range(3)})
    frame["row"], frame["time"] = range(100, 100 + n), 0.25 * np.arange(n)
    frame["customer_id"] = random.permutation(10_000)[:n]
    frame["when"] = 1_600_000_000 + random.integers(0, 10**7, n)
    frame["same"], frame["copy"] = 7, frame["f1"]
    frame["gas"] = np.where(np.arange(n) % 5 == 0, -200, random.random(n))
    for number in range(30):
        frame[f"zero{number}"] = 0
    frame.to_csv("data.csv", index=False)
    notices = files.read("data.csv").notices
    words = ["same value", "count up", "identifiers", "since 1970", "copies", "frequent value"]
    assert len(notices) == 1 + len(words)
    assert all(word in notice for word, notice in zip(words, notices[1:], strict=True))
    assert '"same", "zero0", "zero1", "zero2", "zero3" and 26 more' in notices[1]
    assert '"row", "time"' in notices[2]
    assert '"copy" of "f1"' in notices[5]
    assert '-200 in "gas" (8 rows)' in notices[6]
    assert np.isclose(files.read("data.csv", na=["-200"], missing="drop").x.shape[0], 32)


@pytest.mark.parametrize(
    ("value", "low", "high", "told"),
    [
        (-200, 2, 1400, True),
        (-999, 0, 5000, True),
        (-1, 0, 80, True),
        (9999, 0, 40, True),
        (999, 100, 700, True),
        (-3, 0, 80, False),
        (0, 50, 60, False),
        (705, 100, 700, False),
    ],
)
def test_values_that_stand_for_missing_ones(value, low, high, told):
    numbers = np.random.default_rng(0).uniform(low, high, 300).round(1)
    numbers[::30] = value
    pandas.DataFrame({"a": numbers}).to_csv("data.csv", index=False)
    assert any(f'{value} in "a" (10 rows)' in notice for notice in files.read("data.csv").notices) == told


def test_plain_columns_are_not_pointed_at():
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "count": random.poisson(0.3, 200),
            "age": random.integers(18, 90, 200),
            "smoker": random.integers(0, 2, 200),
            "price": random.lognormal(3, 2, 200).round(2),
        }
    )
    frame.to_csv("data.csv", index=False)
    assert len(files.read("data.csv").notices) == 1


def test_row_names_as_pandas_and_r_write_them():
    pandas.DataFrame(X, columns=["a", "b"], index=[f"r{n}" for n in range(6)]).to_csv("data.csv")
    assert files.read("data.csv").names.tolist() == [f"r{n}" for n in range(6)]
    write('"a" "b"\n' + "".join(f'"{n + 1}" {a:g} {b:g}\n' for n, (a, b) in enumerate(X)), "r.txt")
    rows = files.read("r.txt")
    np.testing.assert_array_equal(rows.x, X)
    assert "names of the rows" in rows.notices[1]
    np.savetxt("numpy.txt", X, header="a b")
    assert files.read("numpy.txt").features == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_that_show(encoding):
    rows = files.read(write("größe,b\n" + LINES, encoding=encoding))
    assert rows.features == ["größe", "b"]
    np.testing.assert_array_equal(rows.x, X)


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("utf-8-sig", "utf8"),
        ("utf-8-sig", "U8"),
        ("utf-8-sig", "UTF_8"),
        ("utf-8", "utf_8_sig"),
        ("utf-16", "utf16"),
        ("utf-16-le", "UTF_16LE"),
        ("utf-32", "U32"),
        ("latin-1", "iso8859"),
        ("cp1252", "windows-1252"),
    ],
)
def test_encodings_by_any_of_their_names(written, given):
    rows = files.read(write("größe,b\n" + LINES, encoding=written), encoding=given)
    assert rows.features == ["größe", "b"]
    np.testing.assert_array_equal(rows.x, X)


def test_new_files_may_have_another_encoding():
    """Unless it was given, the encoding is that of each file."""
    layout = files.read(write("größe,b\n" + LINES)).layout
    for encoding in "utf-8-sig", "utf-16", "utf-32":
        rows = files.read_like(write("größe,b\n" + LINES, encoding=encoding), layout)
        np.testing.assert_array_equal(rows.x, X)
    layout = files.read(write("größe,b\n" + LINES, encoding="cp1252"), encoding="cp1252").layout
    np.testing.assert_array_equal(files.read_like(write("größe,b\n" + LINES, encoding="cp1252"), layout).x, X)


@pytest.mark.parametrize("cell", ["①", "²", "9" * 5000])
def test_digits_that_python_does_not_convert(cell):
    """As a cell, in the first column without a name, and in the first line."""
    table = write(f"a,b,c\n{cell},1,2\n1,3,4\n{cell},1,5\n")
    with pytest.raises(ValueError, match='"a"'):
        files.read(table)
    names = files.read(write(f"a,b\n{cell},1,2\nx,3,4\n"))
    np.testing.assert_array_equal(names.x, [[1, 2], [3, 4]])
    assert list(names.names) == [cell, "x"]


@pytest.mark.parametrize("name", ["data.csv.gz", "data.csv.xz", "data.csv.bz2", "data.csv.zip", "data.csv"])
def test_compressed(name):
    pandas.DataFrame(X, columns=["a", "b"]).to_csv(name, index=False)
    if name == "data.csv":
        path = pathlib.Path(name)
        path.write_bytes(gzip.compress(path.read_bytes()))
    rows = files.read(name)
    np.testing.assert_array_equal(rows.x, X)
    assert ("compressed by gzip" in " ".join(rows.notices)) == (name == "data.csv")


def test_lines_of_comments_within_a_table():
    rows = files.read(write('# x\na,b\n1,2\n# pause\n"4\n# no comment",3\n5,6\n'), names="a")
    assert rows.names.tolist() == ["1", "4\n# no comment", "5"]
    write("# x\na,b\n1,2\n#4,3\n5,6\n")
    with pytest.raises(ValueError, match='as comments do, .*"#4,3".*--comment "#"'):
        files.read("data.csv")
    np.testing.assert_array_equal(files.read("data.csv", comment="#").x, [[1, 2], [5, 6]])
    rows = files.read(write("% x\na,b\n1,2\n%\n5,6\n"), comment="%")
    np.testing.assert_array_equal(rows.x, [[1, 2], [5, 6]])
    rows = files.read(write("// x\na,b\n1,2\n//\n5,6\n"), comment="//")
    np.testing.assert_array_equal(rows.x, [[1, 2], [5, 6]])


@pytest.mark.parametrize(
    "text", ["#,0.5,1\na,1.5,2\nb,2.5,3\n", "# x\n#,0.5,1\na,1.5,2\n", "#;0,5;1\na;1,5;2\nb;2,5;3\n"]
)
def test_rows_above_a_table_that_look_like_comments(text):
    """A name may be "#"; a line of prose, or of the names of the columns, is no row."""
    write(text)
    with pytest.raises(ValueError, match='as comments do, .*--comment "#"'):
        files.read("data.csv", names="0", header=False)
    assert len(files.read("data.csv", names="0", header=False, comment="#").x) == text.count("\n") - text.count("#")


@pytest.mark.parametrize("above", ["# made by hand, in May, twice\n", "#,height,weight\n"])
def test_comments_above_a_table_are_no_rows(above):
    rows = files.read(write(f"{above}1,2.5,3\n2,3.5,4\n3,4.5,7\n"))
    assert len(rows.x) == 3


def _zip(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "no rows"),
        (b"a,b\n", "should have rows"),
        (b"a,b\n1,2\n1,2,3,4\n5,6\n", "line 3 has 4 cells, the others have 2"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "a quotation mark has no end"),
        (b"\x00\x01\x02\x03" * 99, "not text"),
        (b"\x89HDF\r\n\x1a\n" + b"\x00" * 99, "an HDF5 file: name it .h5"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (gzip.compress(LINES.encode())[:-12], "cannot be decompressed"),
        (lzma.compress(LINES.encode())[:-12], "cannot be decompressed"),
        (_zip(one=LINES, two=LINES), "should hold one file. Received: 2"),
        (_zip(**{"xl/workbook.xml": "x"}), "an Excel workbook: name it .xlsx"),
        ("größe,b\n1,2\n".encode("cp1252"), '--encoding, such as cp1252, in which it reads "größe,b"'),
    ],
)
def test_no_tables(content, message):
    with open("data.csv", "wb") as file:
        file.write(content)
    with pytest.raises(ValueError, match=message) as error:
        files.read("data.csv")
    assert "data.csv" in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sep": "ab"}, "sep should be a character"),
        ({"comment": " "}, "comment should be text"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands should differ"),
        ({"skip": -1}, "skip should be at least 0"),
        ({"skip": 99}, "skip should be less"),
        ({"image_shape": (2, 2)}, "--image-shape should have as many pixels"),
        ({"image_size": 8}, "--image-size does not apply to a table"),
        ({"folder_labels": True}, "--folder-labels does not apply to a table"),
        ({"key": "x"}, "--key does not apply to a table"),
        ({"encoding": "utf9"}, "encoding should be one that Python knows.*utf9"),
        ({"drop": ["A"]}, "There is no column 'A'. Do you mean 'a'"),
    ],
)
def test_options_that_do_not_fit(options, message):
    write("a,b\n" + LINES)
    with pytest.raises(ValueError, match=message):
        files.read("data.csv", **options)


def test_a_table_of_pixels():
    rows = files.read(write("a,b\n" + LINES), image_shape=(1, 2))
    assert (rows.layout.image_shape, rows.x.shape) == ([1, 2], (6, 2))


def test_new_rows_in_another_dialect():
    """One row, of which alone little can be found out."""
    layout = files.read(write("a;b;p\n1,5;2;3 %\n3,5;4;5 %\n0,5;7;1 %\n")).layout
    np.testing.assert_array_equal(files.read_like(write("a;b;p\n1,234;5;6 %\n", "new.csv"), layout).x, [[1.234, 5, 6]])
    np.testing.assert_array_equal(files.read_like(write("a\tb\tp\n1,5\t5\t6%\n", "new.csv"), layout).x, [[1.5, 5, 6]])
    point = files.read(write("a;b\n0.5;1\n0.25;2\n")).layout
    np.testing.assert_array_equal(files.read_like(write("a;b\n1.234;5\n", "new.csv"), point).x, [[1.234, 5]])
    with pytest.raises(ValueError, match='column "p" has no sign beside its numbers, but % in the fit'):
        files.read_like(write("a;b;p\n1,5;5;0,6\n", "new.csv"), layout)


@pytest.mark.parametrize("sep", [*"\t;|, ", *"~:^!/_"])
def test_new_rows_with_the_separator_of_the_fit(sep):
    layout = files.read(write(f"a{sep}b\n" + lines(sep)), sep=sep).layout
    rows = files.read_like(write(f"a{sep}b\n1.5{sep}2\n2.5{sep}3\n", "new.csv"), layout)
    np.testing.assert_array_equal(rows.x, [[1.5, 2], [2.5, 3]])


@pytest.mark.parametrize("n", [100, 2**17, 2**17 + 1, 10**6])
@pytest.mark.parametrize("tail", ["", "4,\n"])
def test_cells_of_any_length(n, tail):
    """The csv module has a limit of 131,072 characters, which is that of the whole process."""
    limit = csv.field_size_limit()
    rows = files.read(write(f'a,note\n1,{"x" * n}\n2,short\n3,"{"y" * n}"\n{tail}'), drop=["note"])
    assert rows.x.ravel().tolist() == [1, 2, 3, 4][: len(rows.x)]
    assert csv.field_size_limit() == limit


def test_lines_that_the_csv_module_refuses():
    with pytest.raises(ValueError, match="is not a regular table: new-line .*in line 2 .*Correct the line"):
        list(csv_records.parse(["1,2\n", "3,4\r5\n"], ",", '"'))


def test_labels_may_be_missing():
    rows = files.read(write("a,kind\n1,x\n2,\n4,y\n"), labels="kind")
    assert rows.labels.tolist() == ["x", None, "y"]
    assert "1 of 3 rows have no label; the scores are those of the others" in rows.notices
    with pytest.raises(ValueError, match="the column 'kind' should hold labels. Received: none"):
        files.read(write("a,kind\n1,\n2,\n4,\n"), labels="kind")


@pytest.mark.parametrize("extension", ["csv", "parquet", "xlsx"])
def test_numbers_that_mean_missing(extension):
    pytest.importorskip({"csv": "pandas", "parquet": "pyarrow", "xlsx": "openpyxl"}[extension])
    frame = pandas.DataFrame({"a": [1, 2, np.inf, -np.inf, 3], "b": [-200.0, 3, 4, 5, -200]})
    if extension == "xlsx":
        frame["a"] = [1, 2, "inf", "-inf", 3]
    getattr(frame, {"csv": "to_csv", "parquet": "to_parquet", "xlsx": "to_excel"}[extension])(
        f"data.{extension}", index=False
    )
    rows = files.read(f"data.{extension}", na=["inf", "-200"], missing="median")
    np.testing.assert_array_equal(rows.x, [[1, 4], [2, 3], [2, 4], [2, 5], [3, 4]])


def test_signs_that_change_numbers_are_said():
    rows = files.read(write("a,b\n(5),3 %\n7,4 %\n"))
    np.testing.assert_array_equal(rows.x, [[-5, 3], [7, 4]])
    assert rows.notices[1:] == [
        'numbers in parentheses, or with a minus sign after them, are read as negative in "a"',
        '% is left out of the numbers in "b"',
    ]


def test_reading_does_not_import_keras(run_python):
    """Stand-in packages keep `deckeras/__init__.py` from doing so."""
    folder = pathlib.Path(files.__file__).parent
    source = f"""
import pathlib, sys, types
package = types.ModuleType("deckeras")
package.__path__ = [{str(folder)!r}]
sys.modules["deckeras"] = package
from deckeras import containers, files
pathlib.Path("a.csv").write_text("a,b\\n1,2\\n3,4\\n")
print(files.read("a.csv").x.shape, "keras" in sys.modules, "tensorflow" in sys.modules)
"""
    assert run_python(source).strip() == "(2, 2) False False"


def test_is_number():
    assert all(map(numerals.is_number, ["1", "-1.5", "1,5", "1e5", "inf", "3 %", "$4", " 7 ", ".5", "5."]))
    assert not any(map(numerals.is_number, ["", "a", "1a", "1.2.3", "2021-03-04", "(5", "e5", ".", "$\t0"]))


def test_a_column_of_which_some_numbers_have_decimal_commas():
    rows = files.read(write("a\n0\n0,5\n1,5\n3\n"))
    np.testing.assert_array_equal(rows.x, [[0], [0.5], [1.5], [3]])
    with pytest.raises(ValueError, match="lines have different numbers of cells, 1 in the first and 3 in most"):
        files.read(write("2023\n1,2,3\n4,5,6\n7,8,9\n"))


def test_classic_files():
    """Forms that well-known data sets are kept in, of other numbers."""
    lines = [f'{n + 10.5}   {n % 3}   {200 - n}.0      ?          70  1\t"car {n} sw"\n' for n in range(20)]
    rows = files.read(write("".join(lines), "auto.data"), names="6", na=["?"])
    assert rows.x.shape == (20, 5)  # one column has no value
    assert rows.names[3] == "car 3 sw"
    start = "|1x3 Cross validator\n"
    lines = [f"{20 + n}, State-gov, {77516 - n}, <=50K.\n" for n in range(20)]
    rows = files.read(write(start + "".join(lines), "adult.test.txt"), drop=["1"], labels="3")
    assert (rows.x.shape, rows.labels[0]) == ((20, 2), "<=50K.")
    lines = [f"{n + 1}/03/2004;{n}.00.00;{n},6;-200;;\n" for n in range(20)]
    rows = files.read(
        write("Date;Time;CO(GT);T;;\n" + "".join(lines) + ";;;;;\n" * 5, "air.csv"), drop=["Date", "Time"]
    )
    assert rows.x.shape == (20, 2)
    assert "5 rows without any value are left out" in rows.notices
    with pytest.raises(ValueError, match='column "Time" holds dates'):
        files.read("air.csv", drop=["Date"])
    preamble = "".join(f"Parameter {n}, value {n}\n" for n in range(60))
    lines = [f"{n}.5,{n},{n % 7},{n % 3}\n" for n in range(80)]
    rows = files.read(write(preamble + "\nwave,a,b,c\n" + "".join(lines)))
    assert rows.features == ["wave", "a", "b", "c"]
    assert len(rows.x) == 80
    assert 'the 60 lines from "Parameter 0 value 0" to' in " ".join(rows.notices)
    with pytest.raises(ValueError, match="svmlight"):
        files.read(write("1 3:0.5 7:1.2\n-1 2:0.5\n", "a.txt"))
    with pytest.raises(ValueError, match=".csv"):
        files.read(write("a,b\n1,2\n", "a.xls"))


def test_the_page_quotes_what_is_said():
    """The notes that docs/howto/table.md shows, on a table like the one that it speaks of."""
    random = np.random.default_rng(0)
    names = ["id", "price", "weight", "discount", *(f"sold_{month}" for month in range(9))]
    lines = ["Sales of 2023", ";".join(names)]
    for number in range(30):
        price, weight = (f"{value:.2f}".replace(".", ",") for value in random.uniform(1, 9, 2))
        sold = random.integers(99, size=9)
        lines.append(";".join(map(str, [number + 1, price, weight, f"{random.integers(1, 40)} %", *sold])))
    page = (pathlib.Path(__file__).parent.parent / "docs" / "howto" / "table.md").read_text("utf-8")
    quoted = [line.removeprefix("Note: ") for line in page.splitlines() if line.startswith("Note: ")]
    assert files.read(write("\n".join(lines))).notices == quoted


@pytest.mark.parametrize(
    ("first", "options"),
    [
        (",review", {"text": "review"}),
        ("spring,review", {"text": "review"}),
        ("spring,review", {"labels": "review", "one_hot": "spring"}),
        ("spring,review", {"names": "review", "one_hot": "spring"}),
    ],
)
def test_columns_that_the_user_names_are_in_the_line_of_names(first, options):
    """All cells are texts, so the names look like a row."""
    words = ["a red apple", "one red apple, or two", "a green pear", "the pear"]
    rows = "".join(f'{row % 3 if first[0] == "," else "summer"},"{words[row % 4]}"\n' for row in range(8))
    found = files.read(write(f"{first}\n{rows}"), **options)
    assert (found.layout.header, found.x.shape[0]) == (True, 8)


def test_names_of_columns_that_are_numbers_are_positions():
    assert files.read(write("0.5,1,a\n0.7,2,b\n"), labels="2").x.shape == (2, 2)
