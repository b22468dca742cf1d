"""Compute the features of many pictures or texts once, batch by batch, and append them to a file."""

import contextlib
import glob
import hashlib
import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO, TypeAlias

import keras
import numpy as np

from deckeras._data import batching, checks, row_views
from deckeras._train import specs
from deckeras._train.checkpoint import settings
from deckeras._train.directories import hold_directory, prepare_directory
from deckeras._train.interrupts import DeferredInterrupt
from deckeras._train.whole_files import cannot
from deckeras._typing import Array, Path
from deckeras.features.networks import reads_tokens

_IN_MEMORY = 2**30  # bytes of features; if there are more, training reads them from their file as needed
_OVERSHOOT = 0.2  # Pixels between which a cubic function interpolates are a little below 0, and scaled ones far below.
_WHITE = 255  # the value of white that networks expect
_PART = ".part"
Report: TypeAlias = Callable[[int, int, float], None]


def compute(network: keras.Model, x: Any, *, folder: Path | None = None, report: Report | None = None) -> Array:
    """Compute the features of pictures or texts, or read them if they were computed before.

    With a folder, they are written to `features-KEY.npy` there, batch by batch; KEY identifies the content of the
    rows and the network. A file that was left unfinished by an interruption is continued at its last batch. Unfinished
    files with other keys are removed.

    Args:
        network: `keras.Model`, as `deckeras.features.network` or `deckeras.features.texts.encoder` returns it.
        x: n pictures of the network's input shape, or tokens as the tokenizer of a text encoder returns them: an array,
            or rows that are not in memory (see `deckeras.sources` and `deckeras.files.photographs`), which threads read
            ahead.
        folder: directory, default None: nothing is written.
        report: function of (rows done, total rows, rows per second), default None. Called after each batch.

    Returns:
        (n, n_features) float32 array, or an `np.memmap` of the file if the array takes more than 1 GiB.

    Raises:
        TypeError, ValueError: x does not hold such rows, holds pixels from 0 to 1, centered at 0 or above 255, or has
            NaN or infinite features.
        OSError: the file cannot be written, or another process trains in the folder.

    Example:
        >>> import keras, numpy as np
        >>> from deckeras import features
        >>> core = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()])
        >>> pictures = np.random.randint(256, size=(10, 8, 8, 3)).astype("uint8")
        >>> features.compute(features.network(core), pictures).shape
        (10, 3)
    """
    x = checks.check_rows(x, network.input_shape[1:])
    shape = (len(x), network.output_shape[-1])
    size = row_views.predict_batch_size(int(np.prod(x.shape[1:])))
    if folder is None:
        _check_range(x)
        found = np.empty(shape, "float32")
        for start, rows in _computed(network, x, 0, size, report):
            found[start : start + len(rows)] = rows
        return found
    path = os.path.join(prepare_directory(folder), f"features-{_key(network, x)}.npy")
    if not os.path.exists(path):
        _check_range(x)
        with hold_directory(folder):
            _remove_unfinished(folder, path)
            _fill(path, network, x, shape, size, report)
    return np.load(path, mmap_mode="r" if 4 * shape[0] * shape[1] > _IN_MEMORY else None)


def as_inputs(x: Any, source: Any) -> Any:
    """Return x as an array or `sources.Blocks` of network inputs (pictures or tokens), or None if x holds features.

    A two-dimensional x holds features, unless the network is a text encoder and the values are whole numbers.

    Args:
        x: as for `compute`, a list of pictures, or features.
        source: as for `deckeras.features.network`.
    """
    tokens = reads_tokens(source)
    if getattr(x, "ndim", None) == 2 and not tokens:
        return None
    rows = row_views.as_rows(x)
    if rows.ndim == 2 and not (tokens and np.issubdtype(rows.dtype, np.integer)):
        return None
    return rows


def check_width(x: Any, network: keras.Model) -> None:
    """Raise a ValueError if the number of features is not that of the network.

    Args:
        x: (n, n_features) array.
        network: as for `compute`.
    """
    if x.shape[1] == network.output_shape[-1]:
        return
    inputs = "tokens, which are whole numbers" if reads_tokens(network) else "pictures"
    raise ValueError(
        f"X should hold {inputs}, or the {network.output_shape[-1]} features of the network. Received: shape {x.shape} "
        f"of {x.dtype}"
    )


def progress_bar(stream: TextIO | None = None, rows: str = "pictures") -> Report:
    """Return a `report` for `compute` that keeps one line up to date, with the rows per second.

    Args:
        stream: text file, default None: stdout.
        rows: str, what to call the rows, default "pictures".
    """
    out = sys.stdout if stream is None else stream

    def report(done: int, n: int, rate: float) -> None:
        left = f"{(n - done) / rate:.0f} s left" if done < n else "done"
        out.write(f"\r{done:,} of {n:,} {rows}, {rate:.1f} a second, {left}    " + "\n" * (done == n))
        out.flush()

    return report


def _computed(
    network: keras.Model, x: Any, first: int, size: int, report: Report | None
) -> Iterator[tuple[int, Array]]:
    """Yield (number of the first row, features) of each batch, starting at row `first`."""
    started = time.perf_counter()
    batches = ((start, _batch(x, start, size)) for start in range(first, len(x), size))
    with contextlib.closing(batching.read_ahead(batches)) as batches:
        for start, batch in batches:
            n = min(size, len(x) - start)
            with DeferredInterrupt():
                rows = np.asarray(network.predict_on_batch(batch), "float32")[:n]
                bad = ~np.isfinite(rows).all(axis=1)
                if bad.any():
                    raise ValueError(
                        "The features should be finite numbers. Received: NaN or infinity for row "
                        f"{start + int(bad.argmax())}. Look at the weights of the network and at this row."
                    )
                yield start, rows
            if report is not None:
                report(start + n, len(x), (start + n - first) / (time.perf_counter() - started))


def _batch(x: Any, start: int, size: int) -> Array:
    """Return a batch, padded with its last row if x has enough rows: a new size would recompile the network."""
    batch = row_views.as_batch(x[start : start + size])
    if len(batch) < size <= len(x):
        batch = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
    return batch


def _check_range(x: Any) -> None:
    """Raise a ValueError if pictures do not hold pixels from 0 to 255. All rows are read, so their order has no effect.

    Args:
        x: pictures, or tokens, which are not checked.
    """
    if x.ndim < 3:
        return
    low, high = math.inf, -math.inf
    for _, block in row_views.blocks(x):
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        # Reading pictures from files twice would be slow.
        if x.dtype == np.uint8 and high > 1:
            return
    too_high = high > (1 + _OVERSHOOT) * _WHITE
    if not too_high and low >= -_OVERSHOOT * high and not 0 < high <= 1:
        return
    if too_high:
        way_out = "Scale them to 0 to 255: pixels of 16 bits divided by 257, those of 12 bits divided by 16."
    else:
        way_out = "Undo their scaling." if low < 0 else "Multiply them by 255."
    raise ValueError(f"Pictures should hold pixels from 0 to 255. Received: values from {low:g} to {high:g}. {way_out}")


def _fill(path: str, network: keras.Model, x: Any, shape: tuple[int, int], size: int, report: Report | None) -> None:
    """Write the features to a file that has a temporary name until it is complete."""
    part = path + _PART
    header = _header(shape)
    row_bytes = 4 * shape[1]
    try:
        with open(part, "ab") as file:
            done = max(0, file.tell() - len(header)) // row_bytes
            # The last batch may not have reached the disk before a power failure.
            done = max(0, done // size - 1) * size
            file.truncate(len(header) + done * row_bytes if done else 0)
            if not done:
                file.write(header)
            for _, rows in _computed(network, x, done, size, report):
                file.write(rows.tobytes())
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise error if error.filename not in (None, part, path) else cannot("write", path, error) from error


def _header(shape: tuple[int, int]) -> bytes:
    """Return the header of an .npy file that holds a float32 array of this shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _remove_unfinished(folder: Path, path: str) -> None:
    for part in glob.glob(os.path.join(glob.escape(os.fspath(folder)), f"features-*.npy{_PART}")):
        if part != path + _PART:
            with contextlib.suppress(OSError):
                os.remove(part)


def _key(network: keras.Model, x: Any) -> str:
    """Return a key that identifies the features of these pictures by this network: 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    layers = [layer for layer in network._flatten_layers() if not isinstance(layer, keras.Model)]
    described = [[settings(layer) for layer in layers], specs.graph(network)]
    digest.update(json.dumps(described, sort_keys=True).encode())
    for weight in network.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    source: Any = row_views.blocks_of(x)
    content = source.content() if hasattr(source, "content") else row_views.fingerprint(x)
    digest.update(json.dumps(content, sort_keys=True).encode())
    return digest.hexdigest()
