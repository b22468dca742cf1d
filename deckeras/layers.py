"""The clustering layer: embedded points z in, soft assignments q out."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from deckeras._typing import Array, Initializer, Tensor

HALF_PRECISION = ("float16", "bfloat16")
LOWEST = -3e38  # just inside the range of float32
MOST_DIFFERENCES = 1024  # numbers in the differences between a row and all centroids; 4,096 rows fill 16 MiB
NEAREST = 2  # two centroids may be close to each other and to a row; more are not worth their time
FARTHEST = 1e15  # float32 can compute with its square.
LARGEST_FOR_LOG = 10.0  # alpha up to which log(1 + x) gives a log-kernel to within 4e-7 of the true one
LARGEST_ALPHA = 1e30  # The kernel is a Gaussian long before, and float32 can compute with this number.
SMALLEST_ALPHA = 1e-30  # float32 can divide the distances of any scaled rows by this number.


@keras.saving.register_keras_serializable(package="deckeras")
class ClusteringLayer(keras.layers.Layer):
    r"""Student-t soft assignment of embedded points to trainable centroids.

    $$q_{ij} = \frac{(1 + \lVert z_i - \mu_j \rVert^2 / \alpha)^{-(\alpha + 1) / 2}}
                    {\sum_{j'} (1 + \lVert z_i - \mu_{j'} \rVert^2 / \alpha)^{-(\alpha + 1) / 2}}$$

    The centroids mu are the layer's only weight, `clusters`. Distances are computed in float32 or better under every
    dtype policy, because half precision rounds away the small differences that decide between nearby centroids. q is
    a softmax of log-kernels, so it stays finite for points far from every centroid and for any `alpha`.

    Args:
        n_clusters: int, at least 1. The number of centroids.
        alpha: float > 0, default 1.0 as in the paper. Degrees of freedom of Student's t. A larger alpha gives a lighter
            tail; in the limit, the kernel is Gaussian.
        clusters_initializer: Keras initializer of the centroids, default `"glorot_uniform"`. `DEC` overwrites them
            with those of its first clusterer before it trains.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Input shape:
        (batch, n_features), any float dtype.

    Output shape:
        (batch, n_clusters), float32 (float64 under a float64 policy). Each row is positive and sums to 1.

    Raises:
        ValueError: `n_clusters` is below 1, `alpha` is not a number from 1e-30 to 1e30, or an input is not 2-D.

    Example:
        >>> import keras, numpy as np
        >>> from deckeras import ClusteringLayer
        >>> encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model = keras.Sequential([encoder, ClusteringLayer(n_clusters=3)])
        >>> model.predict(np.zeros((5, 4)), verbose=0).shape
        (5, 3)

    Source: Xie, Girshick and Farhadi, "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016, equation 1.
    """

    def __init__(
        self, n_clusters: int, alpha: float = 1.0, clusters_initializer: Initializer = "glorot_uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.n_clusters = check_n_clusters(n_clusters)
        self.alpha = check_alpha(alpha)
        self.clusters_initializer = keras.initializers.get(clusters_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=2)
        if self.compute_dtype in HALF_PRECISION:
            self.dtype_policy = "float32"

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.clusters = self.add_weight(
            name="clusters",
            shape=(self.n_clusters, input_shape[-1]),
            initializer=self.clusters_initializer,
        )
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs: Tensor) -> Tensor:
        distances = squared_distances(inputs, self.clusters)
        relative = distances / self.alpha
        # ONNX has no log1p. The difference matters if alpha is large and all distances are small compared with it.
        logarithm = ops.log(1 + relative) if self.alpha <= LARGEST_FOR_LOG else ops.log1p(relative)
        # A distance whose square overflows has a log-kernel of -inf. A row with only such distances would become NaN.
        # `ops.maximum` would turn float64 into float32 on PyTorch.
        log_kernel = ops.clip(-(self.alpha + 1) / 2 * logarithm, LOWEST, 0)
        if self.n_clusters == 1:
            # 1 for every row, even if it is infinitely far. Keras treats a softmax over one number as a mistake.
            return ops.exp(0 * log_kernel)
        return ops.softmax(log_kernel)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.n_clusters)

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Keep the centroids in full precision: they are few numbers, and the clusters depend on their differences."""

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "n_clusters": self.n_clusters,
            "alpha": self.alpha,
            "clusters_initializer": keras.initializers.serialize(self.clusters_initializer),
        }


def graph_parts(inputs: keras.KerasTensor, outputs: keras.KerasTensor) -> tuple[keras.Model, ClusteringLayer]:
    """Return the encoder and the clustering layer of a graph that ends in a clustering layer.

    Args:
        inputs: `keras.KerasTensor` of rows.
        outputs: `keras.KerasTensor` that a `ClusteringLayer` returned.

    Returns:
        (encoder, clustering): functional `keras.Model` of the layers before the `ClusteringLayer`, and that layer.

    Raises:
        ValueError: the graph does not end in a `ClusteringLayer`.
    """
    layer = getattr(getattr(outputs, "_keras_history", None), "operation", None)
    if not isinstance(layer, ClusteringLayer):
        raise ValueError(
            f"A DEC should end in a ClusteringLayer. Received: a graph that ends in {type(layer).__name__}. To copy a "
            "model with its settings, use type(model).from_config(model.get_config())."
        )
    return keras.Model(inputs, layer.input, name="encoder"), layer


def squared_distances(z: Tensor, centroids: Tensor) -> Tensor:
    r"""Return the squared Euclidean distances $\lVert z_i - \mu_j \rVert^2$, in memory for (batch, n_clusters) numbers.

    For few clusters, the differences are computed directly. For many,
    $\lVert z \rVert^2 + \lVert \mu \rVert^2 - 2 z \mu^T$ needs only one matrix product. It is computed in float64,
    because the subtraction cancels digits of distances that are short compared with z and mu. JAX usually has no
    float64. There, the origin is moved to the mean centroid, and the distances to the nearest centroids, which
    determine q, are computed again from the differences.

    Args:
        z: (batch, n_features) tensor.
        centroids: (n_clusters, n_features) tensor.

    Returns:
        (batch, n_clusters) tensor, at least 0.
    """
    n_clusters, n_features = centroids.shape
    if n_clusters * n_features <= MOST_DIFFERENCES:
        return ops.sum(ops.square(ops.expand_dims(z, 1) - centroids), axis=-1)
    if keras.config.backend() == "jax":
        return _corrected_distances(z, centroids)
    return ops.cast(_expanded_distances(ops.cast(z, "float64"), ops.cast(centroids, "float64")), z.dtype)


def _expanded_distances(z: Tensor, centroids: Tensor) -> Tensor:
    squares = ops.sum(ops.square(z), axis=1, keepdims=True) + ops.sum(ops.square(centroids), axis=1)
    products = ops.einsum("ij,kj->ik", z, centroids)  # matmul would give float32 on PyTorch
    return ops.clip(squares - 2 * products, 0, FARTHEST**2)


def _corrected_distances(z: Tensor, centroids: Tensor) -> Tensor:
    import jax

    origin = ops.stop_gradient(ops.mean(centroids, axis=0))  # distances do not depend on it
    z, centroids = ops.clip(z - origin, -FARTHEST, FARTHEST), centroids - origin
    with jax.default_matmul_precision("highest"):  # Otherwise GPUs use ten bits of a float32.
        distances = others = _expanded_distances(z, centroids)
    for _ in range(NEAREST):
        nearest = ops.argmin(others, axis=1)
        here = ops.arange(centroids.shape[0]) == ops.expand_dims(nearest, 1)
        exact = ops.sum(ops.square(z - ops.take(centroids, nearest, axis=0)), axis=1, keepdims=True)
        distances, others = ops.where(here, exact, distances), ops.where(here, math.inf, others)
    return distances


def check_n_clusters(n_clusters: Any) -> int:
    """Return `n_clusters` as an int, or raise ValueError if it is not a whole number of at least 1."""
    if isinstance(n_clusters, bool) or not hasattr(n_clusters, "__index__") or n_clusters < 1:
        raise ValueError(f"n_clusters should be a whole number of at least 1. Received: n_clusters={n_clusters!r}")
    return int(n_clusters)


def check_centroids(centroids: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return `centroids` as an array, or raise ValueError if they are not finite numbers of this shape."""
    centroids = np.asarray(centroids)
    if centroids.shape != shape or not np.isfinite(centroids).all():
        raise ValueError(
            f"centroids should be finite numbers of shape {shape}: (n_clusters, n_embedding). "
            f"Received: shape {centroids.shape}"
        )
    return centroids


def check_alpha(alpha: Any) -> float:
    """Return `alpha` as a float, or raise ValueError if it is not a positive number that float32 can compute with."""
    # `numbers.Real` declares no comparison with a float, but each of its classes has one.
    real = not isinstance(alpha, bool) and isinstance(alpha, numbers.Real)
    if not real or not SMALLEST_ALPHA <= alpha <= LARGEST_ALPHA:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(
            f"alpha should be a positive number from {SMALLEST_ALPHA} to {LARGEST_ALPHA}. Received: alpha={alpha!r}. "
            "The paper takes 1."
        )
    return float(alpha)
