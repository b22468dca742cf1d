"""Figure 6 of the paper: NMI and generalizability over the number of clusters, and the suggested number.

Here it also shows the silhouette, which needs no labels.

    python examples/paper/figure_6_n_clusters.py
    python examples/paper/figure_6_n_clusters.py --dataset mnist --data mnist.npz

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common
import experiments

from deckeras import plots, selection


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    rows = cells.run(experiments.n_clusters(job.study, job.seeds), f"{job.path}.csv", verbose=job.verbose)
    suggestions = {seed: selection.suggest([row for row in rows if row["seed"] == seed]) for seed in job.seeds}
    table = cells.markdown(
        rows,
        "n_clusters",
        values=["nmi", "generalizability", "silhouette", "loss", "validation_loss"],
        scale=1,
        digits=3,
    )
    said = "\n".join(f"Seed {seed}: {number} clusters. {reason}" for seed, (number, reason) in suggestions.items())
    chosen = suggestions[job.seeds[-1]][0]
    last = [row for row in rows if row["seed"] == job.seeds[-1]]
    job.save(f"{table}\n\n{said}", plots.number_of_clusters(last, chosen))


if __name__ == "__main__":
    with common.manners():
        main()
