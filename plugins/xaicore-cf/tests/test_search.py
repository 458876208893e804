"""The loop itself, with a hand-written model: what it converges to, what it keeps, where it may go."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from scipy.optimize import brentq

from xaicore_cf.box import Box
from xaicore_cf.copies import Seen, spread, start
from xaicore_cf.counterfactual import Counterfactual
from xaicore_cf.judge import Judge
from xaicore_cf.optimizers import Adam
from xaicore_cf.outcomes import NegativeLogLikelihood, probability
from xaicore_cf.search import Search

W, BIAS = np.array([1.0, -2.0, 0.5, 1.5]), -0.5
X = np.random.default_rng(0).normal(size=(6, 4)) - 0.5 * W  # most of them outside of class 1
OPEN = Box()


def look(x, original, index):
    """Logits (0, w.x + b), class 1: -log p has the gradient -(1 - p) w."""
    z = tf.linalg.matvec(x, W) + BIAS
    logits = tf.stack([tf.zeros_like(z), z], 1)
    target = tf.ones_like(index[:, 0])
    return Seen(logits, target, -(1 - probability(logits, target))[:, None] * W)


def search_of(settings, box=OPEN):
    return Search(Judge(settings, box, look))


def begin(settings, box=OPEN, x=X):
    x = tf.constant(x)
    given = spread(settings, x, tf.zeros((len(x), 1), tf.int32))
    judge = Judge(settings, box, look)
    once = spread(Counterfactual(C=1.0), x, tf.zeros((len(x), 1), tf.int32))
    return given, start(judge, given, judge.settled(once), tf.range(len(x), dtype=tf.int64))


def test_a_fixed_weight_leads_to_the_optimum_of_the_objective():
    """C |u|^2 - log sigmoid(z_0 + w.u) is least for u = a w, 2 C a = sigmoid(-(z_0 + a |w|^2)): a root in one variable.

    The weights are so large that the optimum lies outside of the class, where steps are never halved: Adam then keeps
    stepping around it, by at most a few learning rates of 1e-3.
    """
    for C in (2.0, 5.0):
        settings = Counterfactual(C=C, growth=1, optimizer=Adam(1e-3), max_iter=2000)
        x = X[X @ W + BIAS < -2]
        given, copies = begin(settings, x=x)
        found = search_of(settings).run(copies, given)
        z = x @ W + BIAS
        a = [brentq(lambda a, z=z0: 2 * C * a - 1 / (1 + np.exp(z + a * W @ W)), 0, 1 / C) for z0 in z]  # noqa: B023  # called in the loop
        np.testing.assert_allclose(found.x, x + np.outer(a, W), rtol=0, atol=3e-3)
        assert (found.x.numpy() @ W + BIAS < 0).all()


def test_the_nearest_valid_point_on_the_way_is_kept():
    """Step by step, outside of any compiled loop: of all points met, the valid one of smallest cost."""
    settings = Counterfactual(C=[1.0, 0.1])
    given, copies = begin(settings)
    search, met = search_of(settings), []
    for _ in range(120):
        met.append(copies.x.numpy())
        copies = search.iterate(copies, given)
    met = np.stack(met)
    distance = ((met - given.original.numpy()) ** 2).sum(-1)
    distance[met @ W + BIAS <= settings.margin] = np.inf
    np.testing.assert_array_equal(copies.kept, met[distance.argmin(0), np.arange(len(copies.x))])
    np.testing.assert_allclose(copies.distance, distance.min(0), rtol=1e-12)


def test_nothing_valid_keeps_the_smallest_prediction_cost():
    """In a box without a point of the class: the corner that is nearest to it."""
    box = Box(None, np.float64(-0.01), np.float64(0.01))
    settings = Counterfactual(C=0.1, max_iter=200)
    given, copies = begin(settings, box, np.zeros((1, 4)))
    found = search_of(settings, box).run(copies, given)
    assert np.isinf(found.distance).all()
    np.testing.assert_allclose(found.kept, 0.01 * np.sign(W)[None], rtol=1e-12)


def test_every_step_stays_in_the_box_and_leaves_held_features_alone():
    free = np.array([True, True, False, True])
    box = Box(free, np.float64(-1.0), np.array([2.0, 0.3, 2.0, 0.4]))
    settings = Counterfactual(C=[1.0, 0.01], starts=3, noise=2.0)
    given, copies = begin(settings, box)
    search, moved = search_of(settings, box), 0.0
    for _ in range(60):
        x = copies.x.numpy()
        assert (x[:, free] >= -1).all()
        assert (x[:, free] <= box.high[free]).all()
        np.testing.assert_array_equal(x[:, 2], given.original.numpy()[:, 2])
        moved = max(moved, np.abs(x - given.original).max())
        copies = search.iterate(copies, given)
    assert moved > 1


def test_copies_that_have_arrived_leave_the_loop():
    """A sample in the class already leaves before the first iteration, the others go on."""
    settings = Counterfactual()
    x = X.copy()
    x[2] = 2 * W
    given, copies = begin(settings, x=x)
    steps = search_of(settings).run(copies, given).steps.numpy().reshape(6, 3)
    assert (steps[2] == 0).all()
    assert steps[[0, 1]].min() > 0


def test_the_gradient_of_several_is_that_of_their_objective():
    """Finite differences of C (mean of |u_k|^2 + 1 - det K) + mean of -log p; 1e-6: central, in float64."""
    settings = Counterfactual(C=0.7, n=3, prediction=NegativeLogLikelihood(), noise=0.5)
    given, copies = begin(settings)
    judge, x = Judge(settings, OPEN, look), copies.x.numpy() + 0.1
    verdict = judge(tf.constant(x), given, tf.constant(x))
    slope = 0.7 * verdict.near + verdict.far

    def objective(x):
        c = x.reshape(-1, 3, 4)
        kernel = (1 - 1e-4) / (1 + np.abs(c[:, :, None] - c[:, None]).sum(3))
        kernel[:, range(3), range(3)] = 1
        near = ((x - given.original.numpy()) ** 2).sum(1).reshape(-1, 3).mean(1) + 1 - np.linalg.det(kernel)
        return 0.7 * near + np.log1p(np.exp(-(x @ W + BIAS))).reshape(-1, 3).mean(1)

    for row, feature in ((0, 0), (4, 2), (8, 3), (17, 1)):
        step = np.zeros_like(x)
        step[row, feature] = 1e-5
        want = (objective(x + step) - objective(x - step))[row // 3] / 2e-5
        np.testing.assert_allclose(slope[row, feature], want, rtol=1e-6, atol=1e-8)
