"""Nested rules on a line, and the error that their changes let expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

# Of a stated error, in units of the dtype's rounding: gradients and their sums are not better than this.
_FLOOR = 8
_INTERPOLATED = 8  # degree up to which weights are those of the interpolating polynomial
_WHOLE = 17  # so many points are reached by doubling all intervals at once; from there on those of a part at a time
_PARTS = 4
_READINGS = 3  # how often an error is read off: from the newest change of each part, the one before, and one more
_SCATTER = 1.75  # standard deviations of the readings that are added to their mean: they are few, and may agree by luck
# Readings of a path with jumps agree; where each is smaller than the one before by these factors, the path is smooth.
_FALL, _FALL_BEFORE = 2, 1.5
_OF_SMOOTH = 1.5  # error of a smooth path in units of its last reading


@attrs.frozen(eq=False)
class Levels:
    """Nested rules on [0, 1] for n points, each with all points of the one before.

    sizes: Numbers of points of the L levels.
    nodes: (n,), those of the first level first.  weights: (n, L), the rule of each level.
    expected: (L, 3, L), for each level: from the squares of the changes that led to each, the squares of three errors.
    """

    sizes: tuple[int, ...]
    nodes: np.ndarray
    weights: np.ndarray
    expected: np.ndarray


def nested_levels(most: int) -> Levels:
    """Return all levels of at most ``most`` steps from point to point: 2, 3, 5, 9, 17, 21, 25, 29, 33, 41, ... points.

    Law: weights of a level sum to 1, and polynomials are integrated exactly up to degree n - 1 for n points up to 9,
    to 9 from 17 points on, and 2 more whenever points double.
    """
    import numpy as np

    finest = 1 << (most - 1).bit_length()
    sets, newest = _divided(most, finest)
    places = np.array(sets[-1])
    sizes = tuple(map(len, sets))
    table = np.zeros((len(places), len(sizes)))
    for level, size in enumerate(sizes):
        order = np.argsort(places[:size])
        table[order, level] = _weights(places[:size][order] / finest)
    on_grid = np.zeros((len(sizes), finest + 1))
    on_grid[:, places] = table.T
    return Levels(sizes, places / finest, table, _expected(on_grid.cumsum(1)[:, :-1], newest))


def stated_error(changes: tf.Tensor, size: tf.Tensor, expected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the error that the changes so far let expect of the last level, (batch,), and whether the path is smooth.

    Args:
        changes: (batch, L), L1 norms of the changes that led to each level.
        size: (batch,), L1 norm of the attributions at the last one; errors are relative to it.
        expected: (3, L), of this level.
    """
    import numpy as np
    import tensorflow as tf

    # Attributions of 0 that were not 0 before are no answer; that were, are one.
    size = tf.where(size > 0, size, tf.reduce_max(changes, 1))
    relative = tf.math.divide_no_nan(changes, size[:, None])
    readings = tf.sqrt(tf.matmul(relative**2, expected, transpose_b=True))
    last, before, first = tf.unstack(readings, axis=1)
    smooth = (_FALL * last < before) & (_FALL_BEFORE * before < first)
    error = tf.reduce_mean(readings, 1) + _SCATTER * tf.math.reduce_std(readings, 1)
    error = tf.where(smooth, tf.minimum(error, _OF_SMOOTH * last), error)
    floor = tf.constant(_FLOOR * float(np.finfo(changes.dtype.as_numpy_dtype).eps), changes.dtype)
    return tf.maximum(error, floor), smooth | (error <= floor)


def _divided(most: int, finest: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return the points of each level, in steps of the finest; and the level that divided each part last."""
    import numpy as np

    sets, newest = [[0, finest]], [[0] * _PARTS]
    for step in (finest >> k for k in range(finest.bit_length() - 1)):
        whole = len(sets[-1]) < _WHOLE
        midpoints = np.arange(step // 2, finest, step)
        for number, some in enumerate([midpoints] if whole else np.split(midpoints, _PARTS)):
            if len(sets[-1]) + len(some) - 1 > most:
                return sets, newest
            level = len(sets)
            sets.append(sets[-1] + some.tolist())
            newest.append([level if whole or p == number else before for p, before in enumerate(newest[-1])])
    return sets, newest


def _weights(nodes: np.ndarray) -> np.ndarray:
    """Return the weights nearest to the trapezoidal rule's that integrate polynomials exactly.  nodes: sorted.

    Nearest in the sum of (change of a weight)^2 / (the weight).  Of a higher degree they would be more uneven, which
    paths with jumps pay for.
    """
    import numpy as np

    last = len(nodes) - 1
    degree = last if last <= _INTERPOLATED else 2 * int(np.log2(last)) + 1
    steps = np.diff(nodes, prepend=nodes[0], append=nodes[-1])
    weights = (steps[:-1] + steps[1:]) / 2
    legendre = np.polynomial.legendre.legvander(2 * nodes - 1, degree)
    missing = np.eye(legendre.shape[1])[0] - legendre.T @ weights  # their integrals on [0, 1] are 1, 0, 0, ...
    return weights * (1 + legendre @ np.linalg.solve(legendre.T * weights @ legendre, missing))


def _expected(sums: np.ndarray, newest: list[list[int]]) -> np.ndarray:
    """Return what squared changes let expect of squared errors, (L, 3, L).

    A jump of the gradient at u is integrated with the error D(u) = (sum of the weights before u) - u.  With jumps
    anywhere in a part of the path with the same probability, the error of the part is to a change as the integral of
    D^2 over the part is to that of (D - D before)^2.

    sums: (L, n), of the weights before each of n equal steps.  newest: for each level and part, what divided it last.
    """
    import numpy as np

    count, finest = sums.shape
    left, right = sums - np.arange(finest) / finest, sums - np.arange(1, finest + 1) / finest
    errors = ((left**2 + left * right + right**2) / 3).reshape(count, _PARTS, -1).sum(2)
    changes = (np.diff(sums, axis=0, prepend=0) ** 2).sum(1)
    expected = np.zeros((count, _READINGS, count))
    for level in range(1, count):
        for part in range(_PARTS):
            at = newest[level][part]
            for reading in range(_READINGS):
                expected[level, reading, at] += errors[level, part] / changes[at]
                at = newest[at - 1][part] or at  # the first change is read again where there is none before it
    return expected
