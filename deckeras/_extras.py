"""Optional libraries: the extras of the installation."""

from __future__ import annotations


def needed(task: str, library: str, extra: str) -> ImportError:
    """Return an ImportError with the command that installs an optional library.

    Args:
        task: str, the task that needs it, such as "Reading .xls".
        library: str, its name.
        extra: str, the extra of deckeras that installs it.
    """
    return ImportError(f'{task} needs {library}. From the clone of deckeras: pip install -e ".[{extra}]"')
