"""Filters: what is done to attributions after the fact, inside the trace, per sample.

    from xaicore.filters import normalize

    normalize(maps)                      # arrays give arrays, tensors give tensors, inside of a tf.function too
    normalize(maps, axis=(1, 2))
    analyzer | normalize

Attributions are (batch, *spatial, channels).  Filters over channels keep the axis with length 1, so that maps of all
methods have one shape.  They refuse (batch, features): there the last axis is the features, and nothing would be left.
``axis`` names axes of attributions, the batch being axis 0, which no filter crosses; None stands for all others.

The objects here are those that the names stand for: ``normalize == get_filter("normalize")``.
"""

from __future__ import annotations

from xaicore.filters.parts import (
    Channels,
    ClipPercentile,
    Gamma,
    Normalize,
    Part,
    QuantileMask,
    Resize,
    quantile,
)

absolute = Part("absolute")
absolute_normalize = Normalize("absolute", unit=True)
absmax = Channels("absmax")
clip_percentile = ClipPercentile()
gamma = Gamma()
max_channels = Channels("max")
mean_channels = Channels("mean")
negative = Part("negative")
negative_normalize = Normalize("negative", unit=True)
normalize = Normalize()
positive = Part("positive")
positive_normalize = Normalize("positive", unit=True)
quantile_mask = QuantileMask()
sign = Part("sign")
square = Part("square")
sum_channels = Channels("sum")

__all__ = [
    "Channels",
    "ClipPercentile",
    "Gamma",
    "Normalize",
    "Part",
    "QuantileMask",
    "Resize",
    "absmax",
    "absolute",
    "absolute_normalize",
    "clip_percentile",
    "gamma",
    "max_channels",
    "mean_channels",
    "negative",
    "negative_normalize",
    "normalize",
    "positive",
    "positive_normalize",
    "quantile",
    "quantile_mask",
    "sign",
    "square",
    "sum_channels",
]
