"""DEC of ClustPy at its defaults on a data set, scored after each pass: what `results.py --methods clustpy` runs.

    pip install -e ".[benchmarks]"
    python benchmarks/peer.py --dataset mnist --data mnist.npz --output results/mnist/clustpy-0

Leaves history.csv and summary.json as examples/run_mnist.py does. The seconds leave out the scoring, which ClustPy does
not do by itself.
"""

import argparse
import csv
import json
import os
import pathlib
import time


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as for run_mnist.py; default: digits")
    parser.add_argument("--data", metavar="FILE", help="local file of the data set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, nargs=2, metavar=("PRETRAINING", "CLUSTERING"), default=(100, 150))
    parser.add_argument("--output", default="results/clustpy", help="directory; default: results/clustpy")
    options = parser.parse_args(arguments)
    os.environ["KERAS_BACKEND"] = "torch"  # what ClustPy imports ends a process in which there is TensorFlow
    from deckeras import datasets

    x, y = datasets.load(options.dataset, options.data)
    found, history = run(x, y, options.seed, *options.epochs)
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    with open(output / "history.csv", "w", newline="") as file:
        rows = csv.DictWriter(file, history[0])
        rows.writeheader()
        rows.writerows(history)
    (output / "summary.json").write_text(json.dumps(found, indent=1))


def run(x, y, seed, pretrain_epochs, clustering_epochs):
    """Scores and seconds at the end, and a list of them, one dict for each pass towards the clusters."""
    from clustpy.deep import DEC, dec
    from clustpy.deep._data_utils import get_dataloader
    from clustpy.deep._encoding_utils import predict_batchwise

    from deckeras.metrics import scores

    rows, history, seconds = get_dataloader(x, 256, shuffle=False), [], {}
    original, started = dec._DEC_Module, time.perf_counter()

    class Scored(original):
        """ClustPy's clustering a pass at a time, which is the same: its optimizer is the caller's."""

        def fit(self, network, loader, n_epochs, *arguments):
            def score(seconds):
                history.append({"seconds": seconds, **scores(y, predict_batchwise(rows, network, self))})

            seconds.update(pretrain=time.perf_counter() - started, cluster=0.0)
            score(0.0)
            for _ in range(n_epochs):
                begun = time.perf_counter()
                super().fit(network, loader, 1, *arguments)
                seconds["cluster"] += time.perf_counter() - begun
                score(seconds["cluster"])
            return self

    dec._DEC_Module = Scored
    try:
        DEC(len(set(y)), pretrain_epochs=pretrain_epochs, clustering_epochs=clustering_epochs, random_state=seed).fit(x)
    finally:
        dec._DEC_Module = original
    first, last = ({name: update[name] for name in ("acc", "nmi", "ari")} for update in (history[0], history[-1]))
    return {"method": "clustpy", "seconds": seconds, "scores": {"ae+k-means": first, "clustpy": last}}, history


if __name__ == "__main__":
    main()
