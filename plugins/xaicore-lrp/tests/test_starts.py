"""Relevance that starts inside of a network, at or behind a layer that ends in a ReLU: NumPy's formulas, in float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import InvalidArgument, InvalidParameter

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


@pytest.mark.parametrize("site", ["", "first"])
def test_relevance_of_each_sample_goes_with_it_into_batches(site: str, model: keras.Model) -> None:
    """Seven rows in batches of three: each sample starts from its own, by the formula."""
    generator = np.random.default_rng(2)
    x = generator.normal(size=(7, 6))
    (weights, bias), (last, shift) = (model.get_layer(n).get_weights() for n in ("first", "last"))
    start = generator.normal(size=(7, 8 if site else 3))
    analyzer = xaicore.get_analyzer("lrp.composite(rule=lrp.z)", initial={site: start} if site else start)
    found = analyzer.explain(model, x, target=1, batch_size=3, verbose=0)
    inner = start if site else epsilon(0.0, np.maximum(x @ weights + bias, 0), last, shift, start)
    expected = epsilon(0.0, x, weights, bias, inner)
    np.testing.assert_allclose(found.attributions, expected, rtol=ROUNDING, atol=ROUNDING * np.abs(expected).max())
    with pytest.raises(InvalidArgument, match="relevance or baselines for 7 samples and 6"):
        analyzer.explain(model, x[:6], target=1, batch_size=3, verbose=0)


@pytest.mark.parametrize(
    ("given", "told"),
    [(np.ones(4), "the output;"), ({"first": np.ones((2, 4))}, "'first'"), (np.ones((2, 1, 3)), "the output;")],
)
def test_relevance_of_another_shape_is_refused_by_the_plan_of_the_model(
    given: object, told: str, model: keras.Model
) -> None:
    analyzer = xaicore.get_analyzer("lrp.composite(rule=lrp.z)", initial=given)
    with pytest.raises(InvalidParameter, match=told):
        analyzer.explain(model, np.ones((2, 6)), target=1, verbose=0)
