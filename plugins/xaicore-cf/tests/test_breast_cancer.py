"""A trained network on real data: every sample is turned, and as near as other solvers come."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore

datasets = pytest.importorskip("sklearn.datasets")


@pytest.fixture(scope="module")
def recorded_mlp(golden):
    """Return the recorded network, the 100 recorded rows, and the other class of each."""
    with np.load(golden / "breast_cancer_mlp.npz", allow_pickle=False) as arrays:
        recorded = dict(arrays)
    model = network()
    model.set_weights([recorded[name] for name in ("W0", "B0", "W1", "B1", "W2", "B2")])
    x = recorded["X"]
    return model, x, 1 - model.predict(x, verbose=0).argmax(1)


def network():
    x = keras.Input((30,))
    y = layers.Dense(16, activation="relu")(layers.Dense(32, activation="relu")(x))
    return keras.Model(x, layers.Dense(2, activation="softmax")(y))


def test_every_recorded_row_is_turned_and_nearer_than_peers_come(recorded_mlp):
    """CEML's best medians on these rows were 1.35 (L2, by conjugate gradients) and 4.32 (L1, by BFGS)."""
    model, x, target = recorded_mlp
    for expression, norm, peers in (("cf", 2, 1.35), ("cf(cost=cf.l1)", 1, 4.32)):
        found = xaicore.get_analyzer(expression).explain(model, x, target, batch_size=100, verbose=0)
        assert found.valid.all()
        assert (model.predict(found.counterfactuals, verbose=0).argmax(1) == target).all()
        assert np.median(np.linalg.norm(found.attributions, norm, axis=1)) < peers


@pytest.mark.parametrize("expression", ["cf.wachter", "cf.ceml"])
def test_published_searches_turn_every_recorded_row_too(recorded_mlp, expression):
    """One row has a probability of 7e-21 to begin with, whose gradient has a square of 0 in float32."""
    model, x, target = recorded_mlp
    found = xaicore.get_analyzer(expression).explain(model, x, target, batch_size=100, verbose=0)
    assert found.valid.all()
    p = model.predict(found.counterfactuals, verbose=0)[np.arange(len(x)), target]
    assert (p > (0.95 - 1e-5 if expression == "cf.wachter" else 0.5)).all()  # float32


@pytest.mark.parametrize("expression", ["cf", "cf(cost=cf.l1)"])
def test_a_row_alone_and_among_others(recorded_mlp, expression):
    """1e-5: gradients of one row differ by 1e-7 between batch sizes unless rows are filled up, and then not at all."""
    model, x, target = recorded_mlp
    analyzer = xaicore.get_analyzer(expression)
    together = analyzer.explain(model, x[:12], target[:12], verbose=0)
    alone = analyzer.explain(model, x[:12], target[:12], batch_size=1, verbose=0)
    np.testing.assert_allclose(alone.counterfactuals, together.counterfactuals, rtol=0, atol=1e-5)


def test_five_hundred_rows_in_one_call():
    """A network trained here, on all of the data; every row valid, as the model itself predicts."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=10, verbose=0)
    x = x[:500]
    before = model.predict(x, verbose=0).argmax(1)
    assert (before == y[:500]).mean() > 0.95  # it has learnt something
    found = xaicore.get_analyzer("cf(cost=cf.l1, features=[1, 3, 4, 7, 20, 21, 22, 23, 27])").explain(
        model, x, 1 - before, batch_size=500, verbose=0
    )
    assert found.valid.all()
    assert (model.predict(found.counterfactuals, verbose=0).argmax(1) == 1 - before).all()
    np.testing.assert_array_equal(found.counterfactuals[:, [0, 2, 29]], x[:, [0, 2, 29]])
    assert np.median((found.attributions != 0).sum(1)) <= 4  # few of the nine features that may change
