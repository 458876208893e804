"""The classes of filters: each a formula on tensors (batch, *features), with what it is called on in ``base``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidParameter
from xaicore.filters.base import Axes, FilterBase, axes_of
from xaicore.values import axes, choice, flag, lengths, optional, real

if TYPE_CHECKING:
    import tensorflow as tf


@attrs.frozen
class Part(FilterBase):
    """One part of attributions, shaped like them.

    Args:
        part: "absolute" |a|, "square" a^2, "positive" max(a, 0), "negative" max(-a, 0), "sign" -1, 0 or 1.
    """

    part: str = attrs.field(converter=choice("absolute", "square", "positive", "negative", "sign"))

    def filtered(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *features)."""
        return _part(self.part, attributions)


@attrs.frozen
class Channels(FilterBase):
    """Attributions joined over channels, (batch, *spatial, 1).

    Args:
        join: "absmax" ``max_c |a_c|``, "sum", "max" or "mean" over channels.  "sum" keeps the total.
        axis: Of the channels.

    Raises:
        InvalidParameter: when it is called, on attributions without a spatial axis.
    """

    join: str = attrs.field(converter=choice("absmax", "sum", "max", "mean"))
    axis: Axes = attrs.field(default=(-1,), converter=axes)

    def filtered(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *spatial, channels)."""
        import tensorflow as tf

        _needs_channels(self, attributions)
        values = tf.abs(attributions) if self.join == "absmax" else attributions
        reduce = {"absmax": tf.reduce_max, "max": tf.reduce_max, "sum": tf.reduce_sum, "mean": tf.reduce_mean}[
            self.join
        ]
        return reduce(values, axis=axes_of(self.axis, attributions), keepdims=True)


@attrs.frozen
class Normalize(FilterBase):
    """``a / max |a|``, within [-1, 1]; or ``(a - min a) / (max a - min a)``, within [0, 1].  Zero where that is 0 / 0.

    Args:
        part: "all", or what is taken of attributions first: "absolute", "positive", "negative" (see ``Part``).
        unit: Whether the result lies within [0, 1] and its smallest entry is 0.
        axis: Over which axes the extremes are taken; None: over all of a sample.
    """

    part: str = attrs.field(default="all", converter=choice("all", "absolute", "positive", "negative"))
    unit: bool = attrs.field(default=False, converter=flag)
    axis: Axes | None = attrs.field(default=None, converter=optional(axes))

    def filtered(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *features)."""
        import tensorflow as tf

        over = axes_of(self.axis, attributions)
        values = _part(self.part, attributions)
        if self.unit:
            values -= tf.reduce_min(values, axis=over, keepdims=True)
        return tf.math.divide_no_nan(values, tf.reduce_max(tf.abs(values), axis=over, keepdims=True))


@attrs.frozen
class ClipPercentile(FilterBase):
    """``a`` cut at the percentile of |a|, on both sides: a few large entries then leave room for the others.

    Args:
        percentile: Of |a|, above 0 and at most 100; linear between entries.
        axis: Over which axes it is taken; None: over all of a sample.
    """

    percentile: float = attrs.field(default=99.0, converter=real(above=0.0, maximum=100.0))
    axis: Axes | None = attrs.field(default=None, converter=optional(axes))

    def filtered(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *features)."""
        import tensorflow as tf

        limit = quantile(tf.abs(attributions), self.percentile / 100, axes_of(self.axis, attributions))
        return tf.clip_by_value(attributions, -limit, limit)


@attrs.frozen
class QuantileMask(FilterBase):
    """``a`` where |a| reaches its quantile, 0 elsewhere: what stands out.

    Args:
        quantile: Of |a|, from 0 (all stays) to 1 (the largest alone stays); linear between entries.
        axis: Over which axes it is taken; None: over all of a sample.
    """

    quantile: float = attrs.field(default=0.9, converter=real(minimum=0.0, maximum=1.0))
    axis: Axes | None = attrs.field(default=None, converter=optional(axes))

    def filtered(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *features)."""
        import tensorflow as tf

        size = tf.abs(attributions)
        limit = quantile(size, self.quantile, axes_of(self.axis, attributions))
        return tf.where(size >= limit, attributions, tf.zeros_like(attributions))


@attrs.frozen
class Gamma(FilterBase):
    """``sign(a) m (|a| / m)^gamma``, m the largest |a|: gamma < 1 lifts what is small, for pictures.

    Args:
        gamma: Above 0.
        axis: Over which axes m is taken; None: over all of a sample.
    """

    gamma: float = attrs.field(default=0.5, converter=real(above=0.0))
    axis: Axes | None = attrs.field(default=None, converter=optional(axes))

    def filtered(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *features)."""
        import tensorflow as tf

        size = tf.abs(attributions)
        largest = tf.reduce_max(size, axis=axes_of(self.axis, attributions), keepdims=True)
        return tf.sign(attributions) * largest * tf.math.divide_no_nan(size, largest) ** self.gamma


def _part(part: str, attributions: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    parts = {"all": tf.identity, "absolute": tf.abs, "positive": tf.nn.relu, "sign": tf.sign, "square": tf.square}
    return tf.nn.relu(-attributions) if part == "negative" else parts[part](attributions)


@attrs.frozen
class Resize(FilterBase):
    """Maps interpolated linearly to other lengths, channel by channel, pixel centres aligned.

    Args:
        size: Length of every axis between batch and channels.
    """

    size: tuple[int, ...] = attrs.field(converter=lengths)

    def filtered(self, attributions: tf.Tensor) -> tf.Tensor:
        """Return (batch, *size, channels)."""
        import tensorflow as tf

        from xaicore.engine.resize import resize

        spatial = attributions.shape.rank - 2
        if spatial != len(self.size):
            raise InvalidParameter(
                f"Given size={self.size} for attributions of shape {tuple(attributions.shape)}; expected {spatial} "
                "lengths, one for each axis between batch and channels."
            )
        channels = range(attributions.shape[-1])
        sizes, static = tf.constant(self.size), tf.TensorShape(self.size)
        return tf.stack([resize(attributions[..., c], sizes, static) for c in channels], axis=-1)


def quantile(values: tf.Tensor, q: float, over: list[int]) -> tf.Tensor:
    """Return a quantile over some axes, kept with length 1, linear between the entries beside it."""
    import tensorflow as tf

    rank = values.shape.rank
    others = [a for a in range(rank) if a not in over]
    shape = tf.shape(values)
    rows = tf.reshape(tf.transpose(values, [*others, *over]), tf.concat([tf.gather(shape, others), [-1]], 0))
    ordered = tf.sort(rows, axis=-1)
    place = tf.cast(tf.shape(ordered)[-1] - 1, values.dtype) * tf.constant(q, values.dtype)
    below = tf.floor(place)
    low, high = (tf.gather(ordered, tf.cast(f(place), tf.int32), axis=-1) for f in (tf.floor, tf.math.ceil))
    found = low + (high - low) * (place - below)
    kept = tf.stack([1 if a in over else shape[a] for a in range(rank)])
    return tf.reshape(found, kept)


def _needs_channels(owner: object, attributions: tf.Tensor) -> None:
    spatial = attributions.shape.rank - 2
    if spatial < 1:
        raise InvalidParameter(
            f"The filter {type(owner).__name__} works on the channels of (batch, *spatial, channels); given "
            f"attributions of shape {tuple(attributions.shape)}, whose last axis is the features. "
            "Leave the filter out, or use `abs` or `normalize`."
        )
