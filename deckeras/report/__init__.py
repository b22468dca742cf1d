"""The report of a run: one HTML file that needs nothing else, neither a server nor the network."""

from deckeras.report.sections import make

__all__ = ["make"]
