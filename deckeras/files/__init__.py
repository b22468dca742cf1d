"""Rows from the files that people have: tables, arrays, folders of images."""

from deckeras.files.layouts import Layout, Rows
from deckeras.files.reading import read, read_like

__all__ = ["Layout", "Rows", "read", "read_like"]
