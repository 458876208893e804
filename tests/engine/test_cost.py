"""What a plan says that a model costs, against counts by hand."""

from __future__ import annotations

import keras
import pytest
from keras import layers

import xaicore
from networks import Raw, subclassed_and_flat
from xaicore.engine.cost import work
from xaicore.inspect.read import read_graph


def attention() -> keras.Model:
    """Return attention of two heads, of 4 numbers each, over 6 tokens of 8 numbers."""
    x = keras.Input((6, 8), name="x")
    y = layers.MultiHeadAttention(2, 4, name="mha")(x, x)
    return keras.Model(x, layers.Dense(2, name="head")(layers.GlobalAveragePooling1D(name="pool")(y)))


def test_multiplications_of_attention() -> None:
    """Projections: tokens x inputs x outputs; queries with keys, and weights with values: heads x 6 x 6 x 4 each."""
    graph = read_graph(attention())
    flops = {str(node.site): work(node, graph.specs).flops for node in graph.nodes}
    assert flops["mha/query"] == flops["mha/key"] == flops["mha/value"] == 2 * 6 * 8 * (2 * 4)
    assert flops["mha/dot_product_attention"] == 2 * (2 * 2 * 6 * 6 * 4)
    assert flops["mha/attention_output"] == 2 * 6 * (2 * 4) * 8
    assert flops["head"] == 2 * 8 * 2


def test_shapes_inside_of_attention_have_the_lengths_of_the_input() -> None:
    graph = read_graph(attention())
    shapes = {str(node.site): graph.specs[node.outputs[0]].shape for node in graph.nodes}
    assert shapes["mha/query"] == shapes["mha/dot_product_attention"] == (None, 6, 2, 4)
    assert shapes["mha/attention_output"] == (None, 6, 8)


def test_attention_has_an_estimate() -> None:
    """There and back: twice the forward, and a bit."""
    plan = xaicore.get_analyzer("gradient").plan(attention())
    assert plan.passes == pytest.approx(2, abs=0.5)
    assert plan.memory is not None
    assert plan.memory[1] > 0


def test_memory_counts_the_bytes_of_the_type() -> None:
    sizes = {}
    for dtype in ("float32", "float64"):
        x = keras.Input((40,), dtype=dtype)
        y = layers.Dense(2, dtype=dtype)(layers.Dense(30, activation="relu", dtype=dtype)(x))
        sizes[dtype] = xaicore.get_analyzer("lrp.zplus").plan(keras.Model(x, y)).memory
    assert sizes["float64"] == tuple(2 * n for n in sizes["float32"])
    assert min(sizes["float32"]) > 0


def test_what_is_not_known_is_none() -> None:
    model = keras.Sequential([keras.Input((None, 3)), layers.Conv1D(2, 3), layers.GlobalMaxPooling1D()])
    plan = xaicore.get_analyzer("gradient").plan(model)
    assert plan.passes is None
    assert plan.memory is None


def test_fallbacks_are_counted() -> None:
    x = keras.Input((6, 4), name="x")
    y = layers.Dense(2, name="head")(layers.Flatten()(layers.LSTM(3, return_sequences=True, name="lstm")(x)))
    model = keras.Model(x, y)
    assert xaicore.get_analyzer("lrp.epsilon(on_unsupported='gradient')").plan(model).fallbacks == 1
    assert xaicore.get_analyzer("gradient").plan(model).fallbacks == 0


def test_what_runs_whole_has_no_estimate_of_memory_nor_of_the_rules_inside() -> None:
    model, _ = subclassed_and_flat(Raw)
    gradient, ruled = (xaicore.get_analyzer(text).plan(model) for text in ("gradient", "lrp.epsilon"))
    assert (gradient.passes, gradient.memory) == (2, None)
    assert (ruled.passes, ruled.memory) == (None, None)
