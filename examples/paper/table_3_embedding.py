"""Table 3 of the paper: the clusterings of table 2 on the autoencoder's embedding, to show its effect.

    python examples/paper/table_3_embedding.py
    python examples/paper/table_3_embedding.py --dataset mnist --data mnist.npz --seeds 3

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common
import experiments

PAPER = {"AE + k-means": 81.84, "AE + SEC": 81.56, "AE + LDMGI": 83.98, "DEC": 84.30}


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    rows = cells.run(experiments.on_embedding(job.study, job.seeds), f"{job.path}.csv", verbose=job.verbose)
    job.save(cells.markdown(rows, "method", more={"acc in the paper, MNIST": PAPER}))


if __name__ == "__main__":
    with common.manners():
        main()
