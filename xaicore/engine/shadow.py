"""Rules inside of operations that are no graph: the layers inside are met by shadowing their ``call``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs
import tensorflow as tf

from xaicore.engine.execute import Backward, Ran, Ruled, add_sinks
from xaicore.errors import PlanBroken
from xaicore.inspect.opaque import leaves, shadowed
from xaicore.inspect.running import run
from xaicore.protocols import Relevance

if TYPE_CHECKING:
    import keras

    from xaicore.engine.plan import Plan
    from xaicore.inspect.nodes import Inner, Node


@attrs.frozen(eq=False)
class Met:
    """One call of a ruled layer: what it was given, what it returned, and its backward."""

    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor
    backward: Backward


def run_opaque(node: Node, plan: Plan, tensors: Sequence[tf.Tensor], *, sinks: bool) -> Ran:
    """Run an operation that is no graph: rules for the layers inside, the gradient for what is between them.

    Every ruled layer's output starts afresh on one tape.  The backward goes from the outputs back to the last
    such output, through that layer's rule to what it was given, and so on to the first, and to the inputs.
    """
    met: list[Met] = []
    calls: list[Inner] = []
    tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)

    def wrapper(layer: keras.Operation, call: Callable[..., object], *args: object, **kwargs: object) -> object:
        inner = _planned(node, layer, len(calls))
        calls.append(inner)
        rule = plan.rules.get(inner.site)
        if rule is None:
            return call(*args, **kwargs)
        with tape.stop_recording():
            ruled = Ruled(rule, inner.site, layer, plan.facts[inner.site], sinks)
            output, inputs, backward = ruled(call, args, kwargs)
            fresh = tf.stop_gradient(output)
        tape.watch(fresh)
        met.append(Met(inputs, fresh, backward))
        return fresh

    with tape:
        tape.watch([x for x in tensors if x.dtype.is_floating])
        with shadowed(leaves(node.operation), wrapper):
            outputs = run(node, tensors)
    if len(calls) != len(node.inner):
        raise PlanBroken(f"{node.site}: {len(node.inner)} calls inside were planned, {len(calls)} ran.")

    def backward(*relevance: tf.Tensor | None) -> Relevance:
        targets = [y for y, r in zip(outputs, relevance, strict=True) if r is not None]
        given = [r for r in relevance if r is not None]
        lost: dict[str, tf.Tensor] = {}
        for one in reversed(met):
            reached = tape.gradient(targets, one.output, output_gradients=given)
            if reached is None:
                continue
            found = one.backward(reached)
            pairs = [(x, r) for x, r in zip(one.inputs, found.inputs, strict=True) if r is not None]
            targets, given = targets + [x for x, _ in pairs], given + [r for _, r in pairs]
            add_sinks(lost, found.sinks)
        return Relevance(tuple(tape.gradient(targets, list(tensors), output_gradients=given)), lost)

    return outputs, backward


def _planned(node: Node, layer: keras.Operation, index: int) -> Inner:
    inner = node.inner[index] if index < len(node.inner) else None
    if inner is None or inner.operation is not layer:
        expected = "no further call" if inner is None else f"a call of {inner.site}"
        raise PlanBroken(f"{node.site}: {layer.name!r} was called where the plan expected {expected}.")
    return inner
