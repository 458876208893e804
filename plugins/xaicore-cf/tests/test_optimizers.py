"""Adam against the paper's algorithm, and the laws of optimizers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.errors import InvalidParameter

GRADIENTS = np.random.default_rng(0).normal(size=(6, 4, 3))  # steps, samples, features


def steps(optimizer, gradients):
    """Return the steps that an optimizer makes of gradients (steps, samples, features)."""
    x = tf.zeros(gradients.shape[1:], gradients.dtype)
    state, made = optimizer.init(x), []
    for gradient in gradients:
        step, state = optimizer.update(tf.constant(gradient), state, x)
        x += step
        made.append(step.numpy())
    return np.stack(made)


def test_adam_is_algorithm_1():
    """Kingma and Ba 2015, with their defaults, in NumPy; float64, a few roundings."""
    alpha, b1, b2, epsilon = 0.001, 0.9, 0.999, 1e-8
    m = v = np.zeros((4, 3))
    wanted = []
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        wanted.append(-alpha * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon))
    adam = xaicore.get_optimizer("cf.adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999)")
    np.testing.assert_allclose(steps(adam, GRADIENTS), wanted, rtol=1e-12)


def adaptive_fista(x, g, kept):
    """One step, row by row: f by Malitsky and Mishchenko 2020, restarts by O'Donoghue and Candes 2015."""
    step, after = np.zeros_like(x), []
    for i in range(len(x)):
        d, k, x_0, g_0, f, r = (np.zeros(3), 0, np.zeros(3), np.zeros(3), 1.0, 1.0) if kept is None else kept[i]
        moved, turned = np.linalg.norm((x[i] - x_0) / np.sqrt(0.2)), np.linalg.norm((g[i] - g_0) * np.sqrt(0.2))
        now = min(np.sqrt(1 + r) * f, moved / (2 * turned), 10) if moved > 0 else f
        found = x[i] - 0.2 * now * g[i]
        k = 0 if (x[i] - found) @ (found - d) > 0 else k
        step[i] = found + k / (k + 3) * (found - d) - x[i]
        after.append((found, k + 1, x[i], g[i], now, now / f))
    return step, after


def by_hand(name):
    """Return the steps of the publications' algorithms, in NumPy."""
    m = v = x = np.zeros((4, 3))
    wanted, kept = [], None
    for t, g in enumerate(GRADIENTS, start=1):
        if name == "sgd":
            step = -0.2 * g
        elif name in {"momentum", "nesterov"}:
            m = 0.8 * m + g
            step = -0.2 * (g + 0.8 * m if name == "nesterov" else m)
        elif name == "fista":  # d = u - 0.2 g, u' = d + k / (k + 3) (d - d_before); x is u
            d = x - 0.2 * g
            share = (t - 1) / (t + 2)
            step, m = d + share * (d - m) - x, d
        elif name == "adaptive":
            step, kept = adaptive_fista(x, g, kept)
        elif name == "rmsprop":
            v = 0.7 * v + 0.3 * g**2
            step = -0.2 * g / (np.sqrt(v) + 1e-8)
        else:
            m, v = 0.6 * m + 0.4 * g, 0.9 * v + 0.1 * g**2
            size = np.sqrt(v / (1 - 0.9**t)) + 1e-8
            if name == "adamw":
                step = -0.2 * (m / (1 - 0.6**t) / size + 0.05 * x)
            else:
                step = -0.2 * (0.6 * m / (1 - 0.6 ** (t + 1)) + 0.4 * g / (1 - 0.6**t)) / size
        x = x + step
        wanted.append(step)
    return np.stack(wanted)


OTHERS = {
    "sgd": "cf.sgd(learning_rate=0.2)",
    "momentum": "cf.sgd(learning_rate=0.2, momentum=0.8)",
    "nesterov": "cf.sgd(learning_rate=0.2, momentum=0.8, nesterov=True)",
    "rmsprop": "cf.rmsprop(learning_rate=0.2, rho=0.7)",
    "adamw": "cf.adamw(learning_rate=0.2, beta_1=0.6, beta_2=0.9, weight_decay=0.05)",
    "nadam": "cf.nadam(learning_rate=0.2, beta_1=0.6, beta_2=0.9)",
    "fista": "cf.proximal(learning_rate=0.2, adaptive=False)",
    "adaptive": "cf.proximal(learning_rate=0.2)",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_rules_are_those_of_their_publications(name):
    np.testing.assert_allclose(steps(xaicore.get_optimizer(OTHERS[name]), GRADIENTS), by_hand(name), rtol=1e-12)


@pytest.mark.parametrize("expression", ["cf.sgd(momentum=1)", "cf.rmsprop(rho=1)", "cf.sgd(learning_rate=-1)"])
def test_other_numbers_that_do_not_descend(expression):
    with pytest.raises(InvalidParameter):
        xaicore.get_optimizer(expression)


def in_the_loop():
    """Names of the optimizers that are rules of descent; those of the host are searches of their own."""
    names = [row.name for row in xaicore.available("optimizer")]
    return [name for name in names if hasattr(xaicore.get_optimizer(name), "update")]


@pytest.mark.parametrize("expression", in_the_loop())
def test_laws_of_optimizers(expression):
    """Every state has the sample on axis 0, rows are independent, and features without gradient never move."""
    optimizer = xaicore.get_optimizer(expression)
    assert xaicore.get_optimizer(str(optimizer)) == optimizer
    assert all(len(s) == 4 for s in optimizer.init(tf.zeros((4, 3))))
    gradients = GRADIENTS * np.array([1.0, 0.0, 1.0])
    together = steps(optimizer, gradients)
    # float64 of other batch sizes: vectorised and single roots may differ in the last bit
    np.testing.assert_allclose(together[:, 1:3], steps(optimizer, gradients[:, 1:3]), rtol=1e-14)
    assert (together[..., 1] == 0).all()
    assert (np.sign(together[0][..., [0, 2]]) == -np.sign(gradients[0][..., [0, 2]])).all()


def test_a_learning_rate_for_each_feature():
    adam = xaicore.get_optimizer("cf.adam", learning_rate=[0.1, 1.0, 10.0])
    unit = steps(xaicore.get_optimizer("cf.adam(learning_rate=1.0)"), GRADIENTS)
    np.testing.assert_allclose(steps(adam, GRADIENTS), unit * [0.1, 1.0, 10.0], rtol=1e-14)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate=0 somewhere; expected positive"),
        ({"learning_rate": [0.1, -1.0]}, "learning_rate=-1 somewhere"),
        ({"beta_1": 1.0}, "expected numbers below 1"),
        ({"beta_2": -0.1}, "beta_2=-0.1"),
        ({"epsilon": 0}, "epsilon=0"),
    ],
)
def test_numbers_that_do_not_descend(given, message):
    with pytest.raises(InvalidParameter, match=message):
        xaicore.get_optimizer("cf.adam", **given)
