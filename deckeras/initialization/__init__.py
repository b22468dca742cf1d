"""First clusterers: centroids or assignments of embedded rows, from which clustering starts."""

from deckeras.initialization.clusterers import (
    cluster_means,
    consistency,
    first_clusters,
    kmeans_centroids,
    mixture_assignments,
    mixtures,
    responsibilities,
    steadiest_mixture,
    ward_centroids,
)
from deckeras.initialization.start import ManifoldStart

__all__ = [
    "ManifoldStart",
    "cluster_means",
    "consistency",
    "first_clusters",
    "kmeans_centroids",
    "mixture_assignments",
    "mixtures",
    "responsibilities",
    "steadiest_mixture",
    "ward_centroids",
]
