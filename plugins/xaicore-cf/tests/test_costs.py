"""Costs against NumPy's float64, their gradients against finite differences, and their algebra."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.errors import InvalidParameter
from xaicore_cf.costs import L1, Weighted, WeightedSum

MAD = np.array([0.5, 1.0, 2.0, 4.0])
X, ORIGINAL = np.random.default_rng(0).normal(size=(2, 5, 4))
OUTPUTS = np.random.default_rng(1).normal(size=(5, 3))
TARGET = np.array([0, 1, 2, 1, 0])
P = np.exp(OUTPUTS) / np.exp(OUTPUTS).sum(1, keepdims=True)
P_TARGET = P[np.arange(5), TARGET]

FORMULAS = {
    "cf.l1": np.abs(X - ORIGINAL).sum(1),
    "cf.l2": ((X - ORIGINAL) ** 2).sum(1),
    "cf.nll": -np.log(P_TARGET),
    "cf.squared_error": (P_TARGET - 1) ** 2,
    "cf.squared_error(value=0.6)": (P_TARGET - 0.6) ** 2,
    "2*cf.l1 + 0.5*(cf.l2 + cf.nll)": 2 * np.abs(X - ORIGINAL).sum(1)
    + 0.5 * ((X - ORIGINAL) ** 2).sum(1)
    - 0.5 * np.log(P_TARGET),
}


def value(cost, x=X, outputs=OUTPUTS):
    return cost(
        tf.constant(x), original=tf.constant(ORIGINAL), outputs=tf.constant(outputs), target=tf.constant(TARGET)
    )


def test_every_cost_has_a_formula():
    assert {row.name for row in xaicore.available("cost")} <= set(FORMULAS)


@pytest.mark.parametrize("expression", FORMULAS)
def test_closed_forms(expression):
    """To rounding: sums of a few float64 numbers of size one."""
    np.testing.assert_allclose(value(xaicore.get_cost(expression)).numpy(), FORMULAS[expression], rtol=1e-13)


def test_l1_in_units_of_the_deviation_of_each_feature():
    want = (np.abs(X - ORIGINAL) / MAD).sum(1)
    np.testing.assert_allclose(value(xaicore.get_cost("cf.l1", mad=MAD)).numpy(), want, rtol=1e-13)


@pytest.mark.parametrize("expression", FORMULAS)
def test_gradients_are_finite_differences(expression):
    """Central differences of step h are off by h^2 f'''/6 and by 1e-16/h: below 1e-9 for h = 1e-5; no kink is near."""
    cost, h = xaicore.get_cost(expression), 1e-5
    for name, point in (("x", X), ("outputs", OUTPUTS)):
        variable = tf.constant(point)
        with tf.GradientTape() as tape:
            tape.watch(variable)
            total = value(cost, **{name: variable})
        gradient = tape.gradient(total, variable, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy()
        for i in range(point.shape[1]):
            aside = np.eye(point.shape[1])[i] * h
            slope = (value(cost, **{name: point + aside}) - value(cost, **{name: point - aside})) / (2 * h)
            np.testing.assert_allclose(gradient[:, i], slope.numpy(), rtol=0, atol=1e-8)
        assert np.abs(gradient).max() > 0 or {"x": "inputs"}.get(name, name) not in cost.reads


def test_nll_where_probabilities_underflow():
    """-log p of logits 0 and 2000 is 2000, though p is 0; its slope is that of the difference."""
    outputs = tf.constant([[0.0, 2000.0]])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        cost = xaicore.get_cost("cf.nll")(outputs, original=outputs, outputs=outputs, target=tf.constant([0]))
    assert cost.numpy() == [2000.0]
    np.testing.assert_array_equal(tape.gradient(cost, outputs), [[-1.0, 1.0]])


def test_costs_are_per_sample_and_take_any_shape():
    x = np.random.default_rng(2).normal(size=(3, 2, 2))
    for name in ("cf.l1", "cf.l2"):
        flat, shaped = (
            xaicore.get_cost(name)(tf.constant(v), original=tf.zeros_like(v), outputs=None, target=None)
            for v in (x.reshape(3, 4), x)
        )
        np.testing.assert_array_equal(flat, shaped)


@pytest.mark.parametrize(
    ("expression", "text", "reads"),
    [
        ("cf.l1", "cf.l1", {"inputs"}),
        ("cf.nll", "cf.nll", {"outputs"}),
        ("2*cf.l1+cf.nll", "2.0 * cf.l1 + cf.nll", {"inputs", "outputs"}),
        ("cf.l1 + (cf.l2 + 3*cf.l1)", "cf.l1 + cf.l2 + 3.0 * cf.l1", {"inputs"}),
        ("0.5*(cf.l1 + cf.l2)", "0.5 * (cf.l1 + cf.l2)", {"inputs"}),
    ],
)
def test_sums_and_multiples_print_as_they_are_read(expression, text, reads):
    cost = xaicore.get_cost(expression)
    assert str(cost) == text
    assert xaicore.get_cost(str(cost)) == cost
    assert hash(xaicore.get_cost(str(cost))) == hash(cost)
    assert cost.reads == reads


def test_the_kink_of_a_sum_is_the_sum_of_kinks():
    cost = xaicore.get_cost("2*cf.l1 + cf.l2 + cf.l1(mad=4)")
    np.testing.assert_array_equal(cost.kink(tf.constant(X)), np.full_like(X, 2.25))
    assert xaicore.get_cost("2*cf.l2 + cf.l2").kink(tf.constant(X)) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(mad=[1.0, 0.0]), "Given mad=0 somewhere; expected positive"),
        (lambda: L1(mad="big"), "Given mad='big'"),
        (lambda: value(L1(mad=[1.0, 2.0])), "mad with 2 entries; expected one number, or 4"),
        (lambda: Weighted(-1, L1()), "Given factor=-1; expected a finite number >= 0"),
        (lambda: WeightedSum((L1(),)), "a sum of 1 costs"),
        (lambda: xaicore.get_cost("cf.squared_error(value=1.5)"), "Given value=1.5"),
    ],
)
def test_what_is_no_cost(make, message):
    with pytest.raises(InvalidParameter, match=message):
        make()
