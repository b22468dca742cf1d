"""Features of texts by a pretrained text encoder of KerasHub: the network, and the tokens that it takes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from deckeras import sources
from deckeras._typing import Array, Path
from deckeras.features import presets
from deckeras.features.networks import NAME

DEFAULT = "all_minilm_l6_v2_en"  # 22 million weights, trained so that texts of one meaning are near
MAX_TOKENS = 256  # of a text, as sentence encoders of this size read; further ones are left out
_PADDING = -1


class Tokenizer:
    """The first half of a text encoder: from texts to rows of tokens, by the vocabulary of a preset.

    `encoder` returns one with its network, and `load` reads one from a folder that `save` has written.

    Args:
        preprocessor: `keras_hub.models.TextEmbedderPreprocessor`.
        config: dict, the serialized backbone of the same preset, which a saved preset has to name.
    """

    def __init__(self, preprocessor: Any, config: dict[str, Any]) -> None:
        self.preprocessor, self.config = preprocessor, config

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Return the tokens of texts as rows for the network. They are made when they are read."""
        return Tokens(texts, self)

    @property
    def length(self) -> int:
        """int, the tokens of a text, padding included."""
        return int(self.preprocessor.sequence_length)

    def tokens(self, texts: Sequence[str]) -> Array:
        """Return the (n, length) int32 tokens of texts, with -1 as padding."""
        found = self.preprocessor(list(texts))
        ids, mask = (ops.convert_to_numpy(found[name]) for name in ("token_ids", "padding_mask"))
        return np.where(mask, ids, _PADDING).astype("int32")

    def content(self) -> str:
        """Return what tells this tokenizer from others: a checksum of its settings and its vocabulary."""
        tokenizer = self.preprocessor.tokenizer
        known = [self.length, tokenizer.get_vocabulary(), keras.saving.serialize_keras_object(tokenizer)]
        return hashlib.blake2b(json.dumps(known, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the tokenizer to a folder, without the weights of the network: some megabytes at most."""
        os.makedirs(folder, exist_ok=True)
        self.preprocessor.save_to_preset(os.fspath(folder))
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump(self.config, file)


class Tokens(sources.Items):
    """Texts as rows of tokens, made by a `Tokenizer` while they are read: (n, length) of int32.

    Args:
        texts: list of n str.
        tokenizer: `Tokenizer`.
    """

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer) -> None:
        super().__init__(len(texts), (tokenizer.length,), "int32")
        self.texts, self.tokenizer = list(texts), tokenizer

    def content(self) -> list[Any]:
        """Return what tells these tokens from others: the tokenizer, and a checksum of the texts in order."""
        digest = hashlib.blake2b(digest_size=16)
        for text in self.texts:
            digest.update(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        return ["texts", self.tokenizer.content(), digest.hexdigest()]

    def _each(self, rows: list[int]) -> Array:
        return self.tokenizer.tokens([self.texts[row] for row in rows])


def encoder(source: Path = "auto", *, length: int = MAX_TOKENS) -> tuple[keras.Model, Tokenizer]:
    """Return a frozen network from tokens to features, and the tokenizer that makes its tokens of texts.

    Args:
        source: "auto" (default), which is all_minilm_l6_v2_en; another preset of KerasHub that has a text embedder,
            such as "bge_m3" for many languages; or a folder that `save_to_preset` of one has written.
        length: int, default 256. The tokens of a text, as many as its network takes at most. The rest of a longer text
            is left out.

    Returns:
        (network, tokenizer): a `keras.Model` of the name "features", from (n, length) tokens to (n, n_features) float32
        features, and a `Tokenizer`. The preset decides how the vectors of the tokens are pooled; most take their mean,
        divided by its length.

    Raises:
        ImportError: KerasHub is not installed, or has no text embedders yet.
        OSError: the preset is not on this machine, and cannot be downloaded.
        ValueError: there is no such preset, it is not for texts, or Keras computes in half precision.

    Example:
        >>> from deckeras.features import compute, texts
        >>> network, tokenizer = texts.encoder()  # doctest: +SKIP
        >>> compute(network, tokenizer(["a red car", "an old tree"])).shape  # doctest: +SKIP
        (2, 384)
    """
    if np.dtype(keras.config.floatx()).itemsize < 4:
        raise ValueError(f"keras.config.floatx() should hold the numbers of tokens. Received: {keras.config.floatx()}")
    source = DEFAULT if source == "auto" else os.fspath(source)
    embedder = presets.load(source, "TextEmbedder")
    longest = getattr(embedder.backbone, "max_sequence_length", None) or length
    embedder.preprocessor.sequence_length = min(length, longest)
    tokenizer = Tokenizer(embedder.preprocessor, keras.saving.serialize_keras_object(embedder.backbone))
    inputs = keras.Input((tokenizer.length,), name="tokens")
    # Keras gives batches as floats, which hold any token exactly.
    tokens = ops.cast(inputs, "int32")
    parts = {"token_ids": ops.maximum(tokens, 0), "padding_mask": ops.cast(tokens >= 0, "int32")}
    parts |= {name: ops.zeros_like(tokens) for name in embedder.input if name not in parts}
    core = keras.Model(embedder.input, embedder.output, name="text_encoder")  # which is not compiled, as the task is
    vectors = keras.layers.Activation("linear", dtype="float32", name="vectors")(core(parts))
    network = keras.Model(inputs, vectors, name=NAME)
    network.trainable = False
    return network, tokenizer


def load(folder: Path) -> Tokenizer:
    """Read a tokenizer from a folder that `Tokenizer.save` has written.

    Raises:
        ImportError: as for `encoder`.
        OSError, ValueError: the folder is missing or damaged.
    """
    folder = os.fspath(folder)
    keras_hub = presets.library(folder)
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        return Tokenizer(keras_hub.models.TextEmbedderPreprocessor.from_preset(folder), config)
    except OSError:
        raise
    except Exception as error:  # KerasHub raises errors of many classes.
        words = " ".join(str(error).split())
        raise ValueError(f"{folder!r} should hold a tokenizer. Received: {words:.300}") from error
