"""The units that a pretraining of images turns off, with centered rows and without, as Markdown.

    python benchmarks/units.py sets/
    python benchmarks/units.py sets/ --only coil20 palm16

A unit is off if it is zero for all rows. The folder holds .npz files as for `field.py`; those without `image_shape` are
left out. "Neighbors" is the accuracy of a 5-nearest-neighbors classifier in the embedding, cross-validated in three
parts. Labels only score.
"""

import pathlib

import folder
import numpy as np
import pandas
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

CELLS = pathlib.Path(__file__).parent / "units.csv"


def main(arguments=None):
    parser = folder.parser(__doc__, CELLS)
    parser.add_argument("--seed", type=int, default=0)
    options = folder.parse(parser, arguments)
    done = folder.done(options.cells, "data", "centered", "seed")
    for path in folder.paths(options):
        x, y, image_shape = folder.load(path)
        for centered in (False, True) if image_shape else ():
            if (path.stem, centered, options.seed) not in done:
                cell = {"data": path.stem, "centered": centered, "seed": options.seed}
                folder.append(options.cells, cell | compute(x, y, image_shape, centered, options.seed))
    found = table(pandas.read_csv(options.cells))
    formats = [".4f" if name == "loss" else ".1f" for name in found]
    print(found.to_markdown(index=False, floatfmt=formats))


def compute(x, y, image_shape, centered, seed):
    """Pretrain, and return the units of each layer that are off, the last loss, and how good neighbors are."""
    import keras

    from deckeras import DeepEmbeddedClustering, pretrain, recipes

    estimator = DeepEmbeddedClustering(len(np.unique(y)), image_shape=image_shape, random_state=seed)
    rows = np.asarray(estimator.prepare(x), "float32")
    recipe = recipes.get(estimator.recipe_, centered=centered)
    encoder, decoder = recipe.autoencoder(rows.shape[1:], seed)
    loss = pretrain(encoder, decoder, rows, recipe, seed=seed, verbose=0)[-1].history["loss"][-1]
    found, hidden = {}, rows
    for number, layer in enumerate(encoder.layers):
        hidden = keras.ops.convert_to_numpy(layer(hidden))
        found[f"layer {number + 1}"] = round(float((hidden.max(axis=0) == 0).mean()), 4)
    found.popitem()  # The embedding is linear.
    neighbors = cross_val_score(KNeighborsClassifier(5), hidden, y, cv=3).mean()
    return found | {"loss": round(loss, 5), "neighbors": round(float(neighbors), 4)}


def table(cells):
    """Percentages, with a line for each data set and pretraining."""
    lines = cells.groupby(["data", "centered"]).mean().drop(columns="seed")
    lines.loc[:, lines.columns != "loss"] *= 100
    return lines.reset_index()


if __name__ == "__main__":
    main()
