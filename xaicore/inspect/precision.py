"""Models of half precision, computed in float32: relevance is made of quotients, and half has three digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import keras

from xaicore.inspect.affine import twin

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node

_HALF = frozenset({"float16", "bfloat16"})


def half_sites(graph: Graph) -> tuple[str, ...]:
    """Return the sites whose layers compute in half precision."""
    return tuple(str(node.site) for node in graph.nodes if _is_half(node))


def in_float32(graph: Graph) -> Graph:
    """Return the graph with its layers of half precision computing in float32, from the same variables.

    The layers themselves are only read: each is replaced by a twin of another dtype policy.  What is inside of an
    operation that is no graph keeps its own.
    """
    nodes = tuple(_widened(node) if _is_half(node) else node for node in graph.nodes)
    inputs = set(graph.inputs)
    specs = {
        key: attrs.evolve(spec, dtype="float32") if spec.dtype in _HALF and key not in inputs else spec
        for key, spec in graph.specs.items()
    }
    return attrs.evolve(graph, nodes=nodes, specs=specs)


def _is_half(node: Node) -> bool:
    return getattr(node.operation, "compute_dtype", None) in _HALF


def _widened(node: Node) -> Node:
    wide = twin(node.operation, _dtype_policy=keras.DTypePolicy("float32"))
    return attrs.evolve(node, reference=lambda: wide)
