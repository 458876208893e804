"""What a search returns: counterfactuals, what the model says of them, and how far they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.protocols import Attribution
from xaicore_cf.judge import repeated
from xaicore_cf.predictions import with_head
from xaicore_cf.samples import split
from xaicore_cf.sparse import restored

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.protocols import Tensors
    from xaicore_cf.copies import Best, Copies, Given
    from xaicore_cf.judge import Judge


def result(
    judge: Judge,
    program: Program,
    found: Best,
    given: Given,
    inputs: Tensors,
    *,
    scores: tf.Tensor,
    already: tf.Tensor,
) -> Attribution:
    """Return the attribution of the best counterfactuals.

    given: of the samples, n rows each.  scores: (batch,), the target's at the inputs.  already: bool (batch,).
    """
    import tensorflow as tf

    n = judge.settings.n
    if judge.settings.restore:
        found = found._replace(kept=restored(judge, found.kept, given))
    rows = tf.reshape(found.kept, [-1, found.kept.shape[2] or tf.shape(found.kept)[2]])
    origin = given.origin(judge.box)
    seen = judge.look(rows, given.original, given.index)
    distance = judge.settings.cost(rows, original=origin, outputs=seen.logits, target=seen.target)
    # The search has checked the very point, in a batch of another size; with several, each is checked for itself.
    valid = found.valid
    if n > 1:
        valid = (judge.valid(rows, seen, given) & ~repeated(rows, n)) | tf.repeat(already, n)
    away = rows - origin
    per_row = {
        "valid": valid,
        "distance": distance,
        "l1": tf.reduce_sum(tf.abs(away), axis=1),
        "l2": tf.norm(away, axis=1),
        "outputs": with_head(program).outputs(split(rows, inputs)),
    }
    per_row |= dict(zip(_names(program.graph.input_names), split(rows, inputs), strict=True))
    changes = split(away, inputs)
    if n > 1:
        order = tf.argsort(tf.reshape(tf.where(valid, distance, tf.constant(float("inf"), distance.dtype)), [-1, n]))
        per_row = {name: _ordered(value, order, n) for name, value in per_row.items()}
        changes = tuple(_ordered(value, order, n)[:, 0] for value in changes)
    extras = per_row | {"already": already, "C": found.weight, "iterations": found.steps}
    if judge.box.pertinent == "positive" and len(inputs) == 1:  # whose changes are counted from the baseline
        extras["originals"] = inputs[0]
    return Attribution(changes, scores, extras)


def completed(judge: Judge, found: Best, copies: Copies, given: Given) -> Best:
    """Return the best n of each sample, those that will not do or are another once more replaced by any other met.

    Of categories and whole numbers there may be few that will do, and they are rarely met at the same time.
    given: of the samples, as many rows each as there are copies and n more.
    """
    import tensorflow as tf

    n, count = judge.settings.n, judge.settings.searches + judge.settings.n
    every = tf.concat([found.kept, tf.reshape(copies.kept, [-1, count - n, tf.shape(copies.kept)[1]])], axis=1)
    rows = tf.ensure_shape(tf.reshape(every, tf.shape(given.original)), given.original.shape)
    fresh = judge.valid(rows, judge.look(rows, given.original, given.index), given) & ~repeated(rows, count)
    order = tf.argsort(tf.cast(~tf.reshape(fresh, [-1, count]), tf.int32), stable=True)[:, :n]
    return found._replace(kept=tf.ensure_shape(tf.gather(every, order, batch_dims=1), found.kept.shape))


def _ordered(value: tf.Tensor, order: tf.Tensor, n: int) -> tf.Tensor:
    """Return (batch, n, ...) of (batch * n, ...), each sample's in an order."""
    import tensorflow as tf

    together = tf.reshape(value, tf.concat([[-1, n], tf.shape(value)[1:]], 0))
    return tf.ensure_shape(tf.gather(together, order, batch_dims=1), [None, n, *value.shape[1:]])


def _names(inputs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names under which the counterfactuals of the inputs are found."""
    return ("counterfactuals",) if len(inputs) == 1 else tuple(f"counterfactuals_{name}" for name in inputs)
