"""A loop of rounds that samples leave when they are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import tensorflow as tf

if TYPE_CHECKING:
    from xaicore.protocols import Tensors

# (number of the round, numbers of the samples that are not done, their state) ->
# (their new state, their results so far, which of them go on)
Round: TypeAlias = "Callable[[tf.Tensor, tf.Tensor, Tensors], tuple[Tensors, Tensors, tf.Tensor]]"


def refine(most: int, state: Tensors, results: Tensors, one_round: Round) -> Tensors:
    """Return the results of all samples, after as many rounds as each needed and at most ``most``.

    Law: one trace of the round; what a sample gets does not depend on when the others are done.

    Args:
        most: Largest number of rounds.
        state: What a round hands on to the next, one row per sample.
        results: Where results are put, one row per sample; the last round of a sample counts.
        one_round: Runs one.
    """
    batch = tf.shape(results[0])[0]

    def body(number: tf.Tensor, active: tf.Tensor, state: Tensors, kept: Tensors) -> tuple[object, ...]:
        after, found, going = one_round(number, active, state)
        kept = _put(kept, active, found)
        left = tuple(tf.boolean_mask(s, going) for s in after)
        return number + 1, tf.boolean_mask(active, going), left, kept

    _, _, _, kept = tf.while_loop(
        lambda number, active, *_: (number < most) & (tf.size(active) > 0),
        body,
        (tf.constant(0), tf.range(batch), tuple(state), tuple(results)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), _free(state), _free(results)),
        parallel_iterations=1,
    )
    return tuple(kept)


def _put(kept: Tensors, rows: tf.Tensor, found: Sequence[tf.Tensor]) -> Tensors:
    """Return tensors with some rows replaced."""
    return tuple(tf.tensor_scatter_nd_update(k, rows[:, None], f) for k, f in zip(kept, found, strict=True))


def _free(tensors: Tensors) -> tuple[tf.TensorShape, ...]:
    return tuple(tf.TensorShape([None, *t.shape[1:]]) for t in tensors)
