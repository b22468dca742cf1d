"""`python -m deckeras`, the same as the command `deckeras`."""

from deckeras.cli import entry_point

entry_point()
