"""`python -m deckeras`, the same as the command `deckeras`."""

from deckeras.cli import run

run()
