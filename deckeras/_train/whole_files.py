"""Files that are either complete or absent, and error messages for files that cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator

from deckeras._train.directories import DRAFT, holds

_LOOSE_DRAFT = ".deckeras-loose-"  # drafts of a process without the lock, which no other process may remove
_ADVICE = {
    errno.ENOSPC: "Make room on the disk.",
    errno.EDQUOT: "Make room within the quota of the disk.",
    errno.ENOENT: "The directory was removed: create it again.",
    errno.ENOTDIR: "The directory was replaced by a file: pass another one.",
    errno.EISDIR: "A directory stands in the place of the file: move it away.",
    errno.EACCES: "Make file and directory writable, or pass another directory.",
    errno.EPERM: "Make file and directory writable, or pass another directory.",
    errno.EROFS: "Pass a directory on another file system.",
}


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield a name to write to, and rename that file to `path` once the block has ended without an error.

    The name is new and hard to guess, and the file is created before the block begins, so that no link or pipe can take
    its place.

    Args:
        path: str or path of a file. It is replaced, and other processes see the earlier file until then.

    Raises:
        OSError: the file cannot be written. The message states its path and the reason. An earlier file is unchanged.
    """
    path = os.fspath(path)
    draft = None
    try:
        draft = _new_draft(path)
        yield draft
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        if os.path.isfile(path) and not os.path.islink(path):
            shutil.copymode(path, draft)  # Others may not be allowed to read the earlier file.
        os.replace(draft, path)
    except OSError as error:
        raise cannot("write", path, error) from error
    finally:
        if draft is not None:
            with contextlib.suppress(OSError):
                os.remove(draft)


def cannot(what: str, path: str, error: OSError, way_out: str = "") -> OSError:
    """Return an OSError of the same class as `error` that says which file cannot be read or written, and why.

    Args:
        what: str, "read" or "write".
        path: str, the file.
        error: OSError, possibly raised by HDF5 with its own message.
        way_out: str, advice for the user, by default what the reason suggests.
    """
    number, reason = reason_of(error)
    advice = way_out or _ADVICE.get(number or 0, "Pass another path.")
    made = type(OSError(number, ""))(f"Cannot {what} {path!r}: {reason}. {advice}")
    made.errno = number
    return made


def reason_of(error: OSError) -> tuple[int | None, str]:
    """Return the number and the text of the operating system's error, which HDF5 includes in its own message."""
    number = error.errno
    if number is None:
        found = re.search(r"errno = (\d+)", str(error))
        number = int(found[1]) if found else None
    if number is None and isinstance(error.__cause__, OSError):
        return reason_of(error.__cause__)
    return number, str(error) if number is None else os.strerror(number)


def _new_draft(path: str) -> str:
    """Create an empty file beside `path`, with a name that was not in use, and return the name."""
    directory, name = os.path.split(path)
    prefix = DRAFT if holds(directory or ".") else _LOOSE_DRAFT
    extension = os.path.splitext(name)[1]  # Keras chooses the format of a file by its extension.
    # Files of `tempfile` can be read only by their owner. These files have the default permissions of new files.
    draft = os.path.join(directory, f"{prefix}{secrets.token_hex(8)}.tmp{extension}")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return draft


def check_target(path: str | os.PathLike[str], what: str, sources: Iterable[str] = ()) -> None:
    """Check that a file can be written, before there is anything to write.

    Args:
        path: str or path.
        what: str, the contents of the file, for the messages.
        sources: paths that are read, default none. The file must not replace one of them.

    Raises:
        FileNotFoundError: the folder of the file is missing.
        ValueError: the path is that of a folder, or of a source.
        OSError: the file cannot be written.
    """
    path = os.path.abspath(path)
    if not os.path.isdir(os.path.dirname(path)):
        raise FileNotFoundError(f"There is no folder {os.path.dirname(path)!r} for {what}. Create it first.")
    if os.path.isdir(path):
        raise ValueError(f"The file for {what} should not be a folder. Received: {path!r}")
    if os.path.exists(path) and any(os.path.exists(source) and os.path.samefile(path, source) for source in sources):
        raise ValueError(f"{path!r} is read. Choose another file for {what}, since this one would be lost.")
    try:
        os.remove(_new_draft(path))
    except OSError as error:
        raise cannot("write", path, error) from error
