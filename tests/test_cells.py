"""Cells are computed once, stored in a file, and averaged in a table."""

import csv

import cells
import pytest


def counted(value=0.5):
    calls = []

    def compute():
        calls.append(1)
        return {"acc": value}

    return calls, compute


def test_cells_are_computed_once(tmp_path):
    path = tmp_path / "cells.csv"
    first, compute_first = counted(0.1 + 0.2)
    second, compute_second = counted()
    some = [({"method": "a, b", "seed": 0}, compute_first)]
    rows = cells.run(some, path, verbose=0)
    assert rows == [{"method": "a, b", "seed": 0, "acc": 0.1 + 0.2}]
    some.append(({"method": "a, b", "seed": 1}, compute_second))
    assert cells.run(some, path, verbose=0) == [*rows, {"method": "a, b", "seed": 1, "acc": 0.5}]
    assert (len(first), len(second)) == (1, 1)
    with open(path, newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "1"]


def test_what_is_computed_before_an_error_is_kept(tmp_path):
    def fail():
        raise KeyboardInterrupt

    path = tmp_path / "cells.csv"
    calls, compute = counted()
    some = [({"seed": 0}, compute), ({"seed": 1}, fail)]
    with pytest.raises(KeyboardInterrupt):
        cells.run(some, path, verbose=0)
    cells.run(some[:1], path, verbose=0)
    assert len(calls) == 1


def test_a_file_of_other_columns_is_refused(tmp_path):
    path = tmp_path / "cells.csv"
    cells.run([({"seed": 0}, counted()[1])], path, verbose=0)
    with pytest.raises(ValueError, match="should have the columns"):
        cells.run([({"rate": 0}, counted()[1])], path, verbose=0)


def test_markdown_by_hand():
    rows = [
        {"method": method, "rate": rate, "seed": seed, "acc": acc}
        for method, rate, seed, acc in [("a", 1, 0, 0.5), ("a", 1, 1, 0.7), ("a", 2, 0, 0.25), ("b", 1, 0, 1.0)]
    ]
    assert cells.markdown(rows, "method", "rate", more={"theirs": {"b": 42.0}}).splitlines() == [
        "| method \\ rate | 1 | 2 | theirs |",
        "| --- | --- | --- | --- |",
        "| a | 60.00 ± 10.00 | 25.00 |  |",
        "| b | 100.00 |  | 42.0 |",
    ]


def test_values_of_other_names_are_refused_and_what_is_there_stays(tmp_path):
    path = tmp_path / "cells.csv"
    cells.run([({"seed": 0}, counted()[1])], path, verbose=0)
    before = path.read_bytes()
    for values in {"nmi": 0.5}, {"acc": 0.5, "nmi": 0.5}:
        with pytest.raises(ValueError, match=r"should have the columns .*of another experiment"):
            cells.run([({"seed": 1}, lambda values=values: values)], path, verbose=0)
    assert path.read_bytes() == before


def test_no_cells(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        cells.run([], tmp_path / "cells.csv")
