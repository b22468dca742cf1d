"""The report of a run: one self-contained HTML file."""

from deckeras.report.sections import SECTIONS, Shown, make

__all__ = ["SECTIONS", "Shown", "make"]
