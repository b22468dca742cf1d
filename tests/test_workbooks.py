"""Workbooks as openpyxl, xlwt and pandas write them: visible values, and what the cells do not contain."""

import pathlib
import shutil
import struct
import zipfile

import numpy as np
import pandas
import pytest

from deckeras import files

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("python_calamine")
X = np.random.default_rng(0).normal(50, 9, (12, 3)).round(2)
TABLE = [["a", "b", "c"], *X.tolist()]
SMALL_XLS = pathlib.Path(__file__).parent / "files" / "small.xls"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def book(lines=TABLE, change=lambda book, sheet: None, name="data.xlsx"):
    """Write a workbook, and return its name."""
    made = openpyxl.Workbook()
    for line in lines:
        made.active.append(line)
    change(made, made.active)
    made.save(name)
    return name


def binary_book(name):
    """Write an .xlsb workbook of `TABLE` from the records that the format is made of (MS-XLSB), and return its name."""
    rows = [_record(0, struct.pack("<IIHBBBIII", 0, 0, 300, 0, 0, 0, 1, 0, 2))]
    rows += [_record(6, struct.pack("<II", column, 0) + _wide(text)) for column, text in enumerate(TABLE[0])]
    for number, row in enumerate(X, 1):
        rows.append(_record(0, struct.pack("<IIHBBBIII", number, 0, 300, 0, 0, 0, 1, 0, 2)))
        rows += [_record(5, struct.pack("<IId", column, 0, value)) for column, value in enumerate(row)]
    sheet = _record(129) + _record(148, struct.pack("<4I", 0, len(X), 0, 2)) + _record(145) + b"".join(rows)
    names = _record(156, struct.pack("<II", 0, 1) + _wide("rId1") + _wide("Sheet1"))
    office, package = (f"http://schemas.openxmlformats.org/{part}/2006" for part in ("officeDocument", "package"))
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        file.writestr(
            "xl/_rels/workbook.bin.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Target="worksheets/sheet1.bin" '
            f'Type="{office}/relationships/worksheet"/></Relationships>',
        )
        file.writestr("xl/workbook.bin", _record(131) + _record(143) + names + _record(144) + _record(132))
        file.writestr("xl/worksheets/sheet1.bin", sheet + _record(146) + _record(130))
    return name


def _record(kind, data=b""):
    number = bytes([kind]) if kind < 128 else bytes([kind % 128 + 128, kind // 128])
    assert len(data) < 128
    return number + bytes([len(data)]) + data


def _wide(text):
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def hide(book, sheet):
    sheet.column_dimensions["B"].hidden = True
    sheet.row_dimensions[4].hidden = True


def filter_rows(book, sheet):
    sheet.auto_filter.ref = "A1:C13"
    for number in range(3, 9):
        sheet.row_dimensions[number].hidden = True


def compute(book, sheet):
    sheet["D1"] = "sum"
    for number in range(2, 14):
        sheet[f"D{number}"] = f"=A{number}+B{number}"


def hide_another(book, sheet):
    other = book.create_sheet("lists")
    other.append([1, 2])
    other.sheet_state = "hidden"


def draw(book, sheet):
    chart = openpyxl.chart.LineChart()
    chart.add_data(openpyxl.chart.Reference(sheet, min_col=1, min_row=1, max_row=13))
    book.create_chartsheet("drawn").add_chart(chart)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (hide, ["hidden rows are read, too: 1, such as those of a filter", "hidden columns are read, too: B"]),
        (filter_rows, ["hidden rows are read, too: 6, such as those of a filter"]),
        (compute, ["formulas without a stored value are read as missing: D2, D3, D4, D5, D6 and 7 more."]),
        (hide_another, ['sheet "Sheet" of 2']),
        (draw, []),
        (lambda book, sheet: None, []),
    ],
)  # fmt: skip
def test_what_the_cells_do_not_say(change, told):
    rows = files.read(book(change=change))
    np.testing.assert_array_equal(rows.x, X)
    said = [notice for notice in rows.notices[1:] if not notice.startswith("left out, because no row has a value")]
    assert len(said) == len(told)
    assert all(notice.startswith(start) for notice, start in zip(said, told, strict=True))


def test_a_sheet_without_cells():
    name = book(change=lambda book, sheet: book.create_sheet("empty"))
    with pytest.raises(ValueError, match="has no cells in the sheet 'empty'. The sheets with cells are 'Sheet'"):
        files.read(name, key="empty")


def test_names_of_merged_cells():
    lines = [["size", None, "mass"], ["low", "high", "all"], *X.tolist()]
    rows = files.read(book(lines, lambda book, sheet: sheet.merge_cells("A1:B1")))
    assert rows.features == ["size low", "size high", "mass all"]
    np.testing.assert_array_equal(rows.x, X)


@pytest.mark.parametrize("name", ["data.xlsx", "data.xlsm", "data.xls"])
def test_the_content_decides_which_kind_of_workbook(name):
    np.testing.assert_array_equal(files.read(book(name=name)).x, X)


@pytest.mark.parametrize("name", ["data.xls", "data.xlsx"])
def test_xls(name):
    """The file was written by xlwt: a title, three columns, of which one is of dates and one of true and false."""
    shutil.copy(SMALL_XLS, name)
    with pytest.raises(ValueError, match='column "day" holds dates, such as "2024-01-01'):
        files.read(name)
    rows = files.read(name, drop=["day"])
    assert rows.features == ["größe", "flag"]
    np.testing.assert_array_equal(rows.x, [[0.5, 1], [1.5, 0], [2.5, 1], [3.5, 0], [4.5, 0]])
    assert rows.notices == [
        "3 columns, first line taken as names",
        'sheet "Sheet1" of 2',
        'the line "Made in 2024" above the table is left out',
        'numbers that count up, such as row numbers or times: "größe". --drop them if they are not features',
        'true and false are read as 1 and 0 in "flag"',
    ]


def test_ods():
    pytest.importorskip("odf")
    pandas.DataFrame(X, columns=list("abc")).to_excel("data.ods", engine="odf", index=False)
    np.testing.assert_array_equal(files.read("data.ods").x, X)


@pytest.mark.parametrize("name", ["data.xlsb", "data.xlsx"])
def test_xlsb(name):
    rows = files.read(binary_book(name))
    np.testing.assert_array_equal(rows.x, X)
    assert rows.features == list("abc")


@pytest.mark.parametrize("name", ["data.xlsx", "data.xls", "data.xlsb"])
@pytest.mark.parametrize("size", [0, 3, 600, 3000])
def test_torn_workbooks(name, size, capfd):
    write = {"data.xlsx": lambda name: book(name=name), "data.xlsb": binary_book}
    whole = pathlib.Path(write[name]("whole")) if name in write else SMALL_XLS
    pathlib.Path(name).write_bytes(whole.read_bytes()[:-30][:size])
    with pytest.raises(ValueError, match=f"'{name}' is damaged"):
        files.read(name)
    assert capfd.readouterr().out == ""
