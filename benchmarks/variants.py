"""Variants of the default, with other layers or another length of pretraining, over a folder of data sets.

    python benchmarks/variants.py sets/ --seeds 1
    python benchmarks/variants.py sets/ --variants "default" "half the pretraining" --only coil20 dry_bean
    python benchmarks/variants.py --table

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


def units(*widths):
    return lambda recipe: {"units": widths}


def pretraining(fraction):
    return lambda recipe: {
        "epochs": round(recipe.epochs * fraction),
        "least_iterations": round(recipe.least_iterations * fraction),
    }


DEFAULT = "default"
VARIANTS = {
    DEFAULT: lambda recipe: {},
    "500-500-2000-10": units(500, 500, 2000, 10),
    "250-250-1000-10": units(250, 250, 1000, 10),
    "125-125-500-10": units(125, 125, 500, 10),
    "twice the pretraining": pretraining(2),
    "half the pretraining": pretraining(1 / 2),
    "a quarter of the pretraining": pretraining(1 / 4),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="?", help="folder of .npz files")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, metavar="NAME")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="data sets; default: all of the folder")
    parser.add_argument("--seeds", type=int, default=1, help="run the seeds 0 to SEEDS - 1; default: 1")
    parser.add_argument("--cells", default=CELLS, metavar="FILE", help="default: variants.csv beside this script")
    parser.add_argument("--table", action="store_true", help="run nothing; print the table of the cells")
    options = parser.parse_args(arguments)
    if not options.table and not options.sets:
        parser.error("Name the folder of the data sets, or give --table.")
    if not options.table:
        for path in sorted(pathlib.Path(options.sets).glob("*.npz"), key=lambda path: path.stat().st_size):
            if not options.only or path.stem in options.only:
                fill(options, path)
    print(table(pandas.read_csv(options.cells)).to_markdown(floatfmt=".1f"))


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


def table(cells):
    """The means over the data sets that have a cell for the default and for a variant, in percent and seconds."""
    wide = cells.groupby(["variant", "data"])[COLUMNS[3:]].mean()
    lines = {}
    for variant in dict.fromkeys([DEFAULT, *cells.variant]):
        both = wide.loc[variant].index.intersection(wide.loc[DEFAULT].index)
        own, default = wide.loc[variant].loc[both], wide.loc[DEFAULT].loc[both]
        lines[variant] = {
            "data sets": f"{len(both)}",
            **{name.upper(): 100 * own[name].mean() for name in COLUMNS[3:6]},
            **{f"{name.upper()}, {DEFAULT}": 100 * default[name].mean() for name in COLUMNS[3:5]},
            "seconds": own.seconds[default.seconds.notna()].mean(),
            f"seconds, {DEFAULT}": default.seconds[own.seconds.notna()].mean(),
        }
    return pandas.DataFrame.from_dict(lines, orient="index")


if __name__ == "__main__":
    main()
