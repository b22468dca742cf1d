"""The options of the command that say how files are read: those of `deckeras.files.read`."""

NAMES = {  # which a command takes as they are
    "key", "names", "labels", "drop", "one_hot", "missing", "na", "sep", "skip", "comment", "decimal", "thousands",
    "encoding", "header", "image_size", "image_shape", "colour", "folder_labels", "skip_broken",
}  # fmt: skip


def add_reading(parser):
    """Add all of them to a parser."""
    table = parser.add_argument_group("tables")
    table.add_argument("--names", metavar="COLUMN", help="the names of the rows; default: their numbers")
    table.add_argument("--drop", nargs="+", default=[], metavar="COLUMN", help="columns that are no features")
    table.add_argument("--one-hot", nargs="+", default=[], metavar="COLUMN", help="text whose values become features")
    table.add_argument("--missing", choices=("median", "drop"), help="fill missing values, or leave out their rows")
    table.add_argument("--na", nargs="+", default=[], metavar="TEXT", help='texts for a missing value, such as "?"')
    header = table.add_mutually_exclusive_group()
    header.add_argument("--header", action="store_true", default=None, help="the first line names the columns")
    header.add_argument("--no-header", dest="header", action="store_false", help="it does not; default: as it looks")
    text = parser.add_argument_group("text files, of which all is found and said unless an option says it")
    text.add_argument("--sep", metavar="CHARACTER", help='separator: "," ";" tab blank')
    text.add_argument("--skip", type=int, metavar="N", help="lines above the table")
    text.add_argument("--comment", metavar="TEXT", help="leave out lines that begin with it")
    text.add_argument("--decimal", metavar="CHARACTER", help='before decimals: "." or ","')
    text.add_argument("--thousands", metavar="CHARACTER", help="between thousands")
    text.add_argument("--encoding", help="default: utf-8, or utf-16 where the file says so")
    array = parser.add_argument_group("arrays and images")
    array.add_argument("--key", help="the array of an .npz, .h5, .h5ad or .mat file, the sheet of a workbook")
    array.add_argument(
        "--image-shape", nargs="+", type=int, metavar="N", help="height, width and channels of flat rows"
    )
    array.add_argument(
        "--image-size", type=int, metavar="N", help="pixels a side; default: their own up to 32, else 32"
    )
    array.add_argument("--colour", action="store_true", help="keep the colours of images; default: grey")
    add_skip_broken(array)
    add_labels(parser)


def add_labels(parser):
    """Add the options for classes to compare with."""
    parser.add_argument("--labels", metavar="NAME", help="column, or array of a file of several, with the true classes")
    parser.add_argument("--folder-labels", action="store_true", help="the folders that images lie in are their classes")


def add_skip_broken(parser):
    """Add the option for images that cannot be read."""
    parser.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")
