"""Table 4 of the paper: accuracy where class 0 is kept at the rate r_min, the last class whole, and those between
linearly.

    python examples/paper/table_4_imbalance.py
    python examples/paper/table_4_imbalance.py --dataset mnist --data mnist.npz --seeds 3
"""

import common

from deckeras import experiments

PAPER = {
    "k-means": (47.14, 49.93, 53.65, 54.16, 54.39),
    "AE + k-means": (66.82, 74.91, 77.93, 80.04, 81.31),
    "DEC": (70.10, 80.92, 82.68, 84.69, 85.41),
}


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    rows = experiments.run(experiments.imbalance(job.study, job.seeds), f"{job.path}.csv", verbose=job.verbose)
    published = [
        {"method": f"{method} in the paper, MNIST", "r_min": rate, "acc": acc / 100}
        for method, accuracies in PAPER.items()
        for rate, acc in zip(experiments.RATES, accuracies, strict=True)
    ]
    job.save(experiments.markdown(rows + published, "method", "r_min"))


if __name__ == "__main__":
    with common.manners():
        main()
