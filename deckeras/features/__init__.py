"""Features of pictures by a pretrained network, which knows more of them than their pixels say.

    network      a Keras model from pictures to features: of `keras.applications`, of KerasHub, of a file, or your own
    compute      the features of many pictures, once: in a file that an interruption does not lose
    whole        the network and a clustering of its features as one model, pictures in and clusters out
    thaw         train the network, too

`deckeras.DeepEmbeddedClustering(features=...)` and `deckeras fit --features NAME` do all of it.
"""

from deckeras.features.computing import as_pictures, check_width, compute, progress_bar
from deckeras.features.networks import network
from deckeras.features.whole import check_thaw, thaw, whole

__all__ = ["as_pictures", "check_thaw", "check_width", "compute", "network", "progress_bar", "thaw", "whole"]
