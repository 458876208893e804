"""Exposed tensors by every call, input and output of what they are inside of."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from xaicore.errors import InvalidArgument
from xaicore.inspect import graph
from xaicore.inspect import layers as looks
from xaicore.testing.models import randomise

ONES, TWOS = np.ones((1, 4), np.float32), 2 * np.ones((1, 4), np.float32)


def inner() -> keras.Model:
    """Return a model whose input has the name of the outer one's."""
    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dense(3, name="same")(x), name="inner")


def exposed(model: keras.Model, what: object, data: object) -> list[np.ndarray]:
    """Return the exposed tensors on data."""
    return [np.asarray(one) for one in graph.expose(model, what)(data)[1:]]


def test_an_input_of_a_nested_model_is_what_it_is_given() -> None:
    x = keras.Input((4,), name="x")
    model = randomise(keras.Model(x, layers.Dense(2, name="head")(inner()(layers.Dense(4, name="before")(x)))))
    (found,) = exposed(model, "inner/x", ONES)
    np.testing.assert_array_equal(found, model.get_layer("before")(ONES))
    (found,) = exposed(model, "x", ONES)
    np.testing.assert_array_equal(found, ONES)
    with pytest.raises(InvalidArgument, match="takes no tensor"):
        graph.expose(model, {"name": "x", "link": "input"})


def test_each_call_of_a_nested_model_is_one() -> None:
    a, b, nested = keras.Input((4,), name="a"), keras.Input((4,), name="b"), inner()
    joined = layers.Concatenate(name="join")([nested(a), nested(b)])
    model = randomise(keras.Model([a, b], layers.Dense(2, name="head")(joined)))
    for node, data in ((0, ONES), (1, TWOS), (np.int64(1), TWOS), ("last", TWOS)):
        (found,) = exposed(model, {"name": "inner", "node": node}, [ONES, TWOS])
        np.testing.assert_array_equal(found, nested(data))
        (found,) = exposed(model, {"name": "inner", "node": node, "link": "input"}, [ONES, TWOS])
        np.testing.assert_array_equal(found, data)
    with pytest.raises(InvalidArgument, match="from 0 to 1"):
        graph.expose(model, {"name": "inner", "node": 2})


def test_all_inputs_and_outputs_of_a_nested_model() -> None:
    p, q = keras.Input((4,), name="p"), keras.Input((3,), name="q")
    nested = keras.Model([p, q], [layers.Dense(5)(p), layers.Dense(2)(q)], name="nested")
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate(name="join")(nested([a, b]))
    model = randomise(keras.Model([a, b], layers.Dense(2, name="head")(joined)))
    data = [ONES, 3 * np.ones((1, 3), np.float32)]
    for found, expected in zip(exposed(model, "nested", data), nested(data), strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(exposed(model, {"name": "nested", "link": "input"}, data), data, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_separable_convolutions_and_attention_are_one_layer() -> None:
    x = keras.Input((6, 6, 2), name="x")
    y = layers.Reshape((16, 4))(layers.SeparableConv2D(4, 3, activation="relu", name="sep")(x))
    y = layers.MultiHeadAttention(2, 3, name="attention")(y, y)
    model = randomise(keras.Model(x, layers.Dense(2, name="head")(layers.GlobalAveragePooling1D(name="pool")(y))))
    data = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype(np.float32)
    for name in ("sep", "attention"):
        expected = keras.Model(x, model.get_layer(name).output)(data)
        # The separable convolution is two layers here, and attention sums in another order.
        np.testing.assert_allclose(exposed(model, name, data)[0], expected, rtol=1e-4, atol=1e-5)
    found = {name: looks.layer_index(model, model.get_layer(name)) for name in ("x", "sep", "attention", "head")}
    # The convolution is one, whatever its stages, and attention has four.
    assert found == {"x": 0, "sep": 0, "attention": 4, "head": 5}
    assert looks.layer_index(model, "attention") == 4


def test_of_two_layers_of_one_name_the_outer_one_is_meant() -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(2, name="head")(layers.Dense(5, name="same")(inner()(x))))
    assert graph.find_layer(model, "same", properties=None).units == 5
    assert graph.find_layer(model, "inner/same").units == 3
    assert exposed(model, "same", ONES)[0].shape == (1, 5)


def test_several_outputs_and_inputs_without_a_name() -> None:
    x = keras.Input((4,))
    model = randomise(keras.Model(x, layers.Dense(2, name="head")(layers.Dense(3, name="a")(x))))
    found = graph.expose(model, "a", outputs=["head", "a"])(ONES)
    assert [tuple(one.shape) for one in found] == [(1, 2), (1, 3), (1, 3)]
    first = graph.execution_graph(model)[None][0]
    assert first.layer is model.layers[0]
    assert first.site == model.layers[0].name
