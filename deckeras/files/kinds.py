"""Determine the kind of a file from its name, and the options that apply to it."""

import os

from deckeras.files import arrays, pixels, promises, tables

WORDS = {"table": "a table", "array": "an array", "images": "a folder of images"}
_TABLE = tables.TEXT + tables.OTHER
_IMAGES = ("image_size", "color", "folder_labels", "skip_broken")
_TEXT = ("sep", "skip", "comment", "decimal", "thousands", "encoding")
_COLUMNS = ("names", "drop", "one_hot", "text", "missing", "na", "header")
# How to convert files of other programs.
_OTHERS = {
    (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".rds", ".rdata"): (
        "a pickle or another file of Python or R objects, which runs code when it is loaded. If you trust it, load it "
        "and write the rows as .csv, .parquet or .npy"
    ),
    (".numbers", ".gsheet", ".fods"): "a spreadsheet of another kind. Save it as .xlsx or .csv",
    (".dta", ".sav", ".por", ".sas7bdat", ".xpt"): (
        "a table of Stata, SPSS or SAS. Read it by pandas, and write it as .parquet or .csv"
    ),
    (".db", ".sqlite", ".sqlite3", ".mdb", ".accdb"): "a database. Export a table of it as .csv",
    (".zst", ".7z", ".rar", ".tar", ".tgz", ".lz4"): "an archive or a compressed file. Unpack it",
    (".pdf", ".docx", ".doc", ".html", ".htm", ".xml"): "a document. Save the table in it as .csv",
    (".mtx", ".loom"): "a matrix of cells and genes. Write it as .h5ad, for example by anndata",
    (*pixels.EXTENSIONS, *pixels.HEIF): "one image. Give the folder of all images",
}


def of(path):
    """Return the kind of a file or a folder: "table", "array" or "images".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the kind is unknown.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        return "images"
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file or folder {path!r}.")
    promises.check_regular(path)
    extension, last = tables.extension(path), os.path.splitext(path)[1].lower()
    packed = last in tables.COMPRESSED
    if packed and extension not in (*tables.TEXT, *tables.LINES, last):
        raise ValueError(f"{path!r} should be a file that is not compressed, or text. Decompress it first.")
    if extension in _TABLE or packed:
        return "table"
    if extension in arrays.EXTENSIONS:
        return "array"
    what = next((what for extensions, what in _OTHERS.items() if extension in extensions), None)
    if what is not None:
        raise ValueError(f"{path!r} should be a file of data. Received: {what}.")
    known = ", ".join(_TABLE + arrays.EXTENSIONS)
    raise ValueError(
        f"The file should be one of {known}, or a folder of images. Received: {path!r}. If it holds a table as text, "
        "rename it to .txt."
    )


def check_options(path, kind, given):
    """Raise a ValueError if one of the options in `given`, a dict, does not apply to the file."""
    wrong = [f"--{name.replace('_', '-')}" for name in given if name in _foreign(tables.extension(path), kind)]
    if wrong:
        way_out = " Use --folder-labels if its subfolders are the classes." if "--labels" in wrong else ""
        raise ValueError(f"{', '.join(wrong)} does not apply to {WORDS[kind]}. Received: {os.fspath(path)!r}.{way_out}")


def _foreign(extension, kind):
    """Return the names of the options that do not apply to such a file."""
    if kind == "array":
        return (*_IMAGES, *_TEXT, *_COLUMNS)
    if kind == "images":
        return (*_TEXT, *_COLUMNS, "key", "image_shape", "labels")
    if extension in tables.TEXT + tables.COMPRESSED:
        return (*_IMAGES, "key")
    if extension in tables.WORKBOOKS:
        return (*_IMAGES, "sep", "comment", "encoding")
    encoded = () if extension in tables.LINES else ("encoding",)
    return (*_IMAGES, *encoded, "sep", "skip", "comment", "key", "header")
