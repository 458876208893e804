"""Gaussian filters over the positions of a tensor, and their change with the width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

_REACH = 4  # standard deviations that a filter reaches: beyond are 6e-5 of its weight


def blur(x: tf.Tensor, sigma: float) -> tf.Tensor:
    """Return x, (batch, *positions, channels), filtered with a standard deviation of sigma; edges repeated."""
    import tensorflow as tf

    return blurred(x, tf.fill(tf.shape(x)[:1], tf.constant(sigma, x.dtype)), sigma)[0]


def blurred(x: tf.Tensor, sigmas: tf.Tensor, largest: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (L, dL/d sigma): x under a Gaussian filter of its own width for each sample, edges repeated.

    The filter is separable, ``w_j = exp(-j^2 / (2 sigma^2)) / sum``, cut at 4 times ``largest``; its derivative is
    ``w_j (j^2 - sum_i w_i i^2) / sigma^3``.

    Args:
        x: (batch, *positions, channels).
        sigmas: (batch,), in positions; 0 leaves a sample as it is.
        largest: The largest of them, known before the run.
    """
    import tensorflow as tf

    reach = max(1, math.ceil(_REACH * largest))
    offsets = tf.range(-reach, reach + 1)
    squares = tf.cast(offsets, x.dtype)[None] ** 2
    # Below a twentieth of a position a filter is the identity in float64 too.
    safe = tf.maximum(sigmas, 0.05)[:, None]
    weights = tf.nn.softmax(-squares / (2 * safe**2))
    slopes = weights * (squares - tf.reduce_sum(weights * squares, -1, keepdims=True)) / safe**3
    value, slope = x, tf.zeros_like(x)
    for axis in range(1, x.shape.rank - 1):
        slope = _filtered(slope, weights, axis, reach) + _filtered(value, slopes, axis, reach)
        value = _filtered(value, weights, axis, reach)
    return value, slope


def _filtered(x: tf.Tensor, weights: tf.Tensor, axis: int, reach: int) -> tf.Tensor:
    """Return x filtered along one axis with a filter per sample, (batch, 2 * reach + 1), edges repeated.

    As a product with a matrix (batch, length, length): column j holds the filter's weights at their distance from the
    diagonal, the first and the last column all that lies beyond the edge too; both are differences of the running sum.
    """
    import tensorflow as tf

    length, width = tf.shape(x)[axis], 2 * reach + 1
    running = tf.pad(tf.cumsum(weights, axis=1), [[0, 0], [1, 0]])
    j = tf.range(length)[None]
    place = tf.clip_by_value(j - tf.range(length)[:, None] + reach, -1, width)
    above = tf.where(j == length - 1, width, tf.clip_by_value(place + 1, 0, width))
    below = tf.where(j == 0, 0, tf.clip_by_value(place, 0, width))
    matrix = tf.gather(running, above, axis=1) - tf.gather(running, below, axis=1)
    order = [0, axis, *(a for a in range(1, x.shape.rank) if a != axis)]
    back = [order.index(a) for a in range(x.shape.rank)]
    moved = tf.transpose(x, order)
    rows = tf.reshape(moved, tf.stack([tf.shape(x)[0], length, -1]))
    return tf.ensure_shape(tf.transpose(tf.reshape(tf.matmul(matrix, rows), tf.shape(moved)), back), x.shape)
