"""Costs against NumPy's float64, their gradients against finite differences, and their algebra."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.errors import InvalidParameter
from xaicore_cf.algebra import Weighted, WeightedSum
from xaicore_cf.errors import CostIncomplete, NoDeviation
from xaicore_cf.norms import L1

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


DATA = np.random.default_rng(2).normal(size=(12, 4)) * MAD
DISTANCES = ((X[:, None] - DATA) ** 2).sum(-1)
LEAD = OUTPUTS[np.arange(5), TARGET] - np.where(np.eye(3, dtype=bool)[TARGET], -np.inf, OUTPUTS).max(1)
FORMULAS |= {
    "cf.dummy": np.zeros(5),
    "cf.elastic(beta=0.3)": 0.3 * np.abs(X - ORIGINAL).sum(1) + ((X - ORIGINAL) ** 2).sum(1),
    "cf.sparsity(alpha=2.0)": (1 - np.exp(-2 * np.abs(X - ORIGINAL))).sum(1),
    "cf.interval(low=-0.5, high=0.25, inside=0.0)": np.maximum(0, -0.5 - OUTPUTS[np.arange(5), TARGET]) ** 2
    + np.maximum(0, OUTPUTS[np.arange(5), TARGET] - 0.25) ** 2,
    # Half of the interval is less than inside=1, and the cost ends in its middle; a single end is followed by 1.
    "cf.interval(low=-0.5, high=0.25)": (OUTPUTS[np.arange(5), TARGET] + 0.125) ** 2,
    "cf.interval(low=-0.5)": np.maximum(0, 0.5 - OUTPUTS[np.arange(5), TARGET]) ** 2,
    # The four columns are four candidates of one feature each.
    "cf.diversity(mad=2.0)": 1
    - np.linalg.det(np.where(np.eye(4, dtype=bool), 1.0, (1 - 1e-4) / (1 + np.abs(X[:, :, None] - X[:, None]) / 2))),
    "cf.logistic": np.log1p(np.exp(-LEAD)),
    "cf.hinge(margin=0.5)": np.maximum(0, 0.5 - LEAD),
    "cf.regularized(penalize_input=cf.l2, C=0.2)": 0.2 * ((X - ORIGINAL) ** 2).sum(1) - np.log(P_TARGET),
}
# Made of data, which no expression holds.
OF_DATA = {
    "cf.density": -np.log(np.exp(-DISTANCES / 2).mean(1)),
    "cf.lmad": (np.abs(X - ORIGINAL) / np.median(np.abs(DATA - np.median(DATA, 0)), 0)).sum(1),
    "cf.mahalanobis": np.einsum("bi,ij,bj->b", X - ORIGINAL, np.linalg.inv(np.cov(DATA.T)), X - ORIGINAL),
    "cf.min_distance": DISTANCES.min(1),
    "cf.prototype": ((X - DATA[np.argsort(DISTANCES, 1)[:, :5]].mean(1)) ** 2).sum(1),
}


WEIGHTS, MEANS = np.array([0.25, 0.75]), np.random.default_rng(3).normal(size=(2, 4))
SPREADS = np.stack([np.eye(4) + 0.3, np.diag([0.5, 1.0, 2.0, 1.5])])
OF_DATA["cf.gaussian_mixture"] = -np.log(
    sum(
        w
        * np.exp(-0.5 * np.einsum("bi,ij,bj->b", X - m, np.linalg.inv(s), X - m))
        / np.sqrt(np.linalg.det(2 * np.pi * s))
        for w, m, s in zip(WEIGHTS, MEANS, SPREADS, strict=True)
    )
)


def of_data(name):
    """Return a cost that holds data; the ridge that keeps a covariance from having no inverse is left out."""
    if name == "cf.gaussian_mixture":
        return xaicore.get_cost(name, means=MEANS, covariances=SPREADS, weights=WEIGHTS)
    return xaicore.get_cost(name, reference=DATA, **({"ridge": 0} if name == "cf.mahalanobis" else {}))


@pytest.mark.parametrize("name", OF_DATA)
def test_costs_of_data_have_closed_forms(name):
    """To rounding; the inverse of a covariance of four features has a condition of some hundred."""
    np.testing.assert_allclose(value(of_data(name)).numpy(), OF_DATA[name], rtol=1e-10)


@pytest.mark.parametrize("name", OF_DATA)
def test_gradients_of_costs_of_data_are_finite_differences(name):
    """As below; no candidate is so near a border between nearest samples that a step of 1e-5 crosses it."""
    cost, h = of_data(name), 1e-5
    point = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(point)
        total = tf.reduce_sum(value(cost, x=point))
    gradient = tape.gradient(total, point).numpy()
    for i in range(4):
        step = h * np.eye(4)[i]
        difference = (value(cost, x=X + step).numpy() - value(cost, x=X - step).numpy()) / (2 * h)
        np.testing.assert_allclose(gradient[:, i], difference, atol=1e-7)


def test_a_feature_without_deviation_weighs_one_and_is_named():
    data = DATA.copy()
    data[:, 2] = 7.0
    with pytest.warns(NoDeviation, match="1 features"):
        cost = xaicore.get_cost("cf.lmad", reference=data)
    assert cost.without == (2,)
    assert cost.deviations[2] == 1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("cf.prototype", {"reference": DATA, "n": 13}),
        ("cf.lmad", {"reference": np.zeros((0, 4))}),
        ("cf.density", {"reference": DATA, "bandwidth": 0}),
        ("cf.gaussian_mixture", {"means": MEANS, "covariances": SPREADS, "weights": [0.5, 0.6]}),
        ("cf.gaussian_mixture", {"means": MEANS, "covariances": -SPREADS, "weights": WEIGHTS}),
        ("cf.gaussian_mixture", {"means": MEANS, "covariances": SPREADS[:, :3, :3], "weights": WEIGHTS}),
    ],
)
def test_data_that_make_no_cost(name, parameters):
    with pytest.raises(InvalidParameter):
        xaicore.get_cost(name, **parameters)


def test_data_of_another_number_of_features_is_refused():
    with pytest.raises(InvalidParameter, match="for samples of 4 features"):
        value(xaicore.get_cost("cf.min_distance", reference=DATA[:, :3]))


def value(cost, x=X, outputs=OUTPUTS):
    return cost(
        tf.constant(x), original=tf.constant(ORIGINAL), outputs=tf.constant(outputs), target=tf.constant(TARGET)
    )


def test_every_cost_has_a_formula():
    known = {text.partition("(")[0] for text in (*FORMULAS, *OF_DATA)}
    assert {row.name for row in xaicore.available("cost")} <= known


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
        assert (
            np.abs(gradient).max() > 0 or expression == "cf.dummy" or {"x": "inputs"}.get(name, name) not in cost.reads
        )


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


def test_costs_add_up_in_python():
    """As in text: sums, multiples by numbers of Python and NumPy, on both sides, and ``sum``."""
    l1, l2, nll = (xaicore.get_cost(name) for name in ("cf.l1", "cf.l2", "cf.nll"))
    assert l1 + 2 * l2 == xaicore.get_cost("cf.l1 + 2*cf.l2")
    for two in (2, 2.0, np.float32(2), np.float64(2), np.int64(2)):
        assert two * l1 == l1 * two == xaicore.get_cost("2*cf.l1")
    assert sum([l1, l2, nll]) == xaicore.get_cost("cf.l1 + cf.l2 + cf.nll")
    total = np.asarray((0.5 * l1 + l2 * 3)(X, original=ORIGINAL))
    np.testing.assert_allclose(total, 0.5 * np.abs(X - ORIGINAL).sum(1) + 3 * ((X - ORIGINAL) ** 2).sum(1), rtol=1e-12)
    with pytest.raises(InvalidParameter):
        -1 * l1
    for wrong in ("text", None, 3, [1.0]):
        with pytest.raises(TypeError):
            l1 + wrong
    for wrong in ("text", None, l2):
        with pytest.raises(TypeError):
            l1 * wrong


def test_deviations_that_are_given():
    """A deviation of 0 counts as 1, and is told; data and deviations at the same time are refused, and what is none."""
    away = np.abs(X - ORIGINAL)
    cost = xaicore.get_cost("cf.lmad(mad=[0.5, 1.0, 2.0, 4.0])")
    np.testing.assert_allclose(cost(X, original=ORIGINAL), (away / MAD).sum(1), rtol=1e-12)
    mean = xaicore.get_cost("cf.lmad(mad=[0.5, 1.0, 2.0, 4.0], mean=True)")
    np.testing.assert_allclose(mean(X, original=ORIGINAL), (away / MAD).mean(1), rtol=1e-12)
    with pytest.warns(NoDeviation, match=r"deviation of 0 \(1\)"):
        cost = xaicore.get_cost("cf.lmad", mad=np.array([0.5, 0.0, 2.0, 4.0]))
    np.testing.assert_allclose(cost(X, original=ORIGINAL), (away / [0.5, 1.0, 2.0, 4.0]).sum(1), rtol=1e-12)
    with pytest.raises(InvalidParameter, match="one of them"):
        xaicore.get_cost("cf.lmad(mad=1.0)", reference=DATA)
    with pytest.raises(InvalidParameter, match="at least 0"):
        xaicore.get_cost("cf.lmad(mad=-1.0)")


def test_data_without_numbers_are_refused():
    broken = np.where(np.eye(12, 4) > 0, np.nan, DATA)
    for name in ("cf.lmad", "cf.density", "cf.mahalanobis"):
        with pytest.raises(InvalidParameter, match="NaN"):
            xaicore.get_cost(name, reference=broken)


class Chebyshev:
    """A third party's cost: the protocol and nothing else."""

    def __call__(self, x, *, original, outputs, target):
        return tf.reduce_max(tf.abs(x - original), axis=1)


def test_a_cost_that_only_has_the_protocol_is_one_of_the_inputs_where_those_are_asked_for():
    """In the place of ``cost=``, alone and in a sum: the nearest in the largest change moves all features alike."""
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.set_weights([np.array([[1, -1], [2, 0], [0, 1], [1, 0]], "float32"), np.zeros(2, "float32")])
    x = np.array([[-1.0, -1, 1, -1], [-2, 0, 0, 0]], np.float32)
    w = np.array([2.0, 2, -1, 1])
    for cost in (Chebyshev(), xaicore.get_cost("cf.dummy") + 1.0 * xaicore.get_cost("cf.dummy") + Chebyshev()):
        found = xaicore.get_analyzer("cf", cost=cost).explain(model, x, 0, verbose=0)
        assert found.valid.all()
        need = (1e-3 - x @ w) / np.abs(w).sum()
        assert (found.distance >= need * (1 - 1e-5)).all()  # float32
        assert (found.distance <= 2 * need).all()  # its gradient moves one feature at a time


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("cf.l1", {"original": np.ones((5, 3))}),
        ("cf.l1", {"original": "text"}),
        ("cf.nll", {"outputs": OUTPUTS, "target": TARGET[:3]}),
        ("cf.nll", {"outputs": OUTPUTS, "target": TARGET + 0.5}),
        ("cf.nll", {"outputs": OUTPUTS, "target": TARGET + 5}),
        ("cf.nll", {"outputs": OUTPUTS[:2], "target": TARGET}),
    ],
)
def test_what_a_cost_alone_cannot_be_told(name, given):
    with pytest.raises(CostIncomplete, match="expected"):
        xaicore.get_cost(name)(X, **given)


def test_whole_numbers_are_numbers():
    x, original = np.array([[1, 2], [3, 4]]), np.array([[0, 2], [5, 4]])
    np.testing.assert_array_equal(xaicore.get_cost("cf.l1")(x, original=original), [1, 2])
