"""The experiments of the paper, on any data set with classes: its tables, and the data of its figures.

An experiment is a list of `cells`. A `Study` saves pretrained autoencoders and trained models in its folder, because
they are expensive and several experiments use them.

    >>> import cells, experiments
    >>> from deckeras import datasets
    >>> x, y = datasets.load("digits")
    >>> study = experiments.Study(x, y, "study")
    >>> table = [cell for cell in experiments.accuracy(study, seeds=[0]) if "DEC" not in cell[0]["method"]]
    >>> rows = cells.run(table, "accuracy.csv", verbose=0)
    >>> print(cells.markdown(rows, "method").splitlines()[0])
    | method | acc | nmi | ari |
"""

import dataclasses
import functools
import json
import os

import keras
import numpy as np
import spectral

from deckeras import metrics, recipes, selection
from deckeras._data import batching, checks, row_views
from deckeras._data.labels import check_labels
from deckeras._train.device import predict
from deckeras._train.directories import prepare_directory
from deckeras._train.whole_files import whole_file
from deckeras.datasets import loading
from deckeras.models.dec import DEC
from deckeras.pretraining import pretrain
from deckeras.target import embedding_gradient, target_distribution

# The fractions of the first class in the paper's table of imbalance.
RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
# The experiment on the number of clusters tries so many more and fewer than there are classes.
AROUND = 5
# Batches of clustering in the experiment on sensitivity, which equals the longest interval.
ITERATIONS = 1280
# Nine values for the main parameter of each method, as in the paper, and further parameters of DEC.
SENSITIVITY = {
    ("SEC", "mu"): tuple(10.0**i for i in range(-4, 5)),
    ("LDMGI", "lambda"): tuple(10.0**i for i in range(-4, 5)),
    ("DEC", "update_interval"): tuple(5 * 2**i for i in range(9)),
    ("DEC", "learning_rate"): (0.001, 0.003, 0.01, 0.03, 0.1),
    ("DEC", "n_embedding"): (2, 5, 10, 20, 50),
    ("DEC", "alpha"): (0.5, 1.0, 2.0, 5.0, 10.0),
}


class Study:
    """A data set, a recipe, and a folder for models that several experiments use.

    Args:
        x: (n, n_features) array of any real dtype.
        y: (n,) class labels. They give the number of clusters and the scores, and nothing else.
        folder: path. It is created if it is missing, and refused if it holds a study of other data or another recipe.
        recipe: str or `deckeras.recipes.Recipe`, default `"table"`.
        verbose: as for `DEC.fit`, default 0, because experiments have their own progress bar.

    Raises:
        TypeError, ValueError: bad x, y or recipe, or a folder of another study.
    """

    def __init__(self, x, y, folder, recipe="table", *, verbose=0):
        self.recipe = recipes.get(recipe)
        self.x = self.recipe.prepare(checks.check_rows(x))
        self.y = check_labels(y, len(self.x))
        self.n_clusters = len(np.unique(self.y))
        self.folder, self.verbose = os.fspath(folder), verbose
        prepare_directory(self.folder)
        self._claim_folder()

    def autoencoder(self, seed, **changes):
        """Return the pretrained (encoder, decoder) of a seed. `changes` are other values of the recipe."""
        recipe = recipes.get(self.recipe, **changes)
        encoder, decoder = recipe.autoencoder(self.x.shape[1:], seed)
        directory = self._directory("autoencoder", seed, changes)
        pretrain(encoder, decoder, self.x, recipe, seed=seed, checkpoint_dir=directory, verbose=self.verbose)
        return encoder, decoder

    def embedding(self, seed):
        """Return the rows, embedded by the pretrained encoder of a seed: (n, n_embedding) array."""
        return predict(self.autoencoder(seed)[0].predict, batching.OrderedBatches(self.x), verbose=0)

    def dec(self, seed):
        """Return the trained `DEC` of a seed, and the History of its training."""
        model = DEC(self.autoencoder(seed)[0], self.n_clusters)
        common = {"recipe": self.recipe, "seed": seed, "verbose": self.verbose}
        return model, model.fit(self.x, self.y, checkpoint_dir=self._directory("dec", seed), **common)

    def imbalanced(self, r_min, seed):
        """Return the study of `datasets.imbalanced` rows, in a subfolder."""
        x, y = loading.imbalanced(self.x, self.y, r_min, seed=seed)
        return self._part(x, y, self._directory("imbalanced", seed, {"r_min": r_min}))

    @functools.lru_cache(maxsize=1)  # noqa: B019 - a study lives as long as its script, and the copy is dear
    def inside(self, seed):
        """Return (study, held_out): the study of the training rows of `selection.split`, and the held-out rows."""
        inside, outside = selection.split(len(self.x), seed=seed)
        return self._part(self.x[inside], self.y[inside], self._directory("inside", seed)), self.x[outside]

    @functools.cached_property
    def neighbours(self):
        """The result of `spectral.nearest_neighbours` for the rows, saved in the folder."""
        path = self.file("neighbours.npz")
        if not os.path.exists(path):
            distances, indices = spectral.nearest_neighbours(self.x)
            with whole_file(path) as draft, open(draft, "wb") as file:
                np.savez(file, distances=distances, indices=indices)
        with np.load(path) as arrays:
            return arrays["distances"], arrays["indices"]

    def _part(self, x, y, folder):
        # The rows are already prepared. Preparing them again would scale them by another number.
        return Study(x, y, folder, dataclasses.replace(self.recipe, unit_scale=False), verbose=self.verbose)

    def file(self, name):
        """Return the path of a file of this name in the folder."""
        return os.path.join(self.folder, name)

    def scores(self, labels):
        """Return ACC, NMI and ARI of labels of the rows, as `metrics.scores`."""
        return metrics.scores(self.y, labels)

    def _directory(self, kind, seed, changes=()):
        changes = [f"{name}={value}".replace(" ", "") for name, value in sorted(dict(changes).items())]
        return self.file(",".join([kind, *changes, str(seed)]))

    def _claim_folder(self):
        path = self.file("study.json")
        classes = np.unique(self.y, return_inverse=True)[1].astype("int64")
        expected = {
            "rows": row_views.fingerprint(self.x),
            "labels": row_views.fingerprint(classes[:, None]),
            "recipe": self.recipe.settings(),
        }
        if not os.path.exists(path):
            with whole_file(path) as draft, open(draft, "w") as file:
                json.dump(expected, file, indent=2)
        with open(path) as file:
            found = json.load(file)
        expected = json.loads(json.dumps(expected))
        differ = [name for name in expected if found.get(name) != expected[name]]
        if differ:
            raise ValueError(f"{self.folder!r} holds a study of other {' and '.join(differ)}. Choose another folder.")


def accuracy(study, seeds):
    """Return the cells of table 2: clusterings of the rows themselves, DEC with a frozen encoder, and DEC.

    Args:
        study: `Study`.
        seeds: ints.

    Returns:
        list of cells, keys "method" and "seed", values "acc", "nmi" and "ari".
    """
    return _cells(
        seeds,
        {
            "k-means": lambda seed: _kmeans(study.x, study.n_clusters, seed),
            "SEC": lambda seed: _sec(study, seed),
            "LDMGI": lambda seed: _ldmgi(study, seed),
            "DEC without backpropagation": lambda seed: _frozen_dec(study, seed),
            "DEC": lambda seed: _dec_labels(study, seed),
        },
        study,
    )


def on_embedding(study, seeds):
    """Return the cells of table 3: the same clusterings of the autoencoder's embedding, and DEC.

    Args, returns: as `accuracy`.
    """
    return _cells(
        seeds,
        {
            "AE + k-means": lambda seed: _kmeans(study.embedding(seed), study.n_clusters, seed),
            "AE + SEC": lambda seed: spectral.spectral_embedded_clustering(
                study.embedding(seed), study.n_clusters, seed=seed
            ),
            "AE + LDMGI": lambda seed: spectral.ldmgi(study.embedding(seed), study.n_clusters, seed=seed),
            "DEC": lambda seed: _dec_labels(study, seed),
        },
        study,
    )


def imbalance(study, seeds, rates=None):
    """Return the cells of table 4: classes of unequal size, from the fraction `r_min` of the first to all of the last.

    Args:
        study, seeds: as for `accuracy`. A seed also draws the rows.
        rates: floats, default None: `RATES`.

    Returns:
        list of cells, keys "r_min", "method" and "seed", values as of `accuracy`.
    """
    methods = {
        "k-means": lambda part, seed: _kmeans(part.x, part.n_clusters, seed),
        "AE + k-means": lambda part, seed: _kmeans(part.embedding(seed), part.n_clusters, seed),
        "DEC": _dec_labels,
    }

    def cell(rate, method, seed):
        def compute():
            part = study.imbalanced(rate, seed)
            return part.scores(methods[method](part, seed))

        return {"r_min": rate, "method": method, "seed": seed}, compute

    rates = RATES if rates is None else rates
    return [cell(rate, method, seed) for seed in seeds for rate in rates for method in methods]


def sensitivity(study, seeds, grid=None):
    """Return the cells of figure 2: accuracy over settings of SEC, LDMGI and DEC, one parameter at a time.

    DEC always trains `ITERATIONS` batches here. It cannot stop by the rows that change cluster, because there are fewer
    of them in a shorter interval.

    Args:
        study, seeds: as for `accuracy`.
        grid: dict from (method, parameter) to values, default None: `SENSITIVITY`.

    Returns:
        list of cells, keys "method", "parameter", "value" and "seed", values as of `accuracy`.
    """

    def cell(method, parameter, value, seed):
        key = {"method": method, "parameter": parameter, "value": value, "seed": seed}
        return key, lambda: study.scores(_with_setting(study, method, parameter, value, seed))

    grid = SENSITIVITY if grid is None else grid
    return [cell(*name, value, seed) for seed in seeds for name, values in grid.items() for value in values]


def _with_setting(study, method, parameter, value, seed):
    if (method, parameter) == ("SEC", "mu"):
        return _sec(study, seed, mu=value)
    if (method, parameter) == ("LDMGI", "lambda"):
        return _ldmgi(study, seed, lam=value)
    if method != "DEC" or parameter not in ("update_interval", "learning_rate", "n_embedding", "alpha"):
        raise ValueError(f"The grid should hold pairs such as {list(SENSITIVITY)}. Received: {(method, parameter)}")
    changes = {"tol": 0.0, "max_iterations": ITERATIONS, "updates": ITERATIONS}
    if parameter in ("update_interval", "learning_rate"):
        changes[parameter] = value
    units = (*study.recipe.units[:-1], value) if parameter == "n_embedding" else study.recipe.units
    encoder, _ = study.autoencoder(seed, **({} if units == study.recipe.units else {"units": units}))
    model = DEC(encoder, study.n_clusters, alpha=value if parameter == "alpha" else 1.0)
    model.fit(study.x, recipe=recipes.get(study.recipe, **changes), seed=seed, verbose=study.verbose)
    return model.predict_clusters(study.x, verbose=0)


def n_clusters(study, seeds, candidates=None):
    """Return the cells of figure 6: NMI and generalizability over the number of clusters.

    Args:
        study, seeds: as for `accuracy`. A seed also draws the held-out rows.
        candidates: ints, default None: up to `AROUND` more or fewer than there are classes.

    Returns:
        list of cells, keys "n_clusters" and "seed", values as of `selection.evaluate`.
    """
    if candidates is None:
        candidates = range(max(2, study.n_clusters - AROUND), study.n_clusters + AROUND + 1)

    def cell(number, seed):
        def compute():
            part, held_out = study.inside(seed)
            encoder, _ = part.autoencoder(seed)
            common = {"y": part.y, "recipe": part.recipe, "seed": seed, "verbose": part.verbose}
            found = selection.evaluate(encoder, number, part.x, held_out, **common)
            return {name: value for name, value in found.items() if name != "n_clusters"}

        return {"n_clusters": number, "seed": seed}, compute

    return [cell(number, seed) for seed in seeds for number in candidates]


def start(study, seed):
    """Return the state at the start of the clustering.

    Returns:
        (model, assignments): the `DEC` with placed centroids and, if the recipe says so, a scaled embedding; and the
        assignments (n, n_clusters) of the first clusterer, or None if it returns only centroids.
    """
    model = DEC(study.autoencoder(seed)[0], study.n_clusters)
    return model, model.initialize_centroids(study.x, recipe=study.recipe, seed=seed)


def gradients(study, seed):
    """Return the data of figure 4: the gradient of the loss for each row at the start of the clustering.

    Args:
        study: `Study`.
        seed: int.

    Returns:
        dict of arrays of length n: "cluster", that of the nearest centroid; "q", the assignment to it; "gradient", the
        norm of the gradient with respect to the embedded row (see `deckeras.target.embedding_gradient`).
    """
    model, assignments = start(study, seed)
    q = model.predict(study.x, verbose=0)
    p = target_distribution(q if assignments is None else assignments)
    pulls = embedding_gradient(model.embed(study.x, verbose=0), model.centroids, p, alpha=model.alpha)
    return {"cluster": q.argmax(axis=1), "q": q.max(axis=1), "gradient": np.linalg.norm(pulls, axis=1)}


def training(study, seed, *, max_points=1000):
    """Return the data of figure 5: a training, observed from its start after every update.

    It is computed once, and saved in the folder of the study.

    Args:
        study, seed: as for `gradients`.
        max_points: int, default 1,000. Rows whose embedding is recorded, a random sample if there are more.

    Returns:
        dict of arrays: "rows", (m,) their numbers; "embeddings", (updates + 1, m, n_embedding), from the start on;
        "acc", (updates + 1,) accuracy on all rows; "changed", (updates,) fraction of all rows that changed cluster.
    """
    path = study.file(f"training,max_points={max_points},{seed}.npz")
    if not os.path.exists(path):
        found = _watched_training(study, seed, max_points)
        with whole_file(path) as draft, open(draft, "wb") as file:
            np.savez_compressed(file, **found)
    with np.load(path) as arrays:
        return dict(arrays)


def _watched_training(study, seed, max_points):
    model, assignments = start(study, seed)
    rows = np.sort(np.random.default_rng(seed).permutation(len(study.x))[:max_points])
    embeddings = [model.embed(study.x[rows], verbose=0)]
    first = model.predict(study.x, verbose=0) if assignments is None else assignments
    # `fit` begins with the same start.
    found = model.centroids if assignments is None else assignments
    recipe = dataclasses.replace(study.recipe, init=lambda z, n_clusters: found, embedding_scale=None)
    model = DEC(model.encoder, study.n_clusters)
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: embeddings.append(model.embed(study.x[rows], verbose=0))
    )
    history = model.fit(study.x, study.y, recipe=recipe, seed=seed, callbacks=watch, verbose=study.verbose).history
    acc = [study.scores(first.argmax(axis=1))["acc"], *history["acc"]]
    return {"rows": rows, "embeddings": np.stack(embeddings), "acc": acc, "changed": history["changed"]}


def _cells(seeds, methods, study):
    def cell(method, seed):
        return {"method": method, "seed": seed}, lambda: study.scores(methods[method](seed))

    return [cell(method, seed) for seed in seeds for method in methods]


def _kmeans(x, n_clusters, seed):
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=20, random_state=seed).fit_predict(x)


def _sec(study, seed, **settings):
    common = {"neighbours": study.neighbours, "seed": seed}
    return spectral.spectral_embedded_clustering(study.x, study.n_clusters, **common, **settings)


def _ldmgi(study, seed, **settings):
    return spectral.ldmgi(study.x, study.n_clusters, neighbours=study.neighbours, seed=seed, **settings)


def _dec_labels(study, seed):
    return study.dec(seed)[0].predict_clusters(study.x, verbose=0)


def _frozen_dec(study, seed):
    """Return the labels of a DEC that moves only its centroids, with as many updates as the whole DEC.

    Without the encoder, centroids move slowly, and hardly a row changes cluster from one update to the next. With
    `tol`, the training would stop at its start.
    """
    updates = len(study.dec(seed)[1].history["loss"])
    encoder, _ = study.autoencoder(seed)
    encoder.trainable = False
    model = DEC(encoder, study.n_clusters)
    recipe = dataclasses.replace(study.recipe, tol=0.0, updates=updates)
    model.fit(study.x, recipe=recipe, seed=seed, verbose=study.verbose)
    return model.predict_clusters(study.x, verbose=0)
