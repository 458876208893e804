"""Guided backpropagation and the deconvolutional network at one ReLU, against their closed forms in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from xaicore.backward import Backward
from xaicore.errors import UnsupportedOperation
from xaicore.inspect.affine import read_affine
from xaicore.inspect.facts import alone
from xaicore.inspect.nodes import Site
from xaicore.protocols import OpCall
from xaicore.testing.models import float64_twin
from xaicore_gradient.rules import DeconvRelu, GuidedRelu

if TYPE_CHECKING:
    import keras

# Sums of a few float64 products of size one.
ROUNDING = 1e-12
FEATURES, UNITS, BATCH = 5, 4, 6

RELUS = {
    "relu": ("relu", np.inf),
    "relu6": ("relu6", 6),
    "layer": (lambda: layers.ReLU(dtype="float64"), np.inf),
    "cut_layer": (lambda: layers.ReLU(max_value=1.0, dtype="float64"), 1),
}


def call(rule: object, operation: keras.Operation, x: np.ndarray, relevance: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (output, relevance of the input) of one operation under a rule."""
    op = OpCall(Site("site"), operation, operation, read_affine(operation), alone(operation))
    output, backward = rule(op, tf.constant(x))
    found = backward(tf.constant(relevance))
    assert found.sinks == {}
    return output.numpy(), found.inputs[0].numpy()


@pytest.mark.parametrize("name", RELUS)
@pytest.mark.parametrize("rule", [GuidedRelu(), DeconvRelu()], ids=["guided", "deconvnet"])
def test_a_relu_inside_a_layer(rule: object, name: str) -> None:
    """R = W (max(R, 0) [0 < z < top]) for guided backpropagation, and without the last factor for the deconvnet."""
    activation, top = RELUS[name]
    generator = np.random.default_rng(4)
    layer = layers.Dense(UNITS, activation=activation() if callable(activation) else activation, dtype="float64")
    layer.build((None, FEATURES))
    # Weights large enough that relu6 is cut somewhere.
    kernel, bias = 4 * generator.normal(size=(FEATURES, UNITS)), generator.normal(size=UNITS)
    layer.set_weights([kernel, bias])
    x, relevance = generator.normal(size=(BATCH, FEATURES)), generator.normal(size=(BATCH, UNITS))
    z = x @ kernel + bias
    assert (z < 0).any()
    assert top == np.inf or (z > top).any()

    output, found = call(rule, layer, x, relevance)
    gate = (z > 0) & (z < top) if isinstance(rule, GuidedRelu) else 1
    np.testing.assert_allclose(output, np.clip(z, 0, top), rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(found, (np.maximum(relevance, 0) * gate) @ kernel.T, rtol=0, atol=100 * ROUNDING)


@pytest.mark.parametrize("layer", [layers.ReLU(dtype="float64"), layers.Activation("relu", dtype="float64")])
@pytest.mark.parametrize("rule", [GuidedRelu(), DeconvRelu()], ids=["guided", "deconvnet"])
def test_a_relu_of_its_own(rule: object, layer: layers.Layer) -> None:
    """max(R, 0) [z > 0], and max(R, 0)."""
    z, relevance = np.array([[-1.0, 1.0, 0.0, 2.0]]), np.array([[1.0, 2.0, 3.0, -4.0]])
    output, found = call(rule, layer, z, relevance)
    np.testing.assert_array_equal(output, [[0, 1, 0, 2]])
    np.testing.assert_array_equal(found, [[0, 2, 0, 0]] if isinstance(rule, GuidedRelu) else [[1, 2, 3, 0]])


def test_a_relu_that_cannot_be_told_from_its_operation_is_refused() -> None:
    """The deconvnet needs the part before the ReLU; the error names the operation and its site."""
    layer = layers.SimpleRNN(2, activation="relu", dtype="float64")
    x = np.ones((1, 3, 2))
    layer(x)
    facts = attrs.evolve(alone(layer), relu=True)
    op = OpCall(Site("site"), layer, layer, None, facts)
    with pytest.raises(UnsupportedOperation, match=r"SimpleRNN.*site"):
        DeconvRelu()(op, tf.constant(x))


@pytest.mark.parametrize("network", ["mlp", "cnn", "cnn_bn", "conv1d", "depthwise_act"])
@pytest.mark.parametrize(("rule", "key"), [(GuidedRelu(), "comp_guided_backprop"), (DeconvRelu(), "comp_deconvnet")])
def test_agrees_with_zennit_in_float64(golden, golden_model, network, rule, key):
    """On whole networks, relevance starting from one; to rounding of some hundred products, relative to the largest."""
    if network == "conv1d" and isinstance(rule, DeconvRelu):
        pytest.skip("ties in global max-pooling: TensorFlow splits relevance between them, torch picks one")
    model, x, _, target = golden_model(network)
    found = Backward(rules=rule).explain(float64_twin(model), x.astype(np.float64), target, verbose=0).attributions
    with np.load(golden / "results" / "zennit_f64" / f"{network}.npz") as recorded:
        expected = recorded[f"{key}@idx"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
