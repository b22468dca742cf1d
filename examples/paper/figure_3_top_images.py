"""Figure 3 of the paper: the ten most confident images of each cluster, one row for each, for the last of the seeds.

    python examples/paper/figure_3_top_images.py
    python examples/paper/figure_3_top_images.py --dataset mnist --data mnist.npz

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common

from deckeras import metrics, plots


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    shape, study = job.image_shape(), job.study
    q = study.dec(job.seeds[-1])[0].predict(study.x, verbose=0)
    rows = [
        {"cluster": cluster, "rank": rank, "row": row, "q": q[row, cluster], "class": study.y[row]}
        for cluster, members in enumerate(metrics.most_confident(q))
        for rank, row in enumerate(members.tolist(), start=1)
    ]
    cells.write(rows, f"{job.path}.csv")
    table = cells.markdown(rows, "cluster", "rank", values=["class"], scale=1, digits=0)
    job.save(f"True classes of the images\n\n{table}", plots.top_images(study.x, q, shape, y=study.y))


if __name__ == "__main__":
    with common.manners():
        main()
