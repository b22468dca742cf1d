"""The field: many data sets times methods times seeds, each with its defaults, as one CSV of cells and one table.

    pip install -e ".[benchmarks]"
    python benchmarks/field.py sets/ --seeds 3
    python benchmarks/field.py sets/ --methods deckeras --seeds 1 --only coil20 dry_bean
    KERAS_BACKEND=torch python benchmarks/field.py sets/ --methods clustpy-dec clustpy-idec clustpy-dipencoder --seeds 3
    python benchmarks/field.py sets/ --rows 300 --cells few_rows.csv --methods k-means deckeras --seeds 3
    python benchmarks/field.py --table

The folder holds one .npz file for each data set, with `x` (n, n_features), `y` (n,) and, for images, `image_shape`.
Each cell is written to the CSV as soon as it is computed, and a cell that is there is not computed again, so the table
can grow over many sittings. Every method is told the number of classes, except UMAP + HDBSCAN, which finds a number of
its own and leaves some rows unassigned.

All methods read the rows scaled as `deckeras.scaling` scales them by default. "autoencoder + k-means" and N2D share one
pretrained autoencoder, that of the default recipe; the minutes of each include its pretraining. Labels only score.

With --rows, each seed draws that many rows of a set, the same for all methods, and only the classes among them count.
Its cells belong in a CSV of their own.
"""

import os
import pathlib
import tempfile
import time

import folder
import numpy as np
import pandas

CELLS = pathlib.Path(__file__).parent / "field.csv"
BASELINE = "k-means"
NEIGHBORS, DIMENSIONS = 20, 10  # of UMAP, as N2D sets them
MAX_FULL = 100  # features up to which a mixture on the rows has full covariances; beyond, diagonal ones


class Data:
    """One data set, prepared once for all its methods.

    Args:
        path: .npz file.
        embeddings: directory that keeps pretrained embeddings between runs.
        rows: int, draw so many rows; None for all.
        seed: int, of the draw.
    """

    def __init__(self, path, embeddings, rows=None, seed=0):
        self.name, self.embeddings, self.seed = path.stem, embeddings, seed
        self.x, self.y, self.image_shape = folder.load(path)
        if rows is not None and rows < len(self.x):
            drawn = np.random.default_rng(seed).permutation(len(self.x))[:rows]
            self.x, self.y = self.x[drawn], self.y[drawn]
        self.n_clusters, self.layouts = len(np.unique(self.y)), {}

    def estimator(self, seed):
        from deckeras import DeepEmbeddedClustering

        return DeepEmbeddedClustering(self.n_clusters, image_shape=self.image_shape, random_state=seed)

    def rows(self):
        """(n, n_features) float64 array, scaled."""
        return np.asarray(self.estimator(0).prepare(self.x)[:], np.float64)

    def umap(self, seed):
        """(UMAP's layout of the rows, its seconds), which two methods share."""
        if seed not in self.layouts:
            started = time.perf_counter()
            self.layouts[seed] = _umap(self.rows(), seed), time.perf_counter() - started
        return self.layouts[seed]

    def embedding(self, seed):
        """((n, n_embedding) array, seconds of the pretraining) of the default recipe's autoencoder."""
        path = os.path.join(self.embeddings, f"{self.name}-{len(self.x)}-{seed}.npz")
        if not os.path.exists(path):
            from deckeras import pretrain

            started, estimator = time.perf_counter(), self.estimator(seed)
            rows = estimator.prepare(self.x)
            encoder, decoder = estimator.recipe_.autoencoder(rows.shape[1:], seed)
            pretrain(encoder, decoder, rows, estimator.recipe_, seed=seed, verbose=0)
            z = encoder.predict(np.asarray(rows[:]), batch_size=2048, verbose=0)
            np.savez(path, z=z, seconds=time.perf_counter() - started)
        with np.load(path) as file:
            return file["z"].astype(np.float64), float(file["seconds"])


def kmeans(data, seed):
    return _kmeans(data.rows(), data.n_clusters, seed)


def mixture(data, seed):
    rows = data.rows()
    return _mixture(rows, data.n_clusters, seed, "full" if rows.shape[1] <= MAX_FULL else "diag")


def spectral(data, seed):
    from sklearn.cluster import SpectralClustering

    model = SpectralClustering(data.n_clusters, affinity="nearest_neighbors", n_neighbors=NEIGHBORS, random_state=seed)
    return model.fit_predict(data.rows())


def umap_mixture(data, seed):
    points, seconds = data.umap(seed)
    return _mixture(points, data.n_clusters, seed), seconds


def umap_hdbscan(data, seed):
    from sklearn.cluster import HDBSCAN

    points, seconds = data.umap(seed)
    return HDBSCAN(min_cluster_size=max(10, len(data.x) // 100)).fit_predict(points), seconds


def autoencoder_kmeans(data, seed):
    z, seconds = data.embedding(seed)
    return _kmeans(z, data.n_clusters, seed), seconds


def n2d(data, seed):
    z, seconds = data.embedding(seed)
    return _mixture(_umap(z, seed), data.n_clusters, seed), seconds


def ours(data, seed):
    return data.estimator(seed).fit(data.x).labels_


def clustpy(name):
    def run(data, seed):
        from clustpy import deep

        return getattr(deep, name)(data.n_clusters, random_state=seed).fit_predict(data.rows().astype(np.float32))

    return run


METHODS = {
    BASELINE: kmeans,
    "mixture": mixture,
    "spectral": spectral,
    "umap+mixture": umap_mixture,
    "umap+hdbscan": umap_hdbscan,
    "autoencoder+k-means": autoencoder_kmeans,
    "n2d": n2d,
    "deckeras": ours,
    "clustpy-dec": clustpy("DEC"),
    "clustpy-idec": clustpy("IDEC"),
    "clustpy-dipencoder": clustpy("DipEncoder"),
}
DEFAULT = [name for name in METHODS if not name.startswith("clustpy")]


def main(arguments=None):
    options = parse(arguments)
    if not options.table:
        os.makedirs(options.embeddings, exist_ok=True)
    for path in folder.paths(options):
        fill(options, path)
    print("\n".join(table(pandas.read_csv(options.cells))))


def parse(arguments):
    parser = folder.parser(__doc__, CELLS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=DEFAULT, help=f"default: {' '.join(DEFAULT)}")
    parser.add_argument("--seeds", type=int, default=3, help="run the seeds 0 to SEEDS - 1; default: 3")
    parser.add_argument("--rows", type=int, metavar="N", help="draw N rows of each set; default: all rows")
    default = os.path.join(tempfile.gettempdir(), "deckeras-field")
    parser.add_argument(
        "--embeddings", default=default, metavar="DIR", help=f"pretrained embeddings; default: {default}"
    )
    return folder.parse(parser, arguments)


def fill(options, path):
    """Compute the missing cells of one data set."""
    data = None
    for seed in range(options.seeds):
        for method in options.methods:
            if (path.stem, method, seed) in folder.done(options.cells, "data", "method", "seed"):
                continue
            if data is None or (options.rows and data.seed != seed):
                data = Data(path, options.embeddings, options.rows, seed)
            cell = compute(data, method, seed)
            folder.append(options.cells, cell)
            print(f"{path.stem}, {method}, seed {seed}: NMI {100 * cell['nmi']:.1f} %", flush=True)


def compute(data, method, seed):
    """One cell: the scores of a method's labels. Rows that it does not assign (-1) are wrong, and one cluster."""
    from deckeras import metrics

    started = time.perf_counter()
    found = METHODS[method](data, seed)
    labels, before = found if isinstance(found, tuple) else (found, 0.0)
    seconds = before + time.perf_counter() - started
    assigned = labels >= 0
    scores = metrics.scores(data.y, labels)
    if not assigned.all():
        scores["acc"] = (
            metrics.accuracy(data.y[assigned], labels[assigned]) * assigned.mean() if assigned.any() else 0.0
        )
    return {
        "data": data.name,
        "method": method,
        "seed": seed,
        "rows": len(labels),
        **{name: round(value, 4) for name, value in scores.items()},
        "minutes": round(seconds / 60, 3),
        "assigned": round(float(assigned.mean()), 4),
        "n_clusters": len(np.unique(labels[assigned])),
    }


def table(cells):
    """Lines of a Markdown table: a row for each method, over the data sets that all the methods have."""
    means = cells.groupby(["data", "method"])[["acc", "nmi", "ari", "minutes", "assigned"]].mean().unstack()
    shared = means[means.notna().all(axis=1)]
    spread = cells.groupby(["data", "method"])["nmi"].std(ddof=0).unstack()
    acc, nmi = shared["acc"], shared["nmi"]
    rank = {name: scores.rank(axis=1, ascending=False).mean() for name, scores in (("acc", acc), ("nmi", nmi))}
    seeds = cells.groupby("method")["seed"].nunique()
    yield (
        "| method | seeds | ACC (%) | NMI (%) | ARI (%) | mean rank by ACC | by NMI | first by NMI | "
        "NMI below k-means at worst | spread of NMI over seeds | minutes | assigned (%) |"
    )
    yield "|---" * 12 + "|"
    for method in nmi.mean().sort_values(ascending=False).index:
        below = (nmi[BASELINE] - nmi[method]).max() if BASELINE in nmi else np.nan
        cells_of = [
            method,
            f"{seeds[method]}",
            *(f"{100 * shared[name][method].mean():.1f}" for name in ("acc", "nmi", "ari")),
            f"{rank['acc'][method]:.2f}",
            f"{rank['nmi'][method]:.2f}",
            f"{(nmi.idxmax(axis=1) == method).sum()} of {len(nmi)}",
            f"{100 * max(below, 0):.1f}",
            f"{100 * spread[method].mean():.1f}",
            f"{shared['minutes'][method].mean():.1f}",
            f"{100 * shared['assigned'][method].mean():.0f}",
        ]
        yield f"| {' | '.join(cells_of)} |"


def _kmeans(x, n_clusters, seed):
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=20, random_state=seed).fit_predict(x)


def _mixture(x, n_clusters, seed, kind="full"):
    from sklearn.mixture import GaussianMixture

    least = max(1e-6, 1e-3 * float(x.var()))
    model = GaussianMixture(n_clusters, covariance_type=kind, n_init=3, reg_covar=least, random_state=seed)
    return model.fit_predict(x)


def _umap(x, seed):
    from umap import UMAP

    dimensions = min(DIMENSIONS, x.shape[1])
    model = UMAP(n_neighbors=NEIGHBORS, min_dist=0.0, n_components=dimensions, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(x), np.float64)


if __name__ == "__main__":
    main()
