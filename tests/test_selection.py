"""The number of clusters is found if it is clear, from rows that were not used for training, and without labels."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

import deckeras
from deckeras import metrics, recipes, selection

SMALL = recipes.get("table", units=(16, 4), min_pretraining_iterations=300, max_iterations=200, update_interval=50)


@pytest.fixture(scope="module")
def groups():
    """(x, y): 400 rows of 8 features in four groups far apart."""
    y = np.arange(400) % 4
    return np.random.default_rng(0).normal(size=(400, 8)) + 12 * np.eye(4, 8)[y], y


@pytest.fixture(scope="module")
def choice(groups):
    return selection.choose_n_clusters(groups[0], range(2, 7), recipe=SMALL)


def row(number, generalizability, silhouette, error=0.01):
    return {
        "n_clusters": number,
        "generalizability": generalizability,
        "generalizability_error": error,
        "silhouette": silhouette,
        "silhouette_error": error,
    }


def test_finds_the_groups_that_there_are(choice):
    assert choice.n_clusters == 4
    assert [candidate["n_clusters"] for candidate in choice.candidates] == [2, 3, 4, 5, 6]
    assert "nmi" not in choice.candidates[0]


def test_labels_are_reported_and_change_nothing(groups, choice):
    x, y = groups
    again = selection.choose_n_clusters(x, range(2, 7), y=y, recipe=SMALL)
    assert [candidate.pop("nmi") for candidate in again.candidates][2] == pytest.approx(1)
    assert again == choice


def test_rows_outside_have_no_part_in_the_training(groups, monkeypatch):
    x, _ = groups
    inside, outside = selection.split(len(x), 0.25, seed=3)
    assert len(outside) == 100
    assert sorted([*inside, *outside]) == list(range(400))
    seen = []
    fit, pretrain = deckeras.DEC.fit, selection.pretrain

    def watched(function):
        def call(*args, **kwargs):
            seen.append(next(arg for arg in args if isinstance(arg, np.ndarray)))
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(deckeras.DEC, "fit", watched(fit))
    monkeypatch.setattr(selection, "pretrain", watched(pretrain))
    selection.choose_n_clusters(x, [3], recipe=SMALL, held_out=0.25, seed=3)
    assert len(seen) == 2
    for rows in seen:
        np.testing.assert_array_equal(rows, x[inside])


def test_evaluation_by_hand(groups):
    (x, held_out), y = np.split(groups[0], [300]), groups[1][:300]
    encoder, decoder = SMALL.autoencoder(x.shape[1:])
    deckeras.pretrain(encoder, decoder, x, SMALL, verbose=0)
    weights = encoder.get_weights()
    found = selection.evaluate(encoder, 3, x, held_out, y=y, recipe=SMALL)
    for before, after in zip(weights, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    z = encoder.predict(x, verbose=0)
    model = deckeras.DEC(encoder, 3)
    model.fit(x, recipe=SMALL, verbose=0)
    q, q_held_out = (model.predict(rows, verbose=0).astype("float64") for rows in (x, held_out))

    def divergences(q_rows):
        weighted = q_rows**2 / q.sum(axis=0)
        p = weighted / weighted.sum(axis=1, keepdims=True)
        return (p * np.log(p / q_rows)).sum(axis=1)

    inside, outside = divergences(q), divergences(q_held_out)
    assert found["loss"] == pytest.approx(inside.mean(), rel=1e-3)
    assert found["validation_loss"] == pytest.approx(outside.mean(), rel=1e-3)
    ratio = found["loss"] / found["validation_loss"]
    assert found["generalizability"] == pytest.approx(ratio)
    assert found["generalizability_error"] == pytest.approx(ratio * outside.std() / 10 / outside.mean(), rel=1e-3)
    labels = q.argmax(axis=1)
    assert found["silhouette"] == pytest.approx(silhouette_score(z, labels), abs=1e-5)
    assert found["nmi"] == pytest.approx(metrics.nmi(y, labels))


def test_the_smallest_of_those_that_are_as_good():
    assert selection.suggest([row(2, 1.0, 0.4), row(3, 1.0, 0.498), row(4, 1.0, 0.5)])[0] == 3
    number, reason = selection.suggest([row(2, 1.0, 0.4), row(3, 1.0, 0.48), row(4, 1.0, 0.5)])
    assert number == 4
    assert "0.500 is the highest" in reason


def test_what_does_not_generalize_is_left_out():
    number, reason = selection.suggest([row(2, 1.0, 0.4), row(3, 0.985, 0.5), row(4, 0.97, 0.6)])
    assert number == 3
    assert "which 4 do not" in reason
    number, reason = selection.suggest([row(2, 0.5, 0.4), row(3, 0.5, 0.5)])
    assert number == 3
    assert "No candidate generalizes" in reason
    assert "no clusters at all" not in reason


def test_weak_clusters_are_called_so():
    number, reason = selection.suggest([row(2, 1.0, 0.1), row(3, 1.0, 0.05)])
    assert number == 2
    assert reason.endswith("0.100 is the highest. But below 0.25 there may be no clusters at all.")


@pytest.mark.parametrize("candidates", [[], [1, 2], [321]])
def test_bad_candidates(groups, candidates):
    with pytest.raises(ValueError, match="candidates.* 320 rows"):
        selection.choose_n_clusters(groups[0], candidates, recipe=SMALL)


@pytest.mark.parametrize("held_out", [0, 1, 1e-9, -0.5])
def test_bad_share(held_out):
    with pytest.raises(ValueError, match="held_out"):
        selection.split(100, held_out)


def test_what_is_no_encoder_or_no_list_is_refused(groups):
    with pytest.raises(TypeError, match="candidates"):
        selection.choose_n_clusters(groups[0], 5, recipe=SMALL)
    with pytest.raises(TypeError, match="keras.Model"):
        selection.choose_n_clusters(groups[0], [3], encoder="encoder.h5", recipe=SMALL)
