"""The commands of `deckeras`. Each takes the parsed options and returns a dict, which `--json` prints.

Each command reads its data before it imports Keras, so that errors in a file are reported at once.
"""

import dataclasses
import logging
import os
import sys
import time
import warnings

import numpy as np

from deckeras import runs
from deckeras._data.row_shapes import looks_like_series
from deckeras._train.directories import hold_directory
from deckeras._train.whole_files import check_target, whole_file
from deckeras.cli import pretrained, reading_options, terminal
from deckeras.files import class_labels, pixels, reading

_TRAINING = {"recipe", "scale", "convolutional", "epochs", "max_iter", "tol", "seed"}
_FIGURES = (".png", ".svg", ".pdf")


def fit(options):
    """Cluster the rows and write the folder of the run."""
    output = options.output or f"{os.path.splitext(os.path.basename(os.path.abspath(options.data)))[0]}-clusters"
    if options.write_obs:
        runs.check_observations(options.data)
    network, rows = _read_with_network(options)
    run = _description(options, rows, network)
    finished = runs.check(output, run, resume=options.resume)
    _note(options, rows)
    _say(options, f"{options.data}: {_described(rows, network)}")
    if finished:
        _say(options, f"The run in {output} has finished already. Its files are unchanged.")
        return finished
    estimator = _estimator(options, rows, output, network)
    # No folder is created for rows that cannot be clustered.
    _check(options, rows, estimator, network)
    options.stack.enter_context(hold_directory(output))
    runs.begin(output, run, resume=options.resume)
    pretrained.keep_tokenizer(network, output)
    runs.rehearse(output, run, rows, options.n_clusters, extension=options.format, report=options.report)
    options.way_out = f"To resume: {run['command']} --resume"
    with _progress(options) as progress:
        read, rows = rows, rows if network is None else pretrained.compute(network, rows, output, progress)
        run["seconds"] = _train(options, rows, estimator, run, progress)
        if network is not None:
            described = f"{pixels.shown(options.data)}, {_described(read, network)}"
            run["facts"] = {**run["facts"], **pretrained.facts(options, network, described)}
        progress.begin("report" if options.report else "results")
        common = {"extension": options.format, "report": options.report}
        shown = None if network is None else read
        written = runs.finish(output, run, rows, estimator, shown=shown, **common)
        if options.write_obs:
            written["obs"] = runs.write_observations(options.data, rows, estimator)
    if not options.keep_checkpoints:
        runs.delete_checkpoints(output)
    for message in run["warnings"]:
        print(f"Warning: {message}", file=sys.stderr)
    _say(options, "rows in each cluster: " + ", ".join(f"{k}: {size:,}" for k, size in enumerate(run["sizes"])))
    _say(options, _compared(run, options.method.upper()))
    _say(options, "\n".join(run["verdict"]["sentences"]))
    _say(options, "\n".join(f"{name}: {path}" for name, path in written.items()))
    return {**written, **runs.summary(run)}


def predict(options):
    """Assign new rows to the clusters of a run."""
    if options.output:
        runs.check_output(options.output, [options.data])
    run, model = _opened(options)
    rows = _read_like(options, run)
    q = model().predict(_rows_of(options, rows, run), verbose=0)
    if options.output:
        runs.write_clusters(options.output, rows, q)
        _say(options, f"{len(q):,} rows; clusters in {options.output}")
    elif not options.json and not options.quiet:
        runs.clusters(rows, q).to_csv(sys.stdout, index=False)
    labels = q.argmax(axis=1)
    return {"n_rows": len(q), "sizes": np.bincount(labels, minlength=q.shape[1]), "clusters": labels}


def evaluate(options):
    """Score the clusters of rows against their classes."""
    run, model = _opened(options)
    labels = options.labels or run["labels"]
    folder_labels = options.folder_labels or run["folder_labels"]
    rows = _read_like(options, run, labels, folder_labels)
    if rows.labels is None:
        raise ValueError("There are no classes to compare with. Name them by --labels or --folder-labels.")
    scores = runs.scores(rows, model().predict(_rows_of(options, rows, run), verbose=0))
    _say(options, f"{len(rows.names):,} rows: {_percent(scores)}")
    return {"n_rows": len(rows.names), **(scores or {})}


def report(options):
    """Write the report of a finished run again."""
    if options.output:
        if not options.output.lower().endswith((".html", ".htm")):
            raise ValueError(f"The report should be an .html file. Received: {options.output!r}")
        check_target(options.output, "the report", filter(None, [options.data]))
    folder, run = runs.read(options.model)
    if not options.data and not os.path.exists(run["data"]):
        raise FileNotFoundError(
            f"The data of the run are no longer at {run['data']!r}. Pass their path: deckeras report RUN DATA."
        )
    try:
        rows = _read_like(options, run, run["labels"], run["folder_labels"])
    except class_labels.MissingLabels as error:
        rows = _read_like(options, run)
        _say(options, f"Note: the report has no scores. {error}", sys.stderr)
    x, model = _rows_of(options, rows, run), _model(options)
    path = options.output or os.path.join(folder, "report.html")
    z = model.embed(x, verbose=0)
    q = model.predict(x, verbose=0)
    sizes = np.bincount(q.argmax(axis=1), minlength=q.shape[1]).tolist()
    if options.data or sizes != run.get("sizes", sizes):
        described = _described(rows, run.get("network"))
        run["facts"]["data"] = f"{options.data or run['data']}, {described}; the model was fitted to {run['data']}"
        # These entries describe the rows that the model was fitted to.
        run = {name: value for name, value in run.items() if name not in ("kmeans", "verdict", "warnings")}
        run["notices"] = rows.notices
    runs.write_report(path, run, rows, q, z, None if run.get("network") else runs.centroids(folder))
    _say(options, f"report: {path}")
    return {"report": path}


def choose_k(options):
    """Try several numbers of clusters and suggest one."""
    if options.output and not options.output.lower().endswith(_FIGURES):
        raise ValueError(f"The figure should be a .png, .svg or .pdf file. Received: {options.output!r}")
    if options.output:
        check_target(options.output, "the figure", [options.data])
    network, rows = _read_with_network(options)
    _note(options, rows)
    _say(options, f"{options.data}: {_described(rows, network)}")
    from deckeras import recipes, selection

    labels = rows.labels
    if labels is not None and not class_labels.present(labels).all():
        labels = None
        _say(options, "Some rows have no label, so the candidates have no NMI.")
    candidates = range(options.min_clusters, options.max_clusters + 1)
    selection.check_candidates(candidates, len(selection.split(len(rows.names))[0]))
    with _progress(options) as progress:
        rows = rows if network is None else pretrained.compute(network, rows, None, progress)
        estimator = _estimator(options, rows, None, network)
        x = estimator.prepare(rows.x)
        _say(options, f"scaling: {estimator.scaling_}")
        choice = selection.choose_n_clusters(
            x,
            candidates,
            y=labels,
            recipe=recipes.get(estimator.recipe_, unit_scale=False),  # `prepare` has scaled the rows
            seed=options.seed,
            callbacks=progress,
        )
    names = [name for name in choice.candidates[0] if not name.endswith("error")]
    lines = ["  ".join(f"{name:>16}" for name in names)]
    lines += ["  ".join(f"{row[name]:16.4g}" for name in names) for row in choice.candidates]
    _say(options, "\n".join([*lines, f"{choice.n_clusters} clusters. {choice.reason}"]))
    if options.output:
        from deckeras.plots import evaluations

        figure = evaluations.number_of_clusters(choice.candidates, choice.n_clusters)
        with whole_file(options.output) as draft:
            figure.savefig(draft, dpi=200)
    return {"n_clusters": choice.n_clusters, "reason": choice.reason, "rows": choice.candidates}


COMMANDS = {"fit": fit, "predict": predict, "evaluate": evaluate, "report": report, "choose-k": choose_k}


def _check(options, rows, estimator, network):
    """Raise a ValueError if the rows cannot be clustered with these options, and print their scaling if it is known."""
    if network is not None:
        pretrained.check_n_clusters(options.n_clusters, rows)
        return
    with warnings.catch_warnings():
        # `fit` repeats these warnings.
        warnings.simplefilter("ignore")
        estimator.prepare(rows.x)
    _say(options, f"scaling: {estimator.scaling_}")


def _description(options, rows, network):
    """Return what run.json records about a run before its training."""
    with_network = {} if network is None else {"network": pretrained.description(options, network)}
    settings = _only(options, _TRAINING if network is None else _TRAINING | {"features", "weights"})
    name = pixels.shown(os.path.basename(os.path.abspath(options.data)))
    return {
        "title": f"{name}: {options.n_clusters} clusters",
        "command": options.command_line.replace(" --resume", ""),
        "data": os.path.abspath(options.data),
        "rows": rows.content(),
        "layout": dataclasses.asdict(rows.layout),
        **with_network,
        "settings": {**settings, "n_clusters": options.n_clusters, "method": options.method},
        "labels": options.labels,
        "folder_labels": options.folder_labels,
        "notices": rows.notices,
    }


def _train(options, rows, estimator, run, progress):
    """Fit the estimator, add what the report shows about it to the run, and return the seconds."""
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", UserWarning)
        estimator.fit(rows.x, callbacks=progress)
    seconds = time.perf_counter() - started
    run["warnings"] = list(dict.fromkeys(str(found.message) for found in caught if found.category is UserWarning))
    run["facts"] = {
        "data": f"{pixels.shown(options.data)}, {_described(rows)}",
        "scaling": str(estimator.scaling_),
        "recipe": f"{estimator.recipe_.name}, {options.method.upper()}, seed {options.seed}",
        "training": f"{seconds:.0f} s; {estimator.n_iter_:,} batches of clustering",
    }
    return seconds


def _opened(options):
    """Return (run, function that loads its model) for the folder of a run, or for a single model of pictures."""
    alone = pretrained.read_model(options.model)
    if alone is None:
        return runs.read(options.model)[1], lambda: _model(options)
    _quiet_tensorflow()
    return alone[0], lambda: alone[1]


def _read_like(options, run, labels=None, folder_labels=False):
    """Read the data of the command, or else of the run, in the same way as those that the run was fitted to."""
    path, layout = options.data or run["data"], reading.Layout(**run["layout"])
    network = run.get("network") and layout.kind == "images" and os.path.isdir(path)
    read_like = pretrained.read_like if network else reading.read_like
    given = {**_only(options, reading_options.NAMES), "labels": labels, "folder_labels": folder_labels}
    rows = read_like(path, layout, **given)
    _note(options, rows)
    return rows


def _model(options):
    _, model, _ = runs.load(options.model)
    _quiet_tensorflow()
    return model


def _estimator(options, rows, output, network=None):
    from deckeras import recipes
    from deckeras.estimator import DeepEmbeddedClustering

    _quiet_tensorflow()
    recipe = options.recipe
    declared = options.image_shape or options.convolutional or rows.layout.kind != "array" or rows.x.ndim != 3
    image_shape = tuple(rows.layout.image_shape) if rows.layout.image_shape and declared else None
    if options.convolutional:
        recipe = recipes.get("images" if recipe == "auto" else recipe, convolutional=True, image_shape=image_shape)
    return DeepEmbeddedClustering(
        getattr(options, "n_clusters", 2),
        recipe=recipe,
        image_shape=image_shape if network is None else None,
        features=None if network is None else network.model,
        method=getattr(options, "method", "dec"),
        scale=options.scale,
        epochs=options.epochs,
        max_iter=options.max_iter,
        tol=options.tol,
        checkpoint_dir=output,
        random_state=options.seed,
    )


def _quiet_tensorflow():
    # TensorFlow warns if `predict` is compiled for several models, as it is here.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _progress(options):
    from deckeras.cli.progress import Progress

    return Progress(quiet=options.quiet)


def _read_with_network(options):
    """Return (network, rows), or (None, rows) without one."""
    if options.features is not None:
        return pretrained.read(options, lambda: _read(options, need_terms=False))
    if options.weights is not None:
        raise ValueError(f"--weights needs a network. Received: --weights {options.weights} without --features NAME")
    return None, _read(options)


def _read(options, *, need_terms=True):
    """Read the rows. A three-dimensional array holds series rather than images if the estimator treats it so."""
    rows = reading.read(options.data, **_only(options, reading_options.NAMES), need_terms=need_terms)
    shape = rows.x.shape[1:]
    if rows.layout.kind != "array" or options.image_shape or not looks_like_series(shape):
        return rows
    notice = f"rows of shape {shape} are read as series of (time, channels); if they are images, add --image-shape"
    layout = dataclasses.replace(rows.layout, image_shape=None)
    return dataclasses.replace(rows, layout=layout, notices=[*rows.notices, notice])


def _only(options, names):
    return {name: value for name, value in vars(options).items() if name in names}


def _rows_of(options, rows, run):
    """Return the rows in the form that the model of a run takes: flat, or the inputs of a network."""
    if run.get("network"):
        return pretrained.inputs(options.model, rows)
    return rows.x.reshape(len(rows.x), -1) if rows.x.ndim > 2 else rows.x


def _described(rows, network=None):
    n, *shape = rows.x.shape
    if network is not None and rows.layout.text:
        return f"{n:,} texts"
    if rows.layout.image_shape:
        return f"{n:,} images of {' x '.join(map(str, rows.layout.image_shape))}"
    if len(shape) > 1:
        return f"{n:,} series of {' x '.join(map(str, shape))}"
    if rows.layout.text:
        return f"{n:,} texts of {shape[0]:,} terms"
    return f"{n:,} rows of {shape[0]:,} features{'' if rows.layout.header else ', no header'}"


def _percent(scores):
    return ", ".join(f"{name.upper()} {100 * value:.2f} %" for name, value in scores.items())


def _compared(run, name):
    """Return the lines about the scores and about k-means on the same rows."""
    own = f"{name}: {_percent(run['scores'])}\n" if run["scores"] else ""
    found = run["kmeans"]
    scores = f"{_percent(found['scores'])}; " if found["scores"] else ""
    differ = f"{found['differ']:,} of {found['rows']:,} rows are in a different cluster than with {name}"
    return f"{own}k-means on the same rows: {scores}{differ}"


def _say(options, text, file=None):
    if not options.quiet and not options.json:
        print(terminal.writable(text), flush=True, file=file)


def _note(options, rows):
    """Print what was detected, changed or left out while reading. It goes to stderr, because stdout may be piped."""
    for notice in rows.notices:
        _say(options, f"Note: {notice}", sys.stderr)
