"""Relevance through sums, average pooling and activations, against closed forms in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from xaicore.errors import UnsupportedOperation
from xaicore.inspect.facts import alone
from xaicore.inspect.nodes import Site
from xaicore.protocols import OpCall
from xaicore_lrp.structure import Pass, Proportional

if TYPE_CHECKING:
    from collections.abc import Callable

# A few float64 operations on numbers of size one.
ROUNDING = 1e-12


def call(
    rule: object, operation: object, forward: Callable[..., tf.Tensor], *inputs: np.ndarray, relevance: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
    """Return (output, relevance of each input, sinks) of one operation under a rule."""
    facts = alone(operation) if isinstance(operation, keras.Operation) else alone(layers.Add())
    op = OpCall(Site("site"), operation, forward, None, facts, sinks=True)
    output, backward = rule(op, *(tf.constant(x) for x in inputs))
    found = backward(tf.constant(relevance))
    return output.numpy(), [r.numpy() for r in found.inputs], {k: v.numpy() for k, v in found.sinks.items()}


def _draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    generator = np.random.default_rng(2)
    return [generator.normal(size=shape) for shape in shapes]


SUMS = {
    "add": (layers.Add(dtype="float64"), (1, 1, 1)),
    "average": (layers.Average(dtype="float64"), (1 / 3, 1 / 3, 1 / 3)),
    "subtract": (layers.Subtract(dtype="float64"), (1, -1)),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_divides_relevance_by_what_each_input_adds(name: str) -> None:
    """R_i = w_i x_i R / y for y = sum of w_i x_i, and nothing is lost."""
    layer, weights = SUMS[name]
    *inputs, relevance = _draw(*[(2, 3, 4)] * (len(weights) + 1))
    total = sum(w * x for w, x in zip(weights, inputs, strict=True))
    output, found, sinks = call(Proportional(), layer, lambda *x: layer(list(x)), *inputs, relevance=relevance)
    np.testing.assert_allclose(output, total, atol=ROUNDING)
    for w, x, r in zip(weights, inputs, found, strict=True):
        np.testing.assert_allclose(r, w * x * relevance / total, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(sum(found), relevance, rtol=1e-10)
    np.testing.assert_array_equal(sinks["stabilizer"], 0)
    np.testing.assert_array_equal(sinks["bias"], 0)


def test_a_broadcast_input_collects_from_every_position() -> None:
    """Input (2, 1, 4) added to (2, 3, 4): its relevance is the sum over the axis that it was repeated along."""
    wide, narrow, relevance = _draw((2, 3, 4), (2, 1, 4), (2, 3, 4))
    _, found, _ = call(Proportional(), None, tf.add, wide, narrow, relevance=relevance)
    expected = (narrow * relevance / (wide + narrow)).sum(1, keepdims=True)
    np.testing.assert_allclose(found[1], expected, rtol=1e-10)
    assert found[1].shape == narrow.shape


def test_a_constant_in_a_sum_takes_its_part_as_a_bias() -> None:
    """With y = x + 3: R = x R / y, and 3 R / y goes to the sink."""
    x, relevance = _draw((2, 5), (2, 5))
    _, (found,), sinks = call(Proportional(), None, lambda x: x + 3, x, relevance=relevance)
    np.testing.assert_allclose(found, x * relevance / (x + 3), rtol=ROUNDING)
    np.testing.assert_allclose(sinks["bias"], (3 * relevance / (x + 3)).sum(1), rtol=1e-10)


def test_average_pooling_divides_by_the_contributions_to_the_mean() -> None:
    """R_j = x_j R_k / sum of the window, for windows that do not overlap."""
    layer = layers.AveragePooling1D(2, dtype="float64")
    x, relevance = _draw((2, 6, 3), (2, 3, 3))
    _, (found,), _ = call(Proportional(), layer, layer, x, relevance=relevance)
    total = np.repeat(x.reshape(2, 3, 2, 3).sum(2), 2, axis=1)
    np.testing.assert_allclose(found, x * np.repeat(relevance, 2, axis=1) / total, rtol=1e-10)


@pytest.mark.parametrize("stabilizer", [0.0, 0.5])
def test_what_a_sum_of_zero_drops_is_accounted_for(stabilizer: float) -> None:
    """1 - 1 = 0: without a stabilizer nothing is passed on, with one x / stabilizer is; the sink holds the rest."""
    layer = layers.Add(dtype="float64")
    x, other, relevance = np.array([[1.0, 2.0]]), np.array([[-1.0, 1.0]]), np.array([[5.0, 6.0]])
    _, found, sinks = call(
        Proportional(stabilizer=stabilizer), layer, lambda *x: layer(list(x)), x, other, relevance=relevance
    )
    first = [0, 2 / 3 * 6] if not stabilizer else [5 / 0.5, 2 / 3.5 * 6]
    np.testing.assert_allclose(found[0], [first], rtol=ROUNDING)
    np.testing.assert_allclose(found[0].sum() + found[1].sum() + sinks["stabilizer"], [11], rtol=ROUNDING)


@pytest.mark.parametrize("layer", [layers.ReLU(dtype="float64"), layers.Activation("tanh", dtype="float64")])
def test_pass_leaves_relevance_as_it_is(layer: layers.Layer) -> None:
    """The output is the operation's own; relevance is handed on to the bit."""
    x, relevance = _draw((2, 5), (2, 5))
    output, (found,), sinks = call(Pass(), layer, layer, x, relevance=relevance)
    np.testing.assert_array_equal(output, layer(x))
    np.testing.assert_array_equal(found, relevance)
    assert sinks == {}


def test_pass_refuses_operations_that_are_not_elementwise_of_one_input() -> None:
    """The error names the rule and the site."""
    x = np.ones((1, 4))
    with pytest.raises(UnsupportedOperation, match=r"Pass.*one input.*site"):
        call(Pass(), layers.Add(), lambda *x: x[0] + x[1], x, x, relevance=x)
    with pytest.raises(UnsupportedOperation, match=r"Pass.*keeps the shape.*site"):
        call(Pass(), layers.Flatten(), lambda x: x[:, :2], x, relevance=x)
