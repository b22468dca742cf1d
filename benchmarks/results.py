"""The scores of `examples/run_mnist.py` over several seeds, as a Markdown table: mean and standard deviation.

    python benchmarks/results.py --dataset digits --seeds 5
    python benchmarks/results.py --dataset mnist --data mnist.npz --seeds 3

Each seed is a run of its own in results/DATASET-SEED, so what was interrupted goes on where it stopped, and a finished
seed is read and not repeated.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys

import numpy as np

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples" / "run_mnist.py"


def main(arguments=None):
    options = parse(arguments)
    summaries = [run(options, seed) for seed in range(options.seeds)]
    print(machine())
    print("\n".join(table(summaries)))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for run_mnist.py; default: digits")
    parser.add_argument("--data", metavar="FILE", help="local file of the data set")
    parser.add_argument("--seeds", type=int, default=5, help="run the seeds 0 to SEEDS - 1; default: 5")
    parser.add_argument("--output", metavar="DIR", default="results", help="default: results")
    return parser.parse_args(arguments)


def run(options, seed):
    output = os.path.join(options.output, f"{options.dataset}-{seed}")
    command = [sys.executable, EXAMPLE, "--dataset", options.dataset, "--seed", str(seed), "--output", output]
    subprocess.run([*command, *(["--data", options.data] if options.data else [])], check=True)
    with open(os.path.join(output, "summary.json")) as file:
        return json.load(file)


def table(summaries):
    """Lines of a Markdown table with a row a method."""
    yield "| method | ACC (%) | NMI (%) | ARI (%) |"
    yield "|---|---|---|---|"
    for method in summaries[0]["scores"]:
        scores = {key: [100 * summary["scores"][method][key] for summary in summaries] for key in ("acc", "nmi", "ari")}
        cells = (f"{np.mean(values):.2f} ± {np.std(values):.2f}" for values in scores.values())
        yield f"| {method} | {' | '.join(cells)} |"
    dataset, n = summaries[0]["dataset"], summaries[0]["n_samples"]
    minutes = {
        stage: np.mean([summary["seconds"][stage] for summary in summaries]) / 60 for stage in ("pretrain", "cluster")
    }
    yield ""
    yield (
        f"{dataset}, {n:,} rows, mean ± standard deviation over {len(summaries)} seeds; a run takes "
        f"{minutes['pretrain']:.1f} min of pretraining and {minutes['cluster']:.1f} min of clustering"
    )


def machine():
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("keras", "tensorflow", "scikit-learn")]
    return ", ".join(
        [f"{platform.machine()}, {os.cpu_count()} cores", f"Python {platform.python_version()}", *versions]
    )


if __name__ == "__main__":
    main()
