"""What the benchmarks over a folder of data sets share: their options, their data, and a CSV of cells that grows.

The folder holds one .npz file for each data set, with `x` (n, n_features), `y` (n,) and, for images, `image_shape`.
"""

import argparse
import os
import pathlib

import numpy as np
import pandas


def parser(doc, cells):
    """Return a parser of the common options.

    Args:
        doc: the docstring of the script.
        cells: path of its CSV.
    """
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("sets", nargs="?", help="folder of .npz files")
    found.add_argument("--only", nargs="+", metavar="NAME", help="data sets; default: all of the folder")
    found.add_argument("--cells", default=cells, metavar="FILE", help=f"default: {cells.name} beside this script")
    found.add_argument("--table", action="store_true", help="run nothing; print the table of the cells")
    return found


def parse(options, arguments):
    """Return the parsed arguments; `options` is the parser."""
    found = options.parse_args(arguments)
    if not found.table and not found.sets:
        options.error("Name the folder of the data sets, or give --table.")
    return found


def paths(options):
    """Return the files to run, the smallest first; none with --table."""
    if options.table:
        return []
    found = sorted(pathlib.Path(options.sets).glob("*.npz"), key=lambda path: path.stat().st_size)
    return [path for path in found if not options.only or path.stem in options.only]


def load(path):
    """Return (x, y, image_shape or None) of a data set."""
    with np.load(path) as file:
        return file["x"], file["y"], tuple(map(int, file["image_shape"])) if "image_shape" in file else None


def done(cells, *columns):
    """Return the set of the cells that there are, each as the tuple of its columns."""
    if not os.path.exists(cells):
        return set()
    return set(pandas.read_csv(cells)[list(columns)].itertuples(index=False, name=None))


def append(cells, cell):
    """Write a cell, a dict, to the CSV at once, so that nothing is computed twice."""
    pandas.DataFrame([cell]).to_csv(cells, mode="a", header=not os.path.exists(cells), index=False)
