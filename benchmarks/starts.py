"""First clusterers on pretrained encoders, and what tells a good one without labels, as Markdown.

    python benchmarks/starts.py --dataset mnist --data mnist.npz results/mnist/dec+augmentation-*/encoder.h5

The first table has the scores of each clusterer on the embedding, before any training towards its clusters. The second
judges the 30 mixtures of each encoder: how well the order by likelihood, and that by consistency under noise, agree
with the order by NMI (Spearman's rank correlation), and the NMI of that which each would choose, beside the best.
"""

import argparse

import keras
import numpy as np
from scipy.stats import spearmanr
from sklearn.cluster import SpectralClustering

from deckeras import datasets, metrics
from deckeras.initialization import first_clusters, mixtures

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
    """Lines of the table of clusterers: mean and standard deviation over the encoders."""
    n_clusters = len(set(y.tolist()))
    yield "| first clusterer | ACC (%) | NMI (%) |"
    yield "|---|---|---|"
    for name, init, n_init in (
        ("k-means", "kmeans", 20),
        ("Ward's linkage, 8,000 rows", "ward", 1),
        ("spectral, 10 neighbors, 8,000 rows", spectral, 1),
        ("one mixture of Gaussians", "mixture", 1),
        ("steadiest of 30 mixtures", "mixture", 30),
    ):
        found = []
        for seed, z in enumerate(embeddings):
            centroids, q = first_clusters(z, n_clusters, init, n_init=n_init, seed=seed)
            found.append(metrics.scores(y, nearest(z, centroids) if q is None else q.argmax(axis=1)))
        cells = ([100 * scores[key] for scores in found] for key in ("acc", "nmi"))
        yield f"| {name} | {' | '.join(f'{np.mean(cell):.1f} ± {np.std(cell):.1f}' for cell in cells)} |"
    yield ""


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


if __name__ == "__main__":
    main()
