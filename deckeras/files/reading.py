"""Read rows from tables, arrays and folders of images.

    .csv .tsv .tab .txt .data .dat      one row per line, also compressed by gzip, bzip2, xz or zip
    .xlsx .xls .parquet .feather .arff .jsonl      tables with types
    .npy .npz .h5 .h5ad .mat .svmlight      an array or a sparse matrix, chosen by `key` if there are several
    a folder      its images, and those of its subfolders

`read` returns rows with a `Layout`, by which `read_like` reads other files: the same columns in the same order, the
same categories and medians, images of the same size. The `notices` of the rows report what was detected, changed or
left out, a sentence each.
"""

import dataclasses
import os

import numpy as np

from deckeras.files import arrays, class_labels, columns, image_folder, tables

_TABLE = tables.TEXT + tables.OTHER
_PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".rds", ".rdata")
_IMAGES = ("image_size", "colour", "folder_labels", "skip_broken")
_TEXT = ("sep", "skip", "comment", "decimal", "thousands", "encoding")
_COLUMNS = ("names", "drop", "one_hot", "missing", "na", "header")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """Description of how a file is converted to rows of numbers.

    Attributes:
        kind: "table", "array" or "images".
        key: str or None, the name of the array or the sheet in its file.
        columns: list of str, the columns of numbers of a table, in the order of the features.
        categories: dict from a column of text to its values. Each value is a feature, after those of `columns`.
        medians: dict from column to the median that fills missing values; None if they are not filled.
        drop_missing: bool, whether rows with missing values are left out.
        names: str or None, the column with the names of the rows.
        na, sep, skip, comment, decimal, thousands, encoding: description of a text file, as for `read`; `sep` and
            `decimal` may be detected.
        header: bool, whether the file names the columns.
        affixes: dict from column to the sign beside its numbers, such as "%".
        image_shape: list (height, width) or (height, width, channels), or None.
        white: int or None, the value of white in images.
    """

    kind: str
    key: str | None = None
    columns: list = dataclasses.field(default_factory=list)
    categories: dict = dataclasses.field(default_factory=dict)
    medians: dict | None = None
    drop_missing: bool = False
    names: str | None = None
    na: list = dataclasses.field(default_factory=list)
    sep: str | None = None
    skip: int | None = None
    comment: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool = True
    affixes: dict = dataclasses.field(default_factory=dict)
    image_shape: list | None = None
    white: int | None = None


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows that were read.

    Attributes:
        x: (n, n_features) array or SciPy sparse matrix; (n, height, width) or (n, height, width, channels) images.
        names: (n,) array: the names of the rows, file names or row numbers.
        features: list of the features' names, or None.
        labels: (n,) array, or None. If labels are missing, its dtype is object, and they are None.
        layout: `Layout`.
        notices: list of str, a sentence for each thing that was detected, changed or left out.
    """

    x: object
    names: np.ndarray
    features: list | None
    labels: np.ndarray | None
    layout: Layout
    notices: list = dataclasses.field(default_factory=list)


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
    sep=None,
    skip=None,
    comment=None,
    decimal=None,
    thousands=None,
    encoding=None,
    header=None,
    image_size=None,
    image_shape=None,
    colour=False,
    folder_labels=False,
    skip_broken=False,
):
    """Read rows from a file or a folder of images.

    Args:
        path: file or folder.
        key: str, the array of an .npz, .h5, .h5ad or .mat file, or the sheet of a workbook; default None: the only one,
            or the array named "x" or "X".
        names: str, the column with the rows' names, default None: their numbers.
        labels: str, the column or the array with the classes, which is not a feature; default None. Labels may be
            missing.
        drop: columns that are not features.
        one_hot: columns of text whose values become features, 1 where a row has the value and else 0.
        missing: `"median"` to fill missing values with the median of their column, or `"drop"` to leave out their rows;
            default None: they are an error.
        na: further texts that mean a missing value, such as "?".
        sep: str, the separator of a text file, " " for any number of blanks; default None: detected.
        skip: int, the number of lines above the line of names; default None: blank lines, and lines with fewer cells
            than the rows.
        comment: str, the beginning of lines that are left out; default None: "#" if the file begins with it.
        decimal, thousands: str, the characters before decimals and between thousands; default None: detected. It is an
            error if the numbers can be read in two ways.
        encoding: str, of a text file; default None: UTF-8, or UTF-16 or UTF-32 if the first bytes show it.
        header: bool, whether the first line names the columns; default None: as
            `deckeras.files.headers.has_names` decides. Without names, columns are numbered.
        image_size, colour, skip_broken: of the images of a folder, as for `deckeras.files.image_folder.read`.
        image_shape: (height, width) or (height, width, channels) of the images in flat rows of an array or a table.
        folder_labels: bool, default False. Whether the names of the subfolders are the classes of their images.

    Returns:
        `Rows`.

    Raises:
        ValueError: the kind of the file is unknown, an option does not apply to it, it can be read in several ways, or
            it holds values that are not numbers.
        OSError: the file is missing or cannot be read.
        ImportError: the library for such a file is not installed.

    Example:
        >>> import pathlib
        >>> from deckeras import files
        >>> _ = pathlib.Path("cars.csv").write_text("car;weight;fuel\\nA;900,5;petrol\\nB;1500,0;diesel\\n")
        >>> rows = files.read("cars.csv", names="car", one_hot=["fuel"])
        >>> rows.names.tolist(), rows.features, rows.x[0].tolist()
        (['A', 'B'], ['weight', 'fuel=diesel', 'fuel=petrol'], [900.5, 0.0, 1.0])
        >>> rows.notices
        ['semicolon-separated, 3 columns, first line taken as names', 'decimal commas in "weight"']
    """
    given = {name: value for name, value in locals().items() if name != "path" and value not in (None, (), [], False)}
    if header is False:
        given["header"] = header
    if missing not in (None, "median", "drop"):
        raise ValueError(f'missing should be "median", "drop" or None. Received: missing={missing!r}')
    kind = _kind(path)
    check_options(path, kind, given)
    if kind == "images":
        return _read_folder(path, folder_labels, image_size=image_size, colour=colour, skip_broken=skip_broken)
    if kind == "array":
        return _read_array(path, key, labels, image_shape)
    options = tables.Options(
        sep=sep, skip=skip, comment=comment, header=header, decimal=decimal, thousands=thousands, encoding=encoding,
        na=tuple(na), sheet=key,
    )  # fmt: skip
    table = tables.read(path, options, [*filter(None, (names, labels)), *one_hot], names)
    layout, notices = _lay_out(path, table, names, labels, drop, one_hot, missing, key, skip)
    return _table(path, table.frame, _with_images(path, layout, image_shape), labels, notices)


def read_like(path, layout, *, labels=None, folder_labels=False, skip_broken=False):
    """Read new rows in the way of earlier ones.

    Args:
        path: file or folder of the same kind.
        layout: `Layout` of the earlier rows.
        labels, folder_labels, skip_broken: as for `read`.

    Returns:
        `Rows`.

    Raises:
        ValueError, OSError, ImportError: as `read`, or a column is missing, or a text is not one of the categories.
    """
    kind = _kind(path)
    if kind != layout.kind:
        raise ValueError(f"The model was fitted to {_WORDS[layout.kind]}. Received: {_WORDS[kind]}, {path!r}")
    given = {"labels": labels, "folder_labels": folder_labels, "skip_broken": skip_broken}
    check_options(path, kind, {name: value for name, value in given.items() if value})
    shape = layout.image_shape and tuple(layout.image_shape)
    if kind == "images":
        return _read_folder(path, folder_labels, image_shape=shape, white=layout.white, skip_broken=skip_broken)
    if kind == "array":
        return dataclasses.replace(_read_array(path, layout.key, labels, shape), layout=layout)
    options = tables.Options(
        skip=layout.skip, comment=layout.comment, header=layout.header, decimal=layout.decimal,
        thousands=layout.thousands, encoding=layout.encoding, na=tuple(layout.na), sheet=layout.key, prefer=layout.sep,
    )  # fmt: skip
    table = tables.read(path, options, [*filter(None, (layout.names, labels)), *layout.categories], layout.names)
    frame = table.frame
    wanted = [*layout.columns, *layout.categories, *([layout.names] if layout.names else [])]
    columns.check_names(frame, [*wanted, *([labels] if labels else [])])
    problems = columns.text_problems(frame, layout.columns, table.found)
    filled = layout.medians is not None or layout.drop_missing
    problems += columns.value_problems(frame, [*layout.columns, *layout.categories], layout.categories, missing=filled)
    problems += _unknown(frame, layout, table.found)
    if problems:
        raise ValueError(f"{os.fspath(path)!r} cannot be clustered by this model:\n" + "\n".join(problems))
    return _table(path, frame, layout, labels, list(table.notices))


_WORDS = {"table": "a table", "array": "an array", "images": "a folder of images"}


def _kind(path):
    path = os.fspath(path)
    if os.path.isdir(path):
        return "images"
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file or folder {path!r}.")
    extension = tables.extension(path)
    if extension in _TABLE or extension in tables.COMPRESSED:
        return "table"
    if extension in arrays.EXTENSIONS:
        return "array"
    if extension in _PICKLES:
        raise ValueError(
            f"{path!r} should be a file of data. Received: a pickle or another file of Python or R objects, which runs "
            "code when it is loaded. If you trust it, load it and write the rows as .csv, .parquet or .npy."
        )
    known = ", ".join(_TABLE + arrays.EXTENSIONS)
    raise ValueError(f"The file should be one of {known}, or a folder of images. Received: {path!r}")


def check_options(path, kind, given):
    """Raise a ValueError if an option does not apply to such a file."""
    foreign = {
        "table": _IMAGES if tables.extension(path) in tables.TEXT + tables.COMPRESSED else _IMAGES + _TEXT,
        "array": (*_IMAGES, *_TEXT, *_COLUMNS),
        "images": (*_TEXT, *_COLUMNS, "key", "image_shape", "labels"),
    }[kind]
    if tables.extension(path) in (".xlsx", ".xls"):
        foreign = tuple(name for name in foreign if name not in ("skip", "decimal", "thousands"))
    elif kind == "table":
        foreign = (*foreign, "key")
    if tables.extension(path) in (".parquet", ".feather", ".arff", ".jsonl", ".ndjson"):
        foreign = tuple(name for name in (*foreign, "header") if name not in ("decimal", "thousands"))
    wrong = [f"--{name.replace('_', '-')}" for name in given if name in foreign]
    if wrong:
        way_out = " Use --folder-labels if its subfolders are the classes." if "--labels" in wrong else ""
        raise ValueError(
            f"{', '.join(wrong)} does not apply to {_WORDS[kind]}. Received: {os.fspath(path)!r}.{way_out}"
        )


def _lay_out(path, table, names, labels, drop, one_hot, missing, key, skip):
    """Return (the `Layout` of a table, notices), or raise a ValueError with all problems of its columns."""
    frame = table.frame
    names = names or columns.index_column(frame)
    columns.check_names(frame, [*filter(None, (names, labels)), *drop, *one_hot])
    others = {names, labels, *drop, *one_hot}
    used = [column for column in frame.columns if column not in others]
    lacking = frame[used].isna().all()
    empty, used = list(lacking.index[lacking]), list(lacking.index[~lacking])
    problems = columns.text_problems(frame, used, table.found)
    problems += columns.value_problems(frame, [*used, *one_hot], one_hot, missing=bool(missing))
    if problems:
        raise ValueError(f"{os.fspath(path)!r} cannot be clustered yet:\n" + "\n".join(problems))
    notices = list(table.notices)
    if empty:
        quoted = columns.listed(f'"{column}"' for column in empty)
        notices.append(f"left out, because no row has a value: {quoted}")
    found = table.found
    decimals = {form.decimal for form in found.forms.values()} - {"."}
    layout = Layout(
        kind="table",
        key=key,
        columns=used,
        categories={column: sorted(map(str, frame[column].dropna().unique())) for column in one_hot},
        medians={column: float(frame[column].median()) for column in used} if missing == "median" else None,
        drop_missing=missing == "drop",
        names=names,
        na=list(table.options.na),
        sep=table.options.prefer,
        skip=skip,
        comment=table.options.comment,
        decimal=table.options.decimal or ("," if decimals else "." if found.dotted else None),
        thousands=table.options.thousands or _thousands(found),
        encoding=table.options.encoding,
        header=table.options.header,
        affixes={column: found.affixes[column] for column in used if column in found.affixes},
    )
    return layout, notices + columns.remarks(frame, used, found)


def _thousands(found):
    marks = {form.thousands for form in found.forms.values()} - {None}
    return marks.pop() if len(marks) == 1 else None


def _with_images(path, layout, image_shape):
    """Return the layout of a table whose columns are the pixels of an image."""
    if image_shape is None:
        return layout
    n_features = len(layout.columns) + sum(map(len, layout.categories.values()))
    if int(np.prod(image_shape)) != n_features:
        raise ValueError(
            f"--image-shape should have as many pixels as {os.fspath(path)!r} has columns of numbers, {n_features}. "
            f"Received: {tuple(image_shape)}"
        )
    return dataclasses.replace(layout, image_shape=list(image_shape))


def _unknown(frame, layout, found):
    """Return a line for each category that the model does not know, and for each column with another sign."""
    problems = []
    for column, values in layout.categories.items():
        unknown = sorted(set(map(str, frame[column].dropna().unique())) - set(values))
        if unknown:
            problems.append(f'- column "{column}" has "{unknown[0]}", which the model does not know. It knows {values}')
    for column in layout.columns:
        here, there = found.affixes.get(column), layout.affixes.get(column)
        if here != there:
            problems.append(
                f'- column "{column}" has {here or "no sign"} beside its numbers, but {there or "none"} in the fit'
            )
    return problems


def _table(path, frame, layout, y, notices):
    used = [*layout.columns, *layout.categories]
    if layout.drop_missing:
        whole = frame[used].notna().all(axis=1)
        if not whole.all():
            notices.append(f"left out, because values are missing: {int((~whole).sum()):,} of {len(frame):,} rows")
        frame = frame[whole]
    if not len(frame) or not used:
        raise ValueError(f"{os.fspath(path)!r} should have rows and columns of numbers. Received: {frame.shape}")
    numbers = frame[layout.columns].astype("float64")
    if layout.medians is not None:
        count = int(numbers.isna().sum().sum())
        notices += [f"filled with medians: {count:,} missing values"] if count else []
        numbers = numbers.fillna(layout.medians)
    parts = [numbers.to_numpy()]
    features = list(layout.columns)
    for column, values in layout.categories.items():
        parts.append((frame[column].astype(str).to_numpy()[:, None] == np.array(values, object)).astype("float64"))
        features += [f"{column}={value}" for value in values]
    names = frame[layout.names].to_numpy() if layout.names else frame.index.to_numpy()
    y = None if y is None else _labels(frame[y], len(frame), f"the column {y!r}", notices)
    return Rows(np.hstack(parts), names, features, y, layout, notices)


def _labels(y, n, name, notices):
    """Return clean labels, and add a notice of the rows without one."""
    y = class_labels.clean(y, n, name)
    lacking = int(n - class_labels.present(y).sum())
    if lacking:
        notices.append(f"{lacking:,} of {n:,} rows have no label; the scores are those of the others")
    return y


def _read_array(path, key, y, image_shape):
    found = arrays.read(path, key, y)
    x = found.x
    if x.ndim > 4:
        raise ValueError(f"{os.fspath(path)!r} should hold rows or images. Received: an array of shape {x.shape}")
    if x.ndim in (3, 4):
        if image_shape is not None and tuple(image_shape) != x.shape[1:]:
            raise ValueError(f"{os.fspath(path)!r} should hold images of shape {image_shape}. Received: {x.shape[1:]}")
        image_shape = x.shape[1:]
    if image_shape is not None:
        if not isinstance(x, np.ndarray):
            raise ValueError("Sparse rows cannot be images. Leave out the image shape, or write a dense array.")
        if int(np.prod(image_shape)) != int(np.prod(x.shape[1:])):
            raise ValueError(
                f"--image-shape should have as many pixels as the rows of {os.fspath(path)!r} have values, "
                f"{int(np.prod(x.shape[1:]))}. Received: {tuple(image_shape)}"
            )
    notices = list(found.notices)
    y = None if found.labels is None else _labels(found.labels, x.shape[0], f"the array {y!r}", notices)
    layout = Layout(kind="array", key=key or found.key, image_shape=None if image_shape is None else list(image_shape))
    names = np.arange(x.shape[0]) if found.names is None else found.names
    return Rows(x, names, found.features, y, layout, notices)


def _read_folder(path, folder_labels, **options):
    found = image_folder.read(path, **options)
    y = np.array([os.path.dirname(name) for name in found.names]) if folder_labels else None
    layout = Layout(kind="images", image_shape=list(found.x.shape[1:]), white=found.white)
    return Rows(found.x, found.names, None, y, layout, list(found.notices))
