"""Activations given as functions of other modules are what they compute."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.inspect import graph
from xaicore.inspect import layers as looks
from xaicore.inspect.functions import MODULES, SAME, canonical
from xaicore.testing.models import randomise

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
Z = np.linspace(-4, 4, 24).astype(np.float32).reshape(4, 6)
PAIRS = [(module, name) for module in MODULES for name in SAME if hasattr(module, name)]


@pytest.mark.parametrize(("module", "name"), PAIRS, ids=lambda x: getattr(x, "__name__", x))
def test_functions_of_one_name_compute_the_same(module: object, name: str) -> None:
    """To rounding of float32."""
    activation = getattr(keras.activations, name)
    assert canonical(getattr(module, name)) is activation
    np.testing.assert_allclose(getattr(module, name)(Z), activation(Z), rtol=1e-5, atol=1e-6)


def test_what_is_not_the_same_stays_apart() -> None:
    """The approximate GELU of keras.ops, and any function of the user."""
    for function in (keras.ops.gelu, np.tanh, None, keras.activations.gelu):
        assert canonical(function) is function


@pytest.mark.parametrize(
    ("function", "head"),
    [
        (keras.ops.softmax, "softmax"),
        (tf.nn.softmax, "softmax"),
        (keras.ops.sigmoid, "sigmoid"),
        (tf.sigmoid, "sigmoid"),
    ],
)
@pytest.mark.parametrize("layer", ["dense", "activation"])
def test_a_head_is_stripped_whichever_function_it_is(function: object, head: str, layer: str) -> None:
    parts = {
        "dense": [layers.Dense(3, activation=function, name="out")],
        "activation": [layers.Dense(3, name="out"), layers.Activation(function)],
    }[layer]
    model = randomise(keras.Sequential([keras.Input((4,)), *parts]))
    dense = model.get_layer("out")
    logits = X @ dense.kernel.numpy() + dense.bias.numpy()

    found = xaicore.get_analyzer("gradient").explain(model, X, 1, verbose=0)
    # Float32 sums of four products of size one.
    np.testing.assert_allclose(found.scores, logits[:, 1], rtol=1e-5, atol=1e-6)
    if head == "softmax":
        np.testing.assert_allclose(graph.model_without_softmax(model)(X), logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(graph.model_without_output_activation(model)(X), logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", [keras.ops.relu, tf.nn.relu, "relu"])
def test_a_relu_is_a_relu(function: object) -> None:
    layer = layers.Dense(1, activation=function)
    assert looks.contains_activation(layer, "relu")
    assert looks.only_relu_activation(layer)
    assert not looks.contains_activation(layer, "relu6")
    model = randomise(
        keras.Sequential([keras.Input((4,)), layers.Dense(3, activation=function, name="h"), layers.Dense(2)])
    )
    rows = {row.site: row.action for row in xaicore.get_analyzer("gradient.guided_backprop").plan(model).rows}
    assert rows["h"] == "rule"
