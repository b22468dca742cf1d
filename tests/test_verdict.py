"""The verdict: no clusters if there are none, stable ones if there are, and text and JSON for both."""

import json

import numpy as np
import pandas
import pytest
from scipy import sparse

from deckeras import baseline, verdict
from deckeras._data import row_views
from deckeras.initialization import manifold
from deckeras.verdict import Verdict, judge

random = np.random.default_rng(0)
WITHOUT_CLUSTERS = {
    "one Gaussian": random.normal(size=(400, 6)),
    "a long Gaussian": random.normal(size=(400, 4)) * [8, 3, 1, 1],
    "a square": random.uniform(size=(400, 2)),
    "a box": random.uniform(size=(400, 6)),
    "heavy tails": random.standard_t(3, size=(400, 6)),
}


@pytest.mark.parametrize("name", WITHOUT_CLUSTERS)
def test_data_without_clusters_are_told_so(name):
    x = WITHOUT_CLUSTERS[name].astype("float32")
    for n_clusters in (2, 6):
        labels = manifold.Neighborhoods(manifold.views(x), n_epochs=100).clusters(n_clusters)
        found = judge(x, np.eye(n_clusters)[labels])
        assert (found.level, found.structure) == ("none", False)
        assert "no clusters" in found.sentences()[0]


def test_fewer_clusters_than_asked_for_are_clusters():
    """Two far groups of one even cloud each, as the flowers of iris, which are asked for three or six clusters."""
    x = np.random.default_rng(0).normal(size=(400, 4)) + np.where(np.arange(400) < 200, 0, 12)[:, None]
    for n_clusters in (3, 6):
        labels = manifold.Neighborhoods(manifold.views(x), n_epochs=100).clusters(n_clusters)
        found = judge(x.astype("float32"), np.eye(n_clusters)[labels])
        assert (found.structure, found.fewer) == (True, True)
        assert found.level in ("fair", "loose")
        assert "fewer clusters" in str(found)
        assert "no clusters" not in found.sentences()[0]
    two = judge(x.astype("float32"), np.eye(2)[(np.arange(400) < 200).astype(int)])
    assert (two.level, two.fewer) == ("steady", False)


def test_clusters_are_steady(blobs):
    x, y = blobs
    found = judge(x, np.eye(3)[y], start=(y + 1) % 3)
    assert found.level == "steady"
    assert found.agreement > 0.99
    assert found.cut < 0.02 < 0.05 < found.null_cut
    assert (found.differs_from_kmeans, found.differing_clusters, found.unsure) == (0, [], 0)
    assert found.differs_from_start == 0


def test_wrong_clusters_are_not(blobs):
    x, y = blobs
    wrong = np.random.default_rng(0).integers(3, size=len(y))
    found = judge(x, np.full((300, 3), 0.3) + 0.1 * np.eye(3)[wrong], start=y)
    assert found.level == "loose"
    assert found.agreement < 0.1
    assert found.unsure == 1
    assert 0.5 < found.differs_from_start < 0.7
    assert len(found.differing_clusters) >= 2


def test_dict_is_for_json(blobs):
    x, y = blobs
    for q in np.eye(3)[y], np.ones((300, 1)):
        found = judge(x, q)
        assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["sentences"] == found.sentences()
    assert "nothing to compare" in str(found)


@pytest.mark.parametrize(
    "of",
    [
        lambda x: row_views.View(sparse.csr_matrix(x)),
        sparse.csr_matrix,
        lambda x: pandas.DataFrame(x)[[2, 1, 0, *range(3, x.shape[1])]],
    ],
    ids=["view", "sparse", "table"],
)
def test_rows_of_any_kind(of, monkeypatch):
    """More columns than rows, so that numbers of rows are names of columns, too."""
    x, y = np.random.default_rng(0).normal(size=(60, 80)).astype("float32"), np.repeat([0, 1], 30)
    x[y == 1, :9] += 9
    x[:, 2] = x[:, 0]
    monkeypatch.setattr(verdict, "_EPOCHS", 2)
    assert judge(of(x), np.eye(2)[y].tolist()) == judge(x, np.eye(2)[y])
    np.testing.assert_array_equal(baseline.kmeans(of(x), 2), baseline.kmeans(x, 2))


@pytest.mark.parametrize("n", [1, 3, 9])
def test_few_rows(n):
    assert judge(np.zeros((n, 2)), np.eye(2)[np.zeros(n, int)]).level == "loose"


def test_one_cluster_that_came_out_of_several(blobs):
    found = judge(blobs[0], np.tile([0.9, 0.05, 0.05], (300, 1)))
    assert found.level == "loose"
    assert "nothing to compare" in str(found)


def test_two_are_not_fewer_than_two(blobs, monkeypatch):
    """Two clusters of which only one of the layouts knows."""
    x = np.random.default_rng(0).normal(size=(60, 4)) + np.where(np.arange(60) < 30, 0, 12)[:, None]
    wrong = np.arange(60) % 2
    monkeypatch.setattr(manifold.Neighborhoods, "clusters", lambda self, n_clusters: wrong)
    for n_clusters, fewer in (2, False), (3, True):
        found = judge(x.astype("float32"), np.eye(n_clusters)[wrong])
        assert (found.structure, found.fewer) == (True, fewer)


@pytest.mark.parametrize(
    ("clusters", "sentence"),
    [
        ([], "40% of the rows into other clusters."),
        ([3], "40% of the rows into other clusters, among them more than half of cluster 3."),
        ([1, 3], "40% of the rows into other clusters, among them more than half of each of clusters 1, 3."),
    ],
)
def test_clusters_that_differ_from_those_of_kmeans(clusters, sentence):
    """A small cluster holds few of the rows that differ."""
    measures = dict.fromkeys(["agreement", "cut", "kmeans_cut", "null_cut", "unsure"], 0.5)
    found = {"differs_from_kmeans": 0.4, "differing_clusters": clusters, "differs_from_start": None}
    assert f"puts {sentence}" in str(Verdict(**measures, **found, structure=True, fewer=False, level="fair"))


def test_rows_and_assignments_of_one_length():
    with pytest.raises(ValueError, match="same rows"):
        judge(np.zeros((20, 2)), np.zeros((19, 2)))
