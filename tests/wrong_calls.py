"""Wrong calls, only for the type checker: it must find each one, or it reports the comment beside it as unnecessary."""

import numpy as np

from deckeras import (
    DEC,
    IDEC,
    ClusteringLayer,
    DeepEmbeddedClustering,
    cluster_frequencies,
    dense_autoencoder,
    pretrain,
    pretrain_autoencoder,
    recipes,
    scaling,
    selection,
)
from deckeras.initialization import kmeans_centroids
from deckeras.metrics import accuracy

x = np.zeros((20, 4))
encoder, decoder = dense_autoencoder(4, units=(3, 2))
model = DEC(encoder, 3)

dense_autoencoder("4")  # pyright: ignore[reportArgumentType]
dense_autoencoder(4, units=3)  # pyright: ignore[reportArgumentType]
dense_autoencoder(4, (3, 2), "relu")  # pyright: ignore[reportCallIssue]
ClusteringLayer("3")  # pyright: ignore[reportArgumentType]
DEC(encoder, "3")  # pyright: ignore[reportArgumentType]
IDEC(encoder, decoder, 3, gamma="0.1")  # pyright: ignore[reportArgumentType]
model.fit(x, recipe=3)  # pyright: ignore[reportArgumentType]
model.fit(x, tol="small")  # pyright: ignore[reportArgumentType]
model.fit(x, init="kmean")  # pyright: ignore[reportArgumentType]
model.fit(x, validation_split=0.2)  # pyright: ignore[reportArgumentType]
model.predict(x, verbose="silent")  # pyright: ignore[reportArgumentType]
model.predict_clusters(x).mode()  # pyright: ignore[reportAttributeAccessIssue]
pretrain(encoder, decoder, x, epochs=3)  # pyright: ignore[reportArgumentType]
pretrain_autoencoder(encoder, decoder)  # pyright: ignore[reportCallIssue]
recipes.get(None)  # pyright: ignore[reportArgumentType]
recipes.Recipe(name="mine", neighbors="rows")  # pyright: ignore[reportArgumentType]
recipes.get("table").units.append(3)  # pyright: ignore[reportAttributeAccessIssue]
scaling.fit(x, "largst")  # pyright: ignore[reportArgumentType]
selection.choose_n_clusters(x, 5)  # pyright: ignore[reportArgumentType]
DeepEmbeddedClustering(method="idecc")  # pyright: ignore[reportArgumentType]
DeepEmbeddedClustering().fit(x).predict(x).upper()  # pyright: ignore[reportAttributeAccessIssue]
kmeans_centroids(x, n_clusters="3")  # pyright: ignore[reportArgumentType]
accuracy([0, 1])  # pyright: ignore[reportCallIssue]
cluster_frequencies(x, n_clusters=3)  # pyright: ignore[reportCallIssue]
