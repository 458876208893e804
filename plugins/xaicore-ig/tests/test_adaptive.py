"""The error that adaptive integrated gradients state, against the true one; and the rule that they follow."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter, ToleranceWarning
from xaicore.testing.models import float64_twin
from xaicore_ig.levels import nested_levels

R = np.random.default_rng(11)


def size(a):
    return np.abs(a).sum(tuple(range(1, a.ndim)))


def with_biases(model, scale, seed=3):
    """Give biases of both signs: without any, a ReLU network is linear along every line from zero."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.name == "bias":
            variable.assign(scale * random.normal(size=variable.shape))
    return float64_twin(model)


def convolutions(activation="relu"):
    keras.utils.set_random_seed(4)
    hidden = [layers.Conv2D(8, 3, strides=s, activation=activation) for s in (1, 2, 1)]
    end = [layers.Flatten(), layers.Dense(32, activation=activation), layers.Dense(5)]
    return with_biases(keras.Sequential([keras.Input((14, 14, 3)), *hidden, *end]), 0.2)


def pooling():
    keras.utils.set_random_seed(5)
    first = [layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D()]
    then = [layers.Conv2D(16, 3, activation="relu"), layers.GlobalMaxPooling2D(), layers.Dense(5)]
    return with_biases(keras.Sequential([keras.Input((16, 16, 1)), *first, *then]), 0.2)


def table(activation="relu", widths=(32, 16)):
    """Few kinks on a path: a change from level to level may be small by luck."""
    keras.utils.set_random_seed(6)
    hidden = [layers.Dense(n, activation=activation) for n in widths]
    return with_biases(keras.Sequential([keras.Input((20,)), *hidden, layers.Dense(2)]), 0.3)


def true_error(model, x, found, steps=4096):
    reference = xaicore.explain(f"ig.riemann_middle(n_steps={steps})", model, x, 1, batch_size=100).attributions
    return size(found.attributions - reference) / size(reference), reference


def best_fixed(model, x, reference, tolerance):
    """Return the fewest points of a fixed rule that is within the tolerance on every sample."""
    for n in range(8, 400, 8):
        found = xaicore.explain(f"ig.riemann_middle(n_steps={n})", model, x, 1, batch_size=100)
        if (size(found.attributions - reference) / size(reference)).max() <= tolerance:
            return n
    pytest.fail("no fixed rule is within the tolerance")


@pytest.mark.parametrize(
    ("make", "tolerance", "samples"),
    [
        (table, 2e-2, 60),
        *(pytest.param(make, 1e-2, 300, marks=pytest.mark.slow) for make in (convolutions, pooling, table)),
    ],
)
def test_the_stated_error_is_the_real_one_with_kinks(make, tolerance, samples):
    """True error at most twice the stated one on 99 %; no more gradients than the best fixed rule takes."""
    model = make()
    x = R.normal(size=(samples, *model.input_shape[1:]))
    found = xaicore.explain(f"ig.adaptive(tolerance={tolerance})", model, x, 1, batch_size=100)
    true, reference = true_error(model, x, found)
    assert (true <= 2 * found.error).mean() >= 0.99
    assert (found.error <= tolerance).all()
    assert found.steps.mean() <= best_fixed(model, x, reference, tolerance)


@pytest.mark.parametrize(
    ("make", "activation", "samples"),
    [
        (table, "gelu", 60),
        *(
            pytest.param(m, a, 300, marks=pytest.mark.slow)
            for m, a in [(convolutions, "gelu"), (convolutions, "tanh"), (table, "gelu"), (table, "tanh")]
        ),
    ],
)
def test_smooth_networks_take_17_gradients_at_most(make, activation, samples):
    model = make(activation)
    x = R.normal(size=(samples, *model.input_shape[1:]))
    found = xaicore.explain("ig.adaptive(tolerance=1e-3)", model, x, 1, batch_size=100)
    true, _ = true_error(model, x, found)
    assert (true <= 2 * found.error).mean() >= 0.99
    assert (found.error <= 1e-3).all()
    assert found.steps.max() <= 17


def test_a_tight_tolerance_holds_in_float64():
    """Where the path starts is then no nearer to the baseline than the dtype asks for."""
    model, x = table("tanh"), R.normal(size=(60, 20))
    found = xaicore.explain("ig.adaptive(tolerance=1e-6)", model, x, 1)
    exact = xaicore.explain("ig(n_steps=64)", model, x, 1).attributions  # Gauss-Legendre on a smooth path: 1e-14
    assert (size(found.attributions - exact) / size(exact) <= 2 * found.error).mean() >= 0.99
    assert (found.error <= 1e-6).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_linear_network_states_its_rounding(dtype):
    """Not zero, which no sum of rounded numbers has for an error."""
    model = keras.Sequential([keras.Input((20,), dtype=dtype), layers.Dense(2, dtype=dtype)])
    x = R.normal(size=(30, 20)).astype(dtype)
    found = xaicore.explain("ig.adaptive", model, x, 1)
    exact = x.astype(np.float64) * model.layers[-1].kernel.numpy().astype(np.float64)[:, 1]
    assert (found.error > 0).all()
    assert (found.error < 1e-5).all()
    assert (size(found.attributions - exact) / size(exact) <= 2 * found.error).all()


W, V = R.normal(size=(5, 6)), R.normal(size=6)
X = R.normal(size=(4, 5))


def smooth():
    """f(x) = v . tanh(x W), whose gradient is written down below."""
    model = float64_twin(keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(1)]))
    model.set_weights([W, np.zeros(6), V[:, None], np.zeros(1)])
    return model


def gradient(x):
    return ((1 - np.tanh(x @ W) ** 2) * V) @ W.T


KINK = 0.31


def step(x):
    """Return the gradient of ReLU(x W_0 + 0.31)."""
    return (x @ W[:, :1] + KINK > 0) * W[:, 0]


QUARTERS = np.arange(4) / 4
MIDPOINTS = [np.arange(1, n, 2) / n for n in (2, 4, 8, 16)]


def divided(n):
    """Return what comes between points 1/n apart, quarter by quarter."""
    return [q + np.arange(1, n // 2, 2) / (2 * n) for q in QUARTERS]


LEVELS = [np.array([0.0, 1.0])]
for added in [*MIDPOINTS, *divided(16), *divided(32)]:
    LEVELS.append(np.sort(np.concatenate([LEVELS[-1], added])))


def degree(n):
    """Return n - 1 up to 9 points, 9 from 17 on and 2 more whenever points double."""
    return n - 1 if n <= 9 else 9 + 2 * ((n > 32) + (n > 64) + (n > 128) + (n > 256))


def rule(t):
    """Return the weights nearest to the trapezoidal ones that are exact up to a degree, by a pseudoinverse."""
    trapezoid = np.array([np.trapezoid(row, t) for row in np.eye(len(t))])
    powers = np.arange(degree(len(t)) + 1)
    moments = (t[None] - 0.5) ** powers[:, None]
    exact = (0.5 ** (powers + 1) - (-0.5) ** (powers + 1)) / (powers + 1)
    root = np.sqrt(trapezoid)
    return trapezoid + root * (np.linalg.pinv(moments * root) @ (exact - moments @ trapezoid))


def integral(t, gradient):
    return X * np.tensordot(rule(t), np.stack([gradient(X * k) for k in t]), 1)


def jump_errors(t, u):
    """Return (sum of the weights before u) - u."""
    return rule(t) @ (t[:, None] < u) - u


def readings(level, gradient):
    """Return the squared errors that the last three changes of each quarter let expect, by sums over many jumps."""
    u = (np.arange(20_000) + 0.5) / 20_000
    errors = [jump_errors(t, u) for t in LEVELS[: level + 1]]
    found = [integral(t, gradient) for t in LEVELS[: level + 1]]
    by_quarter = [
        [1, 2, 3, 4, *([5 + q] if level >= 5 + q else []), *([9 + q] if level >= 9 + q else [])] for q in range(4)
    ]
    total = np.zeros((3, len(X)))
    for quarter, levels in zip(QUARTERS, by_quarter, strict=True):
        left = np.where((u >= quarter) & (u < quarter + 0.25), errors[level] ** 2, 0).sum()
        for k in range(3):
            at = levels[-1 - k]
            total[k] += left / ((errors[at] - errors[at - 1]) ** 2).sum() * size(found[at] - found[at - 1]) ** 2
    return np.sqrt(total) / size(found[level])


def stated(one, two, three):
    """Return the error that three readings make, and whether the path is smooth."""
    kinked = np.mean([one, two, three], 0) + 1.75 * np.std([one, two, three], 0)
    smooth = (2 * one < two) & (1.5 * two < three)
    return np.where(smooth, np.minimum(kinked, 1.5 * one), kinked), smooth


def test_attributions_and_error_of_a_smooth_path():
    """1e-11: the first point is 2^-40 of the way from the baseline, not on it."""
    with pytest.warns(ToleranceWarning):
        found = xaicore.explain("ig.adaptive(tolerance=1e-15, max_steps=32)", smooth(), X)
    assert found.steps.tolist() == [33] * 4
    np.testing.assert_allclose(found.attributions, integral(LEVELS[8], gradient), rtol=0, atol=1e-11)
    expected, falling = stated(*readings(8, gradient))
    assert falling.any()
    np.testing.assert_allclose(found.error, expected, rtol=1e-3, atol=1e-12)  # 1e-3: 20,000 jumps


def test_the_error_is_what_the_last_changes_let_expect():
    """Attributions of the same network with one kink."""
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1, activation="relu"), layers.Dense(1)])
    model = float64_twin(model)
    model.set_weights([W[:, :1], np.array([KINK]), np.ones((1, 1)), np.zeros(1)])
    with pytest.warns(ToleranceWarning):
        found = xaicore.explain("ig.adaptive(tolerance=1e-15, max_steps=45)", model, X)
    assert found.steps.tolist() == [41] * 4
    np.testing.assert_allclose(found.attributions, integral(LEVELS[9], step), rtol=0, atol=1e-11)
    expected, _ = stated(*readings(9, step))
    kinked = expected > 1e-9
    assert kinked.any()
    np.testing.assert_allclose(found.error[kinked], expected[kinked], rtol=1e-2)


@pytest.mark.parametrize("most", [5, 9, 100, 256])
def test_rules_are_nested_and_exact(most):
    levels = nested_levels(most)
    assert levels.sizes[-1] <= most + 1
    for level, n in enumerate(levels.sizes):
        t, w = levels.nodes[:n], levels.weights[:n, level]
        assert ((w > 0) | (n == 9)).all()  # those of the interpolating polynomial have signs
        assert (levels.weights[n:, level] == 0).all()
        for power in range(degree(n) + 1):
            np.testing.assert_allclose(w @ t**power, 1 / (power + 1), rtol=1e-12)


def test_256_steps_reach_the_level_of_257_points():
    with pytest.warns(ToleranceWarning, match="after 257 points"):
        found = xaicore.explain("ig.adaptive(tolerance=1e-15)", smooth(), X)
    assert found.steps.tolist() == [257] * 4


def test_an_unmet_tolerance_is_reported_and_a_met_one_is_not():
    model, x = table(), R.normal(size=(3, 20))
    with pytest.warns(ToleranceWarning, match="3 of 3 explanations are above the tolerance 1e-09 after 9 points"):
        found = xaicore.explain("ig.adaptive(tolerance=1e-9, max_steps=9)", model, x, 1)
    assert found.steps.tolist() == [9, 9, 9]
    assert (found.error > 1e-9).all()
    wide = xaicore.explain("ig.adaptive(tolerance=0.5)", model, x, 1)  # warnings are errors here
    assert (wide.error <= 0.5).all()


@pytest.mark.parametrize("parameters", ["inner=lrp.epsilon", "baseline=ig.uniform", "tolerance=0", "max_steps=3"])
def test_what_no_error_can_be_stated_for(parameters):
    with pytest.raises(InvalidParameter):
        xaicore.get_analyzer(f"ig.adaptive({parameters})")
