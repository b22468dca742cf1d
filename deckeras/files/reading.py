"""Read rows from tables, arrays and folders of images.

    .csv .tsv .tab .txt .data .dat      one row per line, also compressed by gzip, bzip2, xz or zip
    .xlsx .xls .ods .parquet .feather .arff .json .jsonl      tables with types
    .npy .npz .h5 .h5ad .mat .svmlight      an array or a sparse matrix, chosen by `key` if there are several
    a folder      its images, and those of its subfolders

`read` returns rows with a `Layout`. `read_like` uses it to read other files in the same way: with the same columns in
the same order, the same categories and medians, and images of the same size. The `notices` of the rows report what was
detected, changed or left out, one sentence each.
"""

import dataclasses
import os

import numpy as np

from deckeras.files import (
    arrays,
    class_labels,
    columns,
    documents,
    headers,
    image_folder,
    kinds,
    layouts,
    options,
    promises,
    remarks,
    tables,
)
from deckeras.files.layouts import Layout, Rows


@promises.within_memory
@options.checked
def read(
    path,
    *,
    key=None,
    names=None,
    labels=None,
    drop=(),
    one_hot=(),
    text=None,
    need_terms=True,
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
    color=False,
    folder_labels=False,
    skip_broken=False,
):
    """Read rows from a file or a folder of images.

    Args:
        path: file or folder.
        key: str, the array of an .npz, .h5, .h5ad or .mat file, or the sheet of a workbook; default None: the only one,
            or the array named "x" or "X".
        names: str, the column with the names of the rows; default None: rows are numbered.
        labels: str, the column or the array with the classes, which is not used as a feature; default None. Labels
            may be missing.
        drop: str or list of str, columns that are not used as features.
        one_hot: str or list of str, columns of categories, texts or codes. Each value becomes a feature: 1 or 0.
        text: str, a column of documents, default None. The features are then the TF-IDF of the 2,000 most frequent
            terms, as in the paper, and all other columns are left out.
        need_terms: bool, default True. False allows texts without any common word, as a text encoder does; their rows
            then have no features.
        missing: `"median"` to fill missing values with the median of their column, or `"drop"` to leave out rows with
            missing values; default None: missing values are an error.
        na: str or list of str, additional texts that mean a missing value, such as "?".
        sep: str, the separator of a text file; " " stands for any number of blanks; default None: detected.
        skip: int, the number of lines to skip above the line of names; default None: blank lines and lines with fewer
            cells than the rows are skipped.
        comment: str, lines that begin with it are left out; default None: "#" if the file begins with it.
        decimal, thousands: str, the decimal separator and the thousands separator; default None: detected. Numbers that
            can be read in two ways are an error.
        encoding: str, the encoding of a text file; default None: UTF-8, or UTF-16 or UTF-32 if the first bytes show it.
        header: bool, whether the first line names the columns; default None:
            `deckeras.files.headers.has_names` decides. Without names, columns are numbered.
        image_size, color, skip_broken: options for a folder of images, as for `deckeras.files.image_folder.read`.
        image_shape: (height, width) or (height, width, channels) of the images in flat rows of an array or a table.
        folder_labels: bool, default False. If True, the names of the subfolders are the classes of their images.

    Returns:
        `Rows`.

    Raises:
        TypeError: an option is of another type.
        ValueError: the kind of the file is unknown, an option does not apply to it, it can be read in several ways, or
            holds values that are not numbers.
        OSError: the file is missing or cannot be read.
        ImportError: the library that reads this kind of file is not installed.

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
    given = _given(locals(), text)
    kind = kinds.of(path)
    kinds.check_options(path, kind, given)
    if kind == "images":
        return _read_folder(path, folder_labels, image_size=image_size, color=color, skip_broken=skip_broken)
    if kind == "array":
        return _read_array(path, key, labels, image_shape)
    text_options = tables.Options(
        sep=sep, skip=skip, comment=comment, header=header, decimal=decimal, thousands=thousands, encoding=encoding,
        na=na, sheet=key,
    )  # fmt: skip
    roles = columns.Roles(names, labels, text, drop, one_hot, missing, need_terms)
    table = tables.read(path, text_options, roles.of_text, names)
    if text is not None:
        layout, notices = documents.lay_out(path, table, roles, key, skip)
        return documents.read(path, table, layout, labels, notices)
    layout, notices = _lay_out(path, table, roles, key, skip)
    return _table(path, table, _with_images(path, layout, image_shape), labels, notices)


_SILENT = ("path", "layout", "need_terms")  # arguments that every kind of file accepts
_BESIDE_TEXT = ("drop", "one_hot", "missing", "image_shape")


def _given(arguments, text):
    """Return a dict of the options that are given and depend on the kind of the file.

    Args:
        arguments: dict of all arguments.
        text: str, the column of documents, or None.

    Raises:
        ValueError: an option has another value than those allowed, or does not apply to documents.
    """
    given = {name: value for name, value in arguments.items() if name not in _SILENT and _is_given(name, value)}
    missing = given.get("missing")
    if missing not in (None, "median", "drop"):
        raise ValueError(f'missing should be "median", "drop" or None. Received: missing={missing!r}')
    if text is not None and (beside := [name for name in _BESIDE_TEXT if name in given]):
        named = ", ".join(f"--{name.replace('_', '-')}" for name in beside)
        raise ValueError(f"{named} does not apply with --text, whose words are the only features. Leave it out.")
    return given


def _is_given(name, value):
    # 0 is a value, although it equals False.
    if value is None or (value is False and name != "header"):
        return False
    return not (isinstance(value, list | tuple) and not value)


@promises.within_memory
@options.checked
def read_like(
    path,
    layout,
    *,
    labels=None,
    folder_labels=False,
    skip_broken=False,
    key=None,
    names=None,
    missing=None,
    na=(),
    sep=None,
    skip=None,
    comment=None,
    decimal=None,
    thousands=None,
    encoding=None,
    header=None,
):
    """Read new rows in the same way as earlier ones.

    Args:
        path: file or folder of the same kind.
        layout: `Layout` of the earlier rows.
        labels, folder_labels, skip_broken: as for `read`.
        key, names, missing, sep, skip, comment, decimal, thousands, encoding, header: as for `read`, where they differ
            from those of the earlier rows; default None: as in `layout`. `"median"` fills missing values with the
            medians of the earlier rows.
        na: str or list of str, texts that mean a missing value, in addition to those of the earlier rows.

    Returns:
        `Rows`. They are numbered if the layout has a column of names, and the file and `names` do not.

    Raises:
        ValueError, OSError, ImportError: as for `read`; also if a column is missing or a text is not a known category.

    Example:
        >>> import pandas
        >>> from deckeras import files
        >>> pandas.DataFrame({"length": [5.1, 4.9], "width": [3.5, 3.0]}).to_csv("old.csv", index=False)
        >>> pandas.DataFrame({"width": [3.2], "length": [4.7]}).to_csv("new.csv", index=False)
        >>> layout = files.read("old.csv").layout
        >>> files.read_like("new.csv", layout).x.tolist()
        [[4.7, 3.2]]
    """
    given = _given(locals(), layout and layout.text)
    kind = kinds.of(path)
    if kind != layout.kind:
        raise ValueError(f"The model was fitted to {kinds.WORDS[layout.kind]}. Received: {kinds.WORDS[kind]}, {path!r}")
    kinds.check_options(path, kind, given)
    layout = layouts.changed(layout, given)
    shape = layout.image_shape and tuple(layout.image_shape)
    if kind == "images":
        return _read_folder(path, folder_labels, image_shape=shape, white=layout.white, skip_broken=skip_broken)
    if kind == "array":
        return dataclasses.replace(_read_array(path, layout.key, labels, shape, like=layout), layout=layout)
    return _read_table_like(path, layout, labels, sep, names)


def _read_table_like(path, layout, labels, sep, names):
    """Read the rows of a table as for `read_like`. A column of names is needed if it is given for this file."""
    text_options = tables.Options(
        sep=sep, skip=layout.skip, comment=layout.comment, header=layout.header, decimal=layout.decimal,
        thousands=layout.thousands, encoding=layout.encoding, na=tuple(layout.na), sheet=layout.key, prefer=layout.sep,
    )  # fmt: skip
    features = [*layout.columns, *layout.categories, *filter(None, [layout.text])]
    if both := {layout.names, labels} & set(features):
        raise ValueError(f"--names and --labels should name no feature of the model. Received: {both.pop()!r}")
    texts = [*filter(None, (layout.names, labels, layout.text)), *layout.categories]
    table = tables.read(path, text_options, texts, layout.names)
    frame = table.frame
    if layout.names not in (None, names, *frame.columns):
        rows = _read_table_like(path, dataclasses.replace(layout, names=None), labels, sep, names)
        told = f'there is no column "{layout.names}" with the names of the rows, which are numbered'
        return rows if rows.layout.names else dataclasses.replace(rows, notices=[*rows.notices, told])
    layout = dataclasses.replace(layout, names=columns.Roles(layout.names).named(table))
    columns.check_names(frame, [labels] if labels else [], class_labels.MissingLabels)
    columns.check_names(frame, [*features, *filter(None, [layout.names])])
    if layout.text is not None:
        return documents.read(path, table, layout, labels, list(table.notices))
    problems = columns.text_problems(frame, layout.columns, table.found, fitted=True)
    filled = layout.medians is not None or layout.drop_missing
    problems += columns.value_problems(frame, [*layout.columns, *layout.categories], layout.categories, missing=filled)
    problems += _unknown(frame, layout, table.found)
    if problems:
        raise ValueError(f"{os.fspath(path)!r} cannot be clustered by this model:\n" + "\n".join(problems))
    notices = [*table.notices, *remarks.of_forms(table.found, layout.columns)]
    return _table(path, table, layout, labels, notices)


def _lay_out(path, table, roles, key, skip):
    """Return (the `Layout` of a table, notices), or raise a ValueError that lists all problems of its columns."""
    frame, names, one_hot = table.frame, roles.named(table), roles.one_hot
    columns.check_names(frame, [*roles.of_text, *roles.drop])
    others = {names, roles.labels, *roles.drop, *one_hot}
    used = [column for column in frame.columns if column not in others]
    lacking = frame[used].isna().all()
    empty, used = list(lacking.index[lacking]), list(lacking.index[~lacking])
    problems = columns.text_problems(frame, used, table.found)
    problems += columns.value_problems(frame, [*used, *one_hot], one_hot, missing=bool(roles.missing))
    if problems:
        raise ValueError(f"{os.fspath(path)!r} cannot be clustered yet:\n" + "\n".join(problems))
    notices = list(table.notices)
    told = "the first column has no name, and is read as the names of the rows"
    if names != roles.names and told not in notices:
        notices.append(told)
    if unnamed := [column for column in used if column.startswith("Unnamed: ")]:
        notices.append(f"columns without a name are called {headers.listed(unnamed)}")
    if empty:
        quoted = columns.listed(f'"{column}"' for column in empty)
        notices.append(f"left out, because no row has a value: {quoted}")
    found = table.found
    decimals = {form.decimal for form in found.forms.values()} - {"."}
    medians = {column: float(frame[column].median()) for column in used}
    layout = dataclasses.replace(
        layouts.of_file(table, names, key, skip),
        columns=used,
        categories={column: sorted(map(str, frame[column].dropna().unique())) for column in one_hot},
        **{"medians" if roles.missing == "median" else "spare_medians": medians},
        drop_missing=roles.missing == "drop",
        decimal=table.options.decimal or ("," if decimals else "." if found.dotted else None),
        thousands=table.options.thousands or _thousands(found),
        affixes={column: found.affixes[column] for column in used if column in found.affixes},
    )
    return layout, notices + remarks.of_table(frame, used, found)


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
    """Return a line for each category that the model does not know, and for each column whose sign differs."""
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


def _table(path, table, layout, y, notices):
    frame = table.frame
    used = [*layout.columns, *layout.categories]
    if layout.drop_missing:
        whole = frame[used].notna().all(axis=1)
        if not whole.all():
            notices.append(f"left out, because values are missing: {int((~whole).sum()):,} of {len(frame):,} rows")
        frame = frame[whole]
    if not len(frame) or not used:
        raise ValueError(f"{os.fspath(path)!r} should have rows and columns of numbers. Received: {frame.shape}")
    n_features = len(layout.columns) + sum(map(len, layout.categories.values()))
    promises.check_dense(path, (len(frame), n_features), "a table of numbers")
    numbers = frame[layout.columns].astype("float64")
    if layout.medians is not None:
        count = int(numbers.isna().sum().sum())
        notices += [f"filled with medians: {count:,} missing values"] if count else []
        numbers = numbers.fillna(layout.medians)
    parts = [numbers.to_numpy()]
    features = list(layout.columns)
    for column, values in layout.categories.items():
        lacking = int(frame[column].isna().sum())
        if lacking:
            notices.append(f'{lacking:,} rows without a value in "{column}" have 0 in each feature of it')
        parts.append((frame[column].to_numpy(object)[:, None] == np.array(values, object)).astype("float64"))
        features += [f"{column}={value}" for value in values]
    y = None if y is None else class_labels.of_rows(frame[y], len(frame), f"the column {y!r}", notices)
    return Rows(np.hstack(parts), layouts.row_names(frame, table, layout), features, y, layout, notices)


def _read_array(path, key, y, image_shape, like=None):
    counted = {} if like is None else {"n_columns": like.n_columns, "zero_based": like.zero_based}
    # An array of an .npy file has no name, whatever the one of the fit was called.
    unnamed = like is not None and os.fspath(path).lower().endswith(".npy")
    found = arrays.read(path, None if unnamed else key, y, **counted)
    notices = list(found.notices)
    if like is not None:
        found = layouts.like_array(path, found, like, notices)
    elif found.names is not None:
        # Of all arrays, only those of .h5ad and 10x files have names of rows, which are cells.
        notices += remarks.of_counts(found.x)
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
    y = None if found.labels is None else class_labels.of_rows(found.labels, x.shape[0], f"the array {y!r}", notices)
    layout = Layout(
        kind="array", key=key or found.key, image_shape=None if image_shape is None else list(image_shape),
        row_shape=list(x.shape[1:]), features=found.features and list(map(str, found.features)),
        n_columns=None if found.zero_based is None else x.shape[1], zero_based=found.zero_based,
    )  # fmt: skip
    names = np.arange(x.shape[0]) if found.names is None else found.names
    return Rows(x, names, found.features, y, layout, notices)


def _read_folder(path, folder_labels, **options):
    found = image_folder.read(path, **options)
    y, notices = None, list(found.notices)
    if folder_labels:
        y = class_labels.of_folders(found.names, notices)
    layout = Layout(kind="images", image_shape=list(found.x.shape[1:]), white=found.white)
    return Rows(found.x, found.names, None, y, layout, notices)
