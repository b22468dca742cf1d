"""The command-line options that control how files are read, as for `deckeras.files.read`."""

import argparse

# The names that the command passes on unchanged.
NAMES = {
    "key", "names", "labels", "drop", "one_hot", "text", "missing", "na", "sep", "skip", "comment", "decimal",
    "thousands", "encoding", "header", "image_size", "image_shape", "color", "folder_labels", "skip_broken",
}  # fmt: skip


def at_least(minimum):
    """Return the type of an option that accepts only whole numbers of at least `minimum`."""

    def whole_number(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < minimum:
            raise argparse.ArgumentTypeError(f"it should be a whole number of at least {minimum}. Received: {text}")
        return value

    return whole_number


def add_labels(parser):
    """Add the options for known classes."""
    parser.add_argument("--labels", metavar="NAME", help="the column, or the array of a file, with the true classes")
    parser.add_argument(
        "--folder-labels", action="store_true", help="use the names of the subfolders as the classes of their images"
    )


def add_tables(parser):
    """Add the options for tables."""
    group = parser.add_argument_group("tables")
    _add_names(group)
    group.add_argument("--drop", nargs="+", default=[], metavar="COLUMN", help="columns that are not features")
    group.add_argument(
        "--one-hot",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="columns of categories: one feature, 1 or 0, for each value",
    )
    group.add_argument("--text", metavar="COLUMN", help="texts to cluster by their words, without the other columns")
    _add_missing(group)


def add_new_rows(parser):
    """Add the options for new rows, which are read like those of the run unless an option says otherwise."""
    group = parser.add_argument_group("new rows (default: as the rows of the run were read)")
    _add_key(group)
    _add_names(group)
    _add_missing(group)
    add_skip_broken(group)
    add_text(parser)


def _add_names(group):
    group.add_argument("--names", metavar="COLUMN", help="the column with the names of the rows; default: row numbers")


def _add_missing(group):
    group.add_argument("--missing", choices=("median", "drop"), help="fill missing values, or drop their rows")
    group.add_argument("--na", nargs="+", default=[], metavar="TEXT", help='texts that mean "missing", such as "?"')
    header = group.add_mutually_exclusive_group()
    header.add_argument("--header", action="store_true", default=None, help="the first line names the columns")
    header.add_argument(
        "--no-header", dest="header", action="store_false", help="the first line is data; default: detected"
    )


def add_images(parser):
    """Add the options for arrays and images."""
    group = parser.add_argument_group("arrays and images")
    _add_key(group)
    group.add_argument(
        "--image-shape",
        nargs="+",
        type=at_least(1),
        metavar="N",
        help="height, width and channels of the image in a flat row",
    )
    group.add_argument(
        "--image-size",
        type=at_least(1),
        metavar="N",
        help="pixels per side; default: the images' own up to 32, else 32",
    )
    # Earlier versions had only the British spelling.
    group.add_argument(
        "--color", "--colour", dest="color", action="store_true", help="keep the colors of images; default: gray"
    )
    add_skip_broken(group)


def _add_key(group):
    group.add_argument("--key", help="the array of an .npz, .h5, .h5ad or .mat file, or the sheet of a workbook")


def add_features(parser):
    """Add the options for a pretrained network."""
    group = parser.add_argument_group(
        "photographs and texts (features of a pretrained network, clustered in place of the pixels or the words)"
    )
    group.add_argument(
        "--features",
        metavar="NAME",
        help="a network: auto (EfficientNetV2B0), ConvNeXtTiny and others of keras.applications, a preset of KerasHub "
        "such as dinov2_small, or a .keras file; with --text, a text encoder: auto (all_minilm_l6_v2_en) or another "
        "preset of KerasHub",
    )
    group.add_argument(
        "--weights", metavar="FILE", help="its weights, where they cannot be downloaded; for keras.applications"
    )


def add_text(parser):
    """Add the options for text files."""
    group = parser.add_argument_group("text files (everything is detected, and reported, unless it is given here)")
    group.add_argument("--sep", metavar="CHARACTER", help='separator: "," ";" tab blank')
    group.add_argument("--skip", type=at_least(0), metavar="N", help="lines above the table")
    group.add_argument("--comment", metavar="TEXT", help="leave out lines that begin with it")
    group.add_argument("--decimal", metavar="CHARACTER", help='the decimal separator: "." or ","')
    group.add_argument("--thousands", metavar="CHARACTER", help="the thousands separator")
    group.add_argument("--encoding", help="default: utf-8, or utf-16 if the file begins with its mark")


def add_skip_broken(parser):
    """Add the option for images that cannot be read."""
    parser.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")
