"""Every table and figure of the paper, one after the other. The autoencoders are pretrained once for all of them.

    python examples/paper/all.py
    python examples/paper/all.py --dataset mnist --data mnist.npz --seeds 3

All scripts have the same options; `--help` lists them.
"""

import importlib
import sys
import time

import common

from deckeras import datasets

SCRIPTS = (
    "table_2_accuracy",
    "table_3_embedding",
    "table_4_imbalance",
    "figure_2_sensitivity",
    "figure_3_top_images",
    "figure_4_gradient",
    "figure_5_tsne",
    "figure_5_accuracy",
    "figure_6_n_clusters",
)


def main(arguments=None):
    job = common.job(__file__, __doc__, arguments)
    started = time.perf_counter()
    for number, name in enumerate(SCRIPTS, start=1):
        print(f"{number}/{len(SCRIPTS)} {name}")
        if name == "figure_3_top_images" and job.dataset not in datasets.IMAGE_SHAPES:
            print(f"{job.dataset} has no images to show.\n")
            continue
        importlib.import_module(name).main(arguments)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes in all", file=sys.stderr)


if __name__ == "__main__":
    with common.manners():
        main()
