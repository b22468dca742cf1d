"""Features of a pretrained network: how to scale them, first clusterers on them, and DEC, as one table.

    python benchmarks/features.py sets/imagenet50_moco_val.npz --seeds 3
    python benchmarks/features.py sets/coil20.npz --network efficientnet-lite0.keras --seeds 3

The file holds `x` (n, n_features) and `y` (n,). With `--network`, it holds pictures and their `image_shape`, and the
network makes their features first; `efficientnet_lite0.py` writes such a network. Labels only score.
"""

import argparse

import numpy as np
from sklearn.cluster import KMeans
from sklearn.preprocessing import normalize, scale

from deckeras import DeepEmbeddedClustering, features, metrics
from deckeras.initialization import manifold, neighbor_graphs

NEIGHBORS, HOPS = 20, (1, 2, 3, 5)


def main(arguments=None):
    options = parse(arguments)
    with np.load(options.path) as file:
        x, y = file["x"].astype(np.float32), file["y"]
        shape = tuple(file["image_shape"]) if "image_shape" in file else None
    n_clusters = len(np.unique(y))
    compared = {}
    if options.network is not None:
        if shape is None:
            raise SystemExit(f"--network needs a file with image_shape. Received: {options.path}")
        pixels, x = x, features_of(x, shape, options.network)
        compared["k-means, pixels"] = kmeans(pixels, n_clusters)
    for name, labelings in {**compared, **methods(x, n_clusters)}.items():
        scores = [100 * metrics.accuracy(y, labelings(seed)) for seed in range(options.seeds)]
        print(f"| {name} | {np.mean(scores):.2f} ± {np.std(scores):.2f} |", flush=True)


def features_of(x, shape, network):
    """Return the features of flat gray or colored pictures, whose largest value is white."""
    model = features.network(network, image_shape=shape)
    return features.compute(model, (x * (255 / x.max())).reshape(-1, *shape))


def kmeans(rows, n_clusters):
    return lambda seed: KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(rows)


def methods(x, n_clusters):
    """Return a dict from the name of a method to a function from a seed to labels."""

    def dec(seed):
        return DeepEmbeddedClustering(n_clusters, recipe="features", random_state=seed, verbose=0).fit_predict(x)

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
    found = {f"k-means, {name}": kmeans(rows, n_clusters) for name, rows in scaled.items()}
    for hops, rows in smooth(x):
        if hops in HOPS:
            found[f"k-means, mean of {NEIGHBORS} neighbors, {hops} times"] = kmeans(rows, n_clusters)
    return {**found, "neighborhoods": neighborhoods, "DEC": dec}


def smooth(x):
    """Yield (hops, rows), each row the mean of itself and its neighbors by angle, so many times."""
    from scipy import sparse

    graph = neighbor_graphs.neighbor_graph(x, NEIGHBORS, metric="cosine") + sparse.eye_array(len(x))
    graph = sparse.diags_array(1 / graph.sum(axis=1)) @ graph
    for hops in range(1, max(HOPS) + 1):
        x = normalize(graph @ x)
        yield hops, x


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="an .npz file with x and y")
    parser.add_argument("--network", help="what makes features of pictures, as of `deckeras fit --features`")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
