"""Reject files that promise more than they hold or than fits in memory, before the memory is allocated.

A header of a hundred bytes can promise terabytes, and a small compressed file can unpack to them. What a file promises
is compared with the memory of the machine and, if the format allows it, with the bytes that hold it.
"""

import contextlib
import functools
import os
import stat

from numpy.lib import format as npy

_HARMLESS_BYTES = 2**26
_DEFLATED = 1100  # beyond the ratio of 1,032 that deflate can reach
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container
_TEXT = 2  # bytes of memory per byte of text, at least: the text itself and its numbers
_BATCH = 256  # rows; training makes them dense


def memory():
    """Return the bytes of memory of the machine or of the container, or 2**62 if unknown."""
    found = [2**62]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf.
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in _LIMITS:
        with contextlib.suppress(OSError, ValueError), open(limit, encoding="ascii") as file:
            found.append(int(file.read()))
    return min(size for size in found if size > 0)


def check(path, promised, what):
    """Check that a part of a file fits in memory before it is read.

    Args:
        path: the file.
        promised: int, the bytes that it takes in memory.
        what: str, the part of the file that promises them.

    Raises:
        ValueError: it does not fit.

    Example:
        >>> from deckeras.files import promises
        >>> promises.check("rows.h5", 8000, "the array 'x'")
        >>> promises.check("rows.h5", 2**60, "the array 'x'")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: 'rows.h5' should fit in memory, which has ... bytes. Received: the array 'x', which promises ...
    """
    if promised > (limit := memory()):
        raise ValueError(
            f"{os.fspath(path)!r} should fit in memory, which has {limit:,} bytes. Received: {what}, which promises "
            f"{promised:,} bytes. If you trust the file, write its rows as an uncompressed .npy file, which is read in "
            "parts."
        )


def check_held(path, promised, held, what):
    """Check that the bytes of a part of a file can hold what it promises.

    Args:
        path, promised, what: as for `check`.
        held: int, the largest number of bytes that the part can unpack to.

    Raises:
        ValueError: it promises more.
    """
    if promised > held:
        raise ValueError(
            f"{os.fspath(path)!r} is truncated, damaged or made to mislead: {what} promises {promised:,} bytes, and "
            f"the file holds {held:,} of them at most. Copy or write it again."
        )


def check_deflated(path, promised, what):
    """Check, for formats that compress by deflate only, that a file is large enough for what it promises."""
    check_held(path, promised, max(_HARMLESS_BYTES, _DEFLATED * os.path.getsize(path)), what)


def check_npy(path, file, size, what):
    """Check that the array of an .npy file is in the file.

    Args:
        path: the file, for the error message.
        file: binary stream at its beginning.
        size: int, the number of bytes in the stream.
        what: str, for the error message.

    Raises:
        ValueError: the array is larger, or the header is not valid.
    """
    version = npy.read_magic(file)
    shape, _, dtype = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    if not dtype.hasobject:
        check_held(path, _product(shape) * dtype.itemsize, size - file.tell(), f"{what} of shape {shape}")


def check_sparse(path, shape):
    """Check that a sparse matrix of this shape can be trained on, where each batch of rows becomes dense.

    Raises:
        ValueError: there are too many rows or columns.
    """
    n_rows, n_columns = map(int, shape)
    what = f"a sparse matrix of shape {n_rows, n_columns}"
    check(path, 8 * n_rows, what)
    check(path, 4 * _BATCH * n_columns, f"a batch of {_BATCH} rows of {what}")


def check_dense(path, shape, what, itemsize=8):
    """Check that an array of this shape fits in memory.

    Args:
        path, what: as for `check`.
        shape: sequence of ints.
        itemsize: int, default 8. The bytes per number.
    """
    check(path, _product(shape) * itemsize, f"{what} of shape {tuple(map(int, shape))}")


def check_text(path, size):
    """Check that a text table of this many bytes fits in memory, with at least two bytes per character.

    Raises:
        ValueError: it does not fit.
    """
    check(path, _TEXT * size, f"{size:,} bytes of text")


def text_limit():
    """Return the bytes of the largest text that `check_text` accepts."""
    return memory() // _TEXT


def check_regular(path):
    """Raise a ValueError if a path is a pipe or a device, from which reading might never end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(
            f"{os.fspath(path)!r} should be a file or a folder. Received: a pipe or a device. Write its contents to a "
            "file first."
        )


def within_memory(function):
    """Decorate a function of a path so that it raises a ValueError with the path if memory does not suffice."""

    @functools.wraps(function)
    def read(path, *args, **kwargs):
        try:
            return function(path, *args, **kwargs)
        except MemoryError as error:
            raise ValueError(
                f"{os.fspath(path)!r} should fit in memory, which has {memory():,} bytes. Received: a file that takes "
                f"more ({error}). If you trust it, write its rows as an uncompressed .npy file, which is read in parts."
            ) from error

    return read


def _product(shape):
    """Return the product of a shape as a Python int, which cannot overflow."""
    product = 1
    for size in shape:
        product *= int(size)
    return product
