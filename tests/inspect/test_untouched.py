"""No tool changes the model that it looks at: weights, configurations, nodes, outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from networks import Symbolic, nested_and_flat, subclassed_and_flat
from xaicore.errors import XaicoreError
from xaicore.inspect import graph, layers
from xaicore.testing.models import convolutional, inputs_of, two_towers

if TYPE_CHECKING:
    import keras


def state(model: keras.Model) -> list[object]:
    """Return what must not change."""
    every = [model, *graph.model_layers(model)]
    nodes = [(id(x), [id(n) for n in x._inbound_nodes], [id(n) for n in x._outbound_nodes]) for x in every]
    outputs = [id(x.output) for x in every if len(x._inbound_nodes) == 1]
    attributes = [sorted(x.__dict__) for x in every]
    return [nodes, outputs, attributes, [x.get_config() for x in every[1:]], [w.tobytes() for w in model.get_weights()]]


def kernel_layer(model: keras.Model) -> keras.layers.Layer:
    """Return a layer that most tools can do something with."""
    return graph.logits_layer(model)


TOOLS: dict[str, Callable[[keras.Model], object]] = {
    "bottleneck_nodes": graph.bottleneck_nodes,
    "bottleneck_tensors": graph.bottleneck_tensors,
    "biases": graph.layers_with_biases,
    "contains": lambda model: graph.model_contains(model, layers.contains_kernel),
    "copy_layer": lambda model: graph.copy_layer(kernel_layer(model)),
    "copy_layer_without_activation": lambda model: graph.copy_layer_without_activation(kernel_layer(model)),
    "endpoints": lambda model: graph.endpoints(model, [-1]),
    "execution_graph": graph.execution_graph,
    "expose": lambda model: graph.expose(model, -1),
    "find_layer": lambda model: graph.find_layer(model, properties=("kernel",)),
    "kernel": lambda model: graph.kernel(kernel_layer(model)),
    "layer_index": lambda model: layers.layer_index(model, kernel_layer(model)),
    "neuronwise_io": lambda model: graph.neuronwise_io(kernel_layer(model)),
    "pre_softmax_tensors": lambda model: graph.pre_softmax_tensors(model.outputs, should_find_softmax=False),
    "print_execution_graph": graph.print_execution_graph,
    "trace_execution": graph.trace_execution,
    "without_output_activation": graph.model_without_output_activation,
    "without_softmax": lambda model: graph.model_without_softmax(model, should_find_softmax=False),
    "as_layer": lambda model: graph.as_layer(model.inputs, [np.zeros(3)]),
}
MODELS: dict[str, Callable[[], keras.Model]] = {
    "convolutional": convolutional,
    "two_towers": two_towers,
    "nested": lambda: nested_and_flat()[0],
    "subclassed": lambda: subclassed_and_flat(Symbolic)[0],
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_what_it_was(name: str, tool: str) -> None:
    model = MODELS[name]()
    before = state(model)
    try:
        TOOLS[tool](model)
    except (XaicoreError, AttributeError):
        # A subclassed model has no symbolic inputs, a layer that is called in it no nodes; a model may end linearly.
        assert name in {"subclassed", "nested"}
    assert state(model) == before


def test_a_replay_leaves_the_model_alone() -> None:
    model = convolutional()
    before = state(model)
    graph.replay(model, inputs_of(model, 1))
    assert state(model) == before
