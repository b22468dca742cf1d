"""Read arrays and sparse matrices from HDF5 files, including those of AnnData (.h5ad), 10x and MATLAB 7.3."""

import contextlib
import math
import os

import h5py
import numpy as np

from deckeras.files import class_labels, promises

_SPARSE = {"data", "indices", "indptr"}


@contextlib.contextmanager
def opened(path):
    """Open a file. If it is damaged, raise a ValueError that names it."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        if isinstance(error, PermissionError | FileNotFoundError):
            raise
        raise ValueError(
            f"{os.fspath(path)!r} is truncated or not an HDF5 file. Copy, download or write it again. ({error})"
        ) from error


def contents(item):
    """Return the values of a data set, which must be stored in its own file and fit in memory.

    Args:
        item: `h5py.Dataset`.

    Raises:
        ValueError: its values are stored in another file, or do not fit in memory.
    """
    path = item.file.filename
    sources = [source.file_name for source in item.virtual_sources()] if item.is_virtual else []
    if item.external or any(source != "." for source in sources):
        raise ValueError(
            f"{path!r} should hold its values itself. Received: {item.name!r}, whose values lie in another file, "
            "from which nothing is read. Write them into one file."
        )
    chunk = math.prod(item.chunks or (0,)) * item.dtype.itemsize
    promises.check(path, max(int(item.nbytes), chunk), f"the data set {item.name!r} of shape {item.shape}")
    return item[()]


def _member(group, name):
    """Return a member of a group. Raise a ValueError if a link, direct or indirect, leads to another file."""
    external = isinstance(group.get(name, getlink=True), h5py.ExternalLink)
    if external or group[name].file.filename != group.file.filename:
        raise ValueError(
            f"{group.file.filename!r} should hold its values itself. Received: {name!r} in {group.name!r}, a link to "
            "another file, from which nothing is read. Copy them into one file."
        )
    return group[name]


def matrices(file):
    """Return a dict from name to data set, or to the group of a sparse matrix.

    Args:
        file: open `h5py.File`.
    """
    found = {}

    def visit(name, item):
        if any(name.startswith(f"{group}/") for group, other in found.items() if isinstance(other, h5py.Group)):
            return
        if isinstance(item, h5py.Dataset) or set(item) >= _SPARSE or _is_matlab_sparse(item):
            found[name] = item

    file.visititems(visit)
    return found


def value(item, path):
    """Return the array of a data set, or the sparse matrix of a group."""
    if isinstance(item, h5py.Dataset):
        if item.dtype.names:
            raise ValueError(
                f"{os.fspath(path)!r} should hold an array in {item.name!r}. Received: a table of fields, "
                f"{item.dtype.names[:5]}"
            )
        return contents(item)
    from scipy import sparse

    parts = tuple(contents(_member(item, name)) for name in ("data", "indices", "indptr"))
    if "barcodes" in item:
        # 10x files hold genes by cells, compressed by columns.
        shape = len(_member(item, "barcodes")), int(contents(_member(item, "shape"))[0])
        promises.check_sparse(path, shape)
        return sparse.csr_matrix(parts, shape=shape)
    shape = (
        contents(_member(item, "shape"))
        if "shape" in item
        else item.attrs.get("shape", item.attrs.get("h5sparse_shape"))
    )
    if shape is None:
        raise ValueError(f"{os.fspath(path)!r} has a sparse matrix in {item.name!r} without its shape.")
    shape = tuple(int(size) for size in shape)
    kind = _text(item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", item.attrs.get("format", ""))))
    columns = "csc" in kind
    if "cs" not in kind:
        fitting = [size + 1 == len(parts[2]) for size in shape]
        if all(fitting):
            raise ValueError(
                f"{os.fspath(path)!r} has a square sparse matrix in {item.name!r} that may be compressed by rows or by "
                'columns. Set the attribute "encoding-type" of its group to "csr_matrix".'
            )
        columns = fitting[1]
    promises.check_sparse(path, shape)
    made = (sparse.csc_matrix if columns else sparse.csr_matrix)(parts, shape=shape)
    return made.tocsr()


def _is_matlab_sparse(item):
    return "MATLAB_sparse" in item.attrs


def matlab_value(item, path):
    """Return the array of a MATLAB 7.3 variable, whose axes HDF5 stores in reversed order."""
    if isinstance(item, h5py.Group) and _is_matlab_sparse(item):
        from scipy import sparse

        # A matrix without values has no data.
        data, rows = (contents(_member(item, name)) if name in item else np.zeros(0) for name in ("data", "ir"))
        starts = contents(_member(item, "jc"))
        shape = int(item.attrs["MATLAB_sparse"]), len(starts) - 1
        promises.check_sparse(path, shape)
        return sparse.csc_matrix((data, rows.astype("int64"), starts.astype("int64")), shape=shape).tocsr()
    if isinstance(item, h5py.Dataset) and h5py.check_ref_dtype(item.dtype) is not None:
        found = np.empty(item.size, object)
        found[:] = [_matlab_cell(item.file[ref], path) for ref in contents(item).T.ravel()]
        return found
    return value(item, path).T


def _matlab_cell(item, path):
    """Return the text or number in a cell of a cell array."""
    found = value(item, path)
    if _text(item.attrs.get("MATLAB_class", "")) == "char":
        return "".join(map(chr, found.T.ravel()))
    return found.ravel()[0] if found.size == 1 else found


def row_names(item):
    """Return the row names of a 10x matrix, or None for other matrices."""
    if isinstance(item, h5py.Group) and "barcodes" in item:
        return texts(contents(_member(item, "barcodes")))
    return None


def feature_names(item):
    """Return the list of the gene identifiers of a 10x matrix, or None for other matrices.

    They are the identifiers because several genes may have one name.
    """
    if not isinstance(item, h5py.Group) or "barcodes" not in item:
        return None
    # Cell Ranger before 3.0 wrote them directly into the group.
    group, name = (_member(item, "features"), "id") if "features" in item else (item, "genes")
    if not isinstance(group, h5py.Group) or name not in group:
        return None
    found = _member(group, name)
    if not isinstance(found, h5py.Dataset) or found.shape != (int(contents(_member(item, "shape"))[0]),):
        return None
    return texts(contents(found)).tolist()


def texts(values):
    """Return an array with its bytes decoded."""
    if values.dtype.kind not in "SO":
        return values
    return np.array([_text(each) for each in values.tolist()], object)


def anndata(path, key=None, labels=None):
    """Read the observations of an AnnData file.

    Args:
        path: .h5ad file.
        key: str, default None: "X". Others are "layers/counts" or "obsm/X_pca".
        labels: str, a column of obs; default None.

    Returns:
        (x, names, features, y): matrix, names of the observations, names of the variables or None, labels or None.

    Raises:
        ValueError: the matrix is missing.
        MissingLabels: the column is missing.
    """
    with opened(path) as file:
        found = matrices(file)
        if (key or "X") not in found:
            raise ValueError(f"{os.fspath(path)!r} has no matrix {key or 'X'!r}. It has {_matrices(found)}.")
        x = value(found[key or "X"], path)
        if "obs" not in file:
            raise ValueError(f"{os.fspath(path)!r} should be an AnnData file. It has no obs.")
        names = column(_member(file, "obs"), None)
        features = column(_member(file, "var"), None).tolist() if "var" in file else None
        features = features if features is not None and len(features) == x.shape[-1] else None
        y = None
        if labels is not None:
            columns = _columns(_member(file, "obs"))
            if labels not in columns:
                raise class_labels.MissingLabels(f"obs has no column {labels!r}. It has {', '.join(columns)}.")
            y = column(_member(file, "obs"), labels)
        return x, names, features, y


def other_matrices(path):
    """Return the names of the matrices of an AnnData file besides X."""
    with opened(path) as file:
        return [name for name in matrices(file) if name.startswith(("layers/", "obsm/")) or name == "raw/X"]


def check_observations(path):
    """Raise a ValueError if `write_observations` cannot write into a file."""
    with opened(path) as file:
        for name in {"obs", "obsm"} & set(file):
            _member(file, name)
        if not isinstance(file.get("obs"), h5py.Group):
            raise ValueError(
                f"{os.fspath(path)!r} was written by AnnData before 0.7. Read and write it by a newer version first."
            )


def write_observations(path, columns, embedding=None):
    """Add columns to obs of an AnnData file, replacing columns of the same names.

    Args:
        path: .h5ad file, changed in place.
        columns: dict from name to (n,) array. Integers are written as categories, other numbers as float64.
        embedding: (n, d) array, default None; written to obsm as "X_deckeras".
    """
    with h5py.File(path, "r+") as file:
        obs = _member(file, "obs")
        order = [_text(name) for name in obs.attrs.get("column-order", [])]
        for name, values in columns.items():
            if name in obs:
                del obs[name]
            if values.dtype.kind == "i":
                _write_categories(obs, name, values)
            else:
                _write_array(obs, name, values.astype("float64"))
        order += [name for name in columns if name not in order]
        obs.attrs["column-order"] = np.array(order, dtype=h5py.string_dtype())
        if embedding is not None:
            group = _member(file, "obsm") if "obsm" in file else file.create_group("obsm")
            group.attrs.setdefault("encoding-type", "dict")
            group.attrs.setdefault("encoding-version", "0.1.0")
            if "X_deckeras" in group:
                del group["X_deckeras"]
            _write_array(group, "X_deckeras", embedding)


def column(frame, name):
    """Return a column of obs or var, or the index if `name` is None. Missing categories become None."""
    # AnnData before 0.7 wrote a frame as one data set.
    if isinstance(frame, h5py.Dataset):
        return texts(contents(frame)[name or frame.dtype.names[0]])
    if name is None:
        name = _text(frame.attrs.get("_index", "_index"))
    if name not in frame:
        raise ValueError(
            f"{frame.file.filename!r} should have the column {name!r} in {frame.name!r}, which its attributes name. "
            "Write it again by anndata."
        )
    item = _member(frame, name)
    if isinstance(item, h5py.Group) and "codes" in item:
        codes, categories = contents(_member(item, "codes")), texts(contents(_member(item, "categories")))
        return np.array([None if code < 0 else categories[code] for code in codes.tolist()], object)
    # A nullable column is a group of values and mask.
    if isinstance(item, h5py.Group):
        values, mask = texts(contents(_member(item, "values"))), contents(_member(item, "mask"))
        return np.array([None if out else each for each, out in zip(values.tolist(), mask, strict=True)], object)
    # AnnData 0.7 refers to the categories of a column.
    if "categories" in item.attrs:
        categories = texts(contents(frame.file[item.attrs["categories"]]))
        return np.array([None if code < 0 else categories[code] for code in contents(item).tolist()], object)
    return texts(contents(item))


def _columns(frame):
    if isinstance(frame, h5py.Dataset):
        return list(frame.dtype.names)
    return [_text(name) for name in frame.attrs.get("column-order", [name for name in frame if name[:2] != "__"])]


def _matrices(found):
    names = [name for name in found if name == "X" or name.startswith(("layers/", "obsm/"))]
    return ", ".join(names) or "none"


def _write_categories(group, name, values):
    item = group.create_group(name)
    item.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})
    categories, codes = np.unique(values, return_inverse=True)
    _write_array(item, "codes", codes.astype("int16" if len(categories) < 2**15 else "int32"))
    texts_ = item.create_dataset("categories", data=[str(each) for each in categories], dtype=h5py.string_dtype())
    texts_.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def _write_array(group, name, values):
    item = group.create_dataset(name, data=values)
    item.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def _text(value):
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
