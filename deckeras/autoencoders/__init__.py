"""Autoencoders of dense layers, of convolutions and for series, and functions for their embedding."""

from deckeras.autoencoders.builders import convolutional_autoencoder, dense_autoencoder
from deckeras.autoencoders.series import series_autoencoder

__all__ = ["convolutional_autoencoder", "dense_autoencoder", "series_autoencoder"]
