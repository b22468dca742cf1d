"""The folder of a run, which `deckeras fit` writes and the other commands read.

run.json            the command, data, settings, versions, sizes, scores; before the end, what was asked for
pretraining.h5, checkpoint.h5    the training in progress
model.keras         the model, which takes rows as they come
clusters.csv        each row's name, cluster and soft assignments; or .parquet
centroids.csv       the centroids decoded to the space of the rows
history.csv         loss and changed rows at each update of the target
report.html         the report
"""

import csv
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import tempfile

import keras
import numpy as np

import deckeras  # noqa: F401 - its classes, for the files of models
from deckeras import _extras, baseline, metrics
from deckeras._train.checkpoint import prepare_directory, whole_file
from deckeras.files import hdf5
from deckeras.models import saved

_FILES = {
    "model": "model.keras",
    "centroids": "centroids.csv",
    "history": "history.csv",
    "report": "report.html",
}


# A number may begin with a sign, but whatever else begins so is a formula.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.]+([eE][+-]?\d+)?$)")
_REHEARSED = 8  # rows that are written before the training


def begin(folder, run, *, resume=False):
    """Begin a run in the folder, or go on with the same one.

    Args:
        folder: made if it is not there.
        run: JSON-able dict; what it has as "data", "layout" and "settings" must be the same where a run goes on.
        resume: bool, default False. Whether there may be a run already.

    Raises:
        ValueError: there is a run, and it is not to be resumed, or another one.
        OSError: the folder cannot be written.
    """
    prepare_directory(folder)
    path = os.path.join(folder, "run.json")
    if not os.path.exists(path) or not any(name.endswith((".h5", ".keras")) for name in os.listdir(folder)):
        write_json(path, run)  # where nothing was trained yet, there is nothing to go on with
        return
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not resume:
        raise ValueError(f"{folder!r} holds a run already. Add --resume to go on with it, or choose another --output.")
    for name in "data", "layout", "settings":
        if found.get(name) != json.loads(json.dumps(run[name])):
            raise ValueError(
                f"{folder!r} holds another run, with {name} {found.get(name)}. Received: {run[name]}. Choose another "
                "--output."
            )


def finish(folder, run, rows, estimator, *, extension="csv", report=True):
    """Write what came of a run.

    Args:
        folder, run: as for `begin`; what is known now is added to the dict.
        rows: `deckeras.files.Rows`.
        estimator: `deckeras.DeepEmbeddedClustering`, fitted to them.
        extension: "csv" or "parquet", of the clusters.
        report: bool, default True. Whether to write the report.

    Returns:
        dict from what to the file that holds it.
    """
    q = estimator.predict_proba(rows.x)
    centroids = estimator.inverse_transform(estimator.cluster_centers_)
    written = {name: os.path.join(folder, file) for name, file in _FILES.items()}
    written["clusters"] = os.path.join(folder, f"clusters.{extension}")
    with whole_file(written["model"]) as draft:
        estimator.model_.save(draft)
    write_clusters(written["clusters"], rows, q)
    features = rows.features or [f"x{number}" for number in range(centroids.shape[1])]
    _write_csv(written["centroids"], ["cluster", *features], ([k, *row] for k, row in enumerate(centroids.tolist())))
    history = estimator.history_
    updates = enumerate(zip(*history.values(), strict=True), start=1)
    _write_csv(written["history"], ["update", *history], ([number, *values] for number, values in updates))
    run |= {
        "finished": True,
        "sizes": metrics.cluster_sizes(q.argmax(axis=1), q.shape[1]),
        "scores": scores(rows, q),
        "kmeans": _kmeans(rows, q, estimator),
        "verdict": estimator.verdict(rows.x).as_dict(),
        "versions": _versions(),
        "history": history,
    }
    write_json(os.path.join(folder, "run.json"), run)
    if report:
        write_report(written["report"], run, rows, q, estimator.transform(rows.x), centroids)
    else:
        del written["report"]
    return written


def rehearse(folder, run, rows, n_clusters, *, extension="csv", report=True):
    """Write some rows of all results into a folder that is deleted again, so that nothing fails after the training.

    Args:
        folder, run, rows, extension, report: as for `finish`.
        n_clusters: int.

    Raises:
        ValueError, OSError, ImportError: a result cannot be written.
    """
    chosen = np.arange(min(_REHEARSED, rows.x.shape[0]))
    few = dataclasses.replace(
        rows, x=rows.x[chosen], names=rows.names[chosen], labels=None if rows.labels is None else rows.labels[chosen]
    )
    random = np.random.default_rng(0)
    q = random.dirichlet(np.ones(n_clusters), len(chosen))
    n_features = int(np.prod(rows.x.shape[1:]))
    features = rows.features or [f"x{number}" for number in range(n_features)]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        write_clusters(os.path.join(scratch, f"clusters.{extension}"), few, q)
        with open(os.path.join(scratch, "names.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in [*rows.names, *features])
        write_json(os.path.join(scratch, "run.json"), run)
        if report:
            run = {"history": {"loss": [0.2, 0.1], "changed": [0.1, 0.0]}, **run}
            centroids = random.normal(size=(n_clusters, n_features))
            write_report(os.path.join(scratch, "report.html"), run, few, q, random.normal(size=(len(q), 3)), centroids)


def load(path):
    """Read a finished run.

    Args:
        path: its folder, or the model in it.

    Returns:
        (folder, `deckeras.DEC` or `deckeras.IDEC`, the dict of run.json)

    Raises:
        OSError: there is no such run, it is damaged, or it has not finished; the message says how to resume it.
        ValueError: its model holds code, or is none.
    """
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    record, model = os.path.join(folder, "run.json"), os.path.join(folder, "model.keras")
    if not os.path.exists(record):
        raise FileNotFoundError(f"{folder!r} should be a folder that `deckeras fit` has written: it has no run.json.")
    try:
        with open(record, encoding="utf-8") as file:
            run = dict(json.load(file))
    except (ValueError, TypeError) as error:
        raise OSError(f"{record!r} is truncated, damaged or not of a run ({error}). Restore a copy.") from error
    if not run.get("finished"):
        raise FileNotFoundError(
            f"{folder!r} holds a run that has not finished. To go on: {run.get('command', 'deckeras fit')} --resume"
        )
    return folder, saved.load(model), run


def scores(rows, q):
    """ACC, NMI and ARI of those of `deckeras.files.Rows` that have labels, None without."""
    return baseline.scores(rows.labels, q.argmax(axis=1))


def clusters(rows, q):
    """DataFrame with the "name", "cluster" and "confidence" (the largest q) of each row, and its q for each cluster."""
    import pandas

    columns = {"name": rows.names, "cluster": q.argmax(axis=1), "confidence": q.max(axis=1)}
    return pandas.DataFrame({**columns, **{f"q{cluster}": q[:, cluster] for cluster in range(q.shape[1])}})


def write_clusters(path, rows, q):
    """Write `clusters` to a .csv or a .parquet file.

    Raises:
        ValueError: another kind of file.
        ImportError: pyarrow is wanting, for .parquet.
    """
    extension = check_output(path)
    with whole_file(path) as draft:
        if extension == ".csv":
            inert(clusters(rows, q)).to_csv(draft, index=False)
            return
        try:
            clusters(rows, q).to_parquet(draft, index=False)
        except ImportError as error:
            raise _extras.needed("Writing .parquet", "pyarrow", "parquet") from error


def inert(table):
    """Return a table that no spreadsheet computes: names that look like formulas begin with an apostrophe."""
    names = [f"'{name}" if isinstance(name, str) and _FORMULA.match(name) else name for name in table["name"]]
    return table.assign(name=names)


def check_output(path):
    """Return the extension of a file for clusters, or raise a ValueError, before they are computed."""
    extension = os.path.splitext(path)[1].lower()
    if extension not in (".csv", ".parquet"):
        raise ValueError(f"The clusters go to a .csv or a .parquet file. Received: {path!r}")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder!r} for the clusters. Make it first.")
    if extension == ".parquet" and not importlib.util.find_spec("pyarrow"):
        raise _extras.needed("Writing .parquet", "pyarrow", "parquet")
    return extension


def check_observations(path):
    """Raise a ValueError or OSError if results cannot be written into a file of AnnData, before they are computed."""
    if not os.fspath(path).lower().endswith(".h5ad"):
        raise ValueError(f"--write-obs writes into obs of an .h5ad file. Received: {path!r}")
    hdf5.check_observations(path)
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path!r} cannot be written. Leave out --write-obs, or make it writable.")
    prepare_directory(os.path.dirname(os.path.abspath(path)))


def write_observations(path, rows, estimator):
    """Add the clusters to a file of AnnData: "deckeras" and "deckeras_confidence" in obs, "X_deckeras" in obsm.

    The file is replaced by a changed copy, so that it is whole at any moment.

    Returns:
        The path.
    """
    q = estimator.predict_proba(rows.x)
    columns = {"deckeras": q.argmax(axis=1), "deckeras_confidence": q.max(axis=1)}
    with whole_file(path) as draft:
        shutil.copyfile(path, draft)
        hdf5.write_observations(draft, columns, estimator.transform(rows.x))
    return os.fspath(path)


def write_report(path, run, rows, q, z, centroids):
    """Write the page of `deckeras.report.make`."""
    from deckeras import report  # slow to import

    page = report.make(run, rows, q, z, centroids, run["history"])
    # Names of files need not be text; what is no character appears as its number.
    with whole_file(path) as draft, open(draft, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(page)


def centroids(folder):
    """(n_clusters, n_features) array of what is in centroids.csv."""
    path = os.path.join(folder, _FILES["centroids"])
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, encoding="utf-8")[:, 1:]


def write_json(path, values):
    """Write JSON, NumPy's numbers and arrays included."""
    with whole_file(path) as draft, open(draft, "w", encoding="utf-8") as file:
        json.dump(values, file, indent=2, default=plain)


def plain(value):
    """A number or an array of NumPy as JSON has it, anything else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _write_csv(path, header, lines):
    with whole_file(path) as draft, open(draft, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)


def _kmeans(rows, q, estimator):
    """Return how k-means on the same rows, in the same scale, compares."""
    x = rows.x.reshape(len(rows.x), -1) if rows.x.ndim > 2 else rows.x
    seed = estimator.random_state if isinstance(estimator.random_state, int) else 0
    others = baseline.kmeans(estimator.scaling_.rows(x), q.shape[1], seed=seed)
    return baseline.compare(q.argmax(axis=1), others, rows.labels)


def _versions():
    names = ("deckeras", "keras", keras.backend.backend(), "numpy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
