"""The width of the layers: the default with other encoders, over a folder of data sets, as one CSV and one table.

    python benchmarks/widths.py sets/ --seeds 1
    python benchmarks/widths.py sets/ --units 500,500,500,10 64,64,10 --only coil20 dry_bean
    python benchmarks/widths.py --table

The folder holds .npz files as for `field.py`. A cell that the CSV has is not computed again. Labels only score.
"""

import argparse
import os
import pathlib
import time

import numpy as np
import pandas

CELLS = pathlib.Path(__file__).parent / "widths.csv"
COLUMNS = ["data", "units", "seed", "acc", "nmi", "ari", "seconds"]
UNITS = ["500,500,2000,10", "500,500,500,10", "250,250,1000,10", "125,125,500,10"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="?", help="folder of .npz files")
    parser.add_argument("--units", nargs="+", default=UNITS, metavar="WIDTHS", help=f"default: {' '.join(UNITS)}")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="data sets; default: all of the folder")
    parser.add_argument("--seeds", type=int, default=1, help="run the seeds 0 to SEEDS - 1; default: 1")
    parser.add_argument("--cells", default=CELLS, metavar="FILE", help="default: widths.csv beside this script")
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
    known = pandas.read_csv(options.cells)[["data", "units", "seed"]] if exists else pandas.DataFrame()
    done = set(known.itertuples(index=False, name=None))
    for seed in range(options.seeds):
        for units in options.units:
            if (path.stem, units.replace(",", "-"), seed) not in done:
                cell = compute(path, units, seed)
                header = not os.path.exists(options.cells)
                pandas.DataFrame([cell], columns=COLUMNS).to_csv(options.cells, mode="a", header=header, index=False)
                print(*cell, flush=True)


def compute(path, units, seed):
    from deckeras import DeepEmbeddedClustering, metrics, recipes

    with np.load(path) as file:
        x, y = file["x"], file["y"]
        options = {"image_shape": tuple(map(int, file["image_shape"])) if "image_shape" in file else None}
    options |= {"n_clusters": len(np.unique(y)), "random_state": seed}
    default = DeepEmbeddedClustering(**options)
    default.prepare(x)
    recipe = recipes.get(default.recipe_, units=tuple(map(int, units.split(","))))
    started = time.perf_counter()
    labels = DeepEmbeddedClustering(recipe=recipe, **options).fit(x).labels_
    seconds = time.perf_counter() - started
    scores = metrics.scores(y, labels)
    return [path.stem, units.replace(",", "-"), seed, *(round(scores[name], 4) for name in COLUMNS[3:6]), seconds]


def table(cells):
    """The means over the data sets that have a cell for the paper's widths and for others, in percent and seconds."""
    wide = cells.groupby(["units", "data"])[COLUMNS[3:]].mean()
    paper, lines = UNITS[0].replace(",", "-"), {}
    for units in dict.fromkeys(cells.units):
        both = wide.loc[units].index.intersection(wide.loc[paper].index)
        own, papers = wide.loc[units].loc[both], wide.loc[paper].loc[both]
        lines[units] = {
            "data sets": f"{len(both)}",
            **{name.upper(): 100 * own[name].mean() for name in COLUMNS[3:6]},
            **{f"{name.upper()}, {paper}": 100 * papers[name].mean() for name in COLUMNS[3:5]},
            "seconds": own.seconds[papers.seconds.notna()].mean(),
            f"seconds, {paper}": papers.seconds[own.seconds.notna()].mean(),
        }
    return pandas.DataFrame.from_dict(lines, orient="index")


if __name__ == "__main__":
    main()
