"""The command `deckeras`: cluster a file or a folder of images, and use, judge and describe what came of it.

    deckeras fit flowers.csv -k 3                        clusters, model and report in flowers-clusters/
    deckeras fit photos/ -k 10 --colour                  the images of a folder
    deckeras predict flowers-clusters new.csv            the clusters of new rows
    deckeras evaluate flowers-clusters new.csv --labels species
    deckeras report flowers-clusters                     the report once more
    deckeras choose-k flowers.csv                        how many clusters there are

`deckeras COMMAND --help` shows the options of each. It ends with 0 if all went well, 1 if the data or a file is not as
it should be, 2 if the command is not, 130 if it was interrupted by Ctrl-C, 143 by SIGTERM.
"""

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import logging
import os
import shlex
import sys
import time
import traceback
import warnings

import numpy as np

from deckeras import recipes, runs
from deckeras._train.checkpoint import whole_file
from deckeras._train.directories import hold_directory
from deckeras._train.interrupts import TERMINATED, Terminated, terminable
from deckeras.cli import reading_options, terminal
from deckeras.files import pixels, reading

_INTERRUPTED = 130  # as a shell has it: 128 and the number of the signal
_TRAINING = {"recipe", "scale", "convolutional", "epochs", "max_iter", "tol", "seed"}


def main(arguments=None):
    """Run the command with these arguments, default those of the process, and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(arguments)
    options.command_line = shlex.join(["deckeras", *arguments])
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of compiling `predict` for several models
    try:
        with terminal.interruptible(), terminable(), terminal.plain_warnings(), contextlib.ExitStack() as options.stack:
            found = options.run(options)
    except (OSError, ValueError, TypeError, ImportError, FloatingPointError) as error:
        if options.debug:
            traceback.print_exc()
        text = f"Error: {error}{' (--debug shows where)' * isinstance(error, TypeError)}"
        print(terminal.writable(text), file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Terminated) as error:
        terminated = isinstance(error, Terminated)
        way_on = getattr(options, "way_on", "Nothing was written.")
        print(f"\n{'Terminated' if terminated else 'Interrupted'}. {way_on}", file=sys.stderr)
        return TERMINATED if terminated else _INTERRUPTED
    if options.json:
        print(json.dumps(found, indent=2, default=runs.plain))
    return 0


def entry_point():
    """Run the command as a process, which ends at once if it was interrupted: TensorFlow's threads may never do."""
    code = main()
    if code in (_INTERRUPTED, TERMINATED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # what is kept was written whole already
    sys.exit(code)


def _parser():
    parser = argparse.ArgumentParser(
        prog="deckeras", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=importlib.metadata.version("deckeras"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    fit = _command(commands, "fit", _fit, "Cluster the rows of a file or the images of a folder.", _FIT_EXAMPLES)
    fit.add_argument("data", metavar="DATA", help=_DATA_HELP)
    fit.add_argument("-k", "--n-clusters", type=int, required=True, metavar="K", help="clusters; see choose-k")
    fit.add_argument("-o", "--output", metavar="DIR", help="folder for the results; default: NAME-clusters")
    fit.add_argument("--resume", action="store_true", help="go on with the run in the folder where it was interrupted")
    fit.add_argument("--method", choices=("dec", "idec"), default="dec", help="idec keeps reconstructing; default: dec")
    fit.add_argument("--write-obs", action="store_true", help="also write the clusters into obs of the .h5ad file")
    fit.add_argument("--no-report", dest="report", action="store_false", help="write no report.html")
    _add_training(fit)
    _add_format(fit)
    reading_options.add_reading(fit)

    predict = _command(commands, "predict", _predict, "The clusters of new rows.", _PREDICT_EXAMPLES)
    _add_model(predict)
    predict.add_argument("-o", "--output", metavar="FILE", help=".csv or .parquet; default: to the screen, as CSV")

    evaluate = _command(commands, "evaluate", _evaluate, "How well the clusters of rows agree with classes.", "")
    _add_model(evaluate)
    reading_options.add_labels(evaluate)

    report = _command(commands, "report", _report, "Write the report of a finished run once more.", "")
    report.add_argument("model", metavar="RUN", help="folder that fit has written")
    report.add_argument("data", nargs="?", metavar="DATA", help="the data; default: where they were upon fit")
    report.add_argument("-o", "--output", metavar="FILE", help="default: report.html in the folder")
    reading_options.add_skip_broken(report)

    choose = _command(commands, "choose-k", _choose, "Try numbers of clusters, and suggest one.", _CHOOSE_EXAMPLES)
    choose.add_argument("data", metavar="DATA", help=_DATA_HELP)
    choose.add_argument("--from", dest="least", type=int, default=2, metavar="K", help="default: 2")
    choose.add_argument("--to", dest="most", type=int, default=15, metavar="K", help="default: 15")
    choose.add_argument("-o", "--output", metavar="FILE", help="also draw a figure: .png, .svg or .pdf")
    _add_training(choose)
    reading_options.add_reading(choose)
    return parser


_DATA_HELP = (
    "a table (.csv, .tsv, .txt, .xlsx, .parquet, .feather, .arff, .jsonl; text also compressed), an array (.npy, .npz, "
    ".h5, .h5ad, .mat, .svmlight), or a folder of images"
)
_FIT_EXAMPLES = """
examples:
  deckeras fit flowers.csv -k 3 --labels species            the column is for scoring, and no feature
  deckeras fit shop.csv -k 5 --names id --drop date --one-hot country --missing median
  deckeras fit photos/ -k 10 --image-size 48 --colour
  deckeras fit pixels.npy -k 10 --image-shape 28 28         flat rows that are images
  deckeras fit flowers.csv -k 3 --resume                    after an interruption
"""
_PREDICT_EXAMPLES = """
examples:
  deckeras predict flowers-clusters new.csv -o new-clusters.csv
  deckeras predict photos-clusters new-photos/
"""
_CHOOSE_EXAMPLES = """
examples:
  deckeras choose-k flowers.csv --drop species --to 8
"""


def _command(commands, name, run, text, examples):
    parser = commands.add_parser(
        name, help=text, description=text, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    quiet = parser.add_mutually_exclusive_group()
    quiet.add_argument("-q", "--quiet", action="store_true", help="print nothing but warnings and errors")
    quiet.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else to the screen")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    parser.set_defaults(run=run)
    return parser


def _add_model(parser):
    parser.add_argument("model", metavar="RUN", help="folder that fit has written, or the model.keras in it")
    parser.add_argument("data", metavar="DATA", help="new rows, with the columns that the model was fitted to")
    reading_options.add_skip_broken(parser)


def _add_format(parser):
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the clusters; default: csv")


def _add_training(parser):
    group = parser.add_argument_group("training")
    group.add_argument("--recipe", choices=["auto", *recipes.RECIPES], default="auto", help="default: by the data")
    group.add_argument(
        "--scale", choices=("auto", "standard", "largest", "unit", "none"), default="auto", help="default: by the data"
    )
    group.add_argument("--convolutional", action="store_true", help="a convolutional autoencoder; for images")
    group.add_argument("--epochs", type=int, metavar="N", help="passes of pretraining; default: the recipe's")
    group.add_argument("--max-iter", type=int, metavar="N", help="batches of clustering at most; default: the recipe's")
    group.add_argument("--tol", type=float, help="share of rows that may still move at the end; default: the recipe's")
    group.add_argument("--seed", type=int, default=0, help="default: 0")


def _fit(options):
    output = options.output or f"{os.path.splitext(os.path.basename(os.path.abspath(options.data)))[0]}-clusters"
    rows = _read(options)
    estimator = _estimator(options, rows, output)
    with warnings.catch_warnings():  # which come again in `fit`
        warnings.simplefilter("ignore")
        estimator.prepare(rows.x)  # before a folder is begun for what cannot be clustered
    name = pixels.shown(os.path.basename(os.path.abspath(options.data)))
    run = {
        "title": f"{name}: {options.n_clusters} clusters",
        "command": options.command_line.replace(" --resume", ""),
        "data": os.path.abspath(options.data),
        "layout": dataclasses.asdict(rows.layout),
        "settings": {**_only(options, _TRAINING), "n_clusters": options.n_clusters, "method": options.method},
        "labels": options.labels,
        "folder_labels": options.folder_labels,
        "notices": rows.notices,
    }
    if options.write_obs:
        runs.check_observations(options.data)
    options.stack.enter_context(hold_directory(output))
    runs.begin(output, run, resume=options.resume)
    runs.rehearse(output, run, rows, options.n_clusters, extension=options.format, report=options.report)
    options.way_on = f"To go on: {run['command']} --resume"
    _note(options, rows)
    _say(options, f"{options.data}: {_described(rows)}; {estimator.scaling_}")
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught, terminal.to_stderr(options.json):
        warnings.simplefilter("default", UserWarning)
        estimator.fit(rows.x)
    seconds = time.perf_counter() - started
    run["warnings"] = list(dict.fromkeys(str(found.message) for found in caught if found.category is UserWarning))
    run["facts"] = {
        "data": f"{pixels.shown(options.data)}, {_described(rows)}",
        "scaling": str(estimator.scaling_),
        "recipe": f"{estimator.recipe_.name}, {options.method.upper()}, seed {options.seed}",
        "training": f"{seconds:.0f} s; {estimator.n_iter_:,} batches of clustering",
    }
    written = runs.finish(output, run, rows, estimator, extension=options.format, report=options.report)
    if options.write_obs:
        written["obs"] = runs.write_observations(options.data, rows, estimator)
    for message in run["warnings"]:
        print(f"Warning: {message}", file=sys.stderr)
    _say(options, "rows in each cluster: " + ", ".join(f"{k}: {size:,}" for k, size in enumerate(run["sizes"])))
    _say(options, _compared(run, options.method.upper()))
    _say(options, " ".join(run["verdict"]["sentences"]))
    _say(options, "\n".join(f"{name}: {path}" for name, path in written.items()))
    kept = {name: run[name] for name in ("sizes", "scores", "kmeans", "verdict", "warnings", "notices")}
    return {**written, "seconds": seconds, **kept}


def _predict(options):
    if options.output:
        runs.check_output(options.output)
    _, model, run = runs.load(options.model)
    rows = reading.read_like(options.data, reading.Layout(**run["layout"]), skip_broken=options.skip_broken)
    _note(options, rows)
    q = model.predict(_flat(rows.x), verbose=0)
    if options.output:
        runs.write_clusters(options.output, rows, q)
        _say(options, f"{len(q):,} rows; clusters in {options.output}")
    elif not options.json and not options.quiet:
        runs.clusters(rows, q).to_csv(sys.stdout, index=False)
    labels = q.argmax(axis=1)
    return {"n_rows": len(q), "sizes": np.bincount(labels, minlength=q.shape[1]), "clusters": labels}


def _evaluate(options):
    _, model, run = runs.load(options.model)
    labels = options.labels or run["labels"]
    folder_labels = options.folder_labels or run["folder_labels"]
    given = {"labels": labels, "folder_labels": folder_labels, "skip_broken": options.skip_broken}
    rows = reading.read_like(options.data, reading.Layout(**run["layout"]), **given)
    _note(options, rows)
    if rows.labels is None:
        raise ValueError("There are no classes to compare with. Say where they are, by --labels or --folder-labels.")
    scores = runs.scores(rows, model.predict(_flat(rows.x), verbose=0))
    _say(options, f"{len(rows.names):,} rows: {_percent(scores)}")
    return {"n_rows": len(rows.names), **scores}


def _report(options):
    folder, model, run = runs.load(options.model)
    layout = reading.Layout(**run["layout"])
    given = {"labels": run["labels"], "folder_labels": run["folder_labels"], "skip_broken": options.skip_broken}
    rows = reading.read_like(options.data or run["data"], layout, **given)
    _note(options, rows)
    x = _flat(rows.x)
    path = options.output or os.path.join(folder, "report.html")
    q, z = model.predict(x, verbose=0), model.embed(x, verbose=0)
    if options.data:
        run["facts"]["data"] = f"{options.data}, {_described(rows)}; the model was fitted to {run['data']}"
    runs.write_report(path, run, rows, q, z, runs.centroids(folder))
    _say(options, f"report: {path}")
    return {"report": path}


def _choose(options):
    from deckeras import selection
    from deckeras.plots import figures

    rows = _read(options)
    if options.output and not options.output.lower().endswith((".png", ".svg", ".pdf")):
        raise ValueError(f"The figure goes to a .png, .svg or .pdf file. Received: {options.output!r}")
    estimator = _estimator(options, rows, None)
    x = estimator.prepare(rows.x)
    _note(options, rows)
    _say(options, f"{options.data}: {_described(rows)}; {estimator.scaling_}")
    with terminal.to_stderr(options.json):
        choice = selection.choose_n_clusters(
            x,
            range(options.least, options.most + 1),
            y=rows.labels,
            recipe=recipes.get(estimator.recipe_, unit_scale=False),  # it is done
            seed=options.seed,
            verbose=_verbose(options),
        )
    if options.output:
        figure = figures.number_of_clusters(choice.candidates, choice.n_clusters)
        with whole_file(options.output) as draft:
            figure.savefig(draft, dpi=200)
    names = [name for name in choice.candidates[0] if not name.endswith("error")]
    lines = ["  ".join(f"{name:>16}" for name in names)]
    lines += ["  ".join(f"{row[name]:16.4g}" for name in names) for row in choice.candidates]
    _say(options, "\n".join([*lines, f"{choice.n_clusters} clusters. {choice.reason}"]))
    return {"n_clusters": choice.n_clusters, "reason": choice.reason, "rows": choice.candidates}


def _estimator(options, rows, output):
    from deckeras.estimator import DeepEmbeddedClustering

    recipe = options.recipe
    declared = options.image_shape or options.convolutional or rows.layout.kind != "array" or rows.x.ndim != 3
    image_shape = tuple(rows.layout.image_shape) if rows.layout.image_shape and declared else None
    if options.convolutional:
        recipe = recipes.get("images" if recipe == "auto" else recipe, convolutional=True, image_shape=image_shape)
    return DeepEmbeddedClustering(
        getattr(options, "n_clusters", 2),
        recipe=recipe,
        image_shape=image_shape,
        method=getattr(options, "method", "dec"),
        scale=options.scale,
        epochs=options.epochs,
        max_iter=options.max_iter,
        tol=options.tol,
        checkpoint_dir=output,
        verbose=_verbose(options),
        random_state=options.seed,
    )


def _read(options):
    """The rows; an array of three dimensions holds series rather than images where the estimator says so."""
    from deckeras.autoencoders.series import looks_like_series

    rows = reading.read(options.data, **_only(options, reading_options.NAMES))
    shape = rows.x.shape[1:]
    if rows.layout.kind != "array" or options.image_shape or not looks_like_series(shape):
        return rows
    notice = f"rows of shape {shape} are taken for series of (time, channels): --image-shape if they are images"
    layout = dataclasses.replace(rows.layout, image_shape=None)
    return dataclasses.replace(rows, layout=layout, notices=[*rows.notices, notice])


def _only(options, names):
    return {name: value for name, value in vars(options).items() if name in names}


def _flat(x):
    return x.reshape(len(x), -1) if x.ndim > 2 else x


def _described(rows):
    n, *shape = rows.x.shape
    if rows.layout.image_shape:
        return f"{n:,} images of {' x '.join(map(str, rows.layout.image_shape))}"
    if len(shape) > 1:
        return f"{n:,} series of {' x '.join(map(str, shape))}"
    return f"{n:,} rows of {shape[0]:,} features{'' if rows.layout.header else ', no header'}"


def _percent(scores):
    return ", ".join(f"{name.upper()} {100 * value:.2f} %" for name, value in scores.items())


def _compared(run, name):
    """Return the lines on the scores and on k-means on the same rows."""
    own = f"{name}: {_percent(run['scores'])}\n" if run["scores"] else ""
    found = run["kmeans"]
    scores = f"{_percent(found['scores'])}; " if found["scores"] else ""
    differ = f"{found['differ']:,} of {found['rows']:,} rows lie elsewhere than by {name}"
    return f"{own}k-means on the same rows: {scores}{differ}"


def _say(options, text, file=None):
    if not options.quiet and not options.json:
        print(terminal.writable(text), flush=True, file=file)


def _note(options, rows):
    """Say what was found out, changed or left out in reading; not where the result goes, which may be piped on."""
    for notice in rows.notices:
        _say(options, f"Note: {notice}", sys.stderr)


def _verbose(options):
    if options.quiet:
        return 0
    return 1 if sys.stdout.isatty() else 2
