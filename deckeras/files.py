"""Rows from the files that people have: tables, arrays, folders of images.

    .csv .tsv .parquet      a row a line, a feature a column; numbers, and what is said of text and of missing values
    .npy .npz .h5           an array, or the one of a name (`key`); .npz also of a SciPy sparse matrix
    a folder                its images, and those of the folders in it

`read` makes rows of a file and a `Layout` that says how, by which `read_like` makes rows of another file: the same
columns in the same order, the same categories and medians, images of the same size.
"""

import contextlib
import dataclasses
import os
import zipfile

import h5py
import numpy as np
from scipy import sparse

from deckeras import image_folder, tables

TABLES = (".csv", ".tsv", ".parquet")
ARRAYS = (".npy", ".npz", ".h5", ".hdf5")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """How rows of numbers are made of a file.

    Attributes:
        kind: "table", "array" or "images".
        key: str or None, the name of the array in its file.
        columns: list of str, the columns of numbers of a table, in the order of the features.
        categories: dict from a column of text to its values, a feature each after those of the columns.
        medians: dict from column to what missing values are filled with; None if none were filled.
        drop_missing: bool, whether rows with missing values are left out.
        names: str or None, the column with the names of the rows.
        na, decimal, encoding, header: how a text file is read; as for `read`. `header` says what was found.
        image_shape: list (height, width) or (height, width, channels), or None.
    """

    kind: str
    key: str | None = None
    columns: list = dataclasses.field(default_factory=list)
    categories: dict = dataclasses.field(default_factory=dict)
    medians: dict | None = None
    drop_missing: bool = False
    names: str | None = None
    na: list = dataclasses.field(default_factory=list)
    decimal: str = "."
    encoding: str = "utf-8"
    header: bool = True
    image_shape: list | None = None


@dataclasses.dataclass(frozen=True)
class Rows:
    """What was read.

    Attributes:
        x: (n, n_features) array or SciPy sparse matrix; (n, height, width) or (n, height, width, channels) images.
        names: (n,) array: the names of the rows, file names or row numbers.
        features: list of the features' names, or None.
        labels: (n,) array, or None.
        layout: `Layout`.
    """

    x: object
    names: np.ndarray
    features: list | None
    labels: np.ndarray | None
    layout: Layout


def read(
    path,
    *,
    key=None,
    names=None,
    labels=None,
    drop=(),
    one_hot=(),
    missing=None,
    na=(),
    decimal=".",
    encoding="utf-8",
    header=None,
    image_size=None,
    image_shape=None,
    colour=False,
    folder_labels=False,
):
    """Read rows.

    Args:
        path: file or folder.
        key: str, default None: the only array in the file, or the one named "x".
        names: str, the column with the rows' names, default None: their numbers.
        labels: str, the column or the array with the classes, which are no feature; default None.
        drop: columns that are no features.
        one_hot: columns of text whose values become features, 1 where a row has the value and else 0.
        missing: `"median"`, to fill missing values with the median of their column, or `"drop"`, to leave out rows that
            have any; default None: they are an error.
        na: further texts that stand for a missing value, such as "?".
        decimal, encoding: of a text file, default "." and "utf-8".
        header: bool, whether the first line of a text file names the columns; default None: unless more than half of it
            is numbers, or missing values, that do not count up from 0. Without one, columns are named by their numbers.
        image_size, colour: of the images of a folder, as for `deckeras.image_folder.read`.
        image_shape: (height, width) or (height, width, channels) of the images in flat rows of an array.
        folder_labels: bool, default False. Whether images' classes are the names of the folders they lie in.

    Returns:
        `Rows`.

    Raises:
        ValueError: the file is of no known kind, or there is in it what numbers cannot be made of; the message says
            what, and what to do.
        OSError: there is no such file, or it cannot be read.
        ImportError: the library for such a file is not installed; the message names the extra.

    Example:
        >>> import pathlib
        >>> from deckeras import files
        >>> _ = pathlib.Path("cars.csv").write_text("car,weight,fuel\\nA,900,petrol\\nB,1500,diesel\\n")
        >>> rows = files.read("cars.csv", names="car", one_hot=["fuel"])
        >>> rows.names.tolist(), rows.features, rows.x[0].tolist()
        (['A', 'B'], ['weight', 'fuel=diesel', 'fuel=petrol'], [900.0, 0.0, 1.0])
    """
    if missing not in (None, "median", "drop"):
        raise ValueError(f'missing should be "median", "drop" or None. Received: missing={missing!r}')
    kind = _kind(path)
    if kind == "images":
        if labels:
            raise ValueError(
                "A folder of images has no column of labels. Take --folder-labels for those of its folders."
            )
        return _read_folder(path, folder_labels, image_size=image_size, colour=colour)
    if kind == "array":
        return _read_array(path, key, labels, image_shape)
    texts = [*filter(None, (names, labels)), *one_hot]
    frame, header = tables.read(path, na, decimal, encoding, header, texts)
    names = names or tables.index_column(frame)
    tables.check_columns(frame, [*([names] if names else []), *([labels] if labels else []), *drop, *one_hot])
    others = {names, labels, *drop, *one_hot}
    columns = [column for column in frame.columns if column not in others]
    problems = tables.text_problems(frame, columns)
    problems += [] if missing else tables.missing_problems(frame, [*columns, *one_hot])
    if problems:
        raise ValueError(f"{os.fspath(path)!r} cannot be clustered as it is:\n" + "\n".join(problems))
    layout = Layout(
        kind="table",
        columns=columns,
        categories={column: sorted(map(str, frame[column].dropna().unique())) for column in one_hot},
        medians={column: float(frame[column].median()) for column in columns} if missing == "median" else None,
        drop_missing=missing == "drop",
        names=names,
        na=list(na),
        decimal=decimal,
        encoding=encoding,
        header=header,
    )
    return _table(path, frame, layout, labels)


def read_like(path, layout, *, labels=None, folder_labels=False):
    """Read new rows in the way of others.

    Args:
        path: file or folder of the same kind.
        layout: `Layout` of the others.
        labels, folder_labels: as for `read`.

    Returns:
        `Rows`.

    Raises:
        ValueError, OSError, ImportError: as `read`; or a column is missing, or a text occurs that was none of the
            categories.
    """
    kind = _kind(path)
    if kind != layout.kind:
        raise ValueError(f"The model was fitted to {_WORDS[layout.kind]}. Received: {_WORDS[kind]}, {path!r}")
    if kind == "images":
        return _read_folder(path, folder_labels, image_shape=tuple(layout.image_shape))
    if kind == "array":
        shape = layout.image_shape and tuple(layout.image_shape)
        return _read_array(path, layout.key, labels, shape)
    texts = [*filter(None, (layout.names, labels)), *layout.categories]
    frame, _ = tables.read(path, layout.na, layout.decimal, layout.encoding, layout.header, texts)
    wanted = [*layout.columns, *layout.categories, *([layout.names] if layout.names else [])]
    tables.check_columns(frame, [*wanted, *([labels] if labels else [])])
    problems = tables.text_problems(frame, layout.columns)
    if layout.medians is None and not layout.drop_missing:
        problems += tables.missing_problems(frame, [*layout.columns, *layout.categories])
    for column, values in layout.categories.items():
        unknown = sorted(set(map(str, frame[column].dropna().unique())) - set(values))
        if unknown:
            problems.append(f'- column "{column}" has "{unknown[0]}", which the model does not know. It knows {values}')
    if problems:
        raise ValueError(f"{os.fspath(path)!r} cannot be clustered by this model:\n" + "\n".join(problems))
    return _table(path, frame, layout, labels)


_WORDS = {"table": "a table", "array": "an array", "images": "a folder of images"}


def _kind(path):
    path = os.fspath(path)
    if os.path.isdir(path):
        return "images"
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file or folder {path!r}.")
    extension = os.path.splitext(path)[1].lower()
    if extension in TABLES:
        return "table"
    if extension in ARRAYS:
        return "array"
    raise ValueError(
        f"The file should be one of {', '.join(TABLES + ARRAYS)}, or a folder of images. Received: {path!r}"
    )


def _table(path, frame, layout, labels):
    used = [*layout.columns, *layout.categories]
    if layout.drop_missing:
        frame = frame[frame[used].notna().all(axis=1)]
    if not len(frame) or not used:
        raise ValueError(f"{os.fspath(path)!r} should have rows and columns of numbers. Received: {frame.shape}")
    numbers = frame[layout.columns].astype("float64")
    if layout.medians is not None:
        numbers = numbers.fillna(layout.medians)
    parts = [numbers.to_numpy()]
    features = list(layout.columns)
    for column, values in layout.categories.items():
        parts.append((frame[column].astype(str).to_numpy()[:, None] == np.array(values, object)).astype("float64"))
        features += [f"{column}={value}" for value in values]
    return Rows(
        np.hstack(parts),
        frame[layout.names].to_numpy() if layout.names else frame.index.to_numpy(),
        features,
        frame[labels].to_numpy() if labels else None,
        layout,
    )


def _read_array(path, key, labels, image_shape):
    try:
        with contextlib.ExitStack() as stack:
            try:
                arrays = _arrays(path, stack)
            except ValueError as error:  # of NumPy, which advises to load what may run foreign code
                raise ValueError(f"{os.fspath(path)!r} should hold numbers, as numpy.save writes them.") from error
            x, key = _choose_array(path, arrays, key, labels)
            y = None if labels is None else _array(path, arrays, labels)
    except (EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{os.fspath(path)!r} is torn or no such file: {error}") from error
    if x.ndim == 0:
        raise ValueError(f"{os.fspath(path)!r} should hold an array of rows. Received: the single number {x}")
    if x.ndim in (3, 4):
        if image_shape not in (None, x.shape[1:]):
            raise ValueError(f"{os.fspath(path)!r} should hold images of shape {image_shape}. Received: {x.shape[1:]}")
        image_shape = x.shape[1:]
    elif x.ndim == 1:
        x = x.reshape(-1, 1)
    if sparse.issparse(x) and image_shape is not None:
        raise ValueError("Sparse rows cannot be images. Leave out the image shape, or write the array dense.")
    layout = Layout(kind="array", key=key, image_shape=None if image_shape is None else list(image_shape))
    return Rows(x, np.arange(x.shape[0]), None, y, layout)


def _arrays(path, stack):
    """The arrays of a file by name, not read yet; "" for the only one of a file without names."""
    extension = os.path.splitext(path)[1].lower()
    if extension == ".npy":
        return {"": np.load(path, mmap_mode="r")}
    if extension == ".npz":
        file = stack.enter_context(np.load(path))
        if {"format", "shape", "data"} <= set(file.files):
            return {"": sparse.load_npz(path)}
        return file
    found = {}
    file = stack.enter_context(h5py.File(path, "r"))
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def _choose_array(path, arrays, key, labels):
    if key is not None:
        return _array(path, arrays, key), key
    names = [name for name in arrays if name != labels]
    chosen = names[0] if len(names) == 1 else "x" if "x" in names else None
    if chosen is None:
        raise ValueError(f"{os.fspath(path)!r} has the arrays {', '.join(names)}. Say which one by --key.")
    return _array(path, arrays, chosen), chosen or None


def _array(path, arrays, key):
    if key not in arrays:
        raise ValueError(
            f"{os.fspath(path)!r} has no array {key!r}. It has {', '.join(filter(None, arrays)) or 'one'}."
        )
    array = arrays[key]
    return array[()] if isinstance(array, h5py.Dataset) else array


def _read_folder(path, folder_labels, **options):
    images, names = image_folder.read(path, **options)
    labels = np.array([os.path.dirname(name) for name in names]) if folder_labels else None
    return Rows(images, names, None, labels, Layout(kind="images", image_shape=list(images.shape[1:])))
