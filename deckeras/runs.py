"""The folder of a run, which `deckeras fit` writes and the other commands read.

run.json            command, data, settings, versions, sizes and scores; during the run, only what was requested
pretraining.h5, checkpoint.h5    the checkpoints, deleted when the run finishes
features-KEY.npy    the features of pictures or texts; KEY identifies the network and its inputs
tokenizer           a folder with the tokenizer of a text network
model.keras         the model, which takes rows without scaling; with a network, pictures or tokens
clusters.csv        name, cluster and soft assignments of each row; or .parquet
centroids.csv       the centroids, decoded to the space of the rows
history.csv         loss and fraction of changed rows at each update of the target
report.html         the report

Keras is imported only when a model is loaded or saved.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np

from deckeras import _extras, _records
from deckeras._train.directories import prepare_directory
from deckeras._train.whole_files import check_target, whole_file
from deckeras._typing import Array, Path

_FILES = {"model": "model.keras", "centroids": "centroids.csv", "history": "history.csv", "report": "report.html"}
_CHECKPOINT = re.compile(r"(checkpoint|pretraining(-pair\d+)?)(\.tmp)?\.h5")
# A number may begin with a sign, but any other text that does so is a formula.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.]+([eE][+-]?\d+)?$)")
_REHEARSED = 8  # the number of rows that are written before the training


def check(folder: str, run: dict[str, Any], *, resume: bool = False) -> dict[str, Any] | None:
    """Check that a run may be written to a folder, without changing the folder.

    Args:
        folder: str; the folder may be missing.
        run: JSON-able dict. A resumed run should be the same for `_records.compare`.
        resume: bool, default False. Whether the folder may already hold the run.

    Returns:
        `summary` of the run if it has finished and has no checkpoints to resume from, otherwise None.

    Raises:
        ValueError: the folder holds another run, or this run and `resume` is False, or other files named like results.
        OSError: its run.json is damaged.
    """
    path = os.path.join(folder, "run.json")
    results = [os.path.basename(file) for file in _written(folder).values()]
    if not os.path.exists(path) or not (_checkpoints(folder) or _FILES["model"] in results):
        if results:
            raise ValueError(
                f"{folder!r} holds {', '.join(results)}, which a run would replace, but is not the folder of a run. "
                "Choose another --output, or move these files away."
            )
        return None
    found = _records.load(path)
    finished = found.get("finished") and not _checkpoints(folder)
    if not resume:
        way_out = "Choose" if finished else "Add --resume to resume it, or choose"
        raise ValueError(
            f"{folder!r} holds a run already{', which has finished' if finished else ''}. {way_out} another --output."
        )
    _records.compare(folder, found, run)
    return {**_written(folder), **summary(found)} if finished else None


def begin(folder: str, run: dict[str, Any], *, resume: bool = False) -> None:
    """Create the folder of a run and write run.json, unless the run is resumed.

    Args:
        folder, run, resume: as for `check`.

    Raises:
        ValueError: as for `check`.
        OSError: the folder cannot be written.
    """
    check(folder, run, resume=resume)
    prepare_directory(folder)
    if not _checkpoints(folder):
        _records.write(os.path.join(folder, "run.json"), run)


def summary(run: dict[str, Any]) -> dict[str, Any]:
    """Return what the command reports about a finished run: a dict of the main entries of run.json."""
    names = ("seconds", "sizes", "scores", "kmeans", "verdict", "warnings", "notices")
    return {name: run[name] for name in names if name in run}


def delete_checkpoints(folder: str) -> None:
    """Delete the checkpoints of a run, which cannot be resumed afterwards."""
    for name in _checkpoints(folder):
        os.remove(os.path.join(folder, name))


def _checkpoints(folder: str) -> list[str]:
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in names if _CHECKPOINT.fullmatch(name))


def _written(folder: str) -> dict[str, str]:
    """Return a dict from the name of each result in the folder to its file."""
    names = {**_FILES, "clusters": "clusters.csv"}
    if not os.path.exists(os.path.join(folder, names["clusters"])):
        names["clusters"] = "clusters.parquet"
    paths = {name: os.path.join(folder, file) for name, file in names.items()}
    return {name: path for name, path in paths.items() if os.path.exists(path)}


def finish(
    folder: str,
    run: dict[str, Any],
    rows: Any,
    estimator: Any,
    *,
    extension: str = "csv",
    report: bool = True,
    shown: Any = None,
) -> dict[str, str]:
    """Write the results of a run.

    Args:
        folder, run: as for `begin`; the results are added to the dict.
        rows: `deckeras.files.Rows`.
        estimator: `deckeras.DeepEmbeddedClustering`, fitted to them.
        extension: "csv" or "parquet", the format of the clusters.
        report: bool, default True. Whether to write the report.
        shown: `deckeras.files.Rows`, default None. For the report: the pictures or texts whose features `rows` holds.

    Returns:
        dict from the name of each result to its file.
    """
    from deckeras import metrics

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
    _records.write(os.path.join(folder, "run.json"), run)
    if report:
        decoded = centroids if shown is None else None
        write_report(written["report"], run, shown or rows, q, estimator.transform(rows.x), decoded)
    else:
        del written["report"]
    return written


def rehearse(
    folder: str, run: dict[str, Any], rows: Any, n_clusters: int, *, extension: str = "csv", report: bool = True
) -> None:
    """Write a few rows of each result to a temporary folder, so that errors are raised before the training.

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
    n_features = run["network"]["n_features"] if run.get("network") else int(np.prod(rows.x.shape[1:]))
    features = rows.features or [f"x{number}" for number in range(n_features)]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        write_clusters(os.path.join(scratch, f"clusters.{extension}"), few, q)
        with open(os.path.join(scratch, "names.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in [*rows.names, *features])
        _records.write(os.path.join(scratch, "run.json"), run)
        if report:
            run = {"history": {"loss": [0.2, 0.1], "changed": [0.1, 0.0]}, **run}
            centroids = None if run.get("network") else random.normal(size=(n_clusters, n_features))
            write_report(os.path.join(scratch, "report.html"), run, few, q, random.normal(size=(len(q), 3)), centroids)


def read(path: str) -> tuple[str, dict[str, Any]]:
    """Read run.json of a finished run.

    Args:
        path: its folder, or the model in it.

    Returns:
        (folder, dict)

    Raises:
        OSError: there is no such run, it is damaged, or it has not finished; the message says how to resume it.
    """
    # Any other file of the folder may be another model, which is not read.
    own = os.path.isfile(path) and os.path.basename(path) in (_FILES["model"], "run.json")
    folder = os.path.dirname(os.path.abspath(path)) if own else path
    record = os.path.join(folder, "run.json")
    if not os.path.exists(record):
        reason = "it has no run.json" if own or os.path.isdir(path) else "it is another file"
        reason = reason if os.path.exists(path) else "there is no such folder"
        raise FileNotFoundError(f"{path!r} should be a folder that `deckeras fit` has written, or its model: {reason}.")
    run = _records.load(record)
    if not run.get("finished"):
        command = run.get("command", "deckeras fit")
        raise FileNotFoundError(f"{folder!r} holds a run that has not finished. Resume it first: {command} --resume")
    _records.check(record, run)
    return folder, run


def load(path: str) -> tuple[str, Any, dict[str, Any]]:
    """Read a finished run with its model.

    Args:
        path: as for `read`.

    Returns:
        (folder, `deckeras.DEC` or `deckeras.IDEC`, dict of run.json)

    Raises:
        OSError: as for `read`, or the model is damaged.
        ValueError: the file holds code, or is not a model.
    """
    import deckeras
    from deckeras.models import saved

    folder, run = read(path)
    deckeras._register_classes()
    return folder, saved.load(os.path.join(folder, _FILES["model"])), run


def scores(rows: Any, q: Array) -> dict[str, float] | None:
    """Return ACC, NMI and ARI of the rows that have labels, or None if no row has one.

    Args:
        rows: `deckeras.files.Rows`.
        q: (n, n_clusters) soft assignments.
    """
    from deckeras import baseline

    return baseline.scores(rows.labels, q.argmax(axis=1))


def clusters(rows: Any, q: Array) -> Any:
    """Return a DataFrame with the "name", "cluster", "confidence" (the largest q) and all values of q of each row."""
    import pandas

    columns = {"name": rows.names, "cluster": q.argmax(axis=1), "confidence": q.max(axis=1)}
    return pandas.DataFrame({**columns, **{f"q{cluster}": q[:, cluster] for cluster in range(q.shape[1])}})


def write_clusters(path: str, rows: Any, q: Array) -> None:
    """Write `clusters` to a .csv or a .parquet file.

    Raises:
        ValueError: another kind of file.
        ImportError: a .parquet file without pyarrow.
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


def inert(table: Any) -> Any:
    """Return a table that spreadsheets do not execute: an apostrophe is put before names that look like formulas."""
    names = [f"'{name}" if isinstance(name, str) and _FORMULA.match(name) else name for name in table["name"]]
    return table.assign(name=names)


def check_output(path: str, sources: Iterable[str] = ()) -> str:
    """Check, before clusters are computed, that they can be written to a file, and return its extension.

    Raises:
        ValueError, OSError: another kind of file, or as for `check_target`.
        ImportError: a .parquet file without pyarrow.
    """
    extension = os.path.splitext(path)[1].lower()
    if extension not in (".csv", ".parquet"):
        raise ValueError(f"The file of the clusters should be .csv or .parquet. Received: {path!r}")
    check_target(path, "the clusters", sources)
    if extension == ".parquet" and not importlib.util.find_spec("pyarrow"):
        raise _extras.needed("Writing .parquet", "pyarrow", "parquet")
    return extension


def check_observations(path: str) -> None:
    """Check, before results are computed, that they can be written into an AnnData file.

    Raises:
        ValueError: another kind of file, or one of an old version.
        OSError: the file is missing or cannot be written.
    """
    from deckeras.files import hdf5

    if not os.fspath(path).lower().endswith(".h5ad"):
        raise ValueError(f"--write-obs needs an .h5ad file. Received: {path!r}")
    hdf5.check_observations(path)
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path!r} cannot be written. Make it writable, or leave out --write-obs.")
    prepare_directory(os.path.dirname(os.path.abspath(path)))


def write_observations(path: Path, rows: Any, estimator: Any) -> str:
    """Add the clusters to an AnnData file: "deckeras" and "deckeras_confidence" in obs, "X_deckeras" in obsm.

    The file is replaced by a changed copy, so that it is complete at any time.

    Returns:
        The path.
    """
    from deckeras.files import hdf5

    path = os.path.realpath(path)  # A link stays a link, to the changed file.
    q = estimator.predict_proba(rows.x)
    columns = {"deckeras": q.argmax(axis=1), "deckeras_confidence": q.max(axis=1)}
    with whole_file(path) as draft:
        shutil.copyfile(path, draft)
        hdf5.write_observations(draft, columns, estimator.transform(rows.x))
    return os.fspath(path)


def write_report(path: str, run: dict[str, Any], rows: Any, q: Array, z: Array, centroids: Array | None) -> None:
    """Write the page of `deckeras.report.make`."""
    from deckeras import report

    page = report.make(run, rows, q, z, centroids, run["history"])
    # File names may contain bytes that are not characters. They are written as their codes.
    with whole_file(path) as draft, open(draft, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(page)


def centroids(folder: str) -> Array:
    """Return centroids.csv as an (n_clusters, n_features) array."""
    with open(os.path.join(folder, _FILES["centroids"]), encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)  # The column names may contain line breaks.
    return np.array([numbers for _, *numbers in rows], np.float64)


def _write_csv(path: str, header: Iterable[Any], lines: Iterable[Iterable[Any]]) -> None:
    with whole_file(path) as draft, open(draft, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)


def _kmeans(rows: Any, q: Array, estimator: Any) -> dict[str, Any]:
    """Compare the clusters with those of k-means on the same scaled rows."""
    from deckeras import baseline

    x = rows.x.reshape(len(rows.x), -1) if rows.x.ndim > 2 else rows.x
    seed = estimator.random_state if isinstance(estimator.random_state, int) else 0
    others = baseline.kmeans(estimator.scaling_.rows(x), q.shape[1], seed=seed)
    return baseline.compare(q.argmax(axis=1), others, rows.labels)


def _versions() -> dict[str, str]:
    import keras

    names = ("deckeras", "keras", keras.backend.backend(), "numpy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
