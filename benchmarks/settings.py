"""What each setting of a recipe is worth, over data sets: the recipe as it is, and with one thing changed, as Markdown.

    python benchmarks/settings.py table --datasets iris wine breast_cancer warped --seeds 5
    python benchmarks/settings.py images --datasets digits glyphs --seeds 5
    python benchmarks/settings.py images --datasets mnist --data mnist.npz --seeds 1

Cells are the mean accuracy (%) and its standard deviation over the seeds. Each run is kept in results/settings, and
what is finished is read and not repeated; changes of the clustering alone share the pretraining of the recipe.
"""

import argparse
import dataclasses
import json
import os

import numpy as np
from sklearn.cluster import KMeans

import deckeras
from deckeras import datasets, metrics, recipes
from deckeras._train.whole_files import whole_file
from deckeras.initialization import cluster_means, mixture_assignments


def means_of_mixture(z, n_clusters):
    return cluster_means(z, mixture_assignments(z, n_clusters))


AS_IT_IS = "as it is"
CHANGES = {
    "table": {
        AS_IT_IS: {},
        "embedding scaled to 3": {"embedding_scale": 3.0},
        "start from the steadiest of 30 mixtures": {"init": "mixture", "n_init": 30},
        "both": {"init": "mixture", "n_init": 30, "embedding_scale": 3.0},
        "start from Ward's clusters": {"init": "ward"},
        "10 updates, learning rate falls to a tenth": {"updates": 10, "decay": 0.1},
        "at least 6,000 batches of pretraining": {"min_pretraining_iterations": 6000},
        "dropout 0.2 in pretraining": {"dropout": 0.2},
    },
    "images": {
        AS_IT_IS: {},
        "start from k-means": {"init": "kmeans", "n_init": 20},
        "start from one mixture": {"n_init": 1},
        "first target from the means of the mixture": {"init": means_of_mixture},
        "embedding not scaled": {"embedding_scale": None},
        "embedding scaled to 1": {"embedding_scale": 1.0},
        "embedding scaled to 6": {"embedding_scale": 6.0},
        "learning rate does not fall": {"decay": 1.0},
        "learning rate 0.05": {"learning_rate": 0.05},
        "clustering augmented at any size": {"min_side": 1},
        "clustering not augmented": {"min_side": 1000},
        "nothing augmented": {"shift": 0.0, "rotation": 0.0},
        "half the pretraining": {"epochs": 20, "min_pretraining_iterations": 1500},
    },
}
OF_PRETRAINING = {"epochs", "min_pretraining_iterations", "dropout", "shift", "rotation"}


def main(arguments=None):
    options = parse(arguments)
    found = {}
    for dataset in options.datasets:
        x, y = datasets.load(dataset, options.data)
        folder = os.path.join(options.output, options.recipe, dataset)
        for change in options.changes or CHANGES[options.recipe]:
            found[change, dataset] = [run(options.recipe, change, x, y, folder, seed) for seed in range(options.seeds)]
    print("\n".join(table(found, options.datasets)))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=CHANGES)
    parser.add_argument("--datasets", nargs="+", choices=datasets.NAMES, required=True, metavar="NAME")
    parser.add_argument("--data", metavar="FILE", help="local file, where there is one data set that needs it")
    parser.add_argument("--changes", nargs="+", metavar="NAME", help=f"default: all, {AS_IT_IS!r} among them")
    parser.add_argument("--seeds", type=int, default=5, help="run the seeds 0 to SEEDS - 1; default: 5")
    parser.add_argument("--output", metavar="DIR", default="results/settings", help="default: results/settings")
    options = parser.parse_args(arguments)
    unknown = set(options.changes or []) - set(CHANGES[options.recipe])
    if unknown:
        parser.error(f"--changes should be of {sorted(CHANGES[options.recipe])}. Received: {sorted(unknown)}")
    return options


def run(name, change, x, y, folder, seed):
    """The accuracies of a run, which is made unless it is there: of k-means before the clustering, and after it."""
    path = os.path.join(folder, f"{change}-{seed}.json")
    if not os.path.exists(path):
        changes, image_shape = CHANGES[name][change], datasets.IMAGE_SHAPES.get(os.path.basename(folder))
        recipe = dataclasses.replace(recipes.get(name, image_shape=image_shape), **changes)
        pretraining = os.path.join(folder, f"{change if OF_PRETRAINING & set(changes) else AS_IT_IS}-{seed}")
        os.makedirs(folder, exist_ok=True)
        scores = cluster(recipe, x, y, seed, pretraining)
        with whole_file(path) as draft, open(draft, "w") as file:
            json.dump(scores, file)
    with open(path) as file:
        return json.load(file)


def cluster(recipe, x, y, seed, directory):
    n_clusters = len(set(y.tolist()))
    encoder, decoder = recipe.autoencoder(x.shape[1:], seed)
    deckeras.pretrain(encoder, decoder, x, recipe, seed=seed, checkpoint_dir=directory, verbose=0)
    z = encoder.predict(x, batch_size=4096, verbose=0)
    before = KMeans(n_clusters, n_init=20, random_state=seed).fit_predict(z)
    model = deckeras.DEC(encoder, n_clusters)
    model.fit(x, recipe=recipe, seed=seed, verbose=0)
    labels = {"before": before, "after": model.predict_clusters(x, verbose=0)}
    return {when: metrics.scores(y, found)["acc"] for when, found in labels.items()}


def table(found, names):
    """Lines of a Markdown table with a row a change and a column a data set."""
    yield f"| | {' | '.join(names)} | mean |"
    yield "|---" * (len(names) + 2) + "|"
    changes = dict.fromkeys(change for change, _ in found)
    rows = [("autoencoder + k-means", AS_IT_IS, "before")] if AS_IT_IS in changes else []
    for title, change, when in [*rows, *((change, change, "after") for change in changes)]:
        scores = [[100 * scores[when] for scores in found[change, name]] for name in names]
        cells = [f"{np.mean(values):.1f} ± {np.std(values):.1f}" for values in scores]
        yield f"| {title} | {' | '.join(cells)} | {np.mean([np.mean(values) for values in scores]):.1f} |"


if __name__ == "__main__":
    main()
