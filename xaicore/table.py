"""Core's own names: the kinds of parts, and family ``filter``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.declaration import Declaration, Kind
from xaicore.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: tuple[Kind, ...] = (
    Kind("analyzer", "xaicore.protocols:Analyzer", pipe=("xaicore.analyzer:Filtered", "filter")),
    Kind("cost", "xaicore.protocols:CostFunction"),
    Kind("filter", "xaicore.protocols:Filter"),
    Kind("optimizer", "xaicore.protocols:Optimizer"),
    Kind("quadrature", "xaicore.protocols:Quadrature"),
    Kind("rule", "xaicore.protocols:Rule", lift={"analyzer": ("xaicore.backward:Backward", "rules")}),
)

ROWS: dict[str, Declaration] = {
    "filter.abs": Declaration(
        "filter",
        "xaicore.filters:Part",
        preset={"part": "absolute"},
        summary="Size without sign.",
        formula="|a|",
        short="abs",
    ),
    "filter.absmax": Declaration(
        "filter",
        "xaicore.filters:Channels",
        preset={"join": "absmax"},
        summary="The largest size over channels: one map per sample.",
        formula="max_c |a_c|",
        cites=("simonyan2013",),
        short="absmax",
    ),
    "filter.absolute_normalize": Declaration(
        "filter",
        "xaicore.filters:Normalize",
        preset={"part": "absolute", "unit": True},
        summary="Size without sign, scaled to [0, 1] per sample.",
        formula="(|a| - min) / (max - min)",
        short="absolute_normalize",
    ),
    "filter.clip_percentile": Declaration(
        "filter",
        "xaicore.filters:ClipPercentile",
        summary="Entries cut at a percentile of their size, on both sides.",
        formula="clip(a, -q, q), q the percentile of |a|",
        cites=("smilkov2017",),
        short="clip_percentile",
    ),
    "filter.gamma": Declaration(
        "filter",
        "xaicore.filters:Gamma",
        summary="Small entries lifted for pictures.",
        formula="sign(a) m (|a| / m)^gamma, m = max |a|",
        short="gamma",
    ),
    "filter.max_channels": Declaration(
        "filter",
        "xaicore.filters:Channels",
        preset={"join": "max"},
        summary="The largest entry over channels: one map per sample.",
        formula="max_c a_c",
        short="max_channels",
    ),
    "filter.mean_channels": Declaration(
        "filter",
        "xaicore.filters:Channels",
        preset={"join": "mean"},
        summary="The mean over channels: one map per sample.",
        formula="mean_c a_c",
        short="mean_channels",
    ),
    "filter.negative": Declaration(
        "filter",
        "xaicore.filters:Part",
        preset={"part": "negative"},
        summary="What speaks against, as positive numbers.",
        formula="max(-a, 0)",
        short="negative",
    ),
    "filter.negative_normalize": Declaration(
        "filter",
        "xaicore.filters:Normalize",
        preset={"part": "negative", "unit": True},
        summary="What speaks against, scaled to [0, 1] per sample.",
        formula="(n - min n) / (max n - min n), n = max(-a, 0)",
        short="negative_normalize",
    ),
    "filter.normalize": Declaration(
        "filter",
        "xaicore.filters:Normalize",
        summary="Each sample divided by its largest size, within [-1, 1].",
        formula="a / max |a|",
        short="normalize",
    ),
    "filter.positive": Declaration(
        "filter",
        "xaicore.filters:Part",
        preset={"part": "positive"},
        summary="What speaks for.",
        formula="max(a, 0)",
        short="positive",
    ),
    "filter.positive_normalize": Declaration(
        "filter",
        "xaicore.filters:Normalize",
        preset={"part": "positive", "unit": True},
        summary="What speaks for, scaled to [0, 1] per sample.",
        formula="(p - min p) / (max p - min p), p = max(a, 0)",
        short="positive_normalize",
    ),
    "filter.quantile_mask": Declaration(
        "filter",
        "xaicore.filters:QuantileMask",
        summary="Entries of large size alone, the others set to zero.",
        formula="a where |a| >= its quantile, else 0",
        short="quantile_mask",
    ),
    "filter.resize": Declaration(
        "filter",
        "xaicore.filters:Resize",
        summary="Maps in another size, interpolated linearly.",
        formula="a(u), u the centre of each new position",
    ),
    "filter.sign": Declaration(
        "filter",
        "xaicore.filters:Part",
        preset={"part": "sign"},
        summary="Sign without size.",
        formula="sign(a)",
        short="sign",
    ),
    "filter.square": Declaration(
        "filter",
        "xaicore.filters:Part",
        preset={"part": "square"},
        summary="The square of every entry.",
        formula="a^2",
        short="square",
    ),
    "filter.sum_channels": Declaration(
        "filter",
        "xaicore.filters:Channels",
        preset={"join": "sum"},
        summary="The sum over channels: one map per sample, the total kept.",
        formula="sum_c a_c",
        short="sum_channels",
    ),
}


@hookimpl
def xaicore_declarations() -> Mapping[str, Declaration]:
    """Return the rows of family ``filter``."""
    return ROWS


@hookimpl
def xaicore_kinds() -> tuple[Kind, ...]:
    """Return the kinds that core knows; plugins add theirs by the same hook."""
    return KINDS
