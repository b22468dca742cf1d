"""Figure 5 of the paper: the embedding during the training, laid out by t-SNE, with the accuracy at each moment.

The same is written as an animation. Both are for the last of the seeds.

    python examples/paper/figure_5_tsne.py
    python examples/paper/figure_5_tsne.py --dataset mnist --data mnist.npz

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common
import experiments
import numpy as np

from deckeras import plots
from deckeras._train.whole_files import whole_file
from deckeras.plots import projection

# As many as in the paper.
MOMENTS = 6


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    found = experiments.training(job.study, job.seeds[-1])
    chosen = moments(found["embeddings"])
    layouts = projection.common_layout(found["embeddings"][chosen], seed=job.seeds[-1])
    labels = job.study.y[found["rows"]]
    rows = [{"update": int(update), "acc": float(found["acc"][update])} for update in chosen]
    titles = [f"update {row['update']}: {row['acc']:.1%}" for row in rows]
    cells.write(rows, f"{job.path}.csv")
    with whole_file(f"{job.path}.gif") as draft:
        plots.animation(layouts, labels, titles).save(draft, writer="pillow", dpi=100)
    job.save(cells.markdown(rows, "update", values=["acc"]), plots.moments(layouts, labels, titles))


def moments(embeddings):
    """Return the start, the end, and moments between them at which the embedding has moved by equal distances."""
    steps = np.linalg.norm(np.diff(embeddings, axis=0), axis=2).mean(axis=1)
    way = np.concatenate([[0], np.cumsum(steps)]) / max(steps.sum(), np.finfo(np.float32).tiny)
    return np.unique([np.abs(way - fraction).argmin() for fraction in np.linspace(0, 1, MOMENTS)])


if __name__ == "__main__":
    with common.manners():
        main()
