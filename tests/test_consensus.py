"""The consensus of clusterings follows the majority, independently of the names of the labels."""

import numpy as np
import pytest

from deckeras import metrics
from deckeras.initialization.consensus import agreement, consensus


@pytest.fixture
def noisy():
    """(y, labelings): five clusterings of 900 rows, each wrong on a random fifth of them and with names of its own."""
    random = np.random.default_rng(0)
    y = random.integers(6, size=900)
    labelings = []
    for _ in range(5):
        wrong = random.random(900) < 0.2
        labelings.append(random.permutation(6)[np.where(wrong, random.integers(6, size=900), y)])
    return y, labelings


def test_is_better_than_each(noisy):
    y, labelings = noisy
    found = metrics.accuracy(y, consensus(labelings, 6))
    assert found > 0.97 > max(metrics.accuracy(y, labels) for labels in labelings) + 0.1


def test_outvotes_the_one_that_merges(noisy):
    y, labelings = noisy
    merged = np.where(y == 1, 0, y)
    assert metrics.accuracy(y, consensus([merged, *labelings], 6)) > 0.97


def test_names_of_labels_do_not_matter(noisy):
    _, labelings = noisy
    renamed = [7 + 3 * labels for labels in labelings]
    assert agreement(consensus(labelings, 6), [consensus(renamed, 6)]) == 1


def quadratic_mutual_information(labels, others):
    joint = np.zeros((labels.max() + 1, others.max() + 1))
    np.add.at(joint, (labels, others), 1 / len(labels))
    return (joint**2 / joint.sum(axis=1, keepdims=True) / joint.sum(axis=0)).sum() - 1


def test_a_consensus_without_a_majority_is_near_the_best():
    from sklearn.cluster import KMeans

    x = np.random.default_rng(0).random((600, 4))  # without clusters, so that each of these divides it differently
    labelings = [KMeans(10, n_init=1, init="random", max_iter=3, random_state=i).fit_predict(x) for i in range(12)]
    found = consensus(labelings, 10, seed=1)
    # A thousand restarts reach 56.09, and the first twenty of this seed 55.93.
    assert sum(quadratic_mutual_information(found, labels) for labels in labelings) > 56.05


def test_one_labeling_is_its_own_consensus():
    labels = np.array([0, 0, 1, 2, 2])
    assert agreement(labels, [consensus([labels], 3)]) == 1
    # Asked for more clusters than there are, it cannot tell rows apart that no labeling does.
    assert agreement(labels, [consensus([labels], 5)]) == 1


@pytest.mark.parametrize("labelings", [[], [[0, 1], [0, 1, 1]], [[[0, 1]]]])
def test_refuses(labelings):
    with pytest.raises(ValueError, match="labelings should be"):
        consensus(labelings, 2)


def test_agreement_is_the_mean_of_adjusted_rand():
    from sklearn.metrics import adjusted_rand_score

    labels, others = [0, 0, 1, 1, 2], [[0, 0, 1, 1, 1], [0, 1, 0, 1, 2]]
    assert agreement(labels, others) == pytest.approx(np.mean([adjusted_rand_score(labels, other) for other in others]))
