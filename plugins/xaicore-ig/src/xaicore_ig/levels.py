"""Nested rules on a line, and the error that their changes let expect."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

# Of the differences of order 1 to 4 in Gregory's rule.
_GREGORY = (1 / 12, 1 / 24, 19 / 720, 3 / 160)
# Of a stated error, in units of the dtype's rounding: gradients and their sums are not better than this.
_FLOOR = 8
# How many changes count at each level: one by itself may be small by luck.  The first, of 3 points against 5, is too
# coarse to count for long.
_COUNTED = (0, 1, 2, 2, 3, 4)
# Changes halve from level to level on a path with kinks; where they fall by this much at once it is smooth.
_FALLS = 8
CHANGES = 4  # most changes that count


def stated_error(changes: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Return the error that the last changes of each sample let expect, (batch,).

    Args:
        changes: (batch, 4), the last one first, each brought to this level: halved for every level since.
        counted: How many of them there are.
    """
    import numpy as np
    import tensorflow as tf

    some, last = changes[:, : tf.maximum(counted, 1)], changes[:, 0]
    mean, scatter = tf.reduce_mean(some, 1), tf.math.reduce_std(some, 1)
    kinks = tf.maximum(last / 2, 0.4 * mean + 0.5 * scatter)
    smooth = (counted > 1) & (last < 2 * changes[:, 1] / _FALLS)  # the one before stands halved
    floor = _FLOOR * float(np.finfo(changes.dtype.as_numpy_dtype).eps)
    return tf.maximum(tf.where(smooth, tf.minimum(kinks, last), kinks), tf.constant(floor, changes.dtype))


def counted_at(level: int) -> int:
    """Return how many changes count at a level, 0 being the first one, which none leads to."""
    return _COUNTED[min(level, len(_COUNTED) - 1)]


def levels(most: int) -> list[int]:
    """Return the numbers of points of all levels, 3, 5, 9, ..., of at most ``most`` steps from point to point."""
    powers = (2**k for k in itertools.count(1))
    return [n + 1 for n in itertools.takewhile(lambda n: n <= most, powers)]


def gregory_levels(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of ``count`` nested rules, and their weights in each: (n,) and (n, count), float64.

    Points are sorted by the level that brings them.  Law: weights of a level sum to 1, and polynomials up to degree 3
    are integrated exactly from the first level on, up to degree 5 from the second.
    """
    import numpy as np

    finest = 2**count
    grid = np.arange(finest + 1)
    weights, first = np.zeros((finest + 1, count)), np.full(finest + 1, count)
    for level in reversed(range(count)):
        inside = grid % (finest // 2 ** (level + 1)) == 0
        weights[inside, level] = _gregory(2 ** (level + 1))
        first[inside] = level
    order = np.argsort(first, kind="stable")
    return (grid / finest)[order], weights[order]


def _gregory(n: int) -> np.ndarray:
    """Return the weights of n + 1 equal steps' ends: the trapezoidal rule, corrected by differences at both ends."""
    import numpy as np

    weights = np.ones(n + 1)
    weights[[0, -1]] = 0.5
    for order, factor in enumerate(_GREGORY[: min(n, len(_GREGORY))], start=1):
        # Forward differences at the start, of alternating sign, and backward ones at the end, which mirror them.
        difference = np.array([(-1.0) ** (order - j) * math.comb(order, j) for j in range(order + 1)])
        correction = np.zeros(n + 1)
        correction[: order + 1] = (-1) ** order * difference
        weights -= factor * (correction + correction[::-1])
    return weights / n
