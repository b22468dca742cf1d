"""Read arrays from NumPy, SciPy, HDF5, AnnData, MATLAB and svmlight files."""

import contextlib
import dataclasses
import math
import os
import re
import zipfile
import zlib
from typing import Any

import numpy as np

from deckeras._data.row_shapes import channels_first, rows_last
from deckeras.files import class_labels, promises

EXTENSIONS = (".npy", ".npz", ".h5", ".hdf5", ".h5ad", ".mat", ".svmlight", ".svm", ".libsvm")
_MATLAB_BYTES = {"single": 4, "char": 4, "logical": 1} | {
    f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32)
}  # bytes per element of a variable; 8 for all other types
_BLOCK = 2**22  # values that are checked together


@dataclasses.dataclass
class Found:
    """An array that was read.

    Attributes:
        x: array or SciPy sparse matrix.
        key: str or None, its name.
        labels: array or None.
        names, features: arrays of the names of rows and of features, or None.
        notices: list of str, one sentence per detail that was detected.
        zero_based: bool, whether an svmlight file counts columns from 0; None for other files.
    """

    x: Any
    key: str | None = None
    labels: np.ndarray | None = None
    names: np.ndarray | None = None
    features: list | None = None
    notices: list = dataclasses.field(default_factory=list)
    zero_based: bool | None = None


def read(path, key=None, labels=None, *, n_columns=None, zero_based=None):
    """Read an array.

    Args:
        path: the file.
        key: str, default None: the only array with more than one dimension, or the one named "x" or "X".
        labels: str, the array with the classes; default None.
        n_columns, zero_based: as for `deckeras.files.svmlight.read`.

    Returns:
        `Found`, whose `x` has at least two dimensions.

    Raises:
        ValueError: the array is missing, cannot be chosen, or does not hold finite numbers.
    """
    kind = os.path.splitext(path)[1].lower()
    try:
        if kind == ".h5ad":
            from deckeras.files import hdf5

            x, names, features, y = hdf5.anndata(path, key, labels)
            others = hdf5.other_matrices(path) if key is None else []
            notices = [f"X is read, and not {', '.join(others[:5])} (--key)"] if others else []
            found = Found(x, key, y, names, features, notices)
        elif kind in (".svmlight", ".svm", ".libsvm"):
            from deckeras.files import svmlight

            x, y, zero_based, notices = svmlight.read(path, n_columns, zero_based)
            found = Found(x, None, y, None, None, notices, zero_based)
        else:
            with contextlib.ExitStack() as stack:
                found = _choose(path, _arrays(path, kind, stack), key, labels)
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{os.fspath(path)!r} is truncated or not a valid {kind} file: {error}. Copy it again."
        ) from error
    found.x = _shaped(path, found)
    _check_numbers(path, found)
    return found


def _arrays(path, kind, stack):
    """Return a dict from the name of each array to a function that reads it. A file without names uses ""."""
    try:
        if kind == ".npy":
            with open(path, "rb") as file:
                promises.check_npy(path, file, os.path.getsize(path), "an array")
            array = np.load(path, mmap_mode="r")
            return {"": lambda: array}
        if kind == ".npz":
            file = stack.enter_context(np.load(path))
            if {"format", "shape", "data"} <= set(file.files):
                for name in file.files:
                    _check_member(path, file.zip, name)
                return {"": lambda: _sparse(path)}
            return {name: lambda name=name: _of_zip(path, file, name) for name in file.files}
    except ValueError as error:
        # NumPy's message suggests allowing pickles, which may run untrusted code.
        raise _unreadable(path, error) from error
    if kind == ".mat":
        return _matlab(path, stack)
    from deckeras.files import hdf5

    found = hdf5.matrices(stack.enter_context(hdf5.opened(path)))
    return {name: _reader(item, path) for name, item in found.items()}


def _reader(item, path):
    from deckeras.files import hdf5

    def read_item():
        return hdf5.value(item, path)

    read_item.names = lambda: (hdf5.row_names(item), hdf5.feature_names(item))
    return read_item


def _of_zip(path, file, name):
    try:
        _check_member(path, file.zip, name)
        return file[name]
    except ValueError as error:
        raise _unreadable(path, error) from error


def _sparse(path):
    """Return the matrix that `scipy.sparse.save_npz` wrote, whose parts fit each other."""
    from scipy import sparse

    try:
        x = sparse.load_npz(path)
        if hasattr(x, "check_format"):
            x.check_format(full_check=True)
    except (KeyError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} has the names of a sparse matrix, as scipy.sparse.save_npz writes it, and not its "
            f"parts: {error}. Write it again."
        ) from error
    if x.ndim != 2:
        raise ValueError(f"{os.fspath(path)!r} should hold a matrix. Received: a sparse array of shape {x.shape}")
    return x


def _check_member(path, archive, name):
    """Raise a ValueError if an .npz file does not contain the array in full, or if the array does not fit in memory."""
    member = next(each for each in archive.infolist() if each.filename in (name, f"{name}.npy"))
    what = f"the array {name!r}"
    promises.check(path, member.file_size, what)
    if member.filename.endswith(".npy"):
        with archive.open(member) as file:
            promises.check_npy(path, file, member.file_size, what)


def _unreadable(path, error):
    if repr(os.fspath(path)) in str(error):
        return error
    with open(path, "rb") as file:
        whole = file.read(6) == b"\x93NUMPY" or zipfile.is_zipfile(path)
    if whole and re.search("object", str(error), re.IGNORECASE):
        return ValueError(
            f"{os.fspath(path)!r} should hold numbers. Received: Python objects, which are pickled, and a pickle runs "
            "the code in it when it is loaded. Write numbers, as numpy.save(path, array.astype(float)) does."
        )
    return ValueError(
        f"{os.fspath(path)!r} is truncated or not a valid {os.path.splitext(path)[1]} file, as numpy.save writes it: "
        f"{error}"
    )


def _matlab(path, stack):
    """Return the readers of the variables of a MATLAB file."""
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        _check_variables(path, whosmat(path))
        values = loadmat(path)
    except NotImplementedError:
        # Version 7.3 is HDF5 with reversed axes.
        from deckeras.files import hdf5

        found = hdf5.matrices(stack.enter_context(hdf5.opened(path)))
        found = {name: item for name, item in found.items() if not name.startswith("#")}
        return {name: lambda item=item: hdf5.matlab_value(item, path) for name, item in found.items()}
    except (MatReadError, ValueError, TypeError, OSError, IndexError, KeyError, MemoryError) as error:
        if repr(os.fspath(path)) in str(error) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise ValueError(
            f"{os.fspath(path)!r} is truncated or not a valid .mat file: {error}. Save it again."
        ) from error
    values = _without_structs({name: value for name, value in values.items() if not name.startswith("__")})
    return {name: lambda value=value: value for name, value in values.items()}


def _without_structs(values):
    """Return the variables. The fields of a struct s become "s/name", as in HDF5."""
    found = {}
    for name, value in values.items():
        if value.dtype.names and value.size == 1:
            fields = {f"{name}/{field}": np.asarray(value.ravel()[0][field]) for field in value.dtype.names}
            found.update(_without_structs(fields))
        else:
            found[name] = value
    return found


def _check_variables(path, variables):
    """Raise a ValueError if a MATLAB file, or the memory, is too small for its variables."""
    total = 0
    for name, shape, kind in variables:
        if kind != "sparse":  # the shape of a sparse variable does not determine its size
            promised = math.prod(shape) * _MATLAB_BYTES.get(kind, 8)
            promises.check_deflated(path, promised, f"the variable {name!r} of shape {shape}")
            total += promised
    promises.check(path, total, "the sum of its variables")


def _choose(path, readers, key, labels):
    if labels is not None and labels not in readers:
        raise class_labels.MissingLabels(_lacks(path, readers, labels))
    if key is not None:
        if key not in readers:
            raise ValueError(_lacks(path, readers, key))
        chosen, x = key, readers[key]()
    else:
        chosen, x = _only_one(path, readers, labels)
    y = None if labels is None else readers[labels]()
    names, features = getattr(readers[chosen], "names", lambda: (None, None))()
    notices = []
    if len(readers) > 1 and key is None:
        others = [name for name in readers if name not in (chosen, labels)]
        if others:
            notices.append(f'the array "{chosen}" is read, and not {", ".join(others[:5])} (--key)')
    return Found(x, chosen or None, y, names, features, notices)


def _only_one(path, readers, labels):
    names = [name for name in readers if name != labels]
    chosen = names[0] if len(names) == 1 else next((name for name in ("x", "X") if name in names), None)
    if chosen is None:
        if not names:
            raise ValueError(f"{os.fspath(path)!r} should hold an array. Received: none, or links to other files")
        raise ValueError(f"{os.fspath(path)!r} has the arrays {', '.join(names)}. Choose one by --key.")
    return chosen, readers[chosen]()


def _lacks(path, readers, key):
    return f"{os.fspath(path)!r} has no array {key!r}. It has {', '.join(filter(None, readers)) or 'one'}."


def _shaped(path, found):
    """Return the array with one row per sample, and with channels last if it holds images."""
    x: Any = found.x
    is_sparse = not isinstance(x, np.ndarray)
    if is_sparse and not hasattr(x, "tocsr"):
        raise ValueError(f"{os.fspath(path)!r} should hold an array. Received: {x!r:.60}")
    if x.dtype.names:
        raise ValueError(f"{os.fspath(path)!r} should hold an array. Received: a table of fields {x.dtype.names[:5]}")
    if x.dtype.kind not in "biuf":
        what = "complex numbers" if x.dtype.kind == "c" else f"values of dtype {x.dtype}"
        raise ValueError(f"{os.fspath(path)!r} should hold real numbers. Received: {what}")
    if is_sparse:
        promises.check_sparse(path, x.shape)
        # Other forms have no rows that can be indexed.
        x = x.tocsr()
    elif not x.dtype.isnative:
        promises.check(path, x.nbytes, "an array of another byte order")
        x = x.astype(x.dtype.newbyteorder("="))
    if x.ndim == 0:
        raise ValueError(f"{os.fspath(path)!r} should hold an array of rows. Received: the single number {x}")
    if 0 in x.shape:
        raise ValueError(f"{os.fspath(path)!r} should hold rows. Received: an array of shape {x.shape}")
    if x.ndim == 1:
        return x.reshape(-1, 1)
    if channels_first(x.shape):
        found.notices.append(f"shape {x.shape} is read as (images, channels, height, width)")
        return np.moveaxis(x, 1, 3)
    if rows_last(x.shape, matlab=os.path.splitext(path)[1].lower() == ".mat"):
        layout = "(height, width, channels, images)" if x.ndim == 4 else "(height, width, images)"
        found.notices.append(f"shape {x.shape} is read as {layout}, as MATLAB writes images")
        return np.moveaxis(x, -1, 0)
    return x


def _check_numbers(path, found):
    """Raise a ValueError with the row and column of the first value that is not finite."""
    x = found.x
    if x.dtype.kind != "f":
        return
    if hasattr(x, "tocsr"):
        bad = np.flatnonzero(~np.isfinite(x.data))
        if bad.size:
            row = int(np.searchsorted(x.indptr, bad[0], side="right")) - 1
            raise ValueError(_not_finite(path, found, x.data[bad[0]], row, (int(x.indices[bad[0]]),)))
        return
    step = max(1, _BLOCK // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), step):
        block = x[start : start + step]
        if not np.isfinite(block).all():
            row, *place = (int(number) for number in np.argwhere(~np.isfinite(block))[0])
            raise ValueError(_not_finite(path, found, block[(row, *place)], start + row, place))


def _not_finite(path, found, value, row, place):
    column = found.features[place[0]] if found.features is not None and len(place) == 1 else ", ".join(map(str, place))
    return (
        f"{os.fspath(path)!r} should hold finite numbers. Received: {value} in row {row}, column {column}, counted "
        "from 0. Fill such values, for example by sklearn.impute.SimpleImputer, or leave out their rows."
    )
