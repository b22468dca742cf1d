"""First clusterers on pretrained encoders, and what tells a good one without labels, as Markdown.

    pip install -e ".[benchmarks]"
    python benchmarks/starts.py --dataset mnist --data mnist.npz results/mnist/dec+augmentation-*/encoder.h5

The first table has the scores of each clusterer on the embedding, before any training towards its clusters. The second
judges the 30 mixtures of each encoder: how well the order by likelihood, and that by consistency under noise, agree
with the order by NMI (Spearman's rank correlation), and the NMI of that which each would choose, beside the best.
"""

import argparse
import time

import keras
import numpy as np
from scipy.stats import spearmanr
from sklearn.cluster import SpectralClustering
from sklearn.mixture import GaussianMixture

from deckeras import datasets, metrics, recipes
from deckeras.initialization import ManifoldStart, first_clusters, mixtures

SAMPLE = 8000  # of the rows, for spectral clustering


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="+", metavar="ENCODER", help=".h5 or .keras files")
    parser.add_argument("--dataset", default="digits", help="as for run_mnist.py; default: digits")
    parser.add_argument("--data", metavar="FILE", help="local file of the data set")
    options = parser.parse_args(arguments)
    x, y = datasets.load(options.dataset, options.data)
    encoders = [keras.models.load_model(path, compile=False) for path in options.encoders]
    embeddings = [encoder.predict(x, batch_size=4096, verbose=0) for encoder in encoders]
    print("\n".join(clusterers(embeddings, y)))
    print("\n".join(choices(embeddings, y)))


def clusterers(embeddings, y):
    """Lines of the table of clusterers: mean and standard deviation over the encoders, and the mean time."""
    n_clusters = len(set(y.tolist()))
    yield "| first clusterer | ACC (%) | NMI (%) | time (s) |"
    yield "|---|---|---|---|"
    umap_and_mixture(embeddings[0][:1000], n_clusters, 0)  # compiles what UMAP needs
    for name, cluster in CLUSTERERS.items():
        found, started = [], time.perf_counter()
        for seed, z in enumerate(embeddings):
            centroids, q = cluster(z, n_clusters, seed)
            found.append(metrics.scores(y, nearest(z, centroids) if q is None else q.argmax(axis=1)))
        seconds = (time.perf_counter() - started) / len(embeddings)
        cells = ([100 * scores[key] for scores in found] for key in ("acc", "nmi"))
        scores = " | ".join(f"{np.mean(cell):.1f} ± {np.std(cell):.1f}" for cell in cells)
        yield f"| {name} | {scores} | {seconds:.0f} |"
    yield ""


def by(init, n_init=1):
    """Return a clusterer of deckeras, as a function of (z, n_clusters, seed)."""
    return lambda z, n_clusters, seed: first_clusters(z, n_clusters, init, n_init=n_init, seed=seed)


def neighborhoods(z, n_clusters, seed):
    return None, ManifoldStart(z, n_init=recipes.get("images").n_init, seed=seed)(z, n_clusters)


def umap_and_mixture(z, n_clusters, seed):
    """Return the clusters of a mixture of Gaussians on UMAP's layout, as N2D finds them."""
    import umap

    points = umap.UMAP(n_neighbors=20, min_dist=0.0, n_components=n_clusters, random_state=seed).fit_transform(z)
    labels = GaussianMixture(n_clusters, random_state=seed).fit_predict(points)
    return None, np.eye(n_clusters)[labels]


def choices(embeddings, y):
    """Lines of the table of criteria."""
    n_clusters = len(set(y.tolist()))
    yield "| encoder | criterion | rank correlation with NMI | NMI (%) of its choice | of the best |"
    yield "|---|---|---|---|---|"
    for number, z in enumerate(embeddings, start=1):
        found = list(mixtures(z, n_clusters, seed=number))
        nmi = [100 * metrics.nmi(y, mixture.predict(z)) for mixture, _ in found]
        for name, values in (
            ("likelihood", [mixture.score(z) for mixture, _ in found]),
            ("consistency", [score for _, score in found]),
        ):
            correlation = spearmanr(values, nmi).statistic
            yield f"| {number} | {name} | {correlation:.2f} | {nmi[np.argmax(values)]:.1f} | {max(nmi):.1f} |"


def nearest(z, centroids):
    return np.argmin([np.sum((z - centroid) ** 2, axis=1) for centroid in centroids], axis=0)


def spectral(z, n_clusters):
    sample = z[np.random.default_rng(0).permutation(len(z))[:SAMPLE]]
    labels = SpectralClustering(n_clusters, affinity="nearest_neighbors", random_state=0).fit_predict(sample)
    return np.stack([sample[labels == cluster].mean(axis=0) for cluster in range(n_clusters)])


CLUSTERERS = {
    "k-means": by("kmeans", 20),
    f"Ward's linkage, {SAMPLE:,} rows": by("ward"),
    f"spectral, 10 neighbors, {SAMPLE:,} rows": by(spectral),
    "one mixture of Gaussians": by("mixture"),
    "steadiest of 30 mixtures": by("mixture", 30),
    "UMAP and a mixture, as N2D": umap_and_mixture,
    "neighborhoods, as for images": neighborhoods,
}


if __name__ == "__main__":
    main()
