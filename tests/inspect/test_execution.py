"""The order of execution, replays, and bottlenecks on graphs drawn by hand."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from networks import Raw, Symbolic, nested_and_flat, small_cnn, subclassed_and_flat
from xaicore.errors import NoGraph
from xaicore.inspect import graph
from xaicore.testing.models import convolutional, inputs_of, two_towers


def names(entries: object) -> list[str]:
    """Return the sites of entries."""
    return [e.site for e in entries]


def test_entries_tell_who_is_before_and_after() -> None:
    model = convolutional()
    found = graph.execution_graph(model)

    assert [e.layer for e in found[None]] == [model.get_layer("image")]
    by_site = {e.site: e for n, e in found.items() if n is not None}
    add = by_site["add"]
    assert [n.name for n in add.Xs_layers] == ["conv1", "relu"]
    assert add.Xs_nids == (by_site["conv1"].nid, by_site["relu"].nid)
    assert [[n.name for n in some] for some in by_site["conv1"].Ys_layers] == [["conv2", "add"]]
    assert by_site["conv1"].Xs_layers == (None,)
    assert by_site["head"].Ys_nids == ((),)
    # One tensor is one object.
    assert add.Xs[0] is by_site["conv1"].Ys[0] is by_site["conv2"].Xs[0]
    assert [e.nid for n, e in found.items() if n is not None] == list(range(len(found) - 1))
    assert None not in graph.execution_graph(model, keep_input_layers=False)


def test_the_order_is_that_of_keras() -> None:
    """What Keras calls, seen by a wrapper around each layer's call, in a model with a nested and shared backbone."""
    model, _ = nested_and_flat()
    called: list[str] = []
    inner = [layer for layer in graph.model_layers(model) if not isinstance(layer, keras.Model | layers.InputLayer)]
    for layer in inner:
        own = layer.call

        def call(*args: object, _own: Callable[..., object] = own, _name: str = layer.name, **kwargs: object) -> object:
            called.append(_name)
            return _own(*args, **kwargs)

        layer.__dict__["call"] = call
    model(inputs_of(model, 2))
    for layer in inner:
        del layer.__dict__["call"]

    assert [e.layer.name for e in graph.execution_trace(model, keep_input_layers=False)] == called


@pytest.mark.parametrize("make", [small_cnn, convolutional, two_towers, lambda: nested_and_flat()[0]])
def test_a_replay_gives_the_same_bits(make: Callable[[], keras.Model]) -> None:
    model = make()
    x = inputs_of(model, 3)
    before = [graph.inbound_count(layer) for layer in graph.model_layers(model)]
    np.testing.assert_array_equal(graph.replay(model, x), model(x, training=False))
    assert [graph.inbound_count(layer) for layer in graph.model_layers(model)] == before


def test_layers_calls_and_outputs_of_a_subclassed_model() -> None:
    model, _ = subclassed_and_flat(Symbolic)
    every, calls, outputs = graph.trace_execution(model)
    names_called = [layer.name.split("_")[0] for layer, _, _ in calls]  # Keras numbers its operations
    assert names_called == ["enter", "twice", "add", "twice", "leave"]
    assert [layer.name for layer in every if layer in set(graph.model_layers(model))] == ["enter", "twice", "leave"]
    assert outputs[0] is calls[-1][2][0]
    x = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    np.testing.assert_array_equal(graph.replay(model, x), model(x))


def test_inputs_that_nothing_needs_are_no_mistake() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], layers.Dense(1, name="out")(a))
    assert names(graph.execution_trace(model)) == ["a", "b", "out"]
    assert [e.Ys_nids for e in graph.execution_trace(model)] == [((0,),), ((),), ((),)]


def test_a_model_without_a_graph_is_refused_by_name() -> None:
    model, _ = subclassed_and_flat(Raw)
    for function in (graph.execution_graph, graph.trace_execution, graph.bottleneck_nodes, graph.model_without_softmax):
        with pytest.raises(NoGraph, match="'raw'"):
            function(model)


def test_the_graph_is_printed_as_a_table_and_as_a_chart(capsys: pytest.CaptureFixture[str]) -> None:
    table = graph.print_execution_graph(small_cnn())
    assert capsys.readouterr().out == table + "\n"
    assert [line.split()[:3] for line in table.splitlines()[2:4]] == [
        ["0", "conv1", "Conv2D"],
        ["1", "pool", "MaxPooling2D"],
    ]
    chart = graph.print_execution_graph(small_cnn(), format="mermaid").splitlines()
    assert chart[0] == "flowchart TD"
    assert '    n0["conv1<br/>Conv2D"]' in chart
    assert "    n0 --> n1" in chart


# ---------------------------------------------------------------------------------------------------- bottlenecks


def dense(name: str, x: keras.KerasTensor) -> keras.KerasTensor:
    """Return the output of a small layer."""
    return layers.Dense(2, name=name)(x)


def chain() -> keras.Model:
    """X - a - b."""
    x = keras.Input((2,), name="x")
    return keras.Model(x, dense("b", dense("a", x)))


def diamond() -> keras.Model:
    """X - a - (b, c) - sum - d."""
    x = keras.Input((2,), name="x")
    a = dense("a", x)
    return keras.Model(x, dense("d", layers.Add(name="sum")([dense("b", a), dense("c", a)])))


def branching_input() -> keras.Model:
    """X - (a, b) - sum."""
    x = keras.Input((2,), name="x")
    return keras.Model(x, layers.Add(name="sum")([dense("a", x), dense("b", x)]))


def two_inputs() -> keras.Model:
    """(x, y) - sum - a."""
    x, y = keras.Input((2,), name="x"), keras.Input((2,), name="y")
    return keras.Model([x, y], dense("a", layers.Add(name="sum")([x, y])))


def skip_all() -> keras.Model:
    """X - a, and x itself, at the end."""
    x = keras.Input((2,), name="x")
    return keras.Model(x, layers.Add(name="sum")([x, dense("b", dense("a", x))]))


def two_outputs() -> keras.Model:
    """X - a - (b, c), both returned."""
    x = keras.Input((2,), name="x")
    a = dense("a", x)
    return keras.Model(x, [dense("b", a), dense("c", a)])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (chain, ["x", "a", "b"]),
        (diamond, ["x", "a", "sum", "d"]),
        (branching_input, ["x", "sum"]),
        (two_inputs, ["sum", "a"]),
        (skip_all, ["x", "sum"]),
        (two_outputs, ["x", "a"]),
    ],
)
def test_bottlenecks_of_drawn_graphs(make: Callable[[], keras.Model], expected: list[str]) -> None:
    model = make()
    assert names(graph.bottleneck_nodes(model)) == expected
    assert names(graph.bottleneck_nodes(model, keep_input_layers=False)) == [n for n in expected if n not in {"x", "y"}]
    assert len(graph.bottleneck_tensors(model)) == len(expected)
