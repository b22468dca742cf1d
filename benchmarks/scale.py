"""Time and memory of a pass, by the number of rows, features and clusters: rows of a file that are never all in memory.

    python benchmarks/scale.py
    python benchmarks/scale.py --cases 1000000,784,10 --output results/scale

Each case is a process of its own that reads a file of random uint8 rows (k centres and noise) by `np.load(...,
mmap_mode="r")`, scales them as they are read, pretrains for one pass, places the centroids, assigns all rows, and
trains for one pass towards the clusters, before and after which all rows are assigned, too. Memory is the peak of the
process's resident memory, libraries included. What is finished is read from the output and not repeated.
"""

import argparse
import json
import math
import os
import pathlib
import re
import resource
import subprocess
import sys
import time

import numpy as np
from results import machine

CASES = ["10000,784,10", "100000,784,10", "1000000,784,10", "100000,100,10", "100000,784,100", "100000,784,2000"]
STAGES = {
    "pretraining": "pretraining, a pass",
    "start": "embedding and k-means",
    "assignment": "assigning all rows",
    "clustering": "clustering, a pass between two assignments",
}
ROWS_AT_ONCE = 10_000


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", metavar="ROWS,FEATURES,CLUSTERS", default=CASES)
    parser.add_argument(
        "--units", default="500,500,2000,10", help="of the encoder; the last is 64 from 2,000 clusters on"
    )
    parser.add_argument("--output", default="results/scale", help="directory; default: results/scale")
    parser.add_argument("--measure", metavar="FILE", help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args(arguments)
    units = [int(width) for width in options.units.split(",")]
    if options.measure:
        print(json.dumps(measure(options.measure, int(options.cases[0].split(",")[2]), units)))
        return
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    for case in options.cases:
        n, d, k = map(int, case.split(","))
        name = output / f"{n}-{d}-{k}.json"
        if not name.exists():
            widths = [*units[:-1], 64] if k >= 2000 else units
            name.write_text(run(output / "rows.npy", n, d, k, widths))
        rows.append({"rows": n, "features": d, "clusters": k, **json.loads(name.read_text())})
    print(machine())
    print(table(rows))


def run(file, n, d, k, units):
    write(file, n, d, k)
    command = [sys.executable, __file__, "--measure", str(file), "--cases", f"{n},{d},{k}"]
    command += ["--units", ",".join(map(str, units))]
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    finally:
        os.remove(file)


def write(file, n, d, k):
    random = np.random.default_rng(0)
    centres = random.integers(40, 216, size=(k, d))
    rows = np.lib.format.open_memmap(file, "w+", np.uint8, (n, d))
    for start in range(0, n, ROWS_AT_ONCE):
        size = min(ROWS_AT_ONCE, n - start)
        rows[start : start + size] = centres[random.integers(k, size=size)] + random.integers(-40, 40, size=(size, d))


def measure(file, n_clusters, units):
    import deckeras

    x = np.load(file, mmap_mode="r")
    rows = deckeras.scaling.fit(x, "largest").rows(x)
    found = {"libraries": peak()}
    recipe = deckeras.recipes.get("table", units=tuple(units), epochs=1, min_pretraining_iterations=0)
    encoder, decoder = recipe.autoencoder(rows.shape[1:])
    batch_size, _, _ = recipe.intervals(len(x))
    a_pass = math.ceil(len(x) / batch_size)
    model = deckeras.DEC(encoder, n_clusters)
    stages = {
        "pretraining": lambda: deckeras.pretrain_autoencoder(encoder, decoder, rows, recipe=recipe, verbose=0),
        "start": lambda: model.initialize_centroids(rows),
        "assignment": lambda: model.predict_clusters(rows, verbose=0),
        "clustering": lambda: model.fit(rows, update_interval=a_pass, max_iterations=a_pass, verbose=0),
    }
    for stage, work in stages.items():
        started = time.perf_counter()
        work()
        found[stage] = time.perf_counter() - started
    return {**found, "peak": peak()}


def peak():
    """MiB that this process has held at most."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent held as it started this process
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(rows):
    titles = ["rows", "features", "clusters", *(f"{title} (s)" for title in STAGES.values()), "peak memory (MiB)"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in rows:
        seconds = [f"{row[stage]:.1f}" for stage in STAGES]
        cells = [f"{row['rows']:,}", row["features"], f"{row['clusters']:,}", *seconds, f"{row['peak']:,.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
