"""Where a search may go: which features are free, how far, in which direction, and which values they take."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


@attrs.frozen(eq=False)
class Box:
    """Limits over the flattened sample: arrays, numbers, or None where there is none.

    free: bool (features,), False where a feature keeps its value.  low, high: the bounds of the others.
    sides: (features,), 1 where a feature may only grow, -1 where it may only shrink.
    groups: the columns of each category.  steps: (features,), of which a change is a multiple; 0 where any will do.
    pertinent: "positive", between the baseline and the sample; "negative", from the sample away from the baseline.
    """

    free: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    sides: np.ndarray | None = None
    groups: tuple[np.ndarray, ...] = ()
    steps: np.ndarray | None = None
    pertinent: str | None = None

    def hold(self, x: tf.Tensor, original: tf.Tensor, baseline: tf.Tensor | None = None) -> tf.Tensor:
        """Return the nearest point inside; features that are not free are bit-equal to the original.

        x, original, baseline: (rows, features); the last where candidates are ``pertinent``.
        A feature whose limits leave it no value keeps its own; see ``within``.
        """
        import tensorflow as tf

        low, high = self._ends(original, baseline)
        if low is not None:
            x = tf.maximum(x, low)
        if high is not None:
            x = tf.minimum(x, high)
        if low is not None and high is not None:
            x = tf.where(low > high, original, x)
        return self._held(x, original)

    def within(self, x: tf.Tensor, original: tf.Tensor, baseline: tf.Tensor | None = None) -> tf.Tensor:
        """Return whether all free features lie within their limits, bool (rows,)."""
        import tensorflow as tf

        low, high = self._ends(original, baseline)
        fine = tf.ones_like(x, tf.bool)
        if low is not None:
            fine &= x >= low
        if high is not None:
            fine &= x <= high
        return tf.reduce_all(fine if self.free is None else fine | tf.constant(~self.free), axis=1)

    def _held(self, x: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return x if self.free is None else tf.where(tf.constant(self.free), x, original)

    def _ends(self, original: tf.Tensor, baseline: tf.Tensor | None) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """Return the lowest and the highest value of each feature, like x or what broadcasts to it; None for no end."""
        import numpy as np
        import tensorflow as tf

        dtype = original.dtype
        never = tf.constant(np.inf, dtype)
        low, high = (None if one is None else tf.constant(one) for one in self._bounds(dtype.as_numpy_dtype))
        lows, highs = ([] if one is None else [one] for one in (low, high))
        if self.sides is not None:
            lows.append(tf.where(tf.constant(self.sides > 0), original, -never))
            highs.append(tf.where(tf.constant(self.sides < 0), original, never))
        if self.pertinent == "positive":
            lows.append(tf.minimum(original, baseline))
            highs.append(tf.maximum(original, baseline))
        elif self.pertinent == "negative":
            lows.append(tf.where(original > baseline, original, -never))
            highs.append(tf.where(original < baseline, original, never))
        return functools.reduce(tf.maximum, lows) if lows else None, functools.reduce(
            tf.minimum, highs
        ) if highs else None

    def _bounds(self, dtype: type) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the bounds in a narrower type, rounded inwards; where both are one number, to the nearest."""
        import numpy as np

        low, high = (None if one is None else one.astype(dtype) for one in (self.low, self.high))
        one = np.zeros(1, bool) if self.low is None or self.high is None else self.low == self.high
        if low is not None:
            low = np.where((low < self.low) & ~one, np.nextafter(low, dtype(np.inf)), low)
        if high is not None:
            high = np.where((high > self.high) & ~one, np.nextafter(high, dtype(-np.inf)), high)
        return low, high

    def freed(self, gradient: tf.Tensor) -> tf.Tensor:
        """Return a gradient with zeros for features that are not free."""
        import tensorflow as tf

        return gradient if self.free is None else tf.where(tf.constant(self.free), gradient, tf.zeros_like(gradient))

    def snap(self, x: tf.Tensor, original: tf.Tensor, baseline: tf.Tensor | None = None) -> tf.Tensor:
        """Return a point inside as a sample can be: one column of each category, whole steps; (rows, features).

        The search moves x itself, and takes gradients at this point for gradients at x: Bengio, Leonard and Courville
        2013, the straight-through estimator.
        """
        if not self.groups and self.steps is None:
            return x
        low, high = self._ends(original, baseline)
        for group in self.groups:
            x = _one_hot(x, original, group, low, high)
        if self.steps is not None:
            x = _whole(x, original, self.steps, low, high)
        return self._held(x, original)


def _whole(
    x: tf.Tensor, original: tf.Tensor, steps: np.ndarray, low: tf.Tensor | None, high: tf.Tensor | None
) -> tf.Tensor:
    """Return x with the features that go in steps at the nearest of those within the limits, else at the original."""
    import numpy as np
    import tensorflow as tf

    dtype = x.dtype.as_numpy_dtype
    step = tf.constant(np.where(steps > 0, steps, 1).astype(dtype))
    slack = tf.constant(16 * np.finfo(dtype).eps, x.dtype)  # roundings of a quotient, a sum, and what was encoded

    def count(end: tf.Tensor, sign: int) -> tf.Tensor:
        exact = (end - original) / step
        size = 1 + tf.abs(original / step) + tf.where(tf.math.is_finite(exact), tf.abs(exact), tf.zeros_like(exact))
        most = tf.floor(exact + slack * size) if sign > 0 else tf.math.ceil(exact - slack * size)
        # No step ends at the original itself, to the bit, and not at the limit: by however little, it may be outside.
        outside = original > end if sign > 0 else original < end
        return tf.where((most == 0) & outside, most - sign, most)

    whole = tf.round((x - original) / step)
    if low is not None:
        whole = tf.maximum(whole, count(low, -1))
    if high is not None:
        whole = tf.minimum(whole, count(high, 1))
    # Sums lose the smallest numbers (TensorFlow takes those below the normal range for 0): no step, no sum.
    found = tf.where(whole == 0, original, original + step * whole)
    if low is not None:
        none = whole < count(low, -1)
        found = tf.where(none | (whole == 0), original, tf.maximum(found, low))
    if high is not None:
        found = tf.where(whole == 0, original, tf.minimum(found, high))
        found = found if low is None else tf.where(none, original, found)
    return tf.where(tf.constant(steps > 0), found, x)


def _one_hot(
    x: tf.Tensor, original: tf.Tensor, group: np.ndarray, low: tf.Tensor | None, high: tf.Tensor | None
) -> tf.Tensor:
    """Return x with the largest column of a category 1 and the others 0; unchanged where none has moved."""
    import numpy as np
    import tensorflow as tf

    columns, before = tf.gather(x, group, axis=1), tf.gather(original, group, axis=1)
    moved = tf.reduce_any(columns != before, axis=1, keepdims=True)
    # Of equal columns the one that was on stays on.
    score = columns + tf.constant(1e-6, x.dtype) * before
    for end, barred in ((high, lambda e: e < 1), (low, lambda e: e > 0)):
        if end is not None:  # a column that may not be 1 is never chosen, one that may not be 0 always
            at = tf.gather(tf.broadcast_to(end, tf.shape(x)), group, axis=1)
            far = tf.constant(-10 if end is high else 10, x.dtype)  # columns lie between 0 and 1
            score = tf.where(barred(at), score + far, score)
    found = tf.where(moved, tf.one_hot(tf.argmax(score, axis=1), len(group), dtype=x.dtype), before)
    places = np.zeros((len(group), x.shape[1]), x.dtype.as_numpy_dtype)
    places[np.arange(len(group)), group] = 1
    return tf.where(tf.constant(places.any(0)), tf.matmul(found, tf.constant(places)), x)  # products with 0 and 1
