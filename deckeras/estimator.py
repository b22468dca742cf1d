"""DEC as a scikit-learn estimator, built on the public model."""

from __future__ import annotations

import copy
import dataclasses
import numbers
import os
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from deckeras import distribution, features, metrics, recipes, scaling, sources
from deckeras._data import checks, feature_names, row_shapes, row_views, seeding
from deckeras._train import device, directories, keras_callbacks
from deckeras._typing import Array, Callbacks, Path, Rows, Shape
from deckeras.autoencoders.embedding import embedding_spread, scale_decoder
from deckeras.files import containers
from deckeras.layers import check_n_clusters
from deckeras.models.dec import DEC
from deckeras.models.idec import IDEC
from deckeras.pretraining import pretrain, refit_decoder
from deckeras.recipes import Recipe
from deckeras.verdict import Verdict, judge


class DeepEmbeddedClustering(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Deep Embedded Clustering with the interface of scikit-learn.

    Scales the features, pretrains an autoencoder, and trains its encoder and the clusters together. The result is an
    ordinary Keras model, `model_`, that takes unscaled rows: its first layer applies the scaling.

    Args:
        n_clusters: int, default 8 as in `sklearn.cluster.KMeans`. If it is unknown, see `deckeras.selection`.
        recipe: str or `deckeras.recipes.Recipe`, default `"auto"`: `"images"` for images, `"series"` for series,
            otherwise `"table"`. `"paper"` and `"dec-keras"` are also available. Rows of shape (a, b) are images if both
            sides have at least 4 pixels and neither is twice as long as the other, or if `image_shape` or the recipe
            says so; otherwise they are series (time, channels). The recipe sets all other hyper-parameters:
            `deckeras.recipes.get("table", units=(100, 5), tol=0.01)`.
        image_shape: (height, width) or (height, width, channels) of the image in a flat row, default None: rows are
            images only if X has shape (n, height, width) or (n, height, width, channels) and looks like images.
        method: `"dec"` (default) or `"idec"`, which also trains the decoder to reconstruct the rows.
        scale: `"auto"` (default), `"standard"`, `"largest"`, `"range"`, `"unit"` or `"none"`; see `deckeras.scaling`.
            `"auto"` is "unit" if the recipe says so, as the paper's does.
        alpha: float > 0, default 1.0 as in the paper.
        epochs: int, the exact number of epochs in pretraining; default None: the recipe's, or more for few rows.
        max_iter: int, the maximum number of batches in clustering, in place of the recipe's limit of updates; default
            None: the recipe's.
        tol: float. Clustering stops when a smaller fraction of the rows changes cluster; default None: the recipe's.
        features: name, path or `keras.Model`, default None. A network that computes features, which are clustered
            instead of the rows: from pictures with values from 0 to 255 (`deckeras.features.network`) or from tokens
            (the model of `deckeras.features.texts.encoder`). The recipe "auto" is then "features".
        checkpoint_dir: directory, default None. `fit` saves its training there, including the features, and resumes it
            after an interruption.
        verbose: int, default 0: silent. 1 shows a progress bar, 2 one line per epoch.
        random_state: int, RandomState or None (default), as in scikit-learn. An int makes the results reproducible.

    Attributes:
        labels_: (n,) int64 array, the cluster of each row.
        cluster_centers_: (n_clusters, n_embedding) float32 array, the centroids, in the embedding.
        start_labels_: (n,) int array, the clusters that training started from; None if training was resumed, or if the
            start is k-means in the embedding.
        n_iter_: int, the number of batches in clustering.
        history_: dict from name to list with one value per update of the target: `loss` and the fraction of rows that
            `changed` cluster.
        pretraining_history_: list of such dicts, one per stage of pretraining, with its loss in each epoch.
        model_: `deckeras.DEC` or `deckeras.IDEC`, from rows to soft assignments.
            With `features`, it includes the network, and its input is pictures or tokens.
        head_: `deckeras.DEC` or `deckeras.IDEC`, from features to soft assignments; `model_` itself without `features`.
        network_: Keras model from pictures or tokens to features; None without `features`.
        decoder_: Keras model from the embedding back to unscaled rows, or to features. `inverse_transform` applies it.
        scaling_: `deckeras.scaling.Scaling`, which the first layer of the model applies.
        recipe_: `deckeras.recipes.Recipe` that was used.
        n_features_in_: int.
        feature_names_in_: array of str, defined only if X had names for all its columns.

    Raises:
        TypeError, ValueError: `fit` received a bad X, or the estimator a bad argument.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from deckeras import DeepEmbeddedClustering
        >>> x = load_iris().data
        >>> estimator = DeepEmbeddedClustering(n_clusters=3, epochs=2, max_iter=100, random_state=0).fit(x)
        >>> estimator.labels_.shape, estimator.transform(x).shape, estimator.predict_proba(x).shape
        ((150,), (150, 10), (150, 3))

    Source: Xie, Girshick and Farhadi, "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        recipe: str | Recipe = "auto",
        image_shape: Shape | None = None,
        method: Literal["dec", "idec"] = "dec",
        scale: scaling.Method = "auto",
        alpha: float = 1.0,
        features: Any = None,
        epochs: int | None = None,
        max_iter: int | None = None,
        tol: float | None = None,
        checkpoint_dir: Path | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.recipe = recipe
        self.image_shape = image_shape
        self.method = method
        self.scale: scaling.Method = scale
        self.alpha = alpha
        self.features = features
        self.epochs = epochs
        self.max_iter = max_iter
        self.tol = tol
        self.checkpoint_dir = checkpoint_dir
        self.verbose = verbose
        self.random_state = random_state

    def fit(
        self,
        X: Rows,
        y: Any = None,
        sample_weight: npt.ArrayLike | None = None,
        *,
        callbacks: Callbacks = None,
        train_features: bool = False,
        lora_rank: int | None = None,
    ) -> Self:
        """Learn the embedding and the clusters of the rows of X.

        Args:
            X: (n, n_features) array, DataFrame or SciPy sparse matrix of numbers; (n, height, width[, channels])
                images; (n, time, channels) series; or an `anndata.AnnData`, a `datasets.Dataset`, or a table of xarray
                or polars. An `np.memmap`, `h5py.Dataset`, `keras.utils.PyDataset` or `tf.data.Dataset` of such rows is
                read only as needed.
                With `features`: n pictures, the tokens of n texts, or their (n, n_features) features as `extract`
                returns them.
            y: ignored, as in scikit-learn's clusterers.
            sample_weight: (n,) numbers of at least 0, or one number, default None: all rows count equally. Weights of
                the rows in the clustering, as in `sklearn.cluster.KMeans`. Scaling and pretraining ignore them.
            callbacks: Keras callback or list of them, default None, for the pretraining, the clustering and, last, the
                training of the decoder on the clustered embedding. Each stage is a model of its own.
            train_features: bool, default False: the network of `features` is frozen. True trains it afterwards,
                together with the clusters; see `deckeras.features.thaw`, which also describes `lora_rank`.

        Returns:
            The estimator itself.
        """
        keras_callbacks.check_stages(f"{type(self).__name__}.fit", callbacks)
        # An error or an interrupt leaves all attributes of an earlier fit unchanged.
        fitted = copy.copy(self)
        X = containers.as_rows(X)  # so that a source is checked only once
        inputs = features.check_thaw(X, self.features, train_features, lora_rank)
        X = features.extracted(fitted, X, fitting=True, own_network=train_features)
        x = fitted.prepare(X)
        weights = checks.check_weights(sample_weight, x.shape[0])
        with directories.hold_directory(self.checkpoint_dir):  # also between pretraining and clustering
            model = fitted._train(x, _seed(self.random_state), weights, callbacks)
        fitted.head_ = fitted.model_ = scaling.into_model(model, fitted.scaling_)
        if fitted.network_ is not None:
            fitted.model_ = features.whole(fitted.network_, fitted.head_)
        if train_features:
            common = {"seed": _seed(self.random_state), "callbacks": callbacks, "verbose": self.verbose}
            folder = self.checkpoint_dir and os.path.join(self.checkpoint_dir, "network")
            common = {"checkpoint_dir": folder, "sample_weight": weights, **common}
            features.thaw(fitted.model_, inputs, lora_rank=lora_rank, **common)
            fitted.head_.centroids = fitted.model_.centroids
            X = fitted.extract(inputs)
        fitted.cluster_centers_ = fitted.head_.centroids
        fitted._n_features_out = fitted.cluster_centers_.shape[1]
        fitted.labels_ = fitted.predict(X)
        self.__dict__ = fitted.__dict__
        return self

    def prepare(self, X: Rows) -> Any:
        """Check the arguments, choose `recipe_` and fit `scaling_` for the rows of X, as the first stage of `fit`.

        Args:
            X: as for `fit`.

        Returns:
            The scaled rows: (n, n_features) array or `View`, for `deckeras.pretrain`, `DEC.fit` or
            `deckeras.selection`.
        """
        if self.method not in ("dec", "idec"):
            raise ValueError(f'method should be "dec" or "idec". Received: method={self.method!r}')
        if distribution.process_count() > 1:
            raise ValueError(
                "The estimator trains in one process, by whose rows it scales. Received: "
                f"{distribution.process_count()} processes. Scale the rows, and use deckeras.DEC."
            )
        for declared in (self.image_shape, getattr(self.recipe, "image_shape", None)):
            row_shapes.check_image_shape(declared)
        x, shape = self._rows(X, reset=True)
        check_n_clusters(self.n_clusters)
        if self.n_clusters > x.shape[0]:
            raise ValueError(
                f"n_clusters should be at most the number of rows. Received: n_samples={x.shape[0]}, "
                f"n_clusters={self.n_clusters}"
            )
        self.recipe_ = self._recipe(shape)
        method: scaling.Method = "unit" if self.scale == "auto" and self.recipe_.unit_scale else self.scale
        series = self.recipe_.series_shape if self.recipe_.series else None
        images = shape is not None and not self.recipe_.series
        grid = series if shape is None or not images else (*shape, 1)[:3]
        channels = None if grid is None or sparse.issparse(x) else grid[-1]
        if series is not None and not sparse.issparse(x):
            row_shapes.warn_if_transposed(x, series, flat=shape is None)
        self.scaling_ = scaling.fit(x, method, images=images, channels=channels)
        return self.scaling_.rows(x)

    def extract(self, X: Any) -> Array:
        """Compute the features of pictures or tokens with the network: (n, n_features) float32 array."""
        check_is_fitted(self, "head_")
        if self.network_ is None:
            raise ValueError("extract needs a network. Received: features=None. Pass features= and fit again.")
        return features.extracted(self, containers.as_rows(X))

    def predict(self, X: Rows) -> npt.NDArray[np.int64]:
        """Return the cluster of each row, including rows not seen in `fit`: (n,) int64 array."""
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X: Rows) -> Array:
        """Return the soft assignments q: (n, n_clusters) float32 array, whose rows sum to 1."""
        check_is_fitted(self, "model_")
        return self.head_.predict(self._rows(features.extracted(self, containers.as_rows(X)))[0], verbose=0)

    def score(self, X: Rows, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> float:
        """Compute the mean silhouette of the clusters on the scaled rows; higher values mean better separation.

        It needs no labels, and can compare estimators with different settings or numbers of clusters, as `GridSearchCV`
        does: it is computed on the rows and not on the embedding, which differs between estimators.

        Args:
            X: rows, as for `fit`. If there are more than 2,000, a random sample of 2,000 is used.
            y: ignored.
            sample_weight: (n,) numbers of at least 0, default None: 1 each. Weights of the rows in the mean.

        Returns:
            float from -1 to 1; -1 if all rows are in one cluster, or each in its own.
        """
        X = features.extracted(self, containers.as_rows(X))
        labels = self.predict(X)
        weights = distribution.relative_weights(sample_weight, len(labels), n_clusters=1)
        counted = None if weights is None else np.flatnonzero(weights)
        rows, values = metrics.silhouettes(self.scaling_.rows(self._rows(X)[0]), labels, among=counted)
        return float(np.average(values, weights=None if weights is None else weights[rows]))

    def transform(self, X: Rows) -> Array:
        """Compute the embedding of the rows: (n, n_embedding) float32 array."""
        check_is_fitted(self, "model_")
        return self.head_.embed(self._rows(features.extracted(self, containers.as_rows(X)))[0], verbose=0)

    def verdict(self, X: Rows) -> Verdict:
        """Judge the clusters of the rows of X without labels.

        Args:
            X: as for `fit`; usually the same rows.

        Returns:
            `deckeras.verdict.Verdict`: how far other methods agree, how much k-means and the start differ, and whether
            the rows have clusters at all. `print` shows it in words, `as_dict` returns it for JSON. This takes seconds.
        """
        check_is_fitted(self, "model_")
        rows = self._rows(features.extracted(self, containers.as_rows(X)))[0]
        q = self.head_.predict(rows, verbose=0)
        # The start belongs to the rows of `fit`, and X may hold other rows.
        start = self.start_labels_ if np.array_equal(q.argmax(axis=1), self.labels_) else None
        seed = self.random_state if isinstance(self.random_state, numbers.Integral) else 0
        return judge(self.scaling_.rows(rows), q, start=start, seed=int(seed))

    def inverse_transform(self, X: npt.ArrayLike) -> Array:
        """Decode embedded rows, such as `cluster_centers_`, to rows in their own units.

        Clustering changes the embedding, so the decoder is trained again afterwards. With `"idec"`, it is trained
        during clustering.

        Args:
            X: (n, n_embedding) array.

        Returns:
            (n, n_features) float32 array, in the units of unscaled rows.
        """
        check_is_fitted(self, "model_")
        z = check_array(X)
        if z.shape[1] != self._n_features_out:
            raise ValueError(f"X should have {self._n_features_out} columns, the embedding. Received: shape {z.shape}")
        return device.predict(self.decoder_.predict, z, verbose=0)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        # Pickles of earlier versions have no networks.
        self.__dict__.setdefault("features", None)
        if "model_" in state:
            self.__dict__.setdefault("head_", self.model_)
            self.__dict__.setdefault("network_", None)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []  # the embedding is in Keras's float type, whatever that of X
        return tags

    def _rows(self, X: Any, *, reset: bool = False) -> tuple[Any, Shape | None]:
        """Return (flat rows of X, shape of the image or series in a row or None), validated as scikit-learn does."""
        X = containers.as_rows(X)
        shape = self.image_shape
        least = 2 if reset else 1
        source = sources.as_source(X)
        if getattr(X if source is None else source, "ndim", 2) in (3, 4):
            X = row_views.as_rows(X) if source is None else source
            shape = X.shape[1:]
            X = X.reshape(len(X), -1) if source is None else source.flat()
            fitted = None if reset else self.recipe_.series_shape or self.recipe_.image_shape
            if not reset and shape != fitted:
                kind = "series" if self.recipe_.series else "images"
                raise ValueError(f"X should hold {kind} of shape {fitted}, as those fitted to. Received: {shape}")
        if source is None:
            X = feature_names.validated(self, checks.as_numbers(X), reset=reset, n_min=least)
        else:
            X = checks.check_rows(X, None if reset else (self.n_features_in_,), n_min=least)
            self.n_features_in_ = X.shape[1]
            if reset:  # a source has no names, unlike the table of an earlier fit
                self._names = None
                self.__dict__.pop("feature_names_in_", None)
        return X, shape

    def _recipe(self, shape: Shape | None) -> Recipe:
        """Return the recipe for rows that are images or series of this shape, or neither if it is None."""
        series = shape is not None and self.image_shape is None and row_shapes.looks_like_series(shape)
        recipe = self.recipe
        if isinstance(recipe, str) and recipe == "auto" and self.features is not None:
            recipe = "features"
        elif isinstance(recipe, str) and recipe == "auto":
            recipe = "table" if shape is None else "series" if series else "images"
        recipe = recipes.get(recipe, tol=self.tol)
        if recipe.series or (series and not (recipe.shift or recipe.rotation or recipe.convolutional)):
            if shape is not None and len(shape) != 2:
                raise ValueError(f"Series should be of shape (time, channels). Received: rows of shape {tuple(shape)}")
            recipe = recipes.get(recipe, series=True, series_shape=shape)
        else:
            recipe = recipes.get(recipe, image_shape=shape)
        if self.epochs is not None:
            recipe = recipes.get(recipe, epochs=self.epochs, min_pretraining_iterations=0)
        if self.max_iter is not None:
            recipe = dataclasses.replace(recipe, max_iterations=self.max_iter, updates=None)
        return recipe

    def _train(self, x: Any, seed: int | None, weights: Array | None, callbacks: Callbacks) -> DEC:
        """Train a model on scaled rows and return it."""
        common: dict[str, Any] = {"recipe": self.recipe_, "seed": seed, "checkpoint_dir": self.checkpoint_dir}
        common |= {"callbacks": callbacks, "verbose": self.verbose}
        encoder, decoder = self.recipe_.autoencoder(x.shape[1:], seed)
        stages = pretrain(encoder, decoder, x, **common)
        if self.method == "idec":
            model = IDEC(encoder, decoder, self.n_clusters, self.alpha)
            history = model.fit(x, sample_weight=weights, **common)
        else:
            model = DEC(encoder, self.n_clusters, self.alpha)
            if self.recipe_.embedding_scale is not None:  # `fit` scales only the encoder to it
                scale_decoder(self.recipe_.embedding_scale / embedding_spread(model.embed(x, verbose=0)), decoder)
            history = model.fit(x, sample_weight=weights, **common)
            refit_decoder(encoder, decoder, x, self.recipe_, seed=seed, callbacks=callbacks, verbose=self.verbose)
        self.decoder_ = scaling.out_of_model(decoder, self.scaling_)
        _, interval, iterations = self.recipe_.intervals(len(x))
        self.n_iter_ = min(len(history.epoch) * interval, iterations)
        self.history_ = history.history
        self.pretraining_history_ = [stage.history for stage in stages]
        self.start_labels_ = model.start_labels
        return model


def _seed(random_state: Any) -> int | None:
    if random_state is None:
        # A seed drawn here would differ in each run, so that no checkpoint could be resumed.
        return None
    if isinstance(random_state, numbers.Integral):
        return seeding.fixed_seed(int(random_state))
    return int(check_random_state(random_state).randint(2**31 - 1))
