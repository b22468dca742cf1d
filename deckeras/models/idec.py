"""IDEC: DEC that keeps the decoder, so that the embedding still represents the rows during clustering."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any

import keras

from deckeras._train import specs
from deckeras._train.checkpoint import architecture
from deckeras._typing import Array, Callbacks, Loss, Optimizer, Rows, Tensor, Verbose
from deckeras.autoencoders.embedding import check_decoder, check_encoder
from deckeras.layers import check_n_clusters
from deckeras.models import configs, h5_names
from deckeras.models.dec import DEC
from deckeras.recipes import Recipe

_OUTPUTS = ("q", "reconstruction")


@keras.saving.register_keras_serializable(package="deckeras")
class IDEC(DEC):
    r"""Improved Deep Embedded Clustering: the reconstruction stays in the loss.

    $$L = L_r + \gamma\,\mathrm{KL}(P \Vert Q), \qquad
      L_r = \frac{1}{n d} \sum_i \lVert x_i - \mathrm{decoder}(\mathrm{encoder}(x_i)) \rVert^2$$

    A functional `keras.Model` from the encoder's inputs to a dict: `q`, the soft assignments, and `reconstruction`.
    `fit`, `predict`, `predict_clusters`, `embed`, saving and loading are those of `DEC`; `predict` returns only q. With
    `augment`, the reconstruction is compared with the augmented row.

    Args:
        encoder: as for `DEC`.
        decoder: model that was pretrained with the encoder and maps the embedding back to the shape of a row.
        n_clusters, alpha: as for `DEC`.
        gamma: float > 0, default 0.1 as in the paper. The weight of the clustering loss.
        **kwargs: as for `DEC`; `name` is "idec" by default.

    Raises:
        TypeError, ValueError: as for `DEC`; or the decoder does not map the embedding to rows, or `gamma` is invalid.

    Example:
        >>> import numpy as np
        >>> from deckeras import IDEC, dense_autoencoder, pretrain_autoencoder
        >>> x = np.random.default_rng(0).normal(size=(300, 8)) + 5 * np.repeat(np.eye(3, 8), 100, axis=0)
        >>> encoder, decoder = dense_autoencoder(8, units=(32, 2))
        >>> history = pretrain_autoencoder(encoder, decoder, x, epochs=50, verbose=0)
        >>> model = IDEC(encoder, decoder, n_clusters=3)
        >>> history = model.fit(x, max_iterations=100, verbose=0)
        >>> model.predict(x, verbose=0).shape
        (300, 3)

    Source: Guo, Gao, Liu and Yin, "Improved Deep Embedded Clustering with Local Structure Preservation", IJCAI 2017,
    equation 4.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        n_clusters: int | None = None,
        alpha: float = 1.0,
        gamma: float = 0.1,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if args or isinstance(encoder, keras.KerasTensor):  # as Keras's `clone_model` calls it, see DEC
            raise TypeError(
                "IDEC takes two models, encoder and decoder. Received: tensors, which do not contain gamma. To copy a "
                "model with its settings, use type(model).from_config(model.get_config())."
            )
        if isinstance(gamma, bool) or not isinstance(gamma, numbers.Real) or not 0 < gamma < math.inf:
            raise ValueError(f"gamma should be a positive number. Received: gamma={gamma!r}")
        check_encoder(encoder)
        check_decoder(encoder, decoder)
        kwargs.setdefault("name", "idec")
        super().__init__(encoder, check_n_clusters(n_clusters), alpha, decoder=decoder, **kwargs)
        self.gamma = float(gamma)
        # A separate model, so that `predict` does not compute reconstructions only to discard them.
        self.assignment = keras.Model(self.inputs[0], self.output["q"], name="assignment")

    def compile(
        self,
        optimizer: Optimizer | None = None,
        loss: Loss | dict[str, Loss] | Sequence[Loss | None] | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure the training, as `keras.Model.compile` does.

        Args:
            optimizer: Keras optimizer or its name, default SGD with learning rate 0.01 / gamma and momentum 0.9, so
                that the clusters move as fast as in `DEC`.
            loss: Keras loss of (p, q), as for `DEC.compile`, used together with the mean squared error of the
                reconstruction; or a dict or list of both, `{"q": ..., "reconstruction": ...}`. An output that has no
                loss, or None, adds nothing to the loss.
            **kwargs: the other arguments of `keras.Model.compile`. `loss_weights` is a dict or list; a weight that is
                missing or None is gamma for q and 1 for the reconstruction.

        Raises:
            ValueError: the losses or weights are of other outputs, a list does not have one for each output, or there
                is no loss.
        """
        if not isinstance(loss, dict | list | tuple):
            loss = {"q": loss or keras.losses.KLDivergence(), "reconstruction": keras.losses.MeanSquaredError()}
        loss = _by_output("loss", loss)
        if not loss:
            raise ValueError(f"loss should have an entry for one of {', '.join(_OUTPUTS)}. Received: none")
        weights = {"q": self.gamma, "reconstruction": 1.0, **_by_output("loss_weights", kwargs.get("loss_weights"))}
        kwargs["loss_weights"] = {name: weights[name] for name in loss}
        if optimizer is None:
            optimizer = keras.optimizers.SGD(0.01 / self.gamma, momentum=0.9)
        super().compile(optimizer, loss, **kwargs)

    def predict(
        self,
        x: Rows,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: Callbacks = None,
    ) -> Array:
        """Return the soft assignments q, as `DEC.predict` does. Call the model itself for the reconstruction."""
        return self._predicted(
            self.assignment.predict, x, batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "decoder": configs.for_older_keras(keras.saving.serialize_keras_object(self.decoder)),
            "gamma": self.gamma,
        }

    def _adapted(self, recipe: Recipe) -> Recipe:
        # The recipe's learning rate is meant for the clustering loss alone, which is weighted by gamma here. At such a
        # rate, reconstructing small batches moves the rows at random, and small clusters are lost without the paper's
        # balance.
        changes = {"learning_rate": recipe.learning_rate / self.gamma, "min_batches": 1, "balance": 1.0}
        return dataclasses.replace(recipe, **changes)

    def _targets(self, rows: Tensor, p: Tensor) -> dict[str, Tensor]:
        return {"q": p, "reconstruction": rows}

    def _identity(self) -> dict[str, Any]:
        return {
            **super()._identity(),
            "kind": "idec",
            "decoder": architecture(self.decoder),
            "decoder_layers": specs.layers(self.decoder),
            "gamma": self.gamma,
        }


def _by_output(name: str, values: Any) -> dict[str, Any]:
    """Return the losses or loss weights of the outputs as a dict without None. They may be a dict, a list or None."""
    if isinstance(values, list | tuple) and len(values) == len(_OUTPUTS):
        values = dict(zip(_OUTPUTS, values, strict=True))
    values = {} if values is None else values
    if not isinstance(values, dict) or set(values) - set(_OUTPUTS):
        raise ValueError(
            f"{name} should be a dict or list with one entry for each of {', '.join(_OUTPUTS)}. Received: {values!r}"
        )
    return {output: value for output, value in values.items() if value is not None}


h5_names.read_bare_name(IDEC, {"encoder", "decoder", "n_clusters", "alpha", "gamma"})
