"""Read the text of files. The first bytes, rather than the name, determine compression and encoding."""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import os
import zipfile

from deckeras.files import promises

_HEAD = 2**18  # the number of characters that are examined
_MAX_HEAD = 2**25  # the number of characters that are examined if lines are long
_LINES = 50  # the number of lines that are examined
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip"}
_RATIOS = {"gzip": 1032, "zip": 1032, "xz": 8000, "bzip2": 2**21}  # the most bytes of text per byte of the file
_FOREIGN = {
    b"PK\x05\x06": "an empty zip file",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file: name it .h5",
    b"\x93NUMPY": "an array of NumPy: name it .npy",
    b"PAR1": "a Parquet file: name it .parquet",
    b"ARROW1": "a Feather file: name it .feather",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: name it .xls",
    b"MATLAB 5.0 MAT-file": "a MATLAB file: name it .mat",
    b"SQLite format 3": "an SQLite database: export a table of it as CSV",
    b"\x89PNG": "an image: give its folder",
    b"\xff\xd8\xff": "an image: give its folder",
    b"\x80\x04\x95": "a pickle, which runs the code in it when it is loaded: write the rows as CSV or .npy instead",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard: decompress it first",
}
_BOMS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def look(path, encoding=None):
    """Detect how the text of a file is stored.

    Args:
        path: the file.
        encoding: str, default None: UTF-8, or UTF-16 or UTF-32 if the first bytes show it.

    Returns:
        (encoding, compression, head): str, str or None, and the first lines as str, complete.

    Raises:
        ValueError: the file is not text, or not in this encoding.
    """
    compression = _compression(path)
    _check_size(path, compression)
    with _bytes(path, compression) as file:
        start = _read(path, file, 4096)
    if not start:
        raise ValueError(f"{os.fspath(path)!r} is empty.")
    for magic, kind in _FOREIGN.items():
        if start.startswith(magic):
            raise ValueError(f"{os.fspath(path)!r} should be a table in a text file. Received: {kind}")
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError(
            f"{os.fspath(path)!r} should be a table in a text file. Received: a web page or XML, perhaps from a "
            "failed download"
        )
    with explained(path, encoding):
        encoding = codecs.lookup(encoding or _encoding(start)).name  # a single name for all aliases
    if b"\x00" in start and not encoding.startswith(("utf-16", "utf-32")):
        raise ValueError(f"{os.fspath(path)!r} should be a table in a text file. Received: bytes that are not text")
    head = ""
    with explained(path, encoding), opened(path, encoding, compression) as file:
        while len(head) < _MAX_HEAD and (more := file.read(_HEAD)):
            head += more
            if len(head) >= _HEAD and head.count("\n") + head.count("\r") >= _LINES:
                break
        if more and (cut := max(head.rfind("\n"), head.rfind("\r"))) > 0:
            head = head[: cut + 1]
    return encoding, compression, head


def check_cells(path, compression, n_columns):
    """Raise a ValueError if a table with this many columns, with short lines padded, does not fit in memory.

    Args:
        path: the file.
        compression: str or None, as `look` returns it.
        n_columns: int.
    """
    most = os.path.getsize(path) * _RATIOS.get(compression, 1) // 2  # lines of one character each
    if 8 * most * n_columns <= promises.memory():
        return
    with explained(path, ""), _bytes(path, compression) as file:
        n_lines = sum(block.count(b"\n") for block in iter(lambda: file.read(_HEAD), b""))
    promises.check_dense(path, (n_lines, n_columns), "a table")


@contextlib.contextmanager
def opened(path, encoding, compression):
    """Open the text with its line endings unchanged."""
    # UTF-8 may begin with a byte order mark.
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    with _bytes(path, compression) as file, io.TextIOWrapper(file, encoding=codec, newline="") as text:
        yield text


@contextlib.contextmanager
def explained(path, encoding):
    """Raise a ValueError that suggests a remedy if the text cannot be decoded or decompressed."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{os.fspath(path)!r} is not written in {encoding}: {error.reason} at byte {error.start}. Give the "
            f"encoding by --encoding{_guess(error)}."
        ) from error
    except UnicodeError as error:
        raise ValueError(f"{os.fspath(path)!r} is not written in {encoding}: {error}. Give its --encoding.") from error
    except LookupError as error:
        raise ValueError(f"encoding should be one that Python knows, such as cp1252. Received: {encoding!r}") from error
    except (EOFError, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{os.fspath(path)!r} cannot be decompressed: {error}. Copy or download it again.") from error


def _check_size(path, compression):
    """Raise a ValueError if the text does not fit in memory. It is unpacked and counted if no header gives its size."""
    size = os.path.getsize(path)
    if compression == "zip":
        with explained(path, ""), zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    elif compression and size * _RATIOS[compression] > (limit := promises.text_limit()):
        size = 0
        with explained(path, ""), _bytes(path, compression) as file:
            while size <= limit and (more := file.read(_HEAD)):
                size += len(more)
    promises.check_text(path, size)


def _read(path, file, size):
    with explained(path, ""):
        return file.read(size)


def _compression(path):
    with open(path, "rb") as file:
        start = file.read(8)
    return next((name for magic, name in _COMPRESSED.items() if start.startswith(magic)), None)


@contextlib.contextmanager
def _bytes(path, compression):
    if compression != "zip":
        opener = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open, None: open}[compression]
        with opener(path, "rb") as file:
            yield file
        return
    with explained(path, ""):
        archive = zipfile.ZipFile(path)
    with archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        if any(name.startswith("xl/") for name in names):
            raise ValueError(
                f"{os.fspath(path)!r} should be a table in a text file. Received: an Excel workbook: name it .xlsx"
            )
        if len(names) != 1:
            raise ValueError(
                f"{os.fspath(path)!r} should hold one file. Received: {len(names)}, such as {names[:3]}. Unpack it."
            )
        if archive.getinfo(names[0]).flag_bits & 1:
            raise ValueError(f"{os.fspath(path)!r} is protected by a password. Unpack it.")
        with archive.open(names[0]) as file:
            yield file


def _encoding(start):
    for mark, encoding in _BOMS.items():
        if start.startswith(mark):
            return encoding
    # UTF-16 without a byte order mark has a zero in every other byte of digits and separators.
    even, odd = start[0:2000:2].count(0), start[1:2000:2].count(0)
    half = max(1, min(len(start), 2000) // 2)
    if odd > 0.6 * half and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 * half and odd == 0 else "utf-8"


def _guess(error):
    """Return an example of how the text that could not be decoded reads in the Windows encoding."""
    start = max(error.start - 12, 0)
    piece = error.object[start : error.end + 12]
    text = piece.decode("cp1252", "replace").replace("\r", "\n")
    line = text[: error.start - start].rpartition("\n")[2] + text[error.start - start :].partition("\n")[0]
    return f', such as cp1252, in which it reads "{line.strip()}"'
