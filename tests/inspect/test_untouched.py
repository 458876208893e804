"""No tool changes the model that it looks at: weights, configurations, nodes, outputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from networks import Symbolic, nested_and_flat, subclassed_and_flat
from transformers import SubclassedTransformer, subclassed_transformer
from xaicore.errors import InvalidArgument, NoActivation, NoGraph, UnknownLayer
from xaicore.inspect import graph, layers, ops
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
    """Return two samples; a subclassed model does not tell the shape of one."""
    shape = {Symbolic: (5,), SubclassedTransformer: (16, 16, 3)}.get(type(model))
    return inputs_of(model, 2) if shape is None else np.ones((2, *shape), np.float32)


def kernel_layer(model: keras.Model) -> keras.layers.Layer:
    """Return a layer that most tools can do something with."""
    return graph.find_layer(model, klass=keras.layers.Dense)


def symbolic(model: keras.Model) -> list[keras.KerasTensor]:
    """Return the symbolic outputs of a model."""
    return keras.tree.flatten(model.outputs)


ROWS = tf.constant([[1.0, 2.0], [3.0, 4.0]])  # the functions of values take no model


def neurons_read(model: keras.Model) -> list[keras.KerasTensor]:
    """Return a symbolic tensor that the last dense layer can read: what it reads, or one of its own."""
    layer = kernel_layer(model)
    return layer._inbound_nodes[0].input_tensors if layer._inbound_nodes else [keras.Input(layer.kernel.shape[:1])]


def places(model: keras.Model) -> keras.KerasTensor:
    """Return a symbolic tensor of places and channels: a model's input, or one of its own."""
    return keras.tree.flatten(model.inputs)[0] if model._inbound_nodes else keras.Input((6, 4))


def patches(x: keras.KerasTensor) -> object:
    """Return what a kernel of two places along each axis reads."""
    return ops.extract_conv_patches(x, (2,) * (len(x.shape) - 2), padding="same")


def look(one: Callable[[keras.Operation], object]) -> Callable[[keras.Model], object]:
    """Return a function of a model that asks each of its layers."""
    return lambda model: [one(layer) for layer in graph.model_layers(model)]


POOLING = (keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D)
# Every public function of the three modules, by its name.
LOOKS = (
    *("contains_activation", "contains_bias", "contains_kernel", "only_relu_activation", "is_network"),
    *("is_convnet_layer", "is_relu_convnet_layer", "is_average_pooling", "is_max_pooling", "is_input_layer"),
    *("is_batch_normalization_layer", "is_dense_layer", "is_conv_layer", "is_add_layer", "is_embedding_layer"),
)
OF_LAYERS: dict[str, Callable[[keras.Model], object]] = {
    **{name: look(getattr(layers, name)) for name in LOOKS},
    "activation_search_safe_layers": lambda model: [type(x) in layers.activation_search_safe_layers() for x in [model]],
    "known_layers": lambda model: [isinstance(model, layers.known_layers())],
    "layer_index": lambda model: [layers.layer_index(model, one) for one in called(model)],
}
OF_GRAPH: dict[str, Callable[[keras.Model], object]] = {
    "as_layer": lambda model: graph.as_layer(model.inputs, [np.zeros(3)]),
    "biases": lambda model: graph.biases(graph.model_layers(model)),
    "bottleneck_nodes": graph.bottleneck_nodes,
    "bottleneck_tensors": graph.bottleneck_tensors,
    "copy_layer": lambda model: graph.copy_layer(kernel_layer(model)),
    "copy_layer_without_activation": lambda model: graph.copy_layer_without_activation(kernel_layer(model)),
    "endpoints": lambda model: graph.endpoints(model, [-1]),
    "execution_graph": graph.execution_graph,
    "execution_trace": graph.execution_trace,
    "expose": lambda model: graph.expose(model, -1, outputs=-1),
    "find_layer": lambda model: graph.find_layer(model, properties=("kernel",)),
    "global_pooling_layer": lambda model: graph.find_layer(model, klass=POOLING) and graph.global_pooling_layer(model),
    "inbound_count": look(graph.inbound_count),
    "kernel": lambda model: graph.kernel(kernel_layer(model)),
    "layers_with_biases": graph.layers_with_biases,
    "logits_layer": graph.logits_layer,
    "model_contains": lambda model: graph.model_contains(model, layers.contains_kernel),
    "model_layers": graph.model_layers,
    "model_without_output_activation": graph.model_without_output_activation,
    "model_without_softmax": lambda model: graph.model_without_softmax(model, should_find_softmax=False),
    "neuronwise_io": lambda model: graph.neuronwise_io(kernel_layer(model)),
    "outbound_count": look(graph.outbound_count),
    "pre_softmax_tensors": lambda model: graph.pre_softmax_tensors(symbolic(model), should_find_softmax=False),
    "print_execution_graph": graph.print_execution_graph,
    "read_graph": graph.read_graph,
    "replay": lambda model: graph.replay(model, data(model)),
    "trace_execution": graph.trace_execution,
}
OF_OPS: dict[str, Callable[[keras.Model], object]] = {
    "apply": lambda model: ops.apply(kernel_layer(model), neurons_read(model)),
    "assert_finite": lambda _: ops.assert_finite(ROWS),
    "broadcast_to_tensors": lambda model: ops.broadcast_to_tensors(0.0, places(model)),
    "extract_conv_patches": lambda model: ops.extract_conv_patches(
        places(model), (2,) * (len(places(model).shape) - 2)
    ),
    "gather": lambda _: ops.gather(ROWS, 1, [0]),
    "gather_nd": lambda _: ops.gather_nd(ROWS, [[0, 0]]),
    "gradients": lambda _: ops.gradients([ROWS], lambda y: y * y),
    "is_not_finite": lambda _: ops.is_not_finite(ROWS),
    "to_floatx": lambda _: ops.to_floatx(ROWS),
}
MODULES: dict[str, tuple[ModuleType, dict[str, Callable[[keras.Model], object]]]] = {
    "layers": (layers, OF_LAYERS),
    "graph": (graph, OF_GRAPH),
    "ops": (ops, OF_OPS),
}
TOOLS: dict[str, dict[str, Callable[[keras.Model], object]]] = {
    **{name: tools for name, (_, tools) in MODULES.items()},
    "analyzers": {
        "explain": lambda model: xaicore.get_analyzer("gradient").explain(model, data(model), 1, verbose=0),
        "plan": lambda model: xaicore.get_analyzer("gradient").plan(model),
    },
}


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
    "transformer": subclassed_transformer,
    "separable": separable,
    "attention": attention,
    "opaque": opaque,
}
# What a model has not got.  A subclassed model has no symbolic tensors, and its layers no symbolic calls.
SUBCLASSED: dict[str, tuple[type[Exception], str]] = {
    "as_layer": (AttributeError, "inputs"),
    "endpoints": (InvalidArgument, "call"),
    "pre_softmax_tensors": (AttributeError, "outputs"),
    "global_pooling_layer": (UnknownLayer, "no layer"),
    "model_without_output_activation": (NoActivation, "no activation"),
}
NEED_A_GRAPH = (
    *("bottleneck_nodes", "bottleneck_tensors", "execution_graph", "execution_trace", "expose", "replay"),
    *("model_without_output_activation", "model_without_softmax", "print_execution_graph", "trace_execution"),
)
REFUSED: dict[tuple[str, str], tuple[type[Exception], str]] = {
    **{(model, tool): what for model in ("subclassed", "transformer") for tool, what in SUBCLASSED.items()},
    # Its batch size is a number that is read, so that it runs whole.
    **{("transformer", tool): (NoGraph, "symbolic") for tool in NEED_A_GRAPH},
    ("transformer", "neuronwise_io"): (InvalidArgument, "0 times"),
    ("convolutional", "global_pooling_layer"): (UnknownLayer, "no layer"),
    ("nested", "model_without_output_activation"): (NoActivation, "no activation"),
}


def test_every_public_function_is_among_the_tools() -> None:
    for module, tools in MODULES.values():
        listed = getattr(module, "__all__", None)
        names = [name for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__]
        public = {name for name in listed or names if name[0] != "_"}
        own = {name for name in public if inspect.isfunction(getattr(module, name))}
        assert own == set(tools)


@pytest.mark.parametrize("module", TOOLS)
@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_what_it_was(name: str, module: str) -> None:
    model = MODELS[name]()
    model(data(model))  # which leaves losses
    before = state(model)
    for called_tool, tool in TOOLS[module].items():
        if (name, called_tool) in REFUSED:
            error, text = REFUSED[name, called_tool]
            with pytest.raises(error, match=text):
                tool(model)
        else:
            assert tool(model) is not None, called_tool
        assert state(model) == before, called_tool
