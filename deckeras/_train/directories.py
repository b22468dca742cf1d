"""The directory of a training: checks that it is writable, and a lock for one process at a time.

The operating system holds the lock on the file `.deckeras.lock` in the directory. It ends with its process, however the
process ends, so no lock is ever left behind. Drafts of files have names that show that a process held the directory,
and the next process to hold it removes the drafts that a killed process has left.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import re
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from deckeras._warnings import warn

LOCK_FILE = ".deckeras.lock"
DRAFT = ".deckeras-draft-"
# Earlier versions wrote these.
_STALE = re.compile(rf"{re.escape(DRAFT)}[0-9a-f]+\.tmp(\..*)?|(checkpoint|pretraining(-pair\d+)?)\.tmp\.h5")
_BUSY = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_held = {}  # from device and inode of a directory to the process and the thread that hold it, and how many times
_registry = threading.Lock()
_Path = TypeVar("_Path", bound=str | os.PathLike[str])
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def prepare_directory(path: _Path) -> _Path:
    """Create the directory if it is missing, and check that files can be written there.

    Call it before a training starts rather than when the result is to be saved. Returns the path.

    Raises:
        OSError: the directory cannot be created or written. The message states the path and the reason.
    """
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OSError(
            f"Cannot write to the directory {os.fspath(path)!r}: {error.strerror or error}. "
            "Pass another directory, or make this one writable."
        ) from error
    return path


@contextlib.contextmanager
def hold_directory(path: str | os.PathLike[str] | None) -> Iterator[None]:
    """Keep all other processes and threads out of the directory of a training until the block has ended.

    A thread that holds a directory may hold it again. In distributed training, the first process holds it for all.

    Args:
        path: directory, created if it is missing; None for a training that is not saved, which holds nothing.

    Raises:
        BlockingIOError: another process or thread holds it; the message says which.
        OSError: the directory cannot be written.

    Warns:
        UserWarning: the file system has no locks, so other processes are not kept out.

    Example:
        >>> import tempfile
        >>> from deckeras._train.directories import hold_directory, holds
        >>> with tempfile.TemporaryDirectory() as directory, hold_directory(directory):
        ...     holds(directory)
        True
    """
    if path is None:
        yield
        return
    import numpy as np

    # It imports Keras, which takes seconds and is not needed to write files.
    from deckeras import distribution

    release, refusal = None, b""
    if not distribution.process_index():
        try:
            release = _acquire(os.fspath(prepare_directory(path)))
        except BlockingIOError as error:
            refusal = str(error).encode()
    refusal = bytes(distribution.agreed(np.frombuffer(refusal, np.uint8)))
    if refusal:
        raise BlockingIOError(refusal.decode())
    try:
        yield
    finally:
        if release is not None:
            release()


def holding_directory(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorate a function so that it holds the directory of its argument `checkpoint_dir` while it runs."""

    @functools.wraps(function)
    def hold(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        directory: Any = kwargs.get("checkpoint_dir")
        with hold_directory(directory):
            return function(*args, **kwargs)

    return hold


def holds(path: str | os.PathLike[str]) -> bool:
    """Return whether this process holds a directory."""
    with contextlib.suppress(OSError):
        return _held.get(_identity(path), (None,))[0] == os.getpid()
    return False


def _acquire(path: str) -> Callable[[], None]:
    """Hold a directory, and return the function that releases it."""
    key, me = _identity(path), (os.getpid(), threading.get_ident())
    with _registry:
        *holder, count, lock = _held.get(key, (None, None, 0, None))
        # A forked process has the entry of its parent, but not the parent's lock.
        if holder[0] == me[0]:
            if holder[1] != me[1]:
                raise BlockingIOError(_refusal(path, "another thread of this process"))
        else:
            count, lock = 0, _lock(path)
        _held[key] = (*me, count + 1, lock)
    return lambda: _release(key, path)


def _release(key: tuple[int, int], path: str) -> None:
    with _registry:
        *holder, count, lock = _held.pop(key)
        if count > 1:
            _held[key] = (*holder, count - 1, lock)
        elif lock is not None:
            _unlock(path, lock)


def _lock(path: str) -> int | None:
    """Lock the file of a directory, and return its descriptor, or None if the file system has no locks."""
    file = os.path.join(path, LOCK_FILE)
    while True:
        lock = _opened(file)
        try:
            _lock_file(lock)
        except OSError as error:
            text = _refusal(path, _holder(lock))
            os.close(lock)
            if error.errno in _BUSY:
                raise BlockingIOError(text) from error
            warn(
                f"The file system of {path!r} has no locks ({error.strerror or error}). Make sure that no other "
                "process trains in this directory at the same time.",
            )
            return None
        # The previous holder may have removed the file since this process opened it.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(lock), os.stat(file)):
                break
        os.close(lock)
    os.truncate(lock, 0)
    os.write(lock, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
    _remove_drafts(path)
    return lock


def _opened(file: str) -> int:
    # Open neither another file through a link nor a pipe that nobody reads.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        lock = os.open(file, flags, 0o666)
        if stat.S_ISREG(os.fstat(lock).st_mode):
            return lock
        os.close(lock)
        reason = "it is not a regular file"
    except OSError as error:
        reason = error.strerror
    raise OSError(f"Cannot lock the directory by {file!r}: {reason}. Remove this file, or pass another directory.")


def _lock_file(lock: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(lock, 2**30, os.SEEK_SET)  # Others cannot read the bytes that are locked.
        msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        os.lseek(lock, 0, os.SEEK_SET)
    else:
        import fcntl

        # The lock belongs to this process alone. With `flock`, forked processes that outlive this one would keep it.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(path: str, lock: int) -> None:
    file = os.path.join(path, LOCK_FILE)
    if os.name == "posix":  # Elsewhere a file that is open cannot be removed.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(lock), os.stat(file)):
                os.remove(file)
    os.close(lock)


def _holder(lock: int) -> str:
    try:
        found = json.loads(os.pread(lock, 1000, 0) if hasattr(os, "pread") else os.read(lock, 1000))
        return f"process {int(found['pid'])} on the host {found['host']!s:.100}"
    except (OSError, ValueError, TypeError, KeyError):  # The holder has not written its identity yet.
        return "another process"


def _refusal(path: str, holder: str) -> str:
    return (
        f"The directory {path!r} should be used by one training at a time. Received: a directory that {holder} trains "
        "in. Wait until it has ended, or pass another directory."
    )


def _identity(path: str | os.PathLike[str]) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _remove_drafts(path: str) -> None:
    """Remove what killed processes have left unfinished."""
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if _STALE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.remove(entry.path)
