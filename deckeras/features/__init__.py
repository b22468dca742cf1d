"""Compute features of pictures and texts with a pretrained network. They capture more meaning than pixels or words.

    network      a Keras model from pictures to features, from `keras.applications`, KerasHub or a file, or your own
    texts        text encoders of KerasHub: `texts.encoder` returns a network and the tokenizer of its inputs
    compute      the features of many pictures or texts, computed once, in a file that survives an interruption
    whole        the network and a clustering of its features as one model, from pictures to clusters
    thaw         train the network together with the clusters

`deckeras.DeepEmbeddedClustering(features=...)` and `deckeras fit --features NAME` do all of this.
"""

from deckeras.features import texts
from deckeras.features.computing import compute
from deckeras.features.extraction import extracted
from deckeras.features.networks import network
from deckeras.features.whole import check_thaw, thaw, whole

__all__ = ["check_thaw", "compute", "extracted", "network", "texts", "thaw", "whole"]
