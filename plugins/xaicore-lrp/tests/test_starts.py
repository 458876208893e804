"""Relevance that starts inside of a network, at or behind a layer that ends in a ReLU: NumPy's formulas, in float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore

# float64, sums of six products; some denominators are a hundredth of their terms.
ROUNDING = 1e-10


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Return a network whose ReLU layer is followed by reshaping, and by a layer that weights relevance."""
    keras.utils.set_random_seed(0)
    d = {"dtype": "float64"}
    x = keras.Input((6,), dtype="float64")
    y = layers.Dense(8, activation="relu", bias_initializer="normal", name="first", **d)(x)
    y = layers.Flatten(name="flat", **d)(layers.Reshape((2, 4), name="folded", **d)(y))
    return keras.Model(x, layers.Dense(3, bias_initializer="normal", name="last", **d)(y))


def epsilon(amount: float, x: np.ndarray, weights: np.ndarray, bias: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    z = x @ weights + bias
    return x * ((relevance / (z + amount * np.where(z >= 0, 1, -1))) @ weights.T)


def gamma(factor: float, x: np.ndarray, weights: np.ndarray, bias: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """The generalised rule: what speaks for the sign of z counts 1 + factor times."""
    z, parts = x @ weights + bias, x[:, :, None] * weights
    found = np.zeros_like(x)
    for side, clip in ((z > 0, np.maximum), (z < 0, np.minimum)):
        favoured = parts + factor * clip(parts, 0)
        below = favoured.sum(1) + bias + factor * clip(bias, 0)
        found += np.einsum("njk,nk->nj", favoured, np.where(side, relevance / below, 0))
    return found


RULES = {
    "lrp.z": lambda *a: epsilon(0.0, *a),
    "lrp.epsilon(epsilon=0.1)": lambda *a: epsilon(0.1, *a),
    "lrp.epsilon": lambda *a: epsilon(1e-7, *a),
    "lrp.gamma(gamma=0.5)": lambda *a: gamma(0.5, *a),
}


@pytest.mark.parametrize("site", ["first", "folded"])
@pytest.mark.parametrize("rule", RULES)
def test_relevance_may_start_where_a_rectified_output_is_zero(rule: str, site: str, model: keras.Model) -> None:
    """What starts there need not be zero where the output is: no rule may take the output for the pre-activation."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(5, 6))
    weights, bias = model.get_layer("first").get_weights()
    assert (x @ weights + bias < 0).any()
    start = generator.normal(size=8)
    given = {site: start if site == "first" else start.reshape(2, 4)}
    found = xaicore.get_analyzer(f"lrp.composite(rule={rule})", initial=given).explain(model, x, target=1, verbose=0)
    expected = RULES[rule](x, weights, bias, np.broadcast_to(start, (5, 8)))
    np.testing.assert_allclose(found.attributions, expected, rtol=ROUNDING, atol=ROUNDING * np.abs(expected).max())


@pytest.mark.parametrize("rule", RULES)
def test_relevance_that_comes_by_the_next_layer_is_as_ever(rule: str, model: keras.Model) -> None:
    """The same network from its output on: where a ReLU returns 0 no relevance arrives."""
    x = np.random.default_rng(1).normal(size=(5, 6))
    analyzer = xaicore.get_analyzer(f"lrp.composite(rule={rule})", initial="one")
    found = analyzer.explain(model, x, target=1, verbose=0)
    (weights, bias), (last, shift) = (model.get_layer(n).get_weights() for n in ("first", "last"))
    hidden = np.maximum(x @ weights + bias, 0)
    inner = RULES[rule](hidden, last, shift, np.broadcast_to(np.eye(3)[1], (5, 3)))
    expected = RULES[rule](x, weights, bias, inner)
    np.testing.assert_allclose(found.attributions, expected, rtol=ROUNDING, atol=ROUNDING * np.abs(expected).max())
