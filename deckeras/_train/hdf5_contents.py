"""HDF5 files that hold all they show, and no more than they promise: opened, checked and hashed."""

import contextlib
import hashlib
import os
import stat

import h5py
import numpy as np

_HARMLESS_BYTES = 2**26
_DEFLATED = 1100  # beyond the ratio of 1,032 that deflate can reach


@contextlib.contextmanager
def opened(path):
    """Open an HDF5 file to read.

    Raises:
        OSError: it is not a regular file, which a pipe or a directory is not, cannot be opened, or is no HDF5 file.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")
    # Without HDF5's locks, which some file systems lack: files are replaced, and never written to in place.
    with h5py.File(path, "r", locking=False) as file:
        yield file


def check(group, size):
    """Check that a group holds its contents itself, before any of them is read.

    Args:
        group: open `h5py.File` or group.
        size: int, the bytes of the file.

    Raises:
        ValueError: a link to elsewhere, values in another file, or more values than a file of this size can hold.
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


def digest(file):
    """Return the SHA-256 of all attributes and values in an HDF5 file, but for its attribute `digest`."""
    found = hashlib.sha256()

    def add(name, item):
        found.update(f"{name}\0".encode())
        for key in sorted(set(item.attrs) - {"digest"}):
            found.update(f"{key}={item.attrs[key]}\0".encode())
        if isinstance(item, h5py.Dataset):
            values = np.ascontiguousarray(item[()])
            found.update(f"{values.dtype.str}{values.shape}\0".encode())
            found.update(values.view(np.uint8) if values.ndim and values.size else values.tobytes())

    add("/", file)
    file.visititems(add)
    return found.hexdigest()
