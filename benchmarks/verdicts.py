"""The verdict against the truth: does it trust the clusters that agree with the classes? As one CSV and one table.

    python benchmarks/verdicts.py sets/ --seed 2
    python benchmarks/verdicts.py --table

The folder holds .npz files as for `field.py`. Each is clustered by the defaults and judged without labels; labels only
score the clusters, those that the training started from, and those of k-means on the same rows. A cell that the CSV has
is not computed again.
"""

import pathlib
import time

import folder
import numpy as np
import pandas

CELLS = pathlib.Path(__file__).parent / "verdicts.csv"
MEASURES = ["agreement", "cut", "kmeans_cut", "null_cut", "differs_from_kmeans", "unsure", "level"]
SCORES = ["acc", "nmi", "ari"]


def main(arguments=None):
    parser = folder.parser(__doc__, CELLS)
    parser.add_argument("--seed", type=int, default=0)
    options = folder.parse(parser, arguments)
    for path in folder.paths(options):
        fill(options, path)
    cells = pandas.read_csv(options.cells)
    print(table(cells).to_markdown(index=False, floatfmt=".2f"))
    print("\n" + "\n".join(f"{name}: {value:.2f}" for name, value in correlations(cells).items()))


def fill(options, path):
    """Compute the cell of one data set, if it is missing."""
    if (path.stem, options.seed) in folder.done(options.cells, "data", "seed"):
        return
    cell = compute(path, options.seed)
    folder.append(options.cells, cell)
    print(path.stem, cell["nmi"], cell["agreement"], cell["level"], flush=True)


def compute(path, seed):
    from deckeras import DeepEmbeddedClustering, baseline, metrics

    x, y, image_shape = folder.load(path)
    started = time.perf_counter()
    estimator = DeepEmbeddedClustering(len(np.unique(y)), image_shape=image_shape, random_state=seed).fit(x)
    minutes = (time.perf_counter() - started) / 60
    verdict = estimator.verdict(x)
    own = metrics.scores(y, estimator.labels_)
    rows = np.asarray(estimator.prepare(x)[:]).reshape(len(x), -1)
    kmeans = metrics.scores(y, baseline.kmeans(rows, estimator.n_clusters, seed=seed))
    return {
        "data": path.stem,
        "seed": seed,
        "rows": len(x),
        **{name: round(own[name], 4) for name in SCORES},
        "start_nmi": round(metrics.scores(y, estimator.start_labels_)["nmi"], 4),
        "kmeans_nmi": round(kmeans["nmi"], 4),
        "minutes": round(minutes, 3),
        **{name: _rounded(getattr(verdict, name)) for name in MEASURES},
    }


def table(cells):
    """The means of each data set over its seeds, the best verdict first."""
    numbers = [*SCORES, "start_nmi", "kmeans_nmi", *MEASURES[:-1]]
    means = cells.groupby("data")[numbers].mean()
    means.insert(0, "verdict", cells.groupby("data")["level"].agg(lambda levels: levels.mode()[0]))
    return means.sort_values("agreement", ascending=False).reset_index()


def correlations(cells):
    """Spearman's rank correlations of what the verdict measures with what labels say, over the data sets."""
    means = cells.groupby("data")[["nmi", "ari", "kmeans_nmi", *MEASURES[:-1]]].mean()
    kept = 1 - means.cut / means.null_cut
    pairs = {
        "agreement and NMI": (means.agreement, means.nmi),
        "agreement and ARI": (means.agreement, means.ari),
        "neighbors kept together, beyond rows without clusters, and NMI": (kept, means.nmi),
        "unsure rows and NMI": (means.unsure, means.nmi),
        "cut less than by k-means, and gain of NMI over k-means": (
            means.kmeans_cut - means.cut,
            means.nmi - means.kmeans_nmi,
        ),
    }
    return {name: first.corr(second, method="spearman") for name, (first, second) in pairs.items()}


def _rounded(value):
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
