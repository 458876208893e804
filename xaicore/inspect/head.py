"""The head of a classifier: softmax or sigmoid at the end, stripped so that the logit is explained.

A function of graphs: the head's node is left out, or its layer replaced by a twin without activation.
The user's layers are only read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import keras
from keras import layers

from xaicore.errors import NoGraph
from xaicore.inspect.affine import twin
from xaicore.inspect.inline import LOOPS
from xaicore.inspect.kinds import activation_of, head_kind, kind
from xaicore.inspect.opaque import trace_opaque
from xaicore.inspect.twins import deep_twin

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node

THROUGH = frozenset({"identity", "routing"})


def is_head(activation: object) -> bool:
    """Return whether an activation is the head of a classifier: softmax or sigmoid."""
    return head_kind(activation) is not None


def head_node(graph: Graph, wanted: Callable[[object], bool] = is_head) -> Node | None:
    """Return the node whose activation is the head of the graph's one output, None where there is none.

    wanted: which activations count (see ``kinds.activation_of``).
    """
    (key,) = graph.outputs
    for node in reversed(graph.nodes):
        if key not in node.outputs:
            continue
        if node.inner:
            last = _last_inside(node)
            return node if last is not None and wanted(activation_of(last)) else None
        # The activation of a loop is inside of it, at every step.
        if not isinstance(node.operation, LOOPS) and wanted(activation_of(node.operation)):
            return node
        if kind(node.operation) not in THROUGH or len(set(node.inputs)) != 1:
            return None
        key = node.inputs[0]
    return None


def _last_inside(node: Node) -> keras.Operation | None:
    """Return the layer inside of an operation that is no graph whose output it returns, where it is called once."""
    if node.tail is None:
        return None
    last = node.inner[node.tail].operation
    return last if sum(one.operation is last for one in node.inner) == 1 else None


def hidden_head(graph: Graph) -> Node | None:
    """Return the node that makes the graph's one output and ends in a head that cannot be stripped, if there is one."""
    (key,) = graph.outputs
    for node in reversed(graph.nodes):
        if key not in node.outputs:
            continue
        if kind(node.operation) in THROUGH and len(set(node.inputs)) == 1:
            key = node.inputs[0]
            continue
        if node.inner:
            return node if node.end and head_node(graph) is None else None
        return node if kind(node.operation) == "other" and _end_of(graph, node) else None
    return None


def _end_of(graph: Graph, node: Node) -> str:
    """Return which head a layer that no table knows ends in, "" for none."""
    if not isinstance(node.operation, layers.Layer) or not node.inputs:
        return ""
    try:
        return trace_opaque(node.operation, str(node.site), node.args, node.kwargs, graph.specs).end
    except NoGraph:  # it does not run in a graph at all: that is told when it is explained
        return ""


def scored(graph: Graph, score: str) -> str:
    """Return what the numbers at the output are: "logit", "probability", or "value" where there is no head."""
    return "value" if head_node(graph) is None else score


def strip_head(graph: Graph, node: Node | None = None) -> Graph:
    """Return the graph without the activation of a node, its softmax or sigmoid head; the graph itself without one."""
    node = head_node(graph) if node is None else node
    if node is None:
        return graph
    if not node.inner and _is_only_head(node.operation):
        return _without(graph, node)
    replaced = _bare_inside(node) if node.inner else _bare(node)
    return attrs.evolve(graph, nodes=tuple(replaced if n is node else n for n in graph.nodes))


def _bare(node: Node) -> Node:
    bare = twin(node.operation, activation=keras.activations.linear)
    return attrs.evolve(node, reference=lambda: bare)


def _bare_inside(node: Node) -> Node:
    """Return a node that is run whole with twins inside, the last of them without its activation."""
    last = _last_inside(node)
    without: dict[str, object] = {"activation": keras.activations.linear}
    if last is not None and _is_only_head(last):
        without = {"call": _hand_on}
    twins = deep_twin(node.operation, lambda one: without if one is last else {})
    bare = twins.operation
    inner = tuple(attrs.evolve(one, operation=twins.by_original[id(one.operation)]) for one in node.inner)
    return attrs.evolve(node, reference=lambda: bare, inner=inner, end="")


def _hand_on(inputs: object, *more: object, **named: object) -> object:
    """Take the place of the call of a layer that is nothing but a head."""
    del more, named
    return inputs


def _is_only_head(operation: keras.Operation) -> bool:
    return isinstance(operation, layers.Activation) or activation_of(operation) is operation


def _without(graph: Graph, node: Node) -> Graph:
    (removed,), (kept,) = node.outputs, node.inputs
    if removed in graph.outputs:
        outputs = tuple(kept if key == removed else key for key in graph.outputs)
        nodes = tuple(n for n in graph.nodes if n is not node)
        return attrs.evolve(graph, nodes=nodes, outputs=outputs)
    # Something only reshapes the head's output: let the head's node hand its input on.
    same = layers.Identity(name=node.operation.name, dtype=graph.specs[kept].dtype)
    replaced = attrs.evolve(node, reference=lambda: same, kwargs={})
    return attrs.evolve(graph, nodes=tuple(replaced if n is node else n for n in graph.nodes))
