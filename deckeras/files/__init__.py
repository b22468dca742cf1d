"""Read rows from common files: tables, arrays and folders of images."""

from deckeras.files.layouts import Layout, Rows
from deckeras.files.reading import read, read_like

__all__ = ["Layout", "Rows", "read", "read_like"]
