"""Models made from models: without their softmax, without the activation of their outputs.

No layer of the user is called: a model that is made here holds twins, which share the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs
import keras
from keras import layers

from xaicore.errors import NoActivation
from xaicore.inspect.arguments import a_flag, a_model, symbols_listed, takes
from xaicore.inspect.execution import flat_graph
from xaicore.inspect.head import THROUGH, head_node, strip_head
from xaicore.inspect.kinds import activation_of, head_kind, kind
from xaicore.inspect.quiet import quiet
from xaicore.inspect.running import run
from xaicore.inspect.unfed import fed
from xaicore.inspect.untouched import new_name, own_nodes, untouched

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node


def model_of(parts: Sequence[Graph], name: str, returned: object = None) -> keras.Model:
    """Return a Functional model of graphs with one set of inputs, from twins that share the layers' variables.

    Its outputs are those of the graphs, one after the other.  A layer keeps its name, or gets the names on the way to
    it where two layers have one name.

    returned: the structure of the outputs; None: a list where there are several.
    """
    first = parts[0]
    inputs: dict[int, keras.KerasTensor] = {
        key: keras.Input(batch_shape=first.specs[key].shape, dtype=first.specs[key].dtype, name=n.replace("/", "_"))
        for key, n in zip(first.inputs, first.input_names, strict=True)
    }
    twins: dict[int, keras.Operation] = {}
    ran: dict[tuple[int, ...], list[keras.KerasTensor]] = {}  # a node, and what it was run on
    taken = {symbol.name for symbol in inputs.values()}
    found: list[keras.KerasTensor] = []
    for part in parts:
        symbols = dict(inputs)
        for node in part.between(part.inputs, part.outputs).nodes:
            given = [symbols[key] for key in node.inputs]
            call = (id(node), *map(id, given))
            if call not in ran:
                key = id(node.operation) if node.inputs else id(node)
                if key not in twins:
                    twins[key] = _twin_of(node, _own_name(node, taken))
                # What depends on no input is given one to be a part of the model.
                with quiet():
                    found_here = run(node, given, twins[key]) if given else twins[key](next(iter(inputs.values())))
                ran[call] = keras.tree.flatten(found_here)
            symbols.update(zip(node.outputs, ran[call], strict=True))
        found += [symbols[key] for key in part.outputs]
    structure = keras.tree.map_structure(lambda ref: inputs[ref.key], first.structure)
    plain = found[0] if len(found) == 1 else found
    return keras.Model(
        structure, plain if returned is None else keras.tree.pack_sequence_as(returned, found), name=name
    )


def _twin_of(node: Node, names: dict[str, str]) -> keras.Operation:
    operation = own_nodes(node.operation, **names)
    return operation if node.inputs else fed(operation, node.args, node.kwargs, names["name"])


def _own_name(node: Node, taken: set[str]) -> dict[str, str]:
    name = node.operation.name if node.operation.name not in taken else node.site.path.replace("/", "_")
    count, unique = 0, name
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    taken.add(unique)
    # Keras keeps the name of a layer in its path too.
    return {"name": unique, "_name": unique} if hasattr(node.operation, "_name") else {"name": unique}


@takes(model=a_model, should_find_softmax=a_flag)
def model_without_softmax(model: keras.Model, *, should_find_softmax: bool = True) -> keras.Model:
    """Return a model of the same variables whose outputs are taken before their softmax.

    Outputs without softmax stay.  The model that is given stays as it is.

    Raises:
        NoActivation: No output has a softmax, and one should be found.
        NoGraph: The model's own ``call`` cannot be turned into operations.
    """
    graph = flat_graph(model)
    parts, heads = _stripped(graph, _is_softmax)
    if not any(heads) and should_find_softmax:
        raise NoActivation(
            f"The model {model.name!r} has no softmax at its outputs; expected one. "
            "Any other activation is left out by model_without_output_activation(model)."
        )
    return model_of(parts, model.name, graph.returned)


@takes(model=a_model)
def model_without_output_activation(model: keras.Model) -> keras.Model:
    """Return a model of the same variables whose outputs are taken before their activation, whichever it is.

    Raises:
        NoActivation: No output ends in an activation.
        NoGraph: The model's own ``call`` cannot be turned into operations.
    """
    graph = flat_graph(model)
    parts, heads = _stripped(graph, lambda activation: activation is not None)
    if not any(heads):
        raise NoActivation(f"The model {model.name!r} has no activation at its outputs; there is nothing to leave out.")
    return model_of(parts, model.name, graph.returned)


def _is_softmax(activation: object) -> bool:
    return head_kind(activation) == "softmax"


def _stripped(graph: Graph, wanted: Callable[[object], bool]) -> tuple[list[Graph], list[bool]]:
    """Return one graph per output, without its activation where it is a wanted one; and which were left out."""
    parts = [attrs.evolve(graph, outputs=(key,)) for key in graph.outputs]
    heads = [head_node(part, wanted) for part in parts]
    bare = [part if head is None else strip_head(part, head) for part, head in zip(parts, heads, strict=True)]
    return bare, [head is not None for head in heads]


@takes(Xs=symbols_listed, should_find_softmax=a_flag)
def pre_softmax_tensors(
    Xs: Sequence[keras.KerasTensor],  # noqa: N803  # as it is known
    *,
    should_find_softmax: bool = True,
) -> list[keras.KerasTensor]:
    """Return for each symbolic tensor what it was before its softmax; one without softmax is returned as it is.

    ``keras.Model(model.inputs, pre_softmax_tensors(model.outputs))`` keeps the layers of the model and its nesting.

    Raises:
        NoActivation: None of the tensors has a softmax, and one should be found.
    """
    found = [_before_softmax(x) for x in Xs]
    if should_find_softmax and all(before is x for before, x in zip(found, Xs, strict=True)):
        raise NoActivation(
            f"None of the {len(Xs)} tensors comes from a softmax; expected at least one that does, or "
            "should_find_softmax=False."
        )
    return found


def _before_softmax(x: keras.KerasTensor) -> keras.KerasTensor:
    operation, node_index, tensor_index = x._keras_history  # noqa: SLF001  # no public name
    if operation is None or isinstance(operation, layers.InputLayer):
        return x
    call = operation._inbound_nodes[node_index]  # noqa: SLF001
    given = dict(zip(map(id, call.input_tensors), call.input_tensors, strict=True))
    if isinstance(operation, keras.Model):
        graph = flat_graph(operation)
        parts, heads = _stripped(graph, _is_softmax)
        if not heads[tensor_index]:
            return x
        bare: keras.Operation = model_of(parts, new_name(operation, "logits")["name"], graph.returned)
    elif head_kind(activation_of(operation)) == "softmax":
        if activation_of(operation) is operation or isinstance(operation, layers.Activation):
            return call.input_tensors[0]
        bare = own_nodes(operation, activation=keras.activations.linear, **new_name(operation, "logits"))
    elif kind(operation) in THROUGH and len(given) == 1:
        ((key, tensor),) = given.items()
        given[key] = _before_softmax(tensor)
        if given[key] is tensor:
            return x
        bare = own_nodes(operation, **new_name(operation, "logits"))
    else:
        return x
    with untouched(*given.values()):
        args, kwargs = call.arguments.fill_in(given)
        return keras.tree.flatten(bare(*args, **kwargs))[tensor_index]
