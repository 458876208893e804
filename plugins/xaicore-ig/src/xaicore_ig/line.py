"""The straight line that a path integral follows, behind the part of the model in which it stays straight."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.copies import Change, Repeat
    from xaicore.engine.program import Program
    from xaicore.protocols import Tensors


@attrs.frozen(eq=False)
class Line:
    """What is left to do at every point.

    program: the model from where the line is followed.  start, end: the line's ends there.
    finish: sums of gradients along the line -> attributions of the inputs, ``(x - b) * (their pullback)``.
    """

    program: Program
    start: Tensors
    end: Tensors
    finish: Callable[[Tensors], Tensors]

    def points(self, nodes: tf.Tensor) -> Change:
        """Return what makes the k-th points, ``start + t_k (end - start)``.  nodes: (n,)."""
        import tensorflow as tf

        deltas = tuple(x - b for b, x in zip(self.start, self.end, strict=True))

        def between(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # nothing is random here
            t = tf.gather(nodes, k)
            pairs = zip(self.start, deltas, strict=True)
            return tuple(repeat(b) + tf.cast(along(t, d), d.dtype) * repeat(d) for b, d in pairs)

        return between


def line(program: Program, start: Tensors, end: Tensors, *, prefix: bool) -> Line:
    """Return the line from start to end.

    prefix: whether to leave out the affine part of the program where that pays.  There the line is straight as well:
    its two ends give every point, and its pullback is applied once, to the sum.
    """
    from xaicore.engine.prefix import without_prefix
    from xaicore.engine.sweep import or_zeros
    from xaicore.engine.vjp import vjp

    def times_change(gradients: Tensors) -> Tensors:
        return tuple((x - b) * g for b, x, g in zip(start, end, gradients, strict=True))

    parts = without_prefix(program, len(end)) if prefix else None
    if parts is None:
        return Line(program, start, end, times_change)
    head, tail = parts
    ends, pullback = vjp(lambda *inputs: head(inputs), *end)

    def finish(sums: Tensors) -> Tensors:
        return times_change(tuple(or_zeros(g, x) for g, x in zip(pullback(*sums), end, strict=True)))

    return Line(tail, head(start), ends, finish)  # type: ignore[arg-type]  # head returns a tuple


def along(rows: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Return a number for each row with axes of length 1, so that it broadcasts to a tensor (batch, ...)."""
    import tensorflow as tf

    return tf.reshape(rows, [-1] + [1] * (like.shape.rank - 1))


def total(attributions: Tensors, dtype: tf.DType) -> tf.Tensor:
    """Return the sum over all explained tensors, (batch,)."""
    import tensorflow as tf

    return tf.add_n([tf.reduce_sum(tf.cast(a, dtype), axis=list(range(1, a.shape.rank))) for a in attributions])
