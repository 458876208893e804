"""The tools that look into Keras models, and make models of them, under one name.

    from xaicore.inspect import graph

    graph.print_execution_graph(model)
    logits = graph.model_without_softmax(model)
    inner = graph.expose(model, "backbone/conv3")

Nothing here changes the model that it is given: not its weights, its layers, nor their nodes.
"""

from __future__ import annotations

from xaicore.inspect.bottlenecks import bottleneck_nodes, bottleneck_tensors
from xaicore.inspect.execution import (
    Execution,
    execution_graph,
    execution_trace,
    print_execution_graph,
    replay,
    trace_execution,
)
from xaicore.inspect.exposure import as_layer, endpoints, expose
from xaicore.inspect.models import model_without_output_activation, model_without_softmax, pre_softmax_tensors
from xaicore.inspect.neurons import NeuronwiseIO, neuronwise_io
from xaicore.inspect.nodes import Graph, Node, Site
from xaicore.inspect.read import read_graph
from xaicore.inspect.search import (
    biases,
    find_layer,
    global_pooling_layer,
    layers_with_biases,
    logits_layer,
    model_contains,
    model_layers,
)
from xaicore.inspect.weights import (
    copy_layer,
    copy_layer_without_activation,
    inbound_count,
    kernel,
    outbound_count,
)

__all__ = [
    "Execution",
    "Graph",
    "NeuronwiseIO",
    "Node",
    "Site",
    "as_layer",
    "biases",
    "bottleneck_nodes",
    "bottleneck_tensors",
    "copy_layer",
    "copy_layer_without_activation",
    "endpoints",
    "execution_graph",
    "execution_trace",
    "expose",
    "find_layer",
    "global_pooling_layer",
    "inbound_count",
    "kernel",
    "layers_with_biases",
    "logits_layer",
    "model_contains",
    "model_layers",
    "model_without_output_activation",
    "model_without_softmax",
    "neuronwise_io",
    "outbound_count",
    "pre_softmax_tensors",
    "print_execution_graph",
    "read_graph",
    "replay",
    "trace_execution",
]
