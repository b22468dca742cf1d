"""Table 4 of the paper: accuracy on classes of unequal size.

The data set holds the fraction r_min of class 0 and all of the last class. The fractions of the other classes are
linear between these.

    python examples/paper/table_4_imbalance.py
    python examples/paper/table_4_imbalance.py --dataset mnist --data mnist.npz --seeds 3

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common
import experiments

# By method and r_min.
PAPER = {
    "k-means": {0.1: 47.14, 0.3: 49.93, 0.5: 53.65, 0.7: 54.16, 0.9: 54.39},
    "AE + k-means": {0.1: 66.82, 0.3: 74.91, 0.5: 77.93, 0.7: 80.04, 0.9: 81.31},
    "DEC": {0.1: 70.10, 0.3: 80.92, 0.5: 82.68, 0.7: 84.69, 0.9: 85.41},
}


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    rows = cells.run(experiments.imbalance(job.study, job.seeds), f"{job.path}.csv", verbose=job.verbose)
    published = [
        {"method": f"{method} in the paper, MNIST", "r_min": rate, "acc": acc / 100}
        for method, accuracies in PAPER.items()
        for rate, acc in accuracies.items()
    ]
    job.save(cells.markdown(rows + published, "method", "r_min"))


if __name__ == "__main__":
    with common.manners():
        main()
