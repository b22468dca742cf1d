"""The command `deckeras`."""

from deckeras.cli.commands import entry_point, main

__all__ = ["entry_point", "main"]
