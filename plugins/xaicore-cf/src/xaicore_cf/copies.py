"""Copies: each sample is searched several times at once, with several weights and from several starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import Tensors
    from xaicore_cf.counterfactual import Counterfactual
    from xaicore_cf.samples import Box


class Copies(NamedTuple):
    """What changes, one row per copy.

    x, kept: (rows, features), where the copy is, and the best that it has met: while it has met nothing valid, the
    point of smallest prediction cost.  distance: cost of ``kept``, infinite before anything valid.  effort: its
    prediction cost before that.  weight: C.  scale: factor on the steps.  inside: whether it was valid last.
    left, since: how often it has left the class, and how many iterations it has made, since it came nearer.
    steps: iterations so far, int32.  optimizer: the optimizer's state.
    """

    x: tf.Tensor
    kept: tf.Tensor
    distance: tf.Tensor
    effort: tf.Tensor
    weight: tf.Tensor
    scale: tf.Tensor
    inside: tf.Tensor
    left: tf.Tensor
    since: tf.Tensor
    steps: tf.Tensor
    optimizer: Tensors


class Given(NamedTuple):
    """What does not change.

    original: (rows, features).  index: int32 (rows, m), the target's.  weight: (rows,), the C to begin with.
    """

    original: tf.Tensor
    index: tf.Tensor
    weight: tf.Tensor


class Seen(NamedTuple):
    """What the model says at a point: logits (rows, classes), class to reach (rows,), slope (rows, features).

    slope: the gradient of the prediction cost by way of the model.
    """

    logits: tf.Tensor
    target: tf.Tensor
    slope: tf.Tensor


def spread(settings: Counterfactual, x: tf.Tensor, index: tf.Tensor) -> Given:
    """Return what is given to the copies: those of one sample one behind the other, start by start, C by C."""
    import tensorflow as tf

    weights = tf.tile(tf.constant(settings.C, x.dtype), [settings.starts * tf.shape(x)[0]])
    return Given(tf.repeat(x, settings.copies, axis=0), tf.repeat(index, settings.copies, axis=0), weights)


def start(settings: Counterfactual, given: Given, box: Box, ids: tf.Tensor) -> Copies:
    """Return the copies before the first iteration, inside the box."""
    import tensorflow as tf

    x, weight = box.hold(_scattered(settings, given.original, ids), given.original), given.weight
    never = tf.fill(tf.shape(weight), tf.constant(float("inf"), x.dtype))
    none = tf.zeros_like(weight, tf.int32)
    return Copies(
        x=x,
        kept=x,
        distance=never,
        effort=never,
        weight=weight,
        scale=tf.ones_like(weight),
        inside=tf.zeros_like(weight, tf.bool),
        left=none,
        since=none,
        steps=none,
        optimizer=settings.optimizer.init(x),
    )


def _scattered(settings: Counterfactual, x: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Return where the copies of x begin: those of the first start at x, the others around it."""
    import tensorflow as tf

    from xaicore.engine.random import normal

    if settings.starts == 1:
        return x
    draws = tf.tile(tf.repeat(tf.range(settings.starts), len(settings.C)), tf.shape(ids))
    size = tf.stack([x.shape[1] or tf.shape(x)[1]])
    around = normal(tf.repeat(ids, settings.copies), seed=settings.seed, draw=draws, shape=size, dtype=x.dtype)
    return tf.where(draws[:, None] > 0, x + tf.constant(settings.noise, x.dtype) * around, x)


class Best(NamedTuple):
    """The best copy of each sample.

    kept: (batch, features).  valid: bool (batch,).  steps: int32 (batch,), of the copy that took the most.
    """

    kept: tf.Tensor
    valid: tf.Tensor
    steps: tf.Tensor


def best(copies: Copies, count: int) -> Best:
    """Return of ``count`` copies of each sample the nearest valid one, else the one of smallest prediction cost."""
    import tensorflow as tf

    def by_sample(t: tf.Tensor) -> tf.Tensor:
        return tf.reshape(t, tf.concat([[-1, count], tf.shape(t)[1:]], 0))

    distance = by_sample(copies.distance)
    valid = tf.reduce_any(tf.math.is_finite(distance), axis=1)
    chosen = tf.where(valid, tf.argmin(distance, axis=1), tf.argmin(by_sample(copies.effort), axis=1))
    kept = tf.gather(by_sample(copies.kept), chosen, batch_dims=1)
    return Best(
        tf.ensure_shape(kept, [None, *copies.kept.shape[1:]]), valid, tf.reduce_max(by_sample(copies.steps), axis=1)
    )
