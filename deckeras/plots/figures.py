"""Figures for papers and notebooks: functions of arrays that return a `matplotlib.figure.Figure`.

`animation` returns a `matplotlib.animation.FuncAnimation` instead.

Save a figure with `figure.savefig("name.png", dpi=200)`, or as .svg or .pdf. A notebook displays a figure
that is the result of a cell.
"""

import numpy as np
from matplotlib import colormaps

from deckeras._data.labels import as_labels
from deckeras.metrics import confusion, match_clusters, most_confident
from deckeras.plots import projection
from deckeras.plots.drawing import COLORS, Figure, bare, pictures


def embedding(embeddings, labels, *, method="tsne", max_points=2000, seed=0):
    """Draw scatter plots of embeddings side by side, such as before and after clustering, colored by label.

    Args:
        embeddings: dict from title to (n, n_embedding) array, one panel each.
        labels: (n,) integer or string labels. Each label has a color, and is written at the median of its points.
        method: as for `deckeras.plots.projection.plane`. Each panel has its own layout.
        max_points: int, default 2,000. If there are more rows, each panel shows the same random sample.
        seed: int, default 0. Seeds the sample and t-SNE.

    Returns:
        Figure with one Axes per panel.

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
    labels = as_labels(labels)
    for title, z in embeddings.items():
        if len(z) != len(labels):
            raise ValueError(f"labels should be as many as the rows of {title!r}, {len(z)}. Received: {len(labels)}")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(labels))[:max_points])
    names = np.unique(labels)
    figure = Figure(figsize=(4 * len(embeddings), 4), layout="constrained")
    panels = figure.subplots(1, len(embeddings), squeeze=False)[0]
    for axes, (title, z) in zip(panels, embeddings.items(), strict=True):
        points = projection.plane(np.asarray(z)[chosen], method, seed=seed)
        _scatter(axes, points, labels[chosen], names)
        axes.set(title=title, xticks=[], yticks=[])
    return figure


def moments(layouts, labels, titles):
    """Draw scatter plots of the same rows at several moments, on common axes.

    Args:
        layouts: (n_moments, n, 2) array, such as `deckeras.plots.projection.common_layout` returns.
        labels: (n,) integer or string labels, each with its own color.
        titles: list of n_moments strings.

    Returns:
        Figure with one Axes per moment, three in a row.

    Raises:
        ValueError: the numbers of titles and moments differ.
    """
    layouts, labels = _check_moments(layouts, labels, titles)
    columns = min(3, len(layouts))
    rows = -(-len(layouts) // columns)
    figure = Figure(figsize=(3.2 * columns, 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(layouts) :]:
        axes.set_axis_off()
    for axes, points, title in zip(panels, layouts, titles, strict=False):
        _scatter(axes, points, labels, np.unique(labels))
        _frame(axes, layouts, title)
    return figure


def animation(layouts, labels, titles, *, steps=10):
    """Animate the scatter plots of `moments`, moving the rows from one moment to the next.

    Args:
        layouts, labels, titles: as for `moments`.
        steps: int, default 10. The number of frames from one moment to the next.

    Returns:
        `matplotlib.animation.FuncAnimation`, which `animation.save("name.gif", writer="pillow")` writes.
    """
    from matplotlib.animation import FuncAnimation

    layouts, labels = _check_moments(layouts, labels, titles)
    figure = Figure(figsize=(4, 4.2), layout="constrained")
    axes = figure.subplots()

    def draw(frame):
        moment, step = divmod(frame, steps)
        after = min(moment + 1, len(layouts) - 1)
        fraction = step / steps
        axes.clear()
        _scatter(axes, (1 - fraction) * layouts[moment] + fraction * layouts[after], labels, np.unique(labels))
        _frame(axes, layouts, titles[moment])

    frames = (len(layouts) - 1) * steps + 1
    # The animation pauses at each moment, so that the titles can be read.
    order = [frame for frame in range(frames) for _ in range(steps if frame % steps == 0 else 1)]
    return FuncAnimation(figure, draw, order, init_func=lambda: None, interval=80)


def training_curves(history, kmeans=None):
    """Draw the loss, the rows that changed cluster and any scores, in percent, against the update of the target.

    Args:
        history: dict from name to list of numbers, such as the `History.history` of `DEC.fit`. The scores are "acc",
            "nmi" and "ari".
        kmeans: dict from "acc", "nmi" and "ari" to numbers, default None. The scores of k-means on the same rows, as
            `deckeras.metrics.scores` returns them. Each is drawn as a horizontal line in the color of its curve.

    Returns:
        Figure with two or three Axes.

    Raises:
        ValueError: the history has no loss.

    Example:
        >>> from deckeras import plots
        >>> history = {"loss": [0.3, 0.2, 0.2], "changed": [0.2, 0.01, 0.001], "acc": [0.6, 0.8, 0.9]}
        >>> figure = plots.training_curves(history, kmeans={"acc": 0.5})
        >>> [axes.get_title() for axes in figure.axes]
        ['loss', 'rows that changed cluster (%)', 'score (%)']
    """
    if not history.get("loss"):
        raise ValueError(f"history should hold the loss of at least one update. Received: {sorted(history)}")
    panels = [("loss", ["loss"]), ("rows that changed cluster (%)", ["changed"]), ("score (%)", ["acc", "nmi", "ari"])]
    panels = [(title, [name for name in names if name in history]) for title, names in panels]
    panels = [(title, names) for title, names in panels if names]
    figure = Figure(figsize=(4 * len(panels) + (len(panels) == 3), 3.2), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, color, style in zip(names, ("#3f90da", "#e76300", "#832db6"), ("-", "--", ":"), strict=False):
            values = np.asarray(history[name]) * (1 if name == "loss" else 100)
            marker = "o" if len(values) < 2 else None
            axes.plot(range(1, len(values) + 1), values, style, color=color, marker=marker, label=name.upper())
            if kmeans and name in kmeans:
                line = {"color": color, "linestyle": style, "linewidth": 0.8, "alpha": 0.8}
                axes.axhline(100 * kmeans[name], label=f"{name.upper()} of k-means", **line)
        axes.set(xlabel="update", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        bare(axes)
        if len(axes.lines) > 1:
            axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))  # beside the curves
        if names == ["changed"] and min(history["changed"]) > 0:
            axes.set_yscale("log")
    return figure


def confusion_matrix(y_true, y_pred):
    """Draw the number of rows of each class in each cluster, with the clusters in the order of their classes.

    Args:
        y_true: (n,) class labels.
        y_pred: (n,) cluster labels. Clusters that match no class come last.

    Returns:
        Figure: a row of cells for each class, labeled with the number of rows and colored by the percentage of
        the class.

    Raises:
        ValueError: the labels are not 1-D, or of different lengths.

    Example:
        >>> from deckeras import plots
        >>> figure = plots.confusion_matrix(["cat", "cat", "dog"], [1, 1, 0])
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['1', '0']
    """
    classes, clusters, counts = confusion(y_true, y_pred)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    height, width = 0.45 * np.array(counts.shape)
    figure = Figure(figsize=(width + 2.2, max(height, 1) + 1.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * fractions, cmap="Blues", vmin=0, vmax=100)
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if fractions[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count}", ha="center", va="center", fontsize=7, color=color)
    long = max(len(str(cluster)) for cluster in clusters.tolist()) > 4
    axes.set_xticks(range(len(clusters)), clusters.tolist(), parse_math=False, rotation=90 if long else 0)
    axes.set_yticks(range(len(classes)), classes.tolist(), parse_math=False)
    axes.set(xlabel="clusters, in the order of\nthe classes that they match", ylabel="class")
    figure.colorbar(image, ax=axes, label="rows of the class (%)", shrink=0.8)
    return figure


def top_images(x, q, image_shape, *, n_images=10, y=None):
    """Draw the most confident images of each cluster: one line of images per cluster, in decreasing order of q.

    Args:
        x: (n, ...) array of images or of flat rows.
        q: (n, n_clusters) soft assignments.
        image_shape: (height, width) or (height, width, channels) of one image.
        n_images: int, default 10. A smaller cluster shows all its images.
        y: (n,) class labels, default None. Each cluster is labeled with its matching class, if there is one.

    Returns:
        Figure with one Axes per image, left blank if a cluster has fewer images.

    Raises:
        ValueError: a row of x is not an image of this shape, or x, q and y have different lengths.

    Example:
        >>> import numpy as np
        >>> from deckeras import plots
        >>> q = np.array([[0.9, 0.1], [0.2, 0.8]])
        >>> figure = plots.top_images(np.zeros((2, 6)), q, (2, 3), n_images=1, y=["cat", "dog"])
        >>> [axes.texts[0].get_text() for axes in figure.axes]
        ['0: cat', '1: dog']

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 3.
    """
    x, q = np.asarray(x), np.asarray(q)
    if len(x) != len(q) or int(np.prod(x.shape[1:])) != int(np.prod(image_shape)):
        raise ValueError(
            f"x should be an image of shape {tuple(image_shape)} for each of the {len(q)} rows of q. "
            f"Received: x of shape {x.shape}"
        )
    images = pictures(x, image_shape)
    classes = {} if y is None else match_clusters(y, q.argmax(axis=1))
    names = [f"{cluster}: {classes[cluster]}" if cluster in classes else f"{cluster}" for cluster in range(q.shape[1])]
    width = 0.6 * n_images + 0.4 + 0.08 * max(map(len, names))
    figure = Figure(figsize=(width, 0.6 * q.shape[1] + 0.1), layout="constrained")
    panels = figure.subplots(q.shape[1], n_images, squeeze=False)
    for name, row, confident in zip(names, panels, most_confident(q, n_images), strict=True):
        for axes in row:
            axes.set_axis_off()
        for axes, index in zip(row, confident, strict=False):
            axes.imshow(images[index], cmap="gray_r")
        place = {"transform": row[0].transAxes, "ha": "right", "va": "center", "fontsize": 9}
        row[0].text(-0.25, 0.5, name, parse_math=False, **place)
    return figure


def _check_moments(layouts, labels, titles):
    layouts, labels = np.asarray(layouts), as_labels(labels)
    if layouts.ndim != 3 or layouts.shape[1:] != (len(labels), 2) or len(titles) != len(layouts):
        raise ValueError(
            "layouts should be of shape (n_moments, n, 2), with n labels and n_moments titles. "
            f"Received: shape {layouts.shape}, {len(labels)} labels and {len(titles)} titles"
        )
    return layouts, labels


def _scatter(axes, points, labels, names):
    """Draw points in the colors of their labels, with each name at the median of its points."""
    for name, color in zip(names, _palette(len(names)), strict=True):
        group = points[labels == name]
        axes.scatter(*group.T, s=5, color=color, linewidths=0, rasterized=True)
        if len(group):
            box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": color, "alpha": 0.85}
            axes.text(
                *np.median(group, axis=0), str(name), ha="center", va="center", fontsize=9, bbox=box, parse_math=False
            )


def _frame(axes, layouts, title):
    """Set limits that contain every layout, so that panels and frames can be compared."""
    low, high = layouts.min(axis=(0, 1)), layouts.max(axis=(0, 1))
    margin = 0.05 * (high - low)
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
    axes.set(title=title, xticks=[], yticks=[])


def _palette(n):
    return COLORS[:n] if n <= len(COLORS) else colormaps["turbo"](np.linspace(0.03, 0.97, n))
