"""Figures for papers and notebooks. Every function takes arrays and returns a `matplotlib.figure.Figure`.

Save one with `figure.savefig("name.png", dpi=200)`, or as .svg or .pdf; a notebook shows the figure a cell ends with.
"""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from deckeras.metrics import match_clusters

# Ten colours that people with any kind of colour vision can tell apart (Petroff, "Accessible Color Sequences for Data
# Visualization", 2021).
_COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip


def embedding(embeddings, labels, *, method="tsne", max_points=2000, seed=0):
    """Scatter plots of embeddings side by side, such as before and after clustering, coloured by label.

    Args:
        embeddings: dict from title to (n, n_embedding) array, a panel each.
        labels: (n,) integer or string labels, one colour each, named at the median of its points.
        method: `"tsne"` (default; each panel laid out by itself) or `"pca"` (linear, and quick).
        max_points: int, default 2,000. Of more rows than that a random sample is drawn, the same in each panel.
        seed: int, default 0, of the sample and of t-SNE.

    Returns:
        Figure with one Axes a panel.

    Raises:
        ValueError: an unknown method, or embeddings and labels of different lengths.

    Example:
        >>> import numpy as np
        >>> from deckeras import plots
        >>> z = np.random.default_rng(0).normal(size=(100, 10))
        >>> figure = plots.embedding({"before": z, "after": 2 * z}, np.arange(100) % 3, method="pca")
        >>> [axes.get_title() for axes in figure.axes]
        ['before', 'after']
    """
    labels = np.asarray(labels)
    for title, z in embeddings.items():
        if len(z) != len(labels):
            raise ValueError(f"labels should be as many as the rows of {title!r}, {len(z)}. Received: {len(labels)}")
    if method not in ("tsne", "pca"):
        raise ValueError(f"method should be 'tsne' or 'pca'. Received: method={method!r}")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(labels))[:max_points])
    names = np.unique(labels)
    figure = Figure(figsize=(4 * len(embeddings), 4), layout="constrained")
    panels = figure.subplots(1, len(embeddings), squeeze=False)[0]
    for axes, (title, z) in zip(panels, embeddings.items(), strict=True):
        points = _project(np.asarray(z)[chosen], method, seed)
        for name, colour in zip(names, _palette(len(names)), strict=True):
            group = points[labels[chosen] == name]
            axes.scatter(*group.T, s=5, color=colour, linewidths=0, rasterized=True)
            if len(group):
                box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour, "alpha": 0.85}
                axes.text(*np.median(group, axis=0), str(name), ha="center", va="center", fontsize=9, bbox=box)
        axes.set(title=title, xticks=[], yticks=[])
    return figure


def training_curves(history):
    """Loss, share of rows that changed cluster and, where there are any, ACC, NMI and ARI, by update of the target.

    Args:
        history: dict from name to list of numbers, as `History.history` of `DEC.fit`.

    Returns:
        Figure with two or three Axes.

    Raises:
        ValueError: there is no loss in the history.
    """
    if not history.get("loss"):
        raise ValueError(f"history should hold the loss of at least one update. Received: {sorted(history)}")
    panels = [("loss", ["loss"]), ("rows that changed cluster (%)", ["changed"]), ("score", ["acc", "nmi", "ari"])]
    panels = [(title, [name for name in names if name in history]) for title, names in panels]
    panels = [(title, names) for title, names in panels if names]
    figure = Figure(figsize=(4 * len(panels), 3.2), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, colour, style in zip(names, ("#3f90da", "#e76300", "#832db6"), ("-", "--", ":"), strict=False):
            values = np.asarray(history[name]) * (100 if name == "changed" else 1)
            marker = "o" if len(values) < 2 else None
            axes.plot(range(1, len(values) + 1), values, style, color=colour, marker=marker, label=name.upper())
        axes.set(xlabel="update", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(names) > 1:
            axes.legend(frameon=False)
        if names == ["changed"] and min(history["changed"]) > 0:
            axes.set_yscale("log")
    return figure


def confusion_matrix(y_true, y_pred):
    """How many rows of each class lie in each cluster, the clusters in the order of the classes they match.

    Args:
        y_true: (n,) class labels.
        y_pred: (n,) cluster labels. Clusters that match no class stand at the right.

    Returns:
        Figure: a row of cells a class, coloured by the share of the class, with the counts written in.
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    matching = match_clusters(y_true, y_pred)
    classes, clusters = np.unique(y_true).tolist(), np.unique(y_pred).tolist()
    by_class = {name: cluster for cluster, name in matching.items()}
    columns = [by_class[name] for name in classes if name in by_class]
    columns += [cluster for cluster in clusters if cluster not in columns]
    counts = np.array([[np.sum((y_true == name) & (y_pred == cluster)) for cluster in columns] for name in classes])
    shares = counts / counts.sum(axis=1, keepdims=True)
    side = 1.6 + 0.45 * max(counts.shape)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="cluster", ylabel="class")
    figure.colorbar(image, ax=axes, label="share of the class", shrink=0.8)
    return figure


def top_images(x, q, image_shape, *, n_images=10):
    """The images that each cluster is surest of: a row a cluster, the largest q first (the paper's figure).

    Args:
        x: (n, ...) array of images or of flat rows.
        q: (n, n_clusters) soft assignments.
        image_shape: (height, width) or (height, width, channels) of one image.
        n_images: int, default 10. A cluster of fewer rows shows them all.

    Returns:
        Figure with an Axes an image. The gaps of small clusters are left blank.

    Raises:
        ValueError: a row of x does not hold one image of that shape, or x and q are of different lengths.

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 3.
    """
    x, q = np.asarray(x), np.asarray(q)
    if len(x) != len(q) or int(np.prod(x.shape[1:])) != int(np.prod(image_shape)):
        raise ValueError(
            f"x should be an image of shape {tuple(image_shape)} for each of the {len(q)} rows of q. "
            f"Received: x of shape {x.shape}"
        )
    labels = q.argmax(axis=1)
    figure = Figure(figsize=(0.6 * n_images + 0.6, 0.6 * q.shape[1] + 0.1), layout="constrained")
    panels = figure.subplots(q.shape[1], n_images, squeeze=False)
    for cluster, row in enumerate(panels):
        members = np.flatnonzero(labels == cluster)
        surest = members[np.argsort(-q[members, cluster], kind="stable")][:n_images]
        for axes in row:
            axes.set_axis_off()
        for axes, index in zip(row, surest, strict=False):
            axes.imshow(x[index].reshape(image_shape), cmap="gray_r")
        row[0].text(-0.25, 0.5, str(cluster), transform=row[0].transAxes, ha="right", va="center", fontsize=9)
    return figure


def _project(z, method, seed):
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if z.shape[1] <= 2:
        return np.pad(z, ((0, 0), (0, 2 - z.shape[1])))
    if method == "pca":
        return PCA(2, random_state=seed).fit_transform(z)
    return TSNE(perplexity=min(30, (len(z) - 1) / 3), random_state=seed, init="pca").fit_transform(z)


def _palette(n):
    return _COLOURS[:n] if n <= len(_COLOURS) else colormaps["turbo"](np.linspace(0.03, 0.97, n))
