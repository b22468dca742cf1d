"""Figures for papers and notebooks: functions of arrays that return a `matplotlib.figure.Figure`.

`animation` returns a `matplotlib.animation.FuncAnimation` instead.

Save a figure by `figure.savefig("name.png", dpi=200)`, or as .svg or .pdf. A notebook shows it as the result of a cell.
"""

import io
import itertools

import matplotlib.figure
import numpy as np
from matplotlib import colormaps

from deckeras.metrics import match_clusters, surest_rows
from deckeras.plots import projection

# These ten colors are distinct with any kind of color vision (Petroff, "Accessible Color Sequences for Data
# Visualization", 2021).
COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip


class _Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self):
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def embedding(embeddings, labels, *, method="tsne", max_points=2000, seed=0):
    """Draw scatter plots of embeddings side by side, such as before and after clustering, colored by label.

    Args:
        embeddings: dict from title to (n, n_embedding) array, with a panel for each.
        labels: (n,) integer or string labels. Each has a color, and its name at the median of its points.
        method: as for `deckeras.plots.projection.plane`. Each panel has its own layout.
        max_points: int, default 2,000. If there are more rows, each panel shows the same random sample.
        seed: int, default 0, of the sample and of t-SNE.

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
    labels = np.asarray(labels)
    for title, z in embeddings.items():
        if len(z) != len(labels):
            raise ValueError(f"labels should be as many as the rows of {title!r}, {len(z)}. Received: {len(labels)}")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(labels))[:max_points])
    names = np.unique(labels)
    figure = _Figure(figsize=(4 * len(embeddings), 4), layout="constrained")
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
    figure = _Figure(figsize=(3.2 * columns, 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(layouts) :]:
        axes.set_axis_off()
    for axes, points, title in zip(panels, layouts, titles, strict=False):
        _scatter(axes, points, labels, np.unique(labels))
        _frame(axes, layouts, title)
    return figure


def animation(layouts, labels, titles, *, steps=10):
    """Animate the scatter plots of `moments`, with rows that move from one moment to the next.

    Args:
        layouts, labels, titles: as for `moments`.
        steps: int, default 10. The number of frames from one moment to the next.

    Returns:
        `matplotlib.animation.FuncAnimation`, which `animation.save("name.gif", writer="pillow")` writes.
    """
    from matplotlib.animation import FuncAnimation

    layouts, labels = _check_moments(layouts, labels, titles)
    figure = _Figure(figsize=(4, 4.2), layout="constrained")
    axes = figure.subplots()

    def draw(frame):
        moment, step = divmod(frame, steps)
        after = min(moment + 1, len(layouts) - 1)
        fraction = step / steps
        axes.clear()
        _scatter(axes, (1 - fraction) * layouts[moment] + fraction * layouts[after], labels, np.unique(labels))
        _frame(axes, layouts, titles[moment])

    frames = (len(layouts) - 1) * steps + 1
    # It pauses at each moment, so that the titles can be read.
    order = [frame for frame in range(frames) for _ in range(steps if frame % steps == 0 else 1)]
    return FuncAnimation(figure, draw, order, init_func=lambda: None, interval=80)


def training_curves(history):
    """Draw loss, fraction of rows that changed cluster and any scores, by update of the target.

    Args:
        history: dict from name to list of numbers, as `History.history` of `DEC.fit`. The scores are "acc",
            "nmi" and "ari".

    Returns:
        Figure with two or three Axes.

    Raises:
        ValueError: the history has no loss.
    """
    if not history.get("loss"):
        raise ValueError(f"history should hold the loss of at least one update. Received: {sorted(history)}")
    panels = [("loss", ["loss"]), ("rows that changed cluster (%)", ["changed"]), ("score", ["acc", "nmi", "ari"])]
    panels = [(title, [name for name in names if name in history]) for title, names in panels]
    panels = [(title, names) for title, names in panels if names]
    figure = _Figure(figsize=(4 * len(panels), 3.2), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, color, style in zip(names, ("#3f90da", "#e76300", "#832db6"), ("-", "--", ":"), strict=False):
            values = np.asarray(history[name]) * (100 if name == "changed" else 1)
            marker = "o" if len(values) < 2 else None
            axes.plot(range(1, len(values) + 1), values, style, color=color, marker=marker, label=name.upper())
        axes.set(xlabel="update", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        _bare(axes)
        if len(names) > 1:
            axes.legend(frameon=False)
        if names == ["changed"] and min(history["changed"]) > 0:
            axes.set_yscale("log")
    return figure


def confusion_matrix(y_true, y_pred):
    """Draw the number of rows of each class in each cluster, with the clusters in the order of their classes.

    Args:
        y_true: (n,) class labels.
        y_pred: (n,) cluster labels. Clusters that match no class are at the right.

    Returns:
        Figure: a row of cells for each class, colored by the fraction of the class and labeled with the counts.
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    matching = match_clusters(y_true, y_pred)
    classes, clusters = np.unique(y_true).tolist(), np.unique(y_pred).tolist()
    by_class = {name: cluster for cluster, name in matching.items()}
    columns = [by_class[name] for name in classes if name in by_class]
    columns += [cluster for cluster in clusters if cluster not in columns]
    counts = np.array([[np.sum((y_true == name) & (y_pred == cluster)) for cluster in columns] for name in classes])
    fractions = counts / counts.sum(axis=1, keepdims=True)
    side = 1.6 + 0.45 * max(counts.shape)
    figure = _Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if fractions[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count}", ha="center", va="center", fontsize=7, color=color)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(classes)), classes, parse_math=False)
    axes.set(xlabel="cluster", ylabel="class")
    figure.colorbar(image, ax=axes, label="fraction of the class", shrink=0.8)
    return figure


def top_images(x, q, image_shape, *, n_images=10):
    """Draw the most confident images of each cluster: a row for each cluster, the largest q first.

    Args:
        x: (n, ...) array of images or of flat rows.
        q: (n, n_clusters) soft assignments.
        image_shape: (height, width) or (height, width, channels) of one image.
        n_images: int, default 10. A smaller cluster shows all its images.

    Returns:
        Figure with one Axes per image, blank in the gaps of small clusters.

    Raises:
        ValueError: a row of x is not an image of this shape, or x and q have different lengths.

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 3.
    """
    x, q = np.asarray(x), np.asarray(q)
    if len(x) != len(q) or int(np.prod(x.shape[1:])) != int(np.prod(image_shape)):
        raise ValueError(
            f"x should be an image of shape {tuple(image_shape)} for each of the {len(q)} rows of q. "
            f"Received: x of shape {x.shape}"
        )
    figure = _Figure(figsize=(0.6 * n_images + 0.6, 0.6 * q.shape[1] + 0.1), layout="constrained")
    panels = figure.subplots(q.shape[1], n_images, squeeze=False)
    for cluster, (row, confident) in enumerate(zip(panels, surest_rows(q, n_images), strict=True)):
        for axes in row:
            axes.set_axis_off()
        for axes, index in zip(row, confident, strict=False):
            axes.imshow(x[index].reshape(image_shape), cmap="gray_r")
        row[0].text(-0.25, 0.5, str(cluster), transform=row[0].transAxes, ha="right", va="center", fontsize=9)
    return figure


def gradients(q, gradient, x=None, image_shape=None, *, n_images=8):
    """Draw the gradient of the loss at the rows of one cluster over the confidence of their assignment.

    Args:
        q: (n,) array, the soft assignments of the rows to their cluster.
        gradient: (n,) array, the norms of the gradient with respect to the embedded rows.
        x: (n, ...) array of the rows' images, default None: no images.
        image_shape: as for `top_images`.
        n_images: int, default 8. The number of images, at even steps of the rows sorted by q. Their points are marked.

    Returns:
        Figure: first the Axes of the scatter plot, then one per image.

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 4.
    """
    q, gradient = np.asarray(q), np.asarray(gradient)
    figure = _Figure(figsize=(6.4, 4.2), layout="constrained")
    shown = np.argsort(q, kind="stable")[np.linspace(0, len(q) - 1, min(n_images, len(q))).astype(int)]
    if x is None:
        axes = figure.subplots()
    else:
        grid = figure.add_gridspec(2, len(shown), height_ratios=(1, 4))
        axes = figure.add_subplot(grid[1, :])
        for column, row in enumerate(shown):
            panel = figure.add_subplot(grid[0, column])
            panel.imshow(np.asarray(x[row]).reshape(image_shape), cmap="gray_r")
            panel.set(title=f"{q[row]:.2f}", xticks=[], yticks=[])
    axes.scatter(q, gradient, s=8, color=COLOURS[0], linewidths=0, rasterized=True)
    if x is not None:
        axes.scatter(q[shown], gradient[shown], s=40, facecolors="none", edgecolors=COLOURS[6], linewidths=1.5)
    axes.set(xlabel="soft assignment q of the row to its cluster", ylabel="norm of the gradient")
    _bare(axes)
    return figure


def sensitivity(rows):
    """Draw accuracy over settings: a panel for each parameter, a line for each method, the range of the seeds shaded.

    Args:
        rows: list of dicts with "method", "parameter", "value", "seed" and "acc". As in the paper, the first panel
            compares DEC's first parameter with those of other methods, by the number of the setting.

    Returns:
        Figure with an Axes a panel.

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 2.
    """
    settings = {}
    for row in rows:
        settings.setdefault((row["method"], row["parameter"]), {}).setdefault(row["value"], []).append(row["acc"])
    own = [name for name in settings if name[0] == "DEC"]
    compared = own[:1] + [name for name in settings if name[0] != "DEC"]
    panels = [("all", compared)] * bool(compared) + [(parameter, [(method, parameter)]) for method, parameter in own]
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = _Figure(figsize=(3.6 * columns, 3 * lines), layout="constrained")
    found = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for axes in found[len(panels) :]:
        axes.set_axis_off()
    styles = tuple(zip(("#3f90da", "#e76300", "#832db6"), ("o-", "s--", "^:"), strict=True))
    for axes, (title, names) in zip(found, panels, strict=False):
        for name, (color, style) in zip(names, itertools.cycle(styles), strict=False):
            values = sorted(settings[name])
            scores = [100 * np.asarray(settings[name][value]) for value in values]
            ticks = range(1, len(values) + 1)
            axes.plot(ticks, [np.mean(score) for score in scores], style, color=color, label=" by ".join(name))
            spread = [score.min() for score in scores], [score.max() for score in scores]
            axes.fill_between(ticks, *spread, color=color, alpha=0.2, linewidth=0)
        if title == "all":
            axes.legend(frameon=False, fontsize=8)
            axes.set(xlabel="number of the setting", xticks=ticks)
        else:
            axes.set_xticks(ticks, [f"{value:g}" for value in values], rotation=45 if len(values) > 6 else 0)
            axes.set(xlabel=title)
        _bare(axes)
    for axes in found[::columns]:
        axes.set_ylabel("accuracy (%)")
    return figure


def number_of_clusters(rows, chosen=None):
    """Draw the criteria for a number of clusters: generalizability, silhouette and, with labels, NMI.

    Args:
        rows: list of dicts with "n_clusters", "generalizability", "generalizability_error", "silhouette",
            "silhouette_error" and perhaps "nmi", as `selection.evaluate` returns. Several rows of one number, such as
            those of several seeds, are averaged.
        chosen: int, default None. The suggested number, which a vertical line marks.

    Returns:
        Figure with one Axes per criterion.

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 6.
    """
    numbers = sorted({row["n_clusters"] for row in rows})
    titles = {"generalizability": "generalizability", "silhouette": "silhouette of the embedding before", "nmi": "NMI"}
    panels = [name for name in titles if name in rows[0]]
    figure = _Figure(figsize=(3.8 * len(panels), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        groups = [[row for row in rows if row["n_clusters"] == number] for number in numbers]
        means = [np.mean([row[name] for row in group]) for group in groups]
        errors = [np.mean([row.get(f"{name}_error", 0) for row in group]) for group in groups]
        axes.errorbar(numbers, means, errors, fmt="o-", color=COLOURS[0], ecolor=COLOURS[8], capsize=2)
        if chosen is not None:
            axes.axvline(chosen, color=COLOURS[6], linestyle="--")
        if name == "generalizability":
            axes.axhline(1, color="black", linestyle=":", linewidth=1)
        axes.set(xlabel="number of clusters", title=titles[name])
        axes.xaxis.get_major_locator().set_params(integer=True)
        _bare(axes)
    return figure


def _bare(axes):
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _check_moments(layouts, labels, titles):
    layouts, labels = np.asarray(layouts), np.asarray(labels)
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
    """Set limits that hold every layout, so that panels and frames can be compared."""
    low, high = layouts.min(axis=(0, 1)), layouts.max(axis=(0, 1))
    margin = 0.05 * (high - low)
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
    axes.set(title=title, xticks=[], yticks=[])


def _palette(n):
    return COLOURS[:n] if n <= len(COLOURS) else colormaps["turbo"](np.linspace(0.03, 0.97, n))
