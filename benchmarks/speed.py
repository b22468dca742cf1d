"""Throughput of deckeras, of the loop that DEC-keras users run, and of ClustPy, against the limit of the machine.

    python benchmarks/speed.py
    python benchmarks/speed.py --contestants deckeras plain --rounds 9 --output results/speed

All do the same work: one pass over random rows in batches of 256, through an encoder 784-500-500-2000-10 and, in
pretraining, back. Each contestant is a process of its own that waits while the others work; they take turns, so that a
noisy machine is noisy for all. The limit is what NumPy reaches in a large matrix product, measured in the same turns,
as is what the backends reach in the same product. A share of it is the arithmetic of a pass, forward and backward, by
the time that it took. What assigning all rows at an update of the target costs is in the time of a clustering pass and
not in its arithmetic.

deckeras   `pretrain_autoencoder` and `DEC.fit`, one update of the target a pass
plain      `keras.Model.fit`, and the loop of DEC-keras: every 140 batches a target update by `predict` at its default
           batch of 32, and `train_on_batch`
clustpy    ClustPy from PyPI (`pip install -e ".[benchmarks]"`), whose target is one of each batch

"First time" is the first pretraining, with all that is done once: building, compiling, one pass, or two of deckeras.
`+jax` and the like behind a name chooses the backend; `+bfloat16` mixed precision. The contestant `parts` measures what
is neither: imports and answers of the command in processes of their own, first clusterers on 10 blobs in 10 dimensions,
and the metrics.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
from results import machine

UNITS = (784, 500, 500, 2000, 10)
BATCH = 256
WIDTH = 4096  # of the square matrices whose product is the limit
CONTESTANTS = ["numpy", "deckeras", "deckeras+jax", "deckeras+bfloat16", "plain", "plain+jax", "clustpy", "parts"]
TASKS = {"pretraining": "pretraining", "clustering": "clustering", "predict": "assigning"}
SIZES = (70_000, 1_000_000)  # rows of the parts


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contestants", nargs="+", default=CONTESTANTS, metavar="NAME", help=" ".join(CONTESTANTS))
    parser.add_argument("--rows", type=int, default=20_480)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", default="results/speed", help="directory; default: results/speed")
    parser.add_argument("--work", metavar="NAME", help=argparse.SUPPRESS)  # as a contestant
    options = parser.parse_args(arguments)
    if options.work:
        work(options.work, options.rows)
        return
    seconds = race(options)
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    found = {"machine": machine(), "rows": options.rows, "seconds": seconds}
    (output / "speed.json").write_text(json.dumps(found, indent=1))
    text = f"{machine()}\n\n{table(seconds, options.rows)}\n"
    (output / "speed.md").write_text(text)
    print(text)


def race(options):
    """The seconds of each contestant's turns: dict from name to dict from task to list; "first" is the first of all."""
    seconds = {name: {} for name in ["numpy", *options.contestants]}
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(started(name, options.rows)) for name in seconds}
        for name, worker in workers.items():
            for task in json.loads(answer(worker)):
                begun = time.perf_counter()
                turn(worker, task)
                seconds[name][f"first {task}"] = [time.perf_counter() - begun]
                seconds[name][task] = []
        for _ in range(options.rounds):
            for task in dict.fromkeys(itertools.chain.from_iterable(seconds.values())):
                for name, worker in workers.items():
                    if task in seconds[name] and not task.startswith("first "):
                        seconds[name][task].append(turn(worker, task))
    return seconds


@contextlib.contextmanager
def started(name, rows):
    ways = name.split("+")[1:]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for way in ways:
        if way in ("jax", "torch", "tensorflow"):
            environment["KERAS_BACKEND"] = way
    command = [sys.executable, __file__, "--work", name, "--rows", str(rows)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def turn(worker, task):
    worker.stdin.write(f"{task}\n")
    worker.stdin.flush()
    return float(answer(worker))


def answer(worker):
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError(f"A contestant ended: {worker.args}. Its output is above.")
    return line


def work(name, n_rows):
    """Be a contestant: say what tasks there are, then do each that is asked for and say how long it took."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    kind, *ways = name.split("+")
    x = np.random.default_rng(0).random((n_rows, UNITS[0]), dtype="float32")
    tasks = KINDS[kind](x, "mixed_bfloat16" if "bfloat16" in ways else "float32")
    print(json.dumps(list(tasks)), file=answers, flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        found = tasks[line.strip()]()
        print(found if isinstance(found, float) else time.perf_counter() - started, file=answers, flush=True)


def square():
    return np.random.default_rng(0).random((WIDTH, WIDTH), dtype="float32")


def numpy_tasks(x, policy):
    matrix = square()
    return {"product": lambda: matrix @ matrix}


def deckeras_tasks(x, policy):
    import keras

    import deckeras

    keras.config.set_dtype_policy(policy)
    batches = len(x) // BATCH
    encoder, decoder = deckeras.dense_autoencoder(UNITS[0], UNITS[1:])
    model = deckeras.DEC(encoder, 10)
    model.centroids = np.random.default_rng(0).normal(size=(10, UNITS[-1]))
    common = {"batch_size": BATCH, "verbose": 0}
    matrix = keras.ops.convert_to_tensor(square())

    def second(history):
        """The seconds of the second pass: the first has what is done once a training, which "first time" shows."""
        return float(history.times[1] - history.times[0])

    return {
        "pretraining": lambda: second(
            deckeras.pretrain_autoencoder(encoder, decoder, x, iterations=2 * batches, **common)
        ),
        "clustering": lambda: second(
            model.fit(x, update_interval=batches, max_iterations=2 * batches, tol=0, **common)
        ),
        "predict": lambda: model.predict(x, verbose=0),
        "product": lambda: keras.ops.convert_to_numpy((matrix @ matrix)[0, 0]),  # since JAX returns before it is done
    }


def plain_tasks(x, policy):
    import keras

    from deckeras import ClusteringLayer, target_distribution

    keras.config.set_dtype_policy(policy)
    encoder = keras.Sequential([keras.Input((UNITS[0],)), *dense(UNITS[1:])])
    autoencoder = keras.Sequential([encoder, *dense(UNITS[-2::-1])])
    autoencoder.compile(keras.optimizers.SGD(1.0, momentum=0.9), "mse")
    model = keras.Sequential([encoder, ClusteringLayer(10)])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "kld")

    def cluster(interval=140):
        index, numbers = 0, np.arange(len(x))
        for iteration in range(len(x) // BATCH):
            if iteration % interval == 0:
                q = model.predict(x, verbose=0)
                p = target_distribution(q)
            rows = numbers[index * BATCH : min((index + 1) * BATCH, len(x))]
            model.train_on_batch(x[rows], p[rows])
            index = index + 1 if (index + 1) * BATCH <= len(x) else 0

    return {
        "pretraining": lambda: autoencoder.fit(x, x, batch_size=BATCH, epochs=1, verbose=0),
        "clustering": cluster,
        "predict": lambda: model.predict(x, verbose=0),
    }


def dense(widths):
    import keras

    return [keras.layers.Dense(width, "relu") for width in widths[:-1]] + [keras.layers.Dense(widths[-1])]


def clustpy_tasks(x, policy):
    import torch
    from clustpy.deep._data_utils import get_dataloader
    from clustpy.deep._encoding_utils import predict_batchwise
    from clustpy.deep._utils import mean_squared_error
    from clustpy.deep.dec import _DEC_Module
    from clustpy.deep.neural_networks import FeedforwardAutoencoder

    network = FeedforwardAutoencoder(list(UNITS), random_state=0)
    module = _DEC_Module(np.random.default_rng(0).normal(size=(10, UNITS[-1])).astype("float32"), 1.0)
    optimizer = torch.optim.Adam([*network.parameters(), *module.parameters()], lr=1e-4)
    shuffled, ordered = (get_dataloader(x, BATCH, shuffle=shuffle) for shuffle in (True, False))
    cpu, matrix = torch.device("cpu"), torch.tensor(square())
    return {
        "pretraining": lambda: network.fit(1, {"lr": 1e-3}, BATCH, x),
        "clustering": lambda: module.fit(network, shuffled, 1, cpu, optimizer, mean_squared_error, 1.0, 0.0),
        "predict": lambda: predict_batchwise(ordered, network, module),
        "product": lambda: matrix @ matrix,
    }


def parts_tasks(x, policy):
    from sklearn.datasets import make_blobs

    import deckeras
    from deckeras.initialization import ManifoldStart

    def running(*arguments):
        command = [sys.executable, *arguments]
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL) and None

    modules = ("keras", "deckeras", "deckeras.estimator")
    tasks = {f"`import {module}`": running("-c", f"import {module}") for module in modules}
    tasks |= {f"`deckeras {option}`": running("-m", "deckeras", option) for option in ("--version", "--help")}
    for n in SIZES:
        z, y = make_blobs(n, 10, centers=10, cluster_std=4, random_state=0)
        z, labels = z.astype("float32"), (y + (z[:, 0] > 9)) % 10
        tasks |= {
            f"k-means with 20 restarts, {n:,} rows": lambda z=z: deckeras.kmeans_centroids(z, 10),
            f"mixtures, 30 of them, {n:,} rows": lambda z=z: deckeras.mixture_assignments(z, 10),
            f"neighborhoods, 4 layouts of 2 graphs, {n:,} rows": lambda z=z: ManifoldStart(z, n_init=4)(z, 10),
            f"ACC, NMI and ARI, {n:,} rows": lambda y=y, labels=labels: deckeras.metrics.scores(y, labels),
        }
    return tasks


KINDS = {
    "numpy": numpy_tasks,
    "deckeras": deckeras_tasks,
    "plain": plain_tasks,
    "clustpy": clustpy_tasks,
    "parts": parts_tasks,
}


def arithmetic(task, rows):
    """Floating-point operations of a pass: a product forward and two backward, but for the input's gradient."""
    encoder = [up * down for up, down in itertools.pairwise(UNITS)]
    products = {"pretraining": 2 * sum(encoder), "clustering": sum(encoder), "predict": sum(encoder)}[task]
    if task == "predict":
        return 2 * rows * products
    return 2 * rows * (3 * products - encoder[0])


def table(seconds, rows):
    rates = {name: 2 * WIDTH**3 / statistics.median(of["product"]) for name, of in seconds.items() if "product" in of}
    limit = rates["numpy"]
    lines = [
        f"Limit, a product of two matrices of {WIDTH:,} by {WIDTH:,}: {limit / 1e9:.0f} GFLOP/s.",
        "The same by the backends: " + ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates.items()) + ".",
        "",
        "| contestant | "
        + " | ".join(f"{title} (s) | of the limit (%)" for title in TASKS.values())
        + " | first time (s) |",
        "|---" * (2 + 2 * len(TASKS)) + "|",
    ]
    for name, tasks in seconds.items():
        if name in ("numpy", "parts"):
            continue
        cells = [name]
        for task in TASKS:
            times = tasks[task]
            cells.append(spread(times))
            cells.append(f"{100 * arithmetic(task, rows) / statistics.median(times) / limit:.0f}")
        cells.append(f"{tasks['first pretraining'][0]:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    if "deckeras" in seconds and len(seconds) > 2:
        lines += ["", "Time of the others by that of deckeras, median of the turns:", ""]
        for name, tasks in seconds.items():
            if name not in ("numpy", "deckeras", "parts"):
                ratios = [
                    statistics.median(a / b for a, b in zip(tasks[task], seconds["deckeras"][task], strict=True))
                    for task in TASKS
                ]
                shares = ", ".join(f"{title} {ratio:.2f}" for title, ratio in zip(TASKS.values(), ratios, strict=True))
                lines.append(f"- {name}: {shares}")
    if "parts" in seconds:
        lines += ["", "| part | time (s) |", "|---|---|"]
        parts = {task: times for task, times in seconds["parts"].items() if not task.startswith("first ")}
        lines += [f"| {task} | {spread(times)} |" for task, times in parts.items()]
    return "\n".join(lines)


def spread(times):
    return f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


if __name__ == "__main__":
    main()
