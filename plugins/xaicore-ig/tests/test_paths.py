"""Paths against numpy, and what leaves the prefix out."""

from __future__ import annotations

import itertools

import attrs
import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.testing.models import MODELS, float64_twin, inputs_of, randomise

R = np.random.default_rng(3)
W, V = R.normal(size=(5, 6)), R.normal(size=6)


def smooth():
    """f(x) = v . tanh(x W), whose gradient is written down below."""
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
    model = float64_twin(model)
    model.set_weights([W, np.zeros(6), V[:, None], np.zeros(1)])
    return model


def score(x):
    return np.tanh(x @ W) @ V


def gradient(x):
    return ((1 - np.tanh(x @ W) ** 2) * V) @ W.T


def size(a):
    return np.abs(a).sum(tuple(range(1, a.ndim)))


X = R.normal(size=(4, 5))


def test_idgi_is_the_sum_over_steps():
    n = 7
    points = [X * k / n for k in range(n + 1)]
    expected = sum(
        (score(b) - score(a))[:, None] * gradient(a) ** 2 / (gradient(a) ** 2).sum(1, keepdims=True)
        for a, b in itertools.pairwise(points)
    )
    found = xaicore.explain("ig.idgi(n_steps=7)", smooth(), X)
    np.testing.assert_allclose(found.attributions, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.residual, 0, atol=1e-12)  # for any number of steps


def guided(x, n, fraction, max_dist):
    """The published algorithm for one sample, feature by feature."""
    at, a = np.zeros_like(x), np.zeros_like(x)
    length = np.abs(x).sum()
    for k in range(n):
        g = gradient(at[None])[0]
        whole = (k + 1) / n
        low, high = x * max(whole - max_dist, 0), x * min(whole + max_dist, 1)
        target = length * (1 - whole)
        before = at.copy()
        at = np.where(np.abs(at) < np.abs(low), low, at)
        for _ in range(10 * len(x)):
            left = np.abs(x - at).sum()
            if left - target <= 1e-12 * length:
                break
            ranked = np.where(np.isclose(at, high, rtol=1e-12, atol=0), np.inf, np.abs(g))
            threshold = np.sort(ranked)[int(fraction * (len(x) - 1))]
            chosen = (ranked <= threshold) & np.isfinite(ranked)
            room = np.abs(high - at)[chosen].sum()
            share = (left - target) / room if room > 0 else np.inf
            at = np.where(chosen, at + min(share, 1) * (high - at), at)
            if not share > 1:
                break
        a += g * (at - before)
    return a


@pytest.mark.parametrize(("fraction", "max_dist"), [(0.25, 0.02), (0.5, 0.3), (0.3, 1.0)])
def test_guided_follows_the_published_algorithm(fraction, max_dist):
    found = xaicore.explain(f"ig.guided(fraction={fraction}, max_dist={max_dist}, n_steps=20)", smooth(), X)
    expected = np.stack([guided(x, 20, fraction, max_dist) for x in X])
    np.testing.assert_allclose(found.attributions, expected, rtol=0, atol=1e-10)


def test_guided_converges_to_completeness():
    gaps = [np.abs(xaicore.explain(f"ig.guided(n_steps={n})", smooth(), X).residual).max() for n in (10, 100, 1000)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-2 * np.abs(score(X)).max()


def test_a_blur_path_is_complete():
    """From the blurred input, whatever the baseline: Gauss-Legendre on a smooth path."""
    model = float64_twin(MODELS["convolutional"]())
    x = np.asarray(inputs_of(model, 3), np.float64)
    hidden = [layers.Flatten(), layers.Dense(5, activation="tanh"), layers.Dense(2)]
    model = float64_twin(randomise(keras.Sequential([keras.Input((8, 8, 3)), *hidden])))
    found = xaicore.explain("ig.blur_path(sigma=3, n_steps=64)", model, x, 1)
    start = xaicore.get("ig.blur(sigma=3)", "baseline")
    (blurred,) = start((keras.ops.convert_to_tensor(x),), None, None)
    change = model.predict(x, verbose=0)[:, 1] - model(blurred).numpy()[:, 1]
    np.testing.assert_allclose(found.attributions.sum((1, 2, 3)), change, atol=1e-4)
    assert np.abs(found.residual).max() < 1e-4


def test_paths_compose():
    model = MODELS["convolutional"]()
    x = inputs_of(model, 2)
    for expression in ("ig(path=ig.idgi, at='conv1', n_steps=4)", "smoothgrad(ig.guided(n_steps=3), n=2) | abs"):
        assert np.isfinite(xaicore.explain(expression, model, x, 1).attributions).all()


# ------------------------------------------------------------------------------------------------ the linear prefix


def stem():
    """Rescaling, padding, a convolution without activation, batch normalization, then an activation."""
    x = keras.Input((10, 10, 3))
    y = layers.ZeroPadding2D()(layers.Rescaling(0.5, 0.1)(x))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, use_bias=False)(y))
    y = layers.Activation("tanh")(y)
    z = layers.Dense(3, activation="tanh")(layers.Flatten()(y))
    return randomise(keras.Model(x, layers.Dense(2)(z)))


def dense():
    hidden = [layers.Dense(n, activation="gelu") for n in (16, 8)]
    return randomise(keras.Sequential([keras.Input((40,)), *hidden, layers.Dense(3)]))


def bypassed():
    """Two inputs; one of them goes around the prefix too."""
    a, b = keras.Input((30,)), keras.Input((6,))
    y = layers.Dense(5, name="first")(layers.Concatenate()([a, b]))
    y = layers.Concatenate()([layers.Activation("tanh")(y), layers.Activation("tanh")(b), layers.Dense(2)(y)])
    return randomise(keras.Model([a, b], layers.Dense(2)(y)))


@pytest.mark.parametrize("make", [stem, dense, bypassed])
def test_a_prefix_left_out_changes_nothing_but_rounding(make, monkeypatch):
    model = float64_twin(make())
    x = keras.tree.map_structure(lambda a: np.asarray(a, np.float64), inputs_of(model, 3))
    # Also where it would not pay: what it computes is the same.
    monkeypatch.setattr("xaicore.engine.prefix.pays", lambda prefix, count: True)
    short, whole = (xaicore.get_analyzer("ig(n_steps=9, baseline=0.2)", prefix=p) for p in (True, False))
    a, b = short.explain(model, x, 1, verbose=0), whole.explain(model, x, 1, verbose=0)
    for one, other in zip(keras.tree.flatten(a.attributions), keras.tree.flatten(b.attributions), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_a_prefix_is_found_where_it_pays():
    from xaicore.engine.prefix import without_prefix
    from xaicore.engine.program import Program
    from xaicore.inspect.read import read_graph

    def tail(model):
        graph = read_graph(model, {})
        found = without_prefix(Program(graph, graph), len(graph.inputs))
        return None if found is None else [type(n.operation).__name__ for n in found[1].graph.nodes]

    assert tail(dense()) == ["Activation", "Dense", "Dense"]
    assert tail(bypassed()) is not None
    relu_first = keras.Sequential([keras.Input((5,)), layers.ReLU(), layers.Dense(2)])
    assert tail(relu_first) is None


# ------------------------------------------------------------------------------------------------ expected gradients


def test_expected_gradients_of_a_site_start_where_integrated_gradients_do():
    """Baselines are in the units of the model's inputs; the tail is linear, so that draws make no difference."""
    x = keras.Input((5,))
    y = layers.Dense(4, activation="tanh", name="first")(x)
    model = float64_twin(randomise(keras.Model(x, layers.Dense(2)(layers.Concatenate()([y, x])))))
    for baseline in ("0.3", "ig.reference(samples={})"):
        given = xaicore.get("ig.reference", "baseline", samples=R.normal(size=(3, 5))) if "ref" in baseline else 0.3
        found = xaicore.get_analyzer("ig.expected_gradients(at='first', n_steps=6)", baseline=given)
        expected = xaicore.get_analyzer("ig(at='first')", baseline=given).explain(model, X, 1)
        np.testing.assert_allclose(found.explain(model, X, 1).attributions, expected.attributions, rtol=0, atol=1e-12)


def test_expected_gradients_of_a_linear_model_are_exact_and_of_others_converge():
    linear = float64_twin(keras.Sequential([keras.Input((5,)), layers.Dense(1)]))
    linear.set_weights([W[:, :1], np.zeros(1)])
    data = R.normal(size=(8, 5))
    analyzer = xaicore.get_analyzer(
        "ig.expected_gradients(n_steps=8)", baseline=xaicore.get("ig.reference", "baseline", samples=data)
    )
    np.testing.assert_allclose(analyzer.explain(linear, X).attributions, (X - data.mean(0)) * W[:, 0], atol=1e-12)
    exact = np.mean([xaicore.get_analyzer("ig", baseline=b).explain(smooth(), X).attributions for b in data], axis=0)
    errors = []
    for n in (80, 8000):
        many = attrs.evolve(analyzer, n_steps=n).explain(smooth(), X)
        errors.append(np.abs(many.attributions - exact).max())
    # A hundred times the draws: a tenth of the error, give or take a factor of three for the luck of one draw.
    assert errors[1] < errors[0] / 3
