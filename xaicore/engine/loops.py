"""The one loop of methods that evaluate a model many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from xaicore.protocols import Tensors


class _OtherShape(Exception):
    """The terms of a sum are not shaped like the zeros that it was to start from."""


def accumulate(n: int | tf.Tensor, step: Callable[[tf.Tensor], Tensors], zeros: Tensors | None = None) -> Tensors:
    """Return sum over k < n of step(k), one tensor per tensor of ``step(k)``.

    Law: one loop; memory does not depend on n, because terms are added as they come and never stacked, and
    one iteration runs at a time.  The order of the sum is k = 0, 1, ...: the same numbers give the same bits.

    Args:
        n: Number of terms, an int or a scalar integer tensor.
        step: k, a scalar int32 tensor -> a tuple of tensors whose shapes do not depend on k.
        zeros: Where the sums start if the terms are shaped like them, which spares a function inside the trace.  None,
            or of other shapes or dtypes: found from a trace of ``step``, as for a filter that sums over channels.
    """
    if zeros is not None:
        try:
            return _loop(n, _alike(step, zeros), zeros, tuple(z.shape for z in zeros))
        except _OtherShape:
            pass
    return _loop(n, *_shaped(step))


def _alike(step: Callable[[tf.Tensor], Tensors], zeros: Tensors) -> Callable[[tf.Tensor], Tensors]:
    """Return the step; it raises while it is traced where its terms are not shaped like the zeros."""

    def checked(k: tf.Tensor) -> Tensors:
        terms = tuple(step(k))
        if [(t.dtype, t.shape.as_list()) for t in terms] != [(z.dtype, z.shape.as_list()) for z in zeros]:
            raise _OtherShape
        return terms

    return checked


def _loop(
    n: int | tf.Tensor, step: Callable[[tf.Tensor], Tensors], zeros: Tensors, shapes: tuple[tf.TensorShape, ...]
) -> Tensors:
    def body(k: tf.Tensor, sums: Tensors) -> tuple[tf.Tensor, Tensors]:
        added = tuple(s + t for s, t in zip(sums, step(k), strict=True))
        return k + 1, tuple(tf.ensure_shape(a, shape) for a, shape in zip(added, shapes, strict=True))

    _, sums = tf.while_loop(
        lambda k, _: k < n,
        body,
        (tf.constant(0), tuple(zeros)),
        shape_invariants=(tf.TensorShape([]), shapes),
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
