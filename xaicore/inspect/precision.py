"""Models of half precision, computed in float32: relevance is made of quotients, and half has three digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import keras

from xaicore.inspect.twins import deep_twin

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node

_HALF = frozenset({"float16", "bfloat16"})


def half_sites(graph: Graph) -> tuple[str, ...]:
    """Return the sites whose layers, or layers inside of them, compute in half precision."""
    return tuple(str(node.site) for node in graph.nodes if _is_half(node))


def in_float32(graph: Graph) -> Graph:
    """Return the graph with its layers of half precision computing in float32, from the same variables.

    The layers themselves are only read: each is replaced by a deep twin of another dtype policy, so that cells of
    loops and layers inside of an operation that is no graph follow.
    """
    nodes = tuple(_widened(node) if _is_half(node) else node for node in graph.nodes)
    specs = {
        key: attrs.evolve(spec, dtype="float32") if spec.dtype in _HALF else spec for key, spec in graph.specs.items()
    }
    return attrs.evolve(graph, nodes=nodes, specs=specs)


def _is_half(node: Node) -> bool:
    operation = node.operation
    if not isinstance(operation, keras.layers.Layer):
        return bool(_widening(operation))
    return any(map(_widening, operation._flatten_layers()))  # noqa: SLF001  # no public way that enters all layers


def _widening(operation: keras.Operation) -> dict[str, object]:
    """Return what a twin of an operation has to have to compute in float32; nothing where it does already."""
    if getattr(operation, "compute_dtype", None) in _HALF:
        return {"_dtype_policy": keras.DTypePolicy("float32")}
    # A cast that is an operation of its own.
    told = operation.__dict__.get("dtype")
    return {"dtype": "float32"} if told in _HALF else {}


def _widened(node: Node) -> Node:
    twins = deep_twin(node.operation, _widening)
    wide = twins.operation
    inner = tuple(attrs.evolve(one, operation=twins.by_original[id(one.operation)]) for one in node.inner)
    return attrs.evolve(node, reference=lambda: wide, inner=inner)
