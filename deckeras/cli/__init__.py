"""The command `deckeras`."""

from deckeras.cli.entry import entry_point, main
from deckeras.cli.parser import build_parser

__all__ = ["build_parser", "entry_point", "main"]
