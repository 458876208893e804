"""Facts about each operation that are known before any number is: kind, first, last, signs of the inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import keras
from keras import layers

from xaicore.inspect.affine import is_affine
from xaicore.inspect.kinds import activation_of, is_bounded, is_nonnegative, is_relu, kind

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node, Site

_KERNEL = frozenset({"conv", "dense"})
_KEEPS_SIGN = frozenset({"routing", "identity", "max_pooling", "average_pooling", "sum"})
_KEEPS_INPUT = frozenset({"routing", "identity", "rescaling"})
_ROUTES = frozenset({"routing", "identity"})
_KEEPS_BOUND = frozenset({"routing", "identity", "rescaling", "product"})
_ACTIVATIONS = frozenset({"activation", "softmax"})
_KEEPS_OUTPUT = frozenset({"routing", "identity", "activation", "softmax"})


@attrs.frozen
class Facts:
    """What is known of one call of an operation.

    kind: see ``xaicore.inspect.kinds``.  affine: it can be read into an affine form.
    relu: it is, or ends in, a ReLU.
    first: a kernel layer that the model's input reaches through padding, reshaping and rescaling only.
    last: the output reaches the end of the model through reshaping and activations only.
    nonnegative: per input, whether no element can be negative.
    gates: per input of a product, whether it scales the others: it comes from an activation that is bounded on both
        sides, or is broadcast to them.
    contains_kernel: a dense layer or a convolution.
    classes: names of the operation's class and of its bases.
    position: index of the kernel layer that runs here or ran last, counted from 0 in execution order.
    followers: site and facts of the operations that get the output, past those that only route; an operation's own
        activation comes first.
    weighted: relevance of the output is 0 wherever the output is 0 (set by the plan: it depends on the rules).
    """

    kind: str
    affine: bool = False
    relu: bool = False
    first: bool = False
    last: bool = False
    nonnegative: tuple[bool, ...] = ()
    gates: tuple[bool, ...] = ()
    contains_kernel: bool = False
    classes: tuple[str, ...] = attrs.field(default=(), repr=False)
    position: int = 0
    followers: tuple[tuple[Site, Facts], ...] = attrs.field(default=(), repr=False)
    weighted: bool = False


def facts_of(graph: Graph) -> Mapping[Site, Facts]:
    """Return the facts of every site of a graph, those inside of opaque operations too."""
    nonnegative: set[int] = set()
    from_input = set(graph.inputs)
    last = _last(graph)
    bounded: set[int] = set()
    facts: dict[Site, Facts] = {}
    kernels = 0
    for node in graph.nodes:
        operation, name = node.operation, kind(node.operation)
        raw = bool(node.inputs) and all(key in from_input for key in node.inputs)
        for inner in node.inner:
            kernels += kind(inner.operation) in _KERNEL
            facts[inner.site] = attrs.evolve(alone(inner.operation), position=max(0, kernels - 1))
        kernels += name in _KERNEL
        facts[node.site] = attrs.evolve(
            alone(operation),
            first=raw and name in _KERNEL,
            last=bool(last & set(node.outputs)),
            nonnegative=tuple(key in nonnegative for key in node.inputs),
            gates=_gates(graph, node, bounded) if name == "product" else (),
            position=max(0, kernels - 1),
        )
        if is_bounded(activation_of(operation)) or (
            name in _KEEPS_BOUND and len(node.inputs) == 1 and node.inputs[0] in bounded
        ):
            bounded |= set(node.outputs)
        if raw and name in _KEEPS_INPUT:
            from_input |= set(node.outputs)
        if _is_nonnegative(node, name, nonnegative):
            nonnegative |= set(node.outputs)
    return {**facts, **_with_followers(graph, facts)}


def _gates(graph: Graph, node: Node, bounded: set[int]) -> tuple[bool, ...]:
    """Return which inputs of a product are gates; none of them where all would be."""
    sizes = [math.prod(n or 1 for n in graph.specs[key].shape[1:]) for key in node.inputs]
    found = tuple(key in bounded or size < max(sizes) for key, size in zip(node.inputs, sizes, strict=True))
    return found if not all(found) else (False,) * len(found)


def alone(operation: keras.Operation) -> Facts:
    """Return what an operation tells without its surroundings."""
    name = kind(operation)
    return Facts(
        name,
        is_affine(operation),
        is_relu(activation_of(operation)),
        nonnegative=(False,),
        contains_kernel=name in _KERNEL,
        classes=tuple(cls.__name__ for cls in type(operation).__mro__),
    )


def _with_followers(graph: Graph, facts: Mapping[Site, Facts]) -> dict[Site, Facts]:
    """Return the facts of nodes with what follows them."""
    follow: dict[int, tuple[tuple[Site, Facts], ...]] = {}
    found: dict[Site, Facts] = {}
    for node in reversed(graph.nodes):
        after = tuple(dict.fromkeys(one for key in node.outputs for one in follow.get(key, ())))
        own, activation = facts[node.site], activation_of(node.operation)
        fused = () if activation is None or own.kind in _ACTIVATIONS else (_fused(node.site, activation),)
        found[node.site] = attrs.evolve(own, followers=(*fused, *after))
        handed = after if own.kind in _ROUTES else ((node.site, own),)
        for key in node.inputs:
            follow[key] = (*follow.get(key, ()), *handed)
    return found


def _fused(site: Site, activation: object) -> tuple[Site, Facts]:
    """Return site and facts of an activation that a layer ends in, as if it were a layer of its own."""
    layer = activation if isinstance(activation, keras.Operation) else layers.Activation(activation)
    return attrs.evolve(site, path=f"{site.path}/activation"), alone(layer)


def _is_nonnegative(node: Node, name: str, nonnegative: set[int]) -> bool:
    operation = node.operation
    if name not in {"identity", "routing"} and is_nonnegative(activation_of(operation)):
        return True
    if name not in _KEEPS_SIGN or not node.inputs or not all(key in nonnegative for key in node.inputs):
        return False
    if isinstance(operation, layers.Subtract) or type(operation).__name__ == "Subtract":
        return False
    if type(operation).__name__ == "Pad":
        return not getattr(operation, "constant_values", None)  # pads with zeros, or with the tensor's own values
    # A sum with a constant may be negative; every tensor that it adds is among the inputs otherwise.
    return (
        name != "sum" or isinstance(operation, layers.Layer) or len(keras.tree.flatten(node.args)) == len(node.inputs)
    )


def _last(graph: Graph) -> set[int]:
    keys = set(graph.outputs)
    for node in reversed(graph.nodes):
        if keys & set(node.outputs) and kind(node.operation) in _KEEPS_OUTPUT:
            keys |= set(node.inputs)
    return keys
