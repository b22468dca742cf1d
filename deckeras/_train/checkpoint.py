"""One .h5 file that holds a training in progress: weights, optimizer and the state of the training loop.

A file is either complete or absent, because it is written beside its target and then renamed. Each file contains an
identity (the data, the shapes and everything else that must not change), and a training with another identity refuses
it. Its user block contains a checksum of its contents, so that damage on the disk is detected.

Layout: the attributes `deckeras_checkpoint` (format version), `identity`, `optimizer` and `state` (JSON), and the
groups `model`, `optimizer` and `others` with one data set for each variable, named by its position, its Keras path in
`path`. The group `arrays` holds what the training saves in addition to its variables. Files without this group can also
be loaded, and so can files of versions before 5, which have no checksum.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import h5py
import keras
import numpy as np

from deckeras import distribution
from deckeras._train import hdf5_contents
from deckeras._train.directories import prepare_directory
from deckeras._train.whole_files import cannot, reason_of, whole_file
from deckeras._typing import Array, Path
from deckeras._warnings import warn

__all__ = [
    "Checkpoint",
    "architecture",
    "prepare_directory",
    "scheduled_iterations",
    "serialize",
    "settings",
    "whole_file",
]

VERSION = 7
# Version 3 records fewer settings, 5 is the first with a checksum, 6 with the order of the rows, 7 with the start.
READABLE = (3, 4, 5, 6, VERSION)
_SEALED = 5
_RESTART = "Delete it to start anew, or restore a copy."


def architecture(model: keras.Model) -> list[list[Any]]:
    """Return the JSON-able class, activation and weights' shapes of each layer, the same in every process."""
    layers = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            layers += architecture(layer)
        else:
            activation = getattr(getattr(layer, "activation", None), "__name__", None)
            layers.append([type(layer).__name__, activation, [list(weight.shape) for weight in layer.weights]])
    return layers


def settings(keras_object: Any) -> Any:
    """Return the JSON-able settings of a layer or an optimizer, equal for any two that work in the same way."""
    return _without_names(json.loads(json.dumps(serialize(keras_object))))


def serialize(keras_object: Any) -> Any:
    """Return the config of a Keras object, with class names that every backend knows.

    On PyTorch, Keras replaces the optimizers by PyTorch-specific classes and writes their names, which no other backend
    can load or train with.
    """
    return _with_public_names(keras.saving.serialize_keras_object(keras_object))


def scheduled_iterations(path: Path) -> int | None:
    """Return the decay steps of the checkpoint's learning rate, or None if it has no schedule or there is no file.

    A training that is resumed with more iterations keeps this schedule, because a new one would raise the rate again.
    """
    with contextlib.suppress(OSError, KeyError, ValueError), hdf5_contents.opened(path) as (file, _):
        config = json.loads(file.attrs["optimizer"])["config"]
        # Under float16, the optimizer is within another that scales the loss.
        rate = config.get("inner_optimizer", {"config": config})["config"].get("learning_rate")
        return rate["config"].get("decay_steps") if isinstance(rate, dict) else None
    return None


class Checkpoint:
    """The file of one training. Call `restore` first, and then `save` from time to time.

    Args:
        path: str or path of the .h5 file.
        model: compiled `keras.Model` with its weights built.
        identity: JSON-able dict that describes the training. A file with another identity is refused.
        optimizer: `settings` with which the model was compiled, default None: its current settings.
        others: list of other Keras variables that training changes, default none.

    Attributes:
        arrays: dict from name to array, saved and restored with the variables.
    """

    def __init__(
        self,
        path: Path,
        model: keras.Model,
        identity: dict[str, Any],
        optimizer: Any = None,
        others: Iterable[keras.Variable] = (),
    ) -> None:
        self.path = os.fspath(path)
        self.model = model
        self.identity = json.loads(json.dumps(identity, default=lambda number: number.item()))  # of NumPy
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self.others = list(others)
        self.arrays = {}
        self.optimizer = optimizer or settings(model.optimizer)
        self._iteration = None  # of the state in the file

    @property
    def directory(self) -> str:
        """str, the directory of the file."""
        return os.path.dirname(os.path.abspath(self.path))

    def exists(self) -> bool:
        """Return whether there is a file to resume from.

        Raises:
            ValueError: only some of the processes of a distributed training see the file.
        """
        seen = distribution.gather(os.path.exists(self.path))
        if not np.all(seen) and np.any(seen):
            raise ValueError(
                f"All processes of a training should see the same checkpoint directory. Received: {self.path!r}, which "
                f"only the processes {np.flatnonzero(seen).tolist()} see. Pass a directory that they share."
            )
        return bool(seen[0])

    def save(self, state: dict[str, Any], arrays: Mapping[str, Array] = MappingProxyType({})) -> None:
        """Write weights, optimizer and state (a dict of values that JSON or `float` accepts) atomically.

        In distributed training, the first process writes for all.

        Args:
            state: dict.
            arrays: dict from name to array, default none, saved together with those in the attribute `arrays`.

        Raises:
            OSError: the file cannot be written; an older file remains unchanged. The message says why, and where the
                training can resume.
        """
        if distribution.process_index():
            return
        try:
            with whole_file(self.path) as draft:
                self._write(draft, state, {**self.arrays, **arrays})
        except OSError as error:
            made = type(error)(f"{error} {self._resumption()}")
            made.errno = error.errno
            raise made from error
        self._iteration = state.get("iteration")

    def restore(self) -> dict[str, Any] | None:
        """Restore the model and its optimizer, if there is a file.

        Nothing is changed unless everything fits. The optimizer's variables are restored only if it was compiled with
        the settings in the file. An optimizer with other settings, for example with a lower learning rate after a NaN
        loss, remains unchanged, with a warning.

        Returns:
            The state that was saved, or None if there is no file.

        Raises:
            OSError: the file is truncated, damaged, or not an HDF5 file.
            ValueError: the file is not a checkpoint, or belongs to another training; the message says how they differ.
        """
        if not self.exists():
            return None
        variables, optimizer = self.model.variables + self.others, self.model.optimizer.variables
        found = self._read()
        self._check(found["identity"], found["version"])
        values = self._fitting(found, "model", self.model.variables) + self._fitting(found, "others", self.others)
        other = found["optimizer_settings"] != self.optimizer
        if not other and len(found["optimizer"]) == len(optimizer) and found["trained"] in (None, self._trained()):
            values += self._fitting(found, "optimizer", optimizer)
        else:
            what = "another optimizer, so this one" if other else "other frozen layers, so the optimizer"
            warn(
                f"The checkpoint {self.path!r} was written with {what} starts afresh from its weights, without "
                "momentum.",
            )
        for variable, value in zip(variables + optimizer, values, strict=False):
            variable.assign(value)
        self.arrays, self._iteration = found["arrays"], found["state"].get("iteration")
        return found["state"]

    def _trained(self) -> list[int]:
        """Return the positions of the trained variables among all, whose momentum the optimizer has in this order."""
        places = {id(variable): place for place, variable in enumerate(self.model.variables)}
        return [places[id(variable)] for variable in self.model.trainable_variables]

    def _write(self, draft: str, state: dict[str, Any], saved: Mapping[str, Array]) -> None:
        try:
            with h5py.File(draft, "w", locking=False, userblock_size=hdf5_contents.BLOCK) as file:
                file.attrs["deckeras_checkpoint"] = VERSION
                described = {"identity": self.identity, "optimizer": self.optimizer, "trained": self._trained()}
                for name, value in {**described, "state": state}.items():
                    file.attrs[name] = json.dumps(value, default=float)  # callbacks may log NumPy numbers
                _write_variables(file.create_group("model"), self.model.variables)
                _write_variables(file.create_group("others"), self.others)
                _write_variables(file.create_group("optimizer"), self.model.optimizer.variables)
                arrays = file.create_group("arrays")
                for name, array in saved.items():
                    arrays.create_dataset(name, data=array, compression="gzip")
        except RuntimeError as error:  # HDF5 raises one if the last bytes of a file do not fit on the disk.
            raise OSError(str(error)) from error
        hdf5_contents.seal(draft)

    def _resumption(self) -> str:
        if self._iteration is None or not os.path.isfile(self.path):
            return "There is no checkpoint to resume from."
        return f"The checkpoint {self.path!r} is of iteration {self._iteration}: the same call resumes from there."

    def _read(self) -> dict[str, Any]:
        """Return the verified contents of the file as a dict."""
        try:
            with hdf5_contents.opened(self.path) as (file, sealed):
                found = {"version": file.attrs.get("deckeras_checkpoint")}
                if (found["version"] or 0) >= _SEALED and not sealed:
                    raise ValueError("its checksum is missing")
                if found["version"] in READABLE:
                    found |= _contents(file)
        except Exception as error:  # HDF5 and h5py raise errors of many classes for damaged files.
            if isinstance(error, OSError) and reason_of(error)[0] is not None:
                raise cannot("read", self.path, error) from error
            raise OSError(f"{self.path!r} is truncated, damaged or not an HDF5 file ({error}). {_RESTART}") from error
        if len(found) == 1:
            raise ValueError(
                f"{self.path!r} is not a checkpoint of this version of deckeras "
                f"(deckeras_checkpoint should be {VERSION}). Received: {found['version']}. Pass another directory."
            )
        return found

    def _check(self, identity: dict[str, Any], version: int) -> None:
        asked = self.identity
        if version != VERSION:
            asked = _known(asked, identity)
        differences = list(_differences(identity, asked))
        if differences:
            raise ValueError(
                f"The checkpoint {self.path!r} belongs to another training. They differ in {'; '.join(differences)}. "
                "Pass another directory, or delete the file to start anew."
            )

    def _fitting(self, found: dict[str, Any], group: str, variables: Sequence[keras.Variable]) -> list[Array]:
        values = found[group]
        if len(values) != len(variables):
            raise ValueError(
                f"The checkpoint {self.path!r} has {len(values)} {group} variables. Expected {len(variables)}."
            )
        for value, variable in zip(values, variables, strict=True):
            if value.shape != tuple(variable.shape):
                raise ValueError(
                    f"The checkpoint {self.path!r} holds {variable.path} of shape {value.shape}. "
                    f"Expected {tuple(variable.shape)}."
                )
        return values


def _contents(file: h5py.File) -> dict[str, Any]:
    """Return the contents of a checkpoint's file."""
    hdf5_contents.check(file, os.path.getsize(file.filename))
    found = {name: json.loads(file.attrs[name]) for name in ("identity", "optimizer", "state")}
    found["optimizer_settings"] = found.pop("optimizer")
    found["trained"] = json.loads(file.attrs.get("trained", "null"))
    for name in "model", "others", "optimizer":
        found[name] = [file[name][str(position)][()] for position in range(len(file[name]))]
    found["arrays"] = {name: array[()] for name, array in file.get("arrays", {}).items()}
    return found


def _with_public_names(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    if str(config.get("module")).startswith("keras.src.backend."):
        config = {**config, "module": "keras.optimizers", "registered_name": None}
    return {key: _with_public_names(value) for key, value in config.items()}


def _without_names(config: Any) -> Any:
    """Leave out the names, which Keras numbers anew for each instance (`sgd`, `sgd_1`)."""
    if not isinstance(config, dict):
        return config
    return {key: _without_names(value) for key, value in config.items() if key != "name"}


def _differences(found: Any, expected: Any, path: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            yield from _differences(found.get(key), expected.get(key), f"{path}.{key}" if path else key)
    elif found != expected:
        yield f"{path}: {found} in the file, {expected} here"


def _known(asked: Any, found: Any) -> Any:
    """Return the requested settings without the names that an older file does not have."""
    if not isinstance(asked, dict) or not isinstance(found, dict):
        return asked
    return {name: _known(value, found[name]) for name, value in asked.items() if name in found}


def _write_variables(group: h5py.Group, variables: Iterable[keras.Variable]) -> None:
    for position, variable in enumerate(variables):
        value = keras.ops.convert_to_numpy(variable)
        # HDF5 has no bfloat16, all of whose numbers are float32, too.
        value = value.astype(np.float32) if value.dtype.name == "bfloat16" else value
        group.create_dataset(str(position), data=value).attrs["path"] = variable.path
