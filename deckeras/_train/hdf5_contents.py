"""Checks that HDF5 files contain their own data, no more than they declare, and unchanged, by a checksum."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator

import h5py

from deckeras._typing import Path

BLOCK = 512  # bytes of the user block, the least that HDF5 takes
_SEAL = b"deckeras sha256 "
_HARMLESS_BYTES = 2**26
_DEFLATED = 1100  # more than the ratio of 1,032 that deflate can reach


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[h5py.File, bool]]:
    """Open an HDF5 file for reading, and yield the file and whether it has a seal.

    Raises:
        OSError: it is not a regular file but, for example, a pipe; it cannot be opened; or it is not an HDF5 file.
        ValueError: it has changed since it was sealed.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # Reading from a pipe might never end.
        raise OSError("it is not a regular file")
    sealed = verify(path)
    # HDF5's locks, which some file systems lack, are not needed: files are replaced, and never modified in place.
    with h5py.File(path, "r", locking=False) as file:
        yield file, sealed


def check(group: h5py.Group, size: int) -> None:
    """Check that a group itself contains its data, before any of the data are read.

    Args:
        group: open `h5py.File` or group.
        size: int, the size of the file in bytes.

    Raises:
        ValueError: the group has a link to elsewhere, values in another file, or more values than a file of this size
            can hold.
    """
    for name in group:
        link, where = group.get(name, getlink=True), f"{group.name.rstrip('/')}/{name}"
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{where!r} is a {type(link).__name__}, which leads elsewhere")
        item = group[name]
        if isinstance(item, h5py.Group):
            check(item, size)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"the values of {where!r} lie in another file")
            held = min(item.id.get_storage_size(), size)
            if item.nbytes > max(_HARMLESS_BYTES, _DEFLATED * held):
                raise ValueError(f"{where!r} promises {item.nbytes:,} bytes, which it does not hold")


def seal(path: Path) -> None:
    """Write the SHA-256 of a file into its user block, which HDF5 itself does not use.

    Args:
        path: HDF5 file, closed, that was created with `userblock_size=BLOCK`.
    """
    with open(path, "rb+") as file:
        file.seek(BLOCK)
        text = _SEAL + hashlib.file_digest(file, "sha256").hexdigest().encode()
        file.seek(0)
        file.write(text)


def verify(path: Path) -> bool:
    """Compare a file with its seal before HDF5 reads it, because HDF5 may crash or hang on damaged files.

    Returns:
        bool, True if the file has a seal.

    Raises:
        ValueError: the file has changed since it was sealed.
    """
    with open(path, "rb") as file:
        block = file.read(BLOCK)
        if not block.startswith(_SEAL):
            return False
        found = hashlib.file_digest(file, "sha256").hexdigest().encode()
    if block != (_SEAL + found).ljust(BLOCK, b"\0"):
        raise ValueError("its contents do not match its checksum")
    return True
