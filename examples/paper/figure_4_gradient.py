"""Figure 4 of the paper: the gradient of the loss against the soft assignment, at the start of the clustering.

It shows the cluster with the most rows, for the last of the seeds.

    python examples/paper/figure_4_gradient.py
    python examples/paper/figure_4_gradient.py --dataset mnist --data mnist.npz

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common
import experiments
import numpy as np

from deckeras import datasets, plots


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    found = experiments.gradients(job.study, job.seeds[-1])
    cluster = np.bincount(found["cluster"]).argmax()
    members = np.flatnonzero(found["cluster"] == cluster)
    q, gradient = found["q"][members], found["gradient"][members]
    rows = [{"row": row, "q": q, "gradient": norm} for row, q, norm in zip(members, q, gradient, strict=True)]
    cells.write(rows, f"{job.path}.csv")
    fifths = np.argsort(np.argsort(q)) * 5 // len(q)
    steps = [
        {
            "fifth of the rows by q": int(fifth) + 1,
            "q": q[fifths == fifth].mean(),
            "gradient": gradient[fifths == fifth].mean(),
        }
        for fifth in np.unique(fifths)
    ]
    table = cells.markdown(steps, "fifth of the rows by q", values=["q", "gradient"], scale=1)
    images = job.study.x[members] if job.dataset in datasets.IMAGE_SHAPES else None
    figure = plots.gradients(q, gradient, images, datasets.IMAGE_SHAPES.get(job.dataset))
    job.save(f"Cluster {cluster}, {len(members):,} rows: means\n\n{table}", figure)


if __name__ == "__main__":
    with common.manners():
        main()
