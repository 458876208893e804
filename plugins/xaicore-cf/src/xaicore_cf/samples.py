"""The inputs of a model as one vector per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

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
