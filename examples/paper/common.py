"""The common part of the scripts in this folder: options, study, and output of results."""

import argparse
import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from experiments import Study

from deckeras import datasets, recipes
from deckeras._train.whole_files import whole_file


@dataclasses.dataclass
class Job:
    """The work of a script: the study, the seeds, and the path of its results without their extensions."""

    dataset: str
    study: Study
    seeds: range
    path: str
    verbose: int

    def image_shape(self):
        """Return the shape of an image of the data set. Raise ValueError if it has no images."""
        if self.dataset not in datasets.IMAGE_SHAPES:
            raise ValueError(f"{self.dataset} has no images to show. Choose one of {', '.join(datasets.IMAGE_SHAPES)}.")
        return datasets.IMAGE_SHAPES[self.dataset]

    def save(self, table, figure=None):
        """Write and print the table, and write the figure."""
        with whole_file(f"{self.path}.md") as draft:
            pathlib.Path(draft).write_text(table + "\n")
        for ending in ("png", "svg") if figure else ():
            with whole_file(f"{self.path}.{ending}") as draft:
                figure.savefig(draft, dpi=200, format=ending)
        print(table)
        print(f"written: {self.path}.*\n")


def job(script, description, arguments=None, *, seeds=1):
    """Parse the options of a script and prepare its work."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, seeds)
    options = parser.parse_args(arguments)
    x, y = load(options.dataset, options.data)
    shape = datasets.IMAGE_SHAPES.get(options.dataset)
    epochs = {"epochs": options.epochs, "min_pretraining_iterations": 0} if options.epochs else {}
    recipe = recipes.get(options.recipe, image_shape=shape, **epochs)
    output = options.output or os.path.join("results", "paper", f"{options.dataset}-{options.recipe}")
    study = Study(x, y, output, recipe)
    path = study.file(pathlib.Path(script).stem)
    return Job(options.dataset, study, range(options.seeds), path, 1 if sys.stdout.isatty() else 2)


@functools.lru_cache(maxsize=1)
def load(dataset, path):
    """Load the data set, once for all scripts of a process."""
    return datasets.load(dataset, path)


def natural(text):
    """Convert text to a whole number of at least 1. argparse reports a ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def add_options(parser, seeds):
    parser.add_argument("--dataset", choices=datasets.NAMES, default="digits", help="default: digits")
    parser.add_argument("--data", metavar="FILE", help="local file or folder of the data set; see deckeras.datasets")
    parser.add_argument(
        "--recipe", choices=recipes.RECIPES, default="table", help="default: table; see deckeras.recipes"
    )
    parser.add_argument("--epochs", type=natural, help="epochs of pretraining; default: those of the recipe")
    parser.add_argument("--seeds", type=natural, default=seeds, help=f"use the seeds 0 to SEEDS - 1; default: {seeds}")
    parser.add_argument("--output", metavar="DIR", help="default: results/paper/DATASET-RECIPE")


@contextlib.contextmanager
def manners():
    """Report errors and warnings in one line each, and interruptions with the way to resume."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
    try:
        yield
    except (OSError, ValueError, TypeError, RuntimeError, FloatingPointError) as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command resumes with the unfinished results.")
