"""Figure 5 of the paper: the embedding along the training, laid out by t-SNE, with the accuracy at each moment; and the
same as a film. Of the last of the seeds.

    python examples/paper/figure_5_tsne.py
    python examples/paper/figure_5_tsne.py --dataset mnist --data mnist.npz

The options are in `--help`; what is finished is read and not repeated.
"""

import cells
import common
import experiments
import numpy as np

from deckeras import plots
from deckeras.files.writing import whole_file
from deckeras.plots import projection

MOMENTS = 6  # as many as the paper shows


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
    """The start, the end, and those between them at which the embedding has moved by even steps, as it slows down."""
    steps = np.linalg.norm(np.diff(embeddings, axis=0), axis=2).mean(axis=1)
    way = np.concatenate([[0], np.cumsum(steps)]) / max(steps.sum(), np.finfo(np.float32).tiny)
    return np.unique([np.abs(way - share).argmin() for share in np.linspace(0, 1, MOMENTS)])


if __name__ == "__main__":
    with common.manners():
        main()
