"""Figure 5 of the paper, its last panel: accuracy along the training, here with the loss and the share of rows that
changed cluster between two updates. Of the last of the seeds.

    python examples/paper/figure_5_accuracy.py
    python examples/paper/figure_5_accuracy.py --dataset mnist --data mnist.npz

The options are in `--help`; what is finished is read and not repeated.
"""

import cells
import common

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
    job.save(table, plots.training_curves(history))


if __name__ == "__main__":
    with common.manners():
        main()
