"""What may be reached beside a class: any other one, the same one, a probability, an interval, a predicate."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter
from xaicore.testing.models import randomise
from xaicore_cf.errors import ClassNeeded, CounterfactualNotFound, NotAClass

# As in test_counterfactual: a copy stops when what it still gains is below 1e-4 of the distance.
NEAR = 1e-3


def network(units=3, activation="softmax"):
    x = keras.Input((4,), dtype="float64")
    return randomise(keras.Model(x, layers.Dense(units, activation=activation, dtype="float64")(x)))


def data(batch=10, seed=0):
    return 2 * np.random.default_rng(seed).normal(size=(batch, 4))


def logits(model, x):
    kernel, bias = (w.numpy() for w in model.layers[-1].weights)
    return x @ kernel + bias


def explain(analyzer, model, x, target, **given):
    return xaicore.get_analyzer(analyzer, **given).explain(model, x, target, verbose=0)


def test_any_other_class_is_the_nearest_of_the_others():
    """The smallest of the projections onto the boundaries with each other class."""
    model, x = network(), data()
    z = logits(model, x)
    before, kernel = z.argmax(1), model.layers[-1].kernel.numpy()
    found = explain("cf(starts=3, noise=1.0)", model, x, "other")
    assert found.valid.all()
    assert (logits(model, found.counterfactuals).argmax(1) != before).all()
    assert found.target == "other"
    np.testing.assert_allclose(found.scores, np.sort(z, axis=1)[:, -2])
    need = np.full((10, 3), np.inf)
    for i in range(10):
        for k in set(range(3)) - {before[i]}:
            w = kernel[:, k] - kernel[:, before[i]]
            need[i, k] = (1e-3 + z[i, before[i]] - z[i, k]) ** 2 / (w @ w)
    nearest = need.min(1)
    assert (found.distance >= nearest * (1 - 1e-9)).all()
    # Descent follows the strongest of the others, which from three starts is the nearest for most rows.
    assert (found.distance <= nearest * (1 + NEAR)).mean() >= 0.8


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_the_other_class_of_one_number(activation):
    model, x = network(1, activation), data()
    z = logits(model, x)[:, 0]
    kernel = model.layers[-1].kernel.numpy()[:, 0]
    found = explain("cf", model, x, "other")
    np.testing.assert_array_equal(logits(model, found.counterfactuals)[:, 0] > 0, z < 0)
    np.testing.assert_allclose(found.distance, (np.abs(z) + 1e-3) ** 2 / (kernel @ kernel), rtol=NEAR)
    np.testing.assert_allclose(found.scores, -np.abs(z), rtol=1e-12)


def test_what_is_in_the_class_already_says_so():
    model, x = network(), data()
    found = explain("cf", model, x, "same")
    assert found.already.all()
    assert found.valid.all()
    np.testing.assert_array_equal(found.attributions, 0)
    assert not explain("cf", model, x, "other").already.any()


def test_labels_of_several_sigmoids_have_no_other():
    for target in ("other", "same"):
        with pytest.raises(NotAClass, match="several sigmoids"):
            explain("cf", network(3, "sigmoid"), data(), target)


def test_positions_have_no_other():
    x = keras.Input((4, 3))
    model = randomise(keras.Model(x, layers.Conv1D(5, 3, activation="softmax")(x)))
    with pytest.raises(NotAClass, match="index tuples"):
        explain("cf", model, np.zeros((2, 4, 3), np.float32), "other")


def test_other_methods_know_no_other():
    with pytest.raises(xaicore.errors.TargetMistake):
        xaicore.get_analyzer("gradient").explain(network(), data(), "other", verbose=0)


def test_a_probability_to_reach_that_is_not_predicted():
    """P >= 0.35 of three classes: near to a line where p is 0.35, which another class may still lead."""
    model, x = network(), data()
    target = np.asarray(logits(model, x).argmin(1))
    found = explain(
        "cf(prediction=cf.squared_error(value=0.4), tol=0.05, optimizer=cf.adam(epsilon=1e-16))", model, x, target
    )
    p = np.asarray(model(found.counterfactuals))[np.arange(10), target]  # `predict` would round to float32
    assert found.valid.all()
    assert (np.abs(p - 0.4) <= 0.05 + 1e-12).all()
    np.testing.assert_allclose(found.outputs[np.arange(10), target], p, rtol=1e-9)


@pytest.mark.parametrize("head", [1, 2])
def test_an_interval_of_a_regression(head):
    """Y = w.x + b into [low, high]: the projection on the nearer end; with one output no target is needed."""
    model, x = network(head, None), data()
    y = logits(model, x)[:, head - 1]
    w = model.layers[-1].kernel.numpy()[:, head - 1]
    low, high = np.median(y) - 0.1, np.median(y) + 0.1
    found = explain("cf", model, x, None if head == 1 else 1, prediction=f"cf.interval(low={low}, high={high})")
    after = logits(model, found.counterfactuals)[:, head - 1]
    assert found.valid.all()
    assert ((after >= low) & (after <= high)).all()
    need = np.maximum(0, np.maximum(low - y, y - high)) ** 2 / (w @ w)
    assert (found.distance >= need * (1 - 1e-9)).all()
    np.testing.assert_allclose(found.distance, need, rtol=NEAR, atol=1e-12)
    np.testing.assert_array_equal(found.already, need == 0)


def test_an_interval_needs_an_output_where_there_are_several():
    with pytest.raises(ClassNeeded):
        explain("cf(prediction=cf.interval(low=0))", network(2, None), data(), None)


@pytest.mark.parametrize("ends", ["", "low=1, high=0", "low='x'"])
def test_an_interval_that_is_none(ends):
    with pytest.raises(InvalidParameter):
        xaicore.get_cost(f"cf.interval({ends})")


def test_a_predicate_decides():
    """Class 0 by a wide lead, as the model predicts it: p_0 > 0.9."""
    model, x = network(), data()
    found = explain("cf", model, x, 0, done=lambda p: p[:, 0] > 0.9)
    p = model.predict(found.counterfactuals, verbose=0)[:, 0]
    assert found.valid.all()
    assert (p > 0.9).all()
    assert np.median(p) < 0.91  # at the border of what was asked for, and no farther


def test_a_predicate_of_another_kind():
    with pytest.raises(NotAClass, match="expected a boolean"):
        explain("cf", network(), data(), 0, done=tf.reduce_sum)
    with pytest.raises(NotAClass, match="none of NumPy"):
        explain("cf", network(), data(), 0, done=lambda outputs: np.asarray(outputs)[:, 0] > 0.5)


def test_failures_are_raised_with_the_best_effort():
    model, x = network(), data()
    model.layers[-1].kernel.assign(np.where(np.arange(4)[:, None] == 0, 0, model.layers[-1].kernel.numpy()))
    target = np.asarray(logits(model, x).argmin(1))
    analyzer = xaicore.get_analyzer("cf(features=[0], max_iter=50, raise_on_failure=True)")
    with pytest.raises(CounterfactualNotFound, match="10 of 10 samples") as raised:
        analyzer.explain(model, x, target, verbose=0)
    assert raised.value.explanation.counterfactuals.shape == x.shape
    assert isinstance(raised.value, LookupError)


def test_numbers_of_a_result_are_those_of_its_counterfactuals():
    model, x = network(), data()
    found = explain("cf(cost=cf.l1)", model, x, 1)
    away = found.counterfactuals - x
    np.testing.assert_allclose(found.l1, np.abs(away).sum(1), atol=1e-12)
    np.testing.assert_allclose(found.l2, np.sqrt((away**2).sum(1)), atol=1e-12)
    np.testing.assert_allclose(found.distance, found.l1, atol=1e-12)
    np.testing.assert_allclose(found.outputs, np.asarray(model(found.counterfactuals)), rtol=1e-12)
    assert (found.C > 0).all()


def forest(rows, *, form):
    """Return p of two classes, one p, or labels, off the same numbers as ``network(2)`` with these weights."""
    z = rows @ np.array([1.0, -2.0, 0.5, 1.0]) + 0.3
    p = 1 / (1 + np.exp(-z))
    sure = (p > 0.5).astype(float)
    return {
        "one": p[:, None],
        "two": np.stack([1 - p, p], axis=1),
        "label": sure[:, None],
        "labels": np.stack([1 - sure, sure], axis=1),
        "logit": z[:, None],
    }[form]


@pytest.mark.parametrize("form", ["one", "two", "label", "labels", "logit"])
def test_a_black_box_says_what_its_outputs_are(form):
    """Valid is beyond 1/2, and the nearest point lies on the boundary; outputs that may be either are refused."""
    x = data()
    target = 1 - forest(x, form="labels").argmax(1)
    box = xaicore.black_box(lambda rows: forest(rows, form=form), (4,), forest(x, form=form).shape[1:], dtype="float64")
    said = "probabilities" if form in {"one", "two"} else "labels" if form.startswith("label") else "logits"
    optimizer = "cf.evolution" if said == "labels" else "cf.nelder_mead"
    found = explain("cf", box, x, target, optimizer=optimizer, outputs_are=said)
    assert found.valid.all()
    np.testing.assert_array_equal(forest(found.counterfactuals, form="labels").argmax(1), target)
    need = np.abs(x @ [1.0, -2.0, 0.5, 1.0] + 0.3) / np.sqrt(6.25)
    # 5 %: what evolution leaves, which sees labels alone; the way to the boundary is halved.
    assert (found.l2 <= 1.05 * need + 1e-3).all()
    if form == "logit":
        assert explain("cf(optimizer=cf.nelder_mead)", box, x, target).valid.all()
    else:
        with pytest.raises(InvalidParameter, match="outputs_are="):
            explain("cf(optimizer=cf.nelder_mead)", box, x, target)


def test_probabilities_of_a_model_without_a_head_are_said_to_be_that():
    """The projection on the boundary, as of the model with its softmax."""
    model, x = network(2), data()
    given = keras.Input((4,), dtype="float64")
    hidden = keras.Model(given, layers.Rescaling(1.0, dtype="float64")(model(given)))
    target = 1 - logits(model, x).argmax(1)
    kernel, bias = (w.numpy() for w in model.layers[-1].weights)
    w, lead = kernel[:, 1] - kernel[:, 0], x @ (kernel[:, 1] - kernel[:, 0]) + bias[1] - bias[0]
    found = explain("cf(outputs_are='probabilities')", hidden, x, target)
    np.testing.assert_allclose(found.distance, (np.abs(lead) + 1e-3) ** 2 / (w @ w), rtol=NEAR)
    with pytest.raises(InvalidParameter, match="leave outputs_are away"):
        explain("cf(outputs_are='probabilities')", model, x, target)


@pytest.mark.parametrize("value", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("form", ["{}", "2*{}", "cf.regularized(penalize_input=cf.dummy, penalize_output={})"])
def test_a_probability_is_reached_from_below_and_from_above(value, form):
    """Within 0.05 where nothing is said, whatever the cost is a part of; and near to the end where it is reached."""
    model, x = network(), data()
    target = np.where(np.arange(10) % 2, logits(model, x).argmax(1), logits(model, x).argmin(1))
    before = np.asarray(model(x))[np.arange(10), target]
    prediction = form.format(f"cf.squared_error(value={value})")
    found = explain("cf(optimizer=cf.adam(epsilon=1e-16))", model, x, target, prediction=prediction)
    p = np.asarray(model(found.counterfactuals))[np.arange(10), target]
    assert found.valid.all()
    assert (np.abs(p - value) <= 0.05 + 1e-12).all()
    np.testing.assert_array_equal(found.already, np.abs(before - value) <= 0.05)
    assert (before < value - 0.05).any() or (before > value + 0.05).any()


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", None])
@pytest.mark.parametrize("optimizer", ["cf.adam", "cf.bfgs"])
def test_an_interval_is_one_of_the_outputs_of_the_model(activation, optimizer):
    """Whatever its head, and with a factor: what the model returns lies within."""
    units = 2 if activation == "softmax" else 1
    model, x = network(units, activation), data()
    target = 1 if units == 2 else None
    found = explain("cf(prediction=2*cf.interval(low=0.3, high=0.4))", model, x, target, optimizer=optimizer)
    y = np.asarray(model(found.counterfactuals))[:, -1]
    assert found.valid.all()
    assert ((y >= 0.3 - 1e-12) & (y <= 0.4 + 1e-12)).all()
    before = np.asarray(model(x))[:, -1]
    assert ((before < 0.3) | (before > 0.4)).sum() > 5


def test_an_interval_and_a_class_do_not_add_up():
    with pytest.raises(InvalidParameter, match="do not add up"):
        xaicore.get_analyzer("cf(prediction=cf.interval(low=1) + cf.nll)")
