"""Libraries that only some files need: the extras of the installation."""


def needed(what, library, extra):
    """Return an ImportError that says how to install a library.

    Args:
        what: str, what cannot be done without it.
        library: str, its name.
        extra: str, the extra of deckeras that installs it.
    """
    return ImportError(f'{what} needs {library}. From the clone of deckeras: pip install -e ".[{extra}]"')
