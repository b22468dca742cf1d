"""Rows from the files that people have: tables, arrays, folders of images."""

from deckeras.files.reading import Layout, Rows, read, read_like

__all__ = ["Layout", "Rows", "read", "read_like"]
