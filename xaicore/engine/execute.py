"""One operation at a time: run it, or run it under its rule and keep what its backward needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import keras
import tensorflow as tf

from xaicore.engine.vjp import vjp
from xaicore.errors import PlanBroken, XaicoreError
from xaicore.inspect.affine import read_affine, twin
from xaicore.inspect.kinds import is_padding
from xaicore.inspect.linear import LinearMap, product_of
from xaicore.inspect.nodes import Ref
from xaicore.inspect.running import run
from xaicore.protocols import OpCall, Relevance, Rule

if TYPE_CHECKING:
    from xaicore.inspect.facts import Facts
    from xaicore.inspect.nodes import Node, Site

# relevance of each output (None for zero) -> relevance of each input, and sinks
Backward = Callable[..., Relevance]
Ran = tuple[list[tf.Tensor], Backward]


@attrs.frozen(eq=False)
class Ruled:
    """A rule at a site: all that is needed to run one call under it."""

    rule: Rule
    site: Site
    operation: keras.Operation
    facts: Facts
    sinks: bool

    def __call__(
        self,
        call: Callable[..., object],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        product: LinearMap | None = None,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...], Backward]:
        """Return the output, the tensors that the call was given, and the rule's backward.

        product: how the call is one of a tensor with a constant, which then is no input but the kernel.
        """
        flat = keras.tree.flatten((args, kwargs))
        carrying = [i for i, leaf in enumerate(flat) if _carries_relevance(leaf)]
        where = carrying if product is None else [product.tensor]

        def whole(*leaves: object) -> object:
            a, k = keras.tree.pack_sequence_as((args, kwargs), list(leaves))
            return call(*a, **k)

        def forward(*tensors: tf.Tensor) -> tf.Tensor:
            filled = list(flat)
            for i, tensor in zip(where, tensors, strict=True):
                filled[i] = tensor
            return whole(*filled)

        affine = read_affine(self.operation) if product is None else product.read(self.operation, whole, flat)
        opcall = OpCall(self.site, self.operation, forward, affine, self.facts, self.sinks)
        inputs = tuple(flat[i] for i in where)
        output, backward = self.rule(opcall, *inputs)
        return output, inputs, backward


def run_gradient(node: Node, tensors: Sequence[tf.Tensor], *, sinks: bool = False) -> Ran:
    """Return the outputs of a node, and its gradient as the backward.

    sinks: account for relevance that falls on numbers which padding put there.
    """
    outputs, pullback = vjp(lambda *x: run(node, x), *tensors)

    def backward(*relevance: tf.Tensor | None) -> Relevance:
        lost = {"padding": _on_padding(node, tensors[0], *relevance)} if sinks and is_padding(node.operation) else {}
        return Relevance(pullback(*relevance), lost)

    return outputs, backward  # type: ignore[return-value]


def _on_padding(node: Node, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
    """Return the relevance that lies where no number of the input stands, (batch,)."""
    (ones,), (zeros,) = run(node, [tf.ones_like(x[:1])]), run(node, [tf.zeros_like(x[:1])])
    outside = relevance * (1 - (ones - zeros))
    return tf.reduce_sum(outside, axis=tf.range(1, tf.rank(outside)))


def run_rule(node: Node, ruled: Ruled, tensors: Sequence[tf.Tensor]) -> Ran:
    """Return the outputs of a node under its rule, and the rule's backward.

    The layer is called as Keras calls it (casts, masks), on a twin whose ``call`` is the rule.
    """
    kept: list[Backward] = []
    given: list[bool] = []  # of the inputs that the rule sees, whether it is a tensor of the graph or a constant
    failed: list[XaicoreError] = []
    product = product_of(node) if ruled.facts.affine else None

    def call(*args: object, **kwargs: object) -> tf.Tensor:
        try:
            output, _, backward = ruled(node.operation.call, args, kwargs, product)
        except XaicoreError as error:
            failed.append(error)
            raise
        kept.append(backward)
        given.extend([True] if product is not None else _given(node, args, kwargs))
        return output

    try:
        (output,) = run(node, tensors, twin(node.operation, call=call))
    except Exception:
        if failed:  # Keras raises another of the same class, with the arguments of the call in its text
            raise failed[0] from None
        raise
    if len(kept) != 1:
        raise PlanBroken(f"{node.site} was planned under {ruled.rule!r}; its call was met {len(kept)} times, not once.")

    def backward(relevance: tf.Tensor) -> Relevance:
        found = kept[0](tf.cast(relevance, output.dtype))
        by_input = iter([r for r, of_graph in zip(found.inputs, given, strict=True) if of_graph])
        # Keras may have cast the inputs to the layer's dtype: hand back what was given.
        relevances = (next(by_input) if x.dtype.is_floating else None for x in tensors)
        cast = tuple(None if r is None else tf.cast(r, x.dtype) for r, x in zip(relevances, tensors, strict=True))
        return Relevance(cast, found.sinks)

    return [output], backward


def _carries_relevance(leaf: object) -> bool:
    # Masks and flags are tensors too, and no relevance belongs to them.
    return isinstance(leaf, tf.Tensor) and bool(leaf.dtype.is_floating)


def _given(node: Node, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[bool]:
    """Return for each input that a rule sees whether it is a tensor of the graph; a constant may stand before it."""
    marks = keras.tree.map_structure(lambda leaf: isinstance(leaf, Ref), (node.args, dict(node.kwargs)))
    more = {name: keras.tree.map_structure(lambda _: False, value) for name, value in kwargs.items()}
    of_graph = keras.tree.flatten((marks[0], {name: marks[1].get(name, no) for name, no in more.items()}))
    flat = keras.tree.flatten((args, dict(kwargs)))
    return [mark for mark, leaf in zip(of_graph, flat, strict=True) if _carries_relevance(leaf)]


def add_sinks(total: dict[str, tf.Tensor], more: Mapping[str, tf.Tensor]) -> None:
    """Add sinks, name by name."""
    for name, value in more.items():
        total[name] = total[name] + value if name in total else value
