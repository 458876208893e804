"""Layers and their activations told apart: one node for ``z = x W + b``, one for ``y = activation(z)``.

A function of graphs, as the stripping of a head is: the user's layers are only read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs
import keras
from keras import layers

from xaicore.inspect.affine import is_affine, twin
from xaicore.inspect.kinds import activation_of, kind
from xaicore.inspect.nodes import Ref, Site

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node, Spec

_ACTIVATION = re.compile(r"/activation(\[\d+\])?$")
WITH_ACTIVATION = frozenset({"conv", "dense", "norm"})


def activations_apart(graph: Graph) -> Graph:
    """Return the graph with the activation of every affine layer as a node of its own.

    The layer keeps its site, with its pre-activation as output; the activation gets ``site/activation``.
    """
    specs = dict(graph.specs)
    nodes = tuple(part for node in graph.nodes for part in apart(node, specs))
    return attrs.evolve(graph, nodes=nodes, specs=specs)


def layer_of(site: str) -> str:
    """Return the site of the layer whose activation a site is: ``conv[1]`` of ``conv/activation[1]``; else the site."""
    return _ACTIVATION.sub(r"\1", site)


def apart(node: Node, specs: dict[int, Spec]) -> tuple[Node, ...]:
    """Return a layer without its activation, and the activation; the node itself where it has none.

    specs: of all tensors; that of the pre-activation is added.
    """
    operation = node.operation
    activation = activation_of(operation)
    if kind(operation) not in WITH_ACTIVATION or activation is None or not is_affine(operation):
        return (node,)
    bare = twin(operation, activation=keras.activations.linear)
    after = (
        activation
        if isinstance(activation, keras.Operation)
        else layers.Activation(activation, dtype=operation.dtype_policy)
    )
    (made,) = node.outputs
    between = max(specs) + 1
    specs[between] = specs[made]
    site = Site(f"{node.site.path}/activation", node.site.call)
    first = attrs.evolve(node, reference=lambda: bare, outputs=(between,))
    alone = attrs.evolve(node, folded=(), whole=None)
    second = attrs.evolve(alone, site=site, reference=lambda: after, args=(Ref(between),), kwargs={}, outputs=(made,))
    return (first, second)
