"""Several counterfactuals of a sample, pertinent positives and negatives, and searches that know data."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter
from xaicore.testing.models import randomise


def network(units=3):
    x = keras.Input((5,))
    hidden = layers.Dense(16, activation="relu")(x)
    return randomise(keras.Model(x, layers.Dense(units, activation="softmax")(hidden)))


def data(batch=8, seed=0):
    return (2 * np.random.default_rng(seed).normal(size=(batch, 5))).astype(np.float32)


def explain(analyzer, model, x, target, **given):
    return xaicore.get_analyzer(analyzer, **given).explain(model, x, target, verbose=0)


def apart(found):
    """Return the mean distance between the counterfactuals of a sample, (batch,)."""
    c = found.counterfactuals
    n = c.shape[1]
    return np.abs(c[:, :, None] - c[:, None]).sum((1, 2, 3)) / (n * (n - 1))


def test_several_are_valid_near_and_far_from_each_other():
    model, x = network(), data()
    together = explain("cf.dice", model, x, "other")
    assert together.counterfactuals.shape == (8, 4, 5)
    assert together.outputs.shape == (8, 4, 3)
    assert together.valid.mean() > 0.9
    before = model.predict(x, verbose=0).argmax(1)
    after = model.predict(together.counterfactuals.reshape(-1, 5), verbose=0).argmax(1).reshape(8, 4)
    assert (after != before[:, None])[together.valid].all()
    np.testing.assert_allclose(together.attributions, together.counterfactuals[:, 0] - x, atol=1e-6)
    assert (np.diff(np.where(together.valid, together.distance, np.inf), axis=1)[together.valid.all(1)] >= 0).all()
    alike = explain("cf.dice(diversity=0*cf.diversity)", model, x, "other")
    assert np.median(apart(together)) > 1.5 * np.median(apart(alike))


def test_several_do_not_depend_on_the_batch():
    """1e-4: rows are filled up to whole lanes, and what differs in the last bit of float32 grows in 500 iterations."""
    model, x = network(), data()
    analyzer = xaicore.get_analyzer("cf(n=3, max_iter=200)")
    whole = analyzer.explain(model, x, "other", verbose=0)
    alone = analyzer.explain(model, x, "other", batch_size=1, verbose=0)
    np.testing.assert_allclose(whole.counterfactuals, alone.counterfactuals, atol=1e-4)


def test_pertinent_negatives_move_away_from_the_baseline_only():
    model, x = network(), data()
    x[:, 2] = 0
    found = explain("cf.cem_pn", model, x, "other")
    after = found.counterfactuals
    assert found.valid.any()
    assert (np.abs(after) >= np.abs(x)).all()
    assert (np.sign(after) * np.sign(x) >= 0).all()
    assert (after != x).any(axis=0)[2]  # what is at the baseline may go both ways
    assert (after[found.valid] == x[found.valid]).any()  # L1 keeps some features exactly


def test_pertinent_positives_are_what_suffices():
    """Between the baseline and x, of the same class, nearer to the baseline than x, and sparse."""
    model, x = network(), data()
    found = explain("cf.cem_pp", model, x, "same")
    after, before = found.counterfactuals, model.predict(x, verbose=0).argmax(1)
    assert found.valid.all()
    assert (model.predict(after, verbose=0).argmax(1) == before).all()
    low, high = np.minimum(0, x), np.maximum(0, x)
    assert (after >= low).all()
    assert (after <= high).all()
    np.testing.assert_allclose(found.attributions, after, atol=1e-6)  # from the baseline, 0
    assert np.abs(after).sum() < 0.7 * np.abs(x).sum()
    assert (after == 0).mean() > 0.3


def test_a_baseline_of_its_own_for_each_feature():
    model, x = network(), data()
    baseline = np.linspace(-1, 1, 5)
    found = explain("cf.cem_pp", model, x, "same", baseline=baseline)
    assert (found.counterfactuals >= np.minimum(baseline, x) - 1e-6).all()
    assert (found.counterfactuals <= np.maximum(baseline, x) + 1e-6).all()
    with pytest.raises(InvalidParameter, match="baseline"):
        explain("cf.cem_pp", model, x, "same", baseline=np.zeros(3))


def test_prototypes_draw_towards_samples_of_the_class():
    """Nearer to the data of the class to reach than without them."""
    model, x, seen = network(), data(), data(200, seed=1)
    target = (model.predict(x, verbose=0).argmax(1) + 1) % 3
    guided = xaicore.get_analyzer("cf.prototype_guided(cost=cf.elastic + 10*cf.prototype)").fit(model, seen)
    plain = xaicore.get_analyzer("cf.prototype_guided(cost=cf.elastic)")
    predicted = model.predict(seen, verbose=0).argmax(1)
    np.testing.assert_array_equal(guided.labels.data, predicted)

    def to_class(found):
        gap = ((found.counterfactuals[:, None] - seen) ** 2).sum(2)
        gap[predicted[None] != target[:, None]] = np.inf
        return np.sort(gap, axis=1)[:, :5].mean(1)

    drawn, free = (one.explain(model, x, target, verbose=0) for one in (guided, plain))
    assert drawn.valid.all()
    assert np.median(to_class(drawn)) < np.median(to_class(free))


def test_deviations_come_from_the_data_of_the_search():
    model, x = network(), data()
    spread = data(100, seed=2) * np.array([1, 10, 1, 0.1, 1], np.float32)
    fitted = xaicore.get_analyzer("cf.wachter").fit(model, spread)
    given = xaicore.get_analyzer("cf.wachter", cost=xaicore.get_cost("cf.lmad", reference=spread))
    a, b = (one.explain(model, x, 1, verbose=0) for one in (fitted, given))
    np.testing.assert_array_equal(a.counterfactuals, b.counterfactuals)
    mad = np.median(np.abs(spread - np.median(spread, 0)), 0)
    np.testing.assert_allclose(a.distance, (np.abs(a.attributions) / mad).sum(1), rtol=1e-4)


def test_data_of_one_number_have_two_classes():
    x = keras.Input((5,))
    model = randomise(keras.Model(x, layers.Dense(1, activation="sigmoid")(x)))
    seen = data(50)
    found = xaicore.get_analyzer("cf.prototype_guided").fit(model, seen)
    np.testing.assert_array_equal(found.labels.data, (model.predict(seen, verbose=0)[:, 0] > 0.5).astype(int))


def test_costs_that_are_called_alone():
    x, x0 = data(4), data(4, seed=5)
    np.testing.assert_allclose(xaicore.get_cost("cf.l1")(x, x_orig=x0), np.abs(x - x0).sum(1), rtol=1e-6)
    z = np.random.default_rng(0).normal(size=(4, 3))
    alone = xaicore.get_cost("cf.nll")(x, outputs=z, y_target=np.array([0, 1, 2, 0]))
    want = -np.log(np.exp(z) / np.exp(z).sum(1, keepdims=True))[np.arange(4), [0, 1, 2, 0]]
    np.testing.assert_allclose(alone, want, rtol=1e-12)
    with pytest.raises(TypeError, match="without original"):
        xaicore.get_cost("cf.l1")(x)
    with pytest.raises(TypeError, match="without outputs and target"):
        xaicore.get_cost("cf.nll")(x)


def test_candidates_have_to_be_plausible_where_that_is_asked_for():
    """Within 4 of a sample of data, which the nearest counterfactuals are not all."""
    model, x, seen = network(), data(), data(60, seed=1)
    rare = xaicore.get_cost("cf.min_distance", reference=seen)
    plain = xaicore.get_analyzer("cf").explain(model, x, "other", verbose=0)
    assert (np.asarray(rare(plain.counterfactuals, original=x)) > 4).any()
    search = xaicore.get_analyzer("cf", cost="cf.l2 + 0.3*cf.min_distance", plausibility="cf.min_distance", threshold=4)
    found = search.fit(model, seen).explain(model, x, "other", verbose=0)
    assert found.valid.mean() > 0.5
    assert (np.asarray(rare(found.counterfactuals, original=x))[found.valid] <= 4 + 1e-4).all()
    with pytest.raises(InvalidParameter, match="expected a cost of the inputs"):
        xaicore.get_analyzer("cf", plausibility="cf.nll")


def test_samples_in_the_class_stay_several_times():
    model, x = network(), data()
    found = explain("cf(n=3)", model, x, "same")
    assert found.already.all()
    assert found.valid.all()
    np.testing.assert_array_equal(found.counterfactuals, np.repeat(x[:, None], 3, axis=1))
    np.testing.assert_array_equal(found.iterations, 0)


def test_several_of_discrete_features_are_valid_only_where_they_differ():
    """Three jobs and no other feature: both of the others turn a row, one of them, or none."""
    model, x = network(2), data(40)
    kernel, *rest = model.get_weights()
    model.set_weights([kernel * np.array([0.2, 0.2, 1, 1, 1])[:, None], *rest])  # so that the job says more
    x[:, 2:] = np.eye(3)[np.random.default_rng(0).integers(3, size=40)]
    found = explain("cf(n=2, noise=0.7, starts=4)", model, x, "other", features=[2, 3, 4], categories=[[2, 3, 4]])
    ways = np.zeros(40, int)
    before = model.predict(x, verbose=0).argmax(1)
    for job in np.eye(3, dtype=np.float32):
        tried = x.copy()
        tried[:, 2:] = job
        ways += model.predict(tried, verbose=0).argmax(1) != before
    assert (ways == 2).sum() > 2
    assert (ways == 1).sum() > 2
    distinct = (found.counterfactuals[:, 0] != found.counterfactuals[:, 1]).any(1)
    assert not found.valid[~distinct].all(1).any()
    assert (found.valid.sum(1) <= ways).all()
    assert found.valid.all(1)[ways == 2].mean() >= 0.5  # a search, and no list of all
