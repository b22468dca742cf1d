"""Quotation marks in tables: one that is not closed is refused, and texts of several lines are read."""

import csv

import pytest

from deckeras import files

N = 40


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(rows, sep, place):
    """Write rows of numbers i and i * i and a text, in quotation marks or not, at one of three places."""
    lines = []
    for i, text in enumerate(rows):
        cells = [str(i), str(i * i)]
        cells.insert(place, text)
        lines.append(sep.join(cells))
    names = ["a", "b"]
    names.insert(place, "comment")
    with open("data.csv", "w", encoding="utf-8", newline="") as file:
        file.write("\n".join([sep.join(names), *lines]) + "\n")
    return "data.csv"


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
@pytest.mark.parametrize("use", ["drop", "names", "one_hot"])
@pytest.mark.parametrize(
    ("form", "changed", "lines"),
    [
        ("note {}", {5: '"5 inch pipe', 30: '"another'}, (7, 32)),
        ("note {}", {5: '"5 inch pipe', 30: '"another"'}, (7, 32)),
        ("note {}", {5: '"5 inch pipe', 30: 'pipe of 5"'}, (7, 32)),
        ("note {}", {5: '"5 inch pipe', 7: '"another'}, (7, 9)),
        ("note {}", {5: '"5 inch pipe', 6: '"another'}, (7, 8)),
        ('"note {}"', {5: '"5 inch pipe'}, (7, 8)),
        ("note {}", {1: '"one\ntwo"', 5: '"5 inch pipe', 30: '"another'}, (8, 33)),
        ("", {5: '"5 inch pipe', 30: '"another'}, (7, 32)),
    ],
)
def test_a_mark_without_end_is_refused(form, changed, lines, use, sep, place):
    write([changed.get(i, form.format(i)) for i in range(N)], sep, place)
    with pytest.raises(ValueError, match=f"mark in line {lines[0]} that is closed in line {lines[1]}, .* 3 cells"):
        files.read("data.csv", **{use: "comment"})


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
@pytest.mark.parametrize(
    "text",
    [
        "one\ntwo",
        "one\n\ntwo\nthree",
        "first, second, third\nfourth, fifth, sixth\nand, so, on",
        "1, 2, apples\n3, 4, pears\n5, 6, plums",
        "a,b,c\nd,e,f\ng,h,i",
        "a;b\tc,d\n1;2\t3,4\ne;f\tg,h",
        'he said "yes, no, yes"\nand "no"\n"',
        '"',
        '5"\n6"',
    ],
)
def test_texts_of_several_lines_are_read(text, sep, place):
    rows = ["note"] * N
    rows[5] = rows[30] = '"' + text.replace('"', '""') + '"'
    read = files.read(write(rows, sep, place), names="comment")
    assert read.x.tolist() == [[i, i * i] for i in range(N)]
    assert read.names[5] == text


@pytest.mark.parametrize("first", ["3, rue de Paris", "3,rue de Paris"])
def test_a_table_of_a_number_and_addresses(first):
    with open("data.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "address"], *([i, f"{first}\n75000 Paris\nFrance"] for i in range(N))])
    assert len(files.read("data.csv", drop="address").x) == N


@pytest.mark.parametrize("text", ['5" pipe', 'a "b" c', 'x"'])
def test_marks_inside_of_cells_are_text(text):
    read = files.read(write([text] * N, ",", 2), names="comment")
    assert (read.names[0], len(read.x)) == (text, N)
