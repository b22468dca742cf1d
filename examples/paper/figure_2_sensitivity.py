"""Figure 2 of the paper: accuracy over hyper-parameters of SEC, LDMGI and DEC, one changed at a time.

    python examples/paper/figure_2_sensitivity.py
    python examples/paper/figure_2_sensitivity.py --dataset mnist --data mnist.npz

`--help` lists the options. Finished results are read and not repeated.
"""

import cells
import common
import experiments

from deckeras import plots


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    rows = cells.run(experiments.sensitivity(job.study, job.seeds), f"{job.path}.csv", verbose=job.verbose)
    settings = {
        name: [row for row in rows if (row["method"], row["parameter"]) == name] for name in experiments.SENSITIVITY
    }
    table = "\n\n".join(
        f"{method} by {parameter}\n\n{cells.markdown(group, 'value')}"
        for (method, parameter), group in settings.items()
    )
    job.save(table, plots.sensitivity(rows))


if __name__ == "__main__":
    with common.manners():
        main()
