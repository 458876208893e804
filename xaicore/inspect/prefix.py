"""The linear prefix of a graph: what is an affine function of the inputs, up to the first activation.

Along a straight line between two inputs it is straight too, so that it need not run at every point of the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
from keras import layers

from xaicore.inspect.affine import is_affine
from xaicore.inspect.apart import WITH_ACTIVATION, apart
from xaicore.inspect.kinds import kind

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node

_LINEAR = frozenset({"identity", "sum", "average_pooling", "interpolation"})
_SCALES = (layers.Rescaling, layers.Normalization)
_NOT_LINEAR = ("Maximum", "Minimum")  # of the kind "routing"


@attrs.frozen(eq=False)
class Prefix:
    """A graph in two parts.

    graph: the whole, activations of the last affine layers apart from them.
    nodes: the affine part.  frontier: keys of the tensors that it hands on; an input may be among them.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    frontier: tuple[int, ...]


def linear_prefix(graph: Graph, starts: Sequence[int]) -> Prefix | None:
    """Return the graph with its affine part told apart; None where no layer with a kernel or a norm is in it.

    Args:
        graph: Computes outputs from inputs.
        starts: Keys of the inputs that move; the others stay as they are.
    """
    moving, straight = set(starts), set(starts)
    nodes: list[Node] = []
    kept: list[Node] = []
    specs = dict(graph.specs)
    for node in graph.nodes:
        moves = not moving.isdisjoint(node.inputs)
        linear = moves and _is_linear(node, moving, straight)
        parts = apart(node, specs) if linear else (node,)
        kept += parts
        if moves:
            moving |= {key for part in parts for key in part.outputs}
        if linear:
            straight |= set(parts[0].outputs)
            nodes.append(parts[0])
    if not any(kind(node.operation) in WITH_ACTIVATION for node in nodes):
        return None
    inside = {id(node) for node in nodes}
    used = [key for node in kept if id(node) not in inside for key in node.inputs]
    frontier = tuple(dict.fromkeys(key for key in (*used, *graph.outputs) if key in straight))
    return Prefix(attrs.evolve(graph, nodes=tuple(kept), specs=specs), tuple(nodes), frontier)


def _is_linear(node: Node, moving: set[int], straight: set[int]) -> bool:
    """Return whether a node, its activation left out, is affine in what moves, and all that moves is straight."""
    operation = node.operation
    if node.inner or not (moving & set(node.inputs)) <= straight:
        return False
    of_kind = kind(operation)
    if of_kind in WITH_ACTIVATION:
        return is_affine(operation) and len(node.outputs) == 1
    if of_kind == "routing":
        return type(operation).__name__ not in _NOT_LINEAR
    return of_kind in _LINEAR or isinstance(operation, _SCALES)
