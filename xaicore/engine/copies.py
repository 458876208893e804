"""Methods that explain many changed copies of each sample: one weighted sum, several copies in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs
import tensorflow as tf

from xaicore.engine.loops import accumulate
from xaicore.engine.target import Target

if TYPE_CHECKING:
    from xaicore.engine.program import Program
    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Step, Tensors

# Most numbers that the outputs of all operations may hold in one pass (32 MB in float32), and most rows: below this
# a pass of a small model is mostly the cost of starting its operations, above it the pass grows with its rows, and
# faster than they do once it leaves the cache: with 64 MB, convolutions on 96 x 96 pixels take an eighth longer.
_ROOM = 2**23
_ROWS = 1024

# A tensor with one row per sample -> one row per copy.
Repeat: TypeAlias = "Callable[[tf.Tensor], tf.Tensor]"
# (repeat, number of the copy for each row, id for each row) -> the changed inputs, one row per copy.
Change: TypeAlias = "Callable[[Repeat, tf.Tensor, tf.Tensor], Tensors]"


def weighted_sum(
    attribute: Callable[[Program], Step],
    program: Program,
    target: Target,
    ids: tf.Tensor,
    weights: tf.Tensor,
    change: Change,
    *,
    scale: Change | None = None,
    rows: int | None = None,
) -> Tensors:
    """Return sum over k of weights[k] * s_k * A(x_k), where x_k is the k-th changed copy of the inputs.

    Law: the same to rounding as one copy at a time.  Memory does not depend on the number of copies: of a small model
    several run in one pass, as long as they fit into a fixed room; of a large one each runs alone.  Where all copies
    of as many samples as are ever given fit (``Program.at_most``), there is no loop, which takes long to compile.

    Args:
        attribute: Makes the step of the analyzer that explains the copies.
        program: The model.
        target: Fixed: "max" has been decided (``Target.anchor``).
        ids: int64 (batch,).
        weights: (n,); or (n, m), for m sums at once: axis 1 of every result has length m then.
        change: Makes the copies of one pass.
        scale: Factors s_k, shaped like the attributions; none for 1.
        rows: Rows that may go through the model at once.  None: what fits into the fixed room.
    """
    n = tf.shape(weights)[0] if weights.shape[0] is None else weights.shape[0]
    at_once = _all_copies(program, n, rows)
    batch = tf.size(ids)
    count = _balanced(n, (rows or rows_per_pass(program.graph)) // batch) if at_once is None else n

    # One gather each; `tf.repeat` builds eight operations.
    places = tf.range(batch * count)
    samples, turns = places // count, places % count

    def repeat(tensor: tf.Tensor) -> tf.Tensor:
        return tf.gather(tensor, samples)

    step = attribute(_given(program, tuple(repeat(t) for t in program.context), at_once))
    repeated = Target(target.spec, None if target.index is None else repeat(target.index))
    same = repeat(ids)

    def explained(k: tf.Tensor, share: tf.Tensor) -> Tensors:
        found = step(change(repeat, k, same), repeated, same).attributions
        if scale is not None:
            found = tuple(a * tf.cast(s, a.dtype) for a, s in zip(found, scale(repeat, k, same), strict=True))
        return tuple(_weighted(a, share, batch) for a in found)

    if at_once is not None:
        return explained(turns, weights)
    # Past the last copy its number is met again, with weight 0; there are fewer than n such.
    free = weights.shape.rank - 1
    padded = tf.pad(weights, [[0, n]] + [[0, 0]] * free)

    def one_pass(number: tf.Tensor) -> Tensors:
        first = number * count
        return explained(
            tf.minimum(first + turns, n - 1), tf.slice(padded, [first] + [0] * free, [count, *weights.shape[1:]])
        )

    return accumulate((n - 1) // count + 1, one_pass, _zeros(program, batch, weights.shape[1:]))


def samples_in_one_pass(program: Program, copies: int) -> int:
    """Return of how many samples all copies fit into one pass; 0 where there are no copies, or fewer would fit."""
    return rows_per_pass(program.whole) // copies if copies > 1 else 0


def _all_copies(program: Program, n: int | tf.Tensor, rows: int | None) -> int | None:
    """Return how many rows all copies of all samples are at most; None where they may be more than fit."""
    if program.at_most is None or not isinstance(n, int):
        return None
    at_once = program.at_most * n
    # Of the whole model, as for ``samples_in_one_pass``, also where a part of it is explained.
    return at_once if at_once <= (rows or rows_per_pass(program.whole)) else None


def _given(program: Program, context: Tensors, at_most: int | None) -> Program:
    """Return the program for that many copies."""
    given = program.given(context)
    return given if given.at_most == at_most else attrs.evolve(given, at_most=at_most)


def _balanced(n: int | tf.Tensor, fit: tf.Tensor) -> tf.Tensor:
    """Return how many copies run in one pass, where ``fit`` would: so that the last pass is nearly as full."""
    passes = (n - 1) // tf.maximum(tf.minimum(fit, n), 1) + 1
    return (n - 1) // passes + 1


def _zeros(program: Program, batch: tf.Tensor, sums: tf.TensorShape) -> Tensors | None:
    """Return zeros shaped like the explained inputs, which attributions mostly are; None for lengths that are free."""
    graph = program.graph
    specs = [graph.specs[key] for key in graph.inputs[: len(graph.inputs) - len(program.context)]]
    if any(n is None for spec in specs for n in spec.shape[1:]):
        return None
    shapes = [tf.stack([batch, *sums, *spec.shape[1:]]) for spec in specs]
    return tuple(
        tf.ensure_shape(tf.zeros(shape, spec.dtype), [None, *sums, *spec.shape[1:]])
        for shape, spec in zip(shapes, specs, strict=True)
    )


def rows_per_pass(graph: Graph) -> int:
    """Return how many rows may go through the graph at once; 1 where its size is not known before the run."""
    if any(node.inner for node in graph.nodes):
        return 1  # what runs inside is not known
    shapes = [graph.specs[key].shape for node in graph.nodes for key in node.outputs]
    inputs = [graph.specs[key].shape for key in graph.inputs]
    if any(shape[:1] != (None,) for shape in inputs) or any(n is None for s in (*shapes, *inputs) for n in s[1:]):
        return 1
    per_row = sum(math.prod(n or 0 for n in shape[1:]) for shape in (*shapes, *inputs))
    return max(1, min(_ROWS, _ROOM // max(1, per_row)))


def _weighted(rows: tf.Tensor, share: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    """Return the weighted sum over each sample's copies: (batch * copies, ...) -> (batch, ...) or (batch, m, ...)."""
    known = rows.shape[1:].is_fully_defined()
    shape = rows.shape[1:].as_list() if known else tf.shape(rows)[1:]
    count = share.shape[0]
    if count is None:
        count = tf.shape(share)[0] if share.shape.rank > 1 else tf.size(share)
    factors = tf.cast(share, rows.dtype)
    if share.shape.rank > 1:
        apart = tf.reshape(rows, tf.stack([batch, count, -1]))
        sums = tf.matmul(factors, apart, transpose_a=True)
        into = [-1, share.shape[1], *shape] if known else tf.concat([[batch, share.shape[1]], shape], 0)
        return tf.ensure_shape(tf.reshape(sums, into), [None, share.shape[1], *rows.shape[1:]])
    into = [-1, count, *shape] if known else tf.concat([[batch], [count], shape], 0)
    weights = tf.reshape(factors, [-1] + [1] * (rows.shape.rank - 1))
    sums = tf.reduce_sum(tf.reshape(rows, into) * weights, axis=1)
    return sums if known else tf.ensure_shape(sums, [None, *rows.shape[1:]])
