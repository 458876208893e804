"""Facts about each operation that are known before any number is: kind, first, last, signs of the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import keras
from keras import layers

from xaicore.inspect.affine import is_affine
from xaicore.inspect.calls import called_kind, gates, keeps_sign
from xaicore.inspect.kinds import activation_of, is_bounded, is_nonnegative, is_relu, kind

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node, Site, Whole

_KERNEL = frozenset({"conv", "dense"})
_KEEPS_INPUT = frozenset({"routing", "identity", "rescaling", "embedding", "interpolation"})
_ROUTES = frozenset({"routing", "identity"})
_KEEPS_BOUND = frozenset({"routing", "identity", "rescaling", "product"})
_MULTIPLIES = frozenset({"product", "bilinear"})
_ACTIVATIONS = frozenset({"activation", "softmax"})
_KEEPS_OUTPUT = frozenset({"routing", "identity", "activation", "softmax"})


@attrs.frozen
class Facts:
    """What is known of one call of an operation.

    kind: see ``xaicore.inspect.kinds``.  affine: it can be read into an affine form.
    relu: it is, or ends in, a ReLU.
    first: a kernel layer that the model's input reaches through padding, reshaping, rescaling, resizing and embedding
        only.
    last: the output reaches the end of the model through reshaping and activations only.
    nonnegative: per input, whether no element can be negative.
    gates: per input of a product, whether it scales the others: see ``xaicore.inspect.calls.gates``.
    contains_kernel: a dense layer or a convolution; a product with a constant is a dense layer.
    classes: names of the operation's class and of its bases; of the layer's where the operation is a stage of one.
    whole: the site of the layer that it is a stage of.
    position: index of the kernel layer that runs here or ran last, counted from 0 in execution order; the stages of a
        layer count as one.
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
    whole: Site | None = None
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
    counted: Whole | None = None  # the layer that a stage was last counted for
    for node in graph.nodes:
        raw = bool(node.inputs) and all(key in from_input for key in node.inputs)
        operation, name = node.operation, called_kind(graph, node, raw=raw)
        for inner in node.inner:
            kernels += kind(inner.operation) in _KERNEL
            facts[inner.site] = attrs.evolve(alone(inner.operation), position=max(0, kernels - 1))
        written = name in _KERNEL and not isinstance(operation, layers.Layer)  # a dense layer as an operation
        kernels += name in _KERNEL and (node.whole is None or node.whole is not counted)
        counted = node.whole if name in _KERNEL else counted
        own = _of_whole(alone(operation), node)
        facts[node.site] = attrs.evolve(
            own,
            kind=name,
            affine=own.affine or written,
            contains_kernel=own.contains_kernel or written,
            first=raw and name in _KERNEL,
            last=bool(last & set(node.outputs)),
            nonnegative=tuple(key in nonnegative for key in node.inputs),
            gates=gates(graph, node, bounded) if name in _MULTIPLIES else (),
            position=max(0, kernels - 1),
        )
        if is_bounded(activation_of(operation)) or (
            name in _KEEPS_BOUND and len(node.inputs) == 1 and node.inputs[0] in bounded
        ):
            bounded |= set(node.outputs)
        if raw and name in _KEEPS_INPUT:
            from_input |= set(node.outputs)
        rectifies = name not in _ROUTES and is_nonnegative(activation_of(operation))
        if rectifies or keeps_sign(node, name, nonnegative):
            nonnegative |= set(node.outputs)
    return {**facts, **_with_followers(graph, facts)}


def alone(operation: keras.Operation) -> Facts:
    """Return what an operation tells without its surroundings."""
    name = kind(operation)
    return Facts(
        name,
        is_affine(operation),
        # The call of a quantised layer is another one, which no rule meets.
        is_relu(activation_of(operation)) and getattr(operation, "quantization_mode", None) is None,
        nonnegative=(False,),
        contains_kernel=name in _KERNEL,
        classes=_classes(operation),
    )


def _of_whole(facts: Facts, node: Node) -> Facts:
    """Return the facts of a stage with the class and the site of its layer: the user's model has no other."""
    whole = node.whole
    return facts if whole is None else attrs.evolve(facts, classes=_classes(whole.operation), whole=whole.site)


def _classes(operation: keras.Operation) -> tuple[str, ...]:
    return tuple(cls.__name__ for cls in type(operation).__mro__)


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


def _last(graph: Graph) -> set[int]:
    keys = set(graph.outputs)
    for node in reversed(graph.nodes):
        if keys & set(node.outputs) and kind(node.operation) in _KEEPS_OUTPUT:
            keys |= set(node.inputs)
    return keys
