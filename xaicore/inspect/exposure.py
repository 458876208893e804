"""Tensors inside of a model: by the layer that makes or takes them, as outputs of a new model, as constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import keras
import numpy as np
from keras import layers

from xaicore.errors import InvalidArgument, NoGraph, UnknownLayer
from xaicore.inspect.arguments import (
    a_model,
    a_tensor,
    listed,
    refuse,
    several,
    symbols_listed,
    takes,
)
from xaicore.inspect.execution import flat_graph
from xaicore.inspect.models import model_of
from xaicore.inspect.occurrences import calls_in
from xaicore.inspect.read import function_of
from xaicore.inspect.search import global_pooling_layer, logits_layer, model_layers, named_layer
from xaicore.inspect.untouched import untouched

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph

# An index, a layer, its name or path, or a dict: see `endpoints`.
Endpoint: TypeAlias = "int | str | keras.layers.Layer | Mapping[str, object]"


@takes(model=a_model, of=listed("a list of layers, names, indices or dicts"))
def endpoints(model: keras.Model, of: Sequence[Endpoint]) -> list[keras.KerasTensor | list[keras.KerasTensor]]:
    """Return symbolic tensors of a Functional or Sequential model, by the layers that make or take them.

    Args:
        model: A built model; layers of nested models give the tensors of the nested model's own graph.
        of: Each an index into ``model.layers``, a layer, a name or path (``backbone/conv3``), or a dict with ``name``
            or ``layer``, ``link`` ("output", the default, or "input") and ``node`` (which call: "last", or a number).

    Returns:
        A tensor for each, or a list where a layer has several.

    Raises:
        UnknownLayer, InvalidArgument: No such layer, or link, or call.
    """
    found = []
    for one in of:
        layer, link, number = _endpoint(model, one)
        call = _pick(_calls(model, layer), number, layer.name)
        tensors = call.outputs if link == "output" else call.input_tensors
        found.append(tensors[0] if len(tensors) == 1 else list(tensors))
    return found


def _calls(model: keras.Model, layer: keras.layers.Layer) -> list[Any]:
    """Return the symbolic calls of a layer in a model and in those nested in it, in the order of execution."""
    found = []
    for one in (model, *(x for x in model_layers(model) if isinstance(x, keras.Model))):
        function = function_of(one)
        by_depth = {} if function is None else function._nodes_by_depth  # noqa: SLF001  # no public name
        found += [n for depth in sorted(by_depth, reverse=True) for n in by_depth[depth] if n.operation is layer]
    return found


def _endpoint(model: keras.Model, one: Endpoint) -> tuple[keras.layers.Layer, str, object]:
    given: dict[str, object] = dict(one) if isinstance(one, Mapping) else {"name": one}
    unknown = set(given) - {"name", "layer", "link", "node"}
    which = given.get("layer", given.get("name"))
    link = given.get("link", "output")
    if unknown or which is None or link not in {"output", "input"}:
        raise InvalidArgument(
            f"Given the endpoint {one!r}; expected an index, a layer, a name, or a dict with 'name' or 'layer', "
            "'link' ('output' or 'input') and 'node' ('last' or a number)."
        )
    if not isinstance(which, keras.layers.Layer | int | np.integer | str):
        raise refuse("an endpoint", which, "an index, a layer, a name or path, or a dict of these")
    if isinstance(which, keras.layers.Layer):
        if all(layer is not which for layer in model_layers(model)):
            raise UnknownLayer(f"Given the layer {which.name!r}; expected one of the model {model.name!r}.")
        return which, str(link), given.get("node", "last")
    if isinstance(which, int | np.integer):
        try:
            return model.layers[int(which)], str(link), given.get("node", "last")
        except IndexError:
            raise UnknownLayer(
                f"Given the index {which}; the model {model.name!r} has {len(model.layers)} layers."
            ) from None
    return named_layer(model, str(which)), str(link), given.get("node", "last")


def _pick(calls: Sequence[Any], number: object, name: str) -> Any:  # a node of Keras, or of ours
    last = len(calls) - 1
    if number == "last" and calls:
        return calls[last]
    if not isinstance(number, int | np.integer) or not 0 <= number <= last:
        raise InvalidArgument(f"Given the call {number!r} of {name!r}; expected 'last' or a number from 0 to {last}.")
    return calls[int(number)]


@takes(model=a_model)
def expose(
    model: keras.Model,
    arguments: Endpoint | Sequence[Endpoint] | None = None,
    outputs: Endpoint | Sequence[Endpoint] | None = None,
) -> keras.Model:
    """Return a model of the same variables whose outputs are the logits and tensors inside: [*outputs, *arguments].

    Layers of nested and subclassed models can be exposed too; the new model is flat.

    Args:
        model: A built model.
        arguments: Which tensors, one or several: see ``endpoints``; None: what the last global pooling reads.
        outputs: The first output, or several; None: what the last layer with a kernel returns.

    Raises:
        UnknownLayer, InvalidArgument: No such layer, or link, or call.
        NoGraph: The model's own ``call`` cannot be turned into operations.
    """
    graph = flat_graph(model)
    if arguments is None:
        arguments = {"layer": global_pooling_layer(model), "link": "input"}
    first = logits_layer(model) if outputs is None else outputs
    several = [one for some in (first, arguments) for one in (some if isinstance(some, list | tuple) else [some])]
    keys = [key for one in several for key in _keys(graph, model, one)]
    return model_of([attrs.evolve(graph, outputs=(key,)) for key in keys], model.name)


def _keys(graph: Graph, model: keras.Model, one: Endpoint) -> tuple[int, ...]:
    """Return the tensors of a graph at an endpoint."""
    layer, link, number = _endpoint(model, one)
    calls = calls_in(graph, model, layer)
    if not calls:
        raise NoGraph(
            f"The layer {layer.name!r} has no operation of its own in the graph of {model.name!r}: it is inside of a "
            "layer that is run whole. `xaicore plan` shows which."
        )
    inputs, outputs = _pick(calls, number, layer.name)
    if link == "input" and not inputs:
        raise InvalidArgument(f"Given link='input' for {layer.name!r}, which takes no tensor; expected link='output'.")
    return outputs if link == "output" else inputs  # type: ignore[no-any-return]


@keras.saving.register_keras_serializable("xaicore")
class Constants(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A layer that returns fixed arrays, whatever it is called on."""

    def __init__(self, values: Sequence[object], **of_layer: object) -> None:
        """Take the arrays, or nested lists of numbers."""
        super().__init__(**of_layer)
        self._values = [np.asarray(value) for value in values]

    def call(self, inputs: object) -> list[object]:
        """Return the arrays."""
        del inputs
        return [keras.ops.convert_to_tensor(value) for value in self._values]

    def compute_output_spec(self, inputs: object) -> list[keras.KerasTensor]:
        """Return their shapes and dtypes."""
        del inputs
        return [keras.KerasTensor(value.shape, dtype=value.dtype.name) for value in self._values]

    def get_config(self) -> dict[str, object]:
        """Return the arrays as nested lists."""
        return {**super().get_config(), "values": [value.tolist() for value in self._values]}


@takes(inputs=symbols_listed, outputs=several(a_tensor, "a list of tensors and arrays"))
def as_layer(inputs: Sequence[keras.KerasTensor], outputs: Sequence[object]) -> list[keras.KerasTensor]:
    """Return outputs that a Functional model takes: arrays and eager tensors become outputs of a layer of the inputs.

    Symbolic tensors stay what they are.

    Args:
        inputs: Symbolic tensors; their layers keep their nodes.
        outputs: Symbolic tensors, arrays, eager tensors.
    """
    constant = [i for i, y in enumerate(outputs) if not isinstance(y, keras.KerasTensor)]
    if not constant:
        return list(outputs)
    with untouched(*inputs):
        made = Constants([np.asarray(outputs[i]) for i in constant])(list(inputs))
    by_place = dict(zip(constant, keras.tree.flatten(made), strict=True))
    return [by_place.get(i, y) for i, y in enumerate(outputs)]
