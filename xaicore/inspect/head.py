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

from xaicore.inspect.affine import twin
from xaicore.inspect.kinds import activation_of, head_kind, kind

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node

_THROUGH = frozenset({"identity", "routing"})


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
        if wanted(activation_of(node.operation)):
            return node
        if kind(node.operation) not in _THROUGH or len(set(node.inputs)) != 1:
            return None
        key = node.inputs[0]
    return None


def scored(graph: Graph, score: str) -> str:
    """Return what the numbers at the output are: "logit", "probability", or "value" where there is no head."""
    return "value" if head_node(graph) is None else score


def strip_head(graph: Graph, node: Node | None = None) -> Graph:
    """Return the graph without the activation of a node, its softmax or sigmoid head; the graph itself without one."""
    node = head_node(graph) if node is None else node
    if node is None:
        return graph
    if _is_only_head(node.operation):
        return _without(graph, node)
    bare = twin(node.operation, activation=keras.activations.linear)
    replaced = attrs.evolve(node, reference=lambda: bare)
    return attrs.evolve(graph, nodes=tuple(replaced if n is node else n for n in graph.nodes))


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
