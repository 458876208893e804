"""The walk of guided integrated gradients, all samples of a batch at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import Tensors
    from xaicore_ig.paths import Journey


def walk(journey: Journey, fraction: float, max_dist: float) -> Tensors:
    """Return the sum of gradient times move, shaped like the inputs: Kapishnikov et al. 2021, algorithm 1.

    Features of all inputs are one row per sample here, and their place on the way is a number from 0 to 1.
    """
    import tensorflow as tf

    steps = len(journey.nodes)
    step = journey.inner.attribute(journey.program)
    start, end = _row(journey.start), _row(journey.end)
    way = end - start
    length = tf.reduce_sum(tf.abs(way), 1)

    def body(k: tf.Tensor, place: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        points = _like(start + place * way, journey.end)
        gradient = _row(step(points, journey.target, journey.ids).attributions)
        whole = tf.cast(k + 1, way.dtype) / steps
        low, high = tf.maximum(whole - max_dist, 0), tf.minimum(whole + max_dist, 1)
        moved = _moved(place, gradient, tf.abs(way), (low, high, length * (1 - whole)), fraction)
        return k + 1, moved, sums + gradient * way * (moved - place)

    zeros = tf.zeros_like(end)
    _, _, sums = tf.while_loop(lambda k, *_: k < steps, body, (tf.constant(0), zeros, zeros), parallel_iterations=1)
    return _like(sums, journey.end)


def _moved(
    place: tf.Tensor,
    gradient: tf.Tensor,
    way: tf.Tensor,
    bounds: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    fraction: float,
) -> tf.Tensor:
    """Return the places after one step, (batch, features).

    Features with the smallest gradient move to the upper bound, a fraction of all at a time; the last ones so far that
    the distance left is what it should be.

    Args:
        place: In [0, 1]; 1 is the input.
        gradient: Its size decides who moves.
        way: Length of each feature's whole way.
        bounds: Lowest and highest place in this step; distance that is left after it, (batch,).
        fraction: Share of the features that may move at a time.
    """
    import tensorflow as tf

    low, high, left = bounds
    number = tf.cast(tf.math.floor(fraction * tf.cast(tf.shape(place)[1] - 1, place.dtype)), tf.int32)
    size = tf.abs(gradient)
    infinite = tf.constant(float("inf"), place.dtype)
    # A distance is a sum of all features: below this it is rounding.
    close = 4 * place.dtype.as_numpy_dtype(_epsilon(place)) * tf.reduce_sum(way, 1)

    def excess(at: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum((1 - at) * way, 1) - left

    def body(at: tf.Tensor, going: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        free = at < high
        ranked = tf.where(free, size, infinite)
        threshold = tf.gather(tf.sort(ranked, axis=1), number, axis=1)[:, None]
        chosen = (ranked <= threshold) & free & going[:, None]
        room = tf.reduce_sum(tf.where(chosen, (high - at) * way, 0), 1)
        share = tf.math.divide_no_nan(excess(at), room)
        part = tf.where(room > 0, tf.clip_by_value(share, 0, 1), 0)[:, None]
        after = tf.where(chosen, at + part * (high - at), at)
        # Done where the share fits; where nothing can move any more, too.
        return after, going & (share > 1) & tf.reduce_any(after < high, 1) & tf.reduce_any(chosen, 1)

    first = tf.maximum(place, low)
    found, _ = tf.while_loop(
        lambda _, going: tf.reduce_any(going), body, (first, excess(first) > close), parallel_iterations=1
    )
    return found


def _epsilon(tensor: tf.Tensor) -> float:
    import numpy as np

    return float(np.finfo(tensor.dtype.as_numpy_dtype).eps)


def _row(tensors: Tensors) -> tf.Tensor:
    """Return one row of all features per sample."""
    import tensorflow as tf

    return tf.concat([tf.reshape(t, [tf.shape(t)[0], -1]) for t in tensors], 1)


def _like(rows: tf.Tensor, tensors: Tensors) -> Tensors:
    """Return rows of features as tensors shaped like the given ones."""
    import tensorflow as tf

    sizes = [tf.reduce_prod(tf.shape(t)[1:]) for t in tensors]
    parts = tf.split(rows, tf.stack(sizes), axis=1) if len(tensors) > 1 else [rows]
    return tuple(tf.ensure_shape(tf.reshape(p, tf.shape(t)), t.shape) for p, t in zip(parts, tensors, strict=True))
