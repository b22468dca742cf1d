"""Files that are whole or absent: each is written beside its target and renamed over it."""

import contextlib
import os
import tempfile


def prepare_directory(path):
    """Create a directory if it is missing, and check that files can be written there.

    Call it before a training starts rather than when the result is due.

    Returns:
        The path.

    Raises:
        OSError: the directory cannot be created or written.
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
def whole_file(path):
    """Yield the name of a draft, and rename the draft to `path` once the block has ended without an error."""
    path = os.fspath(path)
    root, extension = os.path.splitext(path)
    # Keras chooses the format of a file by its extension.
    draft = f"{root}.tmp{extension}"
    try:
        yield draft
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(draft)
