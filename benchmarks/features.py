"""Features of a pretrained network: how to scale them, and first clusterers on them, as one table.

    python benchmarks/features.py sets/imagenet50_moco_val.npz --seeds 3

The file holds `x` (n, n_features) and `y` (n,). Labels only score.
"""

import argparse

import numpy as np
from sklearn.cluster import KMeans
from sklearn.preprocessing import normalize, scale

from deckeras import metrics
from deckeras.initialization import manifold

NEIGHBORS, HOPS = 20, (1, 2, 3, 5)


def main(arguments=None):
    options = parse(arguments)
    with np.load(options.path) as file:
        x, y = file["x"].astype(np.float32), file["y"]
    for name, labelings in methods(x, len(np.unique(y))).items():
        scores = [100 * metrics.accuracy(y, labelings(seed)) for seed in range(options.seeds)]
        print(f"| {name} | {np.mean(scores):.2f} ± {np.std(scores):.2f} |", flush=True)


def methods(x, n_clusters):
    """Return a dict from the name of a method to a function from a seed to labels."""

    def kmeans(rows):
        return lambda seed: KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(rows)

    def neighborhoods(seed):
        return manifold.Neighborhoods([(x, "euclidean")], n_init=3, rows=x, seed=seed).clusters(n_clusters)

    centered = x - x.mean(axis=0)
    scaled = {
        "unchanged": x,
        "length 1": normalize(x),
        "standardized": scale(x),
        "standardized, then length 1": normalize(scale(x)),
        "centered, then length 1": normalize(centered),
    }
    found = {f"k-means, {name}": kmeans(rows) for name, rows in scaled.items()}
    smoothed = dict(smooth(x))
    found |= {f"k-means, mean of {NEIGHBORS} neighbors, {hops} times": kmeans(smoothed[hops]) for hops in HOPS}
    return {**found, "neighborhoods": neighborhoods}


def smooth(x):
    """Yield (hops, rows), each row the mean of itself and its neighbors by angle, so many times."""
    from scipy import sparse

    graph = manifold.neighbor_graph(x, NEIGHBORS, metric="cosine") + sparse.eye_array(len(x))
    graph = sparse.diags_array(1 / graph.sum(axis=1)) @ graph
    for hops in range(1, max(HOPS) + 1):
        x = normalize(graph @ x)
        yield hops, x


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="an .npz file with x and y")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
