"""No tool changes the model that it looks at: weights, configurations, nodes, outputs."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from networks import Symbolic, nested_and_flat, subclassed_and_flat
from xaicore.errors import InvalidArgument, NoActivation, UnknownLayer
from xaicore.inspect import graph, layers
from xaicore.testing.models import convolutional, inputs_of, two_towers


def state(model: keras.Model) -> list[object]:
    """Return what must not change."""
    every = [model, *graph.model_layers(model)]
    nodes = [(id(x), [id(n) for n in x._inbound_nodes], [id(n) for n in x._outbound_nodes]) for x in every]
    outputs = [id(x.output) for x in every if len(x._inbound_nodes) == 1]
    attributes = [sorted(x.__dict__) for x in every]
    # Seeds and counters too; losses of the last call.
    values = [v.numpy().tobytes() for v in model.variables]
    losses = [x if isinstance(x, keras.KerasTensor) else float(x) for x in model.losses]
    return [nodes, outputs, attributes, [x.get_config() for x in every[1:]], values, losses]


def data(model: keras.Model) -> object:
    """Return two samples; the subclassed model takes rows of five numbers."""
    return np.ones((2, 5), np.float32) if isinstance(model, Symbolic) else inputs_of(model, 2)


def kernel_layer(model: keras.Model) -> keras.layers.Layer:
    """Return a layer that most tools can do something with."""
    return graph.find_layer(model, klass=keras.layers.Dense)


def symbolic(model: keras.Model) -> list[keras.KerasTensor]:
    """Return the symbolic outputs of a model."""
    return keras.tree.flatten(model.outputs)


TOOLS: dict[str, Callable[[keras.Model], object]] = {
    "bottleneck_nodes": graph.bottleneck_nodes,
    "bottleneck_tensors": graph.bottleneck_tensors,
    "biases": graph.layers_with_biases,
    "contains": lambda model: graph.model_contains(model, layers.contains_kernel),
    "copy_layer": lambda model: graph.copy_layer(kernel_layer(model)),
    "copy_layer_without_activation": lambda model: graph.copy_layer_without_activation(kernel_layer(model)),
    "endpoints": lambda model: graph.endpoints(model, [-1]),
    "execution_graph": graph.execution_graph,
    "explain": lambda model: xaicore.get_analyzer("gradient").explain(model, data(model), 1, verbose=0),
    "expose": lambda model: graph.expose(model, -1, outputs=-1),
    "find_layer": lambda model: graph.find_layer(model, properties=("kernel",)),
    "global_pooling_layer": lambda model: graph.find_layer(model, klass=POOLING) and graph.global_pooling_layer(model),
    "kernel": lambda model: graph.kernel(kernel_layer(model)),
    "layer_index": lambda model: [layers.layer_index(model, one) for one in called(model)],
    "logits_layer": graph.logits_layer,
    "looks": lambda model: [look(one) for look in LOOKS for one in graph.model_layers(model)],
    "model_layers": graph.model_layers,
    "neuronwise_io": lambda model: graph.neuronwise_io(kernel_layer(model)),
    "plan": lambda model: xaicore.get_analyzer("gradient").plan(model),
    "pre_softmax_tensors": lambda model: graph.pre_softmax_tensors(symbolic(model), should_find_softmax=False),
    "print_execution_graph": graph.print_execution_graph,
    "replay": lambda model: graph.replay(model, data(model)),
    "trace_execution": graph.trace_execution,
    "without_output_activation": graph.model_without_output_activation,
    "without_softmax": lambda model: graph.model_without_softmax(model, should_find_softmax=False),
    "as_layer": lambda model: graph.as_layer(model.inputs, [np.zeros(3)]),
}
POOLING = (keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D)
LOOKS = (
    *(layers.contains_activation, layers.contains_bias, layers.contains_kernel, layers.only_relu_activation),
    *(layers.is_network, layers.is_convnet_layer, layers.is_relu_convnet_layer, layers.is_average_pooling),
    *(layers.is_max_pooling, layers.is_input_layer, layers.is_dense_layer, layers.is_conv_layer, layers.is_add_layer),
)


def called(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that a model calls itself."""
    return [one for one in model.layers if not isinstance(one, keras.layers.InputLayer)]


def ending(y: keras.KerasTensor) -> keras.KerasTensor:
    """Return pooled positions through a layer with a loss and one with a softmax."""
    y = keras.layers.GlobalAveragePooling1D(name="pooled")(y)
    y = keras.layers.Dense(4, activity_regularizer="l2", activation="relu", name="dense")(y)
    return keras.layers.Dense(3, activation="softmax", name="head")(y)


def separable() -> keras.Model:
    """Return a separable convolution on an input without a name."""
    x = keras.Input((6, 6, 2))
    y = keras.layers.SeparableConv2D(4, 3, activation="relu", name="separable")(x)
    return keras.Model(x, ending(keras.layers.Reshape((16, 4))(y)))


def attention() -> keras.Model:
    """Return attention behind an embedding of places."""
    x = keras.Input((6, 4), name="x")
    y = Places(name="places")(x)
    return keras.Model(x, ending(keras.layers.MultiHeadAttention(2, 3, dropout=0.1, name="attention")(y, y)))


class Places(keras.layers.Layer):
    """Adds an embedding of constants."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.places = keras.layers.Embedding(6, 4, name="embedding")

    def call(self, x: object) -> object:
        return x + self.places(keras.ops.arange(6))


class RunsWhole(keras.layers.Layer):
    """Calls TensorFlow between its layers, counts, and draws random numbers."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.inside = keras.layers.Dense(4, name="inside")
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
        self.seed = keras.random.SeedGenerator(3)

    def call(self, x: object) -> object:
        self.count.assign_add(1.0)
        return tf.add(self.inside(x), 0.0) + keras.random.normal((4,), seed=self.seed)

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], 4)


def opaque() -> keras.Model:
    """Return a model with a part that runs whole."""
    x = keras.Input((6, 4), name="x")
    return keras.Model(x, ending(RunsWhole(name="whole")(x)))


MODELS: dict[str, Callable[[], keras.Model]] = {
    "convolutional": convolutional,
    "two_towers": two_towers,
    "nested": lambda: nested_and_flat()[0],
    "subclassed": lambda: subclassed_and_flat(Symbolic)[0],
    "separable": separable,
    "attention": attention,
    "opaque": opaque,
}
# What a model has not got.  A subclassed model has no symbolic tensors, and its layers no symbolic calls.
REFUSED: dict[tuple[str, str], tuple[type[Exception], str]] = {
    ("subclassed", "as_layer"): (AttributeError, "inputs"),
    ("subclassed", "endpoints"): (InvalidArgument, "call"),
    ("subclassed", "pre_softmax_tensors"): (AttributeError, "outputs"),
    ("subclassed", "global_pooling_layer"): (UnknownLayer, "no layer"),
    ("convolutional", "global_pooling_layer"): (UnknownLayer, "no layer"),
    ("subclassed", "without_output_activation"): (NoActivation, "no activation"),
    ("nested", "without_output_activation"): (NoActivation, "no activation"),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_what_it_was(name: str, tool: str) -> None:
    model = MODELS[name]()
    model(data(model))  # which leaves losses
    before = state(model)
    if (name, tool) in REFUSED:
        error, text = REFUSED[name, tool]
        with pytest.raises(error, match=text):
            TOOLS[tool](model)
    else:
        assert TOOLS[tool](model) is not None
    assert state(model) == before
