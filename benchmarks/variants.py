"""Variants of the default, with other layers, neighbors or another length of pretraining, over a folder of data sets.

    python benchmarks/variants.py sets/ --seeds 1
    python benchmarks/variants.py sets/ --variants "default" "half the batches" --only coil20 dry_bean
    python benchmarks/variants.py --table
    python benchmarks/variants.py --table --against "twice the batches"

"Batches" are the fewest of a pretraining, `Recipe.min_pretraining_iterations`, which all data sets up to some 10,000
rows have. The folder holds .npz files as for `field.py`. A cell that the CSV has is not computed again. Labels only
score.
"""

import pathlib
import time

import folder
import numpy as np
import pandas

CELLS = pathlib.Path(__file__).parent / "variants.csv"
SCORES = ["acc", "nmi", "ari"]


def change(units=None, batches=1.0):
    """Return a function from a recipe to its changes: other layers, and so many times its fewest batches."""
    return lambda recipe: {
        "units": units,
        "min_pretraining_iterations": round(recipe.min_pretraining_iterations * batches),
    }


DEFAULT = "default"
VARIANTS = {
    DEFAULT: change(),
    "half the batches": change(batches=0.5),
    "twice the batches": change(batches=2),
    "four times the batches": change(batches=4),
    "10 neighbors": lambda recipe: {"min_neighbors": 10, "n_neighbors": 10},
    "20 neighbors": lambda recipe: {"min_neighbors": 20, "n_neighbors": 20},
    # Compared with one another when the default had twice the batches.
    "500-500-2000-10, twice the batches": change((500, 500, 2000, 10), 2),
    "250-250-1000-10, twice the batches": change((250, 250, 1000, 10), 2),
    "125-125-500-10, twice the batches": change((125, 125, 500, 10), 2),
}


def main(arguments=None):
    parser = folder.parser(__doc__, CELLS)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=1, help="run the seeds 0 to SEEDS - 1; default: 1")
    parser.add_argument("--against", default=DEFAULT, choices=VARIANTS, metavar="NAME", help=f"default: {DEFAULT}")
    options = folder.parse(parser, arguments)
    for path in folder.paths(options):
        fill(options, path)
    print(table(pandas.read_csv(options.cells), options.against).to_markdown(floatfmt=".1f"))


def fill(options, path):
    """Compute the missing cells of one data set."""
    done = folder.done(options.cells, "data", "variant", "seed")
    for seed in range(options.seeds):
        for variant in options.variants:
            if (path.stem, variant, seed) not in done:
                cell = compute(path, variant, seed)
                folder.append(options.cells, cell)
                print(*cell.values(), flush=True)


def compute(path, variant, seed):
    from deckeras import DeepEmbeddedClustering, metrics, recipes

    x, y, image_shape = folder.load(path)
    options = {"image_shape": image_shape, "n_clusters": len(np.unique(y)), "random_state": seed}
    default = DeepEmbeddedClustering(**options)
    default.prepare(x)
    recipe = recipes.get(default.recipe_)
    recipe = recipes.get(recipe, **VARIANTS[variant](recipe))
    started = time.perf_counter()
    labels = DeepEmbeddedClustering(recipe=recipe, **options).fit(x).labels_
    seconds = time.perf_counter() - started
    scores = metrics.scores(y, labels)
    cell = {"data": path.stem, "variant": variant, "seed": seed}
    return cell | {name: round(scores[name], 4) for name in SCORES} | {"seconds": round(seconds, 1)}


def table(cells, against):
    """The means over the cells, of a data set and a seed, that a variant and another one both have."""
    wide = cells.groupby(["variant", "data", "seed"])[[*SCORES, "seconds"]].mean()
    lines = {}
    for variant in dict.fromkeys([against, *cells.variant]):
        both = wide.loc[variant].index.intersection(wide.loc[against].index)
        own, other = wide.loc[variant].loc[both], wide.loc[against].loc[both]
        lines[variant] = {
            "cells": f"{len(both)}",
            **{name.upper(): 100 * own[name].mean() for name in SCORES},
            **{f"{name.upper()}, {against}": 100 * other[name].mean() for name in SCORES[:2]},
            "seconds": own.seconds[other.seconds.notna()].mean(),
            f"seconds, {against}": other.seconds[own.seconds.notna()].mean(),
        }
    return pandas.DataFrame.from_dict(lines, orient="index")


if __name__ == "__main__":
    main()
