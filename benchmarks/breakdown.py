"""Where the time of a whole run goes: pretraining, and clustering with scores, checkpoints and all.

    python benchmarks/breakdown.py --dataset mnist --data mnist.npz
    python benchmarks/breakdown.py --dataset mnist --data mnist.npz --policy mixed_bfloat16 --output results/bfloat16

Writes breakdown.json, and a picture. Each part is what is spent in its functions, less what they spend in those of
another part.
"""

import argparse
import collections
import contextlib
import functools
import json
import pathlib
import tempfile
import time

import keras
from results import machine

REST = "everything else"


class Stopwatch:
    """The seconds in each part, exclusive of the parts within."""

    def __init__(self):
        self.seconds = collections.Counter()
        self._parts, self._since = [REST], time.perf_counter()

    @contextlib.contextmanager
    def part(self, title):
        self.stop()
        self._parts.append(title)
        try:
            yield
        finally:
            self.stop()
            self._parts.pop()

    def stop(self):
        """Count what has passed to the part that is running, which runs on."""
        now = time.perf_counter()
        self.seconds[self._parts[-1]] += now - self._since
        self._since = now

    def watch(self, owner, name, title):
        function = getattr(owner, name)

        @functools.wraps(function)
        def watched(*arguments, **kwargs):
            with self.part(title):
                return function(*arguments, **kwargs)

        setattr(owner, name, watched)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="of images, as for run_mnist.py; default: digits")
    parser.add_argument("--data", metavar="FILE", help="local file of the data set")
    parser.add_argument("--epochs", type=int, help="of pretraining; default: the recipe's")
    parser.add_argument("--max-iterations", type=int, help="of clustering; default: the recipe's")
    parser.add_argument("--policy", default="float32", help="of Keras's dtypes, as mixed_bfloat16; default: float32")
    parser.add_argument("--output", default="results/breakdown", help="directory; default: results/breakdown")
    options = parser.parse_args(arguments)
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    keras.config.set_dtype_policy(options.policy)
    found = {"machine": machine(), **vars(options)}
    found |= measure(options.dataset, options.data, options.epochs, options.max_iterations)
    (output / "breakdown.json").write_text(json.dumps(found, indent=1))
    draw(found["seconds"], output / "breakdown.png")
    print(found["machine"])
    print(table(found["seconds"]))
    print(f"ACC {100 * found['acc']:.2f} %")


def measure(dataset, path, epochs, max_iterations):
    import deckeras
    from deckeras import augmentation, metrics
    from deckeras._train import alternation, checkpoint, device

    x, y = deckeras.datasets.load(dataset, path)
    changes = {"epochs": epochs, "min_pretraining_iterations": 0} if epochs else {}
    recipe = deckeras.recipes.get("images", image_shape=deckeras.datasets.IMAGE_SHAPES[dataset], **changes)
    watch = Stopwatch()
    watch.watch(device, "train_together", "training steps")
    watch.watch(keras.Model, "train_on_batch", "training steps")
    watch.watch(augmentation.Augmenter, "__call__", "augmentation")
    watch.watch(alternation.Alternation, "assign", "assigning all rows")
    watch.watch(deckeras.DEC, "initialize_centroids", "first clusters")
    watch.watch(checkpoint.Checkpoint, "save", "checkpoints")
    watch.watch(metrics, "scores", "scores")
    watch.stop()
    watch.seconds.clear()
    with tempfile.TemporaryDirectory() as directory:
        with watch.part("building the network"):
            encoder, decoder = recipe.autoencoder(x.shape[1:])
        deckeras.pretrain(encoder, decoder, x, recipe, checkpoint_dir=directory, verbose=0)
        model = deckeras.DEC(encoder, len(set(y)))
        options = {"max_iterations": max_iterations, "checkpoint_dir": directory, "verbose": 0}
        history = model.fit(x, y, recipe=recipe, **options)
        watch.stop()
    return {"acc": history.history["acc"][-1], "seconds": dict(watch.seconds.most_common())}


def draw(seconds, path):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    whole = sum(seconds.values())
    figure, axes = plt.subplots(figsize=(7, 0.4 * len(seconds) + 0.8), layout="constrained")
    bars = axes.barh(list(seconds), list(seconds.values()), color="#0072b2")
    axes.bar_label(bars, [f" {value:.1f} s, {100 * value / whole:.1f} %" for value in seconds.values()])
    axes.invert_yaxis()
    axes.set_xlabel(f"seconds, of {whole:.0f}")
    axes.margins(x=0.35)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def table(seconds):
    whole = sum(seconds.values())
    lines = [f"| {title} | {value:.1f} | {100 * value / whole:.1f} |" for title, value in seconds.items()]
    return "\n".join(["| part | seconds | of the run (%) |", "|---|---|---|", *lines])


if __name__ == "__main__":
    main()
