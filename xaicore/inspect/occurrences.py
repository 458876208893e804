"""Where a layer is called in a graph: as an operation, or as what operations are inside of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from xaicore.inspect.nodes import Container, Graph, Node, Site
from xaicore.inspect.read import function_of

if TYPE_CHECKING:
    import keras

Keys = tuple[int, ...]


def calls_in(graph: Graph, model: keras.Model, layer: keras.Operation) -> list[tuple[Keys, Keys]]:
    """Return (keys of what it takes, keys of what it returns) for each call of a layer in a model's graph, in order.

    A nested model, or a layer made of layers, takes and returns what its call did; an InputLayer returns the tensor
    that comes in at its place.
    """
    if isinstance(layer, layers.InputLayer):
        whole = Container(Site(""), model, graph.inputs, graph.outputs)
        return [((), (one.inputs[i],)) for one in (whole, *graph.containers) for i in _places(one.operation, layer)]
    every: tuple[Container | Node, ...] = (*graph.containers, *graph.nodes)
    calls = [(one.inputs, one.outputs) for one in every if one.operation is layer]
    return sorted(calls, key=lambda call: max(call[1]))  # tensors are numbered as they are made


def _places(container: keras.Operation, layer: keras.Operation) -> list[int]:
    """Return which inputs of a model an InputLayer is."""
    function = function_of(container)
    tensors = () if function is None else function.inputs
    return [i for i, t in enumerate(tensors) if t._keras_history.operation is layer]  # noqa: SLF001  # no public name
