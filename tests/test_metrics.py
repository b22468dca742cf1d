"""Scores against values computed by hand, and against every possible matching."""

import itertools

import numpy as np
import pandas
import pytest
from sklearn.metrics import silhouette_samples

from deckeras import metrics


def best_of_all_matchings(y_true, y_pred):
    """Accuracy by trying each one-to-one matching."""
    classes, clusters = list(set(y_true)), list(set(y_pred))
    size = max(len(classes), len(clusters))
    classes += [object() for _ in range(size - len(classes))]
    return max(
        np.mean([dict(zip(clusters, order, strict=False))[c] == t for t, c in zip(y_true, y_pred, strict=True)])
        for order in itertools.permutations(classes)
    )


def test_names_of_clusters_do_not_matter():
    assert metrics.scores([0, 0, 1, 1], [7, 7, 3, 3]) == {"acc": 1.0, "nmi": 1.0, "ari": 1.0}


def test_values_by_hand():
    # Cluster 5 holds a, a, b; cluster 6 holds b: three of four agree.
    y_true, y_pred = ["a", "a", "b", "b"], [5, 5, 5, 6]
    assert metrics.accuracy(y_true, y_pred) == 0.75
    # Two pairs are together in the classes, three in the clusters, one in both, of six.
    assert metrics.ari(y_true, y_pred) == pytest.approx((1 - 1) / ((2 + 3) / 2 - 1))
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    information = 0.5 * np.log(0.5 / (0.5 * 0.75)) + 0.25 * np.log(0.25 / 0.375) + 0.25 * np.log(0.25 / 0.125)
    assert metrics.nmi(y_true, y_pred) == pytest.approx(information / ((np.log(2) + entropy) / 2))


@pytest.mark.parametrize(("n_classes", "n_clusters"), [(4, 4), (3, 5), (5, 2), (1, 3), (3, 1)])
def test_accuracy_is_the_best_matching(n_classes, n_clusters):
    random = np.random.default_rng(n_classes * 10 + n_clusters)
    y_true, y_pred = random.integers(n_classes, size=40), random.integers(n_clusters, size=40)
    assert metrics.accuracy(y_true, y_pred) == pytest.approx(best_of_all_matchings(y_true, y_pred))


@pytest.mark.parametrize("labels", [["cat", "dog", "dog"], [-1, 40, 40], [0.5, 1.5, 1.5], np.array([1, 2, 2], "uint8")])
def test_any_label_values(labels):
    assert metrics.accuracy(labels, [1, 0, 0]) == 1


def test_matching_says_which_cluster_is_which_class():
    assert metrics.match_clusters(["a", "b", "b", "c"], [2, 0, 0, 1]) == {0: "b", 1: "c", 2: "a"}
    assert metrics.match_clusters(["a", "a", "a"], [4, 4, 5]) == {4: "a"}


def test_sizes_count_empty_clusters():
    np.testing.assert_array_equal(metrics.cluster_sizes([0, 2, 2], n_clusters=5), [1, 0, 2, 0, 0])
    np.testing.assert_array_equal(metrics.cluster_sizes([0, 2, 2]), [1, 0, 2])


@pytest.mark.parametrize(("y_true", "y_pred"), [([], []), ([0, 1], [0]), ([[0, 1]], [[0, 1]])])
def test_bad_labels(y_true, y_pred):
    for score in (metrics.accuracy, metrics.nmi, metrics.ari, metrics.match_clusters):
        with pytest.raises(ValueError, match="y_true and y_pred.* Received: shapes"):
            score(y_true, y_pred)


@pytest.mark.parametrize("labels", [[-1, 0], [0.5], [[0]]])
def test_bad_cluster_labels(labels):
    with pytest.raises(ValueError, match="labels.* integers"):
        metrics.cluster_sizes(labels)


def test_label_beyond_n_clusters():
    with pytest.raises(ValueError, match="n_clusters=2. Received: 4"):
        metrics.cluster_sizes([0, 4], n_clusters=2)


def test_divergences_by_hand():
    p, q = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.25, 0.75], [0.5, 0.5]])
    expected = [0.5 * np.log(2) + 0.5 * np.log(2 / 3), np.log(2)]
    np.testing.assert_allclose(metrics.divergences(p, q), expected)
    np.testing.assert_array_equal(metrics.divergences(q, q), 0)
    assert np.isfinite(metrics.divergences([[0.5, 0.5]], [[1.0, 0.0]])).all()
    with pytest.raises(ValueError, match="one shape"):
        metrics.divergences(p, q[:1])


def test_generalizability_is_the_ratio_of_the_losses():
    assert metrics.generalizability(0.2, 0.4) == pytest.approx(0.5)
    assert metrics.generalizability(0.0, 0.0) == 1
    assert np.isfinite(metrics.generalizability(0.1, 0.0))
    for losses in (-0.1, 0.1), (0.1, np.nan):
        with pytest.raises(ValueError, match="finite"):
            metrics.generalizability(*losses)


def test_the_most_confident_rows_are_those_of_the_largest_q():
    q = np.array([[0.6, 0.3, 0.1], [0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    assert [rows.tolist() for rows in metrics.most_confident(q, 2)] == [[1, 0], [2], []]


@pytest.mark.parametrize(
    ("y_true", "y_pred", "clusters", "counts"),
    [
        ([0, 0, 0, 1, 1, 2], [2, 2, 0, 0, 0, 1], [2, 0, 1], [[2, 1, 0], [0, 2, 0], [0, 0, 1]]),
        ([b"cat", b"cat", b"dog"], [1, 1, 0], [1, 0], [[2, 0], [0, 1]]),
        (["a", "a", "b", "b"], [3, 3, 4, 5], [3, 4, 5], [[2, 0, 0], [0, 1, 1]]),
        (["a", "b", "b"], [7, 7, 7], [7], [[1], [2]]),
    ],
)
def test_confusion_by_hand(y_true, y_pred, clusters, counts):
    found = metrics.confusion(y_true, y_pred)
    assert found[0].tolist() == sorted({name.decode() if isinstance(name, bytes) else name for name in y_true})
    assert found[1].tolist() == clusters
    assert found[2].tolist() == counts


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, np.nan, 1, 1], "label for every row. Received: nan in row 1"),
        (["a", None, "b", "b"], "label for every row. Received: None in row 1"),
        (["a", float("nan"), "b", "b"], "label for every row. Received: nan in row 1"),
        ([b"a", float("nan"), b"b", b"b"], "label for every row. Received: nan in row 1"),
        ((1, "1", 2, 2), "compared with each other"),
        (pandas.array([0, None, 1, 1], "Int64"), "label for every row. Received: nan in row 1"),
        (pandas.Series(["a", None, "b", "b"], dtype="category"), "label for every row. Received: nan in row 1"),
        (
            pandas.to_datetime(["2020-01-01", None, "2021-01-01", "2021-01-01"]),
            "label for every row. Received: NaT in row 1",
        ),
        (np.ma.array([0, 9, 1, 1], mask=[0, 1, 0, 0]), "label for every row. Received: None in row 1"),
        (np.array([0, "a", 1, 1], object), "compared with each other"),
        ([b"\xff", b"\xff", b"b", b"b"], "text in UTF-8"),
    ],
    ids=[
        "nan",
        "None",
        "nan in text",
        "nan in bytes",
        "number and text",
        "NA",
        "category",
        "NaT",
        "mask",
        "mixed",
        "bytes",
    ],
)
def test_missing_labels_are_no_class(labels, message):
    for use in metrics.scores, metrics.match_clusters, metrics.confusion:
        with pytest.raises(ValueError, match=f"y_true should .*{message}"):
            use(labels, [0, 0, 1, 1])
        with pytest.raises(ValueError, match=f"y_pred should .*{message}"):
            use([0, 0, 1, 1], labels)


def test_masks_that_hide_nothing():
    assert metrics.accuracy(np.ma.array(["a", "b"]), np.ma.array([1, 0])) == 1


def test_silhouettes_of_a_table():
    points = np.random.default_rng(0).normal(size=(6, 6))
    labels = [0, 0, 0, 1, 1, 1]
    table = pandas.DataFrame(points, index=list("abcdef"))[[5, 4, 3, 2, 1, 0]]
    np.testing.assert_allclose(metrics.silhouettes(table, labels)[1], silhouette_samples(points, labels))
    with pytest.raises(ValueError, match="labels should be as many as the rows of points, 6. Received: 5"):
        metrics.silhouettes(points, labels[:5])


def test_silhouettes_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    points, labels = random.normal(size=(2100, 2)), random.integers(3, size=2100)
    rows, values = metrics.silhouettes(points[:50], labels[:50])
    np.testing.assert_array_equal(rows, np.arange(50))
    np.testing.assert_allclose(values, silhouette_samples(points[:50], labels[:50]))
    rows, values = metrics.silhouettes(points, labels, seed=1)
    assert len(rows) == len(values) == 2000
    np.testing.assert_allclose(values, silhouette_samples(points[rows], labels[rows]))
    rows, _ = metrics.silhouettes(points, labels, among=np.arange(7, 2100, 7))
    np.testing.assert_array_equal(rows, np.arange(7, 2100, 7))
    for alike in np.zeros(50), np.arange(50):
        assert metrics.silhouettes(points[:50], alike)[1].tolist() == [-1] * 50
