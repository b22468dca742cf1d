"""Figures of the paper's experiments, also available from `deckeras.plots`."""

import numpy as np

from deckeras.plots.drawing import COLORS, Figure, bare, pictures


def gradients(q, gradient, x=None, image_shape=None, *, n_images=8):
    """Draw the gradient of the loss at the rows of one cluster against the confidence of their assignment.

    Args:
        q: (n,) array, the soft assignments of the rows to their cluster.
        gradient: (n,) array, the norms of the gradient with respect to the embedded rows.
        x: (n, ...) array of the rows' images, default None: no images.
        image_shape: as for `top_images`.
        n_images: int, default 8. The number of images, evenly spaced in the rows sorted by q. Their points are marked.

    Returns:
        Figure: first the Axes of the scatter plot, then one per image.

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 4.
    """
    q, gradient = np.asarray(q), np.asarray(gradient)
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    shown = np.argsort(q, kind="stable")[np.linspace(0, len(q) - 1, min(n_images, len(q))).astype(int)]
    if x is None:
        axes = figure.subplots()
    else:
        grid = figure.add_gridspec(2, len(shown), height_ratios=(1, 4))
        axes = figure.add_subplot(grid[1, :])
        images = pictures(np.asarray(x)[shown], image_shape)
        for column, row in enumerate(shown):
            panel = figure.add_subplot(grid[0, column])
            panel.imshow(images[column], cmap="gray_r")
            panel.set(title=f"{q[row]:.2f}", xticks=[], yticks=[])
    axes.scatter(q, gradient, s=8, color=COLORS[0], linewidths=0, rasterized=True)
    if x is not None:
        axes.scatter(q[shown], gradient[shown], s=40, facecolors="none", edgecolors=COLORS[6], linewidths=1.5)
    axes.set(xlabel="soft assignment q of the row to its cluster", ylabel="norm of the gradient")
    bare(axes)
    return figure


def sensitivity(rows):
    """Draw accuracy against settings: one panel per parameter of each method, with the range over seeds shaded.

    Args:
        rows: list of dicts with "method", "parameter", "value", "seed" and "acc".

    Returns:
        Figure with an Axes for each pair of method and parameter. All share the same accuracy scale.

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 2.
    """
    settings = {}
    for row in rows:
        settings.setdefault((row["method"], row["parameter"]), {}).setdefault(row["value"], []).append(row["acc"])
    columns = min(3, len(settings))
    lines = -(-len(settings) // columns)
    figure = Figure(figsize=(3.6 * columns, 3 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for axes in panels[len(settings) :]:
        axes.set_axis_off()
    methods = list(dict.fromkeys(method for method, _ in settings))
    for axes, ((method, parameter), scores) in zip(panels, settings.items(), strict=False):
        color = COLORS[methods.index(method) % len(COLORS)]
        values, ticks = sorted(scores), range(len(scores))
        accuracies = [100 * np.asarray(scores[value]) for value in values]
        axes.plot(ticks, [np.mean(each) for each in accuracies], "o-", color=color)
        spread = [each.min() for each in accuracies], [each.max() for each in accuracies]
        axes.fill_between(ticks, *spread, color=color, alpha=0.2, linewidth=0)
        axes.set_xticks(ticks, [f"{value:g}" for value in values], rotation=45 if len(values) > 6 else 0)
        axes.set(xlabel=parameter, title=method)
        bare(axes)
    for axes in panels[::columns]:
        axes.set_ylabel("accuracy (%)")
    return figure


def number_of_clusters(rows, chosen=None):
    """Draw the criteria for a number of clusters: generalizability, silhouette and, with labels, NMI.

    Args:
        rows: list of dicts with "n_clusters", "generalizability", "generalizability_error", "silhouette",
            "silhouette_error" and perhaps "nmi", as `selection.evaluate` returns them. Rows with the same number of
            clusters, for example from several seeds, are averaged.
        chosen: int, default None. The suggested number, which a vertical line marks.

    Returns:
        Figure with one Axes per criterion.

    Source: Xie, Girshick and Farhadi, ICML 2016, figure 6.
    """
    numbers = sorted({row["n_clusters"] for row in rows})
    titles = {
        "generalizability": "generalizability",
        "silhouette": "silhouette of the embedding before",
        "nmi": "NMI (%)",
    }
    panels = [name for name in titles if name in rows[0]]
    figure = Figure(figsize=(3.8 * len(panels), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        groups = [[row for row in rows if row["n_clusters"] == number] for number in numbers]
        means = [np.mean([row[name] for row in group]) * (100 if name == "nmi" else 1) for group in groups]
        errors = [np.mean([row.get(f"{name}_error", 0) for row in group]) for group in groups]
        axes.errorbar(numbers, means, errors, fmt="o-", color=COLORS[0], ecolor=COLORS[8], capsize=2)
        if chosen is not None:
            axes.axvline(chosen, color=COLORS[6], linestyle="--")
        if name == "generalizability":
            axes.axhline(1, color="black", linestyle=":", linewidth=1)
        axes.set(xlabel="number of clusters", title=titles[name])
        axes.xaxis.get_major_locator().set_params(integer=True)
        bare(axes)
    return figure
