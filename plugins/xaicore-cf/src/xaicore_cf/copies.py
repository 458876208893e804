"""Copies: each sample is searched several times at once, with several weights and from several starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import Tensors
    from xaicore_cf.box import Box
    from xaicore_cf.counterfactual import Counterfactual
    from xaicore_cf.judge import Judge


class Copies(NamedTuple):
    """What changes, one row per copy.

    x: (rows, features), where the copy is.  kept: the best that it has met; while it has met nothing valid, the
    point of smallest prediction cost.  distance: cost of ``kept``, infinite before anything valid.  effort: its
    prediction cost before that.  weight: C.  found: C where ``kept`` was met.  scale: factor on the steps.
    inside: whether it was valid last.  left, since: how often it has left the class, and how many iterations it has
    made, since it came nearer.  steps: iterations so far, int32.  optimizer, schedule: their states.  begin: (rows,
    features), one tensor: where the copy began, for a schedule that sends it back.
    """

    x: tf.Tensor
    kept: tf.Tensor
    distance: tf.Tensor
    effort: tf.Tensor
    weight: tf.Tensor
    found: tf.Tensor
    scale: tf.Tensor
    inside: tf.Tensor
    left: tf.Tensor
    since: tf.Tensor
    steps: tf.Tensor
    optimizer: Tensors
    schedule: Tensors
    begin: Tensors


class Given(NamedTuple):
    """What does not change.

    original: (rows, features).  baseline: where distances are measured from, the original but for pertinent positives;
    for pertinent negatives what features move away from.  index: int32 (rows, m), the target's.
    weight: (rows,), the C to begin with.
    """

    original: tf.Tensor
    baseline: tf.Tensor
    index: tf.Tensor
    weight: tf.Tensor

    def origin(self, box: Box) -> tf.Tensor:
        """Return where the cost of a candidate is measured from, (rows, features)."""
        return self.baseline if box.pertinent == "positive" else self.original


class Seen(NamedTuple):
    """What the model says at a point: logits (rows, classes), class to reach (rows,), slope (rows, features).

    slope: the gradient of the prediction cost by way of the model.
    met: bool (rows,), where a predicate of the user says what is valid; else None.
    """

    logits: tf.Tensor
    target: tf.Tensor
    slope: tf.Tensor
    met: tf.Tensor | None = None


def spread(settings: Counterfactual, x: tf.Tensor, index: tf.Tensor, baseline: tf.Tensor | None = None) -> Given:
    """Return what is given to the copies, sample by sample: start by start, C by C, and the n that go together."""
    import tensorflow as tf

    weights = tf.repeat(tf.constant(settings.C, x.dtype), settings.n)
    weights = tf.tile(weights, [settings.starts * tf.shape(x)[0]])
    around = x if baseline is None else baseline
    rows = (tf.repeat(tensor, settings.searches, axis=0) for tensor in (x, around, index))
    return Given(*rows, weights)


def start(judge: Judge, given: Given, already: tf.Tensor, ids: tf.Tensor) -> Copies:
    """Return the copies before the first iteration, inside the box; those of samples that are there leave at once.

    already: bool (batch,), which samples will do as they are.  ids: (batch,).
    """
    import tensorflow as tf

    settings, origin = judge.settings, given.origin(judge.box)
    x = judge.box.hold(_scattered(settings, given.original, ids), given.original, given.baseline)
    weight = given.weight
    never = tf.fill(tf.shape(weight), tf.constant(float("inf"), x.dtype))
    none = tf.zeros_like(weight, tf.int32)
    done = tf.repeat(already, settings.searches)
    return Copies(
        x=x,
        kept=tf.where(done[:, None], origin, x),
        distance=tf.where(done, tf.zeros_like(weight), never),
        effort=never,
        weight=weight,
        found=weight,
        scale=tf.where(done, tf.zeros_like(weight), tf.ones_like(weight)),
        inside=tf.zeros_like(weight, tf.bool),
        left=none,
        since=none,
        steps=none,
        optimizer=settings.optimizer.init(x),
        schedule=() if settings.schedule is None else settings.schedule.init(weight),
        begin=() if settings.schedule is None else (x,),
    )


def _scattered(settings: Counterfactual, x: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Return where the copies of x begin: the first of the first start at x, the others around it."""
    import tensorflow as tf

    from xaicore.engine.random import normal

    if settings.starts == settings.n == 1:
        return x
    # The same draws with every C: start by start, and in it one for each of the n.
    one = tf.reshape(tf.range(settings.starts * settings.n), [settings.starts, 1, settings.n])
    draws = tf.tile(tf.reshape(tf.tile(one, [1, len(settings.C), 1]), [-1]), tf.shape(ids))
    size = tf.stack([x.shape[1] or tf.shape(x)[1]])
    around = normal(tf.repeat(ids, settings.searches), seed=settings.seed, draw=draws, shape=size, dtype=x.dtype)
    return tf.where(draws[:, None] > 0, x + tf.constant(settings.noise, x.dtype) * around, x)


class Best(NamedTuple):
    """The best copies of each sample.

    kept: (batch, n, features).  valid: bool (batch,), whether the n were valid at the same time.
    weight: (batch,), the C they were met with.  steps: int32 (batch,), of the copy that took the most.
    """

    kept: tf.Tensor
    valid: tf.Tensor
    weight: tf.Tensor
    steps: tf.Tensor


def best(copies: Copies, count: int, n: int = 1) -> Best:
    """Return of ``count`` copies of each sample the nearest valid n, else those of smallest prediction cost."""
    import tensorflow as tf

    def by_sample(t: tf.Tensor) -> tf.Tensor:
        return tf.reshape(t, tf.concat([[-1, count // n, n], tf.shape(t)[1:]], 0))

    distance = by_sample(copies.distance)[:, :, 0]  # the same for the n that go together
    valid = tf.reduce_any(tf.math.is_finite(distance), axis=1)
    effort = tf.reduce_mean(by_sample(copies.effort), axis=2)
    chosen = tf.where(valid, tf.argmin(distance, axis=1), tf.argmin(effort, axis=1))
    kept = tf.gather(by_sample(copies.kept), chosen, batch_dims=1)
    weight = tf.gather(by_sample(copies.found)[:, :, 0], chosen, batch_dims=1)
    return Best(
        tf.ensure_shape(kept, [None, n, *copies.kept.shape[1:]]),
        valid,
        weight,
        tf.reduce_max(by_sample(copies.steps), axis=[1, 2]),
    )
