"""What a single layer is, answered by its class and by its activation itself, never by a part of a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import keras
from keras import layers

from xaicore.errors import InvalidArgument, UnknownLayer
from xaicore.inspect import kinds
from xaicore.inspect.arguments import a_flag, a_model, a_text, an_operation, either, takes
from xaicore.inspect.facts import facts_of
from xaicore.inspect.kinds import activation_of, is_relu, is_unbounded_relu
from xaicore.inspect.occurrences import calls_in
from xaicore.inspect.opaque import leaves
from xaicore.inspect.read import read_graph

if TYPE_CHECKING:
    from keras.src.ops.node import Node as KerasNode

    from xaicore.inspect.facts import Facts
    from xaicore.inspect.nodes import Graph, Site

_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
_MERGING = (layers.Add, layers.Subtract, layers.Average, layers.Multiply, layers.Maximum, layers.Minimum)
_RESHAPING = (layers.Flatten, layers.Permute, layers.Reshape)
_PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
_CONVNET_KINDS = frozenset(
    {"conv", "dense", "norm", "sum", "average_pooling", "max_pooling", "softmax", "activation", "identity"}
    | {"rescaling", "routing", "embedding"}
)
# Layers and functions of one name that are the same activation.
_RELU6 = 6
_LAYER_OF = {"leaky_relu": layers.LeakyReLU, "elu": layers.ELU, "softmax": layers.Softmax}

Activation = str | Callable[..., object] | type


def known_layers() -> tuple[type[keras.layers.Layer], ...]:
    """Return the classes of Keras that xaicore has a kind for; subclasses count as their base.

    Any other layer is explained by its gradient or by the rules of the layers inside it, and a plan says so.
    """
    classes = [cls for _, group in kinds.LAYERS for cls in group]
    return (
        *classes,
        layers.Activation,
        layers.InputLayer,
        *_SEPARABLE,
        layers.Multiply,
        layers.Maximum,
        layers.Minimum,
    )


def activation_search_safe_layers() -> tuple[type[keras.layers.Layer], ...]:
    """Return the classes that a search for the activation that follows a kernel may walk through."""
    return (
        *(layers.ELU, layers.LeakyReLU, layers.PReLU, layers.ReLU, layers.Softmax, layers.Activation),
        *(layers.ActivityRegularization, layers.Dropout, layers.GaussianNoise, layers.Identity),
        *(layers.Flatten, layers.Reshape, layers.Add, layers.BatchNormalization),
    )


@takes(layer=an_operation)
def contains_activation(layer: keras.Operation, activation: Activation | None = None) -> bool:
    """Return whether a layer applies an activation, as its argument or as what it is.

    Args:
        layer: Any layer or operation.
        activation: None: any but linear.  A name or function of ``keras.activations``, or a layer class, asks for this
            one: ``"relu"`` is neither ``relu6`` nor ``leaky_relu``, and a ``ReLU`` layer is a ``"relu"``.

    Raises:
        InvalidArgument: No activation has this name.
    """
    own = activation_of(layer)
    if activation is None:
        return own is not None
    if isinstance(activation, type):
        return isinstance(own, activation)
    wanted = _activation_function(activation)
    if wanted is keras.activations.linear:
        return own is None and hasattr(layer, "activation")
    return _is_activation(own, wanted)


def _activation_function(activation: str | Callable[..., object]) -> Callable[..., object]:
    try:
        return keras.activations.get(activation)  # type: ignore[no-any-return]
    except (ValueError, TypeError):
        raise InvalidArgument(
            f"Given activation={activation!r}; expected a name or function of keras.activations, or a layer class. "
            "Keras names are, for example, 'relu', 'softmax', 'leaky_relu'."
        ) from None


def _is_activation(own: object, wanted: Callable[..., object]) -> bool:
    name = getattr(wanted, "__name__", "")
    if own is wanted:
        return True
    if isinstance(own, layers.ReLU):
        cut = is_relu(own) and own.max_value == _RELU6
        return cut if name == "relu6" else name == "relu" and is_unbounded_relu(own)
    if isinstance(own, layers.Layer):
        return name in _LAYER_OF and isinstance(own, _LAYER_OF[name])
    # An operation of keras.ops: class LeakyRelu is the function leaky_relu.
    return isinstance(own, keras.Operation) and type(own).__name__.lower() == name.replace("_", "")


@takes(layer=an_operation)
def contains_kernel(layer: keras.Operation) -> bool:
    """Return whether a layer is dense or a convolution: what rules for kernels apply to."""
    return is_dense_layer(layer) or is_conv_layer(layer)


@takes(layer=an_operation)
def contains_bias(layer: keras.Operation) -> bool:
    """Return whether a layer adds a bias of its own, by itself or in its cell or projections; built or not."""
    told = getattr(layer, "use_bias", False) or getattr(layer, "bias_axes", None) is not None
    return getattr(layer, "bias", None) is not None or bool(told)


@takes(layer=an_operation)
def only_relu_activation(layer: keras.Operation) -> bool:
    """Return whether a layer is linear or ends in a ReLU, cut at the top or not, with no slope below zero."""
    own = activation_of(layer)
    return own is None or is_relu(own)


@takes(layer=an_operation)
def is_network(layer: keras.Operation) -> bool:
    """Return whether a layer is a model in a model: Functional, Sequential or subclassed."""
    return isinstance(layer, keras.Model)


@takes(layer=an_operation)
def is_convnet_layer(layer: keras.Operation) -> bool:
    """Return whether a layer is one that feed-forward convolutional networks are made of.

    Kernels, BatchNormalization, pooling, merging, reshaping, activations, Embedding, noise; not recurrent layers,
    attention, LayerNormalization, nor models.
    """
    return isinstance(layer, (layers.InputLayer, *_SEPARABLE, *_MERGING)) or kinds.kind(layer) in _CONVNET_KINDS


@takes(layer=an_operation)
def is_relu_convnet_layer(layer: keras.Operation) -> bool:
    """Return whether a layer is one of a convolutional network whose activations are all ReLU."""
    return is_convnet_layer(layer) and only_relu_activation(layer)


@takes(layer=an_operation)
def is_average_pooling(layer: keras.Operation) -> bool:
    """Return whether a layer is an AveragePooling or GlobalAveragePooling of any rank."""
    return kinds.kind(layer) == "average_pooling"


@takes(layer=an_operation)
def is_max_pooling(layer: keras.Operation) -> bool:
    """Return whether a layer is a MaxPooling or GlobalMaxPooling of any rank."""
    return kinds.kind(layer) == "max_pooling"


@takes(layer=an_operation)
def is_batch_normalization_layer(layer: keras.Operation) -> bool:
    """Return whether a layer is a BatchNormalization."""
    return isinstance(layer, layers.BatchNormalization)


@takes(layer=an_operation)
def is_dense_layer(layer: keras.Operation) -> bool:
    """Return whether a layer is a Dense or an EinsumDense."""
    return kinds.kind(layer) == "dense"


@takes(layer=an_operation)
def is_conv_layer(layer: keras.Operation) -> bool:
    """Return whether a layer is a convolution: plain, transposed, depthwise or separable, of any rank."""
    return isinstance(layer, _SEPARABLE) or kinds.kind(layer) == "conv"


@takes(layer=an_operation)
def is_add_layer(layer: keras.Operation) -> bool:
    """Return whether a layer is an Add."""
    return isinstance(layer, layers.Add)


@takes(layer=an_operation)
def is_embedding_layer(layer: keras.Operation) -> bool:
    """Return whether a layer is an Embedding."""
    return isinstance(layer, layers.Embedding)


@takes(layer=an_operation, ignore_reshape_layers=a_flag)
def is_input_layer(layer: keras.Operation, ignore_reshape_layers: bool = True) -> bool:  # as known
    """Return whether a layer is fed by the inputs of its model alone, in every call; an InputLayer is too.

    Args:
        layer: A layer of a model that has been built.
        ignore_reshape_layers: Whether Flatten, Permute, Reshape and ZeroPadding may stand between.
    """
    if isinstance(layer, layers.InputLayer):
        return True
    through = (*_RESHAPING, *_PADDING) if ignore_reshape_layers else ()
    calls: list[KerasNode] = layer._inbound_nodes  # noqa: SLF001  # no public name
    return bool(calls) and all(_from_input(before, through) for call in calls for before in call.parent_nodes)


def _from_input(node: KerasNode, through: tuple[type, ...]) -> bool:
    if isinstance(node.operation, layers.InputLayer):
        return True
    return isinstance(node.operation, through) and all(_from_input(before, through) for before in node.parent_nodes)


@takes(model=a_model, layer=either(a_text, an_operation))
def layer_index(model: keras.Model, layer: keras.Operation | str) -> int:
    """Return the index that ``until(index)`` counts by: of the kernel layer that a layer is, or follows.

    Kernel layers are counted from 0 in execution order, those of nested models too; a layer before the first has 0.

    Args:
        model: A built model.
        layer: A layer of it, or its site as text.  A shared layer has the index of its first call.

    Raises:
        UnknownLayer: The model does not call this layer.
        UnknownSite: No site has this text.
    """
    graph = read_graph(model)
    facts = facts_of(graph)
    made = {key: facts[node.site].position for node in graph.nodes for key in node.outputs}
    if isinstance(layer, str):
        whole = next((one for one in graph.containers if str(one.site) == layer), None)
        return facts[graph.node(layer).site].position if whole is None else made.get(whole.outputs[0], 0)
    ran_whole = _position_inside(graph, facts, layer)
    if ran_whole is not None:
        return ran_whole
    calls = calls_in(graph, model, layer)
    if calls:  # what stands for several operations: the last of them; an input comes before all
        return made.get(calls[0][1][0], 0)
    raise UnknownLayer(
        f"Given the layer {getattr(layer, 'name', layer)!r}; expected one that the model {model.name!r} calls. "
        "`xaicore.inspect.graph.model_layers(model)` lists them."
    )


def _position_inside(graph: Graph, facts: Mapping[Site, Facts], layer: keras.Operation) -> int | None:
    """Return the index of a layer in a part that runs whole, where its first call counts; None where it is in none."""
    parts = (layer, *(leaves(layer) if isinstance(layer, layers.Layer) else ()))
    inner = [one for node in graph.nodes for one in node.inner if any(one.operation is part for part in parts)]
    first = {id(one.operation): facts[one.site].position for one in reversed(inner)}
    return max(first.values()) if first else None
