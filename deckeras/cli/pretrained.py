"""Handle `--features`: a pretrained network for photographs or texts, the rows, and their features."""

import dataclasses
import os
import pathlib
from typing import Any

from deckeras.cli import reading_options
from deckeras.files import image_folder, kinds, reading

_FOREIGN = ("image_size", "color", "image_shape", "convolutional")
_TOKENIZER = "tokenizer"  # a subfolder of the run


@dataclasses.dataclass(frozen=True)
class Network:
    """A pretrained network, and the means to turn rows into its inputs.

    Attributes:
        model: `keras.Model` from pictures or tokens to features.
        tokenizer: `deckeras.features.texts.Tokenizer`, or None for pictures.
    """

    model: Any
    tokenizer: Any = None

    @property
    def unit(self):
        """str, what each row holds."""
        return "picture" if self.tokenizer is None else "text"

    def inputs(self, rows):
        """Return the inputs of the model: the pictures in `Rows`, or the tokens of their texts."""
        return rows.x if self.tokenizer is None else self.tokenizer(rows.texts)


def read(options, read_file):
    """Return (`Network`, rows) for a folder or an array of pictures, or for a column of texts.

    Args:
        options: the command-line options.
        read_file: function that reads a file as if there were no network.

    Raises:
        ValueError, OSError, ImportError: as for `features.network` and the readers; or an option is given that the
            network decides.
    """
    given = [f"--{name.replace('_', '-')}" for name in _FOREIGN if getattr(options, name, None)]
    if given:
        raise ValueError(
            f"{', '.join(given)} does not apply with --features, whose network has a size and colors of its own. "
            "Leave it out."
        )
    if options.text is not None:
        return _read_texts(options, read_file)
    folder = os.path.isdir(options.data)
    if folder:
        named = {name: getattr(options, name, None) for name in reading_options.NAMES}
        kinds.check_options(options.data, "images", {name: value for name, value in named.items() if value})
    rows: Any = image_folder.list_files(pathlib.Path(options.data)) if folder else read_file()
    if not folder and rows.x.ndim not in (3, 4):
        raise ValueError(
            f"--features needs a folder of images, an array of them, or the column of texts, by --text. Received: "
            f"{options.data!r}, rows of {rows.x.shape[1:]}"
        )
    # Keras takes seconds to import, so errors in the data are reported before.
    from deckeras import features
    from deckeras.files import photographs

    shape = None if folder else rows.x.shape[1:]
    network = features.network(options.features, weights=options.weights, image_shape=shape)
    if folder:
        options_of_folder = {"folder_labels": options.folder_labels, "skip_broken": options.skip_broken}
        rows = photographs.read(options.data, network.input_shape[1:3], **options_of_folder)
    return Network(network), rows


def _read_texts(options, read_file):
    if options.weights is not None:
        raise ValueError("--weights is for networks of keras.applications. Received: --weights beside --text")
    rows = read_file()
    from deckeras.features import texts

    return Network(*texts.encoder(options.features)), rows


def keep_tokenizer(network, folder):
    """Save the tokenizer of a text network in the folder of a run, where `inputs` reads it."""
    if network is not None and network.tokenizer is not None:
        network.tokenizer.save(os.path.join(folder, _TOKENIZER))


def inputs(path, rows):
    """Return the inputs for the model of a run: pictures, or the tokens of texts.

    Args:
        path: the folder of the run, or the model in it.
        rows: `Rows`, read in the same way as those of the run.
    """
    if rows.texts is None:
        return rows.x
    from deckeras.features import texts

    folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    return texts.load(os.path.join(folder, _TOKENIZER))(rows.texts)


def read_like(path, layout, *, folder_labels, skip_broken, **others):
    """Return `Rows` of new photographs, read in the same way as those that a run was fitted to.

    Args:
        path: the folder.
        layout: `Layout` of the earlier photographs.
        folder_labels, skip_broken: as for `deckeras.files.photographs.read`.
        **others: the other options of `deckeras.files.read_like`, which do not apply to photographs.
    """
    kinds.check_options(path, "images", {name: value for name, value in others.items() if value})
    from deckeras.files import photographs

    common = {"white": layout.white, "skip_broken": skip_broken}
    return photographs.read(path, layout.image_shape[:2], folder_labels=folder_labels, **common)


def compute(network, rows, folder, progress):
    """Return `Rows` with the features of pictures or texts.

    Args:
        network, rows: as `read` returns them.
        folder: the folder of the run, in which the features are saved; None saves nothing.
        progress: `deckeras.cli.progress.Progress`.
    """
    from deckeras import features

    progress.begin("features")
    report = progress.features(f"{network.unit}s")
    found = features.compute(network.model, network.inputs(rows), folder=folder, report=report)
    progress.end()
    return dataclasses.replace(rows, x=found, features=None, texts=None, layout=reading.Layout(kind="array"))


def read_model(path):
    """Read a model of pictures without its run: the file contains everything that new pictures need.

    Args:
        path: a .keras file.

    Returns:
        (dict as in run.json, `deckeras.DEC`); None for the folder of a run, a file in one, or a model of other rows.

    Raises:
        OSError, ValueError: as for `deckeras.models.saved.load`.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isfile(path) or os.path.exists(os.path.join(folder, "run.json")) or not str(path).endswith(".keras"):
        return None
    import deckeras
    from deckeras.models import dec, saved

    deckeras._register_classes()

    model = saved.load(path)
    shape = model.input_shape[1:]
    if not isinstance(model, dec.DEC) or len(shape) != 3:
        return None
    layout = dataclasses.asdict(reading.Layout(kind="images", image_shape=list(shape)))
    return {"network": {"name": None}, "layout": layout, "labels": None, "folder_labels": False}, model


def check_n_clusters(n_clusters, rows):
    """Raise a ValueError if there are more clusters than rows, before any features are computed."""
    if not 1 <= n_clusters <= len(rows.names):
        raise ValueError(
            f"n_clusters should be from 1 to the number of rows. Received: n_samples={len(rows.names)}, "
            f"n_clusters={n_clusters}"
        )


def facts(options, network, described):
    """Return what the report shows about the rows and their network."""
    name = options.features + (f", weights of {options.weights}" if options.weights else "")
    return {"data": described, "network": f"{name}: {network.model.output_shape[-1]:,} features of each {network.unit}"}


def description(options, network):
    """Return what run.json records about a network."""
    return {"name": options.features, "weights": options.weights, "n_features": int(network.model.output_shape[-1])}
