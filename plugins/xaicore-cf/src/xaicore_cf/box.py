"""Where a search may go: which features are free, how far, in which direction, and which values they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array
from xaicore_cf.errors import FixedBatch
from xaicore_cf.features import Layout

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.inspect.nodes import Graph
    from xaicore_cf.counterfactual import Counterfactual


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
        """
        import tensorflow as tf

        if self.sides is not None:
            x = tf.where(tf.constant(self.sides > 0), tf.maximum(x, original), x)
            x = tf.where(tf.constant(self.sides < 0), tf.minimum(x, original), x)
        if self.pertinent == "positive":
            x = tf.clip_by_value(x, tf.minimum(original, baseline), tf.maximum(original, baseline))
        elif self.pertinent == "negative":
            x = tf.where(original > baseline, tf.maximum(x, original), x)
            x = tf.where(original < baseline, tf.minimum(x, original), x)
        if self.low is not None:
            x = tf.maximum(x, tf.constant(self.low.astype(x.dtype.as_numpy_dtype)))
        if self.high is not None:
            x = tf.minimum(x, tf.constant(self.high.astype(x.dtype.as_numpy_dtype)))
        return x if self.free is None else tf.where(tf.constant(self.free), x, original)

    def freed(self, gradient: tf.Tensor) -> tf.Tensor:
        """Return a gradient with zeros for features that are not free."""
        import tensorflow as tf

        return gradient if self.free is None else tf.where(tf.constant(self.free), gradient, tf.zeros_like(gradient))

    def snap(self, x: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
        """Return a point inside as a sample can be: one column of each category, whole steps; (rows, features).

        The search moves x itself, and takes gradients at this point for gradients at x: Bengio, Leonard and Courville
        2013, the straight-through estimator.
        """
        for group in self.groups:
            x = _one_hot(x, original, group)
        return x if self.steps is None else self._whole(x, original)

    def _whole(self, x: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
        import numpy as np
        import tensorflow as tf

        dtype = x.dtype.as_numpy_dtype
        step = tf.constant(np.where(self.steps > 0, self.steps, 1).astype(dtype))
        whole = tf.round((x - original) / step)
        # Sums lose the smallest numbers (TensorFlow takes those below the normal range for 0): no step, no sum.
        rounded = tf.where(whole == 0, original, original + step * whole)
        if self.high is not None:
            rounded = tf.where(rounded > tf.constant(self.high.astype(dtype)), rounded - step, rounded)
        if self.low is not None:
            rounded = tf.where(rounded < tf.constant(self.low.astype(dtype)), rounded + step, rounded)
        return tf.where(tf.constant(self.steps > 0), rounded, x)


def _one_hot(x: tf.Tensor, original: tf.Tensor, group: np.ndarray) -> tf.Tensor:
    """Return x with the largest column of a category 1 and the others 0; unchanged where none has moved."""
    import numpy as np
    import tensorflow as tf

    columns, before = tf.gather(x, group, axis=1), tf.gather(original, group, axis=1)
    moved = tf.reduce_any(columns != before, axis=1, keepdims=True)
    # Of equal columns the one that was on stays on.
    winner = tf.argmax(columns + tf.constant(1e-6, x.dtype) * before, axis=1)
    found = tf.where(moved, tf.one_hot(winner, len(group), dtype=x.dtype), before)
    places = np.zeros((len(group), x.shape[1]), x.dtype.as_numpy_dtype)
    places[np.arange(len(group)), group] = 1
    return tf.where(tf.constant(places.any(0)), tf.matmul(found, tf.constant(places)), x)  # products with 0 and 1


def box_of(graph: Graph, settings: Counterfactual) -> Box:
    """Return the box of a model's samples.

    Raises:
        FixedBatch: the model takes batches of one size only.
        InvalidParameter: a parameter does not fit the model's inputs, or another.
        UnknownFeature: a name is none of the sample's.
    """
    for name, key in zip(graph.input_names, graph.inputs, strict=True):
        batch = graph.specs[key].shape[0]
        if batch is not None:
            raise FixedBatch(
                f"The input {name!r} takes batches of {batch} only; the search runs copies of each sample, and "
                "fewer as they arrive. Build the model with keras.Input(shape) instead of batch_shape or batch_size."
            )
    layout = Layout.of(graph, settings.names)
    free = _free(layout, settings.features)
    low, high = (
        None if b is None else layout.spread(f"bounds ({n})", b)
        for n, b in zip(("low", "high"), settings.bounds, strict=True)
    )
    groups = tuple(layout.indices("categories", group) for group in settings.categories)
    _check_groups(groups, free)
    if groups:
        low, high = _within_one(layout, groups, low, high)
    return Box(
        free=free,
        low=low,
        high=high,
        sides=_each(layout, "monotone", settings.monotone),
        groups=groups,
        steps=_each(layout, "integers", settings.integers),
        pertinent=settings.pertinent,
    )


def _free(layout: Layout, features: Array | tuple[int | str, ...] | None) -> np.ndarray | None:
    import numpy as np

    if features is None:
        return None
    if isinstance(features, Array) and features.data.dtype == bool:
        return layout.spread("features", features)
    chosen = features.data.reshape(-1).tolist() if isinstance(features, Array) else features
    return np.isin(np.arange(layout.size("features")), layout.indices("features", chosen))


def _each(layout: Layout, parameter: str, pairs: tuple[tuple[int | str, float], ...]) -> np.ndarray | None:
    import numpy as np

    if not pairs:
        return None
    found = np.zeros(layout.size(parameter))
    for feature, number in pairs:
        found[layout.indices(parameter, [feature])] = number
    return found


def _check_groups(groups: tuple[np.ndarray, ...], free: np.ndarray | None) -> None:
    import numpy as np

    every = np.concatenate(groups) if groups else np.zeros(0, int)
    if len(set(every.tolist())) != len(every):
        raise InvalidParameter("Given categories that share a feature; expected each feature in one of them at most.")
    for group in groups:
        if free is not None and free[group].any() and not free[group].all():
            raise InvalidParameter(
                f"Given features that hold some columns of the category {group.tolist()} and free others; hold all of "
                "them, or none."
            )


def _within_one(
    layout: Layout, groups: tuple[np.ndarray, ...], low: np.ndarray | None, high: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds that keep the columns of categories between 0 and 1."""
    import numpy as np

    size, every = layout.size("categories"), np.concatenate(groups)
    low = np.full(size, -np.inf) if low is None else np.array(np.broadcast_to(low, size), float)
    high = np.full(size, np.inf) if high is None else np.array(np.broadcast_to(high, size), float)
    low[every], high[every] = np.maximum(low[every], 0), np.minimum(high[every], 1)
    return low, high
