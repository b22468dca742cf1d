"""`DEC.evaluate`: the loss without labels, and the scores with them."""

import keras
import numpy as np
import pytest

import deckeras
from deckeras import metrics

NAMES = ["loss", "acc", "nmi", "ari"]


@pytest.fixture(params=["DEC", "IDEC"])
def model(request, blobs):
    encoder, decoder = deckeras.dense_autoencoder(8, units=(16, 3))
    deckeras.pretrain_autoencoder(encoder, decoder, blobs[0], epochs=10, verbose=0)
    model = deckeras.DEC(encoder, 3) if request.param == "DEC" else deckeras.IDEC(encoder, decoder, 3)
    model.fit(blobs[0], max_iterations=20, init="kmeans", verbose=0)
    return model


def expected_loss(q, weights):
    """Equations 2 and 3 of the paper, in float64."""
    q, weights = np.asarray(q, np.float64), np.asarray(weights, np.float64)
    p = q**2 / (weights[:, None] * q).sum(axis=0)
    p /= p.sum(axis=1, keepdims=True)
    return np.average((p * np.log(p / q)).sum(axis=1), weights=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", ["numbers", "text", "list"])
def test_scores_with_labels(model, blobs, labels, weighted):
    x, y = blobs
    weights = np.linspace(0, 2, len(x)) if weighted else None
    given = {"numbers": y, "text": np.array(["a", "b", "c"])[y], "list": y.tolist()}[labels]
    found = model.evaluate(x, given, sample_weight=weights, verbose=0, return_dict=True)
    q = model.predict(x, verbose=0)
    assert list(found) == NAMES
    assert found["loss"] == pytest.approx(expected_loss(q, np.ones(len(x)) if weights is None else weights), rel=1e-4)
    assert [found[name] for name in NAMES[1:]] == pytest.approx(list(metrics.scores(y, q.argmax(axis=1)).values()))
    assert model.evaluate(x, given, sample_weight=weights, verbose=0) == pytest.approx(list(found.values()))


def test_the_loss_needs_no_labels(model, blobs):
    x, _ = blobs
    loss = model.evaluate(x, verbose=0)
    assert isinstance(loss, float)
    assert loss == pytest.approx(expected_loss(model.predict(x, verbose=0), np.ones(len(x))), rel=1e-4)
    assert model.evaluate(x, verbose=0, return_dict=True) == {"loss": pytest.approx(loss)}


def test_rows_in_their_own_batches(model, blobs):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, number):
            return blobs[0][100 * number : 100 * (number + 1)]

    found = model.evaluate(Batches(), blobs[1], verbose=0)
    assert found == pytest.approx(model.evaluate(*blobs, verbose=0), rel=1e-4)


@pytest.mark.parametrize("model", ["DEC"], indirect=True)
def test_soft_targets_are_evaluated_by_keras(model, blobs):
    x, _ = blobs
    p = deckeras.target_distribution(model.predict(x, verbose=0))
    assert model.evaluate(x, p, verbose=0) == pytest.approx(model.evaluate(x, verbose=0), rel=1e-3)
    model.compile(loss="mse")
    q = model.predict(x, verbose=0)
    assert model.evaluate(x, p, verbose=0) == pytest.approx(np.mean((p - q) ** 2), rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": np.zeros(299, int)}, ValueError, "one label for each of the 300 rows"),
        ({"y": [None] + [1] * 299}, ValueError, "row 0"),
        ({"sample_weight": np.ones(4)}, ValueError, "sample_weight"),
        ({"sample_weight": ["a"] * 300}, TypeError, "sample_weight"),
        ({"x": np.zeros((300, 7))}, ValueError, "x should"),
    ],
)
def test_errors_come_before_any_work(model, blobs, monkeypatch, arguments, error, message):
    monkeypatch.setattr(model, "predict", None)
    with pytest.raises(error, match=message):
        model.evaluate(**{"x": blobs[0], "verbose": 0, **arguments})
