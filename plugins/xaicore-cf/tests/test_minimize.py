"""Optimizers on their own: known minima, masks equal to the bit, and the optimizers of Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.errors import InvalidParameter
from xaicore_cf.errors import NotALoss, RowsCoupled
from xaicore_cf.keras_descent import KerasDescent
from xaicore_cf.minimize import minimize

CENTRE = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
EVERY = [row.name for row in xaicore.available("optimizer")]


def bowl(x):
    return tf.reduce_sum(tf.square(x - CENTRE) * [1.0, 2.0, 0.5], axis=1)


@pytest.mark.parametrize("name", EVERY)
def test_the_least_of_a_bowl(name):
    """To 1e-2: steps of a fixed length of 0.1, as sign-like rules make them, stay that near; others come closer."""
    x = np.zeros((2, 3))
    found = xaicore.get_optimizer(name).minimize(bowl, x, max_iter=100 if name == "cf.evolution" else 2000)
    assert found.shape == x.shape
    loss = np.asarray(bowl(found))
    assert (loss < 1e-2).all(), loss
    np.testing.assert_array_equal(x, 0)


@pytest.mark.parametrize("name", EVERY)
def test_masked_entries_are_equal_to_the_bit(name):
    x = np.random.default_rng(0).normal(size=(2, 3))
    found = xaicore.get_optimizer(name).minimize(bowl, x, max_iter=50, grad_mask=[1, 0, 1])
    np.testing.assert_array_equal(found[:, 1], x[:, 1])
    assert (np.asarray(bowl(found)) < np.asarray(bowl(x))).all()


@pytest.mark.parametrize("name", ["cf.adamw(weight_decay=0.5)", "cf.sgd(momentum=0.9)", "cf.keras(optimizer='adamw')"])
def test_decay_and_momentum_leave_masked_entries(name):
    x = np.ones((2, 3))
    found = xaicore.get_optimizer(name).minimize(bowl, x, max_iter=30, grad_mask=np.array([[0, 1, 1], [1, 1, 0]]))
    assert found[0, 0] == 1
    assert found[1, 2] == 1


def test_the_best_point_is_returned_and_not_the_last():
    """Steps of 1.9 times the curvature overshoot, and then get larger: the first points are the best."""
    found = xaicore.get_optimizer("cf.sgd(learning_rate=1.05)").minimize(
        lambda x: tf.reduce_sum(x**2, axis=1), np.array([[1.0]]), max_iter=20
    )
    np.testing.assert_array_equal(found, [[1.0]])


def test_a_tolerance_stops_rows_one_by_one():
    calls = []
    loose = xaicore.get_optimizer("cf.sgd(learning_rate=0.1)").minimize(bowl, np.zeros((2, 3)), tol=0.1)
    exact = xaicore.get_optimizer("cf.sgd(learning_rate=0.1)").minimize(bowl, np.zeros((2, 3)))
    assert (np.asarray(bowl(loose)) > np.asarray(bowl(exact))).all()
    np.testing.assert_allclose(exact, CENTRE, atol=1e-6)
    assert not calls


def test_a_scalar_loss_is_that_of_all_rows():
    found = xaicore.get_optimizer("cf.adam").minimize(lambda x: tf.reduce_sum(bowl(x)), np.zeros((2, 3)), max_iter=500)
    np.testing.assert_allclose(found, CENTRE, atol=1e-2)


@pytest.mark.parametrize("shape", [(2, 3, 1), (2, 1, 3)])
def test_x_may_have_any_shape(shape):
    centre = CENTRE.reshape(shape)
    found = xaicore.get_optimizer("cf.adam").minimize(
        lambda x: tf.reduce_sum(tf.square(x - centre), axis=[1, 2]), np.zeros(shape), max_iter=500
    )
    np.testing.assert_allclose(found, centre, atol=1e-2)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (3.0, "expected a function"),
        (keras.losses.MeanSquaredError, "expected a function"),
        (lambda x: tf.reduce_sum(x, axis=0), "one number per row"),
        (lambda x: tf.zeros(2), "does not depend on x"),
        (lambda: 0, "cannot be called"),
        (lambda x: np.sum(x**2, axis=1), "none of NumPy"),
        (lambda x: 1 / 0, "division by zero"),
        (lambda x: tf.reduce_sum(x @ tf.ones((5, 1), tf.float64), axis=1), "cannot be called"),
    ],
)
def test_what_is_no_loss(loss, message):
    for name in ("cf.adam", "cf.bfgs"):
        with pytest.raises(NotALoss, match=message) as raised:
            xaicore.get_optimizer(name).minimize(loss, np.zeros((2, 3)))
        assert isinstance(raised.value, TypeError)


@pytest.mark.parametrize(
    ("x", "given"),
    [
        (np.zeros((2, 3), int), {}),
        ("text", {}),
        (np.zeros((2, 3)), {"max_iter": 0}),
        (np.zeros((2, 3)), {"tol": -1}),
        (np.zeros((2, 3)), {"tol": None}),
        (np.zeros((2, 3)), {"tol": "a"}),
        (np.zeros((2, 3)), {"grad_mask": "abc"}),
        (np.zeros((2, 3)), {"grad_mask": np.ones(4)}),
    ],
)
def test_what_cannot_be_minimised(x, given):
    with pytest.raises(InvalidParameter):
        xaicore.get_optimizer("cf.adam").minimize(bowl, x, **given)


def test_an_optimizer_that_only_has_the_protocol():
    class Halving:
        def init(self, x):
            return ()

        def update(self, gradient, state, x):
            return -0.25 * gradient, ()

    found = minimize(Halving(), lambda x: tf.reduce_sum(tf.square(x - CENTRE), axis=1), np.zeros((2, 3)))
    np.testing.assert_allclose(found, CENTRE, atol=1e-6)


# ------------------------------------------------------------------------------------------------------------- Keras

ROW_WISE = ["adam", "adamw", "sgd", "rmsprop", "nadam", "adamax", "adagrad", "adadelta", "ftrl", "lion"]


@pytest.mark.parametrize("name", ROW_WISE)
def test_steps_are_those_of_keras(name):
    """Applied by Keras to a variable of each row, in float32: roundings of ten steps."""
    made = keras.optimizers.get(name)
    made.learning_rate = 0.05
    gradients = np.random.default_rng(0).normal(size=(10, 2, 3)).astype(np.float32)
    ours = xaicore.get_optimizer("cf.keras", optimizer=made)
    x = tf.constant(CENTRE, tf.float32)
    state = ours.init(x)
    for g in gradients:
        step, state = ours.update(tf.constant(g), state, x)
        x += step
    for row in range(2):
        variable = keras.Variable(CENTRE[row].astype(np.float32))
        own = keras.optimizers.get(name)
        own.learning_rate = 0.05
        own.build([variable])
        for g in gradients:
            own.apply([tf.constant(g[row])])
        np.testing.assert_allclose(x[row], variable.numpy(), rtol=1e-4, atol=1e-5)
    assert not made.built  # only read
    assert int(made.iterations) == 0


@keras.saving.register_keras_serializable("xaicore_tests")
class Centred(keras.optimizers.SGD):
    """Takes from each step the size of all rows' gradients."""

    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, learning_rate * gradient / (1 + tf.reduce_sum(gradient**2)))


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (keras.optimizers.Lamb, "norms over all rows"),
        (lambda: "lamb", "norms over all rows"),
        (keras.optimizers.Adafactor, "for all rows together"),
        (lambda: "muon", "orthogonal"),
        (lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "loss of all rows"),
        (lambda: Centred(0.1), "when other rows stand beside it"),
        (lambda: keras.optimizers.SGD(clipnorm=1.0), "clipnorm=1.0 acts on all rows"),
        (lambda: keras.optimizers.Adam(global_clipnorm=1.0), "global_clipnorm"),
        (lambda: keras.optimizers.Adam(use_ema=True), "use_ema"),
    ],
)
def test_what_couples_rows_is_refused(optimizer, reason):
    with pytest.raises(RowsCoupled, match=reason):
        KerasDescent(optimizer=optimizer())


@pytest.mark.parametrize("given", ["no_such_optimizer", 3, "{}"])
def test_what_is_no_optimizer_of_keras(given):
    with pytest.raises(InvalidParameter):
        KerasDescent(optimizer=given)


def test_an_instance_comes_back_from_its_name():
    made = xaicore.get_optimizer("cf.keras", optimizer=keras.optimizers.RMSprop(0.02, rho=0.7))
    assert xaicore.get_optimizer(str(made)) == made
    assert "0.7" in str(made)


def test_a_schedule_is_followed():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.5])
    ours = xaicore.get_optimizer("cf.keras", optimizer=keras.optimizers.SGD(schedule))
    x = tf.zeros((2, 3))
    state, steps = ours.init(x), []
    for _ in range(4):
        step, state = ours.update(tf.ones_like(x), state, x)
        steps.append(float(step[0, 0]))
    np.testing.assert_allclose(steps, [-1, -1, -0.5, -0.5])


@pytest.mark.parametrize("name", ["cf.bfgs", "cf.lbfgs", "cf.nelder_mead", "cf.adam"])
def test_a_scalar_loss_that_couples_rows_is_one_problem(name):
    """A quadratic form over all entries of two rows, whose optimum solves a linear system."""
    a = np.random.default_rng(0).normal(size=(6, 6))
    form, line = a @ a.T / 6 + np.eye(6), np.arange(6.0)

    def loss(x):
        v = tf.reshape(x, [6])
        return tf.tensordot(v, tf.linalg.matvec(form, v), 1) / 2 - tf.tensordot(v, tf.constant(line), 1)

    found = xaicore.get_optimizer(name).minimize(loss, np.zeros((2, 3)), tol=1e-10, max_iter=np.int64(3000))
    # 0.02: steps of Adam are 0.1 long and not halved here, and a simplex of six corners ends early.
    np.testing.assert_allclose(found.reshape(-1), np.linalg.solve(form, line), atol=0.02)
