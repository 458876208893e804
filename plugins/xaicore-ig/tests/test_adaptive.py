"""The error that adaptive integrated gradients state, against the true one; and the rule that they follow."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter, ToleranceWarning
from xaicore.testing.models import float64_twin

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


def kinked(n):
    return gregory(n, step)


def gregory(n, gradient=gradient):
    """Davis and Rabinowitz 1984, section 2.9: the trapezoidal rule less 1/12, 1/24, 19/720, 3/160 of differences."""
    values = np.stack([gradient(X * k / n) for k in range(n + 1)])
    total = values.sum(0) - (values[0] + values[-1]) / 2
    for order, factor in enumerate((1 / 12, 1 / 24, 19 / 720, 3 / 160)[: min(n, 4)], start=1):
        differences = np.diff(values, order, axis=0)
        total = total - factor * (differences[-1] + (-1) ** order * differences[0])
    return X * total / n


def test_attributions_are_gregorys_rule():
    """1e-11: the first point is 2^-40 of the way from the baseline, not on it."""
    with pytest.warns(ToleranceWarning):
        found = xaicore.explain("ig.adaptive(tolerance=1e-15, max_steps=63)", smooth(), X)
    assert found.steps.tolist() == [33] * 4
    np.testing.assert_allclose(found.attributions, gregory(32), rtol=0, atol=1e-11)
    last, before = size(gregory(32) - gregory(16)), size(gregory(16) - gregory(8))
    assert (last < before / 8).all()  # smooth: the last change is the error
    np.testing.assert_allclose(found.error, last / size(gregory(32)), rtol=0, atol=1e-11)


def test_the_error_is_what_the_last_changes_let_expect():
    """Attributions of the same network with one kink, by tables of its own changes: three count at 33 points."""
    a = {n: kinked(n) for n in (4, 8, 16, 32)}
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1, activation="relu"), layers.Dense(1)])
    model = float64_twin(model)
    model.set_weights([W[:, :1], np.array([KINK]), np.ones((1, 1)), np.zeros(1)])
    with pytest.warns(ToleranceWarning):
        found = xaicore.explain("ig.adaptive(tolerance=1e-15, max_steps=63)", model, X)
    np.testing.assert_allclose(found.attributions, a[32], rtol=0, atol=1e-11)
    h = [size(a[n] - a[n // 2]) / np.maximum(size(a[n]), 1e-300) * n / 32 for n in (32, 16, 8)]
    expected = np.maximum(h[0] / 2, 0.4 * np.mean(h, 0) + 0.5 * np.std(h, 0))
    falls = h[0] < h[1] / 4
    np.testing.assert_allclose(found.error[~falls], expected[~falls], rtol=0, atol=1e-11)
    assert (~falls).any()


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
