"""Models in .keras files, checked before Keras opens them: complete, without code, and no larger than they declare."""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import keras

from deckeras._train import hdf5_contents
from deckeras._typing import Path

_HARMLESS_BYTES = 2**26
_DEFLATED = 1100  # more than the ratio of 1,032 that deflate can reach
_SIZES = {"units", "filters", "n_clusters", "input_dim", "output_dim", "state_size"}


def load(path: Path) -> keras.Model:
    """Load a model from a .keras file that may be damaged or come from somebody else.

    Args:
        path: str or path of the file. None of its code is run: a model with a `Lambda` layer is refused.

    Returns:
        `keras.Model`, not compiled.

    Raises:
        OSError: there is no such file, it cannot be read, or it is damaged.
        ValueError: it contains code, declares sizes that its weights cannot have, or is not a model.
    """
    path = os.fspath(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"{path!r} should be a file that `save` of a model has written. Received: no regular file")
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive)
    except _ForeignError as error:
        raise ValueError(f"{path!r} should hold a model, and nothing else. Received: {error}") from error
    except Exception as error:  # zipfile, zlib, struct and json raise errors of many classes for damaged files.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise OSError(f"{path!r} is truncated, damaged or not a .keras file ({error}). Restore a copy.") from error
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras and its backends raise errors of many classes for configs of others.
        words = " ".join(str(error).split())
        if "Lambda" in words or "nsafe" in words or "safe_mode" in words:
            raise ValueError(
                f"{path!r} should hold layers, and no code of its own. Received: a model that would run code when it "
                "is loaded. If you trust its source, load it by keras.models.load_model(path, safe_mode=False)."
            ) from error
        raise ValueError(
            f"{path!r} should hold a model that this version of Keras loads. Received: {words:.500}"
        ) from error


class _ForeignError(Exception):
    """The file contains something that a model file never contains."""


def _check(archive: zipfile.ZipFile) -> None:
    for member in archive.infolist():
        if member.file_size > max(_HARMLESS_BYTES, _DEFLATED * member.compress_size):
            raise _ForeignError(f"{member.filename!r}, which promises {member.file_size:,} bytes that it does not hold")
    damaged = archive.testzip()  # Keras reads only the parts that it needs, and does not notice damage.
    if damaged is not None:
        raise OSError(f"the checksum of {damaged!r} does not match")
    weights = sum(member.file_size for member in archive.infolist() if member.filename.endswith(".h5"))
    for size in _sizes(json.loads(archive.read("config.json"))):
        if size > max(_HARMLESS_BYTES, 2 * weights):
            raise _ForeignError(f"a layer of {size:,} units, whose weights are not in the file")
    for member in archive.infolist():
        if member.filename.endswith(".h5"):
            with h5py.File(io.BytesIO(archive.read(member)), "r") as file:
                try:
                    hdf5_contents.check(file, member.file_size)
                except ValueError as error:
                    raise _ForeignError(str(error)) from error


def _sizes(config: Any) -> Iterator[int]:
    """Yield the sizes of layers in a config."""
    if isinstance(config, list):
        for item in config:
            yield from _sizes(item)
    elif isinstance(config, dict):
        for name, item in config.items():
            if name in _SIZES and isinstance(item, int):
                yield item
            else:
                yield from _sizes(item)
