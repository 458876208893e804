"""Small changes taken back after a search: beside a greedy loop in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import xaicore

MARGIN = 1e-3


def network():
    layers = keras.layers
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="tanh"), layers.Dense(2)])
    random = np.random.default_rng(3)
    model.set_weights([random.normal(size=w.shape) / 2 for w in model.get_weights()])
    return model, np.random.default_rng(4).normal(size=(8, 6)).astype(np.float32)


def greedy(model, x, row, target, limit):
    """Return a counterfactual after its small changes were tried one by one, the smallest first."""
    away = np.abs(row - x)
    for i in np.argsort(away, kind="stable"):
        tried = np.where(np.arange(6) == i, x, row)
        logits = model(tried[None]).numpy()[0]
        if 0 < away[i] <= limit[i] and logits[target] - logits[1 - target] > MARGIN:
            row = tried
    return row


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("optimizer", ["cf.adam(learning_rate=0.7)", "cf.powell", "cf.evolution"])
def test_small_changes_go_back_while_the_class_stays(optimizer, told):
    """Bit-equal; the search ends early, so that there is something to take back."""
    model, x = network()
    target = 1 - model.predict(x, verbose=0).argmax(1)
    reference = np.random.default_rng(5).normal(size=(50, 6)).astype(np.float32)
    away = np.abs(reference.astype(np.float64) - np.median(reference.astype(np.float64), axis=0))
    limit = np.minimum(np.median(away, axis=0), [np.quantile(one[one > 0], 0.1) for one in away.T])
    given = {"reference": reference} if told else {}
    search = {"cost": "cf.l2", "optimizer": optimizer, "max_iter": 12, "margin": MARGIN, **given}
    before = xaicore.get_analyzer("cf", **search).explain(model, x, target, verbose=0)
    after = xaicore.get_analyzer("cf", restore=True, **search).explain(model, x, target, verbose=0)
    limit = limit if told else np.full(6, np.inf)
    for i in np.flatnonzero(before.valid):
        want = greedy(model, x[i], before.counterfactuals[i], target[i], limit)
        np.testing.assert_array_equal(after.counterfactuals[i], want)
    assert (after.valid == before.valid).all()
    if optimizer.startswith("cf.adam") and not told:
        assert (after.counterfactuals == x).sum() > (before.counterfactuals == x).sum()


def test_what_goes_back_stays_a_category_within_bounds_and_differs_from_the_others():
    model, x = network()
    x[:, :3] = np.eye(3)[np.arange(8) % 3]
    given = {"cost": "cf.l2", "categories": [[0, 1, 2]], "bounds": (-3, 3), "features": [0, 1, 2, 4, 5], "n": 3}
    found = xaicore.get_analyzer("cf", restore=True, **given).explain(model, x, "other", verbose=0)
    assert found.valid.mean() > 0.5
    assert (found.counterfactuals[..., :3].sum(-1) == 1).all()
    assert set(np.unique(found.counterfactuals[..., :3])) == {0, 1}
    np.testing.assert_array_equal(found.counterfactuals[..., 3], np.repeat(x[:, 3:4], 3, 1))
    for rows in found.counterfactuals[found.valid.all(1)]:
        assert len(np.unique(rows, axis=0)) == 3
