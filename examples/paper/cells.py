"""Cells of an experiment, computed once and saved in a CSV file, and tables of their means.

A cell is a pair of a key, such as {"method": "k-means", "seed": 0}, and a function that computes its values, such as
{"acc": 0.53}. An experiment is a list of cells, so it can be interrupted and extended.
"""

import csv
import os

import keras
import numpy as np

from deckeras._train.whole_files import whole_file


def run(cells, path, *, verbose=1):
    """Compute the cells that the file does not hold yet, and save each as soon as it is computed.

    Args:
        cells: list of (key, function). The key is a dict from name to str, int or float, with the same names for all
            cells. The function takes no arguments and returns a dict from name to float, also with the same names.
        path: path of the CSV file. It has a column for each name of the key, then one for each name of the values.
            Other cells of the file are unchanged. Only one process at a time may write to it.
        verbose: 0 silent, 1 a progress bar, 2 a line at the end.

    Returns:
        list of dicts, one for each cell in the order of the cells, with key and values.

    Raises:
        ValueError: there are no cells, or the file has other columns.
        OSError: the file cannot be read or written.

    Example:
        >>> import cells
        >>> lengths = [({"name": name}, lambda name=name: {"length": len(name)}) for name in ("a", "abc")]
        >>> cells.run(lengths, "lengths.csv", verbose=0)
        [{'name': 'a', 'length': 1.0}, {'name': 'abc', 'length': 3.0}]
    """
    if not cells:
        raise ValueError("cells should hold at least one. Received: none")
    keys = list(cells[0][0])
    finished = _read(path, keys)
    bar = keras.utils.Progbar(len(cells), verbose=verbose, unit_name="cell")
    rows = []
    for key, compute in cells:
        texts = tuple(str(value) for value in key.values())
        if texts not in finished:
            values = {name: float(number) for name, number in compute().items()}
            _check_columns(path, [*keys, *values], [*keys, *next(iter(finished.values()), values)])
            finished[texts] = values
            write([dict(zip(keys, those, strict=True)) | found for those, found in finished.items()], path)
        rows.append({**key, **finished[texts]})
        bar.add(1)
    return rows


def write(rows, path):
    """Write dicts with the same keys as the rows of a CSV file."""
    with whole_file(path) as draft, open(draft, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def markdown(rows, index, columns=None, *, values=("acc", "nmi", "ari"), scale=100.0, digits=2, more=None):
    """Return a Markdown table of means and standard deviations over the rows of each cell of the table.

    Args:
        rows: list of dicts, such as `run` returns.
        index: str, the name whose values are the table's rows.
        columns: str, default None. The name whose values are the table's columns, with the first of `values` in the
            cells. Without it, the table has a column for each of `values`.
        values: names of the averaged values.
        scale: float, default 100.0, which shows fractions in percent.
        digits: int, default 2. Digits after the decimal point.
        more: dict from heading to a dict from a row's name to str or number, default None. More columns.

    Returns:
        str. Cells are "mean ± deviation" if they average more than one row.

    Example:
        >>> import cells
        >>> rows = [{"method": "a", "seed": seed, "acc": acc} for seed, acc in enumerate((0.5, 0.7))]
        >>> print(cells.markdown(rows, "method", values=["acc"]))
        | method | acc |
        | --- | --- |
        | a | 60.00 ± 10.00 |
    """
    headings = list(values) if columns is None else list(dict.fromkeys(row[columns] for row in rows))
    more = more or {}

    def cell(name, heading):
        group = [row for row in rows if row[index] == name]
        if columns is None:
            numbers = [row[heading] for row in group]
        else:
            numbers = [row[values[0]] for row in group if row[columns] == heading]
        if not numbers:
            return ""
        mean, deviation = scale * np.mean(numbers), scale * np.std(numbers)
        return f"{mean:.{digits}f} ± {deviation:.{digits}f}" if len(numbers) > 1 else f"{mean:.{digits}f}"

    table = [[index if columns is None else f"{index} \\ {columns}", *map(str, headings), *more]]
    table.append(["---"] * len(table[0]))
    for name in dict.fromkeys(row[index] for row in rows):
        further = [str(texts.get(name, "")) for texts in more.values()]
        table.append([str(name), *(cell(name, heading) for heading in headings), *further])
    return "\n".join(f"| {' | '.join(line)} |" for line in table)


def _read(path, keys):
    """Return the values of the file's cells by the texts of their keys."""
    if not os.path.exists(path):
        return {}
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        _check_columns(path, keys, (reader.fieldnames or [])[: len(keys)])
        names = reader.fieldnames[len(keys) :]
        return {tuple(row[key] for key in keys): {name: float(row[name]) for name in names} for row in reader}


def _check_columns(path, expected, found):
    if found != expected:
        raise ValueError(
            f"{os.fspath(path)!r} should have the columns {expected}. Received: {found}. "
            "The file is of another experiment: move it, or choose another path."
        )
