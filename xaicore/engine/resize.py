"""Linear interpolation of maps along any number of axes, in the maps' own precision."""

from __future__ import annotations

import tensorflow as tf


def resize(maps: tf.Tensor, sizes: tf.Tensor, static: tf.TensorShape) -> tf.Tensor:
    """Return maps interpolated to other sizes: (batch, *positions) -> (batch, *sizes).

    Pixel centres are aligned and the border is repeated, as ``tf.image.resize`` does bilinearly in two dimensions;
    that one computes in float32 whatever it is given.

    Args:
        maps: (batch, *positions), floating.
        sizes: int32 (axes,).
        static: What of the sizes is known before the run.
    """
    for axis in range(maps.shape.rank - 1):
        matrix = _hats(tf.shape(maps)[1], sizes[axis], maps.dtype)
        # The first axis of positions becomes the last; after all of them the order is what it was.
        maps = tf.tensordot(maps, matrix, [[1], [1]])
    return tf.ensure_shape(maps, [None, *static])


def _hats(given: tf.Tensor, wanted: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Return the weights of linear interpolation, (wanted, given); each row sums to 1."""
    count, size = tf.cast(given, dtype), tf.cast(wanted, dtype)
    half = tf.constant(0.5, dtype)
    places = (tf.cast(tf.range(wanted), dtype) + half) * (count / size) - half
    places = tf.clip_by_value(places, tf.zeros((), dtype), count - 1)
    return tf.nn.relu(1 - tf.abs(places[:, None] - tf.cast(tf.range(given), dtype)[None]))
