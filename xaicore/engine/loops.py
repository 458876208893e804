"""The one loop of methods that evaluate a model many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from xaicore.protocols import Tensors


def accumulate(n: int | tf.Tensor, step: Callable[[tf.Tensor], Tensors], zeros: Tensors | None = None) -> Tensors:
    """Return sum over k < n of step(k), one tensor per tensor of ``step(k)``.

    Law: one trace of ``step``; memory does not depend on n, because terms are added as they come and never stacked, and
    one iteration runs at a time.  The order of the sum is k = 0, 1, ...: the same numbers give the same bits.

    Args:
        n: Number of terms, an int or a scalar integer tensor.
        step: k, a scalar int32 tensor -> a tuple of tensors whose shapes do not depend on k.
        zeros: Where the sums start, shaped like the terms.  None: found from a trace of ``step``; for steps whose
            results are shaped unlike any tensor at hand, such as a filter that sums over channels.
    """
    if zeros is None:
        step, zeros, invariants = _shaped(step)
    else:
        zeros = tuple(zeros)
        invariants = tuple(z.shape for z in zeros)

    def body(k: tf.Tensor, sums: Tensors) -> tuple[tf.Tensor, Tensors]:
        terms = step(k)
        added = tuple(s + tf.cast(t, s.dtype) for s, t in zip(sums, terms, strict=True))
        return k + 1, tuple(tf.ensure_shape(a, shape) for a, shape in zip(added, invariants, strict=True))

    _, sums = tf.while_loop(
        lambda k, _: k < n,
        body,
        (tf.constant(0), zeros),
        shape_invariants=(tf.TensorShape([]), invariants),
        parallel_iterations=1,
    )
    return tuple(sums)


def _shaped(
    step: Callable[[tf.Tensor], Tensors],
) -> tuple[Callable[[tf.Tensor], Tensors], Tensors, tuple[tf.TensorShape, ...]]:
    """Return the step as a function traced once, zeros to start from, and the shapes of its results.

    A length that is unknown before the run starts as 1 and is broadcast by the first term.
    """
    traced = tf.function(step, autograph=False, input_signature=[tf.TensorSpec((), tf.int32)]).get_concrete_function()
    shapes = tuple(tf.TensorShape(t.shape) for t in traced.structured_outputs)
    zeros = tuple(
        tf.zeros([1 if d is None else d for d in shape], t.dtype)
        for shape, t in zip(shapes, traced.structured_outputs, strict=True)
    )
    return traced, zeros, shapes
