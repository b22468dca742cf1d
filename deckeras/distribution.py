"""Training over several processes, each with its own rows, by `keras.distribution` on the JAX backend.

JAX sums the gradients. Everything else that the processes must share goes through `gather`: the cluster frequencies,
the number of rows that changed cluster, and the rows for the first clusterer. Each process does the remaining work,
above all assigning and embedding, for its own rows without waiting for the others.

With a single process, all functions in this module work for that process alone, on any backend.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
import traceback
import weakref
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from deckeras._data import checks, row_views, seeding
from deckeras._typing import Array, RowArray, Tensor

_HEARTBEAT = 20  # seconds; with JAX's 100, the others would wait that long for a process that has ended
_VARIABLES = tuple(f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))
_CLUSTERS = ("SLURM_STEP_NODELIST", "OMPI_MCA_orte_hnp_uri")  # JAX detects the processes of these clusters.
_CHUNK = 2**20  # bytes per collective; one compiled program serves all longer arrays
_compiled = weakref.WeakKeyDictionary()


def start(address: str | None = None, n_processes: int | None = None, process: int | None = None) -> None:
    """Join the processes of a distributed training. Call this in each process, before anything else.

    Sets Keras's distribution to `DataParallel` over all devices of all processes, and all random seeds to one newly
    drawn number. From then on, an uncaught exception ends the process at once, so that the others also end instead of
    waiting for it.

    Args:
        address: str, "host:port" of the first process, default None: the environment variable
            `KERAS_DISTRIBUTION_JOB_ADDRESSES`.
        n_processes: int, default None: `KERAS_DISTRIBUTION_NUM_PROCESSES`.
        process: int, the number of this process, from 0, default None: `KERAS_DISTRIBUTION_PROCESS_ID`. If neither
            arguments nor variables are given, JAX detects the processes that SLURM's `srun` started, each of which
            uses one device; a single process divides its work among all its devices.

    Raises:
        RuntimeError: the backend is not JAX, or it has already begun to compute.
        ValueError: only some of the three are given.

    Example:
        >>> from deckeras import distribution
        >>> distribution.start()                        # doctest: +SKIP
        >>> model.fit(my_rows)                          # doctest: +SKIP
    """
    if keras.config.backend() != "jax":
        raise RuntimeError(
            "Distributed training needs the JAX backend. "
            f"Received: {keras.config.backend()!r}. Set the environment variable KERAS_BACKEND=jax."
        )
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    given = _given_processes(address, n_processes, process)
    if given:
        jax.distributed.initialize(*given, heartbeat_timeout_seconds=_HEARTBEAT)
    elif any(name in os.environ for name in _CLUSTERS):
        jax.distributed.initialize(heartbeat_timeout_seconds=_HEARTBEAT)
    elif int(os.environ.get("OMPI_COMM_WORLD_SIZE", 1)) > 1:
        raise ValueError(
            "Open MPI started several processes, but does not say where the first is. "
            f"Set {', '.join(_VARIABLES)} for each."
        )
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    if process_count() > 1:
        # Layers without a seed draw one, which must be the same in all processes.
        keras.utils.set_random_seed(agreed(seeding.fixed_seed(None)))
        sys.excepthook = _end_at_once


def process_count() -> int:
    """Return the number of processes that train together."""
    return _jax().process_count() if active() else 1


def process_index() -> int:
    """Return the number of this process, from 0."""
    return _jax().process_index() if active() else 0


def active() -> bool:
    """Return whether a distribution is set: over processes, or over the devices of this process."""
    return keras.config.backend() == "jax" and keras.distribution.distribution() is not None


@contextlib.contextmanager
def single_process() -> Iterator[None]:
    """Suspend the distribution, so that one process can save a model without waiting for the others.

    Keras creates variables while it saves, and under a distribution all processes must create a variable together.
    """
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def check(model: keras.Model) -> None:
    """Raise ValueError if a model was made for a kind of distribution in which it would be trained incorrectly."""
    strategy = getattr(model, "distribute_strategy", None)
    if getattr(strategy, "num_replicas_in_sync", 1) > 1:
        raise ValueError(
            f"deckeras does not train under tf.distribute. Received: a model made under a {type(strategy).__name__}. "
            "Keras would give the whole of each batch to each replica. Use KERAS_BACKEND=jax and "
            "deckeras.distribution.start()."
        )


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
    """Replace the error of a computation by one that says how to resume, if another process has ended.

    Raises:
        RuntimeError: another process has ended or cannot be reached.
    """
    try:
        yield
    except Exception as error:
        lost = any(word in str(error) for word in ("Gloo", "NCCL", "oordination service"))
        if process_count() == 1 or not lost:
            raise
        raise RuntimeError(
            "Another process of this training has ended or cannot be reached; its own output says why. Start them all "
            "again, or fewer of them: with checkpoint_dir, the training resumes from its last checkpoint."
        ) from error


@failing_together()
def gather(array: npt.ArrayLike) -> list[Array]:
    """Return the arrays of all processes.

    Args:
        array: array of numbers or strings. Its shape and dtype may differ between processes.

    Returns:
        list of arrays, in the order of the processes.

    Example:
        >>> from deckeras import distribution
        >>> [part.tolist() for part in distribution.gather([1, 2])]  # in one process
        [[1, 2]]
    """
    array = np.asarray(array)
    if process_count() == 1:
        return [array]
    from jax.experimental.multihost_utils import process_allgather

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    own = np.frombuffer(buffer.getvalue(), np.uint8)
    lengths = process_allgather(np.array(divmod(len(own), _CHUNK), np.int32)) @ [_CHUNK, 1]
    parts = [bytearray() for _ in lengths]
    for begin in range(0, max(lengths), _CHUNK):
        # A short piece is padded to a power of two, so that few programs are compiled.
        size = min(_CHUNK, 2 ** math.ceil(math.log2(max(lengths) - begin)))
        piece = own[begin : begin + size]
        padded = np.zeros(size, np.uint8)
        padded[: len(piece)] = piece
        for part, row in zip(parts, process_allgather(padded), strict=True):
            part += row.tobytes()
    files = (io.BytesIO(part[:length]) for part, length in zip(parts, lengths, strict=True))
    return [np.lib.format.read_array(file, allow_pickle=False) for file in files]


def total(value: npt.ArrayLike) -> Any:
    """Return the sum over the processes of a number or an array."""
    return _plain(sum(gather(value)))


def agreed(value: npt.ArrayLike) -> Any:
    """Return the number or the array of the first process, in every process."""
    return _plain(gather(value)[0])


def agreed_seed(seed: int | None) -> int:
    """Return `seeding.fixed_seed(seed)`; for None, one random seed that all processes share."""
    return seeding.fixed_seed(seed) if seed is not None else agreed(seeding.fixed_seed(None))


def relative_weights(sample_weight: npt.ArrayLike | None, n: int, n_clusters: int) -> npt.NDArray[np.float64] | None:
    """Return the weights of this process's n rows, scaled so that the weights of all processes have a mean of 1.

    Args:
        sample_weight: as for `checks.check_weights`.
        n, n_clusters: ints.

    Returns:
        (n,) float64 array, or None if all rows of all processes count equally.

    Raises:
        ValueError: as `check_weights`, or fewer rows than clusters have a weight above 0.
    """
    given = checks.check_weights(sample_weight, n)
    weights = np.ones(n) if given is None else given
    counted, even = total(int(np.count_nonzero(weights))), total(int(np.ptp(weights) == 0))
    first = np.stack(gather(weights[0]))
    if even == process_count() and np.ptp(first) == 0 and first[0] > 0:
        return None
    if counted < n_clusters:
        raise ValueError(
            f"sample_weight should be above zero for at least {n_clusters} rows, one a cluster. Received: {counted} "
            "such rows"
        )
    return weights * (total(n) / total(weights.sum()))


def own_rows(n: int) -> slice:
    """Return this process's part of rows that all processes can read.

    Args:
        n: int, the number of rows.

    Returns:
        slice.

    Example:
        >>> import numpy as np
        >>> from deckeras import distribution
        >>> x = np.arange(6)
        >>> x[distribution.own_rows(len(x))].tolist()  # in one process
        [0, 1, 2, 3, 4, 5]
    """
    process, processes = process_index(), process_count()
    return slice(n * process // processes, n * (process + 1) // processes)


def own_part(array: Array, n: int) -> Array:
    """Return this process's n rows of an array that holds the rows of all processes, one after the other."""
    start = int(np.sum(gather(n)[: process_index()]))
    return array[start : start + n]


def local_batch_size(batch_size: int) -> int:
    """Return this process's part of a batch, rounded down to a multiple of its devices.

    Args:
        batch_size: int, the rows in a batch of all processes together.

    Returns:
        int, at least one row for each device.
    """
    if not active():
        return batch_size
    devices = keras.distribution.distribution().device_mesh.devices.size
    return max(1, batch_size // devices) * devices // process_count()


def own_seed(seed: int) -> int | list[int]:
    """Return the seed of the order of this process's rows."""
    return seed if process_count() == 1 else [seed, process_index()]


def fingerprint(x: RowArray) -> dict[str, Any]:
    """Return `row_views.fingerprint` of the rows of all processes, those of the first process first."""
    lengths = [int(n) for n in gather(len(x))]
    own = row_views.fingerprint(x, sum(lengths[: process_index()]))
    sums = {name: sum(map(int, gather(np.uint64(own[name])))) % 2**64 for name in ("checksum", "order")}
    return {**own, "n_samples": sum(lengths), **sums}


def outputs(model: keras.Model, batches: Iterable[Tensor]) -> Array:
    """Compute the outputs of a model for this process's batches, from its own copy of the weights.

    Under a distribution, `Model.predict` would compute the batches of all processes together, but some processes may
    have more batches than others.

    Args:
        model: `keras.Model`.
        batches: iterable of arrays.

    Returns:
        array of all batches.
    """
    return np.concatenate([np.asarray(_call(model, batch)[0]) for batch in batches])


def augmented(model: keras.Model, rows: Tensor) -> Array:
    """Compute the training outputs of a model for this process's batch, and advance the state of its random numbers."""
    found, state = _call(model, rows, training=True)
    for variable, value in zip(model.non_trainable_variables, state, strict=True):
        value = np.asarray(value)
        # `assign` would compare the values of all processes, each time.
        everywhere = _jax().make_array_from_callback(value.shape, variable.value.sharding, value.__getitem__)
        variable.assign(everywhere)
    return np.asarray(found)


def _call(model: keras.Model, rows: Tensor, training: bool = False) -> tuple[Any, Any]:
    """Return (outputs, non-trainable variables) of a model in this process alone."""
    if model not in _compiled:
        reference: Any = weakref.ref(model)  # else the value would keep its key alive
        _compiled[model] = _jax().jit(
            lambda *arguments, training: reference().stateless_call(*arguments, training=training),
            static_argnames="training",
        )
    weights = [
        [variable.value.addressable_data(0) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]
    return _compiled[model](*weights, rows, training=training)


def _plain(value: Any) -> Any:
    """Return an array, or a Python number if the array has no dimensions."""
    return value if np.ndim(value) else value.item()


def _jax() -> Any:
    import jax

    return jax


def _given_processes(*arguments: str | int | None) -> tuple[str, int, int] | None:
    """Return (address, n_processes, process) from arguments or environment variables, or None if all are missing."""
    found: list[Any] = [
        os.environ.get(name) if given is None else given for given, name in zip(arguments, _VARIABLES, strict=True)
    ]
    missing = found.count(None)
    if missing == len(found):
        return None
    if missing:
        raise ValueError(
            f"address, n_processes and process should be given together, or the variables {', '.join(_VARIABLES)}. "
            f"Received: address={found[0]!r}, n_processes={found[1]!r}, process={found[2]!r}"
        )
    return found[0].partition(",")[0], int(found[1]), int(found[2])


def _end_at_once(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the exception and end without waiting for the other processes, which may be waiting for this one."""
    traceback.print_exception(kind, error, trace)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
