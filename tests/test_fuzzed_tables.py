"""Tables of all kinds, written by Python's csv module, are read back unchanged or refused with the cause."""

import csv
import os
import tempfile

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from deckeras import files

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
_NAMES = st.text("abcdefgh äß_()/°", min_size=1, max_size=9).filter(lambda name: name.strip() == name)
_NUMBERS = st.one_of(
    st.integers(-10_000, 10_000).map(float),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3)),
    st.floats(-1e3, 1e3, allow_nan=False),
)


@st.composite
def tables(draw):
    """A table, and how it is written."""
    n, width = draw(st.integers(3, 25)), draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["integers", "decimals", "any"]))
    numbers = {
        "integers": st.integers(-1000, 10_000).map(float),
        "decimals": st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 2)),
        "any": _NUMBERS,
    }[kind]
    values = np.array(draw(st.lists(numbers, min_size=n * width, max_size=n * width))).reshape(n, width)
    gaps = draw(st.booleans())
    missing = np.array(draw(st.lists(st.integers(0, 9), min_size=n * width, max_size=n * width))).reshape(n, width) == 0
    names = draw(st.lists(_NAMES, min_size=width, max_size=width, unique=True))
    return {
        "x": np.where(missing & gaps, np.nan, values),
        "names": names if draw(st.booleans()) else None,
        "texts": draw(st.one_of(st.none(), st.lists(_TEXT, min_size=n, max_size=n, unique=True))),
        "sep": draw(st.sampled_from(",;\t| ")),
        "decimal": draw(st.sampled_from(".,")),
        "end": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        "quote": draw(st.sampled_from('"""\'')),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        "above": draw(st.sampled_from(["", "", "", "# note", "\n"])),
        "whole": draw(st.booleans()),
    }


def _cell(value, decimal, whole):
    if np.isnan(value):
        return ""
    text = str(int(value)) if whole and value == int(value) else repr(float(value))
    return text.replace(".", decimal)


def _write(path, table):
    rows = [[_cell(value, table["decimal"], table["whole"]) for value in row] for row in table["x"]]
    names = table["names"]
    if table["texts"] is not None:
        rows = [[text, *row] for text, row in zip(table["texts"], rows, strict=True)]
        names = None if names is None else ["the name", *names]
    with open(path, "w", newline="", encoding=table["encoding"]) as file:
        file.write(table["above"] + table["end"] if table["above"] else "")
        writer = csv.writer(
            file, delimiter=table["sep"], lineterminator=table["end"], quoting=table["quoting"],
            quotechar=table["quote"],
        )  # fmt: skip
        writer.writerows([names, *rows] if names else rows)


def _column(table):
    """The name of the column of texts, None if there is none."""
    if table["texts"] is None:
        return None
    return "0" if table["names"] is None else "the name"


def _is_two_tables(table):
    """Return whether the same bytes are another table: a column of 1,5 without a name is two of whole numbers."""
    alone = table["x"].shape[1] == 1 and table["texts"] is None and table["names"] is None
    if alone and table["decimal"] == "," and table["quoting"] != csv.QUOTE_ALL:
        return True
    # Apostrophes around a few cells may as well belong to them.
    return table["quote"] == "'" and table["quoting"] == csv.QUOTE_MINIMAL


def _check(table, seen):
    hypothesis.assume(not _is_two_tables(table))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "data.csv")
        _write(path, table)
        try:
            # Names of text are found; without them the first row may look like names of numbers.
            header = False if table["names"] is None else None
            rows = files.read(path, names=_column(table), missing="median", header=header)
        except ValueError as error:
            assert any(sign in str(error) for sign in ("data.csv", "column", "line")), error  # noqa: PT017
            seen.append(False)
            hypothesis.event("refused")
            return
    seen.append(True)
    hypothesis.event("read")
    x = table["x"]
    full = ~np.isnan(x).all(axis=0)
    if table["texts"] is None and x.shape[1] > 1:
        x = x[~np.isnan(x).all(axis=1)]  # rows without any value are left out
    x = x[:, full]
    assert rows.x.shape == x.shape
    np.testing.assert_allclose(np.where(np.isnan(x), np.nan, rows.x), x, rtol=1e-14)
    if table["names"] is not None:
        assert rows.features == [name for name, kept in zip(table["names"], full, strict=True) if kept]
    if table["texts"] is not None:
        assert rows.names.tolist() == table["texts"]


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.long)])
def test_tables_are_read_back_or_refused(count):
    seen = []

    @hypothesis.settings(
        max_examples=count, deadline=None, database=None, derandomize=count < 1000,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(tables())
    def run(table):
        _check(table, seen)

    run()
    assert np.mean(seen) > 0.8
