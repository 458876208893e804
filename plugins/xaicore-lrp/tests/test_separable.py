"""Separable convolutions: named as the one layer that they are, explained as two linear stages, by hand in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import RuleCount, RuleNeverMet
from xaicore.inspect.layers import layer_index
from xaicore.testing.models import float64_twin, inputs_of, randomise

# float64, sums of some dozen products; some denominators are a hundredth of their terms.
ROUNDING = 1e-10


def matrix(layer: layers.Layer, kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a stage without its bias as a matrix, found by feeding unit vectors to a layer of Keras."""
    layer.build((None, *shape))
    layer.set_weights([kernel])
    size = int(np.prod(shape))
    return np.asarray(layer(np.eye(size).reshape(size, *shape))).reshape(size, -1)


def case(rank: int) -> tuple[keras.Model, np.ndarray, np.ndarray, np.ndarray]:
    """Return a model that is one separable convolution, the matrices of its stages, and its bias per output."""
    shape = (5, 2) if rank == 1 else (4, 3, 2)
    kind, deep = (
        (layers.SeparableConv1D, layers.DepthwiseConv1D),
        (layers.SeparableConv2D, layers.DepthwiseConv2D),
    )[rank - 1]
    x = keras.Input(shape)
    made = kind(4, 2, padding="same", depth_multiplier=2, bias_initializer="normal", name="sep")(x)
    model = float64_twin(randomise(keras.Model(x, made)))
    first, second, bias = model.get_layer("sep").get_weights()
    stage = deep(2, padding="same", depth_multiplier=2, use_bias=False, dtype="float64")
    depthwise = matrix(stage, first, shape)
    places = int(np.prod(shape[:-1]))
    return model, depthwise, np.kron(np.eye(places), second.reshape(4, 4)), np.tile(bias, places)


def z(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    return x * ((relevance / (x @ weights + bias)) @ weights.T)


def zplus(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    del bias
    parts = np.maximum(x[:, :, None] * weights, 0)
    below = parts.sum(1)
    return np.einsum("njk,nk->nj", parts, np.where(below == 0, 0, relevance / np.where(below == 0, 1, below)))


def wsquare(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    del x, bias
    return (relevance / (weights**2).sum(0)) @ (weights**2).T


RULES = {"lrp.z": z, "lrp.zplus": zplus, "lrp.wsquare": wsquare}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rank", [1, 2])
def test_both_stages_are_under_the_rule_that_is_given_for_the_layer(rank: int, rule: str) -> None:
    """The rule's formula on the matrix of each stage, from the pointwise one back to the input."""
    model, depthwise, pointwise, bias = case(rank)
    x = inputs_of(model, 3)
    relevance = np.random.default_rng(3).normal(size=model.output_shape[1:])
    analyzer = xaicore.get_analyzer("lrp.composite", rule={"sep": rule}, initial=relevance, layers="sep")
    found = analyzer.explain(model, x, target=[(0,) * (rank + 1)] * 3)

    flat = x.reshape(3, -1)
    start = np.tile(relevance.reshape(1, -1), (3, 1))
    between = RULES[rule](flat @ depthwise, pointwise, bias, start)
    expected = RULES[rule](flat, depthwise, np.zeros(depthwise.shape[1]), between)
    np.testing.assert_allclose(found.attributions.reshape(3, -1), expected, rtol=ROUNDING, atol=ROUNDING)
    # Relevance of the layer is that of what it returns.
    np.testing.assert_allclose(found.layers["sep"].reshape(3, -1), start, rtol=ROUNDING)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Return a network that calls a separable convolution twice, between two layers of other classes."""
    x = keras.Input((6, 6, 3))
    sep = layers.SeparableConv2D(3, 3, padding="same", activation="relu", name="sep")
    y = layers.Conv2D(2, 2, name="conv")(sep(sep(x)))
    return randomise(keras.Model(x, layers.Dense(2, name="head")(layers.Flatten(name="flat")(y))))


FIRST, SECOND = ("sep/depthwise", "sep/pointwise"), ("sep/depthwise[1]", "sep/pointwise[1]")


@pytest.mark.parametrize(
    ("given", "sites"),
    [
        ({layers.SeparableConv2D: "lrp.flat", "affine": "lrp.z"}, {*FIRST, *SECOND}),
        ({"class(SeparableConv2D)": "lrp.flat", "affine": "lrp.z"}, {*FIRST, *SECOND}),
        ({"sep": "lrp.flat", "affine": "lrp.z"}, {*FIRST, *SECOND}),
        ({"sep[1]": "lrp.flat", "affine": "lrp.z"}, set(SECOND)),
        ({"sep/pointwise": "lrp.flat", "affine": "lrp.z"}, {FIRST[1], SECOND[1]}),
        ({layers.Conv2D: "lrp.flat", "affine": "lrp.z"}, {"conv"}),
        (["lrp.z", "lrp.flat", "lrp.z", "lrp.z"], set(SECOND)),
    ],
)
def test_a_rule_is_for_the_layer_and_not_for_what_its_stages_are(
    given: object, sites: set[str], model: keras.Model
) -> None:
    plan = xaicore.get_analyzer("lrp.composite", rule=given).plan(model)
    assert {row.site for row in plan.rows if row.rule == "lrp.flat"} == sites


def test_it_is_one_of_the_kernel_layers(model: keras.Model) -> None:
    until = {"rule": "lrp.z", "until_index": 0, "until_rule": "lrp.flat"}
    plan = xaicore.get_analyzer("lrp.composite", **until).plan(model)
    assert {row.site for row in plan.rows if row.rule == "lrp.flat"} == set(FIRST)
    with pytest.raises(RuleCount, match="4 kernel layers"):
        xaicore.get_analyzer("lrp.composite", rule=["lrp.z"] * 6).plan(model)
    assert [layer_index(model, name) for name in ("sep", "sep[1]", "conv", "head")] == [0, 1, 2, 3]
    with pytest.raises(RuleNeverMet, match="DepthwiseConv2D"):
        xaicore.get_analyzer("lrp.composite", rule={layers.DepthwiseConv2D: "lrp.z", "affine": "lrp.z"}).plan(model)


def test_its_name_is_a_site_wherever_one_is_named(model: keras.Model) -> None:
    """The layer's output is that of its last stage, and its input that of the first."""
    x = inputs_of(model, 2)

    def explain(**fields: object) -> xaicore.Explanation:
        return xaicore.get_analyzer("lrp.composite", rule="lrp.z", **fields).explain(model, x, target=1)

    kept = explain(layers=["sep", "sep/pointwise", "sep[1]"])
    np.testing.assert_array_equal(kept.layers["sep"], kept.layers["sep/pointwise"])
    for site in ("sep", "sep[1]"):
        at = explain(at=site)
        assert at.coverage[0]["operation"] == "SeparableConv2D"
        # The same numbers in another compiled function: some digits of float32.
        np.testing.assert_allclose(at.attributions, kept.layers[site], rtol=1e-4, atol=1e-5)
        inside = xaicore.get_analyzer("gradient", at=f"{site}:inputs").explain(model, x, target=1)
        assert inside.attributions.shape == x.shape
        np.testing.assert_array_equal(explain(stop_at=site).attributions, 0)
    started = explain(initial={"sep": kept.layers["sep"][0]}).attributions[0]
    np.testing.assert_allclose(started, kept.attributions[0], rtol=1e-4, atol=1e-5)
