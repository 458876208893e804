"""Sizes of a graph's tensors where lengths of its inputs are free: what follows from one length for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import keras
from keras import layers

from xaicore.inspect import einsum
from xaicore.inspect.nodes import Spec
from xaicore.inspect.opaque import fill
from xaicore.inspect.untouched import untouched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xaicore.inspect.nodes import Graph, Node

# Enough for what halves its input five times.
PROBE = 128


def is_free(spec: Spec) -> bool:
    """Return whether a length is not known, the number of samples aside."""
    return None in spec.shape[1:]


def at_probe(graph: Graph, nodes: Sequence[Node], specs: Mapping[int, Spec]) -> Mapping[int, Spec] | None:
    """Return the specs with every length known, or None where an operation cannot take this length.

    Some that Keras does not tell follow from the inputs alone: an EinsumDense with a None in its output_shape.

    Args:
        graph: Whose inputs get the length ``PROBE`` wherever theirs is free.
        nodes: All operations whose outputs are wanted, in execution order.
        specs: What is known of each tensor.
    """
    known = {key: spec for key, spec in specs.items() if not is_free(spec)}
    for key in graph.inputs:
        batch, *sizes = specs[key].shape
        known[key] = attrs.evolve(specs[key], shape=(batch, *(PROBE if n is None else n for n in sizes)))
    for node in nodes:
        if any(key not in known for key in node.outputs):
            try:
                known.update(zip(node.outputs, _made_by(node, known), strict=True))
            except Exception:  # noqa: BLE001  # user code may raise anything on shapes that it was not made for
                return None
    needed = (key for node in nodes for key in (*node.inputs, *node.outputs))
    return None if any(key not in known or is_free(known[key]) for key in needed) else known


def _made_by(node: Node, specs: Mapping[int, Spec]) -> list[Spec]:
    operation = node.operation
    if isinstance(operation, layers.EinsumDense):
        given = specs[node.inputs[0]]
        return [attrs.evolve(given, shape=einsum.output_shape(operation, given.shape))]
    symbols = {key: keras.KerasTensor(specs[key].shape, specs[key].dtype) for key in node.inputs}
    args, kwargs = fill(node.args, node.kwargs, symbols)
    with untouched(operation):
        made = keras.tree.flatten(operation.compute_output_spec(*args, **kwargs))
    return [Spec(tuple(one.shape), one.dtype) for one in made]
