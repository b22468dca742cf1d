"""Table 2 of the paper: accuracy of k-means, SEC, LDMGI, DEC with a frozen encoder, and DEC.

    python examples/paper/table_2_accuracy.py
    python examples/paper/table_2_accuracy.py --dataset mnist --data mnist.npz --seeds 3

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common
import experiments

PAPER = {
    "k-means": 53.49,
    "SEC": 80.37,
    "LDMGI": 84.09,
    "DEC without backpropagation": 79.82,
    "DEC": 84.30,
}


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    rows = cells.run(experiments.accuracy(job.study, job.seeds), f"{job.path}.csv", verbose=job.verbose)
    job.save(cells.markdown(rows, "method", more={"acc in the paper, MNIST": PAPER}))


if __name__ == "__main__":
    with common.manners():
        main()
