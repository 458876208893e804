"""Filters: what is done to attributions after the fact, inside the trace, per sample.

Attributions are (batch, *spatial, channels).  Filters over channels keep the axis with length 1, so that maps of all
methods have one shape.  They refuse (batch, features): there the last axis is the features, and nothing would be left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidParameter

if TYPE_CHECKING:
    import tensorflow as tf


@attrs.frozen
class Abs:
    """``|a|``, shaped like a."""

    def __call__(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *features)."""
        import tensorflow as tf

        return tf.abs(attributions)


@attrs.frozen
class AbsMax:
    """``max_c |a_c|`` over channels, (batch, *spatial, 1): Simonyan et al. 2013, section 3.1."""

    def __call__(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *spatial, channels), at least one spatial axis, else InvalidParameter."""
        import tensorflow as tf

        _needs_channels(self, attributions)
        return tf.reduce_max(tf.abs(attributions), axis=-1, keepdims=True)


@attrs.frozen
class SumChannels:
    """``sum_c a_c`` over channels, (batch, *spatial, 1).  Keeps the sum of the attributions."""

    def __call__(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *spatial, channels), at least one spatial axis, else InvalidParameter."""
        import tensorflow as tf

        _needs_channels(self, attributions)
        return tf.reduce_sum(attributions, axis=-1, keepdims=True)


@attrs.frozen
class Normalize:
    """``a / max |a|`` per sample, shaped like a and within [-1, 1]; a sample that is zero everywhere stays zero."""

    def __call__(self, attributions: tf.Tensor) -> tf.Tensor:
        """attributions: (batch, *features)."""
        import tensorflow as tf

        features = list(range(1, attributions.shape.rank))
        largest = tf.reduce_max(tf.abs(attributions), axis=features, keepdims=True)
        return tf.math.divide_no_nan(attributions, largest)


def _needs_channels(owner: object, attributions: tf.Tensor) -> None:
    spatial = attributions.shape.rank - 2
    if spatial < 1:
        raise InvalidParameter(
            f"The filter {type(owner).__name__} works on the channels of (batch, *spatial, channels); given "
            f"attributions of shape {tuple(attributions.shape)}, whose last axis is the features. "
            "Leave the filter out, or use `abs` or `normalize`."
        )
