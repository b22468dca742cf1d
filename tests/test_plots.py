"""The contents of figures: points, colors, counts, images."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from deckeras import plots
from deckeras.plots import projection


@pytest.fixture
def rows():
    """90 embedded rows, three groups far apart."""
    labels = np.repeat([0, 1, 2], 30)
    return np.random.default_rng(0).normal(size=(90, 10)) + 20 * np.eye(3, 10)[labels], labels


def points_of(axes):
    return [np.asarray(collection.get_offsets()) for collection in axes.collections]


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_embedding_shows_each_group_in_one_place(rows, method):
    z, labels = rows
    figure = plots.embedding({"before": z, "after": z * 2}, labels, method=method)
    assert isinstance(figure, Figure)
    assert [axes.get_title() for axes in figure.axes] == ["before", "after"]
    for axes in figure.axes:
        groups = points_of(axes)
        assert [len(group) for group in groups] == [30, 30, 30]
        centres = np.array([group.mean(axis=0) for group in groups])
        spread = max(np.linalg.norm(group - group.mean(axis=0), axis=1).mean() for group in groups)
        assert min(np.linalg.norm(centres[i] - centres[j]) for i, j in [(0, 1), (0, 2), (1, 2)]) > 2 * spread
        assert [text.get_text() for text in axes.texts] == ["0", "1", "2"]
        for text, group in zip(axes.texts, groups, strict=True):
            np.testing.assert_allclose(text.get_position(), np.median(group, axis=0))


def test_embedding_draws_the_same_sample_in_each_panel(rows):
    z, labels = rows
    figure = plots.embedding({"a": z[:, :2], "b": z[:, :2]}, labels, max_points=40)
    first, second = (np.concatenate(points_of(axes)) for axes in figure.axes)
    assert len(first) == 40
    np.testing.assert_array_equal(first, second)
    again = np.concatenate(points_of(plots.embedding({"a": z[:, :2]}, labels, max_points=40).axes[0]))
    np.testing.assert_array_equal(first, again)


def test_embedding_of_two_dimensions_is_drawn_as_it_is(rows):
    z, labels = rows
    np.testing.assert_allclose(np.concatenate(points_of(plots.embedding({"": z[:, :2]}, labels).axes[0])), z[:, :2])
    flat = np.concatenate(points_of(plots.embedding({"": z[:, :1]}, labels).axes[0]))
    np.testing.assert_allclose(flat, np.pad(z[:, :1], ((0, 0), (0, 1))))


@pytest.mark.parametrize("n", [1, 30])
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_rows_that_are_all_alike(n, method):
    """The t-SNE of scikit-learn divides by their spread, and ends the process by a segmentation fault."""
    z = np.full((n, 10), 0.3, "float32")
    np.testing.assert_array_equal(projection.plane(z, method), np.zeros((n, 2)))
    assert [text.get_text() for text in plots.embedding({"": z}, np.zeros(n, int), method=method).axes[0].texts] == [
        "0"
    ]


def test_a_moment_at_which_rows_are_alike(rows):
    z = rows[0][::5]
    for moments in [z, 0 * z], [0 * z, z]:
        layouts = projection.common_layout(np.stack(moments))
        np.testing.assert_allclose(layouts.std(axis=(1, 2)), [np.any(moment) for moment in moments], rtol=1e-5)


def test_clusters_have_colours_of_their_own():
    for n in (10, 25):
        labels = np.arange(2 * n) % n
        axes = plots.embedding({"": np.random.default_rng(0).normal(size=(2 * n, 2))}, labels).axes[0]
        assert len({tuple(collection.get_facecolor()[0]) for collection in axes.collections}) == n


def test_embedding_of_names_and_few_rows(rows):
    z, _ = rows
    figure = plots.embedding({"": z[:5]}, np.array(["cat", "dog", "cat", "dog", "emu"]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["cat", "dog", "emu"]


def test_training_curves(rows):
    history = {"loss": [0.3, 0.2], "changed": [0.1, 0.01], "acc": [0.5, 0.6], "nmi": [0.4, 0.5], "ari": [0.3, 0.4]}
    figure = plots.training_curves(history)
    loss, changed, score = figure.axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[1, 0.3], [2, 0.2]])
    np.testing.assert_allclose(changed.lines[0].get_ydata(), [10, 1])
    assert changed.get_yscale() == "log"
    assert score.get_title() == "score (%)"
    np.testing.assert_allclose(score.lines[0].get_ydata(), [50, 60])
    assert [line.get_label() for line in score.lines] == ["ACC", "NMI", "ARI"]
    assert [text.get_text() for text in score.get_legend().get_texts()] == ["ACC", "NMI", "ARI"]
    assert len({line.get_linestyle() for line in score.lines}) == 3  # told apart without colour, too


def test_training_curves_beside_kmeans():
    history = {"loss": [0.3, 0.2], "acc": [0.5, 0.6], "nmi": [0.4, 0.5]}
    _, score = plots.training_curves(history, kmeans={"acc": 0.55, "nmi": 0.25, "ari": 0.2}).axes
    curves = {line.get_label(): line for line in score.lines}
    assert list(curves) == ["ACC", "ACC of k-means", "NMI", "NMI of k-means"]  # ARI is not in the history
    for name, height in ("ACC", 55), ("NMI", 25):
        line = curves[f"{name} of k-means"]
        np.testing.assert_allclose(line.get_ydata(), height)
        assert (line.get_color(), line.get_linestyle()) == (curves[name].get_color(), curves[name].get_linestyle())
    assert len(score.get_legend().get_texts()) == 4


def test_training_curves_without_labels_or_with_no_change_left():
    figure = plots.training_curves({"loss": [0.3], "changed": [0.0]})
    assert len(figure.axes) == 2
    assert figure.axes[1].get_yscale() == "linear"
    assert figure.axes[0].lines[0].get_marker() == "o"  # a line of one point would be invisible
    assert len(plots.training_curves({"loss": [0.3, 0.1]}).axes) == 1


def cells_of(axes):
    return [int(text.get_text()) for text in axes.texts]


def test_confusion_matrix_matches_clusters_to_classes():
    y_true = np.array([0, 0, 0, 1, 1, 2])
    y_pred = np.array([2, 2, 0, 0, 0, 1])
    axes = plots.confusion_matrix(y_true, y_pred).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "0", "1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "2"]
    np.testing.assert_array_equal(np.reshape(cells_of(axes), (3, 3)), [[2, 1, 0], [0, 2, 0], [0, 0, 1]])
    np.testing.assert_allclose(axes.images[0].get_array()[0], [200 / 3, 100 / 3, 0])
    assert axes.get_xlabel().split("\n") == ["clusters, in the order of", "the classes that they match"]
    assert axes.figure.axes[1].get_ylabel() == "rows of the class (%)"


@pytest.mark.parametrize(("y_pred", "columns"), [([3, 3, 4, 5], ["3", "4", "5"]), ([3, 3, 3, 3], ["3"])])
def test_confusion_matrix_of_more_or_fewer_clusters(y_pred, columns):
    axes = plots.confusion_matrix(np.array(["a", "a", "b", "b"]), y_pred).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == columns
    assert sum(cells_of(axes)) == 4


def test_top_images_are_the_most_confident_of_each_cluster():
    q = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.3, 0.7]])
    x = np.arange(5)[:, None] * np.ones((5, 6))
    figure = plots.top_images(x, q, (2, 3), n_images=3)
    shown = [axes.images[0].get_array().data[0, 0] if axes.images else None for axes in figure.axes]
    assert shown == [1, 3, 0, 2, 4, None]
    assert figure.axes[0].images[0].get_array().shape == (2, 3)
    assert [axes.texts[0].get_text() for axes in (figure.axes[0], figure.axes[3])] == ["0", "1"]


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (["b", "b", "a", "b", "b"], ["0: b", "1: a"]),
        ([3, 3, 3, 3, 3], ["0: 3", "1"]),  # a class for one of the clusters
        (["a$b$"] * 5, ["0: a$b$", "1"]),  # no formulas
    ],
)
def test_top_images_of_classes(y, names):
    q = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.3, 0.7]])
    figure = plots.top_images(np.zeros((5, 6)), q, (2, 3), n_images=3, y=y)
    texts = [axes.texts[0] for axes in (figure.axes[0], figure.axes[3])]
    assert [text.get_text() for text in texts] == names
    assert not any(text.get_parse_math() for text in texts)
    figure.draw_without_rendering()
    assert all(text.get_window_extent().x0 >= 0 for text in texts)


def test_top_images_in_colour_and_of_an_empty_cluster():
    x = np.random.default_rng(0).random((4, 5, 5, 3))
    q = np.tile([0.6, 0.3, 0.1], (4, 1))
    figure = plots.top_images(x, q, (5, 5, 3), n_images=4)
    assert figure.axes[0].images[0].get_array().shape == (5, 5, 3)
    assert not any(axes.images for axes in figure.axes[4:])


def test_bad_arguments(rows):
    z, labels = rows
    with pytest.raises(ValueError, match="labels should be as many as the rows of 'z', 90. Received: 89"):
        plots.embedding({"z": z}, labels[:-1])
    with pytest.raises(ValueError, match="method should be 'tsne' or 'pca'. Received: method='umap'"):
        plots.embedding({"z": z}, labels, method="umap")
    with pytest.raises(ValueError, match=r"loss of at least one update. Received: \['acc'\]"):
        plots.training_curves({"acc": [1]})
    with pytest.raises(ValueError, match=r"image of shape \(3, 3\) for each of the 5 rows of q.* \(5, 6\)"):
        plots.top_images(np.zeros((5, 6)), np.zeros((5, 2)), (3, 3))
    with pytest.raises(ValueError, match="1-D, of one length"):
        plots.top_images(np.zeros((5, 6)), np.zeros((5, 2)), (2, 3), y=[0])
    with pytest.raises(ValueError, match="1-D, of one length"):
        plots.confusion_matrix([0, 1], [0])


@pytest.mark.parametrize("extension", ["png", "svg", "pdf"])
def test_figures_save(rows, tmp_path, extension):
    z, labels = rows
    plots.embedding({"z": z}, labels, method="pca").savefig(tmp_path / f"a.{extension}")
    assert (tmp_path / f"a.{extension}").stat().st_size > 1000


def test_common_layout_keeps_rows_in_their_places(rows):
    z, _ = rows
    random = np.random.default_rng(1)
    moments = np.stack([z + random.normal(size=z.shape), z])
    first, last = projection.common_layout(moments)
    np.testing.assert_allclose([first.std(), last.std()], 1, rtol=1e-5)
    apart = np.linalg.norm(last[:, None] - last, axis=2).mean()
    assert np.linalg.norm(first - last, axis=1).mean() < apart / 4
    np.testing.assert_array_equal(projection.common_layout(moments)[0], first)


def test_moments_share_their_axes(rows):
    _, labels = rows
    layouts = np.random.default_rng(0).normal(size=(4, 90, 2))
    figure = plots.moments(layouts, labels, ["a", "b", "c", "d"])
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["a", "b", "c", "d"]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
    for axes, layout in zip(panels, layouts, strict=True):
        np.testing.assert_array_equal(np.concatenate(points_of(axes)), layout)


def test_moments_want_a_title_each():
    for function in plots.moments, plots.animation:
        with pytest.raises(ValueError, match="2 labels and 1 titles"):
            function(np.zeros((3, 2, 2)), [0, 1], ["a"])


def test_animation_glides_from_moment_to_moment(rows, tmp_path):
    from PIL import Image

    _, labels = rows
    layouts = np.random.default_rng(0).normal(size=(3, 90, 2))
    film = plots.animation(layouts, labels, ["a", "b", "c"], steps=2)
    path = tmp_path / "film.gif"
    film.save(path, writer="pillow", dpi=40)
    with Image.open(path) as image:
        assert image.n_frames > 1
    axes = film._fig.axes[0]
    np.testing.assert_allclose(np.concatenate(points_of(axes)), layouts[-1])
    film._func(1)
    np.testing.assert_allclose(np.concatenate(points_of(axes)), layouts[:2].mean(axis=0))
    assert axes.get_title() == "a"


def test_gradients_with_images_along():
    q, gradient = np.array([0.9, 0.3, 0.6]), np.array([0.1, 0.2, 0.4])
    x = np.arange(12.0).reshape(3, 4)
    scatter, *images = plots.gradients(q, gradient, x, (2, 2)).axes
    np.testing.assert_array_equal(points_of(scatter)[0], np.stack([q, gradient], axis=1))
    assert [axes.get_title() for axes in images] == ["0.30", "0.60", "0.90"]
    for axes, row in zip(images, [1, 2, 0], strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), x[row].reshape(2, 2))
    assert len(plots.gradients(q, gradient).axes) == 1


def test_sensitivity_has_a_panel_a_parameter():
    names = [("SEC", "mu"), ("DEC", "update_interval"), ("DEC", "alpha"), ("LDMGI", "lambda")]
    rows = [
        {"method": method, "parameter": parameter, "value": value, "seed": seed, "acc": value / 10 + seed / 10}
        for method, parameter in names
        for value in (2, 0.0001)
        for seed in (0, 1)
    ]
    panels = [axes for axes in plots.sensitivity(rows).axes if axes.lines]
    assert [(axes.get_title(), axes.get_xlabel()) for axes in panels] == names
    for axes in panels:
        np.testing.assert_allclose(axes.lines[0].get_ydata(), [5.001, 25])
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.0001", "2"]
        assert axes.get_ylim() == panels[0].get_ylim()
    colors = [axes.lines[0].get_color() for axes in panels]
    assert colors[1] == colors[2]
    assert len(set(colors)) == 3


def test_number_of_clusters_marks_the_suggestion():
    rows = [
        {
            "n_clusters": number,
            "seed": seed,
            "generalizability": 1 - number / 100 + seed / 50,
            "generalizability_error": 0.01,
            "silhouette": number / 10,
            "silhouette_error": 0.01,
            "nmi": 0.5,
        }
        for number in (3, 2)
        for seed in (0, 1)
    ]
    figure = plots.number_of_clusters(rows, chosen=3)
    assert [axes.get_title() for axes in figure.axes][::2] == ["generalizability", "NMI (%)"]
    for axes in figure.axes:
        assert list(axes.lines[0].get_xdata()) == [2, 3]
        assert any(list(line.get_xdata()) == [3, 3] for line in axes.lines)
    np.testing.assert_allclose(np.asarray(figure.axes[0].lines[0].get_ydata(), float), [0.99, 0.98])
    np.testing.assert_allclose(np.asarray(figure.axes[2].lines[0].get_ydata(), float), [50, 50])
    for row in rows:
        del row["nmi"]
    assert len(plots.number_of_clusters(rows).axes) == 2


def test_a_notebook_shows_a_figure():
    png = plots.training_curves({"loss": [0.2, 0.1], "changed": [0.1, 0.0]})._repr_png_()
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.array([[0.0, 51, 255], [255, 0, 0]]), [0, 0.2, 1]),
        (np.array([[-1.0, 0, 1], [0, 0, 0]]), [0, 0.5, 1]),
        (np.array([[0.0, 0.2, 0.5], [0, 0, 0]]), [0, 0.2, 0.5]),
        (np.array([[0, 51, 255], [0, 0, 0]]), [0, 51, 255]),
    ],
    ids=["0 to 255", "-1 to 1", "0 to 1", "whole numbers"],
)
def test_colors_in_any_range(x, expected):
    """Matplotlib draws floats above 1 in white, and those below 0 in black."""
    q = np.array([[0.9, 0.1], [0.2, 0.8]])
    for figure, axes in (
        (plots.top_images(x, q, (1, 1, 3), n_images=1), 0),
        (plots.gradients(np.array([0.1, 0.2]), np.ones(2), x, (1, 1, 3)), 1),
    ):
        np.testing.assert_allclose(figure.axes[axes].images[0].get_array().ravel(), expected)


@pytest.mark.parametrize(("n_classes", "n_clusters"), [(3, 30), (30, 3)])
def test_a_long_confusion_matrix_is_a_long_figure(n_classes, n_clusters):
    random = np.random.default_rng(0)
    figure = plots.confusion_matrix(random.integers(n_classes, size=900), random.integers(n_clusters, size=900))
    width, height = figure.get_size_inches()
    assert (width > 3 * height) == (n_clusters == 30)
    assert (height > 3 * width) == (n_classes == 30)
