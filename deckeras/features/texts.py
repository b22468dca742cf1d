"""Compute features of texts with a pretrained text encoder of KerasHub: the network and its tokenizer."""

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

DEFAULT = "all_minilm_l6_v2_en"  # 22 million weights, trained so that texts of similar meaning are close
MAX_TOKENS = 256  # per text, as usual for sentence encoders of this size; the rest is left out
_PADDING = -1


class Tokenizer:
    """The first half of a text encoder: it turns texts into rows of tokens, with the vocabulary of a preset.

    `encoder` returns a tokenizer with its network, and `load` reads one from a folder that `save` has written.

    Args:
        preprocessor: `keras_hub.models.TextEmbedderPreprocessor`.
        config: dict, the serialized backbone of the same preset, which a saved preset must name.
    """

    def __init__(self, preprocessor: Any, config: dict[str, Any]) -> None:
        self.preprocessor, self.config = preprocessor, config

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Return the tokens of texts as rows for the network. They are computed when they are read."""
        return Tokens(texts, self)

    @property
    def length(self) -> int:
        """int, the number of tokens per text, including padding."""
        return int(self.preprocessor.sequence_length)

    def tokens(self, texts: Sequence[str]) -> Array:
        """Return the (n, length) int32 tokens of texts, with -1 as padding."""
        found = self.preprocessor(list(texts))
        ids, mask = (ops.convert_to_numpy(found[name]) for name in ("token_ids", "padding_mask"))
        return np.where(mask, ids, _PADDING).astype("int32")

    def content(self) -> str:
        """Return what identifies this tokenizer: a checksum of its settings and its vocabulary."""
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
    """Texts as rows of tokens, which a `Tokenizer` computes when they are read: (n, length) int32.

    Args:
        texts: list of n str.
        tokenizer: `Tokenizer`.
    """

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer) -> None:
        super().__init__(len(texts), (tokenizer.length,), "int32")
        self.texts, self.tokenizer = list(texts), tokenizer

    def content(self) -> list[Any]:
        """Return what identifies these tokens: the tokenizer, and a checksum of the texts in order."""
        digest = hashlib.blake2b(digest_size=16)
        for text in self.texts:
            digest.update(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        return ["texts", self.tokenizer.content(), digest.hexdigest()]

    def _each(self, rows: list[int]) -> Array:
        return self.tokenizer.tokens([self.texts[row] for row in rows])


def encoder(source: Path = "auto", *, length: int = MAX_TOKENS) -> tuple[keras.Model, Tokenizer]:
    """Return a frozen network from tokens to features, and the tokenizer that turns texts into tokens.

    Args:
        source: "auto" (default), which is all_minilm_l6_v2_en; another preset of KerasHub that has a text embedder,
            such as "bge_m3" for many languages; or a folder that its `save_to_preset` has written.
        length: int, default 256. The number of tokens per text, limited to what the network takes. The rest of a longer
            text is left out.

    Returns:
        (network, tokenizer): a `keras.Model` of the name "features", from (n, length) tokens to (n, n_features) float32
        features, and a `Tokenizer`. The preset decides how the vectors of the tokens are pooled; most use their mean,
        scaled to unit length.

    Raises:
        ImportError: KerasHub is not installed, or its version has no text embedders.
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
    # Keras passes batches as floats, which represent every token exactly.
    tokens = ops.cast(inputs, "int32")
    parts = {"token_ids": ops.maximum(tokens, 0), "padding_mask": ops.cast(tokens >= 0, "int32")}
    parts |= {name: ops.zeros_like(tokens) for name in embedder.input if name not in parts}
    core = keras.Model(embedder.input, embedder.output, name="text_encoder")  # unlike the task, it is not compiled
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
