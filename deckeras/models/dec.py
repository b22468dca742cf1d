"""DEC: the model, and the alternation that trains it."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable
from typing import Any, Never, Self

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from deckeras import distribution, recipes
from deckeras._data import checks
from deckeras._train import alternation, loop, refusals, specs
from deckeras._train.checkpoint import scheduled_iterations, serialize
from deckeras._train.loop import History
from deckeras._typing import Array, Augment, Callbacks, Init, Loss, Optimizer, Path, Rows, Tensor, Verbose
from deckeras.augmentation import Augmenter
from deckeras.autoencoders.embedding import check_encoder
from deckeras.initialization import start
from deckeras.layers import ClusteringLayer, check_centroids, check_n_clusters, graph_parts
from deckeras.models import compiling, configs, evaluation, fitting, h5_names, prediction
from deckeras.recipes import Recipe


@keras.saving.register_keras_serializable(package="deckeras")
class DEC(evaluation.Evaluated, metaclass=h5_names.RegisteredInH5):
    """Deep Embedded Clustering: a pretrained encoder and a clustering layer, trained together.

    A functional `keras.Model` from the encoder's inputs to the soft assignments q. It holds the encoder itself, not a
    copy: training one also trains the other.

    Args:
        encoder: pretrained `keras.Sequential` or other functional model with one input and an output of shape
            (batch, n_embedding).
        n_clusters: int, at least 1.
        alpha: float > 0, default 1.0 as in the paper. Degrees of freedom of the Student-t kernel.
        **kwargs: `name` (default "dec"), `dtype` of the clustering layer, and other arguments of `keras.Model`.

    Raises:
        TypeError: the encoder is not a Keras model.
        ValueError: the encoder has no symbolic inputs or its output is not 2-D; `n_clusters` or `alpha` is invalid.

    Example:
        >>> import numpy as np
        >>> from deckeras import DEC, dense_autoencoder, pretrain_autoencoder
        >>> x = np.random.default_rng(0).normal(size=(300, 8)) + 5 * np.repeat(np.eye(3, 8), 100, axis=0)
        >>> encoder, decoder = dense_autoencoder(8, units=(32, 2))
        >>> history = pretrain_autoencoder(encoder, decoder, x, epochs=5, verbose=0)
        >>> model = DEC(encoder, n_clusters=3)
        >>> history = model.fit(x, max_iterations=100, verbose=0)
        >>> model.predict_clusters(x, verbose=0).shape
        (300,)

    Source: Xie, Girshick and Farhadi, "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016.
    """

    def __init__(self, encoder: keras.Model, n_clusters: int, alpha: float = 1.0, *args: Any, **kwargs: Any) -> None:
        # Keras's `clone_model` keeps the class of a model that takes *args, and passes the cloned inputs and outputs.
        if args:
            raise TypeError(f"DEC takes an encoder, n_clusters and alpha by position. Received: {len(args)} more")
        if isinstance(encoder, keras.KerasTensor):
            encoder, clustering = graph_parts(encoder, n_clusters)
        else:
            n_clusters = check_n_clusters(n_clusters)
            check_encoder(encoder, reserved="clustering")
            # All zeros mean "not placed yet", so loading weights in any way places them. See also `zero_centroids`.
            clustering = ClusteringLayer(
                n_clusters, alpha, clusters_initializer="zeros", name="clustering", dtype=kwargs.pop("dtype", None)
            )
        zero_centroids = kwargs.pop("zero_centroids", False)
        decoder = kwargs.pop("decoder", None)  # of IDEC
        kwargs.setdefault("name", "dec")
        z = encoder.outputs[0]
        outputs = clustering(z) if decoder is None else {"q": clustering(z), "reconstruction": decoder(z)}
        super().__init__(inputs=encoder.inputs[0], outputs=outputs, **kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.clustering = clustering
        self.start_labels = None  # (n,) the clusters that `fit` started from, if a first clusterer assigned rows
        self._zero_centroids = zero_centroids

    @property
    def n_clusters(self) -> int:
        """The number of clusters."""
        return self.clustering.n_clusters

    @property
    def alpha(self) -> float:
        """The degrees of freedom of the Student-t kernel."""
        return self.clustering.alpha

    @property
    def centroids(self) -> Array:
        """(n_clusters, n_embedding) float array. All zeros until they are placed; assign an array to place them."""
        return ops.convert_to_numpy(self.clustering.clusters)

    @centroids.setter
    def centroids(self, centroids: npt.ArrayLike) -> None:
        centroids = check_centroids(centroids, self.centroids.shape)
        self.clustering.clusters.assign(centroids)
        self._zero_centroids, self.start_labels = not centroids.any(), None

    @property
    def placed(self) -> bool:
        """True if the centroids are placed: by `fit`, by loading weights or by assignment."""
        return bool(self._zero_centroids or self.centroids.any())

    def compile(self, optimizer: Optimizer | None = None, loss: Loss | None = None, **kwargs: Any) -> None:
        """Configure the training, as `keras.Model.compile` does.

        Args:
            optimizer: Keras optimizer or its name, default SGD with learning rate 0.01 (as in the paper) and momentum
                0.9 (as in its code).
            loss: Keras loss of (p, q), default `keras.losses.KLDivergence()`, equation 2 of the paper.
            **kwargs: the other arguments of `keras.Model.compile`.
        """
        if optimizer is None:
            optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
        loss = keras.losses.KLDivergence() if loss is None else loss
        super().compile(**compiling.in_any_file(optimizer=optimizer, loss=loss, **kwargs))
        # When Keras loads a model from .h5, it builds the optimizer without variables, unless it is already built.
        self.optimizer.build(self.trainable_variables)
        # Recorded now: callbacks may change the learning rate later, but a resumed run compares what was requested.
        self._optimizer_settings, self._trained = compiling.recorded(self)
        self._loss_weights = kwargs.get("loss_weights")

    def get_compile_config(self) -> dict[str, Any] | None:
        config = super().get_compile_config()
        # Keras drops the optimizer when it saves to .h5. A .keras file written afterward would load a different one.
        return {**config, "optimizer": serialize(self.optimizer)} if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(
        self,
        x: Rows,
        y: npt.ArrayLike | None = None,
        batch_size: int | None = None,
        *,
        sample_weight: npt.ArrayLike | None = None,
        recipe: str | Recipe = "table",
        update_interval: int | None = None,
        max_iterations: int | None = None,
        tol: float | None = None,
        centroids: npt.ArrayLike | None = None,
        init: Init | None = None,
        n_init: int | None = None,
        augment: Augment | None = None,
        seed: int | None = 0,
        checkpoint_dir: Path | None = None,
        checkpoint_every: int = 5,
        callbacks: Callbacks = None,
        verbose: Verbose = "auto",
        **refused: Never,
    ) -> History:
        """Cluster the rows of x.

        Places the centroids by a first clusterer on the embedding, unless they are already given, loaded or trained.
        Then alternates between two steps: assign every row and sharpen the assignments into the target p; train
        `update_interval` batches toward p. Assignments of the first clusterer remain the target until the network
        agrees with 99 % of them, but for no more updates than the recipe's `lead`. Stops when the fraction of rows that
        changed cluster between two updates is below `tol`, or after the recipe's `updates`. Callbacks, the progress bar
        and the history treat each such interval as an epoch.

        With `checkpoint_dir`, a training found there is resumed: its weights, including the centroids, replace those of
        the model. It may be resumed with another batch size, interval, `tol` or optimizer.

        Args:
            x: at least `n_clusters` rows that fit the encoder: an array of any real dtype, a SciPy sparse matrix, an
                `np.memmap`, `h5py.Dataset`, `keras.utils.PyDataset` or `tf.data.Dataset`. The last four are read as
                needed; see `deckeras.sources`.
            y: (n,) labels, default None. Used only for reporting; they never affect the training.
            batch_size: int, at most n. Here and below, None means the recipe's value, unless noted.
            sample_weight: (n,) numbers of at least 0, or one number, default None: all rows count equally. The weights
                apply to the first clusters ("manifold" only draws its sample by them), the target's frequencies, the
                loss and `changed`.
            recipe: `"table"` (default), `"images"`, `"series"`, `"features"`, `"paper"`, `"dec-keras"`, or another
                `deckeras.recipes.Recipe`. It also sets the optimizer of a model that the user has not compiled.
            update_interval: int, batches between two updates of p; see `default_update_interval`.
            max_iterations: int, the largest total number of batches, in place of the recipe's limit of `updates`.
            tol: float in [0, 1).
            centroids: (n_clusters, n_embedding) array, default None. First centroids instead of those of `init`.
            init: "kmeans" (as in the paper), "ward", "mixture", "manifold" (which follows the neighbors of the rows),
                or a function of (z, n_clusters) that returns centroids or assignments; see `deckeras.initialization`.
            n_init: int, restarts of `init`; for "manifold", the number of layouts of each graph.
            augment: Keras layer or function that changes a batch of rows at random and keeps its shape, such as
                `image_augmentation`. The target always comes from the unchanged rows.
            seed: int, default 0. Determines the start and the order of the rows. None draws a new seed each time.
            checkpoint_dir: directory for `checkpoint.h5`, default None. No other process may train there meanwhile.
            checkpoint_every: int, default 5. Updates between two checkpoints; start and end are always written.
            callbacks: Keras callback or list of them. One that sets `stop_training` ends the training after the
                interval; another `fit` can resume it.
            verbose: 0 silent, 1 progress bars, 2 one line per epoch; default `"auto"`, which is 1.

        Returns:
            `keras.callbacks.History` with, for each interval, the mean `loss`, the fraction of rows that `changed`
            cluster and, if y is given, `acc`, `nmi` and `ari` at its end (NaN for intervals of an earlier run without
            y). Its attribute `times` holds the seconds from the start to the end of each interval, and `seconds` the
            last of them. Both include all runs of a resumed training.

        Raises:
            TypeError, ValueError: x or an argument is invalid, such as Keras's `validation_split`, or the checkpoint
                belongs to another training.
            OSError: the checkpoint is damaged or not accessible, or another process trains there.
            FloatingPointError: the training diverged.

        Warns:
            UserWarning: a cluster ended empty, or two centroids coincide.
        """
        started = time.perf_counter()
        refusals.check(f"{type(self).__name__}.fit", refused)
        x, y, weights = fitting.check_data(self, x, y, sample_weight)
        checkpoint_every = checks.check_count("checkpoint_every", checkpoint_every)
        seed = None if seed is None else distribution.agreed_seed(seed)
        compiling.check_trainable(self)
        given = {"batch_size": batch_size, "update_interval": update_interval, "max_iterations": max_iterations}
        given |= {"tol": tol, "init": init, "n_init": n_init, "min_batch_size": batch_size}
        recipe = self._adapted(recipes.get(recipe, **given))
        if max_iterations is not None:
            recipe = dataclasses.replace(recipe, updates=None)  # The recipe's limit could come first.
        batch_size, update_interval, iterations = recipe.intervals(distribution.total(len(x)))
        begun = scheduled_iterations(os.path.join(checkpoint_dir, "checkpoint.h5")) if checkpoint_dir else None
        compiling.by_recipe(self, recipe.optimizer(begun or iterations))
        self._trained = compiling.keep_up(self, self._trained)
        if augment is None:
            augment = recipe.augmentation(x.shape[1:], seed, clustering=True, x=x)
        augmenter = Augmenter(augment, x.shape[1:])
        centroids = None if centroids is None else check_centroids(centroids, self.centroids.shape)
        checkpoint = fitting.checkpoint(self, checkpoint_dir, x, recipe, centroids, seed, augmenter, weights)
        if centroids is not None:
            self._zero_centroids = not centroids.any()
            if not (checkpoint and checkpoint.exists()):
                self.centroids = centroids

        def begin(seed):
            return self.initialize_centroids(x, recipe=recipe, seed=seed, sample_weight=weights)

        own_batch = distribution.local_batch_size(batch_size)
        options = {"lead": recipe.lead, "balance": recipe.balance, "checkpoint": checkpoint, "sample_weight": weights}
        intervals = alternation.Alternation(self, x, y, own_batch, augmenter, begin, **options)
        history = loop.train(
            self,
            intervals.epoch,
            iterations=iterations,
            steps_per_epoch=update_interval,
            seed=distribution.agreed_seed(seed),
            converged=lambda logs: logs["changed"] < recipe.tol,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            callbacks=callbacks,
            verbose=verbose,
            started=started,
            rows=x,
        )
        scale = self.embed(x[:: math.ceil(len(x) / 1000)], verbose=0).std(axis=0).max()
        sizes = np.bincount(intervals.assign().argmax(axis=1), minlength=self.n_clusters)
        alternation.warn_of_lost_clusters(distribution.total(sizes), self.centroids, scale)
        return history

    def initialize_centroids(
        self,
        x: Rows,
        *,
        recipe: str | Recipe = "table",
        init: Init | None = None,
        n_init: int | None = None,
        seed: int | None = 0,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Array | None:
        """Scale the embedding and place the centroids, even if they are already placed. `fit` calls this.

        Takes x, recipe, init, n_init, seed and sample_weight as `fit` does. Returns the (n, n_clusters) assignments or
        None. They are the first target of a `fit` that calls this; a later `fit` starts from the centroids alone.
        """
        recipe = recipes.get(recipe, init=init, n_init=n_init)
        x = checks.check_rows(x, self.encoder.input_shape[1:])
        z = self.embed(x, verbose=0)
        weights = distribution.relative_weights(sample_weight, len(z), self.n_clusters)
        centroids, assignments = start.first_clusters(self, x, z, recipe, seed, weights)
        self.centroids = distribution.agreed(centroids)
        self.start_labels = None if assignments is None else assignments.argmax(axis=1)
        return assignments

    def predict(
        self,
        x: Rows,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: Callbacks = None,
    ) -> Array:
        """Return the soft assignments q, in batches as large as memory allows.

        Args:
            x: (n, ...) array, or any other source that Keras takes; verbose, steps, callbacks: as in Keras.
            batch_size: int, default None: as many rows as fill 16 MiB with values or assignments, from 32 to 4,096.

        Returns:
            (n, n_clusters) float array; each row sums to 1.
        """
        return self._predicted(super().predict, x, batch_size, verbose=verbose, steps=steps, callbacks=callbacks)

    def predict_clusters(
        self, x: Rows, batch_size: int | None = None, verbose: Verbose = "auto"
    ) -> npt.NDArray[np.int64]:
        """Return the cluster of each row: the one with the largest soft assignment.

        Args:
            x, batch_size, verbose: as for `predict`.

        Returns:
            (n,) int array, from 0 to n_clusters - 1.

        Raises:
            ValueError: the centroids are not placed yet.
        """
        if not self.placed:
            raise ValueError("The centroids are not placed yet. Call fit, initialize_centroids or load weights first.")
        return self.predict(x, batch_size, verbose).argmax(axis=1)

    def embed(self, x: Rows, batch_size: int | None = None, verbose: Verbose = "auto") -> Array:
        """Compute the embedding z.

        Args:
            x, batch_size, verbose: as for `predict`.

        Returns:
            (n, n_embedding) float array.
        """
        return self._predicted(self.encoder.predict, x, batch_size, verbose=verbose)

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Quantize all layers except the clustering layer, as `keras.Model.quantize` does."""
        compiling.quantize(self, super().quantize, *args, **kwargs)

    def export(self, filepath: Path, *args: Any, **kwargs: Any) -> None:
        """Export the model as `keras.Model.export` does, after a symbolic call: Keras exports only what was called."""
        self(keras.Input(batch_shape=self.input_shape, dtype=self.inputs[0].dtype))
        super().export(filepath, *args, **kwargs)

    def save(self, filepath: Path, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Save the model, as `keras.Model.save` does. In distributed training, call it in one process only.

        Raises:
            ValueError: the model has bfloat16 weights, which an .h5 file cannot hold.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            h5_names.check_writable(self)  # before Keras empties the file
        with distribution.single_process():
            super().save(filepath, overwrite, zipped, **kwargs)

    def get_config(self) -> dict[str, Any]:
        if h5_names.writing_h5():
            h5_names.check_writable(self)
        return {
            "name": self.name,
            "trainable": self.trainable,
            "encoder": configs.for_older_keras(keras.saving.serialize_keras_object(self.encoder)),
            "n_clusters": self.n_clusters,
            "alpha": self.alpha,
            "dtype": keras.saving.serialize_keras_object(self.clustering.dtype_policy),
            "trainable_centroids": self.clustering.trainable,
            **({"zero_centroids": True} if self._zero_centroids and not self.centroids.any() else {}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        config = dict(config)
        trainable_centroids = config.pop("trainable_centroids")
        for name in {"encoder", "decoder", "dtype"} & set(config):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        model = cls(**config)
        model.clustering.trainable = trainable_centroids
        return model

    def _rows(self, x: Rows) -> Any:
        return prediction.batches(x, self.encoder.input_shape[1:], self.n_clusters)

    def _predicted(self, compute: Callable[..., Any], x: Rows, batch_size: int | None, **kwargs: Any) -> Array:
        return prediction.outputs(compute, x, self.encoder.input_shape[1:], self.n_clusters, batch_size, **kwargs)

    def _adapted(self, recipe: Recipe) -> Recipe:
        return recipe

    def _targets(self, rows: Tensor, p: Tensor) -> Any:
        """Return the targets of the outputs for a batch of rows."""
        return p

    def _identity(self) -> dict[str, Any]:
        """Return the settings of the model that must be the same when a training is resumed."""
        return specs.clustering(self)


h5_names.read_bare_name(DEC, {"encoder", "n_clusters", "alpha", "trainable_centroids"})
