"""Convert objects of other libraries to rows: AnnData, Hugging Face datasets, xarray, and images with channels first.

The classes are recognized by their modules, so that none of these libraries is imported here. Objects that
`numpy.asarray` converts and whose features have no names, or that have `to_pandas`, need no conversion here.
"""

from typing import Any

import numpy as np

from deckeras._data import frames
from deckeras._data.row_shapes import channels_first
from deckeras._warnings import warn


def as_rows(x: Any) -> Any:
    """Convert an object of another library to rows.

    Args:
        x: anything.

    Returns:
        For an `anndata.AnnData`, its X with the names of the variables, as a DataFrame if it is dense, otherwise as a
        SciPy matrix with the attribute `feature_names`; for a `datasets.Dataset`, an `xarray.Dataset`, or a 2-D
        `xarray.DataArray` whose second dimension has coordinates, a pandas.DataFrame of the columns; for a list, an
        array; for rows that are not in memory, `deckeras.sources.Blocks`; otherwise x itself. If these are images of
        (channels, height, width), their channels are moved to the end.

    Raises:
        TypeError, ValueError: a column does not hold numbers, the object holds several tables, or as
            `sources.as_source`.

    Warns:
        UserWarning: the channels were moved to the end.

    Example:
        >>> import numpy as np
        >>> from deckeras.files import containers
        >>> containers.as_rows(np.zeros((3, 2))).shape
        (3, 2)
    """
    from deckeras import sources  # These import Keras, which is slow.
    from deckeras._data import row_views

    x = _converted(x)
    source = sources.as_source(x)
    x = x if source is None else source
    x = row_views.as_rows(x) if isinstance(x, list) else x
    if getattr(x, "ndim", None) != 4 or not channels_first(tuple(x.shape)):
        return x
    warn(
        f"X of shape {tuple(map(int, x.shape))} is read as images of (channels, height, width). The channels are moved "
        "to the end. Pass images of (height, width, channels), as numpy.moveaxis(X, 1, 3) returns them, to avoid this "
        "warning.",
    )
    return np.moveaxis(np.asarray(row_views.as_rows(x)), 1, 3) if source is None else source.channels_last()


def _converted(x):
    """Return an object of another library as a table, and x itself if it is none of those."""
    library, name = type(x).__module__.partition(".")[0], type(x).__name__
    if library == "anndata" and hasattr(x, "X"):
        return _anndata(x)
    if library == "datasets" and name.endswith("DatasetDict"):
        raise ValueError(
            f"X should be one data set. Received: the splits {', '.join(x)}. Choose one, for example X['train']."
        )
    if library == "datasets" and hasattr(x, "to_pandas"):
        return _numbers(x.to_pandas(), "X.select_columns([...])")
    if library == "xarray" and name == "DataArray" and x.ndim == 2 and x.dims[1] in x.indexes:
        import pandas

        return pandas.DataFrame(x.to_numpy(), columns=x.indexes[x.dims[1]])
    if library == "xarray" and name == "Dataset":
        dimensions = {tuple(variable.dims) for variable in x.data_vars.values()}
        if len(dimensions) != 1 or len(dimensions.pop()) != 1:
            raise ValueError(
                f"X should be one array. Received: an xarray.Dataset of {', '.join(map(str, x.data_vars))}, which are "
                "not columns of one table. Choose one, for example X['name']."
            )
        return _numbers(x.to_dataframe(), "X[[...]]")
    return x


def _anndata(x):
    import pandas

    if getattr(x, "isbacked", False):
        x = x.to_memory()
    if x.X is None:
        raise ValueError(
            "X should hold a matrix. Received: an AnnData whose X is None. Pass one of its layers or obsm."
        )
    names = [str(name) for name in x.var_names]
    if not hasattr(x.X, "toarray"):
        return pandas.DataFrame(x.X, index=x.obs_names, columns=names)
    matrix = frames.NamedMatrix(x.X)
    matrix.feature_names = names
    return matrix


def _numbers(frame, selection):
    from pandas.api.types import is_numeric_dtype

    others = [str(column) for column in frame.columns if not is_numeric_dtype(frame[column])]
    if others:
        raise ValueError(
            f"X should have columns of numbers. Received: {', '.join(others[:5])}, which do not. Choose columns, "
            f"for example {selection}."
        )
    return frame.rename(columns=str)
