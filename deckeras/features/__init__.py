"""Features of pictures and texts by a pretrained network, which hold more of their meaning than pixels and words.

    network      a Keras model from pictures to features: of `keras.applications`, of KerasHub, of a file, or your own
    texts        text encoders of KerasHub: `texts.encoder` returns a network and the tokenizer of its inputs
    compute      the features of many pictures or texts, once: in a file that an interruption does not lose
    whole        the network and a clustering of its features as one model, pictures in and clusters out
    thaw         train the network, too

`deckeras.DeepEmbeddedClustering(features=...)` and `deckeras fit --features NAME` do all of it.
"""

from deckeras.features import texts
from deckeras.features.computing import compute
from deckeras.features.extraction import extracted
from deckeras.features.networks import network
from deckeras.features.whole import check_thaw, thaw, whole

__all__ = ["check_thaw", "compute", "extracted", "network", "texts", "thaw", "whole"]
