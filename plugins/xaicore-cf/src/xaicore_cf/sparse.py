"""Fewer changes after the search: features go back to their values, the smallest change first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore_cf.judge import repeated

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.values import Array
    from xaicore_cf.copies import Given
    from xaicore_cf.judge import Judge


def restored(judge: Judge, kept: tf.Tensor, given: Given) -> tf.Tensor:
    """Return counterfactuals with small changes taken back while they stay valid: Mothilal et al. 2020, section 3.3.

    Those that are not valid stay as they are, and so do those that would be equal to another of the same sample.

    kept: (batch, n, features).  given: of the samples, n rows each.
    """
    import tensorflow as tf

    n, origin = judge.settings.n, given.origin(judge.box)
    rows = tf.reshape(kept, tf.shape(origin))
    rows = tf.ensure_shape(rows, origin.shape)

    def valid(x: tf.Tensor) -> tf.Tensor:
        return judge.valid(x, judge.look(x, given.original, given.index), given)

    away, never = tf.abs(rows - origin), tf.constant(float("inf"), rows.dtype)
    small = (away > 0) & (away <= tf.constant(_limit(judge.settings.reference), rows.dtype)) & valid(rows)[:, None]
    order = tf.argsort(tf.where(small, away, never), axis=1)
    most = tf.reduce_max(tf.reduce_sum(tf.cast(small, tf.int32), axis=1))

    def back(k: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        one = tf.range(tf.shape(rows)[1])[None] == order[:, k][:, None]
        tried = judge.box.snap(tf.where(one & small, origin, rows), given.original, given.baseline)
        found = tf.where(valid(tried)[:, None], tried, rows)
        if n > 1:
            again = tf.reduce_any(tf.reshape(repeated(found, n), [-1, n]), axis=1)
            found = tf.where(tf.repeat(again, n)[:, None], rows, found)
        return k + 1, tf.ensure_shape(found, rows.shape)

    found = tf.while_loop(lambda k, _: k < most, back, (0, rows), parallel_iterations=1)[1]
    return tf.ensure_shape(tf.reshape(found, tf.shape(kept)), kept.shape)


def _limit(reference: Array | None) -> np.ndarray:
    """Return the largest change that goes back, by how near to their median data lie; without data there is none.

    It is the smaller of the median of these distances, and the tenth percentile of those that are not 0.
    """
    import numpy as np

    if reference is None:
        return np.asarray(np.inf)
    rows = reference.data.reshape(len(reference.data), -1).astype(np.float64)
    away = np.abs(rows - np.median(rows, axis=0))
    tenth = [np.quantile(column[column > 0], 0.1) if (column > 0).any() else 0.0 for column in away.T]
    return np.minimum(np.median(away, axis=0), tenth)
