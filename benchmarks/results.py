"""The table of results: every method over several seeds, in runs of `examples/run_mnist.py`, as Markdown.

    python benchmarks/results.py --dataset digits --seeds 10
    python benchmarks/results.py --dataset mnist --data mnist.npz --seeds 5
    python benchmarks/results.py --dataset mnist --data mnist.npz --methods dec-keras paper --seeds 1
    python benchmarks/results.py --dataset mnist --data mnist.npz --methods short clustpy --seeds 1 --reach 0.9 0.95

Each method and seed is a run of its own in results/DATASET/METHOD-SEED. What was interrupted goes on where it stopped,
and what is finished is read and not repeated, so the table can be made over several sittings; `--only-finished` prints
what there is. IDEC starts from the pretraining of `dec+augmentation`, which it shares. On a GPU: `KERAS_BACKEND=jax`.

Minutes are those of pretraining and clustering, first clusterer included, without reading, scoring and drawing.
With --reach the table also says after how many of them an accuracy was first that high, where every seed got there.
The method `clustpy` is another implementation, at its defaults, in runs of `peer.py`.
"""

import argparse
import csv
import glob
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import numpy as np

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples" / "run_mnist.py"
PEERS = {"clustpy": pathlib.Path(__file__).parent / "peer.py"}
METHODS = {
    "dec": ["--recipe", "images", "--no-augment"],
    "dec+augmentation": ["--recipe", "images"],
    "short": ["--recipe", "images", "--epochs", "20"],
    "shorter": ["--recipe", "images", "--epochs", "8"],
    "convolutional": ["--recipe", "images", "--convolutional"],
    "idec": ["--recipe", "images", "--method", "idec"],
    "dec-keras": ["--recipe", "dec-keras"],
    "paper": ["--recipe", "paper"],
    "clustpy": [],
}
SHARED = {"idec": "dec+augmentation"}  # whose pretraining is whose
DEFAULT = ["dec", "dec+augmentation", "convolutional", "idec"]


def main(arguments=None):
    options = parse(arguments)
    folder = os.path.join(options.output, options.dataset)
    rows = {}
    for method in options.methods:
        found = [run(options, folder, method, seed) for seed in range(options.seeds)]
        rows[method] = [summary for summary in found if summary]
    print(machine())
    print("\n".join(table(rows, options.reach)))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="of images, as for run_mnist.py; default: digits")
    parser.add_argument("--data", metavar="FILE", help="local file of the data set")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=DEFAULT, help=f"default: {' '.join(DEFAULT)}")
    parser.add_argument("--seeds", type=int, default=5, help="run the seeds 0 to SEEDS - 1; default: 5")
    parser.add_argument("--reach", type=float, nargs="+", default=[], metavar="ACC", help="minutes to it, as 0.912")
    parser.add_argument("--output", metavar="DIR", default="results", help="default: results")
    parser.add_argument("--only-finished", action="store_true", help="run nothing; print the runs that are finished")
    return parser.parse_args(arguments)


def run(options, folder, method, seed):
    """The summary of a run, which is made unless it is there; None if it is neither there nor to be made."""
    output = os.path.join(folder, f"{method}-{seed}")
    summary = os.path.join(output, "summary.json")
    if not os.path.exists(summary):
        if options.only_finished:
            return None
        if method in SHARED:
            share_pretraining(os.path.join(folder, f"{SHARED[method]}-{seed}"), output)
        script = PEERS.get(method, EXAMPLE)
        command = [sys.executable, script, "--dataset", options.dataset, "--seed", str(seed), "--output", output]
        subprocess.run([*command, *METHODS[method], *(["--data", options.data] if options.data else [])], check=True)
    with open(summary) as file, open(os.path.join(output, "history.csv"), newline="") as history:
        return {**json.load(file), "history": list(csv.DictReader(history))}


def share_pretraining(source, target):
    """Copy the checkpoints of the same pretraining, if it was done for another method already."""
    os.makedirs(target, exist_ok=True)
    for path in glob.glob(os.path.join(glob.escape(source), "pretraining*.h5")):
        if not os.path.exists(os.path.join(target, os.path.basename(path))):
            shutil.copy(path, target)


def table(rows, reach=()):
    """Lines of a Markdown table with a row a method, each after that of k-means on its own embedding."""
    titles = ["method", "seeds", "ACC (%)", "NMI (%)", "ARI (%)", "minutes"]
    titles += [f"minutes to {100 * acc:g} %" for acc in reach]
    yield line(titles)
    yield "|---" * len(titles) + "|"
    summaries = next((found for found in rows.values() if found and "k-means" in found[0]["scores"]), None)
    if summaries:
        yield row("k-means", summaries, "k-means", width=len(titles))
    for method, found in rows.items():
        if found:
            before, after = minutes(found, "pretrain"), minutes(found, "pretrain", "cluster")
            reached = [first_reached(found, acc) for acc in reach]
            yield row(f"{method}: autoencoder + k-means", found, "ae+k-means", [before], len(titles))
            yield row(f"**{method}**", found, found[0]["method"], [after, *reached], len(titles))


def row(title, summaries, key, times=(), width=0):
    scores = {name: [100 * summary["scores"][key][name] for summary in summaries] for name in ("acc", "nmi", "ari")}
    cells = [f"{np.mean(values):.2f} ± {np.std(values):.2f}" for values in scores.values()]
    cells = [title, str(len(summaries)), *cells, *times]
    return line(cells + [""] * (width - len(cells)))


def line(cells):
    return f"| {' | '.join(cells)} |"


def minutes(summaries, *stages):
    return f"{np.mean([sum(summary['seconds'][stage] for stage in stages) for summary in summaries]) / 60:.1f}"


def first_reached(summaries, acc):
    """The mean time to an accuracy, as text: in minutes if every run reached it, else how many did."""
    seconds = []
    for summary in summaries:
        reached = [float(update["seconds"]) for update in summary["history"] if float(update["acc"]) >= acc]
        seconds += [summary["seconds"]["pretrain"] + reached[0]] if reached else []
    if len(seconds) < len(summaries):
        return f"{len(seconds)} of {len(summaries)} get there"
    return f"{np.mean(seconds) / 60:.1f}"


def machine():
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("keras", backend, "scikit-learn")]
    return ", ".join(
        [f"{platform.machine()}, {os.cpu_count()} cores", f"Python {platform.python_version()}", *versions]
    )


if __name__ == "__main__":
    main()
