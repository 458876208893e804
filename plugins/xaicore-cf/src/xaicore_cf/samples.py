"""The inputs of a model as one vector per sample, and what a search may do to each of its features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array
from xaicore_cf.errors import FixedBatch

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Tensors


def join(inputs: Tensors) -> tf.Tensor:
    """Return the inputs as (batch, features), flattened one behind the other, in float32 or wider."""
    import tensorflow as tf

    dtype = tf.float64 if any(x.dtype == tf.float64 for x in inputs) else tf.float32
    return tf.concat([tf.reshape(tf.cast(x, dtype), [tf.shape(x)[0], _size(x)]) for x in inputs], axis=1)


def split(flat: tf.Tensor, like: Tensors) -> Tensors:
    """Return (rows, features) as the inputs of a model, shaped and of the dtypes of ``like`` but for the rows."""
    import tensorflow as tf

    parts = tf.split(flat, [_size(x) for x in like], axis=1) if len(like) > 1 else [flat]
    return tuple(
        tf.cast(tf.reshape(part, tf.concat([tf.shape(part)[:1], tf.shape(x)[1:]], 0)), x.dtype)
        if None in x.shape[1:]
        else tf.cast(tf.reshape(part, [-1, *x.shape[1:]]), x.dtype)
        for part, x in zip(parts, like, strict=True)
    )


def _size(x: tf.Tensor) -> int | tf.Tensor:
    import tensorflow as tf

    known = x.shape[1:].num_elements()
    return tf.reduce_prod(tf.shape(x)[1:]) if known is None else known


@attrs.frozen(eq=False)
class Box:
    """Where the features may go: arrays over the flattened sample, numbers, or None where there is no limit.

    free: bool (features,), False where a feature keeps its value.  low, high: the bounds of the others.
    """

    free: np.ndarray | None
    low: np.ndarray | None
    high: np.ndarray | None

    def hold(self, x: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
        """Return the nearest point inside; features that are not free are bit-equal to the original."""
        import tensorflow as tf

        if self.low is not None:
            x = tf.maximum(x, tf.constant(self.low.astype(x.dtype.as_numpy_dtype)))
        if self.high is not None:
            x = tf.minimum(x, tf.constant(self.high.astype(x.dtype.as_numpy_dtype)))
        return x if self.free is None else tf.where(tf.constant(self.free), x, original)

    def freed(self, gradient: tf.Tensor) -> tf.Tensor:
        """Return a gradient with zeros for features that are not free."""
        import tensorflow as tf

        return gradient if self.free is None else tf.where(tf.constant(self.free), gradient, tf.zeros_like(gradient))


def box_of(graph: Graph, features: Array | None, low: float | Array | None, high: float | Array | None) -> Box:
    """Return the box of a model's samples.

    Raises:
        FixedBatch: the model takes batches of one size only.
        InvalidParameter: an array does not fit the model's inputs, or an index lies outside of them.
    """
    shapes = [tuple(graph.specs[key].shape) for key in graph.inputs]
    for name, shape in zip(graph.input_names, shapes, strict=True):
        if shape[0] is not None:
            raise FixedBatch(
                f"The input {name!r} takes batches of {shape[0]} only; the search runs copies of each sample, and "
                "fewer as they arrive. Build the model with keras.Input(shape) instead of batch_shape or batch_size."
            )
    samples = [shape[1:] for shape in shapes]
    free = None if features is None else _mask(features, samples)
    bounds = [None if b is None else _spread(n, b, samples) for n, b in (("low", low), ("high", high))]
    return Box(free, *bounds)


def _mask(features: Array, samples: list[tuple[Any, ...]]) -> np.ndarray:
    import numpy as np

    if features.data.dtype == bool:
        return _spread("features", features, samples)
    size = _total("features", samples)
    if features.data.max() >= size:
        raise InvalidParameter(
            f"Given features with index {features.data.max()}; the flattened sample has 0 to {size - 1}."
        )
    return np.isin(np.arange(size), features.data)


def _spread(name: str, value: float | Array, samples: list[tuple[Any, ...]]) -> np.ndarray:
    """Return a number as it is, an array as (features,)."""
    import numpy as np

    if not isinstance(value, Array):
        return np.asarray(value)
    size = _total(name, samples)
    if value.shape == (size,):
        return value.data
    if len(samples) == 1 and _broadcasts(value.shape, samples[0]):
        return np.broadcast_to(value.data, samples[0]).reshape(-1)
    shape = f" or an array that broadcasts to one sample, {samples[0]}" if len(samples) == 1 else ""
    raise InvalidParameter(
        f"Given {name} of shape {value.shape}; expected ({size},), one entry per feature of the flattened "
        f"sample{shape}."
    )


def _broadcasts(shape: tuple[int, ...], sample: tuple[int, ...]) -> bool:
    return len(shape) <= len(sample) and all(
        n in {1, m} for n, m in zip(reversed(shape), reversed(sample), strict=False)
    )


def _total(name: str, samples: list[tuple[Any, ...]]) -> int:
    if any(n is None for sample in samples for n in sample):
        raise InvalidParameter(
            f"Given an array for {name}; the model takes samples of any length, {samples}, so that an entry per "
            "feature says nothing. Give a number, or a model of a fixed length."
        )
    return sum(math.prod(sample) for sample in samples)
