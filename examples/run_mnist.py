"""Cluster MNIST (or another data set) with DEC: k-means, autoencoder + k-means and DEC side by side.

    python examples/run_mnist.py                              MNIST, or digits if MNIST cannot be downloaded
    python examples/run_mnist.py --dataset digits             a minute on two cores
    python examples/run_mnist.py --data mnist.npz             a local file
    python examples/run_mnist.py --weights weights/mnist_encoder.h5    without pretraining
    python examples/run_mnist.py --recipe dec-keras           like DEC-keras; or paper, like the paper

For images, the recipe is `images`, which shifts and rotates them at random during training; for other data, it is
`table`. The target is always computed from the unchanged rows.

The results go to --output: encoder.h5, dec.h5, dec.keras, history.csv, summary.json, figures, and the checkpoints from
which the same command resumes after an interruption.
"""

import argparse
import csv
import hashlib
import json
import logging
import os
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from sklearn.cluster import KMeans

import deckeras
from deckeras import datasets, metrics, plots
from deckeras._data import row_views
from deckeras._train.directories import prepare_directory
from deckeras._train.whole_files import whole_file
from deckeras.models.configs import rewrite_h5

VERBOSE = 1 if sys.stdout.isatty() else 2  # progress bars in a terminal, one line per epoch in a file


def main(arguments=None):
    options = parse(arguments)
    dataset, x, y = load_data(options)
    output = options.output or os.path.join("results", dataset)
    prepare_directory(output)
    given = load_weights(options.weights, x, len(set(y.tolist())))
    settings = {
        "dataset": dataset,
        "n_samples": len(x),
        "seed": options.seed,
        "recipe": options.recipe or ("images" if dataset in datasets.IMAGE_SHAPES else "table"),
        "method": options.method,
        "convolutional": options.convolutional,
        "augment": options.augment,
        "epochs": options.epochs,
        "checksums": checksums(x, options.weights),
    }
    recipe = recipe_of(settings)
    x = recipe.prepare(x)
    summary = begun_run(output, settings)
    if summary:
        print(f"{output} holds this run, which has finished. Choose another --output, or delete it to run again.")
    else:
        summary = {**settings, **run(settings, recipe, x, y, given, output)}
        write_json(summary, output, "summary.json")
    print_scores(summary["scores"])
    seconds = summary["seconds"]
    print(f"pretraining {seconds['pretrain']:.0f} s, clustering {seconds['cluster']:.0f} s; results in {output}")


def recipe_of(settings):
    """Return the recipe of the settings, changed by the options."""
    changes = {"image_shape": datasets.IMAGE_SHAPES.get(settings["dataset"])}
    if settings["convolutional"]:
        changes["convolutional"] = True
    if not settings["augment"]:
        changes |= {"shift": 0.0, "rotation": 0.0}
    if settings["epochs"]:
        changes |= {"epochs": settings["epochs"], "min_pretraining_iterations": 0}
    return deckeras.recipes.get(settings["recipe"], **changes)


def run(settings, recipe, x, y, given, output):
    """Train, write the results to the output directory, and return the seconds and scores."""
    dataset, seed, n_clusters = settings["dataset"], settings["seed"], len(set(y.tolist()))
    print(f"{dataset}: {len(x):,} rows of {x.shape[1]:,} features, {n_clusters} clusters, seed {seed}, {recipe.name}")
    if isinstance(given, deckeras.DEC):
        model, embeddings, history, seconds = given, {}, {}, {"pretrain": 0.0, "cluster": 0.0}
        before = None
        save_model(model.encoder, output, "encoder.h5")
    else:
        model, embeddings, history, seconds, before = train(settings, recipe, x, y, n_clusters, given, output)
    q = model.predict(x, verbose=0)
    embeddings["after clustering"] = model.embed(x, verbose=0)
    save_model(model, output, "dec.h5", "dec.keras")
    save_history(history, output)
    print("k-means on the input, for comparison")
    kmeans = metrics.scores(y, KMeans(n_clusters, n_init=20, random_state=seed).fit_predict(x))
    save_figures(output, dataset, x, y, q, embeddings, history, kmeans)
    after = metrics.scores(y, q.argmax(axis=1))
    scores = {"k-means": kmeans, "ae+k-means": before, settings["method"]: after}
    return {"seconds": seconds, "scores": scores}


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset", choices=datasets.NAMES, help="default: mnist, or digits if it cannot be downloaded"
    )
    parser.add_argument("--data", metavar="FILE", help="local file or folder of the data set; see deckeras.datasets")
    parser.add_argument("--recipe", choices=deckeras.recipes.RECIPES, help="default: images, or table for other data")
    parser.add_argument("--method", choices=("dec", "idec"), default="dec", help="default: dec")
    parser.add_argument("--convolutional", action="store_true", help="use a convolutional autoencoder; for images")
    parser.add_argument("--no-augment", dest="augment", action="store_false", help="train on the unchanged images")
    parser.add_argument("--epochs", type=natural, help="epochs of pretraining; default: those of the recipe")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--weights", metavar="FILE", help="pretrained encoder or trained DEC (.h5 or .keras) to use")
    parser.add_argument("--output", metavar="DIR", help="default: results/DATASET")
    options = parser.parse_args(arguments)
    if options.weights and options.epochs:
        parser.error("--epochs sets the pretraining, which --weights replaces")
    if options.weights and options.method == "idec":
        parser.error("--method idec needs the decoder of a pretraining, which --weights replaces")
    return options


def natural(text):
    """Convert text to a whole number of at least 1. argparse reports the ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def load_data(options):
    """Return name, rows and labels of the data set in the options, else of MNIST, else of digits, with a warning."""
    if options.dataset or options.data:
        dataset = options.dataset or "mnist"
        return dataset, *datasets.load(dataset, options.data)
    try:
        return "mnist", *datasets.load("mnist")
    except OSError as error:
        reason = str(error).splitlines()[0]
        print(f"Warning: MNIST cannot be downloaded, so digits is clustered instead. {reason}", file=sys.stderr)
        return "digits", *datasets.load("digits")


def checksums(x, weights):
    """Return checksums of the data and the weights, which identify them whatever their names."""
    found = {"data": row_views.fingerprint(x)["checksum"]}
    if weights:
        with open(weights, "rb") as file:
            found["weights"] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def begun_run(output, settings):
    """Return the summary of this run if the output directory contains it, else None."""
    path = os.path.join(output, "settings.json")
    if not os.path.exists(path):
        write_json(settings, output, "settings.json")
        return None
    with open(path) as file:
        found = json.load(file)
    if found != settings:
        raise ValueError(f"{output!r} holds another run: {found}. Expected {settings}. Choose another --output.")
    try:
        with open(os.path.join(output, "summary.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def write_json(values, output, name):
    with whole_file(os.path.join(output, name)) as draft, open(draft, "w") as file:
        json.dump(values, file, indent=2)


def load_weights(path, x, n_clusters):
    """Return the encoder or DEC in the file, or None if there is no file. Raise a ValueError if it does not fit."""
    if path is None:
        return None
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path!r} should be a complete model that Keras has saved, .h5 or .keras. {error}") from error
    if model.input_shape[1:] != x.shape[1:]:
        raise ValueError(f"{path!r} takes rows of shape {model.input_shape[1:]}. Received: rows of {x.shape[1:]}")
    if isinstance(model, deckeras.DEC) and model.n_clusters != n_clusters:
        raise ValueError(f"{path!r} has {model.n_clusters} clusters. The data has {n_clusters} classes.")
    return model


def train(settings, recipe, x, y, n_clusters, encoder, output):
    """Pretrain unless there is an encoder, then cluster."""
    seed, decoder, seconds = settings["seed"], None, {"pretrain": 0.0}
    common = {"recipe": recipe, "seed": seed, "checkpoint_dir": output, "verbose": VERBOSE}
    if encoder is None:
        print("Pretraining the autoencoder")
        encoder, decoder = recipe.autoencoder(x.shape[1:], seed)
        stages = deckeras.pretrain(encoder, decoder, x, **common)
        seconds["pretrain"] = sum(stage.seconds for stage in stages)
    save_model(encoder, output, "encoder.h5")
    z = encoder.predict(x, batch_size=4096, verbose=0)
    before = metrics.scores(y, KMeans(n_clusters, n_init=20, random_state=seed).fit_predict(z))
    print("Clustering: each epoch is the training between two updates of the target")
    if settings["method"] == "idec":
        model = deckeras.IDEC(encoder, decoder, n_clusters)
    else:
        model = deckeras.DEC(encoder, n_clusters)
    history = model.fit(x, y, **common)
    seconds["cluster"] = history.seconds
    return model, {"before clustering": z}, {**history.history, "seconds": history.times}, seconds, before


def save_model(model, output, *names):
    for name in names:
        with whole_file(os.path.join(output, name)) as draft:
            model.save(draft)
            if name.endswith(".h5"):
                rewrite_h5(draft)


def save_history(history, output):
    with whole_file(os.path.join(output, "history.csv")) as draft, open(draft, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["update", *history])
        writer.writerows([number, *row] for number, row in enumerate(zip(*history.values(), strict=True), start=1))


def save_figures(output, dataset, x, y, q, embeddings, history, kmeans):
    figures = {
        "embedding": plots.embedding(embeddings, y),
        "confusion": plots.confusion_matrix(y, q.argmax(axis=1)),
    }
    if history:
        figures["training"] = plots.training_curves(history, kmeans)
    if dataset in datasets.IMAGE_SHAPES:
        figures["top_images"] = plots.top_images(x, q, datasets.IMAGE_SHAPES[dataset], y=y)
    for name, figure in figures.items():
        with whole_file(os.path.join(output, f"{name}.png")) as draft:
            figure.savefig(draft, dpi=200)


def print_scores(scores):
    print(f"{'':12}{'ACC':>8}{'NMI':>8}{'ARI':>8}")
    for name, values in scores.items():
        numbers = "".join(f"{values[key]:8.4f}" for key in ("acc", "nmi", "ari")) if values else f"{'-':>8}" * 3
        print(f"{name:12}{numbers}")


if __name__ == "__main__":
    # Keras warns that .h5 is the older of its two formats.
    logging.getLogger("absl").setLevel(logging.ERROR)
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
    try:
        main()
    except (OSError, ValueError, TypeError, FloatingPointError) as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command resumes from the last checkpoint.")
