"""Variants of the default, with other layers or another length of pretraining, over a folder of data sets.

    python benchmarks/variants.py sets/ --seeds 1
    python benchmarks/variants.py sets/ --variants "default" "half the batches" --only coil20 dry_bean
    python benchmarks/variants.py --table
    python benchmarks/variants.py --table --against "twice the batches"

"Batches" are the fewest of a pretraining, `Recipe.least_iterations`, which all data sets up to some 10,000 rows have.
The folder holds .npz files as for `field.py`. A cell that the CSV has is not computed again. Labels only score.
"""

import argparse
import os
import pathlib
import time

import numpy as np
import pandas

CELLS = pathlib.Path(__file__).parent / "variants.csv"
COLUMNS = ["data", "variant", "seed", "acc", "nmi", "ari", "seconds"]


def change(units=None, batches=1.0):
    """Return a function from a recipe to its changes: other layers, and so many times its fewest batches."""
    return lambda recipe: {"units": units, "least_iterations": round(recipe.least_iterations * batches)}


DEFAULT = "default"
VARIANTS = {
    DEFAULT: change(),
    "half the batches": change(batches=0.5),
    "twice the batches": change(batches=2),
    "four times the batches": change(batches=4),
    # Compared with one another when the default had twice the batches.
    "500-500-2000-10, twice the batches": change((500, 500, 2000, 10), 2),
    "250-250-1000-10, twice the batches": change((250, 250, 1000, 10), 2),
    "125-125-500-10, twice the batches": change((125, 125, 500, 10), 2),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="?", help="folder of .npz files")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, metavar="NAME")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="data sets; default: all of the folder")
    parser.add_argument("--seeds", type=int, default=1, help="run the seeds 0 to SEEDS - 1; default: 1")
    parser.add_argument("--cells", default=CELLS, metavar="FILE", help="default: variants.csv beside this script")
    parser.add_argument("--against", default=DEFAULT, choices=VARIANTS, metavar="NAME", help=f"default: {DEFAULT}")
    parser.add_argument("--table", action="store_true", help="run nothing; print the table of the cells")
    options = parser.parse_args(arguments)
    if not options.table and not options.sets:
        parser.error("Name the folder of the data sets, or give --table.")
    if not options.table:
        for path in sorted(pathlib.Path(options.sets).glob("*.npz"), key=lambda path: path.stat().st_size):
            if not options.only or path.stem in options.only:
                fill(options, path)
    print(table(pandas.read_csv(options.cells), options.against).to_markdown(floatfmt=".1f"))


def fill(options, path):
    """Compute the missing cells of one data set."""
    exists = os.path.exists(options.cells)
    known = pandas.read_csv(options.cells)[["data", "variant", "seed"]] if exists else pandas.DataFrame()
    done = set(known.itertuples(index=False, name=None))
    for seed in range(options.seeds):
        for variant in options.variants:
            if (path.stem, variant, seed) not in done:
                cell = compute(path, variant, seed)
                header = not os.path.exists(options.cells)
                pandas.DataFrame([cell], columns=COLUMNS).to_csv(options.cells, mode="a", header=header, index=False)
                print(*cell, flush=True)


def compute(path, variant, seed):
    from deckeras import DeepEmbeddedClustering, metrics, recipes

    with np.load(path) as file:
        x, y = file["x"], file["y"]
        options = {"image_shape": tuple(map(int, file["image_shape"])) if "image_shape" in file else None}
    options |= {"n_clusters": len(np.unique(y)), "random_state": seed}
    default = DeepEmbeddedClustering(**options)
    default.prepare(x)
    recipe = recipes.get(default.recipe_)
    recipe = recipes.get(recipe, **VARIANTS[variant](recipe))
    started = time.perf_counter()
    labels = DeepEmbeddedClustering(recipe=recipe, **options).fit(x).labels_
    seconds = time.perf_counter() - started
    scores = metrics.scores(y, labels)
    return [path.stem, variant, seed, *(round(scores[name], 4) for name in COLUMNS[3:6]), round(seconds, 1)]


def table(cells, against):
    """The means over the cells, of a data set and a seed, that a variant and another one both have."""
    wide = cells.groupby(["variant", "data", "seed"])[COLUMNS[3:]].mean()
    lines = {}
    for variant in dict.fromkeys([against, *cells.variant]):
        both = wide.loc[variant].index.intersection(wide.loc[against].index)
        own, other = wide.loc[variant].loc[both], wide.loc[against].loc[both]
        lines[variant] = {
            "cells": f"{len(both)}",
            **{name.upper(): 100 * own[name].mean() for name in COLUMNS[3:6]},
            **{f"{name.upper()}, {against}": 100 * other[name].mean() for name in COLUMNS[3:5]},
            "seconds": own.seconds[other.seconds.notna()].mean(),
            f"seconds, {against}": other.seconds[own.seconds.notna()].mean(),
        }
    return pandas.DataFrame.from_dict(lines, orient="index")


if __name__ == "__main__":
    main()
