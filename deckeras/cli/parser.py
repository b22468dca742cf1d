"""The commands of `deckeras` and their options. The parser does not need Keras, which takes seconds to import."""

import argparse
import os

from deckeras.cli import reading_options

RECIPES = ("paper", "dec-keras", "table", "images", "series", "features")

_DESCRIPTION = """Cluster a table, an array or a folder of images, and apply, judge and describe the result.

  deckeras fit flowers.csv -k 3              clusters, model and report, in the folder flowers-clusters
  deckeras fit photos/ -k 10 --features auto  photographs, by the features of a pretrained network
  deckeras choose-k flowers.csv              suggest a number of clusters
  deckeras predict flowers-clusters new.csv  the clusters of new rows
  deckeras evaluate flowers-clusters new.csv --labels species
  deckeras report flowers-clusters           write the report again
"""
_EPILOG = """
`deckeras COMMAND --help` lists the options of a command. The exit code is 0 on success, 1 if the data or a file cannot
be used, 2 if the command line is wrong, 130 after Ctrl-C and 143 after SIGTERM.
"""
_DATA_HELP = (
    "a table (.csv, .tsv, .txt, .xlsx, .ods, .parquet, .feather, .arff, .json, .jsonl; text also compressed), an array "
    "(.npy, .npz, .h5, .h5ad, .mat, .svmlight), or a folder of images"
)
_FIT_EXAMPLES = """
examples:
  deckeras fit flowers.csv -k 3 --labels species        use the column for scores only, not as a feature
  deckeras fit shop.csv -k 5 --names id --drop date --one-hot country --missing median
  deckeras fit reviews.csv -k 8 --text review           by the words of a column
  deckeras fit reviews.csv -k 8 --text review --features auto  by what a pretrained text encoder reads in them
  deckeras fit photos/ -k 10 --features auto            what a pretrained network sees in them
  deckeras fit icons/ -k 10 --image-size 48 --color
  deckeras fit pixels.npy -k 10 --image-shape 28 28     flat rows that are images
  deckeras fit flowers.csv -k 3 --labels species --resume  after an interruption
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


def build_parser():
    """Build the parser. The options that it returns hold the name of the chosen command in `command`."""
    parser = _Parser(
        prog="deckeras",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    _add_fit(commands)
    _add_choose(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_report(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose errors explain a missing DATA: a multi-value option took it, or it looks like an option."""

    def parse_known_args(self, args=None, namespace=None):
        self._given = args
        return super().parse_known_args(args, namespace)

    def error(self, message):
        if "required: DATA" in message:
            # The last value of one of these options may be the file.
            options = sorted(self._lists(self._given or []), key=lambda option: os.path.exists(option[-1]))
            if options:
                name, *values = options[-1]
                message += (
                    f". {name} takes all values that follow it. Received: {' '.join([name, *values])}. Put DATA first, "
                    "before the options"
                )
        for word in self._given or []:
            if word.startswith("-") and word not in self._option_string_actions and os.path.exists(word):
                message += f". If {word} is the data, write ./{word}"
        super().error(message)

    def _lists(self, words):
        """Return the multi-value options among the words, each as a list with its values."""
        names = {name for action in self._actions if action.nargs == "+" for name in action.option_strings}
        starts = [place for place, word in enumerate(words) if word.startswith("--")]
        ends = [*(place for place, word in enumerate(words) if word.startswith("-")), len(words)]
        spans = [(start, min(end for end in ends if end > start)) for start in starts]
        return [words[start:end] for start, end in spans if words[start] in names and end > start + 1]


class _Version(argparse.Action):
    def __call__(self, parser, *_):
        from importlib import metadata

        print(metadata.version("deckeras"))
        parser.exit()


def _add_fit(commands):
    fit = _command(commands, "fit", "DATA -k K", "Cluster the rows of a file or the images of a folder.", _FIT_EXAMPLES)
    fit.add_argument("data", metavar="DATA", help=_DATA_HELP)
    fit.add_argument(
        "-k",
        "--n-clusters",
        type=reading_options.at_least(1),
        required=True,
        metavar="K",
        help="the number of clusters; choose-k suggests one",
    )
    fit.add_argument("-o", "--output", metavar="DIR", help="folder for the results; default: NAME-clusters")
    fit.add_argument("--resume", action="store_true", help="resume the interrupted run in the folder")
    reading_options.add_labels(fit)
    _add_output(fit)
    reading_options.add_tables(fit)
    reading_options.add_images(fit)
    reading_options.add_features(fit)
    training = _add_training(fit)
    training.add_argument(
        "--method", choices=("dec", "idec"), default="dec", help="idec also reconstructs the rows; default: dec"
    )
    files = fit.add_argument_group("files of the run")
    files.add_argument(
        "--format", choices=("csv", "parquet"), default="csv", help="format of the clusters; default: csv"
    )
    files.add_argument("--no-report", dest="report", action="store_false", help="do not write report.html")
    files.add_argument("--write-obs", action="store_true", help="also write the clusters into obs of the .h5ad file")
    files.add_argument(
        "--keep-checkpoints", action="store_true", help="keep the checkpoints, which a finished run deletes"
    )
    reading_options.add_text(fit)


def _add_choose(commands):
    choose = _command(
        commands, "choose-k", "DATA", "Try several numbers of clusters, and suggest one.", _CHOOSE_EXAMPLES
    )
    choose.add_argument("data", metavar="DATA", help=_DATA_HELP)
    number = {"type": reading_options.at_least(2), "metavar": "K"}
    choose.add_argument("--from", dest="min_clusters", default=2, help="the smallest number; default: 2", **number)
    choose.add_argument("--to", dest="max_clusters", default=15, help="the largest number; default: 15", **number)
    choose.add_argument("-o", "--output", metavar="FILE", help="also draw a figure: .png, .svg or .pdf")
    reading_options.add_labels(choose)
    _add_output(choose)
    reading_options.add_tables(choose)
    reading_options.add_images(choose)
    reading_options.add_features(choose)
    _add_training(choose)
    reading_options.add_text(choose)


def _add_predict(commands):
    predict = _command(commands, "predict", "RUN DATA", "Assign new rows to the clusters of a run.", _PREDICT_EXAMPLES)
    _add_run_and_data(predict)
    predict.add_argument("-o", "--output", metavar="FILE", help="a .csv or .parquet file; default: CSV to stdout")
    _add_output(predict)
    reading_options.add_new_rows(predict)


def _add_evaluate(commands):
    evaluate = _command(commands, "evaluate", "RUN DATA", "Score how well the clusters agree with known classes.", "")
    _add_run_and_data(evaluate)
    reading_options.add_labels(evaluate)
    _add_output(evaluate)
    reading_options.add_new_rows(evaluate)


def _add_report(commands):
    report = _command(commands, "report", "RUN [DATA]", "Write the report of a finished run again.", "")
    report.add_argument("model", metavar="RUN", help="a folder that fit has written")
    report.add_argument("data", nargs="?", metavar="DATA", help="the rows to show; default: the data of the run")
    report.add_argument("-o", "--output", metavar="FILE", help="default: report.html in the folder")
    _add_output(report)
    reading_options.add_new_rows(report)


def _command(commands, name, arguments, text, examples):
    return commands.add_parser(
        name,
        usage=f"deckeras {name} {arguments} [options]",
        help=text,
        description=text,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_output(parser):
    quiet = parser.add_mutually_exclusive_group()
    quiet.add_argument("-q", "--quiet", action="store_true", help="print only warnings and errors")
    quiet.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else, to stdout")
    parser.add_argument(
        "--debug", action="store_true", help="show where an error comes from, and the log of the backend"
    )


def _add_run_and_data(parser):
    parser.add_argument("model", metavar="RUN", help="a folder that fit has written, or the model.keras in it")
    parser.add_argument("data", metavar="DATA", help="new rows, with the columns that the model was fitted to")


def _add_training(parser):
    """Add the training options and return their group."""
    group = parser.add_argument_group("training")
    group.add_argument(
        "--recipe", choices=["auto", *RECIPES], default="auto", help="the hyper-parameters; default: chosen by the data"
    )
    group.add_argument(
        "--scale",
        choices=("auto", "standard", "largest", "range", "unit", "none"),
        default="auto",
        help="the scaling of the features; default: chosen by the data",
    )
    group.add_argument("--convolutional", action="store_true", help="use a convolutional autoencoder; for images")
    group.add_argument(
        "--epochs", type=reading_options.at_least(1), metavar="N", help="epochs of pretraining; default: the recipe's"
    )
    group.add_argument(
        "--max-iter",
        type=reading_options.at_least(1),
        metavar="N",
        help="maximum number of batches in clustering; default: the recipe's",
    )
    group.add_argument(
        "--tol", type=float, help="stop when a smaller fraction of the rows changes cluster; default: the recipe's"
    )
    group.add_argument("--seed", type=int, default=0, help="seed of everything random; default: 0")
    return group
