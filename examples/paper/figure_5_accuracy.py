"""Figure 5 of the paper, its last panel: accuracy during the training, for the last of the seeds.

Here it also shows the loss, and the fraction of rows that changed cluster between two updates.

    python examples/paper/figure_5_accuracy.py
    python examples/paper/figure_5_accuracy.py --dataset mnist --data mnist.npz

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common
import experiments

from deckeras import plots


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    history = job.study.dec(job.seeds[-1])[1].history
    rows = [
        {"update": update, **dict(zip(history, values, strict=True))}
        for update, values in enumerate(zip(*history.values(), strict=True), start=1)
    ]
    cells.write(rows, f"{job.path}.csv")
    table = cells.markdown(rows, "update", values=["acc", "nmi", "ari", "changed"])
    _, kmeans = next(cell for cell in experiments.accuracy(job.study, job.seeds[-1:]) if cell[0]["method"] == "k-means")
    job.save(table, plots.training_curves(history, kmeans()))


if __name__ == "__main__":
    with common.manners():
        main()
